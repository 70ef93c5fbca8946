"""`lumbung terminal run`: terminals with people at them, in a text window or line by line."""

import asyncio
import json
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
    result_values,
)
from lumbung.composition import Offices
from lumbung.faces import CardOf, LineFace
from lumbung.story.counter import Counter
from lumbung.text_terminal import Window
from protocols.catalogue import text
from protocols.values import SEN_PER_RUPIAH
from terminal.attended import AttendedTerminal, Presented, choice_of
from terminal.errors import JournalDamagedError
from terminal.pcsc import PcscChannel
from terminal.printing.desk import PrintReport
from terminal.purchase.outage import OutagePolicy
from terminal.purchase.table import FlowEvent, FlowState
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

    In a text window when there is one, else line by line from the input: the number of a menu
    choice, then what is asked for; `-` cancels. A card is the place of its holder in the decree;
    `t3` taps card 3. Exit code 1 when a line-by-line choice was refused.
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
        in_window = sys.stdin.isatty() and sys.stdout.isatty() and not as_json
        work = _window(counters, offices, reader) if in_window else _lines(
            counters[0], offices, reader, as_json=as_json
        )  # fmt: skip
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


async def _lines(counter: Counter, offices: Offices, reader: str, *, as_json: bool) -> int:
    refused = 0
    lines = iter(sys.stdin.readline, "")
    face = LineFace(lines, _cards(counter, offices, reader), _say_nothing if as_json else None)
    terminal = counter.terminal
    desk = desk_of(terminal)
    try:
        face.show(terminal.flow)
        if desk is not None:
            _tell(await catch_up(terminal, desk), terminal)
        for line in lines:
            event = choice_of(line.strip())
            if event is None or _is_off_duty(terminal, event):
                click.echo(text("refused.choice" if event is None else "flow.signed_off"), err=True)
                refused = 1
                continue
            result = await terminal.serve(event, face)
            if result is not None:
                refused |= not result.approved
                _print(result, as_json=as_json)
                if desk is not None:
                    _tell(await print_on(desk, terminal, result), terminal)
    finally:
        if desk is not None:
            await desk.close()
        await terminal.close()
    return refused


def _tell(report: PrintReport, terminal: AttendedTerminal) -> None:
    """Say what is to be done about the printer, beside the results."""
    sentence = report.sentence(terminal.config.lang)
    if sentence:
        click.echo(sentence, err=True)


def _is_off_duty(terminal: AttendedTerminal, event: FlowEvent) -> bool:
    return terminal.flow.state is FlowState.OFF_DUTY and event is not FlowEvent.LOG_ON


def _print(result: SaleResult, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(result_values(result), ensure_ascii=False))
        return
    click.echo(result.receipt_pembeli or result.receipt_toko)
    if result.detail:
        click.echo(result.detail)


def _say_nothing(_screen: str) -> None:
    """With --json only results are printed."""


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
