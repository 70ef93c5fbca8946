"""Seeded crashes on a simulated disk: what was acknowledged is there, and nothing half-done is.

Each seed runs a hostile workload, cuts the power (or fails a write or sync) at a random operation,
opens what survived and compares it with the oracle: the state after the last answer, or after the
one group that was under way, never anything else.
"""

import errno
import random

import pytest

from ledger.errors import LedgerFullError, LedgerPoisonedError
from ledger.pure import PureLedger
from ledger.structures import Transfer
from tests.test_ledger.conftest import engines
from tests.test_ledger.ledger_disk import SimulatedDisk
from tests.test_ledger.ledger_simulation import WAYS, Simulation, run_seed
from tests.test_ledger.ledger_workload import Workload

QUICK_SEEDS = range(8)
#: More than the writes, syncs and renames of the short life below.
OPERATIONS = 66
SLOW_SEEDS = range(1_000, 1_060)
MOVE = {"debit_account_id": 1, "credit_account_id": 4, "amount": 0, "ledger": 1, "code": 1}


@pytest.mark.parametrize("seed", QUICK_SEEDS)
def test_after_any_crash_the_acknowledged_state_is_recovered(seed: int) -> None:
    run_seed(seed, rounds=4)


def test_disk_that_lies_gets_refusals_and_no_wrong_state() -> None:
    assert sum(run_seed(seed, rounds=1).refusals for seed in range(20, 26)) > 0


@pytest.mark.slow
@pytest.mark.timeout(300)  # Half a minute of work alone; a busy machine takes its time.
@pytest.mark.parametrize("way", WAYS)
def test_after_many_crashes_the_acknowledged_state_is_recovered(way: str) -> None:
    for seed in SLOW_SEEDS:
        run_seed(seed, engine=way)


@pytest.mark.parametrize("engine", engines())
@pytest.mark.parametrize("fault", ["cut", "error"])
def test_a_fault_at_every_operation_of_a_rotating_log_is_survived(fault: str, engine: str) -> None:
    rotated, struck = 0, True
    for fuse in range(1, OPERATIONS):
        simulation = Simulation(fuse, engine)
        simulation.segment_size = 16_384
        simulation.work = Workload(random.Random(4))
        simulation.disk.fault, simulation.disk.fuse = fault, fuse
        struck = simulation.live(8)
        simulation.finish()
        segments = [name for name in simulation.disk.names() if name.startswith("0")]
        rotated = max(rotated, len(segments))
    assert rotated >= 2
    assert not struck, "raise OPERATIONS: the last of them still had its fault"


def test_a_full_disk_refuses_new_work_up_front_and_answers_again_when_there_is_room() -> None:
    simulation = Simulation(1)
    simulation.segment_size = 16_384
    disk = simulation.disk
    ledger = simulation.open()
    ledger.create_accounts(simulation.work.accounts())
    disk.capacity = 16_384 * 3
    accepted = 0
    while ledger._log.has_room(10):
        ledger.create_transfers([Transfer(id=accepted + 1, **MOVE)])
        accepted += 1
    before = ledger.checkpoint()
    assert accepted > 3
    with pytest.raises(LedgerFullError, match="No space left"):
        ledger.create_transfers([Transfer(id=100, **MOVE)])
    with pytest.raises(LedgerFullError):
        ledger.create_transfers([Transfer(id=100, **MOVE)])
    assert ledger.checkpoint() == before
    disk.capacity = 1 << 30
    ledger.create_transfers([Transfer(id=100, **MOVE)])
    assert ledger.verify().records == ledger.last_sequence > before["sequence"]


def test_a_failed_sync_is_never_followed_by_an_answer() -> None:
    simulation = Simulation(2)
    ledger = simulation.open()
    ledger.create_accounts(simulation.work.accounts())
    simulation.disk.fault, simulation.disk.fuse = "error", 2
    with pytest.raises(LedgerPoisonedError, match="Input/output error"):
        ledger.create_transfers([Transfer(id=100, **MOVE)])
    with pytest.raises(LedgerPoisonedError):
        ledger.create_transfers([Transfer(id=100, **MOVE)])
    with pytest.raises(LedgerPoisonedError):
        ledger.checkpoint()
    ledger.close()
    assert isinstance(simulation.open(), PureLedger)


@pytest.mark.parametrize("engine", engines())
def test_name_of_a_new_segment_is_durable_before_an_answer(engine: str) -> None:
    simulation = Simulation(5, engine)
    simulation.segment_size, disk = 16_384, simulation.disk
    ledger = simulation.open()
    ledger.create_accounts(simulation.work.accounts())
    disk.capacity = 0  # No further spare, whose making would sync the directory as well.
    for number in range(1, 6):
        ledger.create_transfers([Transfer(id=number, **MOVE)])
        for _ in range(4):
            simulation.disk = disk.after_cut()
            assert len(list(simulation.open().entries())) == number
    assert "00000002.seg" in disk.names()


def no_room(name: str, content: bytes) -> None:
    raise OSError(errno.ENOSPC, f"No space left on device for {name} of {len(content)} bytes")


def test_repaired_tail_stays_zero_when_the_next_frame_goes_to_another_segment() -> None:
    simulation = Simulation(5)
    simulation.segment_size, disk = 16_384, simulation.disk
    ledger = simulation.open()
    ledger.create_accounts(simulation.work.accounts())
    ledger.close()
    torn = disk.files["00000001.seg"]
    for content in (torn.seen, torn.durable):
        content[8_192:8_200] = b"LMBFRM\1\0"  # The second frame was begun; no answer covers it.
    disk.lied = True
    # No sealing, which would take the segment away before its tail matters.
    disk.create = no_room  # type: ignore[method-assign]
    ledger = simulation.open()
    assert ledger.torn_tail is not None
    ledger.create_transfers([Transfer(id=n, **MOVE) for n in range(1, 70)])  # Three blocks.
    assert "00000002.seg" in disk.names()
    for _ in range(8):  # What was not synced is lost in one of these.
        simulation.disk = disk.after_cut()
        assert len(list(simulation.open().entries())) == 69


def test_simulated_disk_loses_what_was_not_synced() -> None:
    disk = SimulatedDisk(random.Random(3))
    disk.create_zeroed("f", 1024)
    disk.sync("f")
    disk.sync_directory()
    disk.write("f", 0, b"a" * 512)
    disk.sync("f")
    disk.write("f", 512, b"b" * 512)
    seen = {disk.after_cut().read("f", 0, 1024)[512:] for _ in range(40)}
    assert {bytes(512), b"b" * 512} <= seen
    assert all(disk.after_cut().read("f", 0, 512) == b"a" * 512 for _ in range(10))


def test_simulated_disk_keeps_no_order_of_names_that_were_not_synced() -> None:
    disk = SimulatedDisk(random.Random(3))
    for name in ("raw", "half-made"):
        disk.create_zeroed(name, 512)
        disk.sync(name)
    disk.sync_directory()
    disk.rename("half-made", "dense")
    disk.remove("raw")
    seen = {tuple(disk.after_cut().names()) for _ in range(60)}
    assert seen == {("half-made", "raw"), ("dense", "raw"), ("half-made",), ("dense",)}
    disk.sync_directory()
    assert {tuple(disk.after_cut().names()) for _ in range(20)} == {("dense",)}
