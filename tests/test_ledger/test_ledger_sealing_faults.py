"""Faults while a segment is sealed, on simulated disks: no acknowledged record depends on it."""

import random
import struct

import pytest

from ledger.errors import LedgerError
from ledger.port import StatementFilter
from ledger.pure import PureLedger, open_pure_on
from ledger.record import BODY_BYTES, pack_body, seal, unpack_body
from ledger.snapshot import Snapshot
from ledger.structures import Account, Transfer
from tests.test_ledger.conftest import SteppingClock, counting_bytes
from tests.test_ledger.ledger_disk import PowerCut, SimulatedDisk
from tests.test_ledger.ledger_lives import Nonces, open_on
from tests.test_ledger.test_ledger_sealing import END, MOVE, SIZE, work_on


def on_disk(disk: SimulatedDisk, clock: SteppingClock, size: int = SIZE) -> PureLedger:
    return open_pure_on(disk, now_ns=clock, random_bytes=counting_bytes(), segment_size=size)


class Witnessed(SimulatedDisk):
    """A disk that notes what was read of sealed segments, and fails one operation by its name."""

    fails = ""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self.reads: list[tuple[str, int, int]] = []

    def read(self, name: str, offset: int, length: int) -> bytes:
        self.reads.append((name, offset, length))
        return super().read(name, offset, length)

    def rename(self, old: str, new: str) -> None:
        if new.endswith(self.fails or "never"):
            raise OSError(5, "Input/output error")
        super().rename(old, new)


def test_opening_behind_a_snapshot_reads_no_record_before_it(clock: SteppingClock) -> None:
    disk = Witnessed(random.Random(1))
    ledger = on_disk(disk, clock, 4 * SIZE)
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
    for first in range(100, 1_900, 90):
        ledger.create_transfers([Transfer(id=first + n, **MOVE) for n in range(90)])
    ledger.close()
    last = max(int(name[:8]) for name in disk.names() if name.endswith(".snap"))
    assert last >= 2
    disk.reads = []
    ledger = on_disk(disk, clock)
    reads = [(at, at + length) for name, at, length in disk.reads if name == "00000001.seal"]
    (records,) = struct.unpack_from("<I", disk.files["00000001.seal"].seen, 140)
    records_end = 4_096 + 128 * records // 4_096 * 4_096
    assert records_end > 30_000
    assert reads
    assert all(end <= 4_096 or start >= records_end for start, end in reads)
    ledger.close()


@pytest.mark.parametrize("fails", [".seal", ".snap"])
def test_a_disk_error_while_sealing_disturbs_no_commit_and_is_tried_again(
    clock: SteppingClock, fails: str
) -> None:
    disk = Witnessed(random.Random(1))
    ledger = on_disk(disk, clock)
    disk.fails = fails
    work_on(ledger, clock, seed=8, batches=30)
    assert "Input/output" in ledger.housekeeping_error
    assert not [name for name in disk.names() if name.endswith((fails, "seal.tmp", "shot.tmp"))]
    disk.fails = ""
    ledger.create_transfers([Transfer(id=9_000 + n, **MOVE) for n in range(90)])
    ledger.create_transfers([Transfer(id=9_500 + n, **MOVE) for n in range(90)])
    assert ledger.housekeeping_error == ""
    assert [name for name in disk.names() if name.endswith(fails)]
    assert len([name for name in disk.names() if name.endswith(".seg")]) == 2  # And the spare.
    assert ledger.verify().records == ledger.last_sequence
    ledger.close()


def test_a_disk_too_full_to_seal_goes_on_and_seals_when_there_is_room(
    clock: SteppingClock,
) -> None:
    disk = SimulatedDisk(random.Random(1))
    ledger = on_disk(disk, clock)
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
    disk.capacity = 4 * SIZE  # The superblock, two segments and the spare, and nothing more.
    ledger.create_transfers([Transfer(id=n, **MOVE) for n in range(100, 190)])
    ledger.create_transfers([Transfer(id=n, **MOVE) for n in range(200, 290)])
    assert "No space left" in ledger.housekeeping_error
    assert "seal.tmp" not in disk.names()
    disk.capacity = 1 << 30
    ledger.create_transfers([Transfer(id=n, **MOVE) for n in range(300, 390)])
    ledger.create_transfers([Transfer(id=n, **MOVE) for n in range(400, 490)])
    assert ledger.housekeeping_error == ""
    assert "00000001.seal" in disk.names()
    assert ledger.verify().transfers == 360
    ledger.close()


