"""`lumbung programme match`: decree = bank's list = ledger, and every difference."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from lumbung.commands.programme_desk import JSON_OPTION, LOCAL, look_at_desk, say, table
from lumbung.commands.programme_money import DAY, OUT_OPTION, write_report
from programme.bank_list import Match, as_report, bank_template
from programme.reports.table import shown_rupiah
from programme.rows.answers import MatchRow
from protocols.business_time import wita

#: Differences shown: a screen or two; --json and --out give all.
LINES_SHOWN_MAX = 40


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option(
    "--data",
    "directory",
    type=click.Path(path_type=Path),
    help="The programme's data directory.",
)
@OUT_OPTION
@click.option("--date", "day", type=DAY, help="The day that ages count to; today without it.")
@click.option("--template", "show_template", is_flag=True, help="Print an empty list and end.")
@JSON_OPTION
def match(
    file: Path | None,
    directory: Path | None,
    out: Path | None,
    day: Any,
    show_template: bool,
    as_json: bool,
) -> None:
    """Match the bank's list FILE with its decree and the ledger's credits of its month.

    Each difference is named with its age: a person whom one side lacks, an amount that differs, a
    NIK that nobody knows. Exit code 0 when all three agree, 1 when they do not or the file has a
    fault. Writes nothing to the books.
    """
    if show_template:
        click.echo(bank_template(), nl=False)
        return
    if file is None or directory is None:
        raise click.UsageError("give a FILE and its --data, or --template for an empty list")
    with look_at_desk(directory) as desk:
        today = wita(desk.parts.clock.now_ns()).date()
        found = desk.office.match(file, day.date() if day else today, LOCAL)
    if out is not None:
        write_report(as_report(found), out)
    say(MatchRow.of(found).model_dump(mode="json"), _lines(found), as_json=as_json)
    if not found.agrees:
        raise click.exceptions.Exit(1)


def _lines(found: Match) -> Iterator[str]:
    yield f"decree {found.decree_number} ({found.decree_name}), {found.period}:"
    for word, sen in (
        ("decree", found.decree_sen), ("bank", found.bank_sen), ("ledger", found.ledger_sen)
    ):  # fmt: skip
        yield f"  {word:<7} Rp{shown_rupiah(sen)}"
    yield f"  {found.agreeing} agree, {len(found.differences)} do not"
    header = ("line", "recipient", "decree", "bank", "ledger", "difference", "reason", "days")
    shown = [
        (one.line, one.recipient_number, *map(shown_rupiah, (
            one.decree_sen, one.bank_sen, one.ledger_sen)), one.side.value, one.why, one.age_days)
        for one in found.differences[:LINES_SHOWN_MAX]
    ]  # fmt: skip
    if shown:
        yield from table(header, shown)
    if len(found.differences) > LINES_SHOWN_MAX:
        yield "... and more: --json and --out list all"
