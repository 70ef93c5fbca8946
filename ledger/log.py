"""The append-only log: frames in pre-zeroed segments, one sync per frame.

Source: docs/reference/ledger-format.md, sections 3 to 5. What goes into a record is not the log's
business; that every record comes back, or is named as damaged, is.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import suppress

from ledger.errors import LedgerCorruptError
from ledger.frame import (
    BLOCK_BYTES,
    HEADER_BYTES,
    build_frame,
    frame_bytes,
    genesis_hash,
    segment_records,
)
from ledger.merkle import NODE_LEVEL_MIN, Frontier, Nodes
from ledger.pages import MARK_OFFSETS, ZERO_BLOCK, CommitMark, Identity, SegmentHeader, segment_name
from ledger.record import RECORD_BYTES, seal, unseal
from ledger.sealed import SealedSegment
from ledger.snapshot import Snapshot
from ledger.storage import Storage

SUPERBLOCK_NAME = "superblock"
SPARE_NAME = "spare.seg"
SPARE_TEMPORARY_NAME = "spare.tmp"
SUPERBLOCK_TEMPORARY_NAME = "superblock.tmp"


class RawSegment:
    """A segment as it was written: which records stand where. Its last one grows."""

    def __init__(self, storage: Storage, header: SegmentHeader) -> None:
        self.segment = header
        self.number = header.number
        self.first_sequence = header.first_sequence
        self.last_sequence = header.first_sequence - 1
        #: The nodes of the Merkle tree that its records completed.
        self.nodes: Nodes = {}
        self._name = segment_name(header.number)
        self._storage = storage
        self._firsts: list[int] = []
        self._offsets: list[int] = []

    def note_frame(self, offset: int, count: int) -> None:
        """Take in a durable frame."""
        self._offsets.append(offset)
        self._firsts.append(self.last_sequence + 1)
        self.last_sequence += count

    def offsets(self) -> list[int]:
        """Give where the frames stand."""
        return list(self._offsets)

    def body(self, sequence: int) -> bytes:
        """Give one record's body."""
        index = bisect_right(self._firsts, sequence) - 1
        offset = self._offsets[index] + HEADER_BYTES
        offset += RECORD_BYTES * (sequence - self._firsts[index])
        return self._unseal(self._storage.read(self._name, offset, RECORD_BYTES), sequence, offset)

    def bodies(self, first: int, last: int) -> Iterator[bytes]:
        """Yield the bodies of these records, both ends included, frame by frame."""
        index = bisect_right(self._firsts, first) - 1
        while first <= last:
            end = self._firsts[index + 1] if index + 1 < len(self._firsts) else last + 1
            end = min(end, last + 1)
            offset = self._offsets[index] + HEADER_BYTES
            offset += RECORD_BYTES * (first - self._firsts[index])
            payload = self._storage.read(self._name, offset, RECORD_BYTES * (end - first))
            for at in range(0, RECORD_BYTES * (end - first), RECORD_BYTES):
                yield self._unseal(payload[at : at + RECORD_BYTES], first, offset + at)
                first += 1
            index += 1

    def _unseal(self, record: bytes, sequence: int, offset: int) -> bytes:
        body = unseal(record)
        if body is None or int.from_bytes(body[:8], "little") != sequence:
            raise LedgerCorruptError(
                f"{self._storage.location}/{self._name}, offset {offset}: record {sequence} does "
                "not verify; restore the directory from a backup, nothing was changed"
            )
        return body


Segment = RawSegment | SealedSegment


