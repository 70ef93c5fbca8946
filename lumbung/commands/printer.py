"""`lumbung printer serve`: a virtual receipt printer that other programs print on."""

import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path

import click

from lumbung.network import check_loopback, host_and_port
from lumbung.printer.device import VirtualPrinter
from lumbung.printer.drawing import has_pillow
from lumbung.printer.faults import Happening, read_faults
from lumbung.printer.paper import WIDTH_DOTS, Paper
from lumbung.printer.server import PrinterServer, Tray
from lumbung.typed_lines import typed_lines

_FILE = click.Path(path_type=Path, dir_okay=False)
_PLUG_IN = "plug-in"


@click.command()
@click.option("--listen", default="", metavar="HOST:PORT",
              help="Loopback only; 127.0.0.1:9100 unless --pty is given.")  # fmt: skip
@click.option("--pty", "link", type=_FILE, help="A serial port of this name.")
@click.option("--columns", type=click.Choice(["32", "48"]), default="32", show_default=True,
              help="58 mm paper or 80 mm.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, file_okay=False),
              help="A folder for the slips as text, SVG and (with Pillow) PNG.")  # fmt: skip
@click.option("--faults", type=_FILE, help="What happens after how many lines (TOML).")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
def serve(
    listen: str, link: Path | None, columns: str, out: Path | None, faults: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Print what comes, on the screen and in a folder, until Ctrl-C.

    The first line says where it listens. What is typed happens to it: paper-low, paper-out, paper,
    cover-open, cover-closed, unplug, plug-in, mute, speaks.
    """
    if not listen and link is None:
        listen = "127.0.0.1:9100"
    plan = read_faults(faults) if faults is not None else ()
    tray = Tray(out, pictures=has_pillow()) if out is not None else None

    def show(piece: Paper) -> None:
        file = str(tray.put(piece)) if tray is not None else ""
        if as_json:
            click.echo(json.dumps({"slip": piece.as_text(), "file": file}, ensure_ascii=False))
        else:
            click.echo(f"{piece.as_text()}{file or '- - -'}")
        sys.stdout.flush()

    server = PrinterServer(VirtualPrinter(WIDTH_DOTS[int(columns)], plan), show)
    asyncio.run(_until_told(server, listen, link, as_json=as_json))


async def _until_told(
    server: PrinterServer, listen: str, link: Path | None, *, as_json: bool
) -> None:
    where = []
    if listen:
        host, port = host_and_port(listen, "--listen")
        check_loopback(host, "a printer")
        where.append(f"tcp:{host}:{await server.listen(host, port)}")
    if link is not None:
        where.append(f"serial:{server.open_pty(link)}")
    for one in where:
        click.echo(json.dumps({"where": one}) if as_json else f"printer at {one}")
    sys.stdout.flush()
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    obeying = asyncio.ensure_future(_obey(server))
    await stop.wait()
    obeying.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await obeying
    await server.close()


async def _obey(server: PrinterServer) -> None:
    """Let what is typed happen."""
    async for word in typed_lines():
        if word == _PLUG_IN and server.printer.unplugged:
            await server.plug_in()
        elif word in set(Happening):
            await server.happen(Happening(word))
        elif word:
            click.echo(f"{word}: give one of {', '.join(Happening)}, {_PLUG_IN}", err=True)
