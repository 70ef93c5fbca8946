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


@pytest.mark.slow
def test_a_killed_writer_loses_nothing_acknowledged(engine: str, tmp_path: Path) -> None:
    acknowledged: set[int] = set()
    for number in range(ROUNDS):
        command = [sys.executable, "-m", "tests.test_ledger.ledger_victim"]
        command += [str(tmp_path), engine, str(1_000_000 * (number + 1))]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2], env={**os.environ}
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(b"opened")
            for _ in range(ACKNOWLEDGED_BEFORE_KILL * (number + 1) // 2):
                acknowledged.add(int(process.stdout.readline()))
            with pytest.raises(LedgerLockedError):
                open_at(tmp_path, engine)
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
