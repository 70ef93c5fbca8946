"""What happens to a directory when it is opened: judged, locked, recovered, or made.

Source: docs/reference/ledger-format.md, sections 1 and 8. Nothing is written before the directory
is known to be ours.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ledger.books import Books
from ledger.errors import (
    LedgerBatchError,
    LedgerCorruptError,
    LedgerForeignError,
    LedgerRollbackError,
)
from ledger.frame import BLOCK_BYTES
from ledger.housekeeping import SEAL_TEMPORARY_NAME, SNAPSHOT_TEMPORARY_NAME
from ledger.limits import SEGMENT_SIZE_MAX, SEGMENT_SIZE_MIN, ZERO_CHUNK_BYTES
from ledger.log import (
    SPARE_TEMPORARY_NAME,
    SUPERBLOCK_NAME,
    SUPERBLOCK_TEMPORARY_NAME,
    RawSegment,
    Segment,
    SegmentedLog,
    adopt_spare,
    create_log,
)
from ledger.pages import seal_name, segment_name
from ledger.recovery import Scanner, list_segments
from ledger.restoring import capture, find_start, restore
from ledger.sealed import SealedSegment
from ledger.snapshot import Snapshot
from ledger.storage import Storage
from ledger.superblock import Superblock, read_durable_superblock, read_superblock
from ledger.tree import range_root

_OUR_NAMES = re.compile(
    r"\d{8}\.(seg|seal|snap)|spare\.(seg|tmp)|superblock(\.tmp)?|(seal|snapshot)\.tmp|lock"
)
_HALF_MADE = (
    SPARE_TEMPORARY_NAME,
    SUPERBLOCK_TEMPORARY_NAME,
    SEAL_TEMPORARY_NAME,
    SNAPSHOT_TEMPORARY_NAME,
)


_HASH_BYTES = 32
_CHECKPOINT_FORM = "give sequence and root_hash as `Ledger.checkpoint` gave them"


class Checkpoint(NamedTuple):
    """What the caller knows of the ledger from before: that it held this."""

    sequence: int
    root_hash: bytes

    @classmethod
    def read(cls, checkpoint: Mapping[str, Any] | None) -> "Checkpoint | None":
        """Give the checkpoint that `Ledger.checkpoint` gave as a dict. Raise `LedgerBatchError`."""
        if checkpoint is None:
            return None
        try:
            found = cls(int(checkpoint["sequence"]), bytes.fromhex(checkpoint["root_hash"]))
        except (KeyError, TypeError, ValueError) as error:
            raise LedgerBatchError(f"expected checkpoint: {error!r}; {_CHECKPOINT_FORM}") from error
        if not 0 <= found.sequence < 1 << 64 or len(found.root_hash) != _HASH_BYTES:
            raise LedgerBatchError(f"expected checkpoint: {_CHECKPOINT_FORM}")
        return found

    def check(self, log: SegmentedLog) -> None:
        """Raise `LedgerRollbackError` when the log does not contain the checkpoint."""
        location = log.storage.location
        if log.last_sequence < self.sequence:
            raise LedgerRollbackError(
                f"{location}: holds {log.last_sequence} records, the expected checkpoint has "
                f"{self.sequence}; an older copy was put back"
            )
        if range_root(log, 0, self.sequence) != self.root_hash:
            raise LedgerCorruptError(
                f"{location}: the first {self.sequence} records are not those of the expected "
                "checkpoint; history was rewritten"
            )


@dataclass(slots=True)
class OpenedLog:
    """A log that was read to its end, the books it gave, and the scanner that can go on."""

    log: SegmentedLog
    books: Books
    scanner: Scanner
    #: The last sequence of the snapshot it was opened from, 0 when it was read from genesis.
    snapshot_sequence: int
    #: The state behind the last closed segment that is still raw, when a snapshot of it is due.
    snapshot: Snapshot | None


def open_log(
    storage: Storage,
    *,
    random_bytes: Callable[[int], bytes],
    create: bool,
    read_only: bool,
    segment_size: int,
    checkpoint: Checkpoint | None,
) -> OpenedLog:
    """Open, or make, the ledger in a storage. Raise the `LedgerError` that says what is wrong."""
    names = storage.names()
    exists = SUPERBLOCK_NAME in names
    if read_only and exists:
        return _read(storage, read_durable_superblock(storage), checkpoint, read_only=True)
    foreign = sorted(name for name in names if not _OUR_NAMES.fullmatch(name))
    if not exists and foreign:
        raise LedgerForeignError(
            f"{storage.location}: holds {foreign[0]!r} and is no ledger; name an empty directory"
        )
    if not exists:
        _check_unfinished(storage, names)
    if not exists and (read_only or not create):
        raise LedgerForeignError(f"{storage.location}: no ledger here; create one first")
    if exists:
        read_superblock(storage)
    storage.lock()
    for name in _HALF_MADE:
        if name in storage.names():
            storage.remove(name)
    # Asked again under the lock: another process may have made the ledger in between.
    if SUPERBLOCK_NAME not in storage.names():
        _check_unfinished(storage, storage.names())
        _create(storage, segment_size, random_bytes)
    return _read(storage, read_superblock(storage), checkpoint, read_only=False)


def resume_log(opened: OpenedLog) -> None:
    """Read on, without judging the tail, up to the commit mark that is in force now."""
    log, books = opened.log, opened.books
    mark = read_durable_superblock(log.storage).mark
    if mark is None or mark.frame_number <= log.frame_number:
        return
    segments = log.segment_number
    opened.scanner.resume(mark)
    if log.segment_number > segments:  # What the writer has sealed need not stay in memory here.
        names = log.storage.names()
        for segment in log.segments[len(books.cold) : -1]:
            if isinstance(segment, RawSegment) and seal_name(segment.number) in names:
                log.adopt_sealed(segment.number)
        books.cool_all(log.segments[:-1])


def _check_unfinished(storage: Storage, names: Sequence[str]) -> None:
    """Raise `LedgerCorruptError` when a directory without a superblock was a whole ledger once.

    A creation that was interrupted leaves one segment at most, with its header page and no frame.
    Whatever holds more has lost its superblock, and is not made anew over its records.
    """
    segment = segment_name(1)
    found = [name for name in names if name[:8].isdigit() and name != segment]
    if not found and segment in names:
        size = storage.size(segment)
        starts = range(BLOCK_BYTES, size, ZERO_CHUNK_BYTES)
        chunks = (storage.read(segment, start, ZERO_CHUNK_BYTES) for start in starts)
        found = [segment] if any(chunk.strip(b"\0") for chunk in chunks) else []
    # Looked for again: another process may have finished its creation meanwhile.
    if found and SUPERBLOCK_NAME not in storage.names():
        raise LedgerCorruptError(
            f"{storage.location}/{SUPERBLOCK_NAME}, offset 0: it is missing, and {found[0]} "
            "belongs to a ledger; restore the superblock from a backup, nothing was changed"
        )


def _create(storage: Storage, segment_size: int, random_bytes: Callable[[int], bytes]) -> None:
    if segment_size % BLOCK_BYTES or not SEGMENT_SIZE_MIN <= segment_size <= SEGMENT_SIZE_MAX:
        raise LedgerBatchError(
            f"segment size {segment_size}: a multiple of {BLOCK_BYTES} from {SEGMENT_SIZE_MIN} "
            f"to {SEGMENT_SIZE_MAX}"
        )
    if segment_name(1) in storage.names():  # What a creation that was interrupted left behind.
        storage.remove(segment_name(1))
    create_log(storage, segment_size, random_bytes)


def _read(
    storage: Storage, superblock: Superblock, checkpoint: Checkpoint | None, *, read_only: bool
) -> OpenedLog:
    identity, mark = superblock.identity, superblock.mark
    log, books = SegmentedLog(storage, identity), Books()
    start = find_start(storage, identity, mark)
    if start is not None:
        log.start_from(*start)
        books = restore(start)
    stop = (0 if mark is None else mark.frame_number) if read_only else None
    segments = list_segments(storage)
    closed = segments.last - 1 if segments.last - 1 in segments.raw else 0
    since, snapshot = log.last_sequence, list[Snapshot | None]()

    def segment_ends(segment: Segment, last: bool) -> None:
        if isinstance(segment, SealedSegment):
            books.cool_all(log.segments)
        elif segment.number == closed and not (last or read_only):
            snapshot.append(capture(log, books, since, {}, ()))

    scanner = Scanner(log, mark, books.replay, stop_frame=stop, on_end=segment_ends)
    scanner.scan()
    if checkpoint is not None:
        checkpoint.check(log)
    if not read_only:
        scanner.repair()
        adopt_spare(log)
        log.write_marks()
    return OpenedLog(log, books, scanner, since, snapshot[0] if snapshot else None)
