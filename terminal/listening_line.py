"""A line that waits for its peer: TCP on this machine's own address, one peer at a time."""

import asyncio

from terminal.limits import LINE_READ_MAX_BYTES
from terminal.line import LineDownError


class ListeningLine:
    """A `Line` whose `connect` waits until somebody connects. `stop` ends the listening."""

    def __init__(self, host: str, port: int) -> None:
        """Take the address; `listen` opens it."""
        self._host, self._port = host, port
        self._server: asyncio.Server | None = None
        self._arrived: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
        self._arrived = asyncio.Queue(maxsize=1)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def listen(self) -> int:
        """Listen; give the port, which is found when 0 was asked for. Raises LineDownError."""
        try:
            self._server = await asyncio.start_server(
                self._arrive, self._host, self._port, limit=LINE_READ_MAX_BYTES
            )
        except OSError as failed:
            raise LineDownError(
                f"{self._host}:{self._port}: cannot listen: {failed.strerror}.",
                fix="Give another port; 0 finds one.",
            ) from failed
        return int(self._server.sockets[0].getsockname()[1])

    async def connect(self) -> None:
        """Wait for the next peer."""
        await self.close()
        self._reader, self._writer = await self._arrived.get()

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
        """Give the next bytes, empty at the end; raise TimeoutError, LineDownError."""
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
        """Let the peer go; the next one may connect. Idempotent; never raises."""
        writer, self._writer, self._reader = self._writer, None, None
        if writer is not None:
            writer.close()
            try:
                await writer.wait_closed()
            except OSError:
                # The peer reset it first: closed is what we wanted.
                return

    def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    def _arrive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._arrived.full():
            writer.close()  # one is waiting already
            return
        self._arrived.put_nowait((reader, writer))

    def _lost(self) -> LineDownError:
        return LineDownError(f"{self._host}:{self._port}: nobody is connected.")
