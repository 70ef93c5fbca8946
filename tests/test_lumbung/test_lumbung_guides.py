"""What the guides show runs as it stands."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lumbung.commands.terminal import holder_of, offices_of
from lumbung.data_directory import DataDirectory
from lumbung.story.counter import terminal_keys
from lumbung.story.run import run, story_created

GUIDES = Path(__file__).resolve().parents[2] / "docs" / "guides"


@pytest.mark.slow
def test_sale_of_the_first_hour_runs_and_the_money_returns(tmp_path: Path) -> None:
    text = (GUIDES / "first-hour.md").read_text("utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 0, done.stderr
    log_on, before, outcome, after = done.stdout.splitlines()
    assert log_on == "log-on: 00"
    assert outcome == "outcome: 68 reversed: True"
    assert after == f"{before} still owed: 0"


@pytest.mark.slow
def test_script_of_the_host_guide_runs_against_a_switch(tmp_path: Path) -> None:
    """The guide's reader has a host; here it is our own switch, on a story's directory."""
    root = tmp_path / "city"
    with DataDirectory.open(root, kind="story", seed=7, created=story_created()) as data:
        run(data, lambda _text: None, lambda _step: None)
    with offices_of(root) as offices:
        who = holder_of(offices, 60)
        tmk, _ = terminal_keys(offices, "12400009")
        view = offices.registry.terminal("12400009")
        assert view is not None
        shop = view.home_merchant_id
    text = (GUIDES / "test-your-host.md").read_text("utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    command = [sys.executable, "-m", "lumbung", "switch", "run", "--data", str(root), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as switch:
        assert switch.stdout is not None
        found = re.search(r"127\.0\.0\.1:\d+", switch.stdout.readline())
        assert found is not None
        values = {
            "HOST_ADDRESS": found.group(), "HOST_TMK": tmk.reveal().hex(), "HOST_TID": "12400009",
            "HOST_MID": shop, "CARD_FILE": str(who.image_path), "CARD_PIN": who.pin,
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=50,
            env=os.environ | values,
        )  # fmt: skip
        switch.send_signal(signal.SIGTERM)
        switch.communicate(timeout=30)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "log-on: 00",
        "sale: 00",
        done.stdout.splitlines()[2],
        "owed after the cut: 1",
        "still owed: 0",
        "settlement: 00 sales: 1",
    ]
    assert "answer: arrived" in done.stdout
