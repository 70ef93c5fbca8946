"""The books: accounts, ids and holds as the log's records make them.

`replay` builds them from records and checks every record against what came before; the batch
runner changes them directly. Balances are bounded by 2^63-1 each, and their sum per side too.
"""

import heapq
from array import array
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import Any

from ledger.record import KIND_OFFSET, UNKNOWN_ID_STATUSES, Kind, Record, unpack_body
from ledger.sealed import SealedSegment, cold_find
from ledger.statuses import TRANSIENT_STATUSES
from ledger.structures import Account, AccountFlags, TransferFlags

NANOSECONDS = 1_000_000_000
DEBITS_LIMITED = int(AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS)
CREDITS_LIMITED = int(AccountFlags.CREDITS_MUST_NOT_EXCEED_DEBITS)
CLOSED = int(AccountFlags.CLOSED)
PENDING = int(TransferFlags.PENDING)
POST_PENDING = int(TransferFlags.POST_PENDING_TRANSFER)
VOID_PENDING = int(TransferFlags.VOID_PENDING_TRANSFER)
CLOSING_DEBIT = int(TransferFlags.CLOSING_DEBIT)
CLOSING_CREDIT = int(TransferFlags.CLOSING_CREDIT)

#: Ids that are let go of under one hold of the lock: about half a millisecond.
_COOL_RECORDS = 4_096
#: The four balances and the flags of an account: what a transfer can change.
Saved = tuple[int, int, int, int, int]


class AccountRow:
    """One account in memory. `number` is dense from 1; `postings` are sequences, ascending."""

    __slots__ = (
        "code",
        "credits_pending",
        "credits_posted",
        "debits_pending",
        "debits_posted",
        "flags",
        "id",
        "ledger",
        "number",
        "postings",
        "sequence",
        "timestamp",
        "user_data",
    )

    def __init__(self, record: Record) -> None:
        self.number = record.debit
        self.id = record.id
        self.ledger = record.ledger
        self.code = record.code
        self.flags = record.flags
        self.user_data = (record.user_data_128, record.user_data_64, record.user_data_32)
        self.timestamp = record.timestamp
        self.sequence = record.sequence
        self.debits_pending = 0
        self.debits_posted = 0
        self.credits_pending = 0
        self.credits_posted = 0
        #: Of records in raw segments only; those of sealed ones stand in their files.
        self.postings = array("Q")

    @classmethod
    def restored(cls, number: int, account: Account, sequence: int) -> "AccountRow":
        """Give the row of an account as a snapshot holds it."""
        row = cls(_record_of(number, account, sequence))
        row.debits_pending, row.debits_posted = account.debits_pending, account.debits_posted
        row.credits_pending, row.credits_posted = account.credits_pending, account.credits_posted
        return row

    def save(self) -> Saved:
        """Give what a transfer can change."""
        return (
            self.debits_pending,
            self.debits_posted,
            self.credits_pending,
            self.credits_posted,
            self.flags,
        )

    def restore(self, saved: Saved) -> None:
        """Put back what `save` gave."""
        (
            self.debits_pending,
            self.debits_posted,
            self.credits_pending,
            self.credits_posted,
            self.flags,
        ) = saved

    def account(self, saved: Saved) -> Account:
        """Give the account as a value, with the balances and flags of `saved`."""
        return Account(
            id=self.id,
            debits_pending=saved[0],
            debits_posted=saved[1],
            credits_pending=saved[2],
            credits_posted=saved[3],
            user_data_128=self.user_data[0],
            user_data_64=self.user_data[1],
            user_data_32=self.user_data[2],
            ledger=self.ledger,
            code=self.code,
            flags=saved[4],
            timestamp=self.timestamp,
        )


class PendingRow:
    """One open hold. `expires_at` is nanoseconds UTC, 0 when it never expires."""

    __slots__ = ("credit", "debit", "expires_at", "record")

    def __init__(self, record: Record, debit: AccountRow, credit: AccountRow) -> None:
        self.record = record
        self.debit = debit
        self.credit = credit
        self.expires_at = expiry(record)


