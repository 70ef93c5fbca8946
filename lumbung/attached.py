"""The devices that a terminal command is told to use: a receipt printer, a PIN pad.

`--printer` and `--pin-pad` are kept in the command's context, so that a command need not carry them
through: whoever opens the terminal asks for the pad, whoever tells a result prints it.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from lumbung.composition import Offices
from lumbung.data_directory import DataDirectory
from lumbung.system import SystemClock, system_random
from programme.keystore import KeyKind
from protocols.values import SecretBytes
from terminal.directory import DirectoryLock
from terminal.pin_pad.pad import SerialPinPad
from terminal.printing.desk import PrintDesk, PrintReport
from terminal.printing.printer import Printer
from terminal.printing.queue import SlipQueue
from terminal.results import SaleResult
from terminal.serial_port import line_to

_PRINTER, _PIN_PAD = "lumbung.printer", "lumbung.pin_pad"
#: The file of the slips that wait for paper, in the terminal's own directory.
_QUEUE_FILE = "slips"


def printer_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --printer; `print_result` finds what was given."""
    return click.option(
        "--printer", metavar="ADDRESS", expose_value=False, callback=_keeper(_PRINTER),
        help="Print the slips: tcp:HOST:PORT, serial:PATH or serial:PATH@BITS.",
    )(function)  # fmt: skip


def pin_pad_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --pin-pad; `pad_for` finds what was given."""
    return click.option(
        "--pin-pad", metavar="ADDRESS", expose_value=False, callback=_keeper(_PIN_PAD),
        help="The holder types on this PIN pad: serial:PATH, serial:PATH@BITS or tcp:HOST:PORT.",
    )(function)  # fmt: skip


def _keeper(key: str) -> Callable[[click.Context, click.Parameter, str | None], None]:
    def keep(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
        if value:
            line_to(value)
            context.meta[key] = value

    return keep


def _given(key: str) -> str:
    context = click.get_current_context(silent=True)
    return str(context.meta.get(key, "")) if context is not None else ""


def pad_key(offices: Offices, terminal_id: str) -> SecretBytes:
    """Give the transport key that a terminal and its PIN pad share, made at the first call."""
    return offices.keystore.get_or_generate(f"pinpad/{terminal_id}", KeyKind.TDES, 16)


def pad_for(offices: Offices, terminal_id: str) -> SerialPinPad | None:
    """Give the PIN pad that the command was told to use, None without one."""
    address = _given(_PIN_PAD)
    if not address:
        return None
    key = pad_key(offices, terminal_id)
    return SerialPinPad(line_to(address), key, SystemClock(), system_random)


def desk_for(
    directory: Path, terminal_id: str, *, lang: str = "id", columns: int = 32, newest_stan: int = 0
) -> PrintDesk | None:
    """Give the print desk of the terminal in `directory`, None without --printer."""
    address = _given(_PRINTER)
    if not address:
        return None
    queue = SlipQueue.open(directory / _QUEUE_FILE, newest_stan)
    printer = Printer(line_to(address), columns=columns)
    return PrintDesk(queue, printer, terminal_id=terminal_id, lang=lang)


def print_result(result: SaleResult, directory: Path, terminal_id: str) -> str:
    """Print a result's slips, and those that wait; give what the operator does next, if anything.

    For commands whose terminal is closed again. Nothing happens without --printer.
    """
    if not _given(_PRINTER):
        return ""
    folder = DataDirectory.beside(directory).terminal(terminal_id)
    lock = DirectoryLock.take(folder)
    try:
        return asyncio.run(_print(result, folder, terminal_id)).sentence()
    finally:
        lock.release()


async def _print(result: SaleResult, folder: Path, terminal_id: str) -> PrintReport:
    desk = desk_for(folder, terminal_id)
    assert desk is not None, "a printer was given"
    try:
        return await desk.take(result)
    finally:
        await desk.close()