def test_damage_found_while_sealing_stops_the_writer(clock: SteppingClock) -> None:
    disk = Witnessed(random.Random(1))
    ledger = on_disk(disk, clock)
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
    ledger.create_transfers([Transfer(id=n, **MOVE) for n in range(10, 50)])
    disk.files["00000001.seg"].seen[4_096 + 128 + 40] ^= 1
    # These go into the next segment; their answer stands.
    ledger.create_transfers([Transfer(id=100 + n, **MOVE) for n in range(60)])
    with pytest.raises(LedgerError, match=r"00000001\.seg, offset 4096"):
        ledger.create_transfers([Transfer(id=300, **MOVE)])
    with pytest.raises(LedgerError, match=r"00000001\.seg, offset 4096"):
        ledger.checkpoint()
    assert "00000001.seg" in disk.names()
    ledger.close()


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["cut", "error"])
def test_a_fault_at_every_operation_of_sealing_leaves_all_that_was_acknowledged(
    fault: str, engine: str
) -> None:
    fuse, struck = 0, True
    while struck:
        fuse += 1
        clock = SteppingClock()
        disk = SimulatedDisk(random.Random(fuse))
        ledger = open_on(disk, engine, clock, Nonces(), SIZE)
        ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
        acked = []
        disk.fault, disk.fuse = fault, fuse
        struck = False
        try:
            for first in range(100, 550, 90):  # Each of them closes a segment.
                ledger.create_transfers([Transfer(id=first + n, **MOVE) for n in range(90)])
                acked += range(first, first + 90)
            ledger.close()
        except (PowerCut, LedgerError):
            struck = True
        struck = struck or disk.fuse <= 0
        disk = disk.after_cut()
        ledger = open_on(disk, engine, clock, Nonces(fuse), SIZE)
        got = [entry.transfer.id for entry in ledger.entries()]
        assert got[: len(acked)] == acked, f"fuse {fuse}"
        assert len(got) in (len(acked), len(acked) + 90)
        assert ledger.verify().records == ledger.last_sequence
        ledger.close()
        assert not [name for name in disk.names() if name.endswith(".tmp") and name[:2] != "sp"]
    assert fuse > 50


def test_a_read_while_a_segment_cools_sees_each_record_once(clock: SteppingClock) -> None:
    disk = SimulatedDisk(random.Random(1))
    ledger = on_disk(disk, clock)
    work_on(ledger, clock, seed=9, batches=30)
    due = {
        account.id: ledger.statement(StatementFilter(account_id=account.id, limit=8_000))
        for account in ledger.accounts()
    }
    entries = list(ledger.entries())
    books, last = ledger._reader._books, ledger._reader._books.cold[-1].last_sequence
    # As it stands between "the segment answers" and "its postings are let go of".
    for entry in entries:
        if entry.sequence <= last and entry.status == 4_294_967_295:
            for account_id in (entry.transfer.debit_account_id, entry.transfer.credit_account_id):
                books.accounts[account_id].postings.append(entry.sequence)
    for row in books.rows:
        row.postings[:] = type(row.postings)("Q", sorted(row.postings))
    for account_id, statement in due.items():
        assert ledger.statement(StatementFilter(account_id=account_id, limit=8_000)) == statement
    ledger.close()


def grown(clock: SteppingClock) -> tuple[SimulatedDisk, PureLedger]:
    """Give a disk with a snapshot that holds holds, and the ledger on it."""
    disk = SimulatedDisk(random.Random(1))
    ledger = on_disk(disk, clock)
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
    holds = [Transfer(id=n, **MOVE, flags=2) for n in (10, 11, 12)]
    ledger.create_transfers([*holds, *(Transfer(id=n, **MOVE) for n in range(20, 60))])
    everything = {**END, "amount": (1 << 128) - 1}
    # The group that closes the segment ends two holds of it and opens one of its own.
    group = [
        Transfer(id=100, **everything, pending_id=10, flags=4),
        Transfer(id=101, **END, pending_id=11, flags=8),
        Transfer(id=102, **MOVE, flags=2),
        *(Transfer(id=n, **MOVE) for n in range(200, 250)),
    ]
    assert {answer.status.name for answer in ledger.create_transfers(group)} == {"CREATED"}
    return disk, ledger


def test_a_snapshot_holds_the_holds_of_its_moment(clock: SteppingClock) -> None:
    disk, ledger = grown(clock)
    snapshot = Snapshot.read(bytes(disk.files["00000001.snap"].seen))
    assert snapshot is not None
    held = [snapshot.pendings[at + 16] for at in range(0, len(snapshot.pendings), 128)]
    assert held == [10, 11, 12]
    assert ledger.verify().records == ledger.last_sequence
    ledger.close()
    assert on_disk(disk, clock).verify().records == ledger.last_sequence


@pytest.mark.parametrize(
    "change",
    [
        {"pendings": "account"},
        {"pendings": "crc"},
        {"account_sequences": "order"},
        {"accounts": "reserved"},
        {"peaks": "root"},
    ],
    ids=lambda change: "-".join(*change.items()),
)
def test_snapshot_of_right_digest_and_no_sense_is_none(
    clock: SteppingClock, change: dict[str, str]
) -> None:
    """What nobody but a writer with another mind can make is ignored, as the page says."""
    disk, _ledger = grown(clock)
    snapshot = Snapshot.read(bytes(disk.files["00000001.snap"].seen))
    assert snapshot is not None
    pendings, accounts = bytearray(snapshot.pendings), bytearray(snapshot.accounts)
    sequences = list(snapshot.account_sequences)
    assert pendings
    if change == {"pendings": "account"}:
        body = unpack_body(pendings[:BODY_BYTES])._replace(credit=len(sequences) + 1)
        pendings[:128] = seal([pack_body(body)])
    if change == {"pendings": "crc"}:
        pendings[0] ^= 1
    if change == {"account_sequences": "order"}:
        sequences[1] = sequences[0]
    if change == {"accounts": "reserved"}:
        accounts[108] = 1
    peaks = [bytes(32), *snapshot.peaks[1:]] if change == {"peaks": "root"} else snapshot.peaks
    changed = snapshot._replace(
        pendings=bytes(pendings),
        accounts=bytes(accounts),
        account_sequences=sequences,
        peaks=peaks,
    )
    assert Snapshot.read(changed.pack()) is None
    assert Snapshot.read(snapshot.pack()) == snapshot
