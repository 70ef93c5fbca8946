"""Reads: accounts, entries, statements and balances of the durable state.

A lookup takes the state lock for a moment and then reads the log beside the writer; what is on the
stage and not yet durable is not seen.
"""

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from ledger.books import AccountRow, Books
from ledger.errors import LedgerBatchError
from ledger.limits import STATEMENT_ROWS_MAX
from ledger.log import SegmentedLog
from ledger.port import Entry, StatementFilter
from ledger.record import AMOUNT_SATURATED, Kind, Record, unpack_body
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
            sequences = [self._books.index.get(transfer_id, 0) for transfer_id in ids]
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
        row, postings = self._postings(wanted.account_id)
        if row is None:
            return []
        found = []
        for sequence in self._page(postings, wanted):
            record = self._record(sequence)
            if wanted.code not in (0, record.code):
                continue
            if not (wanted.debits if record.debit == row.number else wanted.credits):
                continue
            found.append(self.entry(record))
            if len(found) == wanted.limit:
                break
        return found

    def balance_at(
        self, account_id: int, sequence: int | None, timestamp: int | None
    ) -> int | None:
        """Give posted credits minus posted debits as of a record or an instant."""
        row, postings = self._postings(account_id)
        if row is None:
            return None
        end = len(postings)
        if sequence is not None:
            if row.sequence > sequence:
                return None
            end = bisect_right(postings, sequence)
        if timestamp is not None:
            if row.timestamp > timestamp:
                return None
            end = min(end, bisect_right(postings, timestamp, key=self._timestamp))
        if end == 0:
            return 0
        record = self._record(postings[end - 1])
        return record.debit_balance if record.debit == row.number else record.credit_balance

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

    def _timestamp(self, sequence: int) -> int:
        return self._record(sequence).timestamp

    def _postings(self, account_id: int) -> tuple[AccountRow | None, Sequence[int]]:
        with self._lock:
            row = self._books.accounts.get(account_id)
            if row is None or row.sequence > self._books.last_sequence:
                return None, ()
            return row, row.postings[:]

    def _page(self, postings: Sequence[int], wanted: StatementFilter) -> Sequence[int]:
        start = bisect_left(postings, wanted.timestamp_min, key=self._timestamp)
        end = bisect_right(postings, wanted.timestamp_max, key=self._timestamp)
        if wanted.cursor and wanted.reverse:
            end = min(end, bisect_left(postings, wanted.cursor))
        elif wanted.cursor:
            start = max(start, bisect_right(postings, wanted.cursor))
        page = postings[start:end]
        return page[::-1] if wanted.reverse else page
