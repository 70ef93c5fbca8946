"""Opening a log: every frame is checked and replayed; a torn tail is told from corruption.

Source: docs/reference/ledger-format.md, section 8. The difference decides everything: what was
never acknowledged may go, what was acknowledged is never truncated.
"""

import struct
from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple, NoReturn
from zlib import crc32

from ledger.errors import LedgerCorruptError
from ledger.frame import (
    BLOCK_BYTES,
    FRAME_MAGIC,
    HEADER_BYTES,
    FrameHeader,
    frame_bytes,
)
from ledger.limits import ZERO_CHUNK_BYTES
from ledger.log import RawSegment, Segment, SegmentedLog
from ledger.pages import (
    CommitMark,
    SegmentHeader,
    read_segment_header,
    seal_name,
    segment_name,
)
from ledger.record import RECORD_BYTES, unseal
from ledger.sealed import SealedSegment
from ledger.storage import Storage

#: Takes the next record's body; gives what is wrong with it, or None.
Replay = Callable[[bytes], str | None]


class TornTail(NamedTuple):
    """A tail that no answer ever covered: where it began and how many bytes were set to zero."""

    file: str
    offset: int
    length: int


class SegmentNames(NamedTuple):
    """Which segments a directory holds raw; numbers below `last` that are not there are sealed."""

    raw: frozenset[int]
    last: int


def list_segments(storage: Storage) -> SegmentNames:
    """Give the segments by their names. Raise `LedgerCorruptError` where one is missing."""
    names = storage.names()
    while True:
        raw, sealed = _numbers(names, ".seg"), _numbers(names, ".seal")
        last = max(raw, default=0)
        dense = max(sealed, default=0)
        missing = set(range(1, max(last, dense) + 1)) - raw - sealed
        if dense > last or not last:
            missing.add(dense + 1)
        if not missing:
            return SegmentNames(raw, last)
        again = storage.names()
        if again == names:
            break
        names = again  # A name moved while the directory was listed: a writer is sealing.
    raise LedgerCorruptError(
        f"{storage.location}/{segment_name(min(missing))}: the segment is missing; "
        "restore the directory from a backup, nothing was changed"
    )


def _numbers(names: list[str], suffix: str) -> frozenset[int]:
    stems = [name.removesuffix(suffix) for name in names if name.endswith(suffix)]
    return frozenset(int(stem) for stem in stems if stem.isdigit() and len(stem) == 8)