class Books:
    """Everything the ledger knows about money and ids.

    What belongs to sealed segments (their ids, postings and resolutions) stays in their files and
    is looked up there: memory holds what is open, and what is not sealed yet.
    """

    def __init__(self) -> None:
        self.rows: list[AccountRow] = []
        self.accounts: dict[int, AccountRow] = {}
        #: Transfer id to sequence; negative when the id was burnt by a refusal.
        self.index: dict[int, int] = {}
        self.pendings: dict[int, PendingRow] = {}
        #: Sequence of a pending transfer to the kind of record that resolved it.
        self.resolved: dict[int, Kind] = {}
        self.expiries: list[tuple[int, int]] = []
        #: The sealed segments whose part of the books stands in their files, by number.
        self.cold: list[SealedSegment] = []
        self.last_sequence = 0
        self.last_timestamp = 0

    def find(self, transfer_id: int) -> int:
        """Give the sequence of an id's record, negative when it was refused; 0: the id is free."""
        sequence = self.index.get(transfer_id)
        if sequence is not None:
            return sequence
        return cold_find(self.cold, transfer_id) if self.cold else 0

    def resolution(self, pending_sequence: int) -> Kind | None:
        """Give what resolved a pending transfer, None when nothing has."""
        kind = self.resolved.get(pending_sequence)
        if kind is None:
            for segment in self.cold:
                if segment.last_sequence > pending_sequence:
                    sequence = segment.resolution(pending_sequence)
                    if sequence:
                        return Kind(segment.body(sequence)[KIND_OFFSET])
        return kind

    def cool_all(
        self, segments: Sequence[object], lock: AbstractContextManager[Any] | None = None
    ) -> None:
        """Let go of what sealed segments answer for, up to the first that is raw still.

        They cool in their order only: what is in memory of an account is the end of its postings.
        """
        for segment in segments[len(self.cold) :]:
            if not isinstance(segment, SealedSegment):
                break
            self.cool(segment, lock or nullcontext())

    def cool(self, sealed: SealedSegment, lock: AbstractContextManager[Any]) -> None:
        """Let go of what a sealed segment now answers for. Takes the lock for a moment at a time.

        The segment answers before anything is let go, so that no lookup misses it in between.
        """
        with lock:
            assert sealed.number == len(self.cold) + 1
            self.cold = [*self.cold, sealed]
        ids, index = sealed.ids(), self.index
        while chunk := list(islice(ids, _COOL_RECORDS)):
            with lock:
                for transfer_id in chunk:
                    index.pop(transfer_id, None)
        for number, count in sealed.posting_counts():
            row = self._row(number)
            with lock:
                held = row.postings if row is not None else array("Q")
                if not 0 < count <= len(held) or held[count - 1] > sealed.last_sequence:
                    place = sealed.parts.posting_accounts
                    sealed.corrupt(place.offset, f"the postings of account {number} are not those")
                del held[:count]
        for pending_sequence in sealed.resolved():
            with lock:
                self.resolved.pop(pending_sequence, None)

    def open_hold(self, pending: PendingRow) -> None:
        """Take a hold into the books; its amount is already in the balances."""
        self.pendings[pending.record.sequence] = pending
        if pending.expires_at:
            heapq.heappush(self.expiries, (pending.expires_at, pending.record.sequence))

    def resolve_hold(self, pending: PendingRow, kind: Kind, amount: int) -> None:
        """Release a hold: post `amount` of it, or nothing of it when voided or expired."""
        record, debit, credit = pending.record, pending.debit, pending.credit
        debit.debits_pending -= record.amount
        credit.credits_pending -= record.amount
        if kind is Kind.POST:
            debit.debits_posted += amount
            credit.credits_posted += amount
        else:
            if record.flags & CLOSING_DEBIT:
                debit.flags &= ~CLOSED
            if record.flags & CLOSING_CREDIT:
                credit.flags &= ~CLOSED
        del self.pendings[record.sequence]
        self.resolved[record.sequence] = kind

    def sum_minor(self) -> int:
        """Give all posted credits minus all posted debits: 0 in sound books."""
        return sum(row.credits_posted - row.debits_posted for row in self.rows)

    def replay(self, body: bytes) -> str | None:
        """Take the next record of the log; give what is wrong with it, None when nothing is."""
        record = unpack_body(body)
        if record.sequence != self.last_sequence + 1:
            return f"sequence {record.sequence} where {self.last_sequence + 1} is due"
        if record.timestamp <= self.last_timestamp:
            return "the timestamp does not increase"
        replayer = _REPLAYERS.get(record.kind)
        if replayer is None:
            return f"record kind {record.kind} is not one of version 1"
        wrong = replayer(self, record)
        if wrong is None:
            self.last_sequence = record.sequence
            self.last_timestamp = record.timestamp
        return wrong

    def _row(self, number: int) -> AccountRow | None:
        return self.rows[number - 1] if 0 < number <= len(self.rows) else None


def _over_limit(debit: AccountRow, credit: AccountRow) -> str | None:
    """Give what is wrong when an account is beyond what its flag allows."""
    debits = debit.debits_pending + debit.debits_posted
    if debit.flags & DEBITS_LIMITED and debits > debit.credits_posted:
        return "debits beyond credits on an account that forbids it"
    credits_ = credit.credits_pending + credit.credits_posted
    if credit.flags & CREDITS_LIMITED and credits_ > credit.debits_posted:
        return "credits beyond debits on an account that forbids it"
    return None


