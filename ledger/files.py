"""A ledger's records straight from its files, for audit: no books, no engine.

It takes no lock and reads what the commit mark in force calls durable, beside a writer or alone.
Where a snapshot stands it begins behind it: every frame after it is checked at once, every block
before it when it is read, so that a proof need not read the whole ledger.
"""

from collections.abc import Iterator
from pathlib import Path

from ledger.errors import LedgerCorruptError, LedgerForeignError
from ledger.log import SUPERBLOCK_NAME, RawSegment, SegmentedLog
from ledger.port import Progress
from ledger.record import takes_id
from ledger.recovery import Scanner
from ledger.restoring import find_start
from ledger.sealed import SealedSegment, cold_find
from ledger.storage import FileStorage, Storage
from ledger.superblock import read_durable_superblock
from ledger.tree import range_root

#: Records between two words about the progress.
_PROGRESS_RECORDS = 10_000


class LogFiles:
    """The durable records of a directory. Close it when done."""

    def __init__(self, storage: Storage, progress: Progress | None = None) -> None:
        """Read and check every frame behind the newest snapshot, up to the commit mark.

        Raises:
            LedgerForeignError: there is no ledger of this version.
            LedgerCorruptError: a frame or record does not verify; names file and offset.
        """
        self._storage = storage
        superblock = read_durable_superblock(storage)
        mark = superblock.mark
        self._log = SegmentedLog(storage, superblock.identity)
        stop, total = (0, 0) if mark is None else (mark.frame_number, mark.durable_upto)

        def accept(body: bytes) -> str | None:
            # Whether its money makes sense is `verify`'s question, not the audit's.
            done = int.from_bytes(body[:8], "little")
            if progress is not None and (done % _PROGRESS_RECORDS == 0 or done == total):
                progress(done, total)
            return None

        start = find_start(storage, superblock.identity, mark)
        if start is not None:
            self._log.start_from(*start)
        Scanner(self._log, mark, accept, stop_frame=stop).scan()

    @property
    def uuid(self) -> bytes:
        """Give the ledger's uuid."""
        return self._log.identity.uuid

    @property
    def size(self) -> int:
        """Give the number of records, which is the size of the Merkle tree."""
        return self._log.last_sequence

    @property
    def root(self) -> bytes:
        """Give the Merkle root over all of them."""
        return self._log.frontier.root()

    def bodies(self, size: int) -> Iterator[bytes]:
        """Yield the first `size` record bodies, 118 bytes each, in order."""
        assert 0 <= size <= self.size
        return self._log.bodies(0, size)

    def body(self, sequence: int) -> bytes:
        """Give one record's body."""
        return self._log.body(sequence)

    def range_root(self, leaves: range) -> bytes:
        """Give the Merkle root over a range of records, counted from 0."""
        root = range_root(self._log, leaves.start, leaves.stop)
        if leaves == range(self.size) and root != self.root:
            raise LedgerCorruptError(
                f"{self._storage.location}: the tree nodes of the sealed segments do not give the "
                "root of the log; find the segment with `lumbung ledger verify --full`"
            )
        return root

    def find_transfer(self, transfer_id: int) -> int:
        """Give the sequence of a transfer's record, a refusal's too; 0 where the id is unused."""
        sealed = [s for s in self._log.segments if isinstance(s, SealedSegment)]
        found = abs(cold_find(sealed, transfer_id)) if sealed else 0
        if found:
            return found if found <= self.size else 0
        for segment in self._log.segments:
            if isinstance(segment, RawSegment):
                first, last = segment.first_sequence, segment.last_sequence
                for sequence, body in enumerate(self._log.bodies(first - 1, last), first):
                    if takes_id(body, transfer_id):
                        return sequence
        return 0

    def close(self) -> None:
        """Close the files. Idempotent."""
        self._storage.close()


def open_files(directory: Path, progress: Progress | None = None) -> LogFiles:
    """Open a ledger directory for audit."""
    storage = FileStorage(directory, read_only=True, create=False)
    opened = None
    try:
        if SUPERBLOCK_NAME not in storage.names():
            raise LedgerForeignError(f"{directory}: no ledger here; name a ledger's directory")
        opened = LogFiles(storage, progress)
    finally:
        if opened is None:
            storage.close()
    return opened
