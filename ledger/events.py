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
        try:
            fits = not (
                (a | b | c | d | e | f) >> 128
                or (user_data_64 | time) >> 64
                or (user_data_32 | timeout | ledger) >> 32
                or (code | flags) >> 16
            )
        except TypeError:  # No integer at all; the native engine says the same of it.
            fits = False
        if not fits:
            raise LedgerBatchError(
                f"event {position}: a field is negative or wider than its place in the 128-byte "
                "layout; see docs/reference/transfer.md"
            )
        events.append(event)
    return events


def unpack_events(batch: bytes | memoryview) -> list[TransferEvent]:
    """Give the events of a packed batch. Raise `LedgerBatchError` on a broken length."""
    batch = memoryview(batch).tobytes()  # Whatever its shape, as 128-byte records.
    if len(batch) % RECORD_SIZE:
        raise LedgerBatchError(
            f"a packed batch of {len(batch)} bytes is not a multiple of {RECORD_SIZE}; "
            "send whole 128-byte transfers"
        )
    # Names instead of positions, and nothing put together with a zero: a third faster.
    return [
        (
            id_low | id_high << 64,
            debit_low | debit_high << 64 if debit_high else debit_low,
            credit_low | credit_high << 64 if credit_high else credit_low,
            amount_low | amount_high << 64 if amount_high else amount_low,
            pending_low | pending_high << 64 if pending_high else pending_low,
            data_low | data_high << 64 if data_high else data_low,
            data_64, data_32, timeout, ledger, code, flags, timestamp,
        )
        for (
            id_low, id_high, debit_low, debit_high, credit_low, credit_high, amount_low,
            amount_high, pending_low, pending_high, data_low, data_high, data_64, data_32,
            timeout, ledger, code, flags, timestamp,
        ) in _LAYOUT.iter_unpack(batch)
    ]  # fmt: skip


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
