"""`lumbung programme import`: decree files, checked dry or taken in, and the stages they pass."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from lumbung.carrier import Carrier
from lumbung.commands.programme_desk import (
    JSON_OPTION,
    Officer,
    look_at_registry,
    say,
    write_registry,
)
from lumbung.progress import progress
from programme.actors import Actor, Agency
from programme.decree import (
    DecreeDiff,
    DecreeFile,
    compare_decree,
    import_decree,
    nik_at,
    read_decree,
    template,
)
from programme.decree.diff import TermChange
from programme.limits import PROGRESS_LINES
from programme.registry import DecreeState, Registry
from programme.reports.table import shown_rupiah
from programme.rows import day_of

#: Stages that an officer moves a decree to; execution begins with the first disbursement.
STAGES = [
    DecreeState.VERIFICATION.value,
    DecreeState.VALIDATION.value,
    DecreeState.DETERMINATION.value,
]

_READ = "lines read"
#: Changes shown of each kind: a screen or two; --json gives all.
LINES_SHOWN_MAX = 100


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option(
    "--data",
    "directory",
    type=click.Path(path_type=Path),
    help="The programme's data directory: compare with it, or take the file in.",
)
@click.option("--dry-run", is_flag=True, help="With --data: say what would change, write nothing.")
@click.option("--decree", type=click.IntRange(1), help="Instead of FILE: a decree taken in before.")
@click.option("--stage", type=click.Choice(STAGES), help="Move --decree to this stage.")
@click.option(
    "--officer",
    type=Officer(Agency.DISKOMINFO),
    default="kominfo-01",
    show_default=True,
    help="Who acts: a name at Diskominfo, or agency:name.",
)
@click.option(
    "--distinct",
    "lines",
    type=click.IntRange(1),
    multiple=True,
    help="With FILE: attest that the person of this line is not another of that name.",
)
@click.option("--template", "show_template", is_flag=True, help="Print an empty file and end.")
@JSON_OPTION
def import_decree_file(
    file: Path | None,
    directory: Path | None,
    dry_run: bool,
    decree: int | None,
    stage: str | None,
    officer: Actor,
    lines: tuple[int, ...],
    show_template: bool,
    as_json: bool,
) -> None:
    """Check decree FILE, every fault with file:line; with --data, take it in (whole or not at all).

    A later file is a diff: new, changed and ended people are counted. With --decree N the stages
    of a decree are shown, and --stage moves it on. Exit code 1 when the file has a fault. The same
    file again changes nothing.
    """  # fmt: skip
    if show_template:
        click.echo(template(), nl=False)
        return
    if decree is not None:
        if file is not None or directory is None:
            raise click.UsageError("--decree goes with --data, without a FILE")
        _stages(directory, decree, stage, officer, as_json=as_json)
        return
    if file is None or stage is not None:
        raise click.UsageError("give a FILE, or --decree N, or --template for an empty file")
    if dry_run and directory is None:
        raise click.UsageError("--dry-run compares with a registry: give its --data")
    if lines:
        _attest(file, directory, lines, officer, as_json=as_json)
        return
    if directory is None:
        found = read_decree(file, on_lines=progress(_READ))
        told = ["dry run: nothing was taken in; --data DIRECTORY takes it in"]
        values = _file_values(found)
    elif dry_run:
        with look_at_registry(directory) as parts:
            found = _read(file, parts.registry)
            diff = compare_decree(parts.registry, found)
        values = {**_file_values(found), "diff": _diff_values(diff)}
        told = [*_diff_lines(diff), "dry run: nothing was taken in"]
    else:
        with write_registry(directory) as registry:
            found = _read(file, registry)
            values = {**_file_values(found), **_take_in(registry, found, officer)}
        told = list(_taken_lines(values))
    head = f"{file}: decree {found.name}, {len(found.rows)} recipients, no fault"
    say(values, [head, *told], as_json=as_json)


def _file_values(found: DecreeFile) -> dict[str, Any]:
    return {
        "decree": found.name, "lines": len(found.rows), "total_sen_per_month": found.total_sen,
        "period_first": found.period_first, "period_last": found.period_last, "applied": False,
    }  # fmt: skip


def _read(file: Path, registry: Registry) -> DecreeFile:
    """Read the file; the registry knows who was seen to be another of the same name."""
    found = read_decree(file, on_lines=progress(_READ), distinct=registry.people.is_distinct)
    if len(found.rows) >= PROGRESS_LINES:
        click.echo(f"{len(found.rows):,} people are compared with the registry", err=True)
    return found


def _attest(
    file: Path, directory: Path | None, lines: tuple[int, ...], officer: Actor, *, as_json: bool
) -> None:
    if directory is None:
        raise click.UsageError("--distinct goes with --data")
    numbers = [nik_at(file, line) for line in lines]
    with write_registry(directory) as registry:
        for nik in numbers:
            registry.people.attest_distinct(nik, officer)
    told = [f"line {line}: attested as another person than the one of the same name"
            for line in lines]  # fmt: skip
    say({"attested": list(lines)}, told, as_json=as_json)


def _take_in(registry: Registry, found: DecreeFile, officer: Actor) -> dict[str, Any]:
    diff = compare_decree(registry, found)
    done = import_decree(registry, found, officer, on_people=progress("people registered"))
    return {
        "applied": True, "number": done.decree.decree_number, "new_people": done.new_people,
        "changed_people": done.changed_people, "changed": done.changed,
        "diff": _diff_values(diff), "stages": _stage_rows(registry, done.decree.decree_number),
        "diff_lines": list(_diff_lines(diff)) if done.changed else [],
    }  # fmt: skip


def _taken_lines(values: dict[str, Any]) -> Iterator[str]:
    yield from values.pop("diff_lines")
    if not values["changed"]:
        yield f"taken in before as decree {values['number']}: known, no change"
        return
    yield (
        f"taken in as decree {values['number']}, stage integrasi: {values['new_people']} new "
        f"people, {values['changed_people']} changed"
    )


def _stages(
    directory: Path, decree: int, stage: str | None, officer: Actor, *, as_json: bool
) -> None:
    if stage is not None:
        Carrier(directory).do("decree-stage", {"decree": decree, "stage": stage}, officer)
    with look_at_registry(directory) as parts:
        record = parts.registry.decrees.get(decree)
        rows = _stage_rows(parts.registry, decree)
    values = {"decree": record.name, "number": decree, "stage": record.state.value, "stages": rows}
    lines = [f"decree {decree} ({record.name}): {record.state.value}"]
    lines += [f"  {row['on']}  {row['stage']:<12} {row['by']}" for row in rows]
    say(values, lines, as_json=as_json)


def _stage_rows(registry: Registry, decree: int) -> list[dict[str, str]]:
    return [
        {"stage": state.value, "on": day_of(at_ns), "by": f"{agency}/{person}"}
        for state, at_ns, agency, person in registry.decrees.steps(decree)
    ]


def _diff_values(diff: DecreeDiff) -> dict[str, Any]:
    return {
        "imported_as": diff.imported.decree_number if diff.imported else None,
        "previous": diff.previous.decree_number if diff.previous else None,
        "new_lines": list(diff.new_lines),
        "known": diff.known,
        "joined": list(diff.joined),
        "changed_people": [
            {"line": c.line, "recipient": c.recipient_number, "columns": list(c.columns)}
            for c in diff.changed_people
        ],
        "changed_terms": [
            {"line": c.line, "recipient": c.recipient_number,
             "amount_before_sen": c.amount_before_sen, "amount_now_sen": c.amount_now_sen,
             "outcome_before": c.outcome_before.value, "outcome_now": c.outcome_now.value}
            for c in diff.changed_terms
        ],
        "ended": [
            {"recipient": e.recipient_number, "outcome": e.outcome.value if e.outcome else None}
            for e in diff.ended
        ],
        "total_before_sen": diff.total_before_sen,
        "total_now_sen": diff.total_now_sen,
    }  # fmt: skip


def _diff_lines(diff: DecreeDiff) -> Iterator[str]:
    if diff.imported is not None:
        yield f"this file was taken in before as decree {diff.imported.decree_number}"
    against = f"decree {diff.previous.decree_number}" if diff.previous else "no decree before"
    yield f"new people {len(diff.new_lines)}, known {diff.known}; against {against}:"
    yield f"  paid now, not before  {len(diff.joined)}"
    yield f"  other amount/result   {len(diff.changed_terms)}"
    yield f"  other personal data   {len(diff.changed_people)}"
    yield f"  ended                 {len(diff.ended)}"
    before, now = shown_rupiah(diff.total_before_sen), shown_rupiah(diff.total_now_sen)
    yield f"  a month costs Rp{now}, before Rp{before}"
    yield from _first(
        f"  line {c.line}: recipient {c.recipient_number}: {', '.join(c.columns)}"
        for c in diff.changed_people
    )
    yield from _first(_term_line(term) for term in diff.changed_terms)
    yield from _first(
        f"  recipient {e.recipient_number} ended: {e.outcome.value if e.outcome else 'not named'}"
        for e in diff.ended
    )


def _term_line(term: TermChange) -> str:
    amounts = f"Rp{shown_rupiah(term.amount_before_sen)} -> Rp{shown_rupiah(term.amount_now_sen)}"
    words = f"{term.outcome_before.value} -> {term.outcome_now.value}"
    return f"  line {term.line}: recipient {term.recipient_number}: {amounts}, {words}"


def _first(lines: Iterator[str]) -> Iterator[str]:
    """Yield the lines that a person reads; --json has all."""
    for number, line in enumerate(lines):
        if number == LINES_SHOWN_MAX:
            yield "  ... and more: --json lists all"
            return
        yield line
