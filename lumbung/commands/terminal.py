"""`lumbung terminal buy|balance|...|status`: one EDC at a running switch, with a virtual card.

The terminal's own folder in the data directory is its memory: a command killed in the middle is
taken up by the next one, which settles what is owed before anything else.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from lumbung.attached import (
    catch_up,
    columns_given,
    desk_of,
    pad_for,
    pin_pad_option,
    print_on,
    print_result,
    printer_option,
)
from lumbung.composition import Offices, open_offices
from lumbung.data_directory import DataDirectory
from lumbung.holders import NoSuchHolderError, holder_at
from lumbung.result_values import result_values
from lumbung.story.cast import Holder
from lumbung.story.counter import Counter, typed
from lumbung.system import SystemClock, system_random
from protocols.clock import RandomBytes
from protocols.errors import LumbungError
from protocols.values import SEN_PER_RUPIAH, rupiah
from terminal.journal.transactions import Transaction
from terminal.pcsc import PcscChannel
from terminal.results import SaleResult


def terminal_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that every terminal command has."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="JSON instead of text."),
        click.option("--terminal", "terminal_id", default="12400001", show_default=True),
        click.option("--data", "directory", type=click.Path(path_type=Path), required=True,
                     help="The data directory that the switch runs on."),
    ):  # fmt: skip
        function = option(function)
    return function


HOST_OPTION = click.option(
    "--host", default="127.0.0.1:8583", show_default=True, help="address:port of the switch"
)
CARD_OPTION = click.option(
    "--card", type=click.IntRange(1), default=1, show_default=True,
    help="Whose card: the place in the decree, from 1.",
)  # fmt: skip


@click.command()
@click.argument("amount", type=int)
@terminal_options
@HOST_OPTION
@printer_option
@pin_pad_option
@CARD_OPTION
@click.option("--pin", default="", help="What the holder types; without it the right PIN.")
@click.option("--reader", default="", metavar="NAME",
              help="PC/SC reader with the card in it; --card or --pin tells its PIN.")  # fmt: skip
def buy(
    amount: int, directory: Path, terminal_id: str, host: str, card: int, pin: str, reader: str,
    as_json: bool,
) -> None:  # fmt: skip
    """Buy for AMOUNT whole rupiah. Exit code 0 when approved, 1 when refused."""
    given = click.get_current_context().get_parameter_source("card")
    if reader and not pin and given is ParameterSource.DEFAULT:
        raise click.UsageError("--reader needs --pin, or --card to say whose card is in it")

    async def at_counter(offices: Offices) -> SaleResult:
        amount_sen = amount * SEN_PER_RUPIAH
        who = holder_of(offices, card)
        async with logged_on(offices, terminal_id, host) as counter:
            if not reader:
                return await counter.sell(who, amount_sen, pin=pin)
            channel = PcscChannel.open(reader)
            try:
                return await counter.terminal.buy(amount_sen, channel, typed(pin or who.pin))
            finally:
                await channel.close()

    tell(run_at(directory, at_counter), as_json=as_json)


@click.command()
@terminal_options
@HOST_OPTION
@printer_option
@CARD_OPTION
def balance(directory: Path, terminal_id: str, host: str, card: int, as_json: bool) -> None:
    """Ask for a card's balance, the months left, and the reason when it is zero."""

    async def at_counter(offices: Offices) -> SaleResult:
        who = holder_of(offices, card)
        async with logged_on(offices, terminal_id, host) as counter:
            return await counter.terminal.balance(counter.slot(who))

    tell(run_at(directory, at_counter), as_json=as_json)


@click.command()
@click.argument("trace", type=click.IntRange(1, 999_999))
@terminal_options
@HOST_OPTION
@printer_option
def void(trace: int, directory: Path, terminal_id: str, host: str, as_json: bool) -> None:
    """Undo the sale with TRACE number (on its slip) of today's batch: back to the same card."""

    async def at_counter(offices: Offices) -> SaleResult:
        async with logged_on(offices, terminal_id, host) as counter:
            return await counter.terminal.void(trace)

    tell(run_at(directory, at_counter), as_json=as_json)


