"""The pure engine on a real disk whose kernel writes and reads less than it was asked to."""

import os
import random
from pathlib import Path

import pytest

from ledger import open_ledger
from tests.test_ledger.conftest import SteppingClock, counting_bytes
from tests.test_ledger.ledger_workload import Workload


def write_history(directory: Path) -> dict[str, bytes]:
    """Make a ledger of several segments; give its files."""
    work, clock = Workload(random.Random(3)), SteppingClock()
    ledger = open_ledger(
        directory, now_ns=clock, random_bytes=counting_bytes(), engine="pure", segment_size=32_768
    )
    ledger.create_accounts(work.accounts())
    for _ in range(12):
        ledger.create_transfers(work.transfers(60))
    assert ledger.verify().records == ledger.last_sequence
    ledger.close()
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def test_short_writes_and_reads_of_the_kernel_are_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = write_history(tmp_path / "whole")
    rng, real_write, real_read = random.Random(1), os.pwrite, os.pread
    cut: list[int] = []

    def short_write(descriptor: int, data: bytes | memoryview, offset: int) -> int:
        # Direct I/O goes on only at whole sectors, which is where a kernel stops.
        length = 512 * rng.randint(1, max(len(data) // 512, 1))
        cut.append(len(data) - min(length, len(data)))
        return real_write(descriptor, data[:length], offset)

    def short_read(descriptor: int, length: int, offset: int) -> bytes:
        return real_read(descriptor, rng.randint(1, length), offset)

    monkeypatch.setattr("ledger.storage.os.pwrite", short_write)
    monkeypatch.setattr("ledger.storage.os.pread", short_read)
    assert write_history(tmp_path / "short") == whole
    assert sum(1 for left in cut if left > 0) > 20
