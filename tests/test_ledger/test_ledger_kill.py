"""A writer killed with SIGKILL loses nothing that it acknowledged, time after time.

The acknowledgements are held by this process, which survives.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ledger import open_ledger
from ledger.errors import LedgerLockedError
from tests.test_ledger.conftest import counting_bytes

ROUNDS = 4
ACKNOWLEDGED_BEFORE_KILL = 400
#: So small that segments are sealed and snapshots written all the time, and larger.
SEGMENT_SIZES = (32_768, 1 << 20)
#: What a process that is killed at such a moment leaves half-made.
HALF_MADE = {"seal.tmp", "snapshot.tmp"}


@pytest.mark.slow
@pytest.mark.parametrize("segment_size", SEGMENT_SIZES)
def test_a_killed_writer_loses_nothing_acknowledged(
    engine: str, segment_size: int, tmp_path: Path
) -> None:
    acknowledged: set[int] = set()
    for number in range(ROUNDS):
        command = [sys.executable, "-m", "tests.test_ledger.ledger_victim"]
        command += [str(tmp_path), engine, str(1_000_000 * (number + 1)), str(segment_size)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2], env={**os.environ}
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(b"opened")
            for _ in range(ACKNOWLEDGED_BEFORE_KILL * (number + 1) // 2):
                acknowledged.add(int(process.stdout.readline()))
            with pytest.raises(LedgerLockedError):
                open_at(tmp_path, engine)
            if segment_size == min(SEGMENT_SIZES):
                for line in process.stdout:  # Until it is in the middle of a seal or a snapshot.
                    acknowledged.add(int(line))
                    if HALF_MADE & set(os.listdir(tmp_path)):
                        break
            process.send_signal(signal.SIGKILL)
            acknowledged |= {int(line) for line in process.stdout.read().split(b"\n") if line}
        ledger = open_at(tmp_path, engine)
        found = {entry.transfer.id for entry in ledger.entries()}
        assert acknowledged <= found
        report = ledger.verify()
        assert report.sum_minor == 0
        assert report.transfers == len(found)
        ledger.close()


def open_at(directory: Path, engine: str):  # type: ignore[no-untyped-def]
    return open_ledger(
        directory,
        now_ns=time.time_ns,
        random_bytes=counting_bytes(),
        engine=engine,  # type: ignore[arg-type]
        create=False,
    )
