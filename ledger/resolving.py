"""Post, void and expiry: how a hold ends. Each hold ends once.

Source: ledger.md 1.2, rules 6, 7 and 10.
"""

from collections.abc import Callable

from ledger.books import (
    CLOSED,
    CLOSING_CREDIT,
    CLOSING_DEBIT,
    PENDING,
    POST_PENDING,
    VOID_PENDING,
    PendingRow,
    expiry,
)
from ledger.events import TransferEvent
from ledger.record import Kind, Record, pack_body
from ledger.stage import Stage
from ledger.statuses import CreateTransferStatus as Status
from ledger.structures import AMOUNT_ALL, ID_MAX, TransferFlags

_NOT_WITH_RESOLVING = (
    PENDING
    | CLOSING_DEBIT
    | CLOSING_CREDIT
    | int(TransferFlags.BALANCING_DEBIT | TransferFlags.BALANCING_CREDIT)
)
_BOTH = POST_PENDING | VOID_PENDING
_RESOLVED_STATUS = {
    Kind.POST: Status.PENDING_TRANSFER_ALREADY_POSTED,
    Kind.VOID: Status.PENDING_TRANSFER_ALREADY_VOIDED,
    Kind.EXPIRE: Status.PENDING_TRANSFER_EXPIRED,
}


def resolve(
    stage: Stage,
    record_at: Callable[[int], Record],
    event: TransferEvent,
    timestamp: int,
) -> int:
    """Post or void a hold; give the status."""
    status = _check_shape(event)
    if status:
        return status
    books = stage.books
    sequence = books.find(event[4])
    if sequence <= 0:
        return Status.PENDING_TRANSFER_NOT_FOUND
    row = books.pendings.get(sequence)
    hold = row.record if row is not None else record_at(sequence)
    if hold.kind != Kind.PENDING:
        return Status.PENDING_TRANSFER_NOT_PENDING
    debit, credit = books.rows[hold.debit - 1], books.rows[hold.credit - 1]
    status = _compare(event, hold, debit.id, credit.id)
    if status:
        return status
    if row is None:
        kind = books.resolution(sequence)
        assert kind is not None, "a hold that is not open was resolved"
        return _RESOLVED_STATUS[kind]
    if 0 < expiry(hold) <= timestamp:
        return Status.PENDING_TRANSFER_EXPIRED
    if not event[11] & VOID_PENDING:
        if debit.flags & CLOSED:
            return Status.DEBIT_ACCOUNT_ALREADY_CLOSED
        if credit.flags & CLOSED:
            return Status.CREDIT_ACCOUNT_ALREADY_CLOSED
    kind = Kind.VOID if event[11] & VOID_PENDING else Kind.POST
    amount = _amount(event, hold)
    user_data = (
        event[5] or hold.user_data_128,
        event[6] or hold.user_data_64,
        event[7] or hold.user_data_32,
    )
    _finish(stage, row, kind, amount, (event[0], timestamp, event[11]), user_data)
    return Status.CREATED


def expire(stage: Stage, row: PendingRow, timestamp: int) -> None:
    """Release a hold whose time has come, as a record of the ledger's own."""
    hold = row.record
    user_data = (hold.user_data_128, hold.user_data_64, hold.user_data_32)
    _finish(stage, row, Kind.EXPIRE, hold.amount, (0, timestamp, VOID_PENDING), user_data)


def _finish(
    stage: Stage,
    row: PendingRow,
    kind: Kind,
    amount: int,
    who: tuple[int, int, int],
    user_data: tuple[int, int, int],
) -> None:
    transfer_id, timestamp, flags = who
    hold, debit, credit = row.record, row.debit, row.credit
    stage.resolve_hold(row, kind, amount)
    record = Record(
        stage.next_sequence,
        timestamp,
        transfer_id,
        debit.number,
        credit.number,
        amount,
        hold.sequence,
        *user_data,
        0,
        hold.ledger,
        hold.code,
        flags,
        kind,
        0,
        debit.credits_posted - debit.debits_posted,
        credit.credits_posted - credit.debits_posted,
    )
    if transfer_id:
        stage.take_id(transfer_id, record.sequence)
    stage.add(pack_body(record), (debit, credit))


def _check_shape(event: TransferEvent) -> int:
    flags, pending_id = event[11], event[4]
    if flags & _BOTH == _BOTH or flags & _NOT_WITH_RESOLVING:
        return Status.FLAGS_ARE_MUTUALLY_EXCLUSIVE
    if pending_id == 0:
        return Status.PENDING_ID_MUST_NOT_BE_ZERO
    if pending_id == ID_MAX:
        return Status.PENDING_ID_MUST_NOT_BE_INT_MAX
    if pending_id == event[0]:
        return Status.PENDING_ID_MUST_BE_DIFFERENT
    if event[8]:
        return Status.TIMEOUT_RESERVED_FOR_PENDING_TRANSFER
    return 0


def _amount(event: TransferEvent, hold: Record) -> int:
    everything = 0 if event[11] & VOID_PENDING else AMOUNT_ALL
    return hold.amount if event[3] == everything else event[3]


def _compare(event: TransferEvent, hold: Record, debit_id: int, credit_id: int) -> int:
    if event[1] and event[1] != debit_id:
        return Status.PENDING_TRANSFER_HAS_DIFFERENT_DEBIT_ACCOUNT_ID
    if event[2] and event[2] != credit_id:
        return Status.PENDING_TRANSFER_HAS_DIFFERENT_CREDIT_ACCOUNT_ID
    if event[9] and event[9] != hold.ledger:
        return Status.PENDING_TRANSFER_HAS_DIFFERENT_LEDGER
    if event[10] and event[10] != hold.code:
        return Status.PENDING_TRANSFER_HAS_DIFFERENT_CODE
    amount = _amount(event, hold)
    if amount > hold.amount:
        return Status.EXCEEDS_PENDING_TRANSFER_AMOUNT
    if event[11] & VOID_PENDING and amount < hold.amount:
        return Status.PENDING_TRANSFER_HAS_DIFFERENT_AMOUNT
    return 0
