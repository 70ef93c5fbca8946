"""The commands that stand for devices, each a process, with a terminal's commands beside them."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lumbung.data_directory import DataDirectory
from lumbung.story.run import run, story_created
from protocols.catalogue import text

pytestmark = pytest.mark.slow
LUMBUNG = [sys.executable, "-m", "lumbung"]


@contextmanager
def served(*arguments: str, typed: str = "") -> Iterator[tuple[str, Any]]:
    """Run a command that serves; give what its first line says and the process."""
    with subprocess.Popen(
        [*LUMBUNG, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(typed)
        process.stdin.flush()
        try:
            yield process.stdout.readline(), process
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)
        assert process.returncode == 0


def lumbung(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LUMBUNG, *arguments], input=typed, capture_output=True, text=True, timeout=50
    )


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    root = tmp_path_factory.mktemp("devices") / "data"
    with DataDirectory.open(root, kind="story", seed=7, created=story_created()) as data:
        run(data, lambda _text: None, lambda _step: None)
    with served("switch", "run", "--data", str(root), "--port", "0") as (line, _):
        found = re.search(r"127\.0\.0\.1:\d+", line)
        assert found is not None
        yield str(root), found.group()


def pin_of(root: str, place: int) -> str:
    from lumbung.commands.terminal import holder_of, offices_of

    with offices_of(Path(root)) as offices:
        return holder_of(offices, place).pin


@pytest.mark.timeout(240)  # many commands, each a process of its own
def test_sale_with_pad_and_printer_commands_prints_and_paper_out_is_told(
    city: tuple[str, str], tmp_path: Path
) -> None:
    root, address = city
    at = ("--data", root, "--host", address, "--terminal", "12400003", "--card", "40")
    pad, out = str(tmp_path / "ttyPAD"), tmp_path / "slips"
    own = ("--data", root, "--terminal", "12400003", "--pty", pad)
    with (
        served("pin-pad", "serve", *own, typed=f"{pin_of(root, 40)}\n-\n") as (said, _),
        served("printer", "serve", "--listen", "127.0.0.1:0", "--out", str(out)) as (where, prn),
    ):
        assert said.strip() == f"PIN pad at serial:{pad}"
        printer = where.split()[-1]
        devices = ("--printer", printer, "--pin-pad", f"serial:{pad}")
        sold = lumbung("terminal", "buy", "25000", *at, *devices, "--pin", "000000", "--json")
        assert sold.returncode == 0, sold.stderr
        assert json.loads(sold.stdout)["approved"]
        # The holder presses Cancel on the pad.
        cancelled = lumbung("terminal", "buy", "26000", *at, *devices, "--json")
        assert (cancelled.returncode, json.loads(cancelled.stdout)["outcome"]) == (1, "17")
        prn.stdin.write("paper-out\nnonsense\n")
        prn.stdin.flush()
        balance = at[:-2]
        told = ""
        for _ in range(20):
            done = lumbung("terminal", "balance", *balance, "--card", "41", "--printer", printer)
            told = done.stderr
            if told:
                break
        assert text("printer.paper_out") in told
    slips = sorted(out.glob("slip-*.txt"))
    assert len(slips) >= 4
    assert "Rp    25.000" in slips[0].read_text("utf-8")
    assert all(path.with_suffix(".svg").read_text("utf-8").startswith("<svg") for path in slips)
    assert all(path.with_suffix(".png").read_bytes()[:4] == b"\x89PNG" for path in slips)


@pytest.mark.timeout(240)  # many commands, each a process of its own
def test_register_command_buys_once_by_its_reference(city: tuple[str, str]) -> None:
    root, address = city
    own = ("--data", root, "--host", address, "--terminal", "12400004", "--card", "50")
    with served("terminal", "serve-register", "listen:127.0.0.1:0", *own) as (said, cashier):
        line = said.split()[-1]
        first = lumbung("register", line, "BON1", "25000", "--json")
        assert first.returncode == 0, first.stderr
        again = lumbung("register", line, "BON1", "25000", "--json")
        asked = lumbung("register", line, "BON1")
        assert json.loads(again.stdout)["trace"] == json.loads(first.stdout)["trace"]
        assert "Rp25.000" in asked.stdout
        other = lumbung("register", line, "BON1", "30000")
        assert (other.returncode, other.stdout.strip()) == (1, "BON1: other_amount")
        assert lumbung("register", line, "not a name", "1").returncode == 2
        cashier.stdin.write("999999\nt51\n")  # There is no such card; then card 51 is tapped.
        cashier.stdin.flush()
        assert lumbung("register", line, "BON2", "26000").returncode == 0
    last = lumbung("terminal", "reprint", "--data", root, "--terminal", "12400004")
    assert "(TAP)" in last.stdout
    assert "Rp    26.000" in last.stdout


def test_address_of_no_device_is_refused_before_anything_is_sold(city: tuple[str, str]) -> None:
    root, address = city
    done = lumbung("terminal", "buy", "25000", "--data", root, "--host", address, "--printer", "x")
    assert done.returncode == 3
    assert "serial:PATH" in done.stderr


def test_fault_plan_that_is_none_is_refused_with_its_words(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    for wrong in ('[[fault]]\nwhat = "fire"\nafter_lines = 1\n', "x = 1\n", "[[fault]]\n", "["):
        plan.write_text(wrong, "utf-8")
        done = lumbung("printer", "serve", "--listen", "127.0.0.1:0", "--faults", str(plan))
        assert done.returncode != 0
        assert "paper-out" in done.stderr
    done = lumbung("printer", "serve", "--listen", "0.0.0.0:9100")
    assert done.returncode != 0
    assert "loopback" in done.stderr
