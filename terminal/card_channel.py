"""`CardChannel`: how the terminal talks to a card, whatever lies between them.

Frozen in the foundation. The in-process virtual card, a socket and PC/SC all keep it; `terminal`
never sees which. T=0 GET RESPONSE and Le handling, ATR rules and length checks live above the
channel, once (`terminal.card_link`).
"""

from collections.abc import AsyncIterator, Generator
from typing import Protocol, TypeVar, runtime_checkable

from protocols.card_slot import CardEvent, CardMuteError, CardRemovedError

__all__ = ["CardChannel", "CardEvent", "CardMuteError", "CardRemovedError", "ConversingChannel"]

_Result = TypeVar("_Result")


class CardChannel(Protocol):
    """One slot. Not for use from two tasks at once."""

    async def connect(self) -> bytes:
        """Power the card and give its ATR, 2 to 33 bytes; raise CardRemovedError without a card."""

    async def transmit(self, command: bytes, *, timeout_ms: int) -> bytes:
        """Send one command APDU (5 to 261 bytes) and give the response with its status word.

        Raises CardRemovedError, CardMuteError; never returns fewer than 2 bytes. A mute card holds
        the caller no longer than `timeout_ms` + 50 ms.
        """

    async def reset(self) -> bytes:
        """Reset the card warm and give the ATR."""

    async def disconnect(self) -> None:
        """Power the card down. Idempotent; never raises for a card that has gone."""

    def events(self) -> AsyncIterator[CardEvent]:
        """Yield insertions and removals until the channel is closed."""


@runtime_checkable
class ConversingChannel(Protocol):
    """What a channel may offer beside: many commands for one hand-over to whoever talks to it."""

    async def converse(
        self, commands: Generator[bytes, bytes, _Result], *, timeout_ms: int
    ) -> _Result:
        """Drive a generator of commands, send it each answer, and give what it returns.

        The deadline is each command's own. The generator may run in another thread, and is closed
        there. Raises as `CardChannel.transmit`, and what the generator raises.
        """
