"""`lumbung switch reconcile`: batches, ledger and terminals' totals side by side."""

import csv
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import click

from ledger import open_ledger
from ledger.port import Entry, Ledger
from lumbung.composition import JOURNAL_KEY, Offices, compose, open_offices
from lumbung.data_directory import DataDirectory, read_manifest
from lumbung.journal_export import codecs_for
from lumbung.system import SystemClock, system_random
from protocols.business_time import wita
from protocols.clock import RandomBytes
from protocols.values import rupiah
from switch.config import SwitchConfig, load
from switch.control_client import ControlClient, NoSwitchError
from switch.journal import read_journal, segments_of
from switch.journal_audit import approved_answers, unposted
from switch.reconciliation import NOTICES, Difference, Reconciliation, reconcile
from switch.state import StateFile

_COLUMNS = ("kind", "terminal", "batch", "day", "reference", "ledger_sen", "other_sen")


@runtime_checkable
class _Following(Protocol):
    """A ledger that is open for reading beside its writer."""

    def refresh(self) -> int: ...


@dataclass(frozen=True, slots=True)
class _Books:
    """What is compared: opened parts, the state to read, and how far it knows the ledger."""

    offices: Offices
    ledger: Ledger
    state: StateFile
    last_sequence: int

    def find(self, transfer_id: int) -> Entry | None:
        """Give a record by its id; what a running switch has posted since as well."""
        (entry,) = self.ledger.lookup_entries([transfer_id])
        if entry is None and isinstance(self.ledger, _Following):
            self.ledger.refresh()
            (entry,) = self.ledger.lookup_entries([transfer_id])
        return entry


@click.command()
@click.option("--data", "directory", type=click.Path(path_type=Path), required=True,
              help="A data directory; its switch may be running.")  # fmt: skip
@click.option("--csv", "out", type=click.Path(path_type=Path, dir_okay=False),
              help="Write every difference as CSV as well.")  # fmt: skip
@click.option("--config", "file", type=click.Path(path_type=Path, dir_okay=False),
              help="The switch.toml it ran with, for the links of its journal.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
def reconcile_command(directory: Path, out: Path | None, file: Path | None, as_json: bool) -> None:
    """Compare the switch's batches with the ledger and with what terminals declared.

    Every batch is summed again from the ledger; every approved answer of the journal, where one is
    kept, must have its record. Beside a running switch the figures are those of one moment.
    Exit code 1 when figures disagree; batches that wait for their settlement are told and are no
    disagreement.
    """
    config = SwitchConfig() if file is None else load(file)
    with ExitStack() as stack:
        books = _open(directory, stack)
        registry = books.offices.registry
        known = books.state.load().business_date
        batches, uploads = books.state.batches()
        today = known.day if known is not None else wita(books.offices.clock.now_ns()).date()
        known_to_state = takewhile(
            lambda entry: entry.sequence <= books.last_sequence, books.ledger.entries()
        )
        result = reconcile(known_to_state, batches, uploads, today)
        ids = {view.terminal_id: view.terminal_number for view in registry.all_terminals()}
        result = result.with_more(_unposted(books, config, ids))
        names = {number: terminal_id for terminal_id, number in ids.items()}
        rows = [_row(one, names) for one in result.differences]
    if out is not None:
        with out.open("w", encoding="utf-8", newline="") as table:
            writer = csv.DictWriter(table, _COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
    click.echo(json.dumps(_as_json(result, rows)) if as_json else _as_text(result, rows))
    if not result.agrees:
        raise click.exceptions.Exit(1)


def _open(directory: Path, stack: ExitStack) -> _Books:
    """Open what is compared: beside a running switch by a copy of its state, else the files."""
    try:
        with ControlClient(directory.absolute()) as client:
            told = client.ask("copy-state")
    except NoSwitchError:
        return _open_alone(directory, stack)
    data = DataDirectory.beside(directory)
    copy = data.root / str(told["file"])
    stack.callback(_remove, copy)
    offices = stack.enter_context(open_offices(data, SystemClock(), _system_random_for))
    ledger = open_ledger(
        data.ledger, now_ns=SystemClock().now_ns, random_bytes=system_random, create=False,
        read_only=True,
    )  # fmt: skip
    stack.callback(ledger.close)
    state = StateFile(copy)
    stack.callback(state.close)
    return _Books(offices, ledger, state, told["last_sequence"])


def _open_alone(directory: Path, stack: ExitStack) -> _Books:
    manifest = read_manifest(directory)
    data = stack.enter_context(
        DataDirectory.open(
            directory, kind=manifest.kind, seed=manifest.seed, created=manifest.created
        )
    )
    parts = stack.enter_context(compose(data, SystemClock(), _system_random_for))
    state = StateFile(data.switch_state)
    stack.callback(state.close)
    return _Books(parts, parts.ledger, state, parts.ledger.last_sequence)


def _remove(copy: Path) -> None:
    for name in (copy.name, f"{copy.name}-wal", f"{copy.name}-shm"):
        copy.with_name(name).unlink(missing_ok=True)


def _system_random_for(_part: str) -> RandomBytes:
    return system_random


def _unposted(
    books: _Books, config: SwitchConfig, terminals: dict[str, int]
) -> Iterator[Difference]:
    """Yield the journal's approved answers without record; nothing where no journal is kept."""
    data, keystore = books.offices.data, books.offices.keystore
    if not segments_of(data.journal):
        return
    entries = read_journal(data.journal, keystore.get(JOURNAL_KEY))
    codecs = codecs_for({link.link: link.spec for link in config.all_links})
    yield from unposted(approved_answers(entries, codecs), books.find, terminals)


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
