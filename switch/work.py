"""One durable step of the switch: changes of its own state, then transfers, then readings.

The core makes it, an adapter makes it durable in a worker thread, the core takes the result. State
comes first: a crash between the two leaves a PIN try counted and no sale posted, never the reverse.

Only what waits for the disk is the worker's. The readings that follow come from memory and belong
to the thread of the core: two threads that both run Python take turns of milliseconds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ledger.port import Entry, Ledger, StatementFilter
from ledger.statuses import CreateTransferStatus
from ledger.structures import CreateTransferResult
from programme.chart import TransferCode
from programme.tranches import MonthLeft
from switch.changes import Change
from switch.decision import LedgerStep, StepResult
from switch.limits import STATEMENT_LINES_MAX

_Found = TypeVar("_Found")


class StateWriter(Protocol):
    """The part of the state file that work needs."""

    def commit(self, changes: Sequence[Change]) -> None:
        """Make changes durable; raise StateError when that fails."""


class MonthReader(Protocol):
    """Gives a card's open months (decision 7)."""

    def follow(self, entries: Iterable[Entry | None]) -> None:
        """Take in the records of a batch that is durable."""

    def months(self, account_id: int, at_sequence: int | None) -> tuple[MonthLeft, ...]:
        """Give what is left by month, now or right after a record."""


@dataclass(frozen=True, slots=True)
class Work:
    """What must be durable before the answers of one turn may leave."""

    changes: tuple[Change, ...]
    steps: tuple[LedgerStep, ...]


def run_work(
    work: Work, state: StateWriter, ledger: Ledger, months: MonthReader
) -> list[StepResult]:
    """Do the work and give one result per step. Raises StateError and LedgerError as they come."""
    return read_results(work, make_durable(work, state, ledger), ledger, months)


def make_durable(work: Work, state: StateWriter, ledger: Ledger) -> list[CreateTransferResult]:
    """Do the part that waits for the disk; give what became of each transfer, in order.

    Raises StateError and LedgerError as they come.
    """
    if work.changes:
        state.commit(work.changes)
    transfers = [transfer for step in work.steps for transfer in step.transfers]
    return ledger.create_transfers(transfers) if transfers else []


def read_results(
    work: Work, posted_transfers: list[CreateTransferResult], ledger: Ledger, months: MonthReader
) -> list[StepResult]:
    """Give one result per step of work that is durable. Raises LedgerError."""
    wanted = _wanted_entries(work.steps)
    entries = _by_id(wanted, ledger.lookup_entries(wanted) if wanted else [])
    months.follow(entries.values())
    asked = [i for step in work.steps for i in step.account_ids]
    accounts = _by_id(asked, ledger.lookup_accounts(asked) if asked else [])
    results, begin = [], 0
    for step in work.steps:
        # Taken apart at once: most of a sale's readings is nothing.
        transfers, entry_ids, account_ids, months_id, _of, statement_id, last_sales_id = step
        end = begin + len(transfers)
        results.append(
            StepResult(
                tuple(posted_transfers[begin:end]),
                tuple([entries[i] for i in entry_ids]),
                tuple([accounts[i] for i in account_ids]) if account_ids else (),
                _months(step, entries, months) if months_id else (),
                _statement(step, ledger) if statement_id else (),
                _last_sales(step, ledger) if last_sales_id else (),
            )
        )
        begin = end
    assert begin == len(posted_transfers), "each transfer has its result"
    return results


def _wanted_entries(steps: Iterable[LedgerStep]) -> list[int]:
    """Give every record that the results rest on, each once."""
    wanted: dict[int, None] = {}
    for step in steps:
        for transfer in step.transfers:
            wanted[transfer.id] = None
        for number in step.entry_ids:
            wanted[number] = None
        if step.months_of_id:
            wanted[step.months_of_id] = None
    return list(wanted)


def _by_id(ids: Sequence[int], found: Sequence[_Found | None]) -> dict[int, _Found | None]:
    return dict(zip(ids, found, strict=True))


def _months(
    step: LedgerStep, entries: dict[int, Entry | None], months: MonthReader
) -> tuple[MonthLeft, ...]:
    if not step.months_of_id:
        return months.months(step.months_account_id, None)
    entry = entries[step.months_of_id]
    if entry is None or entry.status != CreateTransferStatus.CREATED:
        return ()
    return months.months(step.months_account_id, entry.sequence)


def _statement(step: LedgerStep, ledger: Ledger) -> tuple[Entry, ...]:
    account_id = step.statement_account_id
    wanted = StatementFilter(account_id=account_id, reverse=True, limit=STATEMENT_LINES_MAX)
    return tuple(ledger.statement(wanted))


def _last_sales(step: LedgerStep, ledger: Ledger) -> tuple[Entry, ...]:
    """Give the newest purchases of a card; some, for the last of them may have been undone."""
    wanted = StatementFilter(
        account_id=step.last_sales_account_id,
        credits=False,
        code=TransferCode.PURCHASE,
        reverse=True,
        limit=STATEMENT_LINES_MAX,
    )
    return tuple(ledger.statement(wanted))
