"""Online backup: a second directory that holds everything durable, made beside the writer.

Sealed segments and snapshots never change, so they are linked where that is possible; the segment
that is being written is copied up to the last durable frame. The superblock comes last: until then
the destination is no ledger.
"""

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ledger.errors import LedgerForeignError
from ledger.files import open_files
from ledger.frame import BLOCK_BYTES, HEADER_BYTES, FrameHeader, frame_bytes
from ledger.log import SUPERBLOCK_NAME, SUPERBLOCK_TEMPORARY_NAME, SegmentedLog
from ledger.pages import (
    SUPERBLOCK_BYTES,
    ZERO_BLOCK,
    CommitMark,
    Identity,
    seal_name,
    segment_name,
    snapshot_name,
)
from ledger.port import BackupReport
from ledger.recovery import corrupt
from ledger.snapshot import snapshot_numbers
from ledger.storage import FileStorage
from ledger.superblock import read_durable_superblock

#: What a file system answers that cannot link this file here; then it is copied.
_NO_LINK_ERRNOS = frozenset(
    {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.EACCES, errno.ENOSYS}
)


def back_up(source: Path, destination: Path, *, link: bool = True) -> BackupReport:
    """Copy the ledger in `source`, as it is durable now, into an empty or new directory.

    `link` shares the files that never change with the source (same file system only): that guards
    against what a program deletes, not against what a disk loses.

    Raises:
        LedgerForeignError: `source` is no ledger, or `destination` holds something.
        LedgerCorruptError: what was copied does not verify.
        OSError: the destination cannot be written.
    """
    storage = FileStorage(source, read_only=True, create=False)
    try:
        if SUPERBLOCK_NAME not in storage.names():
            raise LedgerForeignError(f"{source}: no ledger here; name a ledger's directory")
        _make_empty(destination)
        counts = _Copy(storage, source, destination, link=link).run()
    finally:
        storage.close()
    files = open_files(destination)
    try:
        return counts.report(files.size, files.root)
    finally:
        files.close()


class _Counts(NamedTuple):
    """What it took."""

    files_linked: int
    files_copied: int
    bytes_copied: int

    def report(self, last_sequence: int, root_hash: bytes) -> BackupReport:
        """Give the report of a backup that was opened."""
        return BackupReport(
            last_sequence=last_sequence,
            root_hash=root_hash,
            files_linked=self.files_linked,
            files_copied=self.files_copied,
            bytes_copied=self.bytes_copied,
        )


class _Copy:
    """One backup under way."""

    def __init__(
        self, storage: FileStorage, source: Path, destination: Path, *, link: bool
    ) -> None:
        self._storage = storage
        self._source = source
        self._destination = destination
        self._link = link
        self._linked = self._copied = self._bytes = 0

    def run(self) -> _Counts:
        """Copy everything, the superblock last, all of it durable."""
        identity, mark, tail = self._tail()
        number = 1 if mark is None else mark.segment_number
        for before in range(1, number):
            self._closed_segment(before)
        self._write(segment_name(number), tail, identity.segment_size)
        for snapshot in snapshot_numbers(self._storage.names()):
            if snapshot < number:
                with suppress(FileNotFoundError):  # The writer keeps the newest only.
                    self._share(snapshot_name(snapshot))
        page = bytearray(identity.pack() + 2 * ZERO_BLOCK)
        if mark is not None:
            page[mark.offset : mark.offset + BLOCK_BYTES] = mark.pack()
        self._sync_directory()
        self._write(SUPERBLOCK_TEMPORARY_NAME, bytes(page), SUPERBLOCK_BYTES)
        temporary = self._destination / SUPERBLOCK_TEMPORARY_NAME
        temporary.rename(self._destination / SUPERBLOCK_NAME)
        self._sync_directory()
        return _Counts(self._linked, self._copied, self._bytes)

    def _tail(self) -> tuple[Identity, CommitMark | None, bytes]:
        """Give the mark in force and its segment's bytes up to the frame that it names."""
        while True:
            identity, mark, _ = read_durable_superblock(self._storage)
            name = segment_name(1 if mark is None else mark.segment_number)
            try:
                raw = self._storage.read(name, 0, identity.segment_size)
            except FileNotFoundError:
                # Sealed since the mark was read; then there is a newer mark.
                if read_durable_superblock(self._storage).mark == mark:
                    log = SegmentedLog(self._storage, identity)
                    corrupt(log, name, 0, "the segment is missing")
                continue
            return identity, mark, raw[: self._tail_end(identity, mark, name, raw)]

    def _tail_end(self, identity: Identity, mark: CommitMark | None, name: str, raw: bytes) -> int:
        offset = BLOCK_BYTES
        number = 0
        while mark is not None and number != mark.frame_number:
            header = FrameHeader.unpack(raw[offset : offset + HEADER_BYTES])
            if header is None or header.number > mark.frame_number:
                log = SegmentedLog(self._storage, identity)
                corrupt(log, name, offset, f"frame {mark.frame_number} is not there")
            number = header.number
            offset += frame_bytes(header.record_count)
        return offset

    def _closed_segment(self, number: int) -> None:
        try:
            self._share(segment_name(number))
        except FileNotFoundError:
            self._share(seal_name(number))

    def _share(self, name: str) -> None:
        """Link a file that never changes, or copy it."""
        source, target = self._source / name, self._destination / name
        if self._link:
            try:
                os.link(source, target)
            except OSError as error:
                if error.errno not in _NO_LINK_ERRNOS:
                    raise
            else:
                self._linked += 1
                return
        shutil.copyfile(source, target)
        self._made(target)

    def _write(self, name: str, content: bytes, size: int) -> None:
        """Write a file whose rest, up to its size, is zero."""
        target = self._destination / name
        with target.open("wb") as file:
            file.write(content)
            file.truncate(size)
        self._made(target)

    def _made(self, target: Path) -> None:
        target.chmod(0o600)
        with target.open("rb") as file:
            os.fsync(file.fileno())
            self._bytes += os.fstat(file.fileno()).st_size
        self._copied += 1

    def _sync_directory(self) -> None:
        descriptor = os.open(self._destination, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _make_empty(destination: Path) -> None:
    try:
        destination.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = next(destination.iterdir(), None)
    except OSError as error:
        raise LedgerForeignError(
            f"{destination}: {error.strerror}; name a directory that can be made"
        ) from error
    if held is not None:
        raise LedgerForeignError(
            f"{destination}: holds {held.name!r} already; a backup goes into an empty directory"
        )
