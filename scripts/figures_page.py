"""Write docs/reference/figures.md from what was measured: `make figures` measures first.

Reads build/bench.json (`make bench`), targets.toml and bounds.md of tests/bench and, where it is
there, the soak's output in build/soak-ledger.txt. No figure on the page was typed by hand.
"""

import json
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / "build" / "bench.json"
SOAK = ROOT / "build" / "soak-ledger.txt"
BOUNDS = ROOT / "tests" / "bench" / "bounds.md"
TARGETS = ROOT / "tests" / "bench" / "targets.toml"
PAGE = ROOT / "docs" / "reference" / "figures.md"
#: Metrics of which more is better; of all others less is.
MORE = {"per_s", "median_per_s", "cpu_per_s", "mib_per_s", "offered_s", "posts"}
HEAD = """\
<!-- Written by `make figures` from build/bench.json; do not edit. -->
# Figures

Measured at commit {commit} on {cpu}, {cores} cores, kernel {kernel}, Python {python}, native cores
{native}. `make figures` prints and writes all of it; `make bench SUITE=...` one suite. Each suite
measures us and the peers in one run, on the same disk and cores. The disk may sit behind a host's
cache: durable figures are relative to each other and to the disk's own row, not promises.

## Against the targets of the design

| what | measured | target | |
|---|--:|--:|---|
"""


def main() -> int:
    """Write the page; give 1 when nothing was measured."""
    if not BENCH.exists():
        print("figures: nothing is measured yet: make bench")
        return 1
    bench = json.loads(BENCH.read_text())
    rows = bench["rows"]
    text = HEAD.format(
        commit=bench["commit"], native="built" if bench["native"] else "not built",
        **{name: bench["machine"][name] for name in ("cpu", "cores", "kernel", "python")},
    )  # fmt: skip
    targets = tomllib.loads(TARGETS.read_text())["target"]
    text += "\n".join(target_line(target, rows) for target in targets) + "\n"
    for suite in dict.fromkeys(row["suite"] for row in rows):
        found = [row for row in rows if row["suite"] == suite]
        text += f"\n## `make bench SUITE={suite}`\n\n" + "\n".join(suite_lines(found)) + "\n"
    text += "\n#" + BOUNDS.read_text()
    if SOAK.exists():
        text += f"\n## A grown ledger: `make soak SUITE=ledger`\n\n```\n{SOAK.read_text()}```\n"
    PAGE.write_text(text)
    print(f"figures: {PAGE.relative_to(ROOT)}")
    return 0


def target_line(target: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """Give one row of the first table: measured beside the bound, met or missed."""
    key = ("suite", "case", "metric")
    alike = {r["subject"]: r["value"] for r in rows if all(r[k] == target[k] for k in key)}
    value = alike.get(target["subject"])
    bound = target.get("at_least", target.get("at_most"))
    if "than" in target and target["than"] in alike:
        bound = alike[target["than"]] * target["times"]
    if value is None or bound is None:
        return f"| {target['what']} | not measured | {shown(bound)} | |"
    met = value >= bound if "at_least" in target else value <= bound
    sign = ">=" if "at_least" in target else "<="
    verdict = "met" if met else "**missed**"
    return f"| {target['what']} | {shown(value)} | {sign} {shown(bound)} | {verdict} |"


def suite_lines(rows: list[dict[str, Any]]) -> Iterable[str]:
    """Give the table of one suite: a line a case and metric; others' figures share one cell."""
    subjects = dict.fromkeys(row["subject"] for row in rows)
    ours = [name for name in subjects if name.startswith("ours")]
    peers = [name for name in subjects if name not in ours]
    yield "| case | metric | " + " | ".join(ours) + " | others | ours / best of them |"
    yield "|---|---|" + "--:|" * len(ours) + "---|--:|"
    for case, metric in dict.fromkeys((row["case"], row["metric"]) for row in rows):
        values = {
            row["subject"]: row["value"]
            for row in rows
            if (row["case"], row["metric"]) == (case, metric)
        }
        cells = [shown(values.get(name)) for name in ours]
        others = "; ".join(f"{name} {shown(values[name])}" for name in peers if name in values)
        cells += [others, ratio(values, peers, metric)]
        yield f"| {case} | {metric} | " + " | ".join(cells) + " |"


def ratio(values: dict[str, float], peers: list[str], metric: str) -> str:
    """Give our figure over the best peer's, where both are there."""
    ours = [value for name, value in values.items() if name not in peers]
    theirs = [values[name] for name in peers if name in values]
    best = max if metric in MORE else min
    if not ours or not theirs or not best(theirs):
        return ""
    return f"{best(ours) / best(theirs):.2f}"


def shown(value: float | None) -> str:
    """Give a figure for people; `-` for one that was not measured."""
    if value is None:
        return "-"
    if abs(value) >= 1000 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.2f}"


if __name__ == "__main__":
    sys.exit(main())
