"""Faces of a terminal that need no screen: lines in, lines out."""

import sys
from collections.abc import Awaitable, Callable, Iterator

from protocols.catalogue import text
from terminal.attended import Face, Presented
from terminal.purchase.flow import OperatorFlow

#: Gives the card that a holder presents, from what was typed; None when there is none.
CardOf = Callable[[str], Awaitable[Presented | None]]


class LineFace(Face):
    """Reads answers line by line and prints what the screen says when it changes.

    An answer of `-` cancels; so does the end of the input.
    """

    def __init__(
        self, answers: Iterator[str], card_of: CardOf, say: Callable[[str], None] | None = None
    ) -> None:
        """Take where answers come from, who gives cards, and where screens go."""
        self._answers = answers
        self._card_of = card_of
        self._say = say or sys.stdout.write
        self._said = ""

    def show(self, flow: OperatorFlow) -> None:
        """Print the screen when it says something new."""
        if flow.screen != self._said:
            self._said = flow.screen
            self._say(f"{self._said}\n")

    async def ask(self, flow: OperatorFlow, *, secret: bool = False) -> str | None:
        """Give the next line; it is not echoed, secret or not."""
        self.show(flow)
        return self.next_line()

    async def card(self, flow: OperatorFlow) -> Presented | None:
        """Give the card that the next line names."""
        self.show(flow)
        typed = self.next_line()
        if typed is None:
            return None
        card = await self._card_of(typed)
        if card is None:
            self._say(f"{text('refused.choice', flow.lang)}\n")
        return card

    def next_line(self) -> str | None:
        """Give the next answer, None for cancel or the end."""
        line = next(self._answers, None)
        if line is None or line.strip() == "-":
            return None
        return line.strip()
