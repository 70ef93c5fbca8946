"""A simulated disk behind the `Storage` trait: it loses what was not synced, and fails on demand.

A write lands in the cache; a sync makes it durable. On a power cut every 512-byte sector of every
unsynced write survives or not by the toss of a coin, in any order. So does each change of a name
that no sync of the directory followed: POSIX promises no order, so a removal may stand whose rename
before it is lost; sometimes, as on a journalling file system, they survive up to a random point. A
failed sync drops what it should have written and says no more about it, as Linux does: the next
sync succeeds without it. From the cut on nothing answers, so an engine that takes the cut for an
error of one operation gets no further. A `kill` ends the process and not the machine: what was
written stands, and a later cut may still take it. A full disk refuses what would make a file grow,
and has room again when `capacity` says so.

Four faults are silent, as bad firmware is: a write that lands on another block of its file
(`misdirect`), one of which only the first sectors arrive (`short`), a read that gives another block
(`misread`), and a bit that turns over while nobody looks (`rot`).
"""

import errno
import random
from collections.abc import Iterator, Mapping
from typing import NamedTuple, NoReturn

from ledger.errors import LedgerLockedError

SECTOR = 512
BLOCK = 4096
SILENT_FAULTS = ("misdirect", "short", "misread")
#: Faults that strike a read; the others strike what changes the disk.
READ_FAULTS = ("read", "misread")


class PowerCut(Exception):  # noqa: N818 - it is an event, not an error of the program.
    """The machine, or the process, stops here."""


class _Change(NamedTuple):
    """A change of names: the file leaves one name, takes one, or both (a rename, never torn)."""

    leaves: str | None
    takes: str | None
    file: "_File"

    def apply(self, names: "dict[str, _File]") -> None:
        if self.leaves is not None and names.get(self.leaves) is self.file:
            del names[self.leaves]
        if self.takes is not None:
            names[self.takes] = self.file


