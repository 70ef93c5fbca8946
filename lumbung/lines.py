"""Lines that break on purpose: the faults of the field, at the moment one chooses.

Each keeps the terminal's `Line` interface over a real TCP line. They are put in by the composition
root (design decision 23); the terminal does not know.
"""

import asyncio
from collections.abc import Callable

from protocols.framing import EDC_FRAMES, Framer
from terminal.line import LineDownError, TcpLine

#: Sees one message (without length and TPDU) and says whether it is the one.
Chooser = Callable[[bytes], bool]


class RecordingLine:
    """Passes everything on and keeps what was sent last, for a repeat of the very same bytes."""

    def __init__(self, line: TcpLine) -> None:
        """Wrap a line."""
        self._line = line
        self.sent: list[bytes] = []

    async def connect(self) -> None:
        """Open the connection."""
        await self._line.connect()

    async def send(self, data: bytes) -> None:
        """Send, and remember; at most 64 messages, the oldest go first."""
        self.sent = [*self.sent[-63:], data]
        await self._line.send(data)

    async def receive(self, *, timeout_ms: int) -> bytes:
        """Receive."""
        return await self._line.receive(timeout_ms=timeout_ms)

    async def close(self) -> None:
        """Close."""
        await self._line.close()


class LostAnswerLine(RecordingLine):
    """Loses the first answer to the first message that `chooses` names: cut after the commit.

    The answer is awaited, so the host has decided and posted, then thrown away.
    """

    def __init__(self, line: TcpLine, chooses: Chooser) -> None:
        """Wrap a line; lose one answer."""
        super().__init__(line)
        self._chooses = chooses
        self._armed = True
        self._lose_next = False

    async def send(self, data: bytes) -> None:
        """Send; arm the loss when this is the message."""
        if self._armed and self._chooses(_payload(data)):
            self._armed = False
            self._lose_next = True
        await super().send(data)

    async def receive(self, *, timeout_ms: int) -> bytes:
        """Receive; the lost answer shows as a broken connection once it has arrived."""
        data = await super().receive(timeout_ms=timeout_ms)
        if not self._lose_next:
            return data
        self._lose_next = False
        await self.close()
        raise LineDownError("the line broke after the answer had left the host.")


class HeldRequestLine(RecordingLine):
    """Holds back the first message that `chooses` names and breaks; `release` delivers it late."""

    def __init__(self, line: TcpLine, chooses: Chooser) -> None:
        """Wrap a line; hold one message."""
        super().__init__(line)
        self._chooses = chooses
        self._breaks_next = False
        self.held = b""

    async def send(self, data: bytes) -> None:
        """Send, or hold."""
        if not self.held and self._chooses(_payload(data)):
            self.held = data
            self._breaks_next = True
            return
        await super().send(data)

    async def receive(self, *, timeout_ms: int) -> bytes:
        """Receive; after a held message the line breaks, as a dying cell link does."""
        if self._breaks_next:
            self._breaks_next = False
            await self.close()
            raise LineDownError("the line broke; the message is stuck on the way.")
        return await super().receive(timeout_ms=timeout_ms)


async def deliver(host: str, port: int, frame: bytes, *, timeout_ms: int) -> bytes:
    """Send one frame on a connection of its own and give the answer's payload.

    Raises LineDownError without a connection, TimeoutError without an answer.
    """
    line = TcpLine(host, port, connect_timeout_ms=timeout_ms)
    framer = Framer(EDC_FRAMES)
    await line.connect()
    try:
        await line.send(frame)
        async with asyncio.timeout(timeout_ms / 1000):
            while True:
                data = await line.receive(timeout_ms=timeout_ms)
                if not data:
                    raise LineDownError(f"{host}:{port}: closed without an answer.")
                for answer in framer.feed(data):
                    return answer.payload
    finally:
        await line.close()


def _payload(data: bytes) -> bytes:
    frames = Framer(EDC_FRAMES).feed(data)
    return frames[0].payload if frames else b""
