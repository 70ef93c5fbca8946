"""What the simulation found once, each as a test that no change of its draws takes away."""

import random

import pytest

from ledger.errors import (
    LedgerError,
    LedgerForeignError,
    LedgerPoisonedError,
)
from ledger.sealed import SealedSegment
from ledger.structures import Account, Transfer
from tests.test_ledger.conftest import SteppingClock, engines
from tests.test_ledger.ledger_disk import BLOCK, PowerCut, SimulatedDisk
from tests.test_ledger.ledger_lives import AnyLedger, Nonces, Recovered, open_on

MOVE = {"debit_account_id": 1, "credit_account_id": 2, "amount": 1, "ledger": 1, "code": 1}
SIZE = 16_384
ENGINES = pytest.mark.parametrize("engine", engines())


def opened(disk: SimulatedDisk, engine: str) -> AnyLedger:
    disk.locked, disk.fuse = False, -1
    return open_on(disk, engine, SteppingClock(), Nonces(), SIZE)


def filled(disk: SimulatedDisk, engine: str) -> AnyLedger:
    """Give a ledger whose segments 1 (accounts), 2 and 3 (transfers 100.., 200..) are sealed."""
    ledger = opened(disk, engine)
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
    for first in (100, 200, 300):
        ledger.create_transfers([Transfer(id=first + n, **MOVE) for n in range(90)])
    ledger.close()
    assert "00000003.seal" in disk.names()
    return opened(disk, engine)


