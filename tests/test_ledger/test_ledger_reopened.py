"""A process that died before its sync was done, on a machine that goes on: the next one makes sure.

What the dead process wrote is in a cache and verifies. The next life takes it for acknowledged, so
it must be durable before anything rests on it, whatever the last sync said.
"""

import random

import pytest

from ledger.errors import LedgerPoisonedError
from ledger.pure import open_pure_on
from ledger.structures import Account, Transfer
from tests.test_ledger.conftest import SteppingClock, counting_bytes
from tests.test_ledger.ledger_disk import SimulatedDisk


def opened(disk: SimulatedDisk):
    disk.locked, disk.fuse = False, -1
    return open_pure_on(
        disk, now_ns=SteppingClock(), random_bytes=counting_bytes(), segment_size=16_384
    )


def move(number: int) -> list[Transfer]:
    return [
        Transfer(id=number, debit_account_id=1, credit_account_id=2, amount=5, ledger=1, code=1)
    ]


@pytest.mark.parametrize("before", [1, 15, 16, 40])
def test_frame_of_a_failed_sync_is_durable_once_the_next_process_has_taken_it(before: int) -> None:
    disk = SimulatedDisk(random.Random(before))
    ledger = opened(disk)
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
    for number in range(1, before + 1):
        ledger.create_transfers(move(number))
    disk.fault, disk.fuse = "error", 2
    with pytest.raises(LedgerPoisonedError):
        ledger.create_transfers(move(1_000))
    again = opened(disk)
    taken = [entry.transfer.id for entry in again.entries()]
    assert taken[:before] == list(range(1, before + 1))
    for _ in range(12):  # Unsynced writes survive by chance.
        after = opened(disk.after_cut())
        assert [entry.transfer.id for entry in after.entries()] == taken
