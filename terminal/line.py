"""The line to the host: a small protocol, and TCP behind it.

Everything above sees bytes and three things that can go wrong: no connection, a connection that
breaks, silence until the deadline. A line that injects faults keeps the same protocol.
"""

import asyncio
from typing import Protocol

from terminal.errors import TerminalError
from terminal.limits import LINE_READ_MAX_BYTES


class LineDownError(TerminalError):
    """There is no connection, or it broke."""

    code = "E-TM-0303"


class Line(Protocol):
    """One connection at a time. Not for use from two tasks at once."""

    async def connect(self) -> None:
        """Open the connection; raise LineDownError when there is none."""

    async def send(self, data: bytes) -> None:
        """Hand bytes over; raise LineDownError when the connection is gone."""

    async def receive(self, *, timeout_ms: int) -> bytes:
        """Give the next bytes, empty at the end of the connection.

        Raises TimeoutError after `timeout_ms` of silence, LineDownError when it breaks.
        """

    async def close(self) -> None:
        """Close the connection. Idempotent; never raises."""


class StreamLine:
    """What every line over a stream of the event loop does alike once somebody is there."""

    def __init__(self, host: str, port: int) -> None:
        """Take the address; nothing is opened yet."""
        self._host, self._port = host, port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def send(self, data: bytes) -> None:
        """Write and drain; raise LineDownError."""
        if self._writer is None:
            raise self._lost()
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as failed:
            raise self._lost() from failed

    async def receive(self, *, timeout_ms: int) -> bytes:
        """Read what is there; raise TimeoutError, LineDownError."""
        if self._reader is None:
            raise self._lost()
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                return await self._reader.read(LINE_READ_MAX_BYTES)
        except TimeoutError:
            raise
        except OSError as failed:
            raise self._lost() from failed

    async def close(self) -> None:
        """Close; a connection that is broken already is closed too."""
        writer, self._writer, self._reader = self._writer, None, None
        if writer is None:
            return
        writer.close()
        try:
            await writer.wait_closed()
        except OSError:
            # The peer reset it first: closed is what we wanted.
            return

    def _lost(self) -> LineDownError:
        return LineDownError(f"{self._host}:{self._port}: nobody is connected.")


class TcpLine(StreamLine):
    """A line over TCP."""

    def __init__(self, host: str, port: int, *, connect_timeout_ms: int) -> None:
        """Take the address; nothing is opened yet."""
        super().__init__(host, port)
        self._connect_timeout_ms = connect_timeout_ms

    async def connect(self) -> None:
        """Open the connection; raise LineDownError when there is none in time."""
        await self.close()
        try:
            async with asyncio.timeout(self._connect_timeout_ms / 1000):
                self._reader, self._writer = await asyncio.open_connection(
                    self._host, self._port, limit=LINE_READ_MAX_BYTES
                )
        except (OSError, TimeoutError) as failed:
            raise LineDownError(
                f"{self._host}:{self._port}: no connection to the host.",
                internal=f"connect to {self._host}:{self._port}: {failed!r}",
                fix="Check the network, then try again.",
            ) from failed

    def _lost(self) -> LineDownError:
        return LineDownError(
            f"{self._host}:{self._port}: the connection to the host is gone.",
            fix="The terminal connects again by itself.",
        )