@ENGINES
def test_an_index_that_was_good_once_and_lies_later_is_refused(engine: str) -> None:
    disk = SimulatedDisk(random.Random(1))
    ledger = filled(disk, engine)
    (answer,) = ledger.create_transfers([Transfer(id=100, **MOVE)])
    assert answer.status.name == "EXISTS"
    sealed = disk.files["00000002.seal"].seen
    # Everything behind the records but the checksums: any part of the index may be the wrong one.
    for at in range(4_096 + 128 * 90, len(sealed) - 4 * (len(sealed) // 4_096 - 1)):
        sealed[at] ^= 0xFF
    with pytest.raises(LedgerError, match=r"00000002\.seal, offset"):
        ledger.create_transfers([Transfer(id=100, **MOVE)])


@ENGINES
@pytest.mark.parametrize("part", ["id_fingerprints", "id_ordinals"])
def test_an_index_that_lies_in_one_part_frees_no_id(engine: str, part: str) -> None:
    disk = SimulatedDisk(random.Random(1))
    ledger = filled(disk, engine)
    place = SealedSegment(disk, 2).parts._asdict()[part]
    # Every id leads to the first record, or to none; nothing about that is out of its bounds.
    disk.files["00000002.seal"].seen[place.offset : place.end] = bytes(place.length)
    said = ""
    try:
        statuses = {a.status.name for a in ledger.create_transfers([Transfer(id=105, **MOVE)])}
    except LedgerError as error:
        said, statuses = str(error), set()
    # The native engine keeps one of the parts in memory, and needs nothing of the file.
    assert "00000002.seal, offset" in said or statuses == {"EXISTS"}


class Unreadable(SimulatedDisk):
    """A disk of which nothing can be read for as long as it says so."""

    fails = False

    def read(self, name: str, offset: int, length: int) -> bytes:
        if self.fails:
            raise OSError(5, "Input/output error")
        return super().read(name, offset, length)


@ENGINES
def test_a_read_error_is_an_error_of_the_ledger(engine: str) -> None:
    disk = Unreadable(random.Random(1))
    ledger = filled(disk, engine)
    disk.fails = True
    with pytest.raises(LedgerError, match="Input/output error"):
        list(ledger.entries())
    disk.fails = False
    assert len(list(ledger.entries())) == 270
    ledger.close()


@ENGINES
def test_a_superblock_that_is_none_is_refused_with_its_offset(engine: str) -> None:
    disk = SimulatedDisk(random.Random(1))
    filled(disk, engine).close()
    disk.files["superblock"].seen[0] ^= 1
    with pytest.raises(LedgerForeignError, match="superblock, offset 0"):
        opened(disk, engine)


@ENGINES
def test_who_waits_while_damage_is_found_is_told_of_it(engine: str) -> None:
    disk = SimulatedDisk(random.Random(1))
    ledger = filled(disk, engine)
    sealed = disk.files["00000002.seal"].seen
    for at in range(4_096, len(sealed)):
        sealed[at] ^= 0xFF
    with pytest.raises(LedgerPoisonedError, match=r"00000002\.seal, offset"):
        ledger.create_transfers([Transfer(id=105, **MOVE)])


def torn(engine: str, frames: int) -> SimulatedDisk:
    """Give a disk with a frame of four blocks begun behind so many frames, and its middle gone."""
    disk = SimulatedDisk(random.Random(1))
    ledger = opened(disk, engine)
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
    for number in range(1, frames):
        ledger.create_transfers([Transfer(id=number, **MOVE)])
    ledger.close()
    file, begun = disk.files["00000001.seg"], BLOCK * (1 + frames)
    for content in (file.seen, file.durable):
        content[begun : begun + 8] = b"LMBFRM\1\0"
        content[SIZE - 8 :] = b"the end."
    return disk


def without_sealing(disk: SimulatedDisk) -> SimulatedDisk:
    """Refuse sealed files, which would take a segment away before its tail matters."""
    make, make_zeroed = disk.create, disk.create_zeroed

    def create(name: str, content: bytes) -> None:
        refuse(name)
        make(name, content)

    def create_zeroed(name: str, size: int) -> None:
        refuse(name)
        make_zeroed(name, size)

    def refuse(name: str) -> None:
        if name == "seal.tmp":
            raise OSError(28, "No space left on device")

    disk.create, disk.create_zeroed = create, create_zeroed  # type: ignore[method-assign]
    return disk


@ENGINES
@pytest.mark.parametrize("ends", ["error", "kill"])
@pytest.mark.parametrize("frames", [1, 2])
def test_a_repair_whose_sync_failed_is_made_again_by_the_next_process(
    engine: str, ends: str, frames: int
) -> None:
    disk = torn(engine, frames)
    disk.locked, disk.fault = False, ends
    disk.fuse = 2  # The zeros are written, and their sync is what fails.
    with pytest.raises((LedgerError, PowerCut)):
        open_on(disk, engine, SteppingClock(), Nonces(), SIZE)
    assert disk.struck
    file = disk.files["00000001.seg"]
    assert not any(file.seen[BLOCK * (1 + frames) :])
    assert any(file.durable[BLOCK * (1 + frames) :])
    disk = without_sealing(disk.after_kill())
    ledger = opened(disk, engine)
    ledger.create_transfers([Transfer(id=100 + n, **MOVE) for n in range(90)])
    # Segment 1 is closed and still raw: only zero may follow its frames.
    assert {"00000001.seg", "00000002.seg"} <= set(disk.names())
    for _ in range(8):  # What was not synced is lost in one of these.
        after = opened(disk.after_cut(), engine)
        assert len(list(after.entries())) == frames - 1 + 90


@ENGINES
@pytest.mark.parametrize("ends", ["error", "kill"])
def test_what_a_dead_process_left_unsynced_stays_once_it_was_seen(engine: str, ends: str) -> None:
    disk = SimulatedDisk(random.Random(1))
    ledger = opened(disk, engine)
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
    disk.fault, disk.fuse = ends, 2  # The frame is written, and its sync is what fails.
    with pytest.raises((LedgerError, PowerCut)):
        ledger.create_transfers([Transfer(id=7, **MOVE)])
    disk = disk.after_kill()
    ledger = opened(disk, engine)
    assert [entry.transfer.id for entry in ledger.entries()] == [7]
    for _ in range(8):
        again = opened(disk.after_cut(), engine)
        assert [entry.transfer.id for entry in again.entries()] == [7]


@ENGINES
def test_a_damaged_commit_mark_does_not_come_back_with_a_power_cut(engine: str) -> None:
    disk = torn(engine, 2)
    damaged = disk.files["superblock"]
    for content in (damaged.seen, damaged.durable):
        content[2 * BLOCK + 20] ^= 1  # Frame 2 is marked in slot 0, frame 1 in slot 1.
    with pytest.raises(LedgerError, match=rf"superblock, offset {2 * BLOCK}: the commit mark"):
        open_read_only(disk, engine)
    # The first repair gets no further than the cache.
    disk.fault, disk.fuse = "error", syncs_until_the_mark(disk, engine)
    with pytest.raises(LedgerError, match="Input/output error"):
        open_on(disk, engine, SteppingClock(), Nonces(), SIZE)
    disk = disk.after_kill()
    opened(disk, engine).close()
    for _ in range(8):
        assert open_read_only(disk.after_cut(), engine).last_sequence == 3


def syncs_until_the_mark(disk: SimulatedDisk, engine: str) -> int:
    """Give which operation of an opening syncs the superblock."""
    probe, found = disk.copy(), []
    sync = probe.sync

    def noting(name: str) -> None:
        sync(name)
        if name == "superblock":
            found.append(probe.operations)

    probe.sync = noting  # type: ignore[method-assign]
    open_on(probe, engine, SteppingClock(), Nonces(), SIZE)
    return found[0]


def open_read_only(disk: SimulatedDisk, engine: str) -> AnyLedger:
    disk.locked, disk.fuse = False, -1
    return open_on(disk, engine, SteppingClock(), Nonces(), SIZE, read_only=True)


@ENGINES
def test_a_reader_takes_a_ledger_whose_marks_are_lost_for_no_empty_one(engine: str) -> None:
    disk = SimulatedDisk(random.Random(1))
    ledger = opened(disk, engine)
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
    assert open_read_only(disk.copy(), engine).last_sequence == 2
    first = disk.copy()
    ledger.create_transfers([Transfer(id=7, **MOVE)])
    ledger.create_transfers([Transfer(id=100 + n, **MOVE) for n in range(90)])
    second = disk.copy()
    ledger.create_transfers([Transfer(id=200 + n, **MOVE) for n in range(90)])
    ledger.close()
    assert "00000001.seal" in disk.names()
    for unmarked in (first, second, disk):
        for content in (unmarked.files["superblock"].seen, unmarked.files["superblock"].durable):
            content[BLOCK:] = bytes(2 * BLOCK)
    # The first frame alone may be one that is just being written.
    assert open_read_only(first, engine).last_sequence == 0
    for unmarked, records in ((second, 93), (disk, 183)):
        with pytest.raises(LedgerError, match=rf"superblock, offset {BLOCK}: no commit mark"):
            open_read_only(unmarked, engine)
        opened(unmarked, engine).close()
        assert open_read_only(unmarked, engine).last_sequence == records


@pytest.mark.skipif(len(engines()) < 2, reason="the native engine is not built")
def test_both_engines_write_the_same_snapshots_when_a_raw_segment_was_left_behind() -> None:
    disk, early = SimulatedDisk(random.Random(1)), SimulatedDisk(random.Random(1))
    filled(disk, "pure").close()
    # The same life, before its first segment was closed.
    ledger = opened(early, "pure")
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
    disk = disk.copy()
    disk.files["00000001.seg"] = early.copy().files["00000001.seg"]
    disk.files.pop("00000001.snap", None)
    pure, native = [
        Recovered.of(disk.copy(), engine, SteppingClock(), Nonces(9))
        for engine in ("pure", "native")
    ]
    assert pure.verdict == "opened"
    assert pure == native, pure.difference(native)
