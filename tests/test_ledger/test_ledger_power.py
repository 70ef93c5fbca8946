"""The real engines, threads and all, on a real disk: a power cut at any moment of what they did.

What a process wrote, synced and renamed is recorded while it posts; then each of many moments is
made again on a simulated disk, the power is cut there, and what survives must hold all that had
been acknowledged until then. A sync that is missing, or an answer before its sync, shows here.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.test_ledger.conftest import SteppingClock
from tests.test_ledger.ledger_disk import SimulatedDisk
from tests.test_ledger.ledger_lives import Nonces, open_on
from tests.test_ledger.ledger_trace import (
    Entry,
    build_recorder,
    new_disk,
    read_trace,
    recorded,
    replay,
)

SEGMENT_SIZE = 32_768
ACKNOWLEDGED = 700
#: Moments at which the power is cut, and how often at each: what survives is chance.
MOMENTS = 60
CUTS = 2


def record(library: Path, directory: Path, engine: str) -> list[Entry]:
    """Let a process post until it has acknowledged enough, and kill it."""
    ledger, trace = directory / "ledger", directory / "trace"
    ledger.mkdir()
    command = [sys.executable, "-m", "tests.test_ledger.ledger_victim"]
    command += [str(ledger), engine, "1000000", str(SEGMENT_SIZE)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        env=recorded(library, ledger, trace),
    ) as process:
        assert process.stdout is not None
        for _ in range(ACKNOWLEDGED):
            assert process.stdout.readline()
        while not list(ledger.glob("*.snap")):  # A busy machine seals late.
            assert process.stdout.readline()
        process.kill()
    return read_trace(trace)


@pytest.mark.slow
def test_what_was_acknowledged_survives_a_power_cut_at_any_moment(
    engine: str, tmp_path: Path, need: Callable[[str], None]
) -> None:
    need("cc")
    entries = record(build_recorder(tmp_path), tmp_path, engine)
    kinds = {entry.kind for entry in entries}
    assert kinds >= set("awsdr")
    names = {entry.data.decode() for entry in entries if entry.kind == "r"}
    assert any(name.endswith(".seal") for name in names)
    assert any(name.endswith(".snap") for name in names)
    disk, acknowledged = new_disk(len(entries)), set[int]()
    moments = set(disk.rng.sample(range(len(entries)), MOMENTS))
    for number, entry in enumerate(entries):
        if number in moments:
            for _ in range(CUTS):
                survivor = disk.after_cut()
                try:
                    found = ids(survivor, "pure" if number % 2 else engine)
                except Exception as error:
                    error.add_note(f"entry {number} of {len(entries)}")
                    raise
                assert acknowledged <= found, f"entry {number} of {len(entries)}"
        acknowledged.update(replay(disk, entry))


def ids(disk: SimulatedDisk, engine: str) -> set[int]:
    """Open what survived; give the ids that it holds."""
    ledger = open_on(disk, engine, SteppingClock(), Nonces(), SEGMENT_SIZE)
    found = {entry.transfer.id for entry in ledger.entries()}
    report = ledger.verify()
    assert (report.transfers, report.sum_minor) == (len(found), 0)
    ledger.close()
    return found
