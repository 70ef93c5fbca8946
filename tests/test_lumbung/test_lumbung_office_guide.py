"""The office's guide, from an empty folder to a paid purchase: each of its lines, in its order."""

import contextlib
import json
import os
import random
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from lumbung.cli import root

pytestmark = pytest.mark.slow

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "programme-office.md"
MASTER_KEY = "07" * 32


def _free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


def _lines() -> list[str]:
    text = GUIDE.read_text("utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
    return [line for block in blocks for line in block.splitlines()]


class Office:
    """A folder in which the guide's lines run, with the switch in the background."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self.environment = {**os.environ, "LUMBUNG_MASTER_KEY": MASTER_KEY}
        self.switch: subprocess.Popen[str] | None = None

    def run(self, line: str) -> str:
        line = line.replace("8583", self.port)
        line = re.sub(r"^lumbung ", f"{sys.executable} -m lumbung ", line)
        if line.startswith("export "):
            return ""
        if line == "kill %1":
            assert self.switch is not None
            self.switch.send_signal(signal.SIGTERM)
            self.switch.communicate(timeout=20)
            assert self.switch.returncode == 0
            return ""
        if line.endswith(" &"):
            self.switch = subprocess.Popen(
                line.removesuffix(" &").split(), cwd=self.folder, env=self.environment,
                stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            assert self.switch.stdout is not None
            assert "listening on" in self.switch.stdout.readline()
            return ""
        return self.here(line)

    def here(self, line: str) -> str:
        """Run a line in this process: some fifty interpreters less, and the same commands."""
        words, _, file = line.partition(" > ")
        arguments = shlex.split(words)[3:]
        with contextlib.chdir(self.folder), pytest.MonkeyPatch.context() as patch:
            patch.setenv("LUMBUNG_MASTER_KEY", MASTER_KEY)
            done = CliRunner().invoke(root, arguments)
        assert done.exit_code == 0, f"{line}\n{done.output}\n{done.exception!r}"
        if file:
            (self.folder / file).write_text(done.stdout, "utf-8")
        return done.stdout

    def close(self) -> None:
        if self.switch is not None:
            if self.switch.poll() is None:
                self.switch.kill()
            self.switch.communicate(timeout=20)


@pytest.mark.timeout(300)
def test_office_guide_leads_from_nothing_to_a_purchase_and_its_reports(tmp_path: Path) -> None:
    office = Office(tmp_path)
    said = {}
    try:
        for line in _lines():
            said[line] = office.run(line)
            if "card unblock" in line:
                _buy_with_the_new_card(office)
    finally:
        office.close()
    (bought,) = [text for line, text in said.items() if line.startswith("lumbung terminal buy")]
    assert "BENAR, TANPA TTD" in bought
    (balances,) = [text for line, text in said.items() if "report balances" in line]
    assert ";250000" in balances, "Rp300,000 came, Rp50,000 went"
    shown = next(text for line, text in said.items() if "card show 1 " in line)
    assert re.search(r"active .*Switch.*terminal 12400001", shown), shown
    (verified,) = [text for line, text in said.items() if "audit verify" in line]
    assert "the chain is whole" in verified
    assert "70.000" in (tmp_path / "turnover.html").read_text("utf-8")


def _buy_with_the_new_card(office: Office) -> None:
    """Buy again after the guide replaced the card: the person presents the new one."""
    data = "--data ./samarinda"
    told = ""
    for step, officer in (("deliver", "diskominfo:k-01"), ("collect", "bank:b-01"),
                          ("activate", "bank:b-01")):  # fmt: skip
        told = office.run(f"lumbung programme card {step} 2 --officer {officer} {data}")
    last_four = re.search(r"card 2 \*\*\*\* (\d{4}): active", told)
    assert last_four is not None
    (switch,) = [line for line in _lines() if "switch run" in line]
    office.run(switch)
    slip = office.run(f"lumbung terminal buy 20000 {data} --host 127.0.0.1:8583")
    office.run("kill %1")
    assert "BENAR, TANPA TTD" in slip
    assert f"**** {last_four[1]} " in slip


@pytest.mark.timeout(120)
def test_launch_killed_at_random_and_run_again_pays_everybody_once(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    command = [sys.executable, "-m", "lumbung", "programme", "rehearse", "launch", "--json"]
    for _death in range(4):
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as child:  # fmt: skip
            time.sleep(rng.uniform(0.4, 2.0))
            child.send_signal(signal.SIGKILL)
            child.wait()
    figures = []
    for _again in range(2):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=50)
        assert done.returncode == 0, (seed, done.stderr)
        figures.append(json.loads(done.stdout))
    assert figures[0] == figures[1], seed
    assert figures[0]["credited_sen"] == figures[0]["budget_sen"] == 151_920_000_000, seed
    assert figures[0]["cards_whole"] == 1_688, seed
    assert all(equation["holds"] for equation in figures[0]["equations"]), seed
