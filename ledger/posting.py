"""Transfers that move or reserve money: the checks in their order, then the change.

Source: ledger.md 1.2, rule 5 (order of checks), 6 to 10. The order is part of the contract and is
written in docs/reference/transfer.md. Each function is one stretch of that order.
"""

from ledger.books import (
    CLOSED,
    CLOSING_CREDIT,
    CLOSING_DEBIT,
    CREDITS_LIMITED,
    DEBITS_LIMITED,
    NANOSECONDS,
    PENDING,
    POST_PENDING,
    VOID_PENDING,
    AccountRow,
    PendingRow,
)
from ledger.events import TransferEvent
from ledger.log import SegmentedLog
from ledger.record import AMOUNT_SATURATED, BODY, Kind, Record, pack_body, unpack_body
from ledger.repeats import compare_repeat
from ledger.resolving import resolve
from ledger.stage import Stage
from ledger.statuses import CreateTransferStatus as Status
from ledger.structures import AMOUNT_MAX, ID_MAX, TIMESTAMP_MAX, TransferFlags

#: Bits that are no flag of ours: IMPORTED and above (design decision 2).
_RESERVED = 0xFFFF & ~0xFF
_RESOLVES = POST_PENDING | VOID_PENDING
_CLOSING = CLOSING_DEBIT | CLOSING_CREDIT
_BALANCING_DEBIT = int(TransferFlags.BALANCING_DEBIT)
_BALANCING_CREDIT = int(TransferFlags.BALANCING_CREDIT)
_BALANCING = _BALANCING_DEBIT | _BALANCING_CREDIT
# A lookup on an enumeration costs more than the check around it; these stand in the hot path.
_CREATED = int(Status.CREATED)
_KIND_PENDING = int(Kind.PENDING)
_KIND_TRANSFER = int(Kind.TRANSFER)

#: A timestamp and a status, as they go into the result.
Answer = tuple[int, int]


class TransferMachine:
    """Posts transfers into a stage, one by one."""

    def __init__(self, stage: Stage, log: SegmentedLog) -> None:
        self._stage = stage
        self._books = stage.books
        self._log = log
        self._index = stage.books.index.get

    def execute(self, event: TransferEvent, timestamp: int) -> Answer:
        """Give the answer to one event and put its effect, if any, on the stage."""
        transfer_id, flags = event[0], event[11]
        if event[12]:
            return timestamp, Status.TIMESTAMP_MUST_BE_ZERO
        if flags & _RESERVED:
            return timestamp, Status.RESERVED_FLAG
        if transfer_id == 0:
            return timestamp, Status.ID_MUST_NOT_BE_ZERO
        if transfer_id == ID_MAX:
            return timestamp, Status.ID_MUST_NOT_BE_INT_MAX
        sequence = self._index(transfer_id)
        if sequence is None and self._books.cold:
            sequence = self._books.find(transfer_id)
        if sequence:
            return self._repeat(event, sequence, timestamp)
        if flags & _RESOLVES:
            return timestamp, resolve(self._stage, self.record, event, timestamp)
        return timestamp, _check_shape(event) or self._move(event, timestamp)

    def refuse(self, event: TransferEvent, timestamp: int, status: int) -> None:
        """Record a transient refusal, so that the id is burnt for ever."""
        stage, books = self._stage, self._books
        debit = books.accounts.get(event[1])
        credit = books.accounts.get(event[2])
        pending_sequence = books.find(event[4]) if event[4] else 0
        unknown = {
            Status.DEBIT_ACCOUNT_NOT_FOUND: event[1],
            Status.CREDIT_ACCOUNT_NOT_FOUND: event[2],
            Status.PENDING_TRANSFER_NOT_FOUND: event[4],
        }.get(Status(status), 0)
        record = Record(
            stage.next_sequence,
            timestamp,
            event[0],
            debit.number if debit else 0,
            credit.number if credit else 0,
            min(event[3], AMOUNT_SATURATED),
            max(pending_sequence, 0),
            *event[5:12],
            Kind.REFUSAL,
            status,
            debit.credits_posted - debit.debits_posted if debit else 0,
            credit.credits_posted - credit.debits_posted if credit else 0,
            unknown,
        )
        stage.take_id(event[0], -record.sequence)
        stage.add(pack_body(record), None)

    def record(self, sequence: int) -> Record:
        """Give a record, durable or staged."""
        staged = sequence - self._books.last_sequence - 1
        body = self._stage.bodies[staged] if staged >= 0 else self._log.body(sequence)
        return unpack_body(body)

    def _repeat(self, event: TransferEvent, sequence: int, timestamp: int) -> Answer:
        if sequence < 0:
            return timestamp, Status.ID_ALREADY_FAILED
        record = self.record(sequence)
        pending = self.record(record.pending_sequence) if record.pending_sequence else None
        status = compare_repeat(
            event, record, pending, lambda number: self._books.rows[number - 1].id
        )
        return (record.timestamp if status is Status.EXISTS else timestamp), status

    def _move(self, event: TransferEvent, timestamp: int) -> int:
        accounts, flags = self._books.accounts, event[11]
        debit = accounts.get(event[1])
        if debit is None:
            return Status.DEBIT_ACCOUNT_NOT_FOUND
        credit = accounts.get(event[2])
        if credit is None:
            return Status.CREDIT_ACCOUNT_NOT_FOUND
        if debit.ledger != credit.ledger:
            return Status.ACCOUNTS_MUST_HAVE_THE_SAME_LEDGER
        if event[9] != debit.ledger:
            return Status.TRANSFER_MUST_HAVE_THE_SAME_LEDGER_AS_ACCOUNTS
        if debit.flags & CLOSED:
            return Status.DEBIT_ACCOUNT_ALREADY_CLOSED
        if credit.flags & CLOSED:
            return Status.CREDIT_ACCOUNT_ALREADY_CLOSED
        amount = event[3]
        if flags & _BALANCING:
            amount = _balance(amount, flags, debit, credit)
        # No balance passes 2^63-1, so an amount above it is refused here too.
        debits = debit.debits_pending + debit.debits_posted + amount
        credits_ = credit.credits_pending + credit.credits_posted + amount
        if debits > AMOUNT_MAX or credits_ > AMOUNT_MAX:
            return _overflow(amount, flags & PENDING, debit, credit)
        if timestamp + event[8] * NANOSECONDS > TIMESTAMP_MAX:
            return Status.OVERFLOWS_TIMEOUT
        if debit.flags & DEBITS_LIMITED and debits > debit.credits_posted:
            return Status.EXCEEDS_CREDITS
        if credit.flags & CREDITS_LIMITED and credits_ > credit.debits_posted:
            return Status.EXCEEDS_DEBITS
        self._apply(event, timestamp, amount, debit, credit)
        return _CREATED

    def _apply(
        self, event: TransferEvent, time: int, amount: int, debit: AccountRow, credit: AccountRow
    ) -> None:
        stage, flags = self._stage, event[11]
        before, bodies = stage.before, stage.bodies
        if debit.number not in before or stage.chain is not None:
            stage.touch(debit)
        if credit.number not in before or stage.chain is not None:
            stage.touch(credit)
        sequence = self._books.last_sequence + len(bodies) + 1
        if flags & PENDING:
            debit.debits_pending += amount
            credit.credits_pending += amount
        else:
            debit.debits_posted += amount
            credit.credits_posted += amount
        body = BODY.pack(
            sequence,
            time,
            event[0].to_bytes(16, "little"),
            debit.number,
            credit.number,
            amount,
            0,
            event[5].to_bytes(16, "little"),
            *event[6:12],
            _KIND_PENDING if flags & PENDING else _KIND_TRANSFER,
            0,
            debit.credits_posted - debit.debits_posted,
            credit.credits_posted - credit.debits_posted,
        )
        bodies.append(body)
        stage.postings.append((debit, credit))
        stage.take_id(event[0], sequence)
        if flags & PENDING:
            stage.open_hold(PendingRow(unpack_body(body), debit, credit))
            if flags & CLOSING_DEBIT:
                debit.flags |= CLOSED
            if flags & CLOSING_CREDIT:
                credit.flags |= CLOSED


