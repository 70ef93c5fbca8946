"""A virtual printer on the air: TCP (port 9100 by custom), a pseudo-terminal, or both."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from lumbung.printer.device import VirtualPrinter
from lumbung.printer.drawing import png, svg
from lumbung.printer.faults import Happening
from lumbung.printer.paper import Paper
from lumbung.pty_port import PtyPort

_READ_MAX_BYTES = 4_096
#: Sees each piece of paper that comes out.
OnPiece = Callable[[Paper], None]


class PrinterServer:
    """Carries bytes between lines and a `VirtualPrinter`; one connection at a time."""

    def __init__(self, printer: VirtualPrinter, on_piece: OnPiece) -> None:
        """Take the printer and who gets its paper."""
        self.printer = printer
        self._on_piece = on_piece
        self._server: asyncio.Server | None = None
        self._address = ("", 0)
        self._writer: asyncio.StreamWriter | None = None
        self._pty: PtyPort | None = None
        self._serving: asyncio.Task[None] | None = None

    async def listen(self, host: str, port: int) -> int:
        """Listen; give the port, which is found when 0 was asked for."""
        self._server = await asyncio.start_server(self._serve, host, port)
        self._address = self._server.sockets[0].getsockname()[:2]
        return self._address[1]

    def open_pty(self, link: Path | None = None) -> str:
        """Plug a serial cable in; give the path of its other end."""
        self._pty = PtyPort(self._take_serial, link)
        return self._pty.plug_in()

    async def happen(self, what: Happening) -> None:
        """Let something happen to the printer; `unplug` cuts its lines too."""
        self._tell(self.printer.happen(what))
        self._hand_over()
        await self._cut_lines()

    async def plug_in(self) -> None:
        """Switch on again at the same addresses after `unplug`."""
        self.printer.plug_in()
        if self._pty is not None:
            self._pty.plug_in()
        if self._address[1]:
            self._server = await asyncio.start_server(self._serve, *self._address)

    async def close(self) -> None:
        """Stop; paper that hangs out is torn off and handed over."""
        if self.printer.unfinished.marks:
            self._on_piece(self.printer.tear_off())
        await self._pull_out()
        if self._serving is not None:
            await asyncio.wait({self._serving})

    def _take_serial(self, data: bytes) -> None:
        assert self._pty is not None, "it came from there"
        self._pty.write(self.printer.feed(data))
        self._hand_over()
        if self.printer.unplugged:
            self._pty.pull_out()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._writer is not None:
            # One cable, one computer: the second one is told so at once.
            writer.close()
            return
        self._writer, self._serving = writer, asyncio.current_task()
        try:
            while data := await reader.read(_READ_MAX_BYTES):
                writer.write(self.printer.feed(data))
                self._hand_over()
                if self.printer.unplugged:
                    break
                await writer.drain()
        except ConnectionError:
            # The other end went away in the middle; the paper stays as it is.
            pass
        finally:
            self._writer = None
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        await self._cut_lines()

    def _tell(self, said: bytes) -> None:
        if said and self._writer is not None:
            self._writer.write(said)
        if said and self._pty is not None:
            self._pty.write(said)

    def _hand_over(self) -> None:
        for piece in self.printer.take_pieces():
            self._on_piece(piece)

    async def _cut_lines(self) -> None:
        if self.printer.unplugged:
            await self._pull_out()

    async def _pull_out(self) -> None:
        if self._pty is not None:
            self._pty.pull_out()
        if self._writer is not None:
            self._writer.transport.abort()
        if self._server is not None:
            self._server.close()
            self._server = None


class Tray:
    """A folder where each piece of paper lands as text and SVG, and as PNG where Pillow is."""

    def __init__(self, folder: Path, *, pictures: bool) -> None:
        """Make the folder; numbering goes on behind what lies there."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._pictures = pictures
        self._number = sum(1 for _ in folder.glob("slip-*.txt"))

    def put(self, piece: Paper) -> Path:
        """Write one piece; give the path of its text."""
        self._number += 1
        path = self._folder / f"slip-{self._number:04d}.txt"
        path.write_text(piece.as_text(), encoding="utf-8")
        path.with_suffix(".svg").write_text(svg(piece), encoding="utf-8")
        if self._pictures:
            path.with_suffix(".png").write_bytes(png([piece]))
        return path
