"""Directories: one writer, readers beside it, one clear error for all that is not ours."""

import os
import shutil
from pathlib import Path

import pytest

from ledger import choosing, open_ledger
from ledger.errors import (
    LedgerCorruptError,
    LedgerEngineError,
    LedgerError,
    LedgerForeignError,
    LedgerLockedError,
    LedgerReadOnlyError,
)
from ledger.structures import Account, Transfer
from tests.test_ledger.conftest import OpenEngine, counting_bytes, engines

TWO = [Account(id=n, ledger=1, code=1) for n in (1, 2)]


def move(transfer_id: int, amount: int = 1) -> Transfer:
    return Transfer(
        id=transfer_id, debit_account_id=1, credit_account_id=2, amount=amount, ledger=1, code=1
    )


def test_a_second_writer_is_refused_and_a_reader_is_not(open_engine: OpenEngine) -> None:
    writer = open_engine()
    writer.create_accounts(TWO)
    with pytest.raises(LedgerLockedError, match="another process writes"):
        open_engine()
    reader = open_engine(read_only=True)
    assert reader.last_sequence == 2
    with pytest.raises(LedgerReadOnlyError):
        reader.create_transfers([move(1)])
    writer.close()
    open_engine().create_transfers([move(1)])


def test_a_reader_sees_what_is_durable_and_takes_in_more_when_asked(
    open_engine: OpenEngine,
) -> None:
    writer = open_engine(segment_size=16_384)
    writer.create_accounts(TWO)
    reader = open_engine(read_only=True)
    for number in range(1, 11):
        writer.create_transfers([move(n) for n in range(number * 100, number * 100 + 30)])
    assert reader.last_sequence == 2
    assert reader.refresh() == writer.last_sequence == 302  # type: ignore[attr-defined]
    assert list(reader.accounts()) == list(writer.accounts())
    assert reader.verify().root_hash == writer.verify().root_hash
    assert reader.checkpoint() == writer.checkpoint()


def test_a_reader_needs_no_right_to_write(open_engine: OpenEngine, tmp_path: Path) -> None:
    writer = open_engine()
    writer.create_accounts(TWO)
    writer.close()
    directory = tmp_path / "ledger"
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    reader = open_engine(read_only=True)
    reader.verify()
    reader.close()
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before


def test_a_directory_that_cannot_be_written_is_named(
    open_engine: OpenEngine, tmp_path: Path
) -> None:
    open_engine().close()
    if os.geteuid() == 0:  # Root may write everywhere but where the kernel says no.
        with pytest.raises(LedgerReadOnlyError, match="/sys/nowhere"):
            open_engine(Path("/sys/nowhere"))
        return
    (tmp_path / "ledger").chmod(0o500)
    (tmp_path / "ledger" / "lock").chmod(0o400)
    with pytest.raises(LedgerReadOnlyError, match="ledger"):
        open_engine()


@pytest.mark.parametrize("name", ["notes.txt", "1.seg", "superblock.bak"])
def test_a_foreign_directory_is_refused_untouched(
    name: str, open_engine: OpenEngine, tmp_path: Path
) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(LedgerForeignError, match=name):
        open_engine(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("offset", "value", "error"),
    [
        (0, b"X", LedgerForeignError),
        (6, b"\x02", LedgerForeignError),
        (9, b"\xff", LedgerCorruptError),
        (30, b"\xff", LedgerCorruptError),
        (4_000, b"\xff", LedgerCorruptError),
    ],
)
def test_a_superblock_that_is_not_ours_is_refused(
    offset: int, value: bytes, error: type[LedgerError], open_engine: OpenEngine, tmp_path: Path
) -> None:
    open_engine().close()
    path = tmp_path / "ledger" / "superblock"
    content = bytearray(path.read_bytes())
    content[offset : offset + 1] = value
    path.write_bytes(content)
    with pytest.raises(error, match="superblock"):
        open_engine()
    assert path.read_bytes() == content


def test_a_missing_ledger_is_made_only_when_asked(open_engine: OpenEngine, tmp_path: Path) -> None:
    for options in ({"create": False}, {"read_only": True}):
        with pytest.raises(LedgerForeignError):
            open_engine(tmp_path / "none", **options)
    assert not (tmp_path / "none").exists()
    (tmp_path / "file").write_text("x")
    with pytest.raises(LedgerForeignError, match="file"):
        open_engine(tmp_path / "file")


