"""The 128-byte record of the log: one account, transfer, refusal or expiry, as values and bytes.

Source: docs/reference/ledger-format.md, section 2. The 118-byte body is what the Merkle tree
hashes; the trailer is its CRC-32 and six zero bytes.
"""

import struct
from enum import IntEnum
from typing import NamedTuple
from zlib import crc32

from ledger.statuses import CreateTransferStatus

RECORD_BYTES = 128
BODY_BYTES = 118
#: Where a body says what it is, and when it was.
KIND_OFFSET = 96
TIMESTAMP = slice(8, 16)
#: An amount that does not fit the record's u64; only a refusal can ask for one.
AMOUNT_SATURATED = (1 << 64) - 1

#: sequence, timestamp, id, debit, credit, amount, pending_sequence, user_data_128, user_data_64,
#: user_data_32, timeout, ledger, code, flags, kind, status, debit balance, credit balance.
BODY = struct.Struct("<QQ16sIIQQ16sQIIIHHBBqq4x")
_REFUSAL_BODY = struct.Struct("<QQ16sIIQQ16sQIIIHHBB16s4x")
_TRAILER = struct.Struct("<I6x")
assert BODY.size == _REFUSAL_BODY.size == BODY_BYTES
assert BODY_BYTES + _TRAILER.size == RECORD_BYTES

#: Refusals whose two balance fields hold the 128-bit id that was not found.
UNKNOWN_ID_STATUSES = frozenset(
    {
        CreateTransferStatus.DEBIT_ACCOUNT_NOT_FOUND,
        CreateTransferStatus.CREDIT_ACCOUNT_NOT_FOUND,
        CreateTransferStatus.PENDING_TRANSFER_NOT_FOUND,
    }
)


class Kind(IntEnum):
    """What a record is. 8 (checkpoint) is reserved: not written and not read in version 1."""

    ACCOUNT = 1
    TRANSFER = 2
    PENDING = 3
    POST = 4
    VOID = 5
    EXPIRE = 6
    REFUSAL = 7


class Record(NamedTuple):
    """One record's body as values. `debit` and `credit` are dense account numbers, 0 for none.

    `unknown_id` is set in a refusal whose account or pending transfer was not found, else 0.
    """

    sequence: int
    timestamp: int
    id: int
    debit: int
    credit: int
    amount: int
    pending_sequence: int
    user_data_128: int
    user_data_64: int
    user_data_32: int
    timeout: int
    ledger: int
    code: int
    flags: int
    kind: int
    status: int
    debit_balance: int
    credit_balance: int
    unknown_id: int = 0


def pack_body(record: Record) -> bytes:
    """Give the 118 bytes of a record.

    >>> body = pack_body(Record(1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 7, 8, 0, 1, 0, 0, 0))
    >>> unpack_body(body).id, len(body)
    (3, 118)
    """
    head = (
        record.sequence,
        record.timestamp,
        record.id.to_bytes(16, "little"),
        record.debit,
        record.credit,
        record.amount,
        record.pending_sequence,
        record.user_data_128.to_bytes(16, "little"),
        *record[8:16],
    )
    if record.unknown_id:
        return _REFUSAL_BODY.pack(*head, record.unknown_id.to_bytes(16, "little"))
    return BODY.pack(*head, record.debit_balance, record.credit_balance)


def unpack_body(body: bytes | memoryview) -> Record:
    """Give the record that 118 bytes hold; whether they make sense is the replay's question."""
    f = BODY.unpack(body)
    ids = int.from_bytes(f[2], "little"), int.from_bytes(f[7], "little")
    tail = (f[16], f[17], 0)
    if f[14] == Kind.REFUSAL and f[15] in UNKNOWN_ID_STATUSES:
        tail = (0, 0, int.from_bytes(bytes(body[98:114]), "little"))
    return Record._make((f[0], f[1], ids[0], *f[3:7], ids[1], *f[8:16], *tail))


def takes_id(body: bytes, transfer_id: int) -> bool:
    """Say whether a record is the one that took this transfer id."""
    return (
        body[16:32] == transfer_id.to_bytes(16, "little")
        and body[KIND_OFFSET] not in (Kind.ACCOUNT, Kind.EXPIRE)
    )  # fmt: skip


def seal(bodies: list[bytes]) -> bytes:
    """Give the records of a frame: each body with its CRC-32 and zero bytes behind it."""
    trailer = _TRAILER.pack
    return b"".join([body + trailer(crc32(body)) for body in bodies])


def unseal(record: bytes | memoryview) -> bytes | None:
    """Give the body of one 128-byte record, None when its checksum or zero bytes are wrong."""
    body = bytes(record[:BODY_BYTES])
    if record[BODY_BYTES:] != _TRAILER.pack(crc32(body)) or any(body[114:]):
        return None
    return body
