"""The append-only log: frames in pre-zeroed segments, one sync per frame.

Source: docs/reference/ledger-format.md, sections 3 to 5. What goes into a record is not the log's
business; that every record comes back, or is named as damaged, is.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ledger.errors import LedgerCorruptError
from ledger.frame import (
    BLOCK_BYTES,
    HEADER_BYTES,
    build_frame,
    frame_bytes,
    genesis_hash,
    segment_records,
)
from ledger.merkle import Frontier
from ledger.pages import ZERO_BLOCK, CommitMark, Identity, SegmentHeader, segment_name
from ledger.record import RECORD_BYTES, seal, unseal
from ledger.storage import Storage

SUPERBLOCK_NAME = "superblock"
SPARE_NAME = "spare.seg"
SPARE_TEMPORARY_NAME = "spare.tmp"
SUPERBLOCK_TEMPORARY_NAME = "superblock.tmp"


class FramePlace(NamedTuple):
    """Where a frame stands."""

    first_sequence: int
    segment: int
    offset: int


class SegmentedLog:
    """The log at its durable end. One thread appends; any may read what `last_sequence` covers."""

    def __init__(self, storage: Storage, identity: Identity) -> None:
        self.storage = storage
        self.identity = identity
        self.frontier = Frontier()
        self.chain_head = genesis_hash(identity.uuid)
        self.last_sequence = 0
        self.frame_number = 0
        self.segment_number = 0
        self.nonce = b""
        self.offset = identity.segment_size
        self.has_spare = False
        self._first_sequences: list[int] = []
        self._places: list[FramePlace] = []

    @property
    def records_per_frame(self) -> int:
        """Give how many records one frame may hold in this ledger."""
        return segment_records(self.identity.segment_size)

    def has_room(self, count: int) -> bool:
        """Say whether a frame of `count` records can be written without making a segment."""
        return self.has_spare or self._fits(count)

    def prepare_spare(self) -> None:
        """Make the next segment ahead of its need. `OSError` leaves the log as it was."""
        storage = self.storage
        storage.create_zeroed(SPARE_TEMPORARY_NAME, self.identity.segment_size)
        storage.sync(SPARE_TEMPORARY_NAME)
        storage.rename(SPARE_TEMPORARY_NAME, SPARE_NAME)
        storage.sync_directory()
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
        self.segment_number, self.nonce, self.offset = number, nonce, BLOCK_BYTES

    def append(self, bodies: list[bytes], random_bytes: Callable[[int], bytes]) -> None:
        """Write one frame and sync it. When this returns, the records are durable.

        The caller extends `frontier` by the same bodies before the next append; it may answer
        first, so that hashing the tree delays nobody.
        """
        assert self.frontier.size == self.last_sequence
        if not self._fits(len(bodies)):
            self.activate(random_bytes)
        number = self.frame_number + 1
        frame, frame_hash = build_frame(
            number, self.nonce, self.chain_head, self.last_sequence + 1, seal(bodies)
        )
        name = segment_name(self.segment_number)
        self.storage.write(name, self.offset, frame)
        self.storage.sync(name)
        self.note_frame(self.offset, number, frame_hash, bodies)

    def note_frame(self, offset: int, number: int, frame_hash: bytes, bodies: list[bytes]) -> None:
        """Take a durable frame of the current segment into the log's view of itself."""
        self._first_sequences.append(self.last_sequence + 1)
        self._places.append(FramePlace(self.last_sequence + 1, self.segment_number, offset))
        self.frame_number = number
        self.chain_head = frame_hash
        self.last_sequence += len(bodies)
        self.offset = offset + frame_bytes(len(bodies))

    def write_mark(self) -> None:
        """Write, without a sync, that everything up to the last frame is durable."""
        if self.frame_number == 0:
            return
        # The current segment may have been activated after the last frame and hold none yet.
        segment = self._places[-1].segment
        mark = CommitMark(self.frame_number, self.last_sequence, segment, self.chain_head)
        self.storage.write(SUPERBLOCK_NAME, mark.offset, mark.pack())

    def body(self, sequence: int) -> bytes:
        """Give one durable record's body. Raise `LedgerCorruptError` when it does not verify."""
        assert 0 < sequence <= self.last_sequence
        place = self._places[bisect_right(self._first_sequences, sequence) - 1]
        offset = place.offset + HEADER_BYTES
        offset += RECORD_BYTES * (sequence - place.first_sequence)
        name = segment_name(place.segment)
        body = unseal(self.storage.read(name, offset, RECORD_BYTES))
        if body is None or int.from_bytes(body[:8], "little") != sequence:
            raise self._corrupt(name, offset, f"record {sequence} does not verify")
        return body

    def bodies(self, after_sequence: int, upto_sequence: int) -> Iterator[bytes]:
        """Yield the bodies of durable records in order, frame by frame."""
        index = max(0, bisect_right(self._first_sequences, after_sequence + 1) - 1)
        while index < len(self._places) and self._first_sequences[index] <= upto_sequence:
            place = self._places[index]
            index += 1
            end = self.last_sequence + 1
            if index < len(self._places):
                end = self._first_sequences[index]
            yield from self._frame_bodies(place, after_sequence, min(end - 1, upto_sequence))

    def _frame_bodies(self, place: FramePlace, after: int, upto: int) -> Iterator[bytes]:
        first = max(place.first_sequence, after + 1)
        name = segment_name(place.segment)
        start = place.offset + HEADER_BYTES + RECORD_BYTES * (first - place.first_sequence)
        payload = self.storage.read(name, start, RECORD_BYTES * (upto - first + 1))
        for sequence in range(first, upto + 1):
            offset = RECORD_BYTES * (sequence - first)
            body = unseal(payload[offset : offset + RECORD_BYTES])
            if body is None or int.from_bytes(body[:8], "little") != sequence:
                raise self._corrupt(name, start + offset, f"record {sequence} does not verify")
            yield body

    def _fits(self, count: int) -> bool:
        return self.offset + frame_bytes(count) <= self.identity.segment_size

    def _corrupt(self, name: str, offset: int, what: str) -> LedgerCorruptError:
        return LedgerCorruptError(
            f"{self.storage.location}/{name}, offset {offset}: {what}; restore the directory from "
            "a backup, nothing was changed"
        )


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
