"""Accounts and transfers: TigerBeetle's two 128-byte records, as values and as bytes.

Everything is little-endian, unsigned, without padding. Source: ledger.md 1.1 and TigerBeetle's
reference pages for Account and Transfer. Amounts are integer minor units (sen).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntFlag
from typing import NamedTuple

from ledger.statuses import CreateAccountStatus, CreateTransferStatus

RECORD_SIZE = 128
#: One packed result: timestamp u64, status u32, reserved u32.
RESULT_SIZE = 16
ID_MAX = (1 << 128) - 1
#: Amounts above this are refused except the sentinel (design decision 2): a signed 64-bit sum of
#: sen then never overflows in any report or database.
AMOUNT_MAX = (1 << 63) - 1
#: Nanoseconds UTC; a hold that would end later is refused.
TIMESTAMP_MAX = (1 << 63) - 1
#: "All there is": for post-pending and balancing transfers.
AMOUNT_ALL = (1 << 128) - 1

_MASK_64 = (1 << 64) - 1
_ACCOUNT = struct.Struct("<2Q2Q2Q2Q2Q2QQIIIHHQ")
_TRANSFER = struct.Struct("<2Q2Q2Q2Q2Q2QQIIIHHQ")
_RESULT = struct.Struct("<QII")
assert _ACCOUNT.size == _TRANSFER.size == RECORD_SIZE
assert _RESULT.size == RESULT_SIZE


class AccountFlags(IntFlag):
    """Bits of an account. `HISTORY` and `IMPORTED` are refused as reserved (decision 2)."""

    NONE = 0
    LINKED = 1 << 0
    DEBITS_MUST_NOT_EXCEED_CREDITS = 1 << 1
    CREDITS_MUST_NOT_EXCEED_DEBITS = 1 << 2
    HISTORY = 1 << 3
    IMPORTED = 1 << 4
    CLOSED = 1 << 5


class TransferFlags(IntFlag):
    """Bits of a transfer. `IMPORTED` is refused as reserved (decision 2)."""

    NONE = 0
    LINKED = 1 << 0
    PENDING = 1 << 1
    POST_PENDING_TRANSFER = 1 << 2
    VOID_PENDING_TRANSFER = 1 << 3
    BALANCING_DEBIT = 1 << 4
    BALANCING_CREDIT = 1 << 5
    CLOSING_DEBIT = 1 << 6
    CLOSING_CREDIT = 1 << 7
    IMPORTED = 1 << 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account as created and as read back with its four balances.

    On creation the balances, `reserved` and `timestamp` are 0. `timestamp` is nanoseconds UTC.
    """

    id: int
    ledger: int
    code: int
    flags: int = 0
    user_data_128: int = 0
    user_data_64: int = 0
    user_data_32: int = 0
    debits_pending: int = 0
    debits_posted: int = 0
    credits_pending: int = 0
    credits_posted: int = 0
    reserved: int = 0
    timestamp: int = 0

    @property
    def credit_balance(self) -> int:
        """Give posted credits minus posted debits: what a card or a shop has."""
        return self.credits_posted - self.debits_posted

    def pack(self) -> bytes:
        """Give the 128 bytes; raise `struct.error` when a field does not fit its width."""
        return _ACCOUNT.pack(
            *_halves(self.id),
            *_halves(self.debits_pending),
            *_halves(self.debits_posted),
            *_halves(self.credits_pending),
            *_halves(self.credits_posted),
            *_halves(self.user_data_128),
            self.user_data_64,
            self.user_data_32,
            self.reserved,
            self.ledger,
            self.code,
            self.flags,
            self.timestamp,
        )

    @classmethod
    def unpack(cls, record: bytes | memoryview) -> "Account":
        """Give the account that 128 bytes hold."""
        f = _ACCOUNT.unpack(record)
        return cls(
            id=f[0] | f[1] << 64,
            debits_pending=f[2] | f[3] << 64,
            debits_posted=f[4] | f[5] << 64,
            credits_pending=f[6] | f[7] << 64,
            credits_posted=f[8] | f[9] << 64,
            user_data_128=f[10] | f[11] << 64,
            user_data_64=f[12],
            user_data_32=f[13],
            reserved=f[14],
            ledger=f[15],
            code=f[16],
            flags=f[17],
            timestamp=f[18],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """A movement of money from one account to another of the same ledger.

    `timeout` is seconds and only for pending transfers; `timestamp` is 0 on creation.
    """

    id: int
    debit_account_id: int
    credit_account_id: int
    amount: int
    ledger: int
    code: int
    flags: int = 0
    pending_id: int = 0
    user_data_128: int = 0
    user_data_64: int = 0
    user_data_32: int = 0
    timeout: int = 0
    timestamp: int = 0

    def pack(self) -> bytes:
        """Give the 128 bytes; raise `struct.error` when a field does not fit its width."""
        return _TRANSFER.pack(
            *_halves(self.id),
            *_halves(self.debit_account_id),
            *_halves(self.credit_account_id),
            *_halves(self.amount),
            *_halves(self.pending_id),
            *_halves(self.user_data_128),
            self.user_data_64,
            self.user_data_32,
            self.timeout,
            self.ledger,
            self.code,
            self.flags,
            self.timestamp,
        )

    @classmethod
    def unpack(cls, record: bytes | memoryview) -> "Transfer":
        """Give the transfer that 128 bytes hold."""
        f = _TRANSFER.unpack(record)
        return cls(
            id=f[0] | f[1] << 64,
            debit_account_id=f[2] | f[3] << 64,
            credit_account_id=f[4] | f[5] << 64,
            amount=f[6] | f[7] << 64,
            pending_id=f[8] | f[9] << 64,
            user_data_128=f[10] | f[11] << 64,
            user_data_64=f[12],
            user_data_32=f[13],
            timeout=f[14],
            ledger=f[15],
            code=f[16],
            flags=f[17],
            timestamp=f[18],
        )


class CreateAccountResult(NamedTuple):
    """The answer to one account event: when it took effect (0 if it did not) and the status."""

    timestamp: int
    status: CreateAccountStatus


class CreateTransferResult(NamedTuple):
    """The answer to one transfer event: its timestamp (the original's on EXISTS), its status."""

    timestamp: int
    status: CreateTransferStatus


def unpack_transfer_results(packed: bytes | memoryview) -> Iterator[CreateTransferResult]:
    """Yield the results that a packed post returned, in the order of the events."""
    for timestamp, status, _reserved in _RESULT.iter_unpack(packed):
        yield CreateTransferResult(timestamp, CreateTransferStatus(status))


def pack_result(timestamp: int, status: int) -> bytes:
    """Give the 16 bytes of one result."""
    return _RESULT.pack(timestamp, status, 0)


def _halves(value: int) -> tuple[int, int]:
    return value & _MASK_64, value >> 64
