"""`lumbung programme disburse|sweep|report`: money in, money back, and what is told of it."""

from datetime import date
from pathlib import Path
from typing import Any

import click

from lumbung.commands.programme_desk import (
    DATA_OPTION,
    DIRECTORY,
    JSON_OPTION,
    LOCAL,
    Officer,
    look_at_desk,
    open_desk,
    say,
    table,
)
from lumbung.commands.programme_proposals import proposal_lines, proposal_row, tell_progress
from programme.actors import Actor, Agency
from programme.disbursement import DisbursementResult
from programme.errors import DisbursementError
from programme.left_over import SweepReason
from programme.reports import REPORT_NAMES, as_csv, as_html
from programme.reports.table import shown_rupiah
from programme.sweep import HeldAmount, SweptTranche
from protocols.business_time import wita
from protocols.values import SEN_PER_RUPIAH

DINSOS = Officer(Agency.DINSOS_PM)
MAKER = click.option("--maker", type=DINSOS, required=True, help="Who asks: name, of Dinsos PM.")
CHECKER = click.option("--checker", type=DINSOS,
                       help="Who checks: another person; name, or agency:name.")  # fmt: skip
DAY = click.DateTime(formats=["%Y-%m-%d"])


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
    amount_sen = None if amount is None else amount * SEN_PER_RUPIAH
    expires_on = None if expires is None else expires.date()
    with open_desk(directory) as desk:
        two = desk.office.two_people
        if checker is None:
            made = two.propose_disbursement(
                decree, period, maker, amount_sen=amount_sen, expires_on=expires_on
            )
            say(proposal_row(made), proposal_lines(made), as_json=as_json)
            return
        result = two.disburse_at_once(
            decree, period, maker, checker,
            amount_sen=amount_sen, expires_on=expires_on, on_group=tell_progress,
        )  # fmt: skip
    values = {
        "decree": decree, "period": period, "balanced": result.balanced,
        "total_sen": result.total_sen, "credited_sen": result.credited_sen,
        "credited": result.credited_count, "credited_before": result.credited_before_count,
        "credited_before_sen": result.credited_before_sen, "held_sen": result.held_sen,
        "maker": _name(maker), "checker": _name(checker),
        "held": [
            {"recipient": item.recipient_number, "amount_sen": item.amount_sen,
             "reason": item.reason.value, "detail": item.detail}
            for item in result.held
        ],
    }  # fmt: skip
    say(values, _disbursed(result, maker, checker), as_json=as_json)
    if not result.balanced:
        raise click.exceptions.Exit(1)


def _disbursed(result: DisbursementResult, maker: Actor, checker: Actor) -> list[str]:
    lines = [
        f"decree {result.decree_number}, {result.period}: Rp{shown_rupiah(result.total_sen)}",
        f"  credited now  {result.credited_count:>7}  Rp{shown_rupiah(result.credited_sen)}",
        f"  had it before {result.credited_before_count:>7}  "
        f"Rp{shown_rupiah(result.credited_before_sen)}",
        f"  held          {len(result.held):>7}  Rp{shown_rupiah(result.held_sen)}",
    ]
    lines += [
        f"    recipient {item.recipient_number}: {item.reason.value} {item.detail}".rstrip()
        for item in result.held
    ]
    return [*lines, f"  maker {_name(maker)}, checker {_name(checker)}"]


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
    with open_desk(directory) as desk:
        on = _business_day(day, desk.parts.clock.now_ns())
        two = desk.office.two_people
        if checker is None:
            made = two.propose_sweep(on, maker)
            say(proposal_row(made), proposal_lines(made), as_json=as_json)
            return
        result = two.sweep_at_once(on, maker, checker)
    rows = [_swept_row(item) for item in result.swept]
    refused = [{**_swept_row(item), "status": status} for item, status in result.refused]
    values = {"date": on.isoformat(), "swept_sen": result.swept_sen, "swept": rows,
              "refused": refused, "maker": _name(maker), "checker": _name(checker)}  # fmt: skip
    lines = [
        f"{on}: {len(rows)} tranches, Rp{shown_rupiah(result.swept_sen)} taken back",
        *(f"  {row['period']}: not today, {row['status']}" for row in refused),
    ]
    say(values, lines, as_json=as_json)


