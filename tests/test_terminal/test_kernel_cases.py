"""The kernel's outcome, TVR, TSI and CVM results for cards and faults, as data by EMV step."""

import tomllib
from pathlib import Path

import pytest

from tests.kernel_table import failures

FOLDER = Path(__file__).with_name("kernel_cases")
FILES = sorted(path.stem for path in FOLDER.glob("*.toml"))


@pytest.mark.parametrize("step", FILES)
def test_kernel_with_cards_and_faults_of_this_step_ends_as_the_clauses_say(step: str) -> None:
    wrong = failures(tomllib.loads((FOLDER / f"{step}.toml").read_text("utf-8")))
    assert not wrong, f"{len(wrong)} of {step}:\n" + "\n".join(wrong)


def test_kernel_tables_hold_what_they_promise() -> None:
    rows = [
        row
        for step in FILES
        for row in tomllib.loads((FOLDER / f"{step}.toml").read_text("utf-8"))["case"]
    ]
    assert len(rows) >= 200
    assert all(row["clause"] for row in rows)
    names = [row["name"] for row in rows]
    assert len(names) == len(set(names)), sorted(n for n in names if names.count(n) > 1)
