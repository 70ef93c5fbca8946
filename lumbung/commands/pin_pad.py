"""`lumbung pin-pad serve`: a virtual PIN pad on a serial port, typed on here."""

import asyncio
import json
import signal
import sys
from collections import deque
from pathlib import Path

import click

from lumbung.attached import pad_key
from lumbung.commands.terminal import offices_of
from lumbung.pin_pad.device import CANCEL, ENTER, VirtualPinPad
from lumbung.pin_pad.serving import PinPadServer
from lumbung.system import SystemClock
from lumbung.typed_lines import read_lines

_FILE = click.Path(path_type=Path, dir_okay=False)
#: Entries typed before they are asked for.
_AHEAD_MAX = 64


@click.command()
@click.option(
    "--data", "directory", type=click.Path(path_type=Path), required=True,
    help="The data directory; its keystore holds the key that terminal and pad share.",
)  # fmt: skip
@click.option("--terminal", "terminal_id", default="12400001", show_default=True)
@click.option("--pty", "link", type=_FILE, required=True, help="The serial port's name.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
def serve(directory: Path, terminal_id: str, link: Path, as_json: bool) -> None:
    """Be the PIN pad of a terminal until Ctrl-C.

    Each line of the input is typed when the terminal asks for a PIN, followed by Enter; `-`
    cancels. Nothing that is typed is shown or kept.
    """
    with offices_of(directory) as offices:
        pad = VirtualPinPad(pad_key(offices, terminal_id))
    asyncio.run(_serve(PinPadServer(pad, SystemClock(), link), as_json=as_json))


async def _serve(server: PinPadServer, *, as_json: bool) -> None:
    ahead: deque[str] = deque(maxlen=_AHEAD_MAX)
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def type_next() -> None:
        while ahead and server.pad.is_asking:
            entry = ahead.popleft()
            server.press(CANCEL if entry == "-" else entry + ENTER)

    def asked() -> None:
        # Not inside the request itself: the line has still to end it.
        loop.call_soon(type_next)

    def take(line: str) -> None:
        if line:
            ahead.append(line)
            type_next()

    server.pad.on_asked = asked
    where = f"serial:{server.plug_in()}"
    click.echo(json.dumps({"where": where}) if as_json else f"PIN pad at {where}")
    sys.stdout.flush()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    read_lines(take)
    await stop.wait()
    server.unplug()