class SegmentedLog:
    """The log at its durable end. One thread appends; any may read what `last_sequence` covers."""

    def __init__(self, storage: Storage, identity: Identity) -> None:
        self.storage = storage
        self.identity = identity
        self.frontier = Frontier()
        self.chain_head = genesis_hash(identity.uuid)
        self.last_sequence = 0
        self.frame_number = 0
        self.nonce = b""
        self.offset = identity.segment_size
        self.has_spare = False
        #: Segment `n` at index `n - 1`. An entry is replaced when its segment is sealed.
        self.segments: list[Segment] = []
        self._marked_segment = 0

    @property
    def segment_number(self) -> int:
        """Give the number of the last segment, 0 when there is none."""
        return len(self.segments)

    @property
    def records_per_frame(self) -> int:
        """Give how many records one frame may hold in this ledger."""
        return segment_records(self.identity.segment_size)

    def has_room(self, count: int) -> bool:
        """Say whether a frame of `count` records can be written without making a segment."""
        return self.has_spare or self.fits(count)

    def prepare_spare(self) -> None:
        """Make the next segment ahead of its need. `OSError` leaves the log as it was."""
        storage = self.storage
        try:
            storage.create_zeroed(SPARE_TEMPORARY_NAME, self.identity.segment_size)
            storage.sync(SPARE_TEMPORARY_NAME)
            storage.rename(SPARE_TEMPORARY_NAME, SPARE_NAME)
            storage.sync_directory()
        except OSError:
            with suppress(OSError):  # A part of a segment helps nobody on a disk that is full.
                storage.remove(SPARE_TEMPORARY_NAME)
            raise
        self.has_spare = True

    def activate(self, random_bytes: Callable[[int], bytes]) -> None:
        """Turn the spare into the next segment, which then takes the frames."""
        assert self.has_spare
        self.has_spare = False
        number, nonce = self.segment_number + 1, random_bytes(16)
        header = SegmentHeader(
            uuid=self.identity.uuid,
            number=number,
            nonce=nonce,
            first_sequence=self.last_sequence + 1,
            first_frame=self.frame_number + 1,
            previous_root=self.frontier.root(),
            previous_hash=self.chain_head,
            segment_size=self.identity.segment_size,
        )
        self.storage.write(SPARE_NAME, 0, header.pack())
        self.storage.sync(SPARE_NAME)
        self.storage.rename(SPARE_NAME, segment_name(number))
        self.storage.sync_directory()
        self.enter(RawSegment(self.storage, header))

    def enter(self, segment: Segment) -> None:
        """Take the next segment as the one that the next frames stand in."""
        assert segment.number == len(self.segments) + 1
        self.segments.append(segment)
        self.nonce, self.offset = segment.segment.nonce, BLOCK_BYTES

    def fits(self, count: int) -> bool:
        """Say whether a frame of `count` records goes into the current segment."""
        return self.offset + frame_bytes(count) <= self.identity.segment_size

    def append(self, bodies: list[bytes], random_bytes: Callable[[int], bytes]) -> None:
        """Write one frame and sync it. When this returns, the records are durable.

        The caller calls `grow_tree` with the same bodies before the next append; it may answer
        first, so that hashing the tree delays nobody.
        """
        assert self.frontier.size == self.last_sequence
        if not self.fits(len(bodies)):
            self.activate(random_bytes)
        number = self.frame_number + 1
        frame, frame_hash = build_frame(
            number, self.nonce, self.chain_head, self.last_sequence + 1, seal(bodies)
        )
        name = segment_name(self.segment_number)
        self.storage.write(name, self.offset, frame)
        self.storage.sync(name)
        self.note_frame(number, frame_hash, len(bodies))

    def grow_tree(self, bodies: list[bytes]) -> None:
        """Take the bodies of the last frame into the Merkle tree."""
        segment = self.segments[-1]
        self.frontier.extend(bodies, segment.nodes if isinstance(segment, RawSegment) else None)

    def note_frame(self, number: int, frame_hash: bytes, count: int) -> None:
        """Take a durable frame of the current segment into the log's view of itself."""
        segment = self.segments[-1]
        if isinstance(segment, RawSegment):
            segment.note_frame(self.offset, count)
            self.offset += frame_bytes(count)
        self.frame_number = number
        self.chain_head = frame_hash
        self.last_sequence += count
        self._marked_segment = segment.number

    def start_from(self, snapshot: Snapshot, sealed: list[SealedSegment]) -> None:
        """Begin behind a snapshot; `sealed` are all segments up to it."""
        assert not self.segments
        self.segments = list(sealed)
        self.frontier = Frontier.from_peaks(snapshot.last_sequence, snapshot.peaks)
        self.chain_head = snapshot.chain_head
        self.frame_number = snapshot.last_frame
        self.last_sequence = snapshot.last_sequence
        self._marked_segment = snapshot.number

    def write_mark(self) -> None:
        """Write, without a sync, that everything up to the last frame is durable."""
        if self.frame_number == 0:
            return
        mark = self._mark()
        self.storage.write(SUPERBLOCK_NAME, mark.offset, mark.pack())

    def write_marks(self) -> None:
        """Write the mark of the last frame into both slots, zero where there is none; sync.

        Whatever a slot held, damage too, is gone for good: a repair of one slot alone could stand
        in a cache only, and damage would come back with the next power cut.
        """
        page = self._mark().pack() if self.frame_number else ZERO_BLOCK
        for offset in MARK_OFFSETS:
            self.storage.write(SUPERBLOCK_NAME, offset, page)
        self.storage.sync(SUPERBLOCK_NAME)

    def _mark(self) -> CommitMark:
        # The current segment may have been activated after the last frame and hold none yet.
        segment = self._marked_segment
        return CommitMark(self.frame_number, self.last_sequence, segment, self.chain_head)

    def body(self, sequence: int) -> bytes:
        """Give one durable record's body. Raise `LedgerCorruptError` when it does not verify."""
        return next(self.bodies(sequence - 1, sequence))

    def bodies(self, after_sequence: int, upto_sequence: int) -> Iterator[bytes]:
        """Yield the bodies of durable records in order."""
        assert after_sequence >= 0
        assert upto_sequence <= self.last_sequence
        sequence = after_sequence + 1
        while sequence <= upto_sequence:
            segment = self._segment_of(sequence)
            try:
                for body in segment.bodies(sequence, min(upto_sequence, segment.last_sequence)):
                    yield body
                    sequence += 1
            except FileNotFoundError:
                self.adopt_sealed(segment.number)

    def adopt_sealed(self, number: int) -> SealedSegment:
        """Read a segment from its sealed file from now on: the raw one has gone, or goes now."""
        sealed = SealedSegment(self.storage, number)
        self.segments[number - 1] = sealed
        return sealed

    def node(self, level: int, index: int) -> bytes | None:
        """Give the root of leaves [index 2^level, (index + 1) 2^level) where it is kept."""
        segment = self._segment_of((index + 1) << level)
        if level < NODE_LEVEL_MIN or not isinstance(segment, SealedSegment):
            return None
        return segment.node(level, index)

    def _segment_of(self, sequence: int) -> Segment:
        assert 0 < sequence <= self.last_sequence
        return self.segments[bisect_right(self.segments, sequence, key=_first_sequence) - 1]


def _first_sequence(segment: Segment) -> int:
    return segment.first_sequence


def create_log(
    storage: Storage, segment_size: int, random_bytes: Callable[[int], bytes]
) -> SegmentedLog:
    """Make a new ledger's files; it exists from the moment its superblock has its name."""
    identity = Identity(random_bytes(16), segment_size)
    log = SegmentedLog(storage, identity)
    log.prepare_spare()
    log.activate(random_bytes)
    storage.create_zeroed(SUPERBLOCK_TEMPORARY_NAME, 3 * BLOCK_BYTES)
    storage.write(SUPERBLOCK_TEMPORARY_NAME, 0, identity.pack())
    storage.sync(SUPERBLOCK_TEMPORARY_NAME)
    storage.rename(SUPERBLOCK_TEMPORARY_NAME, SUPERBLOCK_NAME)
    storage.sync_directory()
    return log


def adopt_spare(log: SegmentedLog) -> None:
    """Keep the spare that an earlier run left when it is whole and unused."""
    storage = log.storage
    if SPARE_NAME in storage.names():
        whole = storage.size(SPARE_NAME) == log.identity.segment_size
        log.has_spare = whole and storage.read(SPARE_NAME, 0, BLOCK_BYTES) == ZERO_BLOCK
