"""Snapshots: the state behind a sealed segment, so that opening need not begin at genesis.

Source: docs/reference/ledger-format.md, section 10. A snapshot only saves time; one that is not
whole or contradicts the log is ignored.
"""

import struct
from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise
from typing import NamedTuple

from ledger.books import expiry
from ledger.frame import VERSION
from ledger.merkle import Frontier
from ledger.pages import snapshot_name
from ledger.record import RECORD_BYTES, Kind, unpack_body, unseal
from ledger.sealed import SealedSegment
from ledger.storage import Storage
from ledger.structures import AMOUNT_MAX, RECORD_SIZE, TIMESTAMP_MAX

_MAGIC = b"LMBSNP" + VERSION.to_bytes(2, "little")
_HEAD = struct.Struct("<8s16sQQQQQQI4x32s32s")
_DIGEST_BYTES = 32
#: Four zero bytes of the head.
_ZERO = slice(76, 80)
#: Of an account: its four sums in two halves each, and its reserved field.
_WIDE = struct.Struct("<16xQQQQQQQQ28xI16x")
assert _WIDE.size == RECORD_SIZE
SUFFIX = ".snap"
assert _HEAD.size == 144


class Snapshot(NamedTuple):
    """What is hot after the last record of a segment."""

    uuid: bytes
    number: int
    last_sequence: int
    last_timestamp: int
    last_frame: int
    chain_head: bytes
    root: bytes
    #: In the 128-byte account layout, in order of their dense numbers.
    accounts: bytes
    #: The sequence of each account's record.
    account_sequences: Sequence[int]
    #: The records of the open pending transfers, 128 bytes each, by sequence.
    pendings: bytes
    peaks: Sequence[bytes]

    def pack(self) -> bytes:
        """Give the file."""
        count = len(self.account_sequences)
        assert len(self.accounts) == RECORD_SIZE * count
        head = _HEAD.pack(
            _MAGIC, self.uuid, self.number, self.last_sequence, self.last_timestamp,
            self.last_frame, count, len(self.pendings) // RECORD_BYTES, len(self.peaks),
            self.chain_head, self.root,
        )  # fmt: skip
        sequences = struct.pack(f"<{count}Q", *self.account_sequences)
        content = b"".join([head, self.accounts, sequences, self.pendings, *self.peaks])
        return content + sha256(content).digest()

    @classmethod
    def read(cls, content: bytes) -> "Snapshot | None":
        """Give the snapshot that a file holds, None when it is not a whole one."""
        if len(content) < _HEAD.size + _DIGEST_BYTES or content[:8] != _MAGIC:
            return None
        if sha256(content[:-_DIGEST_BYTES]).digest() != content[-_DIGEST_BYTES:]:
            return None
        (_, uuid, number, sequence, timestamp, frame, accounts, pendings, peaks, head, root) = (
            _HEAD.unpack_from(content)
        )
        ends = [_HEAD.size]
        for length in (RECORD_SIZE * accounts, 8 * accounts, RECORD_BYTES * pendings, 32 * peaks):
            ends.append(ends[-1] + length)
        if ends[-1] + _DIGEST_BYTES != len(content) or peaks != sequence.bit_count():
            return None
        if any(content[_ZERO]):
            return None
        found = cls(
            uuid=uuid,
            number=number,
            last_sequence=sequence,
            last_timestamp=timestamp,
            last_frame=frame,
            chain_head=head,
            root=root,
            accounts=content[ends[0] : ends[1]],
            account_sequences=struct.unpack_from(f"<{accounts}Q", content, ends[1]),
            pendings=content[ends[2] : ends[3]],
            peaks=[content[at : at + 32] for at in range(ends[3], ends[4], 32)],
        )
        return found if found._is_sound() else None

    def _is_sound(self) -> bool:
        """Say whether books can be made of it: a right digest proves no sense behind it."""
        ascending = (0, *self.account_sequences)
        if any(a >= b for a, b in pairwise(ascending)) or ascending[-1] > self.last_sequence:
            return False
        if Frontier.from_peaks(self.last_sequence, self.peaks).root() != self.root:
            return False
        for account in _WIDE.iter_unpack(self.accounts):
            # The upper halves of the four sums, and the reserved field.
            if any(account[1::2][:4]) or max(account[:8:2]) > AMOUNT_MAX or account[8]:
                return False
        return self._holds_are_sound()

    def _holds_are_sound(self) -> bool:
        """Say whether each pending record is one, of two accounts that are there, in order."""
        before, known = 0, range(1, len(self.account_sequences) + 1)
        for at in range(0, len(self.pendings), RECORD_BYTES):
            body = unseal(self.pendings[at : at + RECORD_BYTES])
            if body is None:
                return False
            record = unpack_body(body)
            ends = expiry(record)
            if (
                record.kind != Kind.PENDING
                or not before < record.sequence <= self.last_sequence
                or record.debit not in known
                or record.credit not in known
                or record.debit == record.credit
                or ends > TIMESTAMP_MAX
            ):
                return False
            before = record.sequence
        return True

    def agrees(self, uuid: bytes, sealed: SealedSegment) -> bool:
        """Say whether this is the state after that segment of the ledger with this uuid."""
        header = sealed.header
        return (
            self.uuid, self.number, self.last_sequence, self.last_timestamp, self.last_frame,
            self.chain_head, self.root,
        ) == (
            uuid, sealed.number, header.last_sequence, header.last_timestamp, header.last_frame,
            header.chain_head, header.root,
        )  # fmt: skip


def snapshot_numbers(names: Sequence[str]) -> list[int]:
    """Give the numbers of the snapshots among file names, ascending.

    >>> snapshot_numbers(["00000003.snap", "lock", "00000001.snap", "1.snap"])
    [1, 3]
    """
    stems = [name[: -len(SUFFIX)] for name in names if name.endswith(SUFFIX)]
    return sorted(int(stem) for stem in stems if stem.isdigit() and len(stem) == 8)


def read_snapshot(storage: Storage, number: int) -> Snapshot | None:
    """Give a snapshot of this number, None when its file is gone or not a whole one."""
    name = snapshot_name(number)
    try:
        snapshot = Snapshot.read(storage.read(name, 0, storage.size(name)))
    except FileNotFoundError:  # The writer keeps the newest only.
        return None
    return snapshot if snapshot is not None and snapshot.number == number else None
