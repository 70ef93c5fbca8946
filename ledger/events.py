"""Transfer events as the state machine takes them: plain tuples, checked for their widths.

A tuple costs a tenth of a frozen dataclass, and a batch has thousands of them.
"""

from collections.abc import Iterable, Sequence
from operator import attrgetter
from struct import Struct
from typing import cast

from ledger.errors import LedgerBatchError
from ledger.structures import RECORD_SIZE, Account, Transfer

#: id, debit_account_id, credit_account_id, amount, pending_id, user_data_128, user_data_64,
#: user_data_32, timeout, ledger, code, flags, timestamp: the order of the 128-byte layout.
TransferEvent = tuple[int, int, int, int, int, int, int, int, int, int, int, int, int]

_LAYOUT = Struct("<2Q2Q2Q2Q2Q2QQIIIHHQ")
_fields = attrgetter(
    "id",
    "debit_account_id",
    "credit_account_id",
    "amount",
    "pending_id",
    "user_data_128",
    "user_data_64",
    "user_data_32",
    "timeout",
    "ledger",
    "code",
    "flags",
    "timestamp",
)


def transfer_events(transfers: Iterable[Transfer]) -> list[TransferEvent]:
    """Give the events of transfers. Raise `LedgerBatchError` when a field is out of its width."""
    events = []
    for position, transfer in enumerate(transfers):
        event = cast(TransferEvent, _fields(transfer))
        (a, b, c, d, e, f, user_data_64, user_data_32, timeout, ledger, code, flags, time) = event
        if (
            (a | b | c | d | e | f) >> 128
            or (user_data_64 | time) >> 64
            or (user_data_32 | timeout | ledger) >> 32
            or (code | flags) >> 16
        ):
            raise LedgerBatchError(
                f"event {position}: a field is negative or wider than its place in the 128-byte "
                "layout; see docs/reference/transfer.md"
            )
        events.append(event)
    return events


def unpack_events(batch: bytes | memoryview) -> list[TransferEvent]:
    """Give the events of a packed batch. Raise `LedgerBatchError` on a broken length."""
    if len(batch) % RECORD_SIZE:
        raise LedgerBatchError(
            f"a packed batch of {len(batch)} bytes is not a multiple of {RECORD_SIZE}; "
            "send whole 128-byte transfers"
        )
    return [
        (
            f[0] | f[1] << 64,
            f[2] | f[3] << 64,
            f[4] | f[5] << 64,
            f[6] | f[7] << 64,
            f[8] | f[9] << 64,
            f[10] | f[11] << 64,
            *f[12:],
        )
        for f in _LAYOUT.iter_unpack(batch)
    ]


def check_accounts(accounts: Sequence[Account]) -> Sequence[Account]:
    """Give the accounts back. Raise `LedgerBatchError` when a field is out of its width."""
    for position, a in enumerate(accounts):
        wide = a.id | a.user_data_128 | a.debits_pending | a.debits_posted
        wide |= a.credits_pending | a.credits_posted
        if (
            wide >> 128
            or (a.user_data_64 | a.timestamp) >> 64
            or (a.user_data_32 | a.reserved | a.ledger) >> 32
            or (a.code | a.flags) >> 16
        ):
            raise LedgerBatchError(
                f"account {position}: a field is negative or wider than its place in the 128-byte "
                "layout; see docs/reference/transfer.md"
            )
    return accounts
