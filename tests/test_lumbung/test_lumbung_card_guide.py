"""Every snippet of docs/guides/virtual-card.md runs as it stands."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from cardsim.faults import parse_faults

pytestmark = pytest.mark.slow

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "virtual-card.md"
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", GUIDE.read_text("utf-8"), re.M | re.S)
PYTHON = [text for kind, text in BLOCKS if kind == "python"]
SHELL = [
    line
    for kind, text in BLOCKS
    if kind == ""
    for line in text.replace("\\\n", " ").splitlines()
    if line.startswith("lumbung card ")
]
#: Commands that stay until they are told to end; tests/test_lumbung/test_lumbung_pcsc.py runs them.
SERVING = tuple(line for line in SHELL if line.startswith("lumbung card serve"))


def python(tmp_path: Path, code: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "PCSCLITE_CSOCK_NAME"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, capture_output=True, text=True, timeout=50, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_guide_has_the_snippets_that_are_tested_here() -> None:
    assert len(PYTHON) == 5
    assert len(SHELL) > len(SERVING) > 0
    assert [kind for kind, _ in BLOCKS if kind not in ("", "python", "toml")] == []


def test_snippet_of_one_card_runs(tmp_path: Path) -> None:
    [code] = [text for text in PYTHON if "asyncio.run(card.buy(500_000))" in text]
    python(tmp_path, code)


def test_snippet_of_the_plugin_and_its_tests_pass(tmp_path: Path) -> None:
    [plugin] = [text for text in PYTHON if "pytest_plugins" in text]
    [tests] = [text for text in PYTHON if "async def test_" in text]
    (tmp_path / "conftest.py").write_text(plugin)
    (tmp_path / "test_mine.py").write_text(tests)
    scope = "asyncio_default_fixture_loop_scope = function"
    (tmp_path / "pytest.ini").write_text(f"[pytest]\nasyncio_mode = auto\n{scope}\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", str(tmp_path)],
        cwd=tmp_path, capture_output=True, text=True, timeout=50,
    )  # fmt: skip
    assert "4 passed" in done.stdout, done.stdout + done.stderr


def test_snippet_of_a_socket_is_a_link_to_a_served_card(tmp_path: Path) -> None:
    [code] = [text for text in PYTHON if "SocketChannel" in text]
    python(tmp_path, code + "assert link is not None\n")


@pytest.mark.service
def test_snippet_of_a_private_daemon_sells(need: Callable[[str], None], tmp_path: Path) -> None:
    need("pcsc")
    [code] = [text for text in PYTHON if "PrivatePcscd" in text]
    python(tmp_path, code)


def test_commands_of_the_guide_run_in_its_order(tmp_path: Path) -> None:
    profile = files("cardsim").joinpath("profiles", "ssn.toml").read_text("utf-8")
    (tmp_path / "mine.toml").write_text(profile)
    [plan] = [text for kind, text in BLOCKS if kind == "toml"]
    assert parse_faults(plan, "plan.toml")
    (tmp_path / "plan.toml").write_text(plan)
    ran = 0
    for line in dict.fromkeys(SHELL):
        if line in SERVING:
            continue
        done = subprocess.run(
            [sys.executable, "-m", "lumbung", *shlex.split(line)[1:]],
            cwd=tmp_path, capture_output=True, text=True, timeout=50,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        ran += 1
    assert ran >= 4
