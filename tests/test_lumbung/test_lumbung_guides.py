"""What the guides show runs as it stands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

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