def expiry(record: Record) -> int:
    """Give the instant a pending transfer expires in nanoseconds UTC, 0 for never."""
    return record.timestamp + record.timeout * NANOSECONDS if record.timeout else 0


def _replay_account(books: Books, record: Record) -> str | None:
    if record.id in books.accounts or record.debit != len(books.rows) + 1 or record.status:
        return "an account that exists already, or out of order"
    row = AccountRow(record)
    books.rows.append(row)
    books.accounts[record.id] = row
    return None


def _replay_transfer(books: Books, record: Record) -> str | None:
    debit, credit = books._row(record.debit), books._row(record.credit)
    if debit is None or credit is None or debit is credit or record.status:
        return "a transfer without two accounts"
    if not debit.ledger == credit.ledger == record.ledger:
        return "a transfer across ledgers"
    if books.find(record.id):
        return "an id used twice"
    if record.flags & CLOSED_BY and record.kind != Kind.PENDING:
        return "a closing that is not pending"
    if (debit.flags | credit.flags) & CLOSED:
        return "a transfer on a closed account"
    if record.kind == Kind.PENDING:
        debit.debits_pending += record.amount
        credit.credits_pending += record.amount
        if record.flags & CLOSING_DEBIT:
            debit.flags |= CLOSED
        if record.flags & CLOSING_CREDIT:
            credit.flags |= CLOSED
        books.open_hold(PendingRow(record, debit, credit))
    else:
        debit.debits_posted += record.amount
        credit.credits_posted += record.amount
    wrong = _over_limit(debit, credit)
    if wrong is not None:
        return wrong
    books.index[record.id] = record.sequence
    return _replay_balances(record, debit, credit)


def _replay_resolution(books: Books, record: Record) -> str | None:
    pending = books.pendings.get(record.pending_sequence)
    if pending is None or record.status:
        return "a resolution of a transfer that is not pending"
    debit, credit = pending.debit, pending.credit
    if (debit.number, credit.number) != (record.debit, record.credit):
        return "a resolution on other accounts than the pending transfer's"
    if record.amount > pending.record.amount:
        return "a resolution of more than was pending"
    if record.kind != Kind.EXPIRE:
        if books.find(record.id):
            return "an id used twice"
        books.index[record.id] = record.sequence
    elif not 0 < pending.expires_at <= record.timestamp:
        return "an expiry before its time"
    books.resolve_hold(pending, Kind(record.kind), record.amount)
    return _replay_balances(record, debit, credit)


def _replay_refusal(books: Books, record: Record) -> str | None:
    if record.status not in TRANSIENT_STATUSES:
        return f"a refusal with status {record.status}"
    if books.find(record.id):
        return "an id used twice"
    if record.status not in UNKNOWN_ID_STATUSES:
        for number, balance in (
            (record.debit, record.debit_balance),
            (record.credit, record.credit_balance),
        ):
            row = books._row(number)
            if balance != (0 if row is None else row.credits_posted - row.debits_posted):
                return "a refusal whose balance is not what the history gives"
    books.index[record.id] = -record.sequence
    return None


def _replay_balances(record: Record, debit: AccountRow, credit: AccountRow) -> str | None:
    debit.postings.append(record.sequence)
    credit.postings.append(record.sequence)
    if record.debit_balance != debit.credits_posted - debit.debits_posted:
        return "the debit account's balance is not what its history gives"
    if record.credit_balance != credit.credits_posted - credit.debits_posted:
        return "the credit account's balance is not what its history gives"
    return None


def _record_of(number: int, account: Account, sequence: int) -> Record:
    """Give the record that made an account; its flags are those it has now."""
    return Record(
        sequence, account.timestamp, account.id, number, 0, 0, 0, account.user_data_128,
        account.user_data_64, account.user_data_32, 0, account.ledger, account.code,
        account.flags, Kind.ACCOUNT, 0, 0, 0,
    )  # fmt: skip


CLOSED_BY = CLOSING_DEBIT | CLOSING_CREDIT
_REPLAYERS: dict[int, Callable[[Books, Record], str | None]] = {
    Kind.ACCOUNT: _replay_account,
    Kind.TRANSFER: _replay_transfer,
    Kind.PENDING: _replay_transfer,
    Kind.POST: _replay_resolution,
    Kind.VOID: _replay_resolution,
    Kind.EXPIRE: _replay_resolution,
    Kind.REFUSAL: _replay_refusal,
}
