"""Lines to the scripted host for the terminal's tests: a real socket, and silence that passes."""

import asyncio
from dataclasses import dataclass, field

from protocols.framing import EDC_FRAMES, Framer, frame
from terminal.line import TcpLine
from tests.terminal_kit import ScriptedHost, StoryClock


@dataclass
class HostServer:
    """The scripted host behind a real socket on port 0 of 127.0.0.1.

    `lose` answers are computed and not sent; `hold` requests are not even looked at.
    """

    host: ScriptedHost
    lose: int = 0
    hold: int = 0
    port: int = 0
    connections: int = 0
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    _server: asyncio.Server | None = None
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in tuple(self._writers):
            writer.close()
        await asyncio.gather(*self._tasks)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.connections += 1
        framer = Framer(EDC_FRAMES)
        try:
            while data := await reader.read(4_096):
                for received in framer.feed(data):
                    await self._answer(received.payload, received.tpdu, writer)
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, payload: bytes, tpdu: bytes, writer: asyncio.StreamWriter) -> None:
        if self.hold:
            self.hold -= 1
            return
        answer = self.host.answer(frame(payload, tpdu, EDC_FRAMES))
        if self.lose:
            self.lose -= 1
            self.lost.set()
            return
        writer.write(answer)
        await writer.drain()


class StoryLine(TcpLine):
    """A real line on which silence is known and not waited for: the deadline passes at once."""

    def __init__(self, server: HostServer) -> None:
        super().__init__("127.0.0.1", server.port, connect_timeout_ms=5_000)
        self.server = server

    async def receive(self, *, timeout_ms: int) -> bytes:
        data = asyncio.ensure_future(super().receive(timeout_ms=timeout_ms))
        silence = asyncio.ensure_future(self.server.lost.wait())
        try:
            await asyncio.wait({data, silence}, return_when=asyncio.FIRST_COMPLETED)
            if data.done():
                return data.result()
            self.server.lost.clear()
            raise TimeoutError
        finally:
            for waiting in (data, silence):
                waiting.cancel()
            await asyncio.gather(data, silence, return_exceptions=True)


class RealMonotonic:
    """The story's wall time with a monotonic clock that really runs: sockets wait by it."""

    def __init__(self, clock: StoryClock) -> None:
        self.story = clock

    def now_ns(self) -> int:
        return self.story.now_ns()

    def monotonic_ns(self) -> int:
        return int(asyncio.get_running_loop().time() * 1e9)
