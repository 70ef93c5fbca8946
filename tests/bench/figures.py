"""How figures are handed on: rows for build/bench.json and a table for people.

The shape is frozen (design section 8): {"machine", "commit", "native", "rows": [{"suite",
"case", "subject", "metric", "value", "unit"}]}. A bench module measures and returns rows; it
asserts nothing about time, because a benchmark is never a timed test.
"""

import json
import os
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BENCH_JSON = ROOT / "build" / "bench.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure: of which suite and case, of whom, which metric, how much of what."""

    suite: str
    case: str
    subject: str
    metric: str
    value: float
    unit: str


def machine() -> dict[str, object]:
    """Give what the figures were measured on; no host name."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 1),
    }


def commit() -> str:
    """Give the commit that was measured, marked when the tree had changes."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    )
    return done.stdout.strip() or "unknown"


def write(rows: Iterable[Row], *, native: bool, path: Path = BENCH_JSON) -> None:
    """Merge the rows into the file: suites measured now replace their earlier rows."""
    new = [asdict(row) for row in rows]
    suites = {row["suite"] for row in new}
    kept = []
    if path.exists():
        kept = [r for r in json.loads(path.read_text())["rows"] if r["suite"] not in suites]
    path.parent.mkdir(exist_ok=True)
    content = {"machine": machine(), "commit": commit(), "native": native, "rows": kept + new}
    path.write_text(json.dumps(content, indent=1))


def table(rows: Iterable[Row]) -> str:
    """Give the rows as text, case by case, each subject with its ratio to the best peer."""
    rows = list(rows)
    lines = [f"{'case':<16} {'subject':<22} {'metric':<10} {'value':>14} unit      ours/peer"]
    for row in rows:
        peers = [
            r.value
            for r in rows
            if (r.case, r.metric) == (row.case, row.metric) and not r.subject.startswith("ours")
        ]
        ratio = ""
        if row.subject.startswith("ours") and peers:
            best = max(peers) if row.metric == "per_s" else min(peers)
            ratio = f"{row.value / best:.2f}x" if best else ""
        lines.append(
            f"{row.case:<16} {row.subject:<22} {row.metric:<10} {row.value:>14,.2f} "
            f"{row.unit:<9} {ratio}"
        )
    return "\n".join(lines)
