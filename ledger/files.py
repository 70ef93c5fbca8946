"""A ledger's records straight from its files, for audit: every frame checked, no books, no engine.

It takes no lock and reads what the commit mark in force calls durable, beside a writer or alone.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from ledger.errors import LedgerForeignError
from ledger.log import SUPERBLOCK_NAME, SegmentedLog
from ledger.recovery import Scanner, read_superblock
from ledger.storage import FileStorage, Storage

#: Takes how many records are read, and how many there are.
Progress = Callable[[int, int], None]
#: Records between two words about the progress.
_PROGRESS_RECORDS = 10_000


class LogFiles:
    """The durable records of a directory. Close it when done."""

    def __init__(self, storage: Storage, progress: Progress | None = None) -> None:
        """Read and check every frame up to the commit mark.

        Raises:
            LedgerForeignError: there is no ledger of this version.
            LedgerCorruptError: a frame or record does not verify; names file and offset.
        """
        self._storage = storage
        superblock = read_superblock(storage)
        mark = superblock.mark
        self._log = SegmentedLog(storage, superblock.identity)
        stop, total = (0, 0) if mark is None else (mark.frame_number, mark.durable_upto)

        def accept(body: bytes) -> str | None:
            # Whether its money makes sense is `verify`'s question, not the audit's.
            done = int.from_bytes(body[:8], "little")
            if progress is not None and (done % _PROGRESS_RECORDS == 0 or done == total):
                progress(done, total)
            return None

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