def test_a_creation_that_was_interrupted_is_made_anew(
    open_engine: OpenEngine, tmp_path: Path
) -> None:
    open_engine().close()
    directory = tmp_path / "ledger"
    (directory / "superblock").unlink()
    (directory / "spare.tmp").write_bytes(b"half")
    ledger = open_engine()
    assert ledger.last_sequence == 0
    ledger.create_accounts(TWO)
    ledger.close()
    assert not (directory / "spare.tmp").exists()


@pytest.mark.parametrize("left", ["frame", "sealed", "snapshot", "second"])
def test_a_ledger_that_lost_its_superblock_is_refused_and_not_made_anew(
    open_engine: OpenEngine, tmp_path: Path, left: str
) -> None:
    ledger = open_engine(segment_size=16_384)
    ledger.create_accounts(TWO)
    for number in range(3, 12 if left != "frame" else 4):
        ledger.create_transfers([move(number)])
    ledger.close()
    directory = tmp_path / "ledger"
    kept = {"frame": "00000001.seg", "sealed": "*.seal", "snapshot": "*.snap", "second": "*.seg"}
    wanted = set(directory.glob(kept[left]))
    assert wanted
    for path in directory.iterdir():
        if path not in wanted:
            path.unlink()
    if left == "second":  # The spare is zero and says nothing; the fourth segment does.
        assert (directory / "00000004.seg").exists()
    before = {path.name: path.read_bytes() for path in wanted}
    for options in ({}, {"create": False}, {"read_only": True}):
        with pytest.raises(LedgerCorruptError, match=r"superblock, offset 0: it is missing"):
            open_engine(segment_size=16_384, **options)
    assert {path.name: path.read_bytes() for path in wanted} == before


def test_a_spare_is_made_again_as_soon_as_one_was_taken(
    open_engine: OpenEngine, tmp_path: Path
) -> None:
    ledger = open_engine(segment_size=16_384)
    ledger.create_accounts(TWO)
    for number in range(3, 12):
        ledger.create_transfers([move(number)])
    ledger.close()
    segments = sorted(path.name for path in (tmp_path / "ledger").glob("*.sea*"))
    segments += sorted(path.name for path in (tmp_path / "ledger").glob("*.seg"))
    assert segments == [f"0000000{n}.seal" for n in (1, 2, 3)] + ["00000004.seg", "spare.seg"]


def test_a_ledger_copied_while_closed_goes_on_elsewhere(
    open_engine: OpenEngine, tmp_path: Path
) -> None:
    ledger = open_engine()
    ledger.create_accounts(TWO)
    ledger.create_transfers([move(1)])
    checkpoint = ledger.checkpoint()
    ledger.close()
    shutil.copytree(tmp_path / "ledger", tmp_path / "copy")
    copied = open_engine(tmp_path / "copy", expected_checkpoint=checkpoint)
    assert copied.create_transfers([move(2)])[0].status.name == "CREATED"


def test_closing_twice_is_nothing_and_afterwards_nothing_answers(open_engine: OpenEngine) -> None:
    ledger = open_engine()
    ledger.create_accounts(TWO)
    ledger.close()
    ledger.close()
    for call in (
        lambda: ledger.create_transfers([move(1)]),
        lambda: ledger.lookup_accounts([1]),
        ledger.verify,
    ):
        with pytest.raises(LedgerError, match="closed"):
            call()


def test_the_native_engine_is_demanded_or_missed_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(choosing, "_native_opener", lambda: None)
    monkeypatch.delenv(choosing.REQUIRE_NATIVE_VARIABLE, raising=False)
    options = {"now_ns": lambda: 1, "random_bytes": counting_bytes(), "segment_size": 16_384}
    ledger = open_ledger(tmp_path / "a", **options)
    assert ledger.engine == "pure"
    ledger.close()
    with pytest.raises(LedgerEngineError, match="Rust"):
        open_ledger(tmp_path / "b", engine="native", **options)
    monkeypatch.setenv(choosing.REQUIRE_NATIVE_VARIABLE, "1")
    with pytest.raises(LedgerEngineError, match="Rust"):
        open_ledger(tmp_path / "b", **options)
    assert not (tmp_path / "b").exists()
    assert "pure" in engines()
