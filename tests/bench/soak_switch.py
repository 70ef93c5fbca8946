"""`make soak SUITE=switch [SOAK_ARGS="--minutes 5"]`: an hour of purchases; nothing may grow.

The switch runs as a process of its own on a story's directory. Round after round real purchases are
sent by the clock and judged by the ledger; between rounds, when nothing is under way, its memory,
open files and queues are read from the admin port. The run is cut into business days of its own: a
day's index of sales grows with the day and is let go at the cut-over. What the end of a later day
has beyond the end of an earlier one lasts: it must be no more than the ledger keeps of a record.
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

from bench_switch import CORES, certificate, child, cpu_seconds, port_of, rss_bytes, switch_command

from lumbung.composition import Offices, open_offices
from lumbung.data_directory import DataDirectory
from lumbung.event_loop import run_loop
from lumbung.load.run import LoadPlan, run_load
from lumbung.logs import log_to
from lumbung.story.run import run as run_story
from lumbung.story.run import story_created
from lumbung.system import SystemClock, system_random
from switch.control_client import ControlClient

ROUND_SECONDS = 20.0
#: Bytes of memory that a purchase may cost until its day ends: the day's index of sales.
DAY_BYTES_A_PURCHASE_MAX = 640
#: And that may last beyond it: the ledger's filter and index of ids, open segment among them.
LASTING_BYTES_A_PURCHASE_MAX = 48
#: What caches, the allocator and the sealing of a segment take until they have been used once.
CACHES_BYTES_MAX = 32 << 20
_EMPTY_QUEUES = ("in_flight", "journal_queued", "jobs_waiting", "journal_dropped", "unfit")


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen between two rounds."""

    day: int
    purchases: int
    rss: int
    files: int
    queues: dict[str, float]
    p99_ms: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a switch soak takes."""
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=300.0, help="purchases a second")
    parser.add_argument("--days", type=int, default=4, help="business days of the run, 2 or more")


def soak(directory: Path, given: argparse.Namespace) -> int:
    """Run it; give 0 when nothing grew that must not."""
    assert given.days > 1, "what lasts is seen from day to day"
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
        child(*command, cores=CORES) as (process, line),
        open_offices(
            DataDirectory.beside(data_directory), SystemClock(), lambda _part: system_random
        ) as offices,
    ):
        samples = list(_rounds(offices, process.pid, port_of(line), given))
        cpu = cpu_seconds(process.pid)
    return _verdict(samples, cpu)


def _rounds(offices: Offices, process: int, port: int, given: argparse.Namespace):  # type: ignore[no-untyped-def]
    admin = _admin_port(offices.data.logs / "lumbung.log")
    began, whole = time.monotonic(), given.minutes * 60
    seconds = min(ROUND_SECONDS, max(1.0, whole / given.days / 3))
    done, day = 0, 1
    while (passed := time.monotonic() - began) < whole:
        if passed * given.days >= whole * day:
            with ControlClient(offices.data.root) as client:
                print(
                    f"soak: day {day} ends: {client.ask('cut-over', {'actor': 'soak'})}", flush=True
                )
            day += 1
        plan = LoadPlan("127.0.0.1", port, given.rate, seconds, 16)
        report = run_loop(run_load(offices, plan))
        broken = [i.name for i in report.invariants if not i.holds]
        assert not broken, broken
        assert not report.unanswered, report.lines()
        done += report.messages
        sample = Sample(
            day, done, rss_bytes(process), len(list(Path(f"/proc/{process}/fd").iterdir())),
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
    first, last = samples[0], samples[-1]
    ends = [max((s for s in samples if s.day == day), key=lambda s: s.purchases)
            for day in range(1, last.day + 1)]  # fmt: skip
    faults = [
        f"{name} is {value:g} when nothing is under way"
        for sample in samples
        for name, value in sample.queues.items()
        if value
    ]
    faults += _growth("within its day", first, ends[0], DAY_BYTES_A_PURCHASE_MAX)
    # The first day fills caches; from the end of one day to the end of the last, what lasts.
    faults += _growth(
        "beyond its day", ends[min(1, len(ends) - 2)], last, LASTING_BYTES_A_PURCHASE_MAX
    )
    print(
        f"soak: {last.purchases} purchases on {last.day} business days, "
        f"{cpu / last.purchases * 1e6:.0f} us of CPU each, worst p99 "
        f"{max(sample.p99_ms for sample in samples):.1f} ms"
    )
    for fault in faults:
        print(f"soak: {fault}")
    return 1 if faults else 0


def _growth(name: str, before: Sample, after: Sample, bytes_max: int) -> list[str]:
    """Print what a purchase cost between two samples; give the fault when it is too much."""
    purchases = max(1, after.purchases - before.purchases)
    grown = after.rss - before.rss
    print(
        f"soak: {grown / purchases:.0f} bytes a purchase {name}: {grown / 1e6:.1f} MB over"
        f" {purchases} purchases (at most {bytes_max} each and {CACHES_BYTES_MAX >> 20} MiB)"
    )
    if grown <= CACHES_BYTES_MAX + bytes_max * purchases:
        return []
    return [f"memory grew by {grown / purchases:.0f} bytes a purchase {name}"]


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    add_arguments(arguments)
    with tempfile.TemporaryDirectory(prefix="lumbung-soak-") as temporary:
        sys.exit(soak(Path(temporary), arguments.parse_args()))
