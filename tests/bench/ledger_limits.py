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


def disk_rows(directory: Path) -> list[figures.Row]:
    """Give the latency of a 4 KiB and the bandwidth of a 1 MiB durable write."""
    path = directory / "probe"
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    for start in range(0, FILE_BYTES, MEGABYTE):
        os.pwrite(descriptor, bytes(MEGABYTE), start)
    os.fsync(descriptor)
    os.close(descriptor)
    try:
        descriptor, way = os.open(path, os.O_RDWR | os.O_DIRECT), "disk-direct"
    except OSError:  # This file system has no direct I/O.
        descriptor, way = os.open(path, os.O_RDWR), "disk-cached"
    try:
        small = _durable_writes(descriptor, BLOCK, SMALL_WRITES)
        large = _durable_writes(descriptor, MEGABYTE, LARGE_WRITES)
    finally:
        os.close(descriptor)
        path.unlink()
    rows = latency_rows("disk-4k-sync", way, len(small) / sum(small), small)
    rows += latency_rows("disk-1m-sync", way, len(large) / sum(large), large)
    rows.append(row("disk-1m-sync", way, "mib_per_s", len(large) / sum(large), "MiB/s"))
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


def _durable_writes(descriptor: int, size: int, count: int) -> list[float]:
    with mmap.mmap(-1, size) as page:  # Page-aligned, as direct I/O wants it.
        page[:] = os.urandom(size)
        took = []
        for number in range(count):
            before = time.perf_counter()
            os.pwrite(descriptor, page, number * size % FILE_BYTES)
            os.fdatasync(descriptor)
            took.append(time.perf_counter() - before)
    return took


def _timed(work: object) -> float:
    assert callable(work)
    before = time.perf_counter()
    work()
    return time.perf_counter() - before
