"""`lumbung programme disburse|sweep|report`: money in, money back, and what is told of it."""

from pathlib import Path
from typing import Any

import click

from lumbung.carrier import Carrier
from lumbung.commands.programme_desk import (
    DATA_OPTION,
    DIRECTORY,
    JSON_OPTION,
    LOCAL,
    Officer,
    look_at_desk,
    say,
    table,
)
from lumbung.commands.programme_proposals import proposal_lines, tell_progress
from lumbung.system import SystemClock
from programme.actors import Actor, Agency, actor_text
from programme.reports import REPORT_NAMES, Report, as_csv, as_html
from programme.reports.table import shown_rupiah
from programme.rows import HeldAmountRow, Row, SweptRow, named
from protocols.business_time import wita
from protocols.values import SEN_PER_RUPIAH

DINSOS = Officer(Agency.DINSOS_PM)
MAKER = click.option("--maker", type=DINSOS, required=True, help="Who asks: name, of Dinsos PM.")
CHECKER = click.option("--checker", type=DINSOS,
                       help="Who checks: another person; name, or agency:name.")  # fmt: skip
DAY = click.DateTime(formats=["%Y-%m-%d"])


def _report_path(
    _context: click.Context, _option: click.Parameter, out: Path | None
) -> Path | None:
    if out is not None and out.suffix not in (".csv", ".html"):
        raise click.BadParameter("the name ends in .csv or .html", param_hint="--out")
    return out


OUT_OPTION = click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=_report_path,
    help="Write here: .csv or .html. Without it the lines go to standard output.",
)


@click.command()
@click.argument("directory", type=DIRECTORY, metavar="DIR")
@click.option("--decree", type=click.IntRange(1), required=True, help="The registry's number.")
@click.option("--period", required=True, help="The month, YYYY-MM.")
@MAKER
@CHECKER
@click.option("--amount", type=click.IntRange(1), help="Control figure: whole rupiah per person.")
@click.option("--expires", type=DAY, help="Last day on which this month's money may be spent.")
@JSON_OPTION
def disburse(
    directory: Path,
    decree: int,
    period: str,
    maker: Actor,
    checker: Actor | None,
    amount: int | None,
    expires: Any,
    as_json: bool,
) -> None:
    """Credit a month of a decree to all its cards in DIR; a rerun credits nobody twice.

    Without --checker it is proposed: another person approves with `proposal approve`. Exit code 0
    when total = credits + held, to the rupiah. Stopped in the middle: run it again.
    """
    asked: dict[str, Any] = {"decree": decree, "period": period}
    if amount is not None:
        asked["amount_sen"] = amount * SEN_PER_RUPIAH
    if expires is not None:
        asked["expires_on"] = expires.date().isoformat()
    row = _ask(directory, "disbursement", "disburse", asked, maker, checker, as_json=as_json)
    if row is None:
        return
    say(row, _disbursed(row), as_json=as_json)
    if not row["balanced"]:
        raise click.exceptions.Exit(1)


def _ask(
    directory: Path,
    proposal: str,
    act: str,
    asked: dict[str, Any],
    maker: Actor,
    checker: Actor | None,
    *,
    as_json: bool,
) -> dict[str, Any] | None:
    """Propose, and say so; or do it where both people are here, and give the result."""
    carrier = Carrier(directory)
    if checker is None:
        row = carrier.do(f"propose-{proposal}", asked, maker)
        say(row, proposal_lines(row), as_json=as_json)
        return None
    signed = {**asked, "maker": actor_text(maker), "checker": actor_text(checker)}
    row = carrier.do(act, signed, maker, tell=tell_progress)
    return {**row, "maker": named(maker), "checker": named(checker)}


def _disbursed(row: dict[str, Any]) -> list[str]:
    lines = [
        f"decree {row['decree']}, {row['period']}: Rp{shown_rupiah(row['total_sen'])}",
        f"  credited now  {row['credited']:>7}  Rp{shown_rupiah(row['credited_sen'])}",
        f"  had it before {row['credited_before']:>7}  "
        f"Rp{shown_rupiah(row['credited_before_sen'])}",
        f"  held          {row['held_count']:>7}  Rp{shown_rupiah(row['held_sen'])}",
    ]
    lines += [
        f"    recipient {held['recipient']}: {held['reason']} {held['detail']}".rstrip()
        for held in row["held"]
    ]
    return [*lines, f"  maker {row['maker']}, checker {row['checker']}"]


