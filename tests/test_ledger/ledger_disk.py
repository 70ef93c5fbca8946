"""A simulated disk behind the `Storage` trait: it loses what was not synced, and fails on demand.

A write lands in the cache; a sync makes it durable. On a power cut every 512-byte sector of every
unsynced write survives or not by the toss of a coin, in any order; names survive up to a random
point of their unsynced changes. A failed sync drops what it should have written and says no more
about it, as Linux does: the next sync succeeds without it.
"""

import errno
import random

from ledger.errors import LedgerLockedError

SECTOR = 512


class PowerCut(Exception):  # noqa: N818 - it is an event, not an error of the program.
    """The machine stops here."""


class _File:
    """A file: what a reader sees, what is durable, and the writes in between."""

    def __init__(self, size: int = 0) -> None:
        self.seen = bytearray(size)
        self.durable = bytearray()
        self.writes: list[tuple[int, bytes]] = [(0, bytes(size))] if size else []

    def sync(self) -> None:
        for offset, data in self.writes:
            _put(self.durable, offset, data)
        self.writes = []

    def after_cut(self, rng: random.Random) -> "_File":
        survivor = _File()
        survivor.durable = bytearray(self.durable)
        sectors = [
            (start, data[start - offset : start - offset + SECTOR])
            for offset, data in self.writes
            for start in range(offset, offset + len(data), SECTOR)
        ]
        kept = rng.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        for start, sector in sectors:
            if rng.random() < kept:
                torn = rng.randrange(0, SECTOR, 4) if rng.random() < 0.02 else SECTOR
                _put(survivor.durable, start, sector[:torn])
        survivor.seen = bytearray(survivor.durable)
        return survivor


class SimulatedDisk:
    """Files in memory with faults. `fuse` counts mutating operations down to the fault."""

    location = "simulated"

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.files: dict[str, _File] = {}
        self.durable_names: dict[str, _File] = {}
        self.changes: list[dict[str, _File]] = []
        self.locked = False
        self.capacity = 1 << 40
        self.fuse = -1
        self.fault = "cut"
        self.operations = 0

    def names(self) -> list[str]:
        return sorted(self.files)

    def size(self, name: str) -> int:
        return len(self._file(name).seen)

    def read(self, name: str, offset: int, length: int) -> bytes:
        return bytes(self._file(name).seen[offset : offset + length])

    def write(self, name: str, offset: int, data: bytes) -> None:
        file = self._file(name)
        if self._burn():
            part = data[: self.rng.randrange(0, len(data) + 1)]
            _put(file.seen, offset, part)
            file.writes.append((offset, part))
            self._fail()
        _put(file.seen, offset, data)
        file.writes.append((offset, bytes(data)))

    def sync(self, name: str) -> None:
        file = self._file(name)
        if self._burn():
            if self.fault == "cut" and self.rng.random() < 0.3:
                file.sync()
            elif self.fault == "error":
                file.writes = []
            self._fail()
        file.sync()

    def create_zeroed(self, name: str, size: int) -> None:
        if sum(len(file.seen) for file in self.files.values()) + size > self.capacity:
            raise OSError(errno.ENOSPC, "No space left on device")
        if self._burn():
            self._fail()
        self.files[name] = _File(size)
        self.changes.append(dict(self.files))

    def rename(self, old: str, new: str) -> None:
        if self._burn():
            self._fail()
        self.files[new] = self.files.pop(old)
        self.changes.append(dict(self.files))

    def remove(self, name: str) -> None:
        del self.files[name]
        self.changes.append(dict(self.files))

    def sync_directory(self) -> None:
        if self._burn():
            self._fail()
        self.durable_names, self.changes = dict(self.files), []

    def lock(self) -> None:
        if self.locked:
            raise LedgerLockedError("simulated: locked")
        self.locked = True

    def close(self) -> None:
        self.locked = False

    def after_cut(self) -> "SimulatedDisk":
        """Give the disk as it comes up after the power was cut."""
        other = SimulatedDisk(self.rng)
        reached = self.rng.randrange(len(self.changes) + 1)
        names = self.changes[reached - 1] if reached else self.durable_names
        survivors = {id(file): file.after_cut(self.rng) for file in names.values()}
        other.files = {name: survivors[id(file)] for name, file in names.items()}
        other.durable_names = dict(other.files)
        return other

    def _file(self, name: str) -> _File:
        if name not in self.files:
            raise FileNotFoundError(errno.ENOENT, name)
        return self.files[name]

    def _burn(self) -> bool:
        self.operations += 1
        self.fuse -= 1
        return self.fuse == 0

    def _fail(self) -> None:
        if self.fault == "cut":
            raise PowerCut
        raise OSError(errno.EIO, "Input/output error")


def _put(content: bytearray, offset: int, data: bytes) -> None:
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data
