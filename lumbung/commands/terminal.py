"""`lumbung terminal buy|balance|void|status`: one EDC at a running switch, with a virtual card.

The terminal's own folder in the data directory is its memory: a command killed in the middle is
taken up by the next one, which settles what is owed before anything else.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from lumbung.composition import Offices, open_offices
from lumbung.data_directory import DataDirectory
from lumbung.holders import NoSuchHolderError, holder_at
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
        who = _holder(offices, card)
        async with _counter(offices, terminal_id, host) as counter:
            if not reader:
                return await counter.sell(who, amount_sen, pin=pin)
            channel = PcscChannel.open(reader)
            try:
                return await counter.terminal.buy(amount_sen, channel, typed(pin or who.pin))
            finally:
                await channel.close()

    _tell(_run(directory, at_counter), as_json=as_json)


@click.command()
@terminal_options
@HOST_OPTION
@CARD_OPTION
def balance(directory: Path, terminal_id: str, host: str, card: int, as_json: bool) -> None:
    """Ask for a card's balance, the months left, and the reason when it is zero."""

    async def at_counter(offices: Offices) -> SaleResult:
        who = _holder(offices, card)
        async with _counter(offices, terminal_id, host) as counter:
            return await counter.terminal.balance(counter.slot(who))

    _tell(_run(directory, at_counter), as_json=as_json)


@click.command()
@click.argument("trace", type=click.IntRange(1, 999_999))
@terminal_options
@HOST_OPTION
def void(trace: int, directory: Path, terminal_id: str, host: str, as_json: bool) -> None:
    """Undo the sale with TRACE number (on its slip) of today's batch: back to the same card."""

    async def at_counter(offices: Offices) -> SaleResult:
        async with _counter(offices, terminal_id, host) as counter:
            return await counter.terminal.void(trace)

    _tell(_run(directory, at_counter), as_json=as_json)


@click.command()
@terminal_options
def status(directory: Path, terminal_id: str, as_json: bool) -> None:
    """Say what a terminal's journal holds and what is still open; sends nothing."""
    with _offices(directory) as offices:
        counter = _open_counter(offices, terminal_id, "127.0.0.1", 1)
        journal = counter.terminal.journal
        rows = [_row(t) for t in journal.transactions.values() if t.intent.amount_sen]
        owed = counter.terminal.owed_reversals
        asyncio.run(counter.terminal.close())
    if as_json:
        click.echo(
            json.dumps(
                {"terminal": terminal_id, "batch": journal.batch, "owed": owed, "sales": rows}
            )
        )
        return
    click.echo(f"terminal {terminal_id}, batch {journal.batch}, {owed} reversals open")
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


def _offices(directory: Path) -> Offices:
    data = DataDirectory.beside(directory)
    return open_offices(data, SystemClock(), _system_random_for)


def _system_random_for(_part: str) -> RandomBytes:
    return system_random


def _holder(offices: Offices, place: int) -> Holder:
    try:
        return holder_at(offices, place)
    except NoSuchHolderError as error:
        raise click.BadParameter(str(error), param_hint="--card") from error


def _open_counter(offices: Offices, terminal_id: str, host: str, port: int) -> Counter:
    if offices.registry.terminal(terminal_id) is None:
        known = [view.terminal_id for view in offices.registry.all_terminals()]
        there = f"there are {known[0]} to {known[-1]}" if known else "there is none yet"
        raise click.BadParameter(f"no terminal {terminal_id}: {there}", param_hint="--terminal")
    return Counter(offices, terminal_id, host, port)


@asynccontextmanager
async def _counter(offices: Offices, terminal_id: str, address: str) -> AsyncIterator[Counter]:
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit()):
        raise click.BadParameter(f"{address!r} is not address:port", param_hint="--host")
    counter = _open_counter(offices, terminal_id, host, int(port))
    try:
        code = await counter.terminal.log_on()
        if code != "00":
            raise LumbungError(
                f"terminal {terminal_id} could not log on at {address} (DE39 {code}).",
                fix="Is the switch running? lumbung switch run --data DIRECTORY",
            )
        yield counter
    finally:
        await counter.terminal.close()


def _run(directory: Path, at_counter: Callable[[Offices], Any]) -> SaleResult:
    with _offices(directory) as offices:
        result: SaleResult = asyncio.run(at_counter(offices))
    return result


def _tell(result: SaleResult, *, as_json: bool) -> None:
    if as_json:
        values = {
            "outcome": result.outcome, "approved": result.approved, "amount_sen": result.amount_sen,
            "rrn": result.rrn, "stan": result.stan, "approval_code": result.approval_code,
            "balance_sen": result.balance_sen, "reason": result.reason,
            "reversed": result.reversed, "reversal_settled": result.reversal_settled,
            "repeated": result.repeated,
            "months": [{"period": m.period, "amount_sen": m.amount_sen} for m in result.months],
        }  # fmt: skip
        click.echo(json.dumps(values, ensure_ascii=False))
    else:
        click.echo(result.receipt_pembeli)
        if result.detail:
            click.echo(result.detail)
    if not result.approved:
        raise click.exceptions.Exit(1)
