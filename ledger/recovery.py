"""Opening a log: every frame is checked and replayed; a torn tail is told from corruption.

Source: docs/reference/ledger-format.md, section 8. The difference decides everything: what was
never acknowledged may go, what was acknowledged is never truncated.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple
from zlib import crc32

from ledger.errors import LedgerCorruptError, LedgerForeignError
from ledger.frame import (
    BLOCK_BYTES,
    FRAME_MAGIC,
    HEADER_BYTES,
    VERSION,
    FrameHeader,
    frame_bytes,
)
from ledger.limits import SEGMENT_SIZE_MAX, SEGMENT_SIZE_MIN, ZERO_CHUNK_BYTES
from ledger.log import SUPERBLOCK_NAME, SegmentedLog
from ledger.pages import (
    SUPERBLOCK_BYTES,
    ZERO_BLOCK,
    CommitMark,
    Identity,
    read_identity,
    read_mark,
    read_segment_header,
    read_version,
    segment_name,
)
from ledger.record import RECORD_BYTES, unseal
from ledger.storage import Storage

#: Takes the next record's body; gives what is wrong with it, or None.
Replay = Callable[[bytes], str | None]


class TornTail(NamedTuple):
    """A tail that no answer ever covered: where it began and how many bytes were set to zero."""

    file: str
    offset: int
    length: int


class Superblock(NamedTuple):
    """What the superblock says: who the ledger is, and up to where it was certainly durable."""

    identity: Identity
    mark: CommitMark | None


def read_superblock(storage: Storage) -> Superblock:
    """Give the superblock. Raise `LedgerForeignError` or `LedgerCorruptError`."""
    where = f"{storage.location}/{SUPERBLOCK_NAME}"
    data = storage.read(SUPERBLOCK_NAME, 0, SUPERBLOCK_BYTES).ljust(SUPERBLOCK_BYTES, b"\0")
    version = read_version(data[:BLOCK_BYTES])
    if version is None:
        raise LedgerForeignError(
            f"{where}, offset 0: not a ledger of this program; nothing touched"
        )
    if version != VERSION:
        raise LedgerForeignError(
            f"{where}, offset 6: format version {version}, this program knows {VERSION}; "
            "open it with the version that made it"
        )
    identity = read_identity(data[:BLOCK_BYTES])
    if identity is None or not _sound_identity(identity):
        raise LedgerCorruptError(
            f"{where}, offset 0: the identity page does not verify; restore it from a backup"
        )
    slots = [data[BLOCK_BYTES : 2 * BLOCK_BYTES], data[2 * BLOCK_BYTES :]]
    marks = [mark for mark in map(read_mark, slots) if mark is not None]
    if not marks and any(slot != ZERO_BLOCK for slot in slots):
        raise LedgerCorruptError(
            f"{where}, offset {BLOCK_BYTES}: no commit mark verifies; restore the directory from "
            "a backup, nothing was changed"
        )
    return Superblock(identity, max(marks, default=None))


def _sound_identity(identity: Identity) -> bool:
    return (
        identity.block_bytes == BLOCK_BYTES
        and identity.segment_size % BLOCK_BYTES == 0
        and SEGMENT_SIZE_MIN <= identity.segment_size <= SEGMENT_SIZE_MAX
    )


class Scanner:
    """Reads a log from genesis into a `SegmentedLog` and a replay.

    `stop_frame` ends the scan after that frame without judging what lies behind; None judges the
    tail, which then must be repaired by `repair` before the log is written.
    """

    def __init__(
        self,
        log: SegmentedLog,
        mark: CommitMark | None,
        replay: Replay,
        *,
        stop_frame: int | None = None,
    ) -> None:
        self._log = log
        self._mark = mark
        self._replay = replay
        self._stop_frame = stop_frame
        self._data = b""
        self.torn_tail: TornTail | None = None

    def scan(self) -> None:
        """Scan everything. Raise `LedgerCorruptError` naming file and offset."""
        numbers = self._segment_numbers()
        for number in numbers:
            if self._log.frame_number == self._stop_frame and self._log.segment_number:
                break
            self._scan_segment(number, last=number == numbers[-1])
        if self._stop_frame is not None and self._log.frame_number < self._stop_frame:
            self._corrupt(self._log.offset, f"frame {self._log.frame_number + 1} is missing")

    def resume(self, mark: CommitMark) -> None:
        """Go on behind the last frame up to that of a newer mark (for readers)."""
        self._mark, self._stop_frame = mark, mark.frame_number
        self._load(self._log.segment_number)
        while self._log.frame_number != self._stop_frame:
            if not self._scan_frame():
                if self._log.segment_number == mark.segment_number:
                    self._judge_rest(last=True, short=False)
                self._scan_segment(self._log.segment_number + 1, last=False)

    def repair(self) -> None:
        """Set a torn tail to zero, durably."""
        if self.torn_tail is None:
            return
        storage, (name, offset, length) = self._log.storage, self.torn_tail
        for start in range(offset, offset + length, ZERO_CHUNK_BYTES):
            chunk = min(ZERO_CHUNK_BYTES, offset + length - start)
            storage.write(name, start, bytes(chunk))
        storage.sync(name)

    def _segment_numbers(self) -> list[int]:
        stems = [n[:-4] for n in self._log.storage.names() if n.endswith(".seg")]
        numbers = sorted(int(stem) for stem in stems if stem.isdigit() and len(stem) == 8)
        if numbers != list(range(1, len(numbers) + 1)) or not numbers:
            missing = next(n for n in range(1, len(numbers) + 2) if n not in numbers)
            raise LedgerCorruptError(
                f"{self._log.storage.location}/{segment_name(missing)}: the segment is missing; "
                "restore the directory from a backup, nothing was changed"
            )
        return numbers

    def _scan_segment(self, number: int, *, last: bool) -> None:
        log, size = self._log, self._log.identity.segment_size
        name = segment_name(number)
        self._load(number)
        header = read_segment_header(self._data[:BLOCK_BYTES])
        log.segment_number = number
        expected = (number, log.last_sequence + 1, log.frame_number + 1)
        if header is None or (header.uuid, header.segment_size, header.block_bytes) != (
            log.identity
        ):
            self._corrupt(0, "the segment's header page does not verify")
        elif (header.number, header.first_sequence, header.first_frame) != expected:
            self._corrupt(0, "the segment's header page does not continue the log")
        elif header.previous_hash != log.chain_head:
            self._corrupt(96, "the segment does not continue the hash chain")
        elif header.previous_root != log.frontier.root():
            self._corrupt(64, "the segment does not continue the Merkle tree")
        else:
            log.nonce, log.offset = header.nonce, BLOCK_BYTES
        while log.frame_number != self._stop_frame and self._scan_frame():
            pass
        if self._stop_frame is None or log.frame_number < self._stop_frame:
            self._judge_rest(last=last, short=log.storage.size(name) < size)

    def _load(self, number: int) -> None:
        size = self._log.identity.segment_size
        self._data = self._log.storage.read(segment_name(number), 0, size).ljust(size, b"\0")

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
        bodies = self._bodies(header, payload, start + HEADER_BYTES)
        head = self._data[start : start + HEADER_BYTES]
        log.note_frame(start, header.number, sha256(head).digest(), bodies)
        log.frontier.extend(bodies)
        self._check_mark(start)
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

    def _bodies(self, header: FrameHeader, payload: bytes, offset: int) -> list[bytes]:
        bodies = []
        for index in range(header.record_count):
            start = RECORD_BYTES * index
            body = unseal(payload[start : start + RECORD_BYTES])
            wrong = "the record's checksum is wrong" if body is None else self._replay(body)
            if wrong is not None or body is None:
                self._corrupt(offset + start, f"record {header.first_sequence + index}: {wrong}")
            else:
                bodies.append(body)
        return bodies

    def _check_mark(self, offset: int) -> None:
        log, mark = self._log, self._mark
        if mark is not None and mark.frame_number == log.frame_number:
            here = (log.frame_number, log.last_sequence, log.segment_number, log.chain_head)
            if mark != here:
                self._corrupt(offset, f"frame {log.frame_number} is not the one acknowledged")

    def _judge_rest(self, *, last: bool, short: bool) -> None:
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
        if not clean or short:
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

    def _corrupt(self, offset: int, what: str) -> None:
        name = segment_name(max(self._log.segment_number, 1))
        raise LedgerCorruptError(
            f"{self._log.storage.location}/{name}, offset {offset}: {what}; restore the "
            "directory from a backup, nothing was changed"
        )
