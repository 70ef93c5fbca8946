"""A card channel over TCP or a unix socket: card and terminal as separate processes.

The wire is the one of virtual readers (`protocols.card_frames`): this is the reader's end. A card
that is in the slot answers on its address; one that is not closes the connection at once or does
not listen. Between transactions the connection stays, so that a removal is seen when it happens.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

from protocols.card_frames import CARD_FRAMES, Control
from protocols.framing import Framer, FramingError, frame
from terminal.card_channel import CardEvent, CardMuteError, CardRemovedError

#: Longest wait for a connection and for an ATR: cards answer a reset within 42,000 clock cycles
#: (EMV 4.4 Book 1, 6.1.3.2), a connection on one's own machine takes less.
POWER_TIMEOUT_MS = 2_000
#: How often an empty slot is looked at, as reader drivers do.
LOOK_MS = 250
_SHORTEST_ANSWER = 2


class SocketChannel:
    """One slot whose card listens at `address`: (host, port), or the path of a unix socket.

    Keeps the CardChannel interface; `close` ends it, and `events` with it.
    """

    def __init__(
        self,
        address: tuple[str, int] | Path,
        *,
        power_timeout_ms: int = POWER_TIMEOUT_MS,
        look_ms: int = LOOK_MS,
    ) -> None:
        """Take the address; nothing is opened yet."""
        self._address = address
        self._power_timeout_ms = power_timeout_ms
        self._look_ms = look_ms
        self._wire: _ReaderWire | None = None
        self._opening = asyncio.Lock()
        self._closed = asyncio.Event()
        self._powered = False

    async def connect(self) -> bytes:
        """Power the card and give its ATR; raise CardRemovedError without a card."""
        return await self._power(Control.ON)

    async def reset(self) -> bytes:
        """Reset the card warm and give its ATR."""
        return await self._power(Control.RESET)

    async def _power(self, control: Control) -> bytes:
        wire = await self._present()
        wire.send(_control(control))
        wire.send(_control(Control.ATR))
        try:
            atr = await wire.answer(self._power_timeout_ms)
        except CardMuteError:
            raise CardRemovedError("no answer to reset") from None
        if len(atr) < _SHORTEST_ANSWER:
            raise CardRemovedError("no answer to reset")
        self._powered = True
        return atr

    async def transmit(self, command: bytes, *, timeout_ms: int) -> bytes:
        """Send one command and give the response of at least 2 bytes.

        Raises CardMuteError after `timeout_ms`: the connection is given up then, so that a late
        answer can never be taken for another's. Raises CardRemovedError for a card that has gone,
        or gave fewer than 2 bytes.
        """
        wire = self._wire
        if wire is None or wire.lost.is_set() or not self._powered:
            raise CardRemovedError
        wire.send(frame(command, b"", CARD_FRAMES))
        try:
            answer = await wire.answer(timeout_ms)
        except CardMuteError:
            self._powered = False
            raise
        if len(answer) < _SHORTEST_ANSWER:
            wire.give_up()
            raise CardRemovedError
        return answer

    async def disconnect(self) -> None:
        """Power the card down; the slot stays under watch. Never raises."""
        self._powered = False
        if self._wire is not None and not self._wire.lost.is_set():
            self._wire.send(_control(Control.OFF))

    async def close(self) -> None:
        """Close the connection and end `events`. Idempotent."""
        self._closed.set()
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.give_up()
            await wire.lost.wait()

    async def events(self) -> AsyncIterator[CardEvent]:
        """Yield insertions and removals until `close`; the state at the start is the first."""
        while not self._closed.is_set():
            try:
                wire = await self._present()
            except CardRemovedError:
                await _first(self._closed, timeout_ms=self._look_ms)
                continue
            yield CardEvent.INSERTED
            await _first(self._closed, wire.lost)
            if wire.lost.is_set() and not self._closed.is_set():
                yield CardEvent.REMOVED

    async def _present(self) -> "_ReaderWire":
        """Give the connection to a card that is there; raise CardRemovedError."""
        async with self._opening:
            if self._closed.is_set():
                raise CardRemovedError("the channel is closed")
            if self._wire is not None and not self._wire.lost.is_set():
                return self._wire
            self._powered = False
            try:
                async with asyncio.timeout(self._power_timeout_ms / 1000):
                    wire = await self._open()
            except (OSError, TimeoutError) as error:
                raise CardRemovedError("nothing listens at the card's address") from error
            # A slot without its card may accept and close: only an ATR tells that one is there.
            wire.send(_control(Control.ATR))
            try:
                await wire.answer(self._power_timeout_ms)
            except CardMuteError:
                raise CardRemovedError("no answer at the card's address") from None
            self._wire = wire
            return wire

    async def _open(self) -> "_ReaderWire":
        loop = asyncio.get_running_loop()
        if isinstance(self._address, Path):
            _, wire = await loop.create_unix_connection(_ReaderWire, str(self._address))
        else:
            _, wire = await loop.create_connection(_ReaderWire, *self._address)
        return wire


class _ReaderWire(asyncio.Protocol):
    """The reader's end of one connection: one question, one answer."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()
        self._framer = Framer(CARD_FRAMES)
        self._awaited: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # By cast: uvloop's transports do not inherit from asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        found: socket.socket = transport.get_extra_info("socket")
        if found.family in (socket.AF_INET, socket.AF_INET6):
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes) -> None:
        """Hand bytes over; a connection that is gone shows at the answer."""
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.write(data)

    async def answer(self, timeout_ms: int) -> bytes:
        """Give the body of the next frame; raise CardMuteError, CardRemovedError.

        A caller that is cancelled leaves a connection whose next answer is nobody's: given up.
        """
        assert self._awaited is None, "one question at a time"
        if self.lost.is_set():
            raise CardRemovedError
        self._awaited = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                return await self._awaited
        except TimeoutError:
            self.give_up()
            raise CardMuteError from None
        except asyncio.CancelledError:
            self.give_up()
            raise
        finally:
            self._awaited = None

    def data_received(self, data: bytes) -> None:
        try:
            frames = self._framer.feed(data)
        except FramingError:
            self.give_up()
            return
        for found in frames:
            if self._awaited is None or self._awaited.done():
                # Nobody asked: what speaks there is no card.
                self.give_up()
                return
            self._awaited.set_result(found.payload)

    def give_up(self) -> None:
        """Close at once. Idempotent."""
        assert self._transport is not None
        self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set()
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_exception(CardRemovedError())


def _control(control: Control) -> bytes:
    return frame(bytes((control,)), b"", CARD_FRAMES)


async def _first(*events: asyncio.Event, timeout_ms: int | None = None) -> None:
    """Wait until one of the events is set, or the time has passed."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(
            waits,
            timeout=None if timeout_ms is None else timeout_ms / 1000,
            return_when=asyncio.FIRST_COMPLETED,
        )
    finally:
        for wait in waits:
            wait.cancel()