def _check_shape(event: TransferEvent) -> int:
    """Check what an event says about itself; give 0 when nothing is wrong."""
    (_, debit_id, credit_id, _, pending_id, _, _, _, timeout, ledger, code, flags, _) = event
    if debit_id == 0:
        return Status.DEBIT_ACCOUNT_ID_MUST_NOT_BE_ZERO
    if debit_id == ID_MAX:
        return Status.DEBIT_ACCOUNT_ID_MUST_NOT_BE_INT_MAX
    if credit_id == 0:
        return Status.CREDIT_ACCOUNT_ID_MUST_NOT_BE_ZERO
    if credit_id == ID_MAX:
        return Status.CREDIT_ACCOUNT_ID_MUST_NOT_BE_INT_MAX
    if debit_id == credit_id:
        return Status.ACCOUNTS_MUST_BE_DIFFERENT
    if pending_id:
        return Status.PENDING_ID_MUST_BE_ZERO
    if not flags & PENDING:
        if timeout:
            return Status.TIMEOUT_RESERVED_FOR_PENDING_TRANSFER
        if flags & _CLOSING:
            return Status.CLOSING_TRANSFER_MUST_BE_PENDING
    if ledger == 0:
        return Status.LEDGER_MUST_NOT_BE_ZERO
    if code == 0:
        return Status.CODE_MUST_NOT_BE_ZERO
    return 0


def _balance(amount: int, flags: int, debit: AccountRow, credit: AccountRow) -> int:
    """Give how much a balancing transfer moves: at most what keeps the balance from crossing 0."""
    if flags & _BALANCING_DEBIT:
        left = debit.credits_posted - debit.debits_posted - debit.debits_pending
        amount = min(amount, max(left, 0))
    if flags & _BALANCING_CREDIT:
        left = credit.debits_posted - credit.credits_posted - credit.credits_pending
        amount = min(amount, max(left, 0))
    return amount


def _overflow(amount: int, pending: int, debit: AccountRow, credit: AccountRow) -> int:
    """Say which balance `amount` more would take beyond 2^63-1."""
    if pending:
        if debit.debits_pending + amount > AMOUNT_MAX:
            return Status.OVERFLOWS_DEBITS_PENDING
        if credit.credits_pending + amount > AMOUNT_MAX:
            return Status.OVERFLOWS_CREDITS_PENDING
    if debit.debits_posted + amount > AMOUNT_MAX:
        return Status.OVERFLOWS_DEBITS_POSTED
    if credit.credits_posted + amount > AMOUNT_MAX:
        return Status.OVERFLOWS_CREDITS_POSTED
    debits = debit.debits_pending + debit.debits_posted + amount
    return Status.OVERFLOWS_DEBITS if debits > AMOUNT_MAX else Status.OVERFLOWS_CREDITS
