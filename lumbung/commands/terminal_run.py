"""`lumbung terminal run`: terminals with people at them, in a text window or line by line."""

import asyncio
import curses
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import click

from lumbung.attached import catch_up, desk_of, pin_pad_option, print_on, printer_option
from lumbung.commands.terminal import (
    HOST_OPTION,
    host_and_port,
    offices_of,
    open_counter,
    place_of,
)
from lumbung.composition import Offices
from lumbung.faces import CardOf
from lumbung.line_mode import work_by_lines
from lumbung.story.counter import Counter
from lumbung.text_terminal import Window
from protocols.catalogue import text
from protocols.values import SEN_PER_RUPIAH
from terminal.attended import AttendedTerminal, Presented
from terminal.errors import JournalDamagedError
from terminal.pcsc import PcscChannel
from terminal.purchase.outage import OutagePolicy
from terminal.results import SaleResult


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Line by line, each result as JSON.")
@click.option(
    "--terminal",
    "terminal_ids",
    multiple=True,
    default=("12400001",),
    show_default=True,
    help="May be given several times: Tab changes between them.",
)
@click.option(
    "--data",
    "directory",
    type=click.Path(path_type=Path),
    required=True,
    help="The data directory that the switch runs on.",
)
@HOST_OPTION
@click.option("--reader", default="", metavar="NAME", help="PC/SC reader instead of virtual cards.")
@click.option("--lang", type=click.Choice(["id", "en"]), default="id", show_default=True)
@click.option(
    "--training",
    is_flag=True,
    help="Slips marked LATIHAN, a directory of its own; give a training switch's data.",
)
@click.option(
    "--outage-limit",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Whole rupiah a card may buy by voucher a day while the line is down; 0 is off.",
)
@printer_option
@pin_pad_option
def run(
    terminal_ids: tuple[str, ...], directory: Path, host: str, reader: str, lang: str,
    training: bool, outage_limit: int, as_json: bool,
) -> None:  # fmt: skip
    """Work at a terminal: menu, goods, card, PIN, slips, settlement.

    In a text window when one can be drawn, else line by line from the input, for the first terminal
    named: the number of a menu choice, then what is asked for; `-` cancels. A card is the place of
    its holder in the decree; `t3` taps card 3. Exit code 1 when a line-by-line choice was refused.
    """
    address, port = host_and_port(host)
    city = OutagePolicy(bool(outage_limit), outage_limit * SEN_PER_RUPIAH)
    settings: dict[str, Any] = {"lang": lang, "training": training, "outage": city}
    with offices_of(directory) as offices:
        try:
            counters = [
                open_counter(offices, terminal_id, address, port, **settings)
                for terminal_id in dict.fromkeys(terminal_ids)
            ]
        except JournalDamagedError as damaged:
            damaged.fix = text("refused.journal_damaged", lang)
            raise
        if _has_window(os.environ.get("TERM")) and not as_json:
            work = _window(counters, offices, reader)
        else:
            first, cards = counters[0].terminal, _cards(counters[0], offices, reader)
            work = work_by_lines(first, cards, as_json=as_json)
        if asyncio.run(work):
            raise click.exceptions.Exit(1)


async def _window(counters: list[Counter], offices: Offices, reader: str) -> int:
    async with AsyncExitStack() as stack:
        window = Window()
        for counter in counters:
            stack.push_async_callback(_close, counter)
            window.add(counter.terminal, _cards(counter, offices, reader))
        # Each terminal has its own queue of slips; the printer, where there is one, is shared.
        desks = {counter.terminal: desk_of(counter.terminal) for counter in counters}
        for terminal, desk in desks.items():
            if desk is not None:
                stack.push_async_callback(desk.close)
                await catch_up(terminal, desk)

        async def print_slips(terminal: AttendedTerminal, result: SaleResult | None) -> str:
            desk = desks[terminal]
            if desk is None:
                return ""
            return (await print_on(desk, terminal, result)).sentence(terminal.config.lang)

        await window.run(print_slips)
    return 0


def _has_window(term: str | None) -> bool:
    """Tell whether a window can be drawn: both ends are a terminal that can move its cursor."""
    ends = (sys.stdin, sys.stdout)
    if not all(end is not None and end.isatty() for end in ends):
        return False
    try:
        curses.setupterm(term or "unknown", sys.stdout.fileno())
    except curses.error:
        return False
    return bool(curses.tigetstr("cup"))


def _cards(counter: Counter, offices: Offices, reader: str) -> CardOf:
    async def card_of(typed: str) -> Presented | None:
        tap = typed[:1].lower() == "t"
        if reader:
            return Presented(PcscChannel.open(reader), tap)
        who = place_of(offices, typed[1:] if tap else typed)
        return Presented(counter.slot(who), tap) if who is not None else None

    return card_of


async def _close(counter: Counter) -> None:
    await counter.terminal.close()
