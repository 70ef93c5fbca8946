"""What happens to a directory when it is opened: judged, locked, recovered, or made.

Source: docs/reference/ledger-format.md, sections 1 and 8. Nothing is written before the directory
is known to be ours.
"""

import re
from collections.abc import Callable, Mapping
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
from ledger.limits import SEGMENT_SIZE_MAX, SEGMENT_SIZE_MIN
from ledger.log import (
    SPARE_TEMPORARY_NAME,
    SUPERBLOCK_NAME,
    SUPERBLOCK_TEMPORARY_NAME,
    SegmentedLog,
    adopt_spare,
    create_log,
)
from ledger.merkle import Frontier
from ledger.recovery import Scanner, Superblock, read_superblock
from ledger.storage import Storage

_OUR_NAMES = re.compile(
    r"\d{8}\.seg|\d{8}\.snap|spare\.(seg|tmp)|superblock(\.tmp)?|snapshot\.tmp|lock"
)
_HALF_MADE = (SPARE_TEMPORARY_NAME, SUPERBLOCK_TEMPORARY_NAME, "snapshot.tmp")


class Checkpoint(NamedTuple):
    """What the caller knows of the ledger from before: that it held this."""

    sequence: int
    root_hash: bytes

    @classmethod
    def read(cls, checkpoint: Mapping[str, Any] | None) -> "Checkpoint | None":
        """Give the checkpoint that `Ledger.checkpoint` gave as a dict."""
        if checkpoint is None:
            return None
        return cls(int(checkpoint["sequence"]), bytes.fromhex(checkpoint["root_hash"]))


@dataclass(slots=True)
class OpenedLog:
    """A log that was read to its end, the books it gave, and the scanner that can go on."""

    log: SegmentedLog
    books: Books
    scanner: Scanner


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
        return _read(storage, read_superblock(storage), checkpoint, read_only=True)
    foreign = sorted(name for name in names if not _OUR_NAMES.fullmatch(name))
    if not exists and foreign:
        raise LedgerForeignError(
            f"{storage.location}: holds {foreign[0]!r} and is no ledger; name an empty directory"
        )
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
        _create(storage, segment_size, random_bytes)
    return _read(storage, read_superblock(storage), checkpoint, read_only=False)


def resume_log(opened: OpenedLog) -> None:
    """Read on, without judging the tail, up to the commit mark that is in force now."""
    mark = read_superblock(opened.log.storage).mark
    if mark is not None and mark.frame_number > opened.log.frame_number:
        opened.scanner.resume(mark)


def _create(storage: Storage, segment_size: int, random_bytes: Callable[[int], bytes]) -> None:
    if segment_size % BLOCK_BYTES or not SEGMENT_SIZE_MIN <= segment_size <= SEGMENT_SIZE_MAX:
        raise LedgerBatchError(
            f"segment size {segment_size}: a multiple of {BLOCK_BYTES} from {SEGMENT_SIZE_MIN} "
            f"to {SEGMENT_SIZE_MAX}"
        )
    for name in storage.names():  # What a creation that was interrupted left behind.
        if name.endswith(".seg"):
            storage.remove(name)
    create_log(storage, segment_size, random_bytes)


def _read(
    storage: Storage, superblock: Superblock, checkpoint: Checkpoint | None, *, read_only: bool
) -> OpenedLog:
    log, books = SegmentedLog(storage, superblock.identity), Books()
    mark = superblock.mark
    witness = _Witness(books, checkpoint)
    stop = (0 if mark is None else mark.frame_number) if read_only else None
    scanner = Scanner(log, mark, witness.replay, stop_frame=stop)
    scanner.scan()
    witness.check(storage.location)
    if not read_only:
        scanner.repair()
        adopt_spare(log)
        log.write_mark()
        storage.sync(SUPERBLOCK_NAME)
    return OpenedLog(log, books, scanner)


class _Witness:
    """Replays into the books and, on the way, looks for the checkpoint the caller expects."""

    def __init__(self, books: Books, checkpoint: Checkpoint | None) -> None:
        self._books = books
        self._checkpoint = checkpoint
        self._frontier = Frontier()
        self._leaves: list[bytes] = []

    def replay(self, body: bytes) -> str | None:
        """Take a record; give what is wrong with it."""
        wanted = self._checkpoint
        if wanted is not None and self._books.last_sequence < wanted.sequence:
            self._leaves.append(body)
            if len(self._leaves) == 1_000:
                self._fold()
        return self._books.replay(body)

    def check(self, location: str) -> None:
        """Raise `LedgerRollbackError` when the log does not contain the checkpoint."""
        wanted = self._checkpoint
        if wanted is None:
            return
        self._fold()
        if self._frontier.size < wanted.sequence:
            raise LedgerRollbackError(
                f"{location}: holds {self._frontier.size} records, the expected checkpoint has "
                f"{wanted.sequence}; an older copy was put back"
            )
        if self._frontier.root() != wanted.root_hash:
            raise LedgerCorruptError(
                f"{location}: the first {wanted.sequence} records are not those of the expected "
                "checkpoint; history was rewritten"
            )

    def _fold(self) -> None:
        self._frontier.extend(self._leaves)
        self._leaves = []
