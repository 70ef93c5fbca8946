"""A running switch over a test world, and the client's end of its connections."""

import asyncio
import struct
from ssl import SSLError

from switch.config import SwitchConfig
from switch.server import SwitchServer


class Line:
    """A client's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *payloads: bytes) -> None:
        tpdu = bytes.fromhex("6008310001")
        for payload in payloads:
            self.writer.write(struct.pack(">H", len(payload) + 5) + tpdu + payload)
        await self.writer.drain()

    async def answer(self) -> bytes:
        """Give the next answer's message; b"" when the connection is closed."""
        async with asyncio.timeout(10):
            try:
                (length,) = struct.unpack(">H", await self.reader.readexactly(2))
                body = await self.reader.readexactly(length)
            except (asyncio.IncompleteReadError, ConnectionResetError):
                return b""
        assert body[:5] == bytes.fromhex("6000010831")
        return body[5:]

    async def is_cut(self) -> bool:
        """Wait until the other end closes."""
        async with asyncio.timeout(10):
            try:
                return await self.reader.read(1) == b""
            except ConnectionResetError:
                return True


class Site:
    """A running switch over the world's registry, keys and ledger."""

    def __init__(self, world) -> None:
        self.world = world
        self.lines: list[Line] = []
        self.server: SwitchServer | None = None
        self.port = 0

    async def start(self, config: SwitchConfig | None = None) -> "Site":
        world = self.world
        world.node.state.close()
        self.server = SwitchServer(
            config or world.config,
            world.registry,
            world.keys,
            world.ledger,
            world.directory / "switch.sqlite",
            world.clock,
            world.noise,
        )
        self.port = await self.server.start()
        return self

    async def connect(self) -> Line:
        line = Line(*await asyncio.open_connection("127.0.0.1", self.port))
        self.lines.append(line)
        return line

    async def stop(self) -> None:
        if self.server is not None:
            await self.server.stop()
        for line in self.lines:
            line.writer.close()
            try:
                await line.writer.wait_closed()
            except (ConnectionError, SSLError):
                continue
