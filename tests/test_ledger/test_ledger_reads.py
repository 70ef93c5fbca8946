"""Statements, balances at a time, entries and lookups say what the log says."""

import pytest

from ledger.errors import LedgerBatchError
from ledger.limits import STATEMENT_ROWS_MAX
from ledger.port import Ledger, StatementFilter
from ledger.statuses import CreateTransferStatus as Status
from ledger.structures import AMOUNT_ALL, Account, Transfer
from tests.test_ledger.conftest import OpenEngine, SteppingClock


def move(transfer_id: int, debit: int, credit: int, amount: int, **fields: int) -> Transfer:
    given = {"ledger": 1, "code": 1, **fields}
    return Transfer(
        id=transfer_id, debit_account_id=debit, credit_account_id=credit, amount=amount, **given
    )


@pytest.fixture
def ledger(open_engine: OpenEngine, clock: SteppingClock) -> Ledger:
    """Give a ledger with a short history, one second between its batches."""
    ledger = open_engine()
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
    ledger.create_accounts([Account(id=3, ledger=1, code=1, flags=2)])
    for batch in (
        [move(1, 1, 2, 100)],
        [move(2, 2, 1, 30, code=7)],
        [move(3, 1, 2, 50, flags=2)],
        [move(4, 0, 0, AMOUNT_ALL, ledger=0, code=0, pending_id=3, flags=4)],
        [move(5, 3, 2, 1)],
        [move(6, 9, 2, 5), move(7, 1, 3, 8)],
    ):
        clock.advance(1)
        ledger.create_transfers(batch)
    return ledger


def ids(ledger: Ledger, account_id: int, **wanted: object) -> list[int]:
    page = ledger.statement(StatementFilter(account_id=account_id, **wanted))  # type: ignore[arg-type]
    return [entry.transfer.id for entry in page]


def test_a_statement_filters_by_side_code_and_time(ledger: Ledger, clock: SteppingClock) -> None:
    assert ids(ledger, 2) == [1, 2, 3, 4]
    assert ids(ledger, 2, reverse=True) == [4, 3, 2, 1]
    assert ids(ledger, 2, credits=False) == [2]
    assert ids(ledger, 2, debits=False) == [1, 3, 4]
    assert ids(ledger, 2, debits=False, credits=False) == []
    assert ids(ledger, 2, code=7) == [2]
    second = 1_000_000_000
    begin = clock.now - 6 * second
    assert ids(ledger, 2, timestamp_min=begin + 2 * second) == [2, 3, 4]
    assert ids(ledger, 2, timestamp_max=begin + 2 * second) == [1, 2]
    middle = {"timestamp_min": begin + 2 * second, "timestamp_max": begin + 3 * second}
    assert ids(ledger, 2, **middle) == [2, 3]
    assert ids(ledger, 99) == []


def test_a_statement_pages_by_cursor_in_both_directions(ledger: Ledger) -> None:
    for reverse, wanted in ((False, [1, 2, 3, 4]), (True, [4, 3, 2, 1])):
        found: list[int] = []
        cursor = 0
        while True:
            page = ledger.statement(
                StatementFilter(account_id=2, limit=3, cursor=cursor, reverse=reverse)
            )
            if not page:
                break
            found += [entry.transfer.id for entry in page]
            cursor = page[-1].sequence
        assert found == wanted
    for limit in (0, STATEMENT_ROWS_MAX + 1):
        with pytest.raises(LedgerBatchError, match="limit"):
            ledger.statement(StatementFilter(account_id=2, limit=limit))


def test_balances_after_stand_beside_each_entry(ledger: Ledger) -> None:
    after = [(e.debit_balance_after, e.credit_balance_after) for e in ledger.entries()]
    assert after == [(-100, 100), (70, -70), (-70, 70), (-120, 120), (0, 120), (0, 0), (-128, 8)]


def test_a_balance_is_given_as_of_any_record_and_instant(
    ledger: Ledger, clock: SteppingClock
) -> None:
    assert [ledger.balance_at(2, sequence=n) for n in range(1, 11)] == [
        *(None, 0, 0),
        *(100, 70, 70, 120, 120, 120, 120),
    ]
    begin = clock.now - 6_000_000_000
    instants = [begin - 2, begin, *(begin + n * 1_000_000_000 for n in (1, 2, 3, 4))]
    wanted = [None, 0, 100, 70, 70, 120]
    assert [ledger.balance_at(2, timestamp=instant) for instant in instants] == wanted
    assert ledger.balance_at(2, timestamp=begin + 999_999_999) == 0
    assert ledger.balance_at(2) == 120
    assert ledger.balance_at(99) is None
    assert ledger.balance_at(2, sequence=10, timestamp=begin) == 0


def test_entries_hold_refusals_with_what_was_not_found(ledger: Ledger) -> None:
    entries = {entry.transfer.id: entry for entry in ledger.entries()}
    assert [entry.sequence for entry in entries.values()] == [4, 5, 6, 7, 8, 9, 10]
    assert entries[5].status == Status.EXCEEDS_CREDITS
    assert entries[6].status == Status.DEBIT_ACCOUNT_NOT_FOUND
    assert entries[6].transfer.debit_account_id == 9
    assert entries[6].transfer.credit_account_id == 2
    assert entries[4].transfer.amount == 50
    assert entries[4].transfer.pending_id == 3
    assert entries[4].transfer.debit_account_id == 1


def test_the_tail_goes_on_from_a_sequence(ledger: Ledger) -> None:
    assert [e.sequence for e in ledger.entries(after_sequence=5)] == [6, 7, 8, 9, 10]
    assert [e.sequence for e in ledger.entries(after_sequence=5, limit=2)] == [6, 7]
    assert list(ledger.entries(after_sequence=10)) == []
    assert list(ledger.entries(limit=0)) == []


def test_lookups_keep_the_order_asked_and_tell_refused_from_unknown(ledger: Ledger) -> None:
    found = ledger.lookup_transfers([4, 5, 99, 1])
    assert [None if t is None else t.id for t in found] == [4, None, None, 1]
    entries = ledger.lookup_entries([5, 99, 2])
    assert [None if e is None else e.status for e in entries] == [
        Status.EXCEEDS_CREDITS,
        None,
        Status.CREATED,
    ]
    accounts = ledger.lookup_accounts([3, 99, 1])
    assert [None if a is None else a.credit_balance for a in accounts] == [8, None, -128]


def test_reads_are_the_same_after_a_restart(ledger: Ledger, open_engine: OpenEngine) -> None:
    before = (list(ledger.accounts()), list(ledger.entries()), ids(ledger, 2), ledger.checkpoint())
    ledger.close()
    again = open_engine()
    assert before == (
        list(again.accounts()),
        list(again.entries()),
        ids(again, 2),
        again.checkpoint(),
    )
