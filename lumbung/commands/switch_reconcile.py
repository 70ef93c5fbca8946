"""`lumbung switch reconcile`: batches, ledger and terminals' totals side by side."""

import csv
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from lumbung.composition import JOURNAL_KEY, Composition, compose
from lumbung.data_directory import DataDirectory, read_manifest
from lumbung.journal_export import codecs_for
from lumbung.system import SystemClock, system_random
from protocols.business_time import wita
from protocols.values import rupiah
from switch.config import SwitchConfig, load
from switch.journal import read_journal, segments_of
from switch.journal_audit import approved_answers, unposted
from switch.reconciliation import NOTICES, Difference, Reconciliation, reconcile
from switch.state import StateFile

_COLUMNS = ("kind", "terminal", "batch", "day", "reference", "ledger_sen", "other_sen")


@click.command()
@click.option("--data", "directory", type=click.Path(path_type=Path), required=True,
              help="A data directory whose switch is not running.")  # fmt: skip
@click.option("--csv", "out", type=click.Path(path_type=Path, dir_okay=False),
              help="Write every difference as CSV as well.")  # fmt: skip
@click.option("--config", "file", type=click.Path(path_type=Path, dir_okay=False),
              help="The switch.toml it ran with, for the links of its journal.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
def reconcile_command(directory: Path, out: Path | None, file: Path | None, as_json: bool) -> None:
    """Compare the switch's batches with the ledger and with what terminals declared.

    Every batch is summed again from the ledger; every approved answer of the journal, where one is
    kept, must have its record. Exit code 1 when figures disagree; batches that
    wait for their settlement are told and are no disagreement.
    """
    config = SwitchConfig() if file is None else load(file)
    manifest = read_manifest(directory)
    with ExitStack() as stack:
        data = stack.enter_context(
            DataDirectory.open(
                directory, kind=manifest.kind, seed=manifest.seed, created=manifest.created
            )
        )
        parts = stack.enter_context(compose(data, SystemClock(), lambda _part: system_random))
        state = StateFile(data.switch_state)
        stack.callback(state.close)
        known = state.load().business_date
        batches, uploads = state.batches()
        today = known.day if known is not None else wita(parts.clock.now_ns()).date()
        result = reconcile(parts.ledger.entries(), batches, uploads, today)
        ids = {view.terminal_id: view.terminal_number for view in parts.registry.all_terminals()}
        result = result.with_more(_unposted(data, parts, config, ids))
        names = {view.terminal_number: view.terminal_id for view in parts.registry.all_terminals()}
        rows = [_row(one, names) for one in result.differences]
    if out is not None:
        with out.open("w", encoding="utf-8", newline="") as table:
            writer = csv.DictWriter(table, _COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
    click.echo(json.dumps(_as_json(result, rows)) if as_json else _as_text(result, rows))
    if not result.agrees:
        raise click.exceptions.Exit(1)


def _unposted(
    data: DataDirectory, parts: Composition, config: SwitchConfig, terminals: dict[str, int]
) -> Iterator[Difference]:
    """Yield the journal's approved answers without record; nothing where no journal is kept."""
    if not segments_of(data.journal):
        return
    entries = read_journal(data.journal, parts.keystore.get(JOURNAL_KEY))
    codecs = codecs_for({link.link: link.spec for link in config.all_links})
    ledger = parts.ledger
    answers = approved_answers(entries, codecs)
    yield from unposted(answers, lambda one: ledger.lookup_entries([one])[0], terminals)


def _row(one: Difference, names: dict[int, str]) -> dict[str, Any]:
    return {
        "kind": one.kind.value,
        "terminal": names.get(one.terminal_number, str(one.terminal_number)),
        "batch": f"{one.batch:06d}",
        "day": one.day.isoformat(),
        "reference": one.reference,
        "ledger_sen": one.ledger_sen,
        "other_sen": one.other_sen,
    }


def _as_json(result: Reconciliation, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "agrees": result.agrees,
        "batches": result.batches,
        "settled": result.settled,
        "totals": result.totals._asdict(),
        "differences": rows,
    }


def _as_text(result: Reconciliation, rows: list[dict[str, Any]]) -> str:
    totals = result.totals
    net = totals.sales_sen - totals.voids_sen - totals.refunds_sen
    lines = [
        f"{result.batches} batches, {result.settled} settled",
        f"sales {totals.sales} Rp {rupiah(totals.sales_sen)}, voids {totals.voids} "
        f"Rp {rupiah(totals.voids_sen)}, refunds {totals.refunds} "
        f"Rp {rupiah(totals.refunds_sen)}, net Rp {rupiah(net)}",
    ]
    notices = {kind.value for kind in NOTICES}
    for row in rows:
        mark = "waits" if row["kind"] in notices else "DIFFERS"
        lines.append(
            f"{mark}: {row['kind']}, terminal {row['terminal']}, batch {row['batch']}, "
            f"{row['day']}, {row['reference']}: ledger {row['ledger_sen']}, "
            f"other {row['other_sen']}"
        )
    lines.append("all figures agree" if result.agrees else "figures disagree")
    return "\n".join(lines)
