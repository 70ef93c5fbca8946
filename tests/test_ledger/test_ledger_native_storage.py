"""The native engine on a disk that Python simulates: the same operations in every run."""

import random
from pathlib import Path

import pytest

from ledger.errors import LedgerCorruptError, LedgerError, LedgerPoisonedError
from ledger.native import open_native
from ledger.port import Ledger
from ledger.structures import Account, Transfer
from tests.test_ledger.conftest import SteppingClock, counting_bytes, engines
from tests.test_ledger.ledger_disk import SimulatedDisk

pytestmark = pytest.mark.skipif(
    "native" not in engines(), reason="the native engine is not built: pip install . with Rust"
)
SEGMENT_SIZE = 16_384
POSTED = 8
MOVE = {"debit_account_id": 1, "credit_account_id": 2, "amount": 1, "ledger": 1, "code": 1}


def open_on(disk: SimulatedDisk) -> Ledger:
    """Open the native engine on a simulated disk."""
    return open_native(
        Path("simulated"),
        now_ns=SteppingClock(),
        random_bytes=counting_bytes(),
        segment_size=SEGMENT_SIZE,
        storage=disk,
        background=False,
    )


def fill(ledger: Ledger) -> None:
    """Post over several segments."""
    ledger.create_accounts([Account(id=number, ledger=1, code=1) for number in (1, 2)])
    for number in range(POSTED):
        post(ledger, number + 1)


def post(ledger: Ledger, number: int) -> None:
    """Post one transfer."""
    ledger.create_transfers([Transfer(id=number, **MOVE)])


def test_two_runs_on_simulated_disks_do_the_same_operations_and_leave_the_same_bytes() -> None:
    disks = [SimulatedDisk(random.Random(1)) for _ in range(2)]
    for disk in disks:
        ledger = open_on(disk)
        fill(ledger)
        ledger.close()
    first, second = disks
    assert first.operations == second.operations > 2 * POSTED
    assert first.names() == second.names()
    for name in first.names():
        assert first.read(name, 0, first.size(name)) == second.read(name, 0, second.size(name))


@pytest.mark.parametrize("fuse", range(1, 4))
def test_a_power_cut_in_the_simulated_disk_loses_nothing_that_was_answered(fuse: int) -> None:
    disk = SimulatedDisk(random.Random(fuse))
    ledger = open_on(disk)
    fill(ledger)
    acknowledged = ledger.last_sequence
    disk.fuse = fuse
    try:
        post(ledger, POSTED + 1)
        acknowledged += 1
    except LedgerPoisonedError:
        pass
    survivor = open_on(disk.after_cut())
    assert acknowledged <= survivor.last_sequence <= acknowledged + 1
    assert survivor.verify().records == survivor.last_sequence
    survivor.close()


def live(ledger: Ledger, rng: random.Random, posted: list[int]) -> None:
    """Repeat what was posted last, then post more; give up where the disk does."""
    for number in posted[-3:]:
        (again,) = ledger.create_transfers([Transfer(id=number, **MOVE)])
        assert again.status.name == "EXISTS"
    for _ in range(40):
        first = (posted or [0])[-1] + 1
        numbers = range(first, first + rng.choice((1, 1, 5, 40)))
        ledger.create_transfers([Transfer(id=number, **MOVE) for number in numbers])
        posted.extend(numbers)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_power_cuts_and_errors_while_sealing_lose_nothing_that_was_answered(seed: int) -> None:
    rng = random.Random(seed)
    disk = SimulatedDisk(rng)
    ledger = open_on(disk)
    ledger.create_accounts([Account(id=number, ledger=1, code=1) for number in (1, 2)])
    ledger.close()
    posted: list[int] = []
    for _ in range(5):
        disk.fault, disk.fuse = rng.choice(("cut", "error")), rng.randrange(5, 400)
        try:
            ledger = open_on(disk)
            # A batch whose answer never came may stand, whole.
            assert ledger.last_sequence >= 2 + len(posted), f"seed {seed}"
            posted.extend(range(len(posted) + 1, ledger.last_sequence - 1))
            live(ledger, rng, posted)
            disk.fuse = -1
            assert ledger.verify().records == 2 + len(posted), f"seed {seed}"
        except LedgerCorruptError as error:
            raise AssertionError(f"seed {seed}") from error
        except LedgerError:
            disk.fuse = -1
        ledger.close()
        disk = disk.after_cut()
    assert open_on(disk).verify().records >= 2 + len(posted), f"seed {seed}"
