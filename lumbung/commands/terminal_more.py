"""`lumbung terminal statement|refund|settle|pin-change|reprint`: the flows beside the sale."""

from pathlib import Path

import click

from lumbung.attached import pin_pad_option, printer_option
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
def refund(
    trace: int, amount: int, directory: Path, terminal_id: str, host: str, card: int, pin: str,
    as_json: bool,
) -> None:  # fmt: skip
    """Give AMOUNT whole rupiah of the sale with TRACE number back to its card, which is there."""

    async def at_counter(offices: Offices) -> SaleResult:
        who = holder_of(offices, card)
        async with logged_on(offices, terminal_id, host) as counter:
            slot, entry = counter.slot(who), typed(pin or who.pin)
            return await counter.terminal.refund(trace, amount * SEN_PER_RUPIAH, slot, entry)

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
@CARD_OPTION
@click.option("--pin", default="", help="The old PIN; without it the right one.")
@click.option(
    "--new-pin",
    prompt=True,
    hide_input=True,
    confirmation_prompt=True,
    help="The new PIN, six digits; asked for when it is not given.",
)
def pin_change(
    directory: Path, terminal_id: str, host: str, card: int, pin: str, new_pin: str, as_json: bool
) -> None:
    """Change a card's PIN (ganti PIN)."""

    async def at_counter(offices: Offices) -> SaleResult:
        who = holder_of(offices, card)
        entries = iter((pin or who.pin, new_pin, new_pin))

        async def holder_types() -> str:
            return next(entries, "")

        async with logged_on(offices, terminal_id, host) as counter:
            return await counter.terminal.change_pin(counter.slot(who), holder_types)

    tell(run_at(directory, at_counter), as_json=as_json)


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
