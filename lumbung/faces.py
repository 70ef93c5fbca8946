"""Faces of a terminal that need no screen: lines in, lines out."""

import sys
from collections.abc import Awaitable, Callable

from lumbung.typed_input import TypedInput
from protocols.catalogue import text
from terminal.attended import Face, Presented, item_lines, menu_lines
from terminal.purchase.flow import OperatorFlow
from terminal.purchase.table import FlowState

#: Gives the card that a holder presents, from what was typed; None when there is none.
CardOf = Callable[[str], Awaitable[Presented | None]]
_MENUS = (FlowState.MENU, FlowState.OFF_DUTY)


class LineFace(Face):
    """Reads answers line by line and prints what the screen says when it changes.

    An answer of `-` cancels; so does the end of the input. Where somebody types at a terminal, the
    menu and the goods are listed too, and what is secret is not shown.
    """

    def __init__(
        self, answers: TypedInput, card_of: CardOf, say: Callable[[str], object] | None = None
    ) -> None:
        """Take where answers come from, who gives cards, and where screens go."""
        self._answers = answers
        self._card_of = card_of
        self._say = say or _say
        self._said = ""
        self._listed: FlowState | None = None

    def show(self, flow: OperatorFlow) -> None:
        """Print the screen when it says something new."""
        if flow.screen != self._said:
            self._said = flow.screen
            self._say(f"{self._said}\n")

    async def choice(self, flow: OperatorFlow) -> str | None:
        """Give what was typed at the menu, None at the end of the input."""
        self._list(flow)
        self.show(flow)
        return await self._answers.line()

    async def ask(self, flow: OperatorFlow, *, secret: bool = False) -> str | None:
        """Give the next line, None for cancel or the end of the input."""
        self._list(flow)
        self.show(flow)
        line = await self._answers.line(secret=secret)
        return None if line is None or line.strip() == "-" else line.strip()

    async def card(self, flow: OperatorFlow) -> Presented | None:
        """Give the card that the next line names."""
        typed = await self.ask(flow)
        if typed is None:
            return None
        card = await self._card_of(typed)
        if card is None:
            self._say(f"{text('refused.choice', flow.lang)}\n")
        return card

    def _list(self, flow: OperatorFlow) -> None:
        """List what can be chosen, once whenever it comes up, for who sees this."""
        state = flow.state
        if not self._answers.is_terminal or state is self._listed:
            return
        self._listed = state
        if state in _MENUS:
            self._say("".join(f"{line}\n" for line in menu_lines(flow.lang)))
        elif state is FlowState.ITEMS:
            how = text("menu.basket_how", flow.lang)
            self._say("".join(f"{line}\n" for line in [*item_lines(flow, flow.lang), how]))
        elif state is FlowState.CARD:
            self._say(f"{text('menu.card_how', flow.lang)}\n")


def _say(said: str) -> None:
    sys.stdout.write(said)
    sys.stdout.flush()
