"""Where the log's bytes lie: the small trait that the engine writes through.

The engine knows only `Storage`, so a simulated disk can stand in for the real one. Errors of the
disk are `OSError` and pass through; the engine decides what they mean.
"""

import errno
import fcntl
import mmap
import os
import threading
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from ledger.errors import LedgerForeignError, LedgerLockedError, LedgerReadOnlyError
from ledger.frame import BLOCK_BYTES
from ledger.limits import FILES_OPEN_MAX, ZERO_CHUNK_BYTES

_LOCK_NAME = "lock"
#: What an open for writing answers where nothing may be written.
_READ_ONLY_ERRNOS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class Storage(Protocol):
    """A flat directory of files with positional reads and writes."""

    @property
    def location(self) -> str:
        """Give where this is, for error texts."""

    def names(self) -> list[str]:
        """Give the names of all files, sorted."""

    def size(self, name: str) -> int:
        """Give a file's length in bytes."""

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Give at most `length` bytes; fewer only where the file ends."""

    def write(self, name: str, offset: int, data: bytes) -> None:
        """Write all of `data`; it is durable only after `sync`."""

    def sync(self, name: str) -> None:
        """Make everything written to the file durable."""

    def create_zeroed(self, name: str, size: int) -> None:
        """Make (or make anew) a file of zero bytes, its space really taken; not yet synced."""

    def create(self, name: str, content: bytes) -> None:
        """Make (or make anew) a file with this content; not yet synced."""

    def rename(self, old: str, new: str) -> None:
        """Give a file another name; durable only after `sync_directory`."""

    def remove(self, name: str) -> None:
        """Remove a file."""

    def sync_directory(self) -> None:
        """Make names durable."""

    def lock(self) -> None:
        """Become the only writer. Raise `LedgerLockedError` when there is one."""

    def close(self) -> None:
        """Release the lock and every open file. Idempotent."""


class FileStorage:
    """A directory of a real file system. Thread-safe.

    Block-aligned writes go past the page cache (`O_DIRECT`) where the file system takes them:
    with pre-zeroed files that halves the latency of a commit (ledger.md 2.1). Elsewhere they are
    ordinary writes; durability comes from `fdatasync` in both cases.
    """

    def __init__(self, directory: Path, *, read_only: bool = False, create: bool = True) -> None:
        self._directory = directory
        self._read_only = read_only
        self._mutex = threading.Lock()
        self._files: OrderedDict[str, int] = OrderedDict()
        self._direct: dict[str, int] = {}
        self._lock_fd: int | None = None
        self._buffer: mmap.mmap | None = None
        self.direct_io = not read_only
        if create and not read_only:
            self._make_directory()

    @property
    def location(self) -> str:
        """Give the directory's path."""
        return str(self._directory)

    def names(self) -> list[str]:
        """Give the names of all entries, sorted. Raise `LedgerForeignError` without a directory."""
        try:
            return sorted(os.listdir(self._directory))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise LedgerForeignError(
                f"{self._directory}: {error.strerror}; name the directory of a ledger"
            ) from error

    def size(self, name: str) -> int:
        """Give a file's length in bytes."""
        return os.stat(self._directory / name).st_size

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Give at most `length` bytes; fewer only where the file ends."""
        parts = []
        with self._mutex:
            descriptor = self._open(name)
            while length > 0:
                part = os.pread(descriptor, length, offset)
                if not part:
                    break
                parts.append(part)
                offset += len(part)
                length -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def write(self, name: str, offset: int, data: bytes) -> None:
        """Write all of `data`, directly when it is whole blocks and the file system allows."""
        if self.direct_io and offset % BLOCK_BYTES == 0 and len(data) % BLOCK_BYTES == 0:
            descriptor = self._open_direct(name)
            if descriptor is not None:
                self._write_direct(descriptor, offset, data)
                return
        with self._mutex:
            descriptor = self._open(name)
        _write_all(descriptor, offset, memoryview(data))

    def sync(self, name: str) -> None:
        """Make everything written to the file durable."""
        with self._mutex:
            descriptor = self._direct.get(name)
            if descriptor is None:
                descriptor = self._open(name)
        os.fdatasync(descriptor)

    def create_zeroed(self, name: str, size: int) -> None:
        """Make a file of zero bytes by writing them: later writes then need no new extent."""
        zero = memoryview(bytes(min(size, ZERO_CHUNK_BYTES)))
        parts = (zero[: size - offset] for offset in range(0, size, ZERO_CHUNK_BYTES))
        self._create(name, parts)

    def create(self, name: str, content: bytes) -> None:
        """Make a file with this content, in chunks, so that commits pass in between."""
        view = memoryview(content)
        starts = range(0, len(content), ZERO_CHUNK_BYTES)
        self._create(name, (view[start : start + ZERO_CHUNK_BYTES] for start in starts))

    def _create(self, name: str, parts: Iterable[memoryview]) -> None:
        self._forget(name)
        descriptor = os.open(
            self._directory / name, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600
        )
        offset = 0
        try:
            for part in parts:
                _write_all(descriptor, offset, part)
                offset += len(part)
        finally:
            os.close(descriptor)

    def rename(self, old: str, new: str) -> None:
        """Give a file another name; durable only after `sync_directory`."""
        self._forget(old)
        self._forget(new)
        os.replace(self._directory / old, self._directory / new)

    def remove(self, name: str) -> None:
        """Remove a file."""
        self._forget(name)
        os.unlink(self._directory / name)

    def sync_directory(self) -> None:
        """Make names durable."""
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def lock(self) -> None:
        """Take the directory's lock. Raise `LedgerLockedError` or `LedgerReadOnlyError`."""
        path = self._directory / _LOCK_NAME
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno in _READ_ONLY_ERRNOS:
                raise _read_only(path, error) from error
            raise
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise LedgerLockedError(
                f"{self._directory}: another process writes this ledger; stop it first, or open "
                "the ledger read-only"
            ) from error
        self._lock_fd = descriptor

    def close(self) -> None:
        """Release the lock and every open file. Idempotent."""
        with self._mutex:
            for descriptor in (*self._files.values(), *self._direct.values()):
                os.close(descriptor)
            self._files.clear()
            self._direct.clear()
            if self._lock_fd is not None:
                os.close(self._lock_fd)
                self._lock_fd = None

    def _make_directory(self) -> None:
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except FileExistsError as error:
            raise LedgerForeignError(
                f"{self._directory}: not a directory; name a directory for the ledger"
            ) from error
        except OSError as error:
            if error.errno in _READ_ONLY_ERRNOS:
                raise _read_only(self._directory, error) from error
            raise LedgerForeignError(
                f"{self._directory}: {error.strerror}; name a directory that can be made"
            ) from error

    def _open(self, name: str) -> int:
        descriptor = self._files.pop(name, None)
        if descriptor is None:
            if len(self._files) >= FILES_OPEN_MAX:
                os.close(self._files.popitem(last=False)[1])
            flags = os.O_RDONLY if self._read_only else os.O_RDWR
            path = self._directory / name
            try:
                descriptor = os.open(path, flags | os.O_CLOEXEC)
            except OSError as error:
                if error.errno in _READ_ONLY_ERRNOS:
                    raise _read_only(path, error) from error
                raise
        self._files[name] = descriptor
        return descriptor

    def _open_direct(self, name: str) -> int | None:
        with self._mutex:
            descriptor = self._direct.get(name)
            if descriptor is not None:
                return descriptor
            for old in list(self._direct):  # Only the active segment is written directly.
                os.close(self._direct.pop(old))
            try:
                flags = os.O_WRONLY | os.O_DIRECT | os.O_CLOEXEC
                descriptor = os.open(self._directory / name, flags)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                self.direct_io = False  # This file system has no direct I/O (an older tmpfs).
                return None
            self._direct[name] = descriptor
            return descriptor

    def _write_direct(self, descriptor: int, offset: int, data: bytes) -> None:
        # Direct I/O wants memory aligned to the block; an anonymous map is page-aligned.
        if self._buffer is None or len(self._buffer) < len(data):
            self._buffer = mmap.mmap(-1, len(data))
        self._buffer[: len(data)] = data
        with memoryview(self._buffer) as view, view[: len(data)] as part:
            _write_all(descriptor, offset, part)

    def _forget(self, name: str) -> None:
        with self._mutex:
            for files in (self._files, self._direct):
                descriptor = files.pop(name, None)
                if descriptor is not None:
                    os.close(descriptor)


def _write_all(descriptor: int, offset: int, data: memoryview) -> None:
    while data:
        written = os.pwrite(descriptor, data, offset)
        offset += written
        data = data[written:]


def _read_only(path: Path, error: OSError) -> LedgerReadOnlyError:
    return LedgerReadOnlyError(
        f"{path}: {error.strerror}; the ledger's directory must be writable by this user, or open "
        "the ledger read-only"
    )