class _File:
    """A file: what a reader sees, what is durable, and the writes in between."""

    def __init__(self, size: int = 0) -> None:
        self.seen = bytearray(size)
        self.durable = bytearray()
        self.writes: list[tuple[int, bytes]] = [(0, bytes(size))] if size else []

    def copy(self) -> "_File":
        other = _File()
        other.seen, other.durable = bytearray(self.seen), bytearray(self.durable)
        other.writes = list(self.writes)
        return other

    def sync(self) -> None:
        for offset, data in self.writes:
            _put(self.durable, offset, data)
        self.writes = []

    def after_cut(self, rng: random.Random, *, tears: bool) -> "_File":
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
                torn = rng.randrange(0, SECTOR, 4) if tears and rng.random() < 0.02 else SECTOR
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
        #: Changes of names since the directory was synced.
        self.changes: list[_Change] = []
        self.locked = False
        self.capacity = 1 << 40
        self.fuse = -1
        self.fault = "cut"
        self.operations = 0
        #: Whether the power was cut: then nothing answers any more.
        self.off = False
        #: Whether a fault that is told has happened.
        self.struck = False
        #: Whether a silent fault has happened: then even synced data may be wrong.
        self.lied = False

    @classmethod
    def holding(cls, files: Mapping[str, bytes]) -> "SimulatedDisk":
        """Give a disk on which these files are durable."""
        disk = cls(random.Random(0))
        for name, content in files.items():
            disk.create(name, content)
            disk.sync(name)
        disk.sync_directory()
        return disk

    def contents(self) -> dict[str, bytes]:
        """Give what a reader sees in each file."""
        return {name: bytes(file.seen) for name, file in self.files.items()}

    def names(self) -> list[str]:
        self._answer()
        return sorted(self.files)

    def size(self, name: str) -> int:
        return len(self._file(name).seen)

    def read(self, name: str, offset: int, length: int) -> bytes:
        seen = self._file(name).seen
        if self.fault in READ_FAULTS and self._burn():
            if self.fault == "read":
                self._fail()
            offset = self._elsewhere(len(seen), offset, length)
        return bytes(seen[offset : offset + length])

    def write(self, name: str, offset: int, data: bytes) -> None:
        file = self._file(name)
        self._grow(offset + len(data) - len(file.seen))
        if self._burns(silent=True) and self.fault in SILENT_FAULTS:
            offset, data = self._misplaced(len(file.seen), offset, data)
        elif self.fuse == 0 and self.fault not in READ_FAULTS:
            length = self.rng.randrange(0, len(data) + 1)
            part = data[: length if _tears(name) else length // SECTOR * SECTOR]
            _put(file.seen, offset, part)
            file.writes.append((offset, part))
            self._fail()
        _put(file.seen, offset, data)
        file.writes.append((offset, bytes(data)))

    def _misplaced(self, size: int, offset: int, data: bytes) -> tuple[int, bytes]:
        if self.fault == "short":
            self.lied = True
            return offset, data[: SECTOR * self.rng.randrange(-(-len(data) // SECTOR))]
        return self._elsewhere(size, offset, len(data)), data

    def _elsewhere(self, size: int, offset: int, length: int) -> int:
        self.lied = True
        places = [at for at in range(0, size - length + 1, BLOCK) if at != offset]
        return self.rng.choice(places or [offset])

    def rot(self) -> tuple[str, int]:
        """Turn one bit over in a file that belongs to the ledger; say which file and offset."""
        name = self.rng.choice([n for n in self.names() if n[0] == "0" or n == "superblock"])
        file = self.files[name]
        offset = self.rng.randrange(len(file.seen))
        if self.rng.random() < 0.7:  # Most of a file is zero; what is written matters more.
            written = [n for n in range(0, len(file.seen), 64) if any(file.seen[n : n + 64])]
            start = self.rng.choice(written)
            offset = self.rng.randrange(start, min(start + 64, len(file.seen)))
        bit = 1 << self.rng.randrange(8)
        self.lied = True
        file.seen[offset] ^= bit
        file.durable[offset] ^= bit
        return name, offset

    def copy(self) -> "SimulatedDisk":
        """Give the same content on another disk that works."""
        return self._with({id(file): file.copy() for file in self._known_files()})

    def after_kill(self) -> "SimulatedDisk":
        """Give the disk as the next process finds it: what was not synced is still not synced."""
        return self._with({id(file): file for file in self._known_files()})

    def _known_files(self) -> Iterator[_File]:
        for names in (self.files, self.durable_names):
            yield from names.values()
        yield from (change.file for change in self.changes)

    def _with(self, files: dict[int, _File]) -> "SimulatedDisk":
        def again(names: dict[str, _File]) -> dict[str, _File]:
            return {name: files[id(file)] for name, file in names.items()}

        other = SimulatedDisk(self.rng)
        other.files, other.durable_names = again(self.files), again(self.durable_names)
        other.changes = [c._replace(file=files[id(c.file)]) for c in self.changes]
        other.lied = self.lied
        return other

    def sync(self, name: str) -> None:
        file = self._file(name)
        if self._burns():
            if self.fault == "cut" and self.rng.random() < 0.3:
                file.sync()
            elif self.fault == "error":
                file.writes = []
            self._fail()
        file.sync()

    def create_zeroed(self, name: str, size: int) -> None:
        self._grow(size)
        if self._burns():
            self._fail()
        self._change(None, name, _File(size))

    def create(self, name: str, content: bytes) -> None:
        self._grow(len(content))
        self._change(None, name, _File())
        self.write(name, 0, content)

    def rename(self, old: str, new: str) -> None:
        if self._burns():
            self._fail()
        self._change(old, new, self.files[old])

    def remove(self, name: str) -> None:
        self._file(name)
        if self._burns():
            self._fail()
        self._change(name, None, self.files[name])

    def sync_directory(self) -> None:
        if self._burns():
            self._fail()
        self.durable_names, self.changes = dict(self.files), []

    def lock(self) -> None:
        self._answer()
        if self.locked:
            raise LedgerLockedError("simulated: locked")
        self.locked = True

    def close(self) -> None:
        self.locked = False

    def after_cut(self) -> "SimulatedDisk":
        """Give the disk as it comes up after the power was cut."""
        other = SimulatedDisk(self.rng)
        names = self._names_after_cut()
        survivors = {
            id(file): file.after_cut(self.rng, tears=_tears(name)) for name, file in names.items()
        }
        other.files = {name: survivors[id(file)] for name, file in names.items()}
        other.lied = self.lied
        other.durable_names = dict(other.files)
        return other

    def _names_after_cut(self) -> dict[str, _File]:
        reached = self.rng.randrange(len(self.changes) + 1)
        in_order = self.rng.random() < 0.3
        names = dict(self.durable_names)
        for number, change in enumerate(self.changes):
            if number < reached if in_order else self.rng.random() < 0.5:
                change.apply(names)
        return names

    def _change(self, leaves: str | None, takes: str | None, file: _File) -> None:
        change = _Change(leaves, takes, file)
        change.apply(self.files)
        self.changes.append(change)

    @property
    def used(self) -> int:
        """Give the bytes of all files."""
        return sum(len(file.seen) for file in self.files.values())

    def _grow(self, size: int) -> None:
        if size > 0 and self.used + size > self.capacity:
            raise OSError(errno.ENOSPC, "No space left on device")

    def _answer(self) -> None:
        if self.off:
            raise PowerCut

    def _file(self, name: str) -> _File:
        self._answer()
        if name not in self.files:
            raise FileNotFoundError(errno.ENOENT, name)
        return self.files[name]

    def _burns(self, *, silent: bool = False) -> bool:
        """Count an operation that changes the disk; a silent fault waits for a write."""
        self._answer()
        self.operations += 1
        if self.fault in READ_FAULTS:
            return False
        if self.fault in SILENT_FAULTS and self.fuse == 1 and not silent:
            return False
        return self._burn()

    def _burn(self) -> bool:
        self.fuse -= 1
        return self.fuse == 0

    def _fail(self) -> NoReturn:
        self.struck = True
        if self.fault in ("cut", "kill"):
            self.off = True
            raise PowerCut
        raise OSError(errno.EIO, "Input/output error")


def _put(content: bytearray, offset: int, data: bytes) -> None:
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def _tears(name: str) -> bool:
    """Say whether a sector may tear: the format relies on whole ones for commit marks only."""
    return not name.startswith("superblock")
