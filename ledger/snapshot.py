"""Snapshots: the state behind a sealed segment, so that opening need not begin at genesis.

Source: docs/reference/ledger-format.md, section 10. A snapshot only saves time; one that is not
whole or contradicts the log is ignored.
"""

import struct
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from ledger.frame import VERSION
from ledger.pages import snapshot_name
from ledger.record import RECORD_BYTES
from ledger.sealed import SealedSegment
from ledger.storage import Storage
from ledger.structures import RECORD_SIZE

_MAGIC = b"LMBSNP" + VERSION.to_bytes(2, "little")
_HEAD = struct.Struct("<8s16sQQQQQQI4x32s32s")
_DIGEST_BYTES = 32
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
        return cls(
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
