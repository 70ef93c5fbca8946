"""A month's disbursement through a running switch, while terminals buy over its line.

A story's city with its shops and terminals, and a decree of LINES more people beside it. The job is
asked over the control channel, month after month, until the purchases have ended: so each of them
met the job. Latency is from a purchase's intended start, over the wire, with MAC, PIN and chip.
"""

import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bench_programme
import bench_switch
import figures

from lumbung.composition import Offices, compose, open_offices
from lumbung.data_directory import DataDirectory
from lumbung.event_loop import run_loop
from lumbung.load.report import LoadReport
from lumbung.load.run import LoadPlan, ledger_beside, run_load
from lumbung.logs import log_to
from lumbung.story.run import run as run_story
from lumbung.story.run import story_created
from lumbung.system import SystemClock, seeded_random, system_random
from programme.accounts import open_purse
from programme.decree import import_decree, read_decree
from programme.equations import check_equations
from switch.control_client import ControlClient

SEED = 7
#: Purchases a second: the rush of a city's morning many times over.
RATE, SECONDS, CONNECTIONS = 200.0, 8.0, 16
#: The decree's months; each is a job of its own.
MONTHS = tuple(f"2026-{month:02d}" for month in range(1, 13))
#: Index of the first person: apart from the story's.
FIRST = 5_000_001


def through_switch(lines: int) -> Iterator[figures.Row]:
    """Give rate of the job, and latency of purchases meanwhile."""
    with tempfile.TemporaryDirectory(prefix="lumbung-bench-") as temporary:
        directory = Path(temporary) / "data"
        bench_switch.certificate(Path(temporary))
        decree = _city(directory, lines)
        with (
            bench_switch.child(
                *bench_switch.switch_command(directory), cores=bench_switch.CORES
            ) as (_process, line),
            open_offices(
                DataDirectory.beside(directory), SystemClock(), lambda _part: system_random
            ) as offices,
        ):
            payer = _Payer(directory, decree)
            plan = LoadPlan("127.0.0.1", bench_switch.port_of(line), RATE, SECONDS, CONNECTIONS)
            with payer:
                report = run_loop(run_load(offices, plan))
            _must_be_real(offices, report)
    case = f"disburse-{lines}-through-switch"
    yield bench_programme.row(case, "per_s", payer.credited / payer.seconds, "credits/s")
    yield bench_programme.row(case, "months", payer.months, "months")
    meanwhile = "purchase-meanwhile"
    yield bench_programme.row(meanwhile, "per_s", report.achieved_per_s, "1/s")
    for name in ("p50", "p99"):
        value = report.from_intended_us[name] / 1_000
        yield bench_programme.row(meanwhile, f"{name}_ms", value, "ms")


def _must_be_real(offices: Offices, report: LoadReport) -> None:
    """Every approval is a posting, and the whole is balanced once the last month is paid."""
    failed = [x for x in report.invariants if not x.holds and x.name != "equations of the chart"]
    assert not failed, report.lines()
    offices.registry.refresh()
    with ledger_beside(offices) as ledger:
        assert all(one.holds for one in check_equations(ledger, offices.registry))


def _city(directory: Path, lines: int) -> int:
    """Make the story's city and the decree of many beside it; give the decree's number."""
    with (
        DataDirectory.open(directory, kind="story", seed=SEED, created=story_created()) as data,
        log_to(data.logs / "lumbung.log"),
    ):
        assert run_story(data, lambda _text: None, lambda _step: None).ok
        with compose(data, SystemClock(), lambda part: seeded_random(SEED, f"b/{part}")) as parts:
            file = directory.parent / "decree.csv"
            file.write_text(bench_programme.decree_text(FIRST, lines), "utf-8")
            before = parts.registry.people.count()
            taken = import_decree(parts.registry, read_decree(file), bench_programme.KOMINFO)
            number: int = taken.decree.decree_number
            bench_programme.determine(parts.registry, number)
            bench_programme.issue(parts.registry, before + 1, lines)
            open_purse(parts.ledger, parts.registry, 1, bench_programme.MAKER)
    return number


class _Payer:
    """Asks for month after month in a thread of its own, until told that it is enough."""

    def __init__(self, directory: Path, decree: int) -> None:
        self.credited, self.seconds, self.months = 0, 0.0, 0
        self._directory, self._decree = directory, decree
        self._enough = threading.Event()
        self._thread = ThreadPoolExecutor(max_workers=1)

    def __enter__(self) -> "_Payer":
        self._done = self._thread.submit(self._run)
        return self

    def __exit__(self, *_: object) -> None:
        is_through = self._done.done()
        self._enough.set()
        self._thread.shutdown()
        self._done.result()
        assert not is_through, "purchases went on without a job: give more LINES"

    def _run(self) -> None:
        with ControlClient(self._directory) as client:
            for month in MONTHS:
                if self._enough.is_set():
                    return
                self._pay(client, month)

    def _pay(self, client: ControlClient, month: str) -> None:
        asked = {"decree": self._decree, "period": month, "maker": "maker", "checker": "checker"}
        began = time.perf_counter()
        done = client.ask("disburse", asked)
        self.seconds += time.perf_counter() - began
        assert done["balanced"], done
        self.credited += done["credited"]
        self.months += 1
