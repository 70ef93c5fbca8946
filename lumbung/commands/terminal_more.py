"""`lumbung terminal statement|refund|settle|pin-change|...`: the flows beside the sale."""

import asyncio
import json
from pathlib import Path

import click

from lumbung.attached import has_pin_pad, pin_pad_option, printer_option
from lumbung.commands.terminal import (
    CARD_OPTION,
    HOST_OPTION,
    holder_of,
    logged_on,
    offices_of,
    open_counter,
    run_at,
    tell,
    terminal_options,
)
from lumbung.composition import Offices
from lumbung.story.counter import typed
from protocols.errors import LumbungError
from protocols.values import SEN_PER_RUPIAH
from terminal.purchase.checks import Refused
from terminal.results import SaleResult

_TRACE = click.argument("trace", type=click.IntRange(1, 999_999))


@click.command()
@terminal_options
@HOST_OPTION
@printer_option
@CARD_OPTION
def statement(directory: Path, terminal_id: str, host: str, card: int, as_json: bool) -> None:
    """Ask for a card's last movements (mutasi)."""

    async def at_counter(offices: Offices) -> SaleResult:
        who = holder_of(offices, card)
        async with logged_on(offices, terminal_id, host) as counter:
            return await counter.terminal.statement(counter.slot(who))

    tell(run_at(directory, at_counter), as_json=as_json)


@click.command()
@_TRACE
@click.argument("amount", type=int)
@terminal_options
@HOST_OPTION
@printer_option
@pin_pad_option
@CARD_OPTION
@click.option("--pin", default="", help="What the holder types; without it the right PIN.")
@click.option(
    "--supervisor",
    prompt="Supervisor's code",
    hide_input=True,
    help="The code of who agrees to it; asked for when it is not given.",
)
def refund(
    trace: int, amount: int, directory: Path, terminal_id: str, host: str, card: int, pin: str,
    supervisor: str, as_json: bool,
) -> None:  # fmt: skip
    """Give AMOUNT whole rupiah of the sale with TRACE number back to its card, which is there.

    The supervisor's code is set by `lumbung terminal supervisor`; three wrong ones lock it.
    """

    async def at_counter(offices: Offices) -> SaleResult:
        who = holder_of(offices, card)
        async with logged_on(offices, terminal_id, host) as counter:
            slot, entry = counter.slot(who), typed(pin or who.pin)
            return await counter.terminal.refund(
                trace, amount * SEN_PER_RUPIAH, slot, entry, supervisor=supervisor
            )

    tell(run_at(directory, at_counter), as_json=as_json)


@click.command()
@terminal_options
@HOST_OPTION
@printer_option
def settle(directory: Path, terminal_id: str, host: str, as_json: bool) -> None:
    """Close the batch: totals to the bank, after a mismatch the batch itself (tutup harian)."""

    async def at_counter(offices: Offices) -> SaleResult:
        async with logged_on(offices, terminal_id, host) as counter:
            return await counter.terminal.settle()

    tell(run_at(directory, at_counter), as_json=as_json)


@click.command("pin-change")
@terminal_options
@HOST_OPTION
@printer_option
@pin_pad_option
@CARD_OPTION
@click.option("--pin", default="", help="The old PIN; without it the right one.")
@click.option(
    "--new-pin",
    default="",
    help="The new PIN, six digits; asked for when it is not given and there is no PIN pad.",
)
def pin_change(
    directory: Path, terminal_id: str, host: str, card: int, pin: str, new_pin: str, as_json: bool
) -> None:  # fmt: skip
    """Change a card's PIN (ganti PIN). With --pin-pad the holder types all three times there."""
    if not (new_pin or has_pin_pad()):
        new_pin = click.prompt("New pin", hide_input=True, confirmation_prompt=True)

    async def at_counter(offices: Offices) -> SaleResult:
        who = holder_of(offices, card)
        entries = iter((pin or who.pin, new_pin, new_pin))

        async def holder_types() -> str:
            return next(entries, "")

        async with logged_on(offices, terminal_id, host) as counter:
            return await counter.terminal.change_pin(counter.slot(who), holder_types)

    tell(run_at(directory, at_counter), as_json=as_json)


@click.command()
@terminal_options
@HOST_OPTION
@printer_option
def deliver(directory: Path, terminal_id: str, host: str, as_json: bool) -> None:
    """Send what waits in the terminal: reversals, vouchers, totals. Exit code 1 while some does."""

    async def at_counter(offices: Offices) -> int:
        async with logged_on(offices, terminal_id, host) as counter:
            return await counter.terminal.settle_outstanding()

    with offices_of(directory) as offices:
        left = asyncio.run(at_counter(offices))
    click.echo(json.dumps({"waiting": left}) if as_json else f"{left} messages wait")
    if left:
        raise click.exceptions.Exit(1)


@click.command()
@terminal_options
@click.option(
    "--code",
    prompt="New code",
    hide_input=True,
    confirmation_prompt=True,
    help="Six digits; asked for when they are not given.",
)
def supervisor(directory: Path, terminal_id: str, code: str, as_json: bool) -> None:
    """Set the code with which a supervisor agrees to refunds at this terminal; unlocks it too."""

    async def at_counter(offices: Offices) -> Refused | None:
        terminal = open_counter(offices, terminal_id, "127.0.0.1", 1).terminal
        async with terminal:
            return await terminal.set_supervisor(code)

    with offices_of(directory) as offices:
        refused = asyncio.run(at_counter(offices))
    if refused is not None:
        raise click.BadParameter(refused.sentence("en"), param_hint="--code")
    done = {"terminal": terminal_id, "set": True}
    click.echo(json.dumps(done) if as_json else f"terminal {terminal_id}: the new code is in force")


@click.command()
@click.argument("trace", type=click.IntRange(0, 999_999), default=0)
@terminal_options
@printer_option
def reprint(trace: int, directory: Path, terminal_id: str, as_json: bool) -> None:
    """Print a slip again, marked SALINAN: of TRACE, or the last one. Sends nothing."""
    with offices_of(directory) as offices:
        counter = open_counter(offices, terminal_id, "127.0.0.1", 1)
        found = counter.terminal.reprint(trace)
        counter.terminal.release()
    if found is None:
        raise LumbungError(
            f"terminal {terminal_id}: no slip with trace {trace:06d}.",
            fix="Check the number on the slip; lumbung terminal status lists them.",
        )
    tell(found, as_json=as_json)
