"""Backups beside the writer, and scrubs of what lies on the disk."""

import shutil
import threading
from pathlib import Path

import pytest

from ledger.backup import back_up
from ledger.errors import LedgerCorruptError, LedgerForeignError
from ledger.snapshot import snapshot_numbers as numbers
from ledger.structures import Account, Transfer
from tests.test_ledger.conftest import OpenEngine, SteppingClock, counting_bytes
from tests.test_ledger.test_ledger_sealing import work_on

SIZE = 16_384
MOVE = {"debit_account_id": 1, "credit_account_id": 2, "amount": 1, "ledger": 1, "code": 1}
TWO = [Account(id=n, ledger=1, code=1) for n in (1, 2)]


@pytest.mark.parametrize("link", [True, False])
def test_a_backup_beside_the_writer_opens_verifies_and_goes_on(
    open_engine: OpenEngine, clock: SteppingClock, tmp_path: Path, link: bool
) -> None:
    ledger = open_engine(segment_size=SIZE)
    work_on(ledger, clock, seed=2, batches=30)
    report = back_up(tmp_path / "ledger", tmp_path / "copy", link=link)
    checkpoint = ledger.checkpoint()
    assert report.last_sequence == ledger.last_sequence
    assert report.root_hash.hex() == checkpoint["root_hash"]
    assert (report.files_linked > 0) == link
    before = list(ledger.entries()), list(ledger.accounts())
    ledger.create_transfers([Transfer(id=70_000 + n, **MOVE) for n in range(200, 260)])
    copy = open_engine(tmp_path / "copy", random_bytes=counting_bytes(900))
    assert (list(copy.entries()), list(copy.accounts())) == before
    assert copy.checkpoint() == checkpoint
    assert getattr(copy, "torn_tail", None) is None
    for first in range(80_000, 80_600, 60):
        copy.create_transfers([Transfer(id=first + n, **MOVE) for n in range(60)])
    assert copy.verify().records == copy.last_sequence
    assert ledger.verify().records == ledger.last_sequence


@pytest.mark.parametrize("link", [True, False])
def test_a_snapshot_that_the_writer_removes_meanwhile_is_left_out(
    open_engine: OpenEngine,
    clock: SteppingClock,
    tmp_path: Path,
    link: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger = open_engine(segment_size=SIZE)
    work_on(ledger, clock, seed=2, batches=30)
    # As it is when the listing saw one more than the next moment.
    monkeypatch.setattr("ledger.backup.snapshot_numbers", lambda names: [0, *numbers(names)])
    report = back_up(tmp_path / "ledger", tmp_path / "copy", link=link)
    assert open_engine(tmp_path / "copy", read_only=True).verify().records == report.last_sequence


@pytest.mark.slow
def test_backups_while_a_writer_rotates_hold_what_was_answered_before_and_nothing_half(
    open_engine: OpenEngine, tmp_path: Path
) -> None:
    ledger = open_engine(segment_size=SIZE)
    ledger.create_accounts(TWO)
    stop = threading.Event()
    answered = [0]

    def write() -> None:
        number = 100
        while not stop.is_set():
            ledger.create_transfers([Transfer(id=number + n, **MOVE) for n in range(20)])
            number += 20
            answered[0] += 20

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for turn in range(12):
            before = answered[0]
            report = ledger.backup(tmp_path / f"copy{turn}")
            copy = open_engine(tmp_path / f"copy{turn}", random_bytes=counting_bytes(900))
            held = [entry.transfer.id for entry in copy.entries()]
            assert held == list(range(100, 100 + len(held)))
            assert len(held) >= before
            assert copy.verify().records == report.last_sequence
            copy.close()
    finally:
        stop.set()
        writer.join()


def test_an_empty_ledger_is_backed_up_too(open_engine: OpenEngine, tmp_path: Path) -> None:
    ledger = open_engine()
    assert ledger.backup(tmp_path / "copy").last_sequence == 0
    copy = open_engine(tmp_path / "copy")
    copy.create_accounts(TWO)
    assert copy.last_sequence == 2


def test_a_backup_goes_into_an_empty_directory_only(
    open_engine: OpenEngine, tmp_path: Path
) -> None:
    ledger = open_engine()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note").write_text("mine")
    with pytest.raises(LedgerForeignError, match="note"):
        ledger.backup(tmp_path / "full")
    with pytest.raises(LedgerForeignError, match="no ledger"):
        back_up(tmp_path / "full", tmp_path / "other")


def test_a_scrub_goes_round_in_steps_beside_the_writer(
    open_engine: OpenEngine, clock: SteppingClock, tmp_path: Path
) -> None:
    ledger = open_engine(segment_size=SIZE)
    work_on(ledger, clock, seed=2, batches=30)
    whole = ledger.scrub()
    assert whole.records == ledger.last_sequence
    assert whole.next_segment == 0
    records = frames = steps = 0
    at = 1
    while at:
        step = ledger.scrub(first_segment=at, segments=1)
        records, frames, steps = records + step.records, frames + step.frames, steps + 1
        at = step.next_segment
    assert (records, frames, steps) == (whole.records, whole.frames, whole.segments)
    assert steps >= 3


def test_a_scrub_finds_a_segment_of_another_history(
    open_engine: OpenEngine, clock: SteppingClock, tmp_path: Path
) -> None:
    for name, code in (("ledger", 1), ("other", 2)):
        ledger = open_engine(
            tmp_path / name, segment_size=SIZE, random_bytes=counting_bytes(), now_ns=lambda: 9
        )
        ledger.create_accounts(TWO)
        for first in range(100, 500, 40):
            moves = [Transfer(id=first + n, **{**MOVE, "code": code}) for n in range(40)]
            ledger.create_transfers(moves)
        ledger.close()
    ledger = open_engine(tmp_path / "ledger", read_only=True)
    ledger.scrub()
    # Sound in itself, of the same ledger by its uuid, and not what the others continue.
    shutil.copy(tmp_path / "other" / "00000002.seal", tmp_path / "ledger" / "00000002.seal")
    reader = open_engine(tmp_path / "other", read_only=True)
    reader.close()
    with pytest.raises(LedgerCorruptError, match=r"0000000[23].*offset 96.*chain"):
        ledger.scrub()


def test_a_scrub_sees_rot_in_the_segment_that_is_written(
    open_engine: OpenEngine, tmp_path: Path
) -> None:
    ledger = open_engine()
    ledger.create_accounts(TWO)
    ledger.create_transfers([Transfer(id=n, **MOVE) for n in range(10, 20)])
    path = tmp_path / "ledger" / "00000001.seg"
    with path.open("r+b") as file:
        file.seek(8_192 + 300)
        file.write(b"\xff")
    with pytest.raises(LedgerCorruptError, match=r"00000001\.seg, offset 8192"):
        ledger.scrub()
