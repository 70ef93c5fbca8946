"""Accounts are created: the checks in their order, then the record.

Source: ledger.md 1.1 and 1.2. `HISTORY` and `IMPORTED` are reserved flags here (decision 2).
"""

from ledger.books import AccountRow
from ledger.record import Kind, Record
from ledger.stage import Stage
from ledger.statuses import CreateAccountStatus as Status
from ledger.structures import ID_MAX, Account, AccountFlags

_KNOWN_FLAGS = int(
    AccountFlags.LINKED
    | AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS
    | AccountFlags.CREDITS_MUST_NOT_EXCEED_DEBITS
    | AccountFlags.CLOSED
)
_BOTH_LIMITS = int(
    AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS | AccountFlags.CREDITS_MUST_NOT_EXCEED_DEBITS
)


def create_account(stage: Stage, event: Account, timestamp: int) -> tuple[int, int]:
    """Give the answer to one account event and stage the account when it is created.

    The time is 0 when nothing took effect, and the original's when the account exists.
    """
    status = _check_envelope(event)
    if status:
        return 0, status
    known = stage.books.accounts.get(event.id)
    if known is not None:
        status = _compare(event, known)
        return (known.timestamp if status == Status.EXISTS else 0), status
    status = _check_fields(event)
    if status:
        return 0, status
    stage.add_account(
        Record(
            stage.next_sequence,
            timestamp,
            event.id,
            len(stage.books.rows) + 1,
            0,
            0,
            0,
            event.user_data_128,
            event.user_data_64,
            event.user_data_32,
            0,
            event.ledger,
            event.code,
            event.flags,
            Kind.ACCOUNT,
            0,
            0,
            0,
        )
    )
    return timestamp, Status.CREATED


def _check_envelope(event: Account) -> int:
    if event.timestamp:
        return Status.TIMESTAMP_MUST_BE_ZERO
    if event.reserved:
        return Status.RESERVED_FIELD
    if event.flags & ~_KNOWN_FLAGS:
        return Status.RESERVED_FLAG
    if event.id == 0:
        return Status.ID_MUST_NOT_BE_ZERO
    if event.id == ID_MAX:
        return Status.ID_MUST_NOT_BE_INT_MAX
    return 0


def _compare(event: Account, known: AccountRow) -> int:
    if event.flags != known.flags:
        return Status.EXISTS_WITH_DIFFERENT_FLAGS
    if event.user_data_128 != known.user_data[0]:
        return Status.EXISTS_WITH_DIFFERENT_USER_DATA_128
    if event.user_data_64 != known.user_data[1]:
        return Status.EXISTS_WITH_DIFFERENT_USER_DATA_64
    if event.user_data_32 != known.user_data[2]:
        return Status.EXISTS_WITH_DIFFERENT_USER_DATA_32
    if event.ledger != known.ledger:
        return Status.EXISTS_WITH_DIFFERENT_LEDGER
    if event.code != known.code:
        return Status.EXISTS_WITH_DIFFERENT_CODE
    return Status.EXISTS


def _check_fields(event: Account) -> int:
    if event.flags & _BOTH_LIMITS == _BOTH_LIMITS:
        return Status.FLAGS_ARE_MUTUALLY_EXCLUSIVE
    if event.debits_pending:
        return Status.DEBITS_PENDING_MUST_BE_ZERO
    if event.debits_posted:
        return Status.DEBITS_POSTED_MUST_BE_ZERO
    if event.credits_pending:
        return Status.CREDITS_PENDING_MUST_BE_ZERO
    if event.credits_posted:
        return Status.CREDITS_POSTED_MUST_BE_ZERO
    if event.ledger == 0:
        return Status.LEDGER_MUST_NOT_BE_ZERO
    if event.code == 0:
        return Status.CODE_MUST_NOT_BE_ZERO
    return 0
