"""Slots under test: one virtual card behind each kind of card channel."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from cardsim.channel import InProcessChannel
from cardsim.faults import Fault
from cardsim.transport import CardOnWire
from lumbung.pcsc import PrivatePcscd
from lumbung.testing.channels import SlotUnderTest
from terminal.card_channel import CardChannel
from terminal.pcsc import PcscChannel
from terminal.socket_channel import SocketChannel
from tests.card_kit import make_card, make_image

Maker = Callable[[tuple[Fault, ...]], AbstractAsyncContextManager[SlotUnderTest]]


class Hand:
    """A slot whose card moves by two functions."""

    def __init__(
        self, channel: CardChannel, remove: Callable[[], None], insert: Callable[[], None]
    ) -> None:
        self.channel = channel
        self._remove, self._insert = remove, insert

    async def remove(self) -> None:
        self._remove()

    async def insert(self) -> None:
        self._insert()


def fresh_card(*faults: Fault, profile: str = "ssn", contactless: bool = False) -> CardOnWire:
    return CardOnWire(make_card(make_image(profile)), faults=faults, contactless=contactless)


@asynccontextmanager
async def in_process(faults: tuple[Fault, ...]) -> AsyncIterator[SlotUnderTest]:
    channel = InProcessChannel(make_card(), faults=faults)
    yield Hand(channel, channel.remove, channel.insert)
    channel.close()


@asynccontextmanager
async def over_tcp(faults: tuple[Fault, ...]) -> AsyncIterator[SlotUnderTest]:
    card = fresh_card(*faults)
    port = await card.listen("127.0.0.1", 0)
    channel = SocketChannel(("127.0.0.1", port), look_ms=5)
    yield Hand(channel, card.remove, card.insert)
    await channel.close()
    await card.close()


def over_unix(folder: Path) -> Maker:
    @asynccontextmanager
    async def make(faults: tuple[Fault, ...]) -> AsyncIterator[SlotUnderTest]:
        card = fresh_card(*faults)
        await card.listen_unix(folder / "card.sock")
        channel = SocketChannel(folder / "card.sock", look_ms=5)
        yield Hand(channel, card.remove, card.insert)
        await channel.close()
        await card.close()

    return make


class PcscReaders:
    """The readers of one private daemon, lent one at a time to whoever makes a slot."""

    def __init__(self, daemon: PrivatePcscd) -> None:
        self.daemon = daemon
        self._free: asyncio.Queue[int] = asyncio.Queue()
        for reader in range(daemon.readers):
            self._free.put_nowait(reader)

    @asynccontextmanager
    async def slot(
        self, faults: tuple[Fault, ...], profile: str = "ssn", *, contactless: bool = False
    ) -> AsyncIterator["PcscSlot"]:
        reader = await self._free.get()
        card = fresh_card(*faults, profile=profile, contactless=contactless)
        slot = PcscSlot(self.daemon, reader, card)
        try:
            await slot.insert()
            yield slot
        finally:
            await slot.card.close()
            await slot.channel.close()
            self._free.put_nowait(reader)


class PcscSlot:
    """One reader of a private daemon with one virtual card."""

    def __init__(self, daemon: PrivatePcscd, reader: int, card: CardOnWire) -> None:
        self.card = card
        self.channel = PcscChannel(daemon.reader_names[reader])
        self._daemon, self._reader = daemon, reader

    async def remove(self) -> None:
        self.card.remove()

    async def insert(self) -> None:
        await self.card.attach(lambda: self._daemon.connect(self._reader))
