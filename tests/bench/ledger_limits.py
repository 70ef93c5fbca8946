"""What the disk and one core can do at most: the lines that no ledger can cross.

The file is written with zeros first and then with O_DIRECT and fdatasync, the way of the engine.
"""

import hashlib
import mmap
import os
import time
from pathlib import Path

import figures
from ledger_load import latency_rows, row

BLOCK = 4096
FILE_BYTES = 64 << 20
SMALL_WRITES = 2_000
LARGE_WRITES = 200
MEGABYTE = 1 << 20
LEAF_BYTES = 119


class Probe:
    """The disk's own durable write, a whole block at a time, round and round in one file."""

    def __init__(self, directory: Path, size: int = BLOCK) -> None:
        path = directory / f"probe-{size}"
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        for start in range(0, FILE_BYTES, MEGABYTE):
            os.pwrite(descriptor, bytes(MEGABYTE), start)
        os.fsync(descriptor)
        os.close(descriptor)
        self.way = "disk-direct"
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_DIRECT)
        except OSError:  # This file system has no direct I/O.
            self._descriptor, self.way = os.open(path, os.O_RDWR), "disk-cached"
        self._path, self._next = path, 0
        self._page = mmap.mmap(-1, size)  # Page-aligned, as direct I/O wants it.
        self._page[:] = os.urandom(size)

    def write(self) -> float:
        """Write the next page durably; give the seconds it took."""
        before = time.perf_counter()
        os.pwrite(self._descriptor, self._page, self._next)
        os.fdatasync(self._descriptor)
        took = time.perf_counter() - before
        self._next = (self._next + len(self._page)) % FILE_BYTES
        return took

    def close(self) -> None:
        """Remove the file."""
        os.close(self._descriptor)
        self._page.close()
        self._path.unlink()


def disk_rows(directory: Path) -> list[figures.Row]:
    """Give the latency of a 4 KiB and the bandwidth of a 1 MiB durable write."""
    rows = []
    for case, size, count in (
        ("disk-4k-sync", BLOCK, SMALL_WRITES),
        ("disk-1m-sync", MEGABYTE, LARGE_WRITES),
    ):
        probe = Probe(directory, size)
        took = [probe.write() for _ in range(count)]
        probe.close()
        rows += latency_rows(case, probe.way, len(took) / sum(took), took)
    rows.append(row("disk-1m-sync", probe.way, "mib_per_s", len(took) / sum(took), "MiB/s"))
    return rows


def hash_rows() -> list[figures.Row]:
    """Give how fast one core hashes, in bulk and a leaf of the Merkle tree at a time."""
    bulk, leaf = bytes(MEGABYTE), bytes(LEAF_BYTES)
    best = min(_timed(lambda: hashlib.sha256(bulk).digest()) for _ in range(100))
    leaves = 20_000
    began = time.perf_counter()
    for _ in range(leaves):
        hashlib.sha256(leaf).digest()
    per_second = leaves / (time.perf_counter() - began)
    return [
        row("sha256-bulk", "one-core", "mib_per_s", 1 / best, "MiB/s"),
        row("sha256-119-bytes", "one-core-python", "per_s", per_second),
    ]


def _timed(work: object) -> float:
    assert callable(work)
    before = time.perf_counter()
    work()
    return time.perf_counter() - before
