"""The command table: what the design names, what works today, and that both say the same."""

import importlib
import json
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from lumbung.cli import root
from lumbung.command_table import CommandEntry, command_table
from lumbung.data_directory import DataDirectory

#: The design's commands. A command leaves this list only with the design.
DESIGNED = """
demo|up|down|status|doctor|explain|diff
spec check|spec import|spec doctor
switch run|switch check|switch rules check|switch rules explain|switch reconcile
switch status|switch ask
switch journal tail|switch journal describe|switch journal replay|switch journal export
bank run
terminal run|terminal buy|terminal balance|terminal void|terminal refund|terminal settle
terminal status|terminal statement|terminal pin-change|terminal reprint
card new|card list|card show|card apdu|card trace|card serve
pcsc exec|printer serve|pin-pad serve|terminal serve-register|register
programme import|programme card|programme merchant|programme disburse|programme sweep
programme report|programme init|programme terminal|programme proposal|programme audit
programme proxy|programme recipient|programme rehearse
ledger create|ledger post|ledger balance|ledger statement|ledger entries|ledger tail
ledger verify|ledger prove|ledger check-slip|ledger export|ledger inspect|ledger bench|ledger backup
scenario run|scenario list|net|load run|load compare|trigger
"""
HERE = [entry for entry in command_table() if entry.at]


def test_table_names_every_command_of_the_design_and_none_twice() -> None:
    designed = {name for line in DESIGNED.split("\n") if line for name in line.split("|")}
    named = [entry.name for entry in command_table()]
    assert designed <= set(named)
    assert len(named) == len(set(named))


def test_every_command_here_stands_in_the_reference_page() -> None:
    # Commands may come beside the design's; each is documented, or it is not there.
    page = (Path(__file__).parents[2] / "docs/reference/commands.md").read_text("utf-8")
    assert [entry.name for entry in HERE if f"lumbung {entry.name}" not in page] == []


@pytest.mark.parametrize("entry", HERE, ids=lambda entry: entry.name)
def test_command_that_is_here_has_json_help_and_an_example(entry: CommandEntry) -> None:
    module, _, attribute = entry.at.partition(":")
    command = getattr(importlib.import_module(module), attribute)
    assert isinstance(command, click.Command)
    assert any("--json" in parameter.opts for parameter in command.params)
    shown = CliRunner().invoke(root, [*entry.path, "--help"])
    assert shown.exit_code == 0, shown.output
    assert "Example: lumbung " + entry.name in " ".join(shown.output.split())


@pytest.mark.parametrize(
    "entry", [e for e in command_table() if not e.at], ids=lambda entry: entry.name
)
def test_command_that_is_not_here_says_so_and_exits_2(entry: CommandEntry) -> None:
    done = CliRunner().invoke(root, list(entry.path))
    assert done.exit_code == 2
    assert "is not in this release" in done.output or "No such command" in done.output


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lumbung", *arguments], cwd=cwd, capture_output=True, text=True
    )


@pytest.mark.slow
def test_usage_error_with_json_is_an_object_and_exit_code_2(tmp_path: Path) -> None:
    done = run("ledger", "balance", str(tmp_path), "--account", "zz", "--json", cwd=tmp_path)
    assert done.returncode == 2
    assert "hexadecimal" in json.loads(done.stdout)["error"]["what"]


@pytest.mark.slow
def test_asserts_disabled_refuses_to_run(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-O", "-m", "lumbung", "doctor"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 3
    assert "asserts" in done.stderr


@pytest.mark.slow
def test_switch_check_looks_into_the_rule_file_too(tmp_path: Path) -> None:
    (tmp_path / "switch.toml").write_text('rules = "mine.toml"\n')
    done = run("switch", "check", "switch.toml", cwd=tmp_path)
    assert done.returncode == 1
    assert "mine.toml:1: file: No such file" in done.stderr


def test_interrupt_while_loading_ends_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'lumbung.cli':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "lumbung", "--version"],
        capture_output=True, text=True, check=False, env={"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.slow
def test_switch_run_without_an_address_is_a_fault_of_the_machine(tmp_path: Path) -> None:
    DataDirectory.open(tmp_path / "data", kind="story", seed=7, created="2026-01-05").close()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("switch", "run", "--data", "data", "--port", port, cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr == (
        f"E-SW-0107 127.0.0.1:{port}: cannot listen (Address already in use). "
        "Give another --port, or 0.\n"
    )


@pytest.mark.parametrize("given", ["zz", "z" * 5_000, "0"])
def test_explain_of_what_is_no_message_says_so(given: str) -> None:
    done = CliRunner().invoke(root, ["explain", given])
    assert done.exit_code == 2
    assert "neither hexadecimal" in done.output
