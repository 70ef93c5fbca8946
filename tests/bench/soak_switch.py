"""`make soak SUITE=switch [SOAK_ARGS="--minutes 5"]`: an hour of purchases; nothing may grow.

The switch runs as a process of its own on a story's directory. Round after round real purchases are
sent by the clock and judged by the ledger; between rounds, when nothing is under way, its memory,
open files and queues are read from the admin port. What grows is told in bytes a purchase: the
ledger's index and the day's memory of cards grow by design, and are bounded by what is allowed.
"""

import argparse
import json
import re
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from bench_switch import certificate, child, cpu_seconds, port_of, rss_bytes, switch_command

from lumbung.composition import Offices, open_offices
from lumbung.data_directory import DataDirectory
from lumbung.event_loop import run_loop
from lumbung.load.run import LoadPlan, run_load
from lumbung.logs import log_to
from lumbung.story.run import run as run_story
from lumbung.story.run import story_created
from lumbung.system import SystemClock, system_random

ROUND_SECONDS = 20.0
#: Bytes of memory that one more purchase may cost in the second half of the run, beyond what caches
#: take until they are full: the ledger's index, and the day's own index of sales.
BYTES_A_PURCHASE_MAX = 640
CACHES_BYTES_MAX = 16 << 20
_EMPTY_QUEUES = ("in_flight", "journal_queued", "jobs_waiting", "journal_dropped", "unfit")


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen between two rounds."""

    purchases: int
    rss: int
    files: int
    queues: dict[str, float]
    p99_ms: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a switch soak takes."""
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=300.0, help="purchases a second")


def soak(directory: Path, given: argparse.Namespace) -> int:
    """Run it; give 0 when nothing grew that must not."""
    data_directory = directory / "data"
    with (
        DataDirectory.open(data_directory, kind="story", seed=7, created=story_created()) as data,
        log_to(data.logs / "lumbung.log"),
    ):
        assert run_story(data, lambda _text: None, lambda _step: None).ok
    certificate(directory)
    command = switch_command(data_directory)
    settings = directory / "switch.toml"
    settings.write_text(settings.read_text("utf-8") + "[admin]\nport = 0\n", "utf-8")
    with (
        child(*command) as (process, line),
        open_offices(
            DataDirectory.beside(data_directory), SystemClock(), lambda _part: system_random
        ) as offices,
    ):
        samples = list(_rounds(offices, process.pid, port_of(line), given))
        cpu = cpu_seconds(process.pid)
    return _verdict(samples, cpu)


def _rounds(offices: Offices, process: int, port: int, given: argparse.Namespace):  # type: ignore[no-untyped-def]
    admin = _admin_port(offices.data.logs / "lumbung.log")
    until = time.monotonic() + given.minutes * 60
    seconds = min(ROUND_SECONDS, max(1.0, given.minutes * 60 / 6))
    done = 0
    while time.monotonic() < until:
        plan = LoadPlan("127.0.0.1", port, given.rate, seconds, 16)
        report = run_loop(run_load(offices, plan))
        broken = [i.name for i in report.invariants if not i.holds]
        assert not broken, broken
        assert not report.unanswered, report.lines()
        done += report.messages
        sample = Sample(
            done, rss_bytes(process), len(list(Path(f"/proc/{process}/fd").iterdir())),
            _gauges(admin), report.from_intended_us["p99"] / 1000,
        )  # fmt: skip
        print(
            f"{done:>9} purchases  rss {sample.rss / 1e6:7.1f} MB  {sample.files} files  "
            f"p99 {sample.p99_ms:.1f} ms  {json.dumps(report.codes)}",
            flush=True,
        )
        yield sample


def _gauges(admin: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    found = {}
    for name in _EMPTY_QUEUES:
        match = re.search(rf"^lumbung_switch_{name} (\S+)$", text, re.M)
        assert match is not None, f"{name} is not told"
        found[name] = float(match[1])
    return found


def _admin_port(log: Path) -> int:
    for line in reversed(log.read_text("utf-8").splitlines()):
        event = json.loads(line)
        if event["event"] == "admin":
            return int(event["port"])
    raise AssertionError("the switch told no admin port")


def _verdict(samples: list[Sample], cpu: float) -> int:
    middle, last = samples[len(samples) // 2], samples[-1]
    grown = last.rss - middle.rss
    purchases = max(1, last.purchases - middle.purchases)
    growth = grown / purchases
    faults = [
        f"{name} is {value:g} when nothing is under way"
        for sample in samples
        for name, value in sample.queues.items()
        if value
    ]
    if grown > CACHES_BYTES_MAX + BYTES_A_PURCHASE_MAX * purchases:
        faults.append(f"memory grew by {growth:.0f} bytes a purchase")
    if last.files > middle.files + 8:
        faults.append(f"open files grew from {middle.files} to {last.files}")
    print(
        f"soak: {last.purchases} purchases, second half {growth:.0f} bytes a purchase, "
        f"{cpu / last.purchases * 1e6:.0f} us of CPU each, worst p99 "
        f"{max(sample.p99_ms for sample in samples):.1f} ms"
    )
    for fault in faults:
        print(f"soak: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    add_arguments(arguments)
    with tempfile.TemporaryDirectory(prefix="lumbung-soak-") as temporary:
        sys.exit(soak(Path(temporary), arguments.parse_args()))