class Scanner:
    """Reads a log, from genesis or from behind a snapshot, into a `SegmentedLog` and a replay.

    `stop_frame` ends the scan after that frame without judging what lies behind; None judges the
    tail, which then must be repaired by `repair` before the log is written. `on_end` is told of
    every segment that was read whole, and whether it is the last.
    """

    def __init__(
        self,
        log: SegmentedLog,
        mark: CommitMark | None,
        replay: Replay,
        *,
        stop_frame: int | None = None,
        on_end: Callable[[Segment, bool], None] | None = None,
    ) -> None:
        self._log = log
        self._mark = mark
        self._replay = replay
        self._stop_frame = stop_frame
        self._on_end = on_end
        self._data = b""
        self._short = False
        #: Where the last frame of a raw segment stands in `_data`: from, up to.
        self._last_frame = (0, 0)
        self.torn_tail: TornTail | None = None

    def scan(self) -> None:
        """Scan everything. Raise `LedgerCorruptError` naming file and offset."""
        segments = list_segments(self._log.storage)
        for number in range(self._log.segment_number + 1, segments.last + 1):
            if self._stopped and self._log.segment_number:
                break
            last = number == segments.last
            self._scan_segment(number, raw=number in segments.raw, last=last)
        if self._stop_frame is not None and not self._stopped:
            self._corrupt(self._log.offset, f"frame {self._log.frame_number + 1} is missing")

    def resume(self, mark: CommitMark) -> None:
        """Go on behind the last frame up to that of a newer mark (for readers)."""
        self._mark, self._stop_frame = mark, mark.frame_number
        if self._log.segments:
            self._rest_of(self._log.segments[-1])
        while not self._stopped:
            if self._log.segment_number == mark.segment_number:
                self._judge_rest(last=True)
            self._scan_segment(self._log.segment_number + 1, raw=True, last=False)

    @property
    def _stopped(self) -> bool:
        return self._stop_frame is not None and self._log.frame_number >= self._stop_frame

    def _rest_of(self, segment: Segment) -> None:
        """Read on in a segment that was not at its end, raw or sealed meanwhile."""
        if isinstance(segment, RawSegment):
            try:
                self._load(segment.number)
            except FileNotFoundError:
                segment = self._log.adopt_sealed(segment.number)
        if isinstance(segment, SealedSegment):
            if self._log.last_sequence < segment.last_sequence:
                self._take_sealed(segment, last=False)
            return
        while not self._stopped and self._scan_frame():
            pass

    def repair(self) -> None:
        """Make the last frame certain, and that only zero stands behind it, durably."""
        self._clear_behind()
        self._make_certain()

    def _clear_behind(self) -> None:
        """Set a torn tail to zero; without one, as far as a frame under way may have reached.

        An earlier repair may stand in a cache only, its sync failed or never begun: what reads as
        zero is then torn again after the next power cut, and no reader can tell. Written again,
        because a failed sync leaves nothing for another to do.
        """
        log, size = self._log, self._log.identity.segment_size
        end = size
        if self.torn_tail is None:
            end = min(log.offset + frame_bytes(log.records_per_frame), size)
        if log.offset == end:
            return
        name = segment_name(log.segment_number)
        for start in range(log.offset, end, ZERO_CHUNK_BYTES):
            log.storage.write(name, start, bytes(min(ZERO_CHUNK_BYTES, end - start)))
        log.storage.sync(name)

    def _make_certain(self) -> None:
        """Write the last frame and its segment's header page again, unless a mark vouches for them.

        A process that died before its sync, or whose sync failed, leaves them in a cache:
        they verify, and the next power cut takes them away. Frames before the last one were durable
        when it was begun. Written again, because a failed sync leaves nothing for another to do.
        """
        log, mark = self._log, self._mark
        vouched = mark is not None and mark.frame_number == log.frame_number
        if vouched and mark is not None and mark.segment_number == log.segment_number:
            return
        if not log.segments or not isinstance(log.segments[-1], RawSegment):
            return
        storage, name = log.storage, segment_name(log.segment_number)
        for start, end in ((0, BLOCK_BYTES), self._last_frame):
            if start < end:
                storage.write(name, start, self._data[start:end])
        storage.sync(name)
        storage.sync_directory()

    def _scan_segment(self, number: int, *, raw: bool, last: bool) -> None:
        log = self._log
        if raw:
            try:
                self._load(number)
            except FileNotFoundError:  # Sealed since its name was read.
                raw = False
        if not raw:
            sealed = SealedSegment(log.storage, number)
            self._check_header(sealed.segment, seal_name(number))
            sealed.verify_blocks()
            log.enter(sealed)
            self._take_sealed(sealed, last=last)
            return
        header = read_segment_header(self._data[:BLOCK_BYTES])
        name = segment_name(number)
        if header is None or header.number != number:
            corrupt(log, name, 0, "the segment's header page does not verify")
        self._check_header(header, name)
        log.enter(RawSegment(log.storage, header))
        while not self._stopped and self._scan_frame():
            pass
        if self._stop_frame is None or not self._stopped:
            self._judge_rest(last=last)
            if self._on_end is not None:
                self._on_end(log.segments[-1], last)

    def _check_header(self, header: SegmentHeader, name: str) -> None:
        """Check that a segment goes on where the log ends."""
        log = self._log
        expected = (log.segment_number + 1, log.last_sequence + 1, log.frame_number + 1)
        if (header.uuid, header.segment_size, header.block_bytes) != log.identity:
            corrupt(log, name, 0, "the segment's header page is not of this ledger")
        elif (header.number, header.first_sequence, header.first_frame) != expected:
            corrupt(log, name, 0, "the segment's header page does not continue the log")
        elif header.previous_hash != log.chain_head:
            corrupt(log, name, 96, "the segment does not continue the hash chain")
        elif header.previous_root != log.frontier.root():
            corrupt(log, name, 64, "the segment does not continue the Merkle tree")

    def _take_sealed(self, sealed: SealedSegment, *, last: bool) -> None:
        """Take the frames of a sealed segment that are not taken yet."""
        log, records = self._log, sealed.parts.records.offset
        skip = log.frame_number + 1 - sealed.segment.first_frame
        for number, frame_hash, payload in sealed.frames(skip):
            if self._stopped:
                return
            offset = records + RECORD_BYTES * (log.last_sequence + 1 - sealed.first_sequence)
            bodies = self._bodies(payload, offset, sealed.name)
            log.note_frame(number, frame_hash, len(bodies))
            log.grow_tree(bodies)
            self._check_mark(sealed.name, offset)
        header, stamp = sealed.header, struct.Struct("<8xQ").unpack_from
        found = tuple(
            stamp(log.body(sequence))[0]
            for sequence in (sealed.first_sequence, sealed.last_sequence)
        )
        if found != (header.first_timestamp, header.last_timestamp):
            sealed.corrupt(168, "the timestamps are not those of the records")
        if header.root != log.frontier.root():
            sealed.corrupt(248, "the records do not give the Merkle root of the header page")
        if self._on_end is not None:
            self._on_end(sealed, last)

    def _load(self, number: int) -> None:
        size = self._log.identity.segment_size
        content = self._log.storage.read(segment_name(number), 0, size)
        self._short = len(content) < size
        self._data = content.ljust(size, b"\0")
        self._last_frame = (0, 0)

    def _scan_frame(self) -> bool:
        """Take the frame at the log's offset; say whether there was a good one."""
        log, start = self._log, self._log.offset
        header = FrameHeader.unpack(self._data[start : start + HEADER_BYTES])
        if header is None or not self._continues(header):
            return False
        payload = self._data[start + HEADER_BYTES : start + HEADER_BYTES + header.payload_bytes]
        if (
            crc32(payload) != header.payload_crc
            or sha256(payload).digest() != header.payload_sha256
        ):
            return False
        end = start + frame_bytes(header.record_count)
        padding = start + HEADER_BYTES + header.payload_bytes
        if self._data[padding:end].strip(b"\0"):
            self._corrupt(padding, f"the padding of frame {header.number} is not zero")
        bodies = self._bodies(payload, start + HEADER_BYTES, segment_name(log.segment_number))
        head = self._data[start : start + HEADER_BYTES]
        log.note_frame(header.number, sha256(head).digest(), len(bodies))
        log.grow_tree(bodies)
        self._last_frame = (start, end)
        self._check_mark(segment_name(log.segment_number), start)
        return True

    def _continues(self, header: FrameHeader) -> bool:
        log = self._log
        return (
            header.number == log.frame_number + 1
            and header.nonce == log.nonce
            and header.previous_hash == log.chain_head
            and header.first_sequence == log.last_sequence + 1
            and header.durable_upto == log.last_sequence
            and 0 < header.record_count <= log.records_per_frame
            and header.payload_bytes == RECORD_BYTES * header.record_count
            and log.offset + frame_bytes(header.record_count) <= log.identity.segment_size
        )

    def _bodies(self, payload: bytes, offset: int, name: str) -> list[bytes]:
        bodies = []
        for start in range(0, len(payload), RECORD_BYTES):
            body = unseal(payload[start : start + RECORD_BYTES])
            wrong = "the record's checksum is wrong" if body is None else self._replay(body)
            if wrong is not None or body is None:
                sequence = self._log.last_sequence + 1 + start // RECORD_BYTES
                corrupt(self._log, name, offset + start, f"record {sequence}: {wrong}")
            bodies.append(body)
        return bodies

    def _check_mark(self, name: str, offset: int) -> None:
        log, mark = self._log, self._mark
        if mark is not None and mark.frame_number == log.frame_number:
            here = (log.frame_number, log.last_sequence, log.segment_number, log.chain_head)
            if mark != here:
                corrupt(log, name, offset, f"frame {log.frame_number} is not the one acknowledged")

    def _judge_rest(self, *, last: bool) -> None:
        """Decide what the bytes behind the last good frame are."""
        log, start = self._log, self._log.offset
        rest = self._data[start:]
        clean = rest == bytes(len(rest))
        due = log.frame_number + 1
        if not last:
            if not clean:
                self._corrupt(start, f"frame {due} does not verify, and a segment follows")
            return
        if self._mark is not None and self._mark.frame_number >= due:
            self._corrupt(start, f"frame {due} was acknowledged and does not verify")
        later = self._later_frame(start)
        if later:
            self._corrupt(start, f"frame {due} does not verify, and frame {later} follows")
        if not clean or self._short:
            self.torn_tail = TornTail(segment_name(log.segment_number), start, len(rest))

    def _later_frame(self, start: int) -> int:
        """Give the number of a later frame's header in the rest of the segment, 0 for none.

        It counts wherever it stands, also in the very place of the frame that is due: a disk may
        have put it there.
        """
        position = self._data.find(FRAME_MAGIC, start)
        while position >= 0:
            if position % BLOCK_BYTES == 0:
                header = FrameHeader.unpack(self._data[position : position + HEADER_BYTES])
                ours = header is not None and header.nonce == self._log.nonce
                if header is not None and ours and header.number > self._log.frame_number + 1:
                    return header.number
            position = self._data.find(FRAME_MAGIC, position + 1)
        return 0

    def _corrupt(self, offset: int, what: str) -> NoReturn:
        corrupt(self._log, segment_name(max(self._log.segment_number, 1)), offset, what)


def corrupt(log: SegmentedLog, name: str, offset: int, what: str) -> NoReturn:
    """Raise `LedgerCorruptError` naming the file and the offset."""
    raise LedgerCorruptError(
        f"{log.storage.location}/{name}, offset {offset}: {what}; restore the "
        "directory from a backup, nothing was changed"
    )
