"""`lumbung ledger prove|export|tail|inspect` as a person types them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ledger import open_ledger, proof_check
from ledger.errors import LedgerCorruptError, LedgerRollbackError
from ledger.port import Ledger
from ledger.structures import Account, Transfer
from lumbung.cli import root

PEM = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def lumbung(*arguments: object) -> Result:
    return CliRunner().invoke(root, [str(argument) for argument in arguments])


def move(number: int) -> Transfer:
    return Transfer(id=number, debit_account_id=1, credit_account_id=2, amount=5, ledger=1, code=1)


def open_at(path: Path) -> Ledger:
    return open_ledger(path, now_ns=time.time_ns, random_bytes=os.urandom, segment_size=65_536)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Give a ledger of two accounts and five transfers."""
    ledger = open_at(tmp_path / "ledger")
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
    ledger.create_transfers([move(n) for n in range(0x10, 0x15)])
    ledger.close()
    return tmp_path / "ledger"


def test_proofs_and_checkpoint_of_the_command_line_satisfy_the_stand_alone_checker(
    directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, pem = Ed25519PrivateKey.generate(), tmp_path / "key.pem"
    pem.write_bytes(key.private_bytes(*PEM))
    signed = lumbung("ledger", "prove", directory, "--key", pem, "--origin", "kota/p", "--json")
    signed = json.loads(signed.output)
    note, proof = tmp_path / "note.txt", tmp_path / "proof.json"
    note.write_text(signed["checkpoint"])
    trust = ["--checkpoint", str(note), "--key", signed["verifier_key"]]
    for ask in (["--id", "12"], ["--consistency", 3]):
        shown = lumbung("ledger", "prove", directory, *ask)
        assert shown.exit_code == 0, shown.output
        proof.write_text(shown.output)
        assert proof_check.main([str(proof), *trust]) == 0
    proof.write_text(lumbung("ledger", "prove", directory, "--id", "12", "--size", 6).output)
    assert proof_check.main([str(proof)]) == 0
    assert proof_check.main([str(proof), *trust]) == 1
    proof.write_text(proof.read_text().replace('"index": 4', '"index": 5'))
    assert proof_check.main([str(proof)]) == 1
    proof.write_bytes(b"\xff")
    assert proof_check.main([str(proof)]) == 1
    assert "another tree than the checkpoint" in capsys.readouterr().out


def test_witness_signs_only_what_the_directory_holds(directory: Path, tmp_path: Path) -> None:
    pems = [tmp_path / "log.pem", tmp_path / "bank.pem"]
    for pem in pems:
        pem.write_bytes(Ed25519PrivateKey.generate().private_bytes(*PEM))
    note = tmp_path / "note.txt"
    sign = [
        "ledger",
        "prove",
        directory,
        "--key",
        pems[0],
        "--origin",
        "kota",
        "--size",
        5,
        "--json",
    ]
    signed = json.loads(lumbung(*sign).output)
    note.write_text(signed["checkpoint"])
    witness = ["ledger", "prove", directory, "--key", pems[1], "--origin", "bank", "--json"]
    cosigned = json.loads(lumbung(*witness, "--cosign", note).output)
    assert proof_check.check_note(cosigned["checkpoint"], signed["verifier_key"]) == 0
    assert proof_check.check_note(cosigned["checkpoint"], cosigned["verifier_key"]) > 0
    stated = proof_check.read_checkpoint(signed["checkpoint"])
    for text, error in (
        (signed["checkpoint"].replace("\n5\n", "\n6\n"), LedgerCorruptError),
        (signed["checkpoint"].replace("\n5\n", "\n8\n"), LedgerRollbackError),
    ):
        note.write_text(text)
        assert isinstance(lumbung(*witness, "--cosign", note).exception, error)
    note.write_text("nothing of the kind")
    assert lumbung(*witness, "--cosign", note).exit_code == 2
    assert lumbung("ledger", "prove", directory, "--id", "12", "--cosign", note).exit_code == 2
    assert stated.size == 5


@pytest.mark.parametrize(
    "arguments",
    [[], ["--id", "77"], ["--id", "10", "--consistency", "2"], ["--key", "x"],
     ["--key", "missing.pem", "--origin", "a"], ["--origin", "a"], ["--id", "10", "--size", "8"],
     ["--consistency", "2", "--size", "8"], ["--consistency", "5", "--size", "3"]],
)  # fmt: skip
def test_prove_without_one_clear_question_is_a_usage_error(
    directory: Path, arguments: list[str]
) -> None:
    assert lumbung("ledger", "prove", directory, *arguments).exit_code == 2


def test_key_of_another_kind_signs_nothing(directory: Path, tmp_path: Path) -> None:
    pem = tmp_path / "key.pem"
    pem.write_bytes(ec.generate_private_key(ec.SECP256R1()).private_bytes(*PEM))
    shown = lumbung("ledger", "prove", directory, "--key", pem, "--origin", "a")
    assert shown.exit_code == 2
    assert "not an Ed25519 key" in shown.output


def test_export_writes_each_format_also_beside_the_writer(directory: Path, tmp_path: Path) -> None:
    writer = open_at(directory)
    for form, words in (
        ("hledger", "= -0.25 IDR"), ("beancount", " open Equity:L1:C1:X"), ("csv", "sequence,"),
        ("jsonl", '"record": "checkpoint", "sequence": 7'),
    ):  # fmt: skip
        out = tmp_path / f"out.{form}"
        done = lumbung("ledger", "export", directory, "--format", form, "--out", out)
        assert done.exit_code == 0, done.output
        assert words in out.read_text()
    writer.close()
    assert lumbung("ledger", "export", directory, "--commodity", "R p").exit_code == 2


def test_inspect_says_1_for_damage_and_for_a_frame_that_is_not_there(directory: Path) -> None:
    shown = lumbung("ledger", "inspect", directory, "--frame", 2, "--json")
    assert shown.exit_code == 0
    rows = [json.loads(line) for line in shown.output.splitlines()]
    assert [row["values"]["id"][-2:] for row in rows[1:]] == ["10", "11", "12", "13", "14"]
    assert lumbung("ledger", "inspect", directory).exit_code == 0
    assert lumbung("ledger", "inspect", directory, "--frame", 9).exit_code == 1
    path = directory / "00000001.seg"
    path.write_bytes(path.read_bytes()[:5_000])
    shown = lumbung("ledger", "inspect", directory)
    assert shown.exit_code == 1
    assert "BAD 00000001.seg" in shown.output


@pytest.mark.slow
def test_tail_follows_the_writer_and_stops_cleanly_on_ctrl_c(directory: Path) -> None:
    command = [sys.executable, "-m", "lumbung", "ledger", "tail", str(directory), "--after", "6"]
    with subprocess.Popen(
        [*command, "--interval-ms", "10", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["sequence"] == 7
        writer = open_at(directory)
        for number in (0x20, 0x21):
            writer.create_transfers([move(number)])
            row = json.loads(process.stdout.readline())
            assert (row["id"][-2:], row["status"]) == (f"{number:x}", "created")
        writer.close()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate()
        assert (process.returncode, rest, errors) == (0, b"", b"")


@pytest.fixture
def long_directory(tmp_path: Path) -> Path:
    """Give a ledger whose listing is longer than a pipe holds."""
    ledger = open_at(tmp_path / "long")
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
    for first in range(1, 2_000, 400):
        ledger.create_transfers([move(n) for n in range(first, first + 400)])
    ledger.close()
    return tmp_path / "long"


@pytest.mark.slow
@pytest.mark.parametrize("command", ["export --format csv", "entries --limit 2000"])
def test_a_reader_that_goes_away_is_no_error(long_directory: Path, command: str) -> None:
    verb, *options = command.split()
    words = [sys.executable, "-m", "lumbung", "ledger", verb, str(long_directory), *options]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


@pytest.mark.slow
@pytest.mark.parametrize("options", [["--format", "csv"], ["--json"]])
def test_an_output_that_is_full_is_one_line_and_exit_code_3(
    long_directory: Path, options: list[str]
) -> None:
    words = [sys.executable, "-m", "lumbung", "ledger", "export", str(long_directory), *options]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 3
    assert done.stderr.startswith("E-CL-0004 writing: No space left on device;")
    assert done.stderr.count("\n") == 1