@click.command()
@click.argument("directory", type=DIRECTORY, metavar="DIR")
@click.option("--date", "day", type=DAY, help="The business date; today without it.")
@click.option("--dry-run", is_flag=True, help="Say what would be taken; nothing is posted.")
@click.option("--held", "show_held", is_flag=True, help="List what year ends hold; posts nothing.")
@click.option(
    "--release",
    "decree",
    type=click.IntRange(1),
    help="Give back, by this decree, what the end of --year held.",
)
@click.option("--year", type=click.IntRange(2000, 2100), help="The budget year to release.")
@click.option("--maker", type=DINSOS, help="Who asks: name, of Dinsos PM.")
@click.option("--checker", type=DINSOS, help="Who checks: another person.")
@JSON_OPTION
def sweep(
    directory: Path,
    day: Any,
    dry_run: bool,
    show_held: bool,
    decree: int | None,
    year: int | None,
    maker: Actor | None,
    checker: Actor | None,
    as_json: bool,
) -> None:
    """Take back in DIR what the policy says: tranches past their end date, months or budget year.

    Each sweep names its tranche. The year's end is the first sweep of a new year: what it holds is
    listed with --held and given back with --release. Run again, it takes nothing twice.
    """
    if dry_run or show_held:
        _tell_planned(directory, day, show_held=show_held, as_json=as_json)
        return
    if maker is None:
        raise click.UsageError("give --maker, and --checker if both are here (or --dry-run)")
    if decree is not None:
        if year is None:
            raise click.UsageError("--release needs the --year that ended")
        _release(directory, decree, year, maker, checker, as_json=as_json)
        return
    on = day.date() if day else wita(SystemClock().now_ns()).date()
    row = _ask(
        directory, "sweep", "sweep", {"day": on.isoformat()}, maker, checker, as_json=as_json
    )
    if row is None:
        return
    lines = [
        f"{on}: {row['swept_count']} tranches, Rp{shown_rupiah(row['swept_sen'])} taken back",
        *(f"  {item['period']}: not today, {item['status']}" for item in row["refused"]),
    ]
    say(row, lines, as_json=as_json)


def _tell_planned(directory: Path, day: Any, *, show_held: bool, as_json: bool) -> None:
    with look_at_desk(directory) as desk:
        on = day.date() if day else wita(desk.parts.clock.now_ns()).date()
        if show_held:
            rows = [_dumped(HeldAmountRow.of(item)) for item in desk.office.held(LOCAL)]
        else:
            rows = [_dumped(SweptRow.of(x)) for x in desk.office.plan_sweep(on, LOCAL)]
    total = sum(row["amount_sen"] for row in rows)
    word = "held" if show_held else "would be taken"
    header = ("period", "year", "decree", "reason", "Rp")
    lines = [
        f"{on}: {len(rows)} tranches, Rp{shown_rupiah(total)} {word}",
        *table(header, [
            (row["period"], row["budget_year"], row["decree"], row["reason"],
             shown_rupiah(row["amount_sen"])) for row in rows
        ]),
    ]  # fmt: skip
    say({"date": on.isoformat(), "total_sen": total, "tranches": rows}, lines, as_json=as_json)


def _release(
    directory: Path, decree: int, year: int, maker: Actor, checker: Actor | None, *, as_json: bool
) -> None:
    asked = {"decree": decree, "year": year}
    row = _ask(directory, "release", "release", asked, maker, checker, as_json=as_json)
    if row is None:
        return
    line = (
        f"{row['released']} tranches of {year}, Rp{shown_rupiah(row['released_sen'])} given back "
        f"by decree {decree}; {row['still_held']}, Rp{shown_rupiah(row['still_held_sen'])}, held"
    )
    say(row, [line], as_json=as_json)


@click.command()
@click.argument("name", type=click.Choice(REPORT_NAMES))
@DATA_OPTION
@OUT_OPTION
@click.option("--date", "day", type=DAY,
              help="The day for waiting days, or in the semester; today without it.")  # fmt: skip
@JSON_OPTION
def report(name: str, directory: Path, out: Path | None, day: Any, as_json: bool) -> None:
    """Write report NAME from ledger and registry; the same state and day give the same bytes.

    No name, no NIK, no full card number. Works beside a running switch.
    """
    with look_at_desk(directory) as desk:
        today = wita(desk.parts.clock.now_ns()).date()
        found = desk.office.report(name, day.date() if day else today, LOCAL)
    if out is not None:
        write_report(found, out)
    keys = [column.key for column in found.layout.columns]
    values = {
        "report": name, "out": str(out) if out else None, "sequence": found.basis.ledger_sequence,
        "root_hash": found.basis.root_hash, "registry_version": found.basis.registry_version,
        "rows": [dict(zip(keys, row, strict=True)) for row in found.rows],
    }  # fmt: skip
    lines = [f"{out}: {len(found.rows)} lines"] if out else as_csv(found).splitlines()
    say(values, lines, as_json=as_json)


def write_report(found: Report, out: Path) -> None:
    """Write a report as CSV or HTML, by the name's end."""
    out.write_text(as_html(found) if out.suffix == ".html" else as_csv(found), "utf-8")


def _dumped(row: Row) -> dict[str, Any]:
    return row.model_dump(mode="json")
