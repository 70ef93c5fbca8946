"""A line that waits for its peer: TCP on this machine's own address, one peer at a time."""

import asyncio

from terminal.limits import LINE_READ_MAX_BYTES
from terminal.line import LineDownError, StreamLine


class ListeningLine(StreamLine):
    """A line whose `connect` waits until somebody connects; `close` lets the next one connect.

    `stop` ends the listening.
    """

    def __init__(self, host: str, port: int) -> None:
        """Take the address; `listen` opens it."""
        super().__init__(host, port)
        self._server: asyncio.Server | None = None
        self._arrived: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
        self._arrived = asyncio.Queue(maxsize=1)

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

    def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    def _arrive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._arrived.full():
            writer.close()  # one is waiting already
            return
        self._arrived.put_nowait((reader, writer))
