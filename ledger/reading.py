"""Reads: accounts, entries, statements and balances of the durable state.

A lookup takes the state lock for a moment and then reads the log beside the writer; what is on the
stage and not yet durable is not seen.
"""

import threading
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ledger.books import AccountRow, Books
from ledger.errors import LedgerBatchError
from ledger.limits import STATEMENT_ROWS_MAX
from ledger.log import SegmentedLog
from ledger.port import Entry, StatementFilter
from ledger.record import AMOUNT_SATURATED, TIMESTAMP, Kind, Record, unpack_body
from ledger.sealed import SealedSegment
from ledger.stage import Stage
from ledger.statuses import CreateTransferStatus as Status
from ledger.structures import AMOUNT_ALL, Account, Transfer


class Reader:
    """Answers questions about the durable state."""

    def __init__(
        self, log: SegmentedLog, books: Books, stage: Stage, state_lock: threading.Lock
    ) -> None:
        self._log = log
        self._books = books
        self._stage = stage
        self._lock = state_lock

    @property
    def last_sequence(self) -> int:
        """Give the sequence of the last durable record."""
        return self._books.last_sequence

    def lookup_accounts(self, ids: Sequence[int]) -> list[Account | None]:
        """Give accounts by id, None where unknown."""
        with self._lock:
            return [self._account(self._books.accounts.get(account_id)) for account_id in ids]

    def accounts(self) -> Iterator[Account]:
        """Yield every account in order of creation."""
        number = 0
        while number < len(self._books.rows):
            with self._lock:
                page = [self._account(row) for row in self._books.rows[number : number + 1_000]]
            number += len(page)
            for account in page:
                if account is None:
                    return
                yield account

    def lookup_entries(self, ids: Sequence[int], *, refused: bool = True) -> list[Entry | None]:
        """Give entries by transfer id, None where the id is unused (or refused, if so asked)."""
        with self._lock:
            last = self._books.last_sequence
            hot = [self._books.index.get(transfer_id) for transfer_id in ids]
        # What is not found here and cools meanwhile is found in its sealed file then.
        sequences = [
            self._books.find(transfer_id) if sequence is None else sequence
            for transfer_id, sequence in zip(ids, hot, strict=True)
        ]
        return [
            self.entry(self._record(abs(sequence)))
            if 0 < abs(sequence) <= last and (refused or sequence > 0)
            else None
            for sequence in sequences
        ]

    def entries(self, after_sequence: int, limit: int | None) -> Iterator[Entry]:
        """Yield transfer entries in order, refusals included, from behind a sequence."""
        left = self._books.last_sequence if limit is None else limit
        if left <= 0:
            return
        for body in self._log.bodies(max(after_sequence, 0), self._books.last_sequence):
            record = unpack_body(body)
            if record.kind == Kind.ACCOUNT:
                continue
            yield self.entry(record)
            left -= 1
            if left == 0:
                return

    def statement(self, wanted: StatementFilter) -> list[Entry]:
        """Give one page of an account's entries."""
        if not 0 < wanted.limit <= STATEMENT_ROWS_MAX:
            raise LedgerBatchError(
                f"limit {wanted.limit}: a page has 1 to {STATEMENT_ROWS_MAX} rows"
            )
        found = self._postings(wanted.account_id)
        if found is None:
            return []
        first = self._first_at(wanted.timestamp_min)
        last = self._first_at(wanted.timestamp_max + 1) - 1
        if wanted.cursor and wanted.reverse:
            last = min(last, wanted.cursor - 1)
        elif wanted.cursor:
            first = max(first, wanted.cursor + 1)
        entries = []
        for sequence in found.between(first, last, reverse=wanted.reverse):
            record = self._record(sequence)
            if wanted.code not in (0, record.code):
                continue
            if not (wanted.debits if record.debit == found.number else wanted.credits):
                continue
            entries.append(self.entry(record))
            if len(entries) == wanted.limit:
                break
        return entries

    def balance_at(
        self, account_id: int, sequence: int | None, timestamp: int | None
    ) -> int | None:
        """Give posted credits minus posted debits as of a record or an instant."""
        found = self._postings(account_id)
        if found is None:
            return None
        last = found.last
        if sequence is not None:
            if found.born > sequence:
                return None
            last = min(last, sequence)
        if timestamp is not None:
            last = min(last, self._first_at(timestamp + 1) - 1)
            if found.born > last:
                return None
        at = next(found.between(1, last, reverse=True), 0)
        if not at:
            return 0
        record = self._record(at)
        return record.debit_balance if record.debit == found.number else record.credit_balance

    def entry(self, record: Record) -> Entry:
        """Give a transfer record as an entry."""
        pending_id = self._record(record.pending_sequence).id if record.pending_sequence else 0
        debit_id = self._account_id(record.debit)
        credit_id = self._account_id(record.credit)
        if record.unknown_id:
            if record.status == Status.DEBIT_ACCOUNT_NOT_FOUND:
                debit_id = record.unknown_id
            elif record.status == Status.CREDIT_ACCOUNT_NOT_FOUND:
                credit_id = record.unknown_id
            else:
                pending_id = record.unknown_id
        transfer = Transfer(
            id=record.id,
            debit_account_id=debit_id,
            credit_account_id=credit_id,
            amount=AMOUNT_ALL if record.amount == AMOUNT_SATURATED else record.amount,
            pending_id=pending_id,
            user_data_128=record.user_data_128,
            user_data_64=record.user_data_64,
            user_data_32=record.user_data_32,
            timeout=record.timeout,
            ledger=record.ledger,
            code=record.code,
            flags=record.flags,
            timestamp=record.timestamp,
        )
        return Entry(
            sequence=record.sequence,
            transfer=transfer,
            status=record.status or Status.CREATED,
            debit_balance_after=record.debit_balance,
            credit_balance_after=record.credit_balance,
        )

    def _account(self, row: AccountRow | None) -> Account | None:
        """Give a row's durable account; the caller holds the lock."""
        if row is None or row.sequence > self._books.last_sequence:
            return None
        saved = self._stage.before.get(row.number)
        return row.account(row.save() if saved is None else saved)

    def _account_id(self, number: int) -> int:
        return self._books.rows[number - 1].id if number else 0

    def _record(self, sequence: int) -> Record:
        return unpack_body(self._log.body(sequence))

    def _first_at(self, timestamp: int) -> int:
        """Give the sequence of the first record not before an instant; timestamps ascend."""
        last = self._books.last_sequence
        # Most questions have no bounds, or one: those are answered without a search.
        if timestamp <= 0 or last == 0:
            return 1
        if timestamp > self._timestamp(last):
            return last + 1
        return 1 + bisect_left(range(1, last + 1), timestamp, key=self._timestamp)

    def _timestamp(self, sequence: int) -> int:
        return int.from_bytes(self._log.body(sequence)[TIMESTAMP], "little")

    def _postings(self, account_id: int) -> "_Postings | None":
        with self._lock:
            row, last = self._books.accounts.get(account_id), self._books.last_sequence
            if row is None or row.sequence > last:
                return None
            return _Postings(row.number, row.sequence, last, self._books.cold, row.postings[:])


class _Postings(NamedTuple):
    """The records of one account as they stand at one moment: some sealed, some in memory."""

    number: int
    #: The sequence of the account's own record, and of the last record of all.
    born: int
    last: int
    cold: "list[SealedSegment]"
    hot: "array[int]"

    def between(self, first: int, last: int, *, reverse: bool) -> Iterator[int]:
        """Yield the sequences from `first` to `last`, both included, in either direction."""
        # A segment may answer already while its postings are still being let go of.
        sealed_upto = self.cold[-1].last_sequence if self.cold else 0
        low = bisect_left(self.hot, max(first, sealed_upto + 1))
        hot = self.hot[low : bisect_right(self.hot, last)]
        if reverse:
            yield from reversed(hot)
            for segment in reversed(self.cold):
                yield from segment.postings(self.number, first, last, reverse=True)
            return
        for segment in self.cold:
            yield from segment.postings(self.number, first, last, reverse=False)
        yield from hot
