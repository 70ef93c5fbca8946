"""A card in process, behind the interface that terminals talk to cards through."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

from cardsim import limits
from cardsim.card import Card
from cardsim.faults import Fault, FaultLayer, Reaction, ReactionKind
from cardsim.image import CardImage
from cardsim.trace import Trace
from protocols.card_slot import CardEvent, CardMuteError, CardRemovedError

_SHORTEST_ANSWER = 2


class InProcessChannel:
    """One slot with one virtual card; keeps the terminal's CardChannel interface.

    `persist` is called with the image after every non-volatile write, before the command goes on,
    and must make it durable (`lambda image: image.save(path)`). `faults` and `trace` as in
    `cardsim.faults`. The card is in the slot at first; `remove` and `insert` move it.
    """

    def __init__(
        self,
        card: Card,
        *,
        persist: Callable[[CardImage], None] | None = None,
        faults: Iterable[Fault] = (),
        trace: Trace | None = None,
        contactless: bool = False,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Put the card into the slot, or with `contactless` into a reader's field.

        `sleep` lets seconds pass while a card is slow or mute.
        """
        self._sleep = sleep
        self.card = card
        self.layer = FaultLayer(card, faults, trace, contactless=contactless)
        self.inserted = True
        self._powered = False
        self._events: asyncio.Queue[CardEvent | None] = asyncio.Queue(limits.SLOT_EVENTS)
        self._events.put_nowait(CardEvent.INSERTED)
        if persist is not None:
            image = card.image
            save = persist
            card.writer.on_write = lambda _field: save(image)

    @property
    def trace(self) -> Trace:
        """Give the masked trace."""
        return self.layer.trace

    async def connect(self) -> bytes:
        """Power the card and give its ATR; raise CardRemovedError without a card."""
        return await self._power()

    async def reset(self) -> bytes:
        """Reset the card warm and give its ATR."""
        return await self._power()

    async def _power(self) -> bytes:
        if not self.inserted:
            raise CardRemovedError
        reaction = self.layer.power()
        if reaction.kind is not ReactionKind.ANSWER or len(reaction.data) < _SHORTEST_ANSWER:
            # No answer to reset: the reader reports no card (reference/emv.md 1.4).
            self._powered = False
            raise CardRemovedError
        self._powered = True
        return reaction.data

    async def transmit(self, command: bytes, *, timeout_ms: int) -> bytes:
        """Send one command and give the response of at least 2 bytes.

        Raises CardMuteError after `timeout_ms` without an answer, CardRemovedError for a card that
        is not there, tore, or gave fewer than 2 bytes.
        """
        if not (self.inserted and self._powered):
            raise CardRemovedError
        reaction = self.layer.exchange(command)
        if reaction.kind is ReactionKind.REMOVED:
            self.remove()
            raise CardRemovedError
        await self._wait(reaction, timeout_ms)
        if len(reaction.data) < _SHORTEST_ANSWER:
            self.remove()
            raise CardRemovedError
        return reaction.data

    async def _wait(self, reaction: Reaction, timeout_ms: int) -> None:
        late = reaction.kind is ReactionKind.MUTE or reaction.delay_ms > timeout_ms
        if late or reaction.delay_ms:
            await self._sleep((timeout_ms if late else reaction.delay_ms) / 1000)
        if late:
            self.card.power_off()
            self._powered = False
            raise CardMuteError
        if not self.inserted:
            raise CardRemovedError

    async def disconnect(self) -> None:
        """Power the card down; never raises."""
        self.card.power_off()
        self._powered = False

    def remove(self) -> None:
        """Take the card out of the slot, as a hand or a tear does; idempotent."""
        if self.inserted:
            self.inserted = False
            self._powered = False
            self.card.power_off()
            self._note(CardEvent.REMOVED)

    def insert(self) -> None:
        """Put the card back; idempotent."""
        if not self.inserted:
            self.inserted = True
            self._note(CardEvent.INSERTED)

    def close(self) -> None:
        """Take the card out and end `events`."""
        self.remove()
        self._note(None)

    def _note(self, event: CardEvent | None) -> None:
        """Queue an event; when nobody listens, the oldest goes: the newest tells the state."""
        if self._events.full():
            self._events.get_nowait()
        self._events.put_nowait(event)

    async def events(self) -> AsyncIterator[CardEvent]:
        """Yield insertions and removals until `close`."""
        while (event := await self._events.get()) is not None:
            yield event
