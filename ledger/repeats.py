"""Idempotency: what a transfer whose id is taken is answered.

Source: ledger.md 1.2 rules 3 and 4. The answer follows from the first record alone, never from the
state of the accounts, so it is the same for ever.
"""

from collections.abc import Callable

from ledger.books import POST_PENDING, VOID_PENDING
from ledger.events import TransferEvent
from ledger.record import Record
from ledger.statuses import CreateTransferStatus as Status
from ledger.structures import AMOUNT_ALL, TransferFlags

_RESOLVES = POST_PENDING | VOID_PENDING
_BALANCING = int(TransferFlags.BALANCING_DEBIT | TransferFlags.BALANCING_CREDIT)

#: The account id behind a dense number.
AccountId = Callable[[int], int]


def compare_repeat(
    event: TransferEvent, record: Record, pending: Record | None, account_id: AccountId
) -> Status:
    """Give EXISTS, or the first field in which the event differs from its record.

    `pending` is the pending transfer that the record resolved, None when it resolved none.
    """
    (_id, debit_id, credit_id, amount, pending_id, _, _, _, timeout, ledger, code, flags, _) = event
    if flags != record.flags:
        return Status.EXISTS_WITH_DIFFERENT_FLAGS
    if pending_id != (pending.id if pending is not None else 0):
        return Status.EXISTS_WITH_DIFFERENT_PENDING_ID
    if timeout != record.timeout:
        return Status.EXISTS_WITH_DIFFERENT_TIMEOUT
    inherits = bool(flags & _RESOLVES)
    if debit_id != account_id(record.debit) and not (inherits and debit_id == 0):
        return Status.EXISTS_WITH_DIFFERENT_DEBIT_ACCOUNT_ID
    if credit_id != account_id(record.credit) and not (inherits and credit_id == 0):
        return Status.EXISTS_WITH_DIFFERENT_CREDIT_ACCOUNT_ID
    if not _same_amount(amount, flags, record, pending):
        return Status.EXISTS_WITH_DIFFERENT_AMOUNT
    status = _compare_user_data(event, record, pending)
    if status is not None:
        return status
    if ledger != record.ledger and not (inherits and ledger == 0):
        return Status.EXISTS_WITH_DIFFERENT_LEDGER
    if code != record.code and not (inherits and code == 0):
        return Status.EXISTS_WITH_DIFFERENT_CODE
    return Status.EXISTS


def _same_amount(amount: int, flags: int, record: Record, pending: Record | None) -> bool:
    if pending is not None:
        everything = 0 if flags & VOID_PENDING else AMOUNT_ALL
        if amount == everything:
            return record.amount == pending.amount
    elif flags & _BALANCING:
        return amount >= record.amount
    return amount == record.amount


def _compare_user_data(
    event: TransferEvent, record: Record, pending: Record | None
) -> Status | None:
    given = event[5:8]
    if pending is not None:
        inherited = (pending.user_data_128, pending.user_data_64, pending.user_data_32)
        given = (
            given[0] or inherited[0],
            given[1] or inherited[1],
            given[2] or inherited[2],
        )
    if given[0] != record.user_data_128:
        return Status.EXISTS_WITH_DIFFERENT_USER_DATA_128
    if given[1] != record.user_data_64:
        return Status.EXISTS_WITH_DIFFERENT_USER_DATA_64
    if given[2] != record.user_data_32:
        return Status.EXISTS_WITH_DIFFERENT_USER_DATA_32
    return None
