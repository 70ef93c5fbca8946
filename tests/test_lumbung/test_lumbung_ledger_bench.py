"""`lumbung ledger bench`: every case is measured, nothing is left behind, a bad place is usage."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from lumbung.cli import root

CASES = ["disk-4k", "disk-64k", "disk-1m", "batch-1", "batch-64", "batch-1000", "batch-8189",
         "asyncio-16", "asyncio-256"]  # fmt: skip


@pytest.mark.slow
def test_bench_measures_every_case_and_leaves_nothing_behind(tmp_path: Path) -> None:
    words = ["ledger", "bench", str(tmp_path), "--seconds", "0.05", "--json"]
    shown = CliRunner().invoke(root, [*words, "--engine", "pure"])
    assert shown.exit_code == 0, shown.output
    told = json.loads(shown.output)
    assert told["engine"] == "pure"
    assert [one["case"] for one in told["figures"]] == CASES
    for one in told["figures"]:
        assert 0 < one["p50_us"] <= one["p99_us"] <= one["max_us"]
        assert one["per_s"] > 0
    assert list(tmp_path.iterdir()) == []


def test_bench_of_a_place_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    shown = CliRunner().invoke(root, ["ledger", "bench", str(tmp_path / "missing")])
    assert shown.exit_code == 2