def _tell_planned(directory: Path, day: Any, *, show_held: bool, as_json: bool) -> None:
    with look_at_desk(directory) as desk:
        on = day.date() if day else wita(desk.parts.clock.now_ns()).date()
        if show_held:
            rows = [_held_row(item) for item in desk.office.held(LOCAL)]
        else:
            rows = [_swept_row(item) for item in desk.office.plan_sweep(on, LOCAL)]
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
    with open_desk(directory) as desk:
        two = desk.office.two_people
        if checker is None:
            made = two.propose_release(decree, year, maker)
            say(proposal_row(made), proposal_lines(made), as_json=as_json)
            return
        result = two.release_at_once(decree, year, maker, checker)
    still = sum(item.amount_sen for item in result.still_held)
    values = {"decree": decree, "year": year, "released": result.released_count,
              "released_sen": result.released_sen, "still_held": len(result.still_held),
              "still_held_sen": still, "maker": _name(maker),
              "checker": _name(checker)}  # fmt: skip
    line = (
        f"{result.released_count} tranches of {year}, Rp{shown_rupiah(result.released_sen)} "
        f"given back by decree {decree}; {len(result.still_held)}, Rp{shown_rupiah(still)}, held"
    )
    say(values, [line], as_json=as_json)


@click.command()
@click.argument("name", type=click.Choice(REPORT_NAMES))
@DATA_OPTION
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write here: .csv or .html. Without it CSV goes to standard output.",
)
@click.option("--date", "day", type=DAY, help="The day for waiting days; today without it.")
@JSON_OPTION
def report(name: str, directory: Path, out: Path | None, day: Any, as_json: bool) -> None:
    """Write report NAME from ledger and registry; the same state and day give the same bytes.

    No name, no NIK, no full card number. Works beside a running switch.
    """
    if out is not None and out.suffix not in (".csv", ".html"):
        raise click.BadParameter("the name ends in .csv or .html", param_hint="--out")
    with look_at_desk(directory) as desk:
        today = wita(desk.parts.clock.now_ns()).date()
        found = desk.office.report(name, day.date() if day else today, LOCAL)
    text = as_html(found) if out is not None and out.suffix == ".html" else as_csv(found)
    if out is not None:
        out.write_text(text, "utf-8")
    keys = [column.key for column in found.layout.columns]
    values = {
        "report": name, "out": str(out) if out else None, "sequence": found.basis.ledger_sequence,
        "root_hash": found.basis.root_hash, "registry_version": found.basis.registry_version,
        "rows": [dict(zip(keys, row, strict=True)) for row in found.rows],
    }  # fmt: skip
    lines = [f"{out}: {len(found.rows)} lines"] if out else text.splitlines()
    say(values, lines, as_json=as_json)


def _business_day(day: Any, now_ns: int) -> date:
    today = wita(now_ns).date()
    wanted: date = today if day is None else day.date()
    if wanted > today:
        raise DisbursementError(
            f"{wanted} has not come yet: money may be spent until its day.",
            fix="Sweep on the day, or look ahead with --dry-run.",
        )
    return wanted


def _swept_row(item: SweptTranche) -> dict[str, Any]:
    return {
        "period": item.period, "budget_year": item.budget_year, "decree": item.decree_number,
        "amount_sen": item.amount_sen, "reason": _word(item.reason),
        "tranche": f"{item.tranche_id:032x}",
    }  # fmt: skip


def _held_row(item: HeldAmount) -> dict[str, Any]:
    return {
        "period": item.period, "budget_year": item.budget_year, "decree": item.decree_number,
        "amount_sen": item.amount_sen, "reason": f"swept {item.swept_on}",
        "sweep": f"{item.sweep_id:032x}",
    }  # fmt: skip


def _word(reason: SweepReason) -> str:
    return reason.name.lower().replace("_", " ")


def _name(actor: Actor) -> str:
    return f"{actor.agency.value}/{actor.person}"
