"""`lumbung switch rules check|explain` and `switch reconcile`: what people read, and exit codes."""

import json
from importlib.resources import files
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lumbung.cli import root
from lumbung.data_directory import DataDirectory
from lumbung.story.run import run as run_story
from lumbung.story.run import story_created
from switch.changes import BatchOpened
from switch.state import StateFile


def lumbung(*arguments: str) -> Result:
    return CliRunner().invoke(root, ["switch", *arguments])


def rules() -> str:
    return files("switch").joinpath("data/rules.toml").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "code", "rule"),
    [
        (("--category", "5411"), 0, ""),
        (("--category", "5411", "--item", "BERAS5KG"), 0, ""),
        (("--category", "5411", "--item", "PULSA"), 1, "basket (version 1"),
        (("--category", "4814"), 1, "food-only (version 1"),
        (("--category", "5411", "--processing-code", "010000"), 1, "no-cash-out (version 1"),
        (("--category", "5411", "--at", "2025-09-22"), 1, "message-window (version 1"),
    ],
)
def test_explain_names_the_rule_and_exits_1_when_it_refuses(arguments, code, rule):
    done = lumbung("rules", "explain", *arguments)
    assert done.exit_code == code, done.output
    refusing = [line for line in done.output.splitlines() if ": refuses " in line]
    assert bool(refusing) == bool(rule)
    assert not refusing or refusing[0].startswith(rule)


@pytest.mark.parametrize(
    "arguments", [(), ("--shop", "EW1"), ("--category", "5411", "--card", "7")]
)
def test_explain_without_what_it_needs_is_a_usage_error(arguments):
    assert lumbung("rules", "explain", *arguments).exit_code == 2


def test_explain_by_day_uses_the_version_of_that_day(tmp_path: Path):
    head, rest = rules().split("[rule.hours]", 1)
    body, tail = rest.split("\n[rule.basket]", 1)
    second = body.replace("version = 1", "version = 2").replace("2025-09-23", "2027-01-01")
    closed = second.replace("enabled = false", "enabled = true").replace("05:00", "13:00", 1)
    first = body.replace("source =", "ends_on = 2026-12-31\nsource =")
    path = tmp_path / "rules.toml"
    path.write_text(f"{head}[[rule.hours]]{first}\n[[rule.hours]]{closed}\n[rule.basket]{tail}")
    checked = lumbung("rules", "check", str(path))
    assert "hours: version 1 from 2025-09-23, version 2 from 2027-01-01" in checked.output
    asked = ("--category", "5411", "--rules", str(path), "--json", "--at")
    codes = [
        json.loads(lumbung("rules", "explain", *asked, day).output)["code"]
        for day in ("2026-12-31", "2027-01-01", "2027-01-01T13:00")
    ]
    assert codes == ["00", "05", "00"]


@pytest.mark.slow
def test_reconcile_agrees_after_a_story_and_names_what_does_not(tmp_path: Path):
    data = tmp_path / "data"
    with DataDirectory.open(data, kind="story", seed=7, created=story_created()) as directory:
        assert run_story(directory, lambda _text: None, lambda _step: None).ok
        state_path = directory.switch_state
    agreed = lumbung("reconcile", "--data", str(data))
    assert (agreed.exit_code, agreed.output.splitlines()[-1]) == (0, "all figures agree")
    state = StateFile(state_path)
    rows, _uploads = state.batches()
    state.commit([BatchOpened(900, 1, 900, 0, rows[0].opened_on)])
    state._connection.execute(
        "UPDATE terminal_batch SET totals = '9,9,0,0,0,0' WHERE batch_id = 900"
    )
    state.close()
    table = tmp_path / "differences.csv"
    differs = lumbung("reconcile", "--data", str(data), "--csv", str(table), "--json")
    told = json.loads(differs.output)
    assert differs.exit_code == 1
    assert {(row["kind"], row["reference"]) for row in told["differences"]} == {
        ("switch total", "sales"),
        ("switch total", "sales_sen"),
    }
    assert len(table.read_text().splitlines()) == 3
