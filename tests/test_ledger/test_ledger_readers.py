"""Who only reads: never less than what was acknowledged, never more after it was closed."""

from pathlib import Path

import pytest

from ledger.backup import back_up
from ledger.errors import LedgerBatchError, LedgerCorruptError, LedgerDeadlineError, LedgerError
from ledger.files import open_files
from ledger.port import StatementFilter
from ledger.scrubbing import scrub_storage
from ledger.storage import FileStorage
from ledger.structures import Account, Transfer
from tests.test_ledger.conftest import OpenEngine

MOVE = {"debit_account_id": 1, "credit_account_id": 2, "amount": 1, "ledger": 1, "code": 1}
BLOCK = 4_096


def filled(open_engine: OpenEngine, path: Path) -> None:
    """Make a ledger of four frames: the marks of the third and fourth stand."""
    ledger = open_engine(path)
    ledger.create_accounts([Account(id=number, ledger=1, code=1) for number in (1, 2)])
    for number in (1, 2, 3):
        ledger.create_transfers([Transfer(id=number, **MOVE)])
    ledger.close()


@pytest.mark.parametrize("slot", [1, 2])
@pytest.mark.parametrize("kind", ["flip", "cut"])
def test_reader_of_a_damaged_mark_refuses_until_a_writer_has_judged_the_tail(
    open_engine: OpenEngine, tmp_path: Path, slot: int, kind: str
) -> None:
    filled(open_engine, tmp_path)
    superblock = tmp_path / "superblock"
    content = bytearray(superblock.read_bytes())
    if kind == "flip":
        content[BLOCK * slot + 9] ^= 4
    else:
        del content[BLOCK * slot :]
    superblock.write_bytes(content)
    if kind == "cut" and slot == 1:  # No mark is left at all, and none may be guessed.
        offset = r"offset (4096|8192)"
    else:
        offset = rf"offset {BLOCK * (2 if kind == 'cut' else slot)}"
    for read in (
        lambda: open_engine(tmp_path, read_only=True),
        lambda: open_files(tmp_path),
        lambda: back_up(tmp_path, tmp_path.parent / "copy"),
        lambda: scrub_storage(FileStorage(tmp_path, read_only=True, create=False)),
    ):
        with pytest.raises(LedgerCorruptError, match=rf"superblock, {offset}"):
            read()
    writer = open_engine(tmp_path)
    assert writer.last_sequence == 5
    writer.close()
    reader = open_engine(tmp_path, read_only=True)
    assert reader.last_sequence == reader.verify().records == 5


def test_reader_hears_of_a_mark_damaged_while_it_is_open(
    open_engine: OpenEngine, tmp_path: Path
) -> None:
    filled(open_engine, tmp_path)
    reader = open_engine(tmp_path, read_only=True)
    with (tmp_path / "superblock").open("r+b") as file:
        file.seek(BLOCK + 8)
        file.write(b"\xff")
    with pytest.raises(LedgerCorruptError, match=r"superblock, offset 4096"):
        reader.refresh()  # type: ignore[attr-defined]


def test_closed_reader_answers_nothing_more(open_engine: OpenEngine, tmp_path: Path) -> None:
    filled(open_engine, tmp_path)
    reader = open_engine(tmp_path, read_only=True)
    reader.close()
    reader.close()
    for read in (
        lambda: reader.lookup_accounts([1]),
        lambda: reader.statement(StatementFilter(account_id=1)),
        reader.verify,
        reader.checkpoint,
    ):
        with pytest.raises(LedgerError, match="closed"):
            read()


def test_closed_ledger_holds_no_file_open(open_engine: OpenEngine, tmp_path: Path) -> None:
    filled(open_engine, tmp_path)
    ledgers = [open_engine(tmp_path), open_engine(tmp_path, read_only=True)]
    for ledger in ledgers:
        assert len(list(ledger.entries())) == 3
    for ledger in ledgers:
        ledger.close()
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    held = [target for link in links if (target := _target(link)).startswith(str(tmp_path))]
    assert held == []


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:  # That of the listing itself.
        return ""


def test_values_that_nothing_ever_had_find_nothing(open_engine: OpenEngine, tmp_path: Path) -> None:
    filled(open_engine, tmp_path)
    ledger = open_engine(tmp_path)
    for code in (-1, 1 << 16, 1 << 70):
        assert ledger.statement(StatementFilter(account_id=1, code=code)) == []
    for deadline_ns in (-1, 0):
        with pytest.raises(LedgerDeadlineError):
            ledger.create_transfers([Transfer(id=9, **MOVE)], deadline_ns=deadline_ns)
    answers = ledger.create_transfers([Transfer(id=9, **MOVE)], deadline_ns=1 << 80)
    assert answers[0].status.name == "CREATED"


@pytest.mark.parametrize(
    "checkpoint",
    [{}, {"sequence": 1}, {"sequence": 1, "root_hash": "00"}, {"sequence": 1, "root_hash": "x"},
     {"sequence": -1, "root_hash": "00" * 32}, {"sequence": 1 << 64, "root_hash": "00" * 32},
     {"sequence": None, "root_hash": "00" * 32}],
)  # fmt: skip
def test_expected_checkpoint_that_is_none_is_an_error_of_the_caller(
    open_engine: OpenEngine, tmp_path: Path, checkpoint: dict[str, object]
) -> None:
    filled(open_engine, tmp_path)
    with pytest.raises(LedgerBatchError, match="expected checkpoint"):
        open_engine(tmp_path, expected_checkpoint=checkpoint)
    open_engine(tmp_path).close()
