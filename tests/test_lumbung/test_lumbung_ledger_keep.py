"""`lumbung ledger verify --fast|--full` and `lumbung ledger backup` as a person types them."""

import json
import os
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ledger import open_ledger
from ledger.errors import LedgerCorruptError, LedgerForeignError
from ledger.structures import Account, Transfer
from lumbung.cli import root

MOVE = {"debit_account_id": 1, "credit_account_id": 2, "amount": 5, "ledger": 1, "code": 1}


def lumbung(*arguments: object) -> Result:
    return CliRunner().invoke(root, [str(argument) for argument in arguments])


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Give a ledger of three segments."""
    ledger = open_ledger(
        tmp_path / "ledger", now_ns=time.time_ns, random_bytes=os.urandom, segment_size=16_384
    )
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
    for first in (100, 200, 300):
        ledger.create_transfers([Transfer(id=first + n, **MOVE) for n in range(60)])
    ledger.close()
    return tmp_path / "ledger"


def test_verify_says_what_it_found_fast_and_full(directory: Path) -> None:
    full = json.loads(lumbung("ledger", "verify", directory, "--json").output)
    fast = json.loads(lumbung("ledger", "verify", directory, "--fast", "--json").output)
    assert (full["full"], fast["full"]) == (True, False)
    assert full["records"] == fast["records"] == 182
    assert full["frames"] == fast["frames"] == 4
    assert full["transfers"] == 180
    assert fast["segments"] == 3
    assert "182 records in 4 frames" in lumbung("ledger", "verify", directory).output
    assert "182 records in 4 frames" in lumbung("ledger", "verify", directory, "--fast").output


def test_a_backup_is_a_ledger_that_verifies(directory: Path, tmp_path: Path) -> None:
    shown = json.loads(lumbung("ledger", "backup", directory, tmp_path / "b", "--json").output)
    assert shown["last_sequence"] == 182
    copied = lumbung("ledger", "backup", directory, tmp_path / "c", "--copy")
    assert "0 files linked" in copied.output
    assert shown["root_hash"] in copied.output
    for name in ("b", "c"):
        verified = json.loads(lumbung("ledger", "verify", tmp_path / name, "--json").output)
        assert verified["root_hash"] == shown["root_hash"]


def test_damage_and_wrong_directories_are_named(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(LedgerForeignError, match="empty directory"):
        lumbung_raises("ledger", "backup", directory, directory)
    (tmp_path / "empty").mkdir()
    for words in (["verify", "--fast"], ["backup", tmp_path / "x"]):
        with pytest.raises(LedgerForeignError, match="no ledger"):
            lumbung_raises("ledger", words[0], tmp_path / "empty", *words[1:])
    (first,) = directory.glob("00000001.se*")
    with first.open("r+b") as file:
        file.seek(5_000)
        file.write(b"\xff\xff")
    with pytest.raises(LedgerCorruptError, match=r"00000001\.se\w+, offset 4096"):
        lumbung_raises("ledger", "verify", directory, "--fast")


def lumbung_raises(*arguments: object) -> None:
    result = lumbung(*arguments)
    assert result.exception is not None, result.output
    raise result.exception


@pytest.mark.parametrize("command", ["balance", "statement"])
def test_unknown_account_is_an_error_of_the_caller_never_an_empty_answer(
    directory: Path, command: str
) -> None:
    asked = lumbung("ledger", command, directory, "--account", "77")
    assert asked.exit_code == 2
    assert f"no account {0x77:032x}" in asked.output
