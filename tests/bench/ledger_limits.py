"""What the disk and one core can do at most: the lines that no ledger can cross.

The disk is asked by the probe of `lumbung ledger bench`.
"""

import hashlib
import time
from pathlib import Path

import figures
from ledger_load import latency_rows, row

from lumbung.ledger_bench import BLOCK, Probe

SMALL_WRITES = 2_000
LARGE_WRITES = 200
MEGABYTE = 1 << 20
LEAF_BYTES = 119


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
