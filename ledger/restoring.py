"""From the books to a snapshot and back, and which snapshot a log may be opened from.

Source: docs/reference/ledger-format.md, section 10.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ledger.books import AccountRow, Books, PendingRow, Saved
from ledger.log import SegmentedLog
from ledger.pages import CommitMark, Identity
from ledger.record import (
    BODY_BYTES,
    KIND_OFFSET,
    RECORD_BYTES,
    TIMESTAMP,
    Kind,
    Record,
    pack_body,
    seal,
    unpack_body,
)
from ledger.recovery import corrupt, list_segments
from ledger.sealed import SealedSegment
from ledger.snapshot import Snapshot, read_snapshot, snapshot_numbers
from ledger.storage import Storage
from ledger.structures import RECORD_SIZE, Account

_PENDING_SEQUENCE = slice(48, 56)
_RESOLVING = (Kind.POST, Kind.VOID, Kind.EXPIRE)


class Start(NamedTuple):
    """Where an opening may begin: a snapshot and all segments up to it."""

    snapshot: Snapshot
    sealed: list[SealedSegment]


def capture(
    log: SegmentedLog,
    books: Books,
    since: int,
    before: Mapping[int, Saved],
    staged: Sequence[bytes],
) -> Snapshot | None:
    """Give the durable state behind the log's current segment, None when no snapshot is due.

    One is due when it costs no more than the records after `since`, the last sequence of the
    snapshot before. `before` and `staged` are what a group under way has changed: it is not in it.
    """
    born = sum(body[KIND_OFFSET] == Kind.ACCOUNT for body in staged)
    rows = books.rows[: len(books.rows) - born]
    pendings = {
        sequence: row.record
        for sequence, row in books.pendings.items()
        if sequence <= log.last_sequence
    }
    for body in staged:
        sequence = int.from_bytes(body[_PENDING_SEQUENCE], "little")
        if body[KIND_OFFSET] in _RESOLVING and sequence <= log.last_sequence:
            pendings[sequence] = unpack_body(log.body(sequence))
    if log.last_sequence - since < len(rows) + len(pendings):
        return None
    return _snapshot(log, rows, pendings, before)


def state_after(log: SegmentedLog, books: Books) -> Snapshot:
    """Give the snapshot of what was replayed, behind the log's current segment."""
    pendings = {sequence: row.record for sequence, row in books.pendings.items()}
    return _snapshot(log, books.rows, pendings, {})


def _snapshot(
    log: SegmentedLog,
    rows: Sequence[AccountRow],
    pendings: Mapping[int, Record],
    before: Mapping[int, Saved],
) -> Snapshot:
    accounts = [row.account(before.get(row.number) or row.save()).pack() for row in rows]
    return Snapshot(
        uuid=log.identity.uuid,
        number=log.segment_number,
        last_sequence=log.last_sequence,
        last_timestamp=int.from_bytes(log.body(log.last_sequence)[TIMESTAMP], "little"),
        last_frame=log.frame_number,
        chain_head=log.chain_head,
        root=log.frontier.root(),
        accounts=b"".join(accounts),
        account_sequences=[row.sequence for row in rows],
        pendings=seal([pack_body(pendings[sequence]) for sequence in sorted(pendings)]),
        peaks=log.frontier.peaks(),
    )


def restore(start: Start) -> Books:
    """Give the books as they were after the snapshot's last record."""
    snapshot, books = start.snapshot, Books()
    for number, sequence in enumerate(snapshot.account_sequences, 1):
        packed = snapshot.accounts[RECORD_SIZE * (number - 1) : RECORD_SIZE * number]
        row = AccountRow.restored(number, Account.unpack(packed), sequence)
        books.rows.append(row)
        books.accounts[row.id] = row
    for at in range(0, len(snapshot.pendings), RECORD_BYTES):
        record = unpack_body(snapshot.pendings[at : at + BODY_BYTES])
        debit, credit = books.rows[record.debit - 1], books.rows[record.credit - 1]
        books.open_hold(PendingRow(record, debit, credit))
    books.cold = list(start.sealed)
    books.last_sequence = snapshot.last_sequence
    books.last_timestamp = snapshot.last_timestamp
    return books


def find_start(storage: Storage, identity: Identity, mark: CommitMark | None) -> Start | None:
    """Give the newest snapshot that the log agrees with, None when there is none.

    Raises:
        LedgerCorruptError: a sealed segment that it stands on does not verify.
    """
    names = storage.names()
    raw = list_segments(storage).raw
    usable = min(raw) - 1
    sealed: list[SealedSegment] = []
    for number in reversed(snapshot_numbers(names)):
        snapshot = read_snapshot(storage, number) if number <= usable else None
        if snapshot is None:
            continue
        if not sealed:
            sealed = _open_sealed(storage, identity, number)
        if snapshot.agrees(identity.uuid, sealed[number - 1]):
            return _checked(storage, identity, Start(snapshot, sealed[:number]), mark)
    return None


def _open_sealed(storage: Storage, identity: Identity, count: int) -> list[SealedSegment]:
    """Open the sealed segments from the first; check that each continues the one before."""
    log = SegmentedLog(storage, identity)
    sequence, frame, head, root = 1, 1, log.chain_head, log.frontier.root()
    opened = []
    for number in range(1, count + 1):
        sealed = SealedSegment(storage, number)
        header, segment = sealed.header, sealed.segment
        if (segment.uuid, segment.segment_size, segment.block_bytes) != identity:
            sealed.corrupt(0, "the segment's header page is not of this ledger")
        if (segment.first_sequence, segment.first_frame) != (sequence, frame):
            sealed.corrupt(0, "the segment's header page does not continue the log")
        if segment.previous_hash != head:
            sealed.corrupt(96, "the segment does not continue the hash chain")
        if segment.previous_root != root:
            sealed.corrupt(64, "the segment does not continue the Merkle tree")
        sequence, frame = header.last_sequence + 1, header.last_frame + 1
        head, root = header.chain_head, header.root
        opened.append(sealed)
    return opened


def _checked(storage: Storage, identity: Identity, start: Start, mark: CommitMark | None) -> Start:
    snapshot = start.snapshot
    if (
        mark is not None
        and mark.frame_number == snapshot.last_frame
        and mark.frame_hash != snapshot.chain_head
    ):
        name, log = start.sealed[-1].name, SegmentedLog(storage, identity)
        corrupt(log, name, 216, f"frame {mark.frame_number} is not the one acknowledged")
    return start
