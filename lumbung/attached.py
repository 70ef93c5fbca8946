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
from terminal.attended import AttendedTerminal
from terminal.directory import DirectoryLock
from terminal.paper import NARROW, WIDE
from terminal.pin_pad.pad import SerialPinPad
from terminal.printing.desk import PrintDesk, PrintReport
from terminal.printing.printer import Printer
from terminal.printing.queue import SlipQueue
from terminal.purchase.originals import newest_slip
from terminal.results import SaleResult
from terminal.serial_port import line_to

_PRINTER, _PIN_PAD, _COLUMNS = "lumbung.printer", "lumbung.pin_pad", "lumbung.columns"
#: The file of the slips that wait for paper, in the terminal's own directory.
_QUEUE_FILE = "slips"


def printer_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --printer and --wide; `print_result` and `desk_of` find what was given."""
    for option in (
        click.option(
            "--wide", is_flag=True, expose_value=False, callback=_keep_wide,
            help="Slips of 48 columns (80 mm) instead of 32.",
        ),
        click.option(
            "--printer", metavar="ADDRESS", expose_value=False, callback=_keeper(_PRINTER),
            help="Print the slips: tcp:HOST:PORT, serial:PATH or serial:PATH@BITS.",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


def _keep_wide(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    context.meta[_COLUMNS] = WIDE if value else NARROW


def columns_given() -> int:
    """Give the width of slips that the command was told, in characters."""
    context = click.get_current_context(silent=True)
    return int(context.meta.get(_COLUMNS, NARROW)) if context is not None else NARROW


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


def has_pin_pad() -> bool:
    """Tell whether the command was given a PIN pad."""
    return bool(_given(_PIN_PAD))


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


def desk_of(terminal: AttendedTerminal) -> PrintDesk | None:
    """Give the print desk of a terminal, None without --printer."""
    if not _given(_PRINTER):
        return None
    config = terminal.config
    newest = newest_slip(terminal.journal)
    return _desk(config.data_directory, config.terminal_id, config.lang, newest)


def _desk(folder: Path, terminal_id: str, lang: str = "id", newest_stan: int = 0) -> PrintDesk:
    queue = SlipQueue.open(folder / _QUEUE_FILE, newest_stan)
    printer = Printer(line_to(_given(_PRINTER)), columns=columns_given())
    return PrintDesk(queue, printer, terminal_id=terminal_id, lang=lang)


async def catch_up(terminal: AttendedTerminal, desk: PrintDesk) -> PrintReport:
    """Print what a power cut left; before anything else is done at the terminal."""
    return await desk.catch_up(terminal.newest_result(), terminal.unfinished())


async def print_on(
    desk: PrintDesk, terminal: AttendedTerminal, result: SaleResult | None = None
) -> PrintReport:
    """Print a result, and how what was uncertain before it has ended since."""
    report = await desk.take(result) if result is not None else None
    if report is not None and report.trouble is not None:
        return report
    return await desk.follow_up(terminal.result_now)


def print_result(result: SaleResult, directory: Path, terminal_id: str) -> str:
    """Print a result's slips, and those that wait; give what the operator does next, if anything.

    For commands whose terminal is closed again. Nothing happens without --printer.
    """
    if not _given(_PRINTER):
        return ""
    folder = DataDirectory.beside(directory).terminal(terminal_id)
    lock = DirectoryLock.take(folder)
    try:
        return asyncio.run(_print(result, _desk(folder, terminal_id))).sentence()
    finally:
        lock.release()


async def _print(result: SaleResult, desk: PrintDesk) -> PrintReport:
    try:
        return await desk.take(result)
    finally:
        await desk.close()