@click.command()
@terminal_options
def status(directory: Path, terminal_id: str, as_json: bool) -> None:
    """Say what a terminal's journal holds and what is still open; sends nothing."""
    with offices_of(directory) as offices:
        counter = open_counter(offices, terminal_id, "127.0.0.1", 1)
        journal = counter.terminal.journal
        rows = [_row(t) for t in journal.transactions.values() if t.intent.amount_sen]
        owed, queued = counter.terminal.owed_reversals, len(journal.queued())
        dead = [f"{t.intent.stan:06d}" for t in journal.dead_letters()]
        batches = [{"batch": b.number, "status": b.status.value} for b in journal.batches.values()]
        totals = asdict(journal.totals(journal.batch))
        asyncio.run(counter.terminal.close())
    if as_json:
        click.echo(
            json.dumps(
                {
                    "terminal": terminal_id,
                    "batch": journal.batch,
                    "owed": owed,
                    "queued": queued,
                    "dead_letters": dead,
                    "totals": totals,
                    "batches": batches,
                    "sales": rows,
                }
            )
        )
        return
    click.echo(
        f"terminal {terminal_id}, batch {journal.batch}, {owed} reversals open,"
        f" {queued} messages stored"
    )
    for one in batches:
        click.echo(f"  batch {one['batch']:06d}: {one['status']}")
    if dead:
        click.echo(f"  for the bank to settle: {', '.join(dead)}")
    for row in rows:
        click.echo(
            f"  {row['stan']:06d}  {row['rrn']}  Rp{rupiah(row['amount_sen']):>9}  {row['status']}"
        )


def _row(transaction: Transaction) -> dict[str, Any]:
    intent = transaction.intent
    return {
        "stan": intent.stan,
        "rrn": intent.rrn,
        "kind": intent.kind.value,
        "amount_sen": intent.amount_sen,
        "status": transaction.status.value,
    }


def offices_of(directory: Path) -> Offices:
    """Open keystore and registry beside a running switch."""
    data = DataDirectory.beside(directory)
    return open_offices(data, SystemClock(), _system_random_for)


def _system_random_for(_part: str) -> RandomBytes:
    return system_random


def holder_of(offices: Offices, place: int) -> Holder:
    """Give the holder at a place of the decree, from 1; raise BadParameter beyond its end."""
    try:
        return holder_at(offices, place)
    except NoSuchHolderError as error:
        raise click.BadParameter(str(error), param_hint="--card") from error


def place_of(offices: Offices, typed: str) -> Holder | None:
    """Give the holder whose place in the decree was typed, None when there is none."""
    if not (typed.isascii() and typed.isdigit() and int(typed) > 0):
        return None
    try:
        return holder_at(offices, int(typed))
    except NoSuchHolderError:
        return None


def open_counter(
    offices: Offices, terminal_id: str, host: str, port: int, **settings: Any
) -> Counter:
    """Give a counter with this terminal; `settings` are further ones of its configuration.

    Raises BadParameter when there is no such terminal.
    """
    if offices.registry.terminal(terminal_id) is None:
        known = [view.terminal_id for view in offices.registry.all_terminals()]
        there = f"there are {known[0]} to {known[-1]}" if known else "there is none yet"
        raise click.BadParameter(f"no terminal {terminal_id}: {there}", param_hint="--terminal")
    pad = pad_for(offices, terminal_id)
    settings |= {"paper_columns": columns_given()}
    return Counter(offices, terminal_id, host, port, pin_pad=pad, **settings)


def host_and_port(address: str) -> tuple[str, int]:
    """Give `address:port` as its parts; raise BadParameter."""
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit()):
        raise click.BadParameter(f"{address!r} is not address:port", param_hint="--host")
    return host, int(port)


@asynccontextmanager
async def logged_on(
    offices: Offices, terminal_id: str, address: str, **settings: Any
) -> AsyncIterator[Counter]:
    """Give a counter whose terminal is logged on; it is closed afterwards.

    What an earlier command left is taken up first, paper and money; what this one leaves open is
    tried once more before it ends.
    """
    host, port = host_and_port(address)
    counter = open_counter(offices, terminal_id, host, port, **settings)
    terminal = counter.terminal
    desk = desk_of(terminal)
    try:
        if desk is not None:
            await catch_up(terminal, desk)
        code = await terminal.log_on()
        if code != "00":
            raise LumbungError(
                f"terminal {terminal_id} could not log on at {address} (DE39 {code}).",
                fix="Is the switch running? lumbung switch run --data DIRECTORY",
            )
        yield counter
        if terminal.unfinished():
            await terminal.settle_outstanding()
        if desk is not None:
            await print_on(desk, terminal)
    finally:
        if desk is not None:
            await desk.close()
        await terminal.close()


def run_at(directory: Path, at_counter: Callable[[Offices], Any]) -> SaleResult:
    """Run something at a counter of this directory."""
    with offices_of(directory) as offices:
        result: SaleResult = asyncio.run(at_counter(offices))
    return result


def tell(result: SaleResult, *, as_json: bool) -> None:
    """Print a result, its slip for people; exit with 1 when it was refused.

    With --printer its slips come out on paper first; what to do about the printer is said beside.
    """
    given = click.get_current_context().params
    notice = print_result(result, given["directory"], given["terminal_id"])
    if notice:
        click.echo(notice, err=True)
    if as_json:
        click.echo(json.dumps(result_values(result), ensure_ascii=False))
    else:
        click.echo(result.receipt_pembeli or result.receipt_toko)
        if result.detail:
            click.echo(result.detail)
    if not result.approved:
        raise click.exceptions.Exit(1)
