"""Measure the switch: approving listener, whole purchase, its stages, kill to ready, idle links.

`make bench SUITE=switch`. The switch runs as `lumbung switch run`, a process of its own on one core
and on a story's directory on disk; the client has the other core. Closed rows keep one message on
each connection under way; `purchase-64-open` sends by the clock, latency from the intended start.
A machine that does other work as well gives lower rates: `cpu_us` is the switch's own processor
time per purchase, which is what to compare.
"""

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import figures
from codec_bench import ELEMENTS, PACKED
from switch_stages import stage_costs

from lumbung.composition import Offices, open_offices
from lumbung.data_directory import DataDirectory
from lumbung.event_loop import run_loop
from lumbung.load.crew import cards_for, load_cards, log_on_all
from lumbung.load.driver import Driver, Prepared, Tally
from lumbung.load.histogram import Histogram
from lumbung.load.messages import TPDU, Purchase, answer_code, purchases, read_key
from lumbung.load.run import LoadPlan, ledger_beside, run_load
from lumbung.logs import log_to
from lumbung.story.run import run as run_story
from lumbung.story.run import story_created
from lumbung.system import SystemClock, system_random
from protocols.crypto import engine
from protocols.framing import EDC_FRAMES, frame
from protocols.iso8583 import Codec, Message, parse_spec

SECONDS = 3.0
#: Messages prepared for one closed row: more than any run takes.
PREPARED = 40_000
IDLE_LINKS = 2_000
RESTARTS = 3
HERE = Path(__file__).resolve().parent
CORES = sorted(os.sched_getaffinity(0))
_TICKS = os.sysconf("SC_CLK_TCK")


def row(case: str, subject: str, metric: str, value: float, unit: str) -> figures.Row:
    """Give one figure of this suite."""
    return figures.Row(
        suite="switch", case=case, subject=subject, metric=metric, value=value, unit=unit
    )


@contextmanager
def child(*command: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a server on the first core; give it and the first line that it prints."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HERE
    )
    os.sched_setaffinity(process.pid, CORES[:1])
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline()
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


def switch_command(directory: Path) -> list[str]:
    """Give the command of a switch whose cards may buy all day."""
    rules = files("switch").joinpath("data/rules.toml").read_text("utf-8")
    at = directory.parent
    raised = rules.replace("card_day_sales_limit = 40", "card_day_sales_limit = 10_000")
    assert raised != rules
    (at / "rules.toml").write_text(raised, "utf-8")
    (at / "switch.toml").write_text('rules = "rules.toml"\n', "utf-8")
    return [sys.executable, "-m", "lumbung", "switch", "run", "--data", str(directory),
            "--config", str(at / "switch.toml"), "--port", "0"]  # fmt: skip


def port_of(line: str) -> int:
    """Give the port of `listening on 127.0.0.1:PORT, ...`."""
    return int(line.split(",")[0].rpartition(":")[2])


def cpu_seconds(pid: int) -> float:
    """Give the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def rss_bytes(pid: int) -> int:
    """Give a process's resident memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def closed(
    port: int, messages: list[Any], key: Any, connections: int, seconds: float = SECONDS
) -> Tally:
    """Run the closed client and give what happened."""
    async with Driver("127.0.0.1", port, messages, key, connections=connections) as driver:
        return await driver.run_closed(seconds)


def closed_rows(case: str, subject: str, tally: Tally) -> list[figures.Row]:
    """Give rate and latencies of a closed run."""
    took = Histogram()
    took.record_all(
        answered - sent
        for sent, answered in zip(tally.sent_ns, tally.answered_ns, strict=True)
        if answered
    )
    return [
        row(case, subject, "per_s", round(tally.answered / tally.seconds), "1/s"),
        row(case, subject, "p50_ms", round(took.percentile_ns(50) / 1e6, 2), "ms"),
        row(case, subject, "p99_ms", round(took.percentile_ns(99) / 1e6, 2), "ms"),
    ]


def listener() -> Iterator[figures.Row]:
    """Measure the approving listeners, ours and pyiso8583's, in turn."""
    payload = Codec(parse_spec(PACKED, "packed")).encode(Message("0200", dict(ELEMENTS)))
    messages = [Prepared(frame(payload, TPDU, EDC_FRAMES), 0)] * 400_000
    subjects = {"ours": ours_subject(), "pyiso8583": "pyiso8583"}
    for connections in (1, 16, 64):
        for name, subject in subjects.items():
            with child(sys.executable, str(HERE / "switch_listener.py"), name) as (_, line):
                tally = run_loop(
                    closed(int(line), messages, lambda _payload: 0, connections, SECONDS / 2)
                )
            yield from closed_rows(f"listener-{connections}", subject, tally)


def ours_subject() -> str:
    """Give which of our twins runs."""
    return "ours-native" if engine.is_native() else "ours-pure"


def whole_purchases(offices: Offices, process: int, port: int) -> Iterator[figures.Row]:
    """Measure the whole purchase at 1, 16, 64 and 900 connections.

    Not at 1,000: the story has 933 free cards, and each must keep to one connection, so that its
    counters arrive in order.
    """
    for connections in (1, 16, 64, 900):
        messages = prepare(offices, port, connections)
        before = cpu_seconds(process)
        tally = run_loop(closed(port, messages, read_key, connections))
        used = cpu_seconds(process) - before
        _must_be_real(messages, tally)
        case = f"purchase-{connections}"
        yield from closed_rows(case, ours_subject(), tally)
        cost = round(used / tally.answered * 1e6, 1)
        yield row(case, ours_subject(), "cpu_us", cost, "us")


def prepare(offices: Offices, port: int, connections: int) -> list[Purchase]:
    """Give fresh purchases of terminals that have just logged on."""
    now_ns = offices.clock.now_ns()
    with ledger_beside(offices) as ledger:
        cards = cards_for(load_cards(offices, ledger), connections)
    terminals = run_loop(log_on_all(offices, "127.0.0.1", port, now_ns))
    return list(purchases(terminals, cards, 100, PREPARED, now_ns))


def _must_be_real(messages: list[Purchase], tally: Tally) -> None:
    """Every answer is an approval under a good MAC and ARPC, or there is no figure."""
    for purchase, payload in zip(messages, tally.answers, strict=True):
        assert not payload or answer_code(purchase, payload) == "00", answer_code(purchase, payload)


def open_model(offices: Offices, port: int, rate: float) -> Iterator[figures.Row]:
    """Measure latency from the intended start at a rate below the capacity; the ledger judges."""
    plan = LoadPlan("127.0.0.1", port, rate, SECONDS, 64)
    report = run_loop(run_load(offices, plan))
    assert all(invariant.holds for invariant in report.invariants), report.lines()
    case = "purchase-64-open"
    yield row(case, ours_subject(), "offered_s", report.offered_per_s, "1/s")
    yield row(case, ours_subject(), "per_s", report.achieved_per_s, "1/s")
    for name in ("p50", "p99"):
        value = round(report.from_intended_us[name] / 1000, 2)
        yield row(case, ours_subject(), f"{name}_ms", value, "ms")


def idle_links(process: int, port: int) -> Iterator[figures.Row]:
    """Measure what an idle connection costs the switch in resident memory."""

    async def open_all() -> int:
        before = rss_bytes(process)
        async with Driver("127.0.0.1", port, [], read_key, connections=IDLE_LINKS):
            return rss_bytes(process) - before

    grown = run_loop(open_all())
    yield row(f"idle-{IDLE_LINKS}", ours_subject(), "bytes", round(grown / IDLE_LINKS), "B/link")


def kill_to_ready(directory: Path) -> Iterator[figures.Row]:
    """Measure from a SIGKILL to the first line of the next switch on the same directory."""
    took = []
    for _ in range(RESTARTS):
        with child(*switch_command(directory)) as (process, _line):
            process.kill()
            began = time.perf_counter()
            process.wait()
            with child(*switch_command(directory)) as (_again, line):
                took.append(time.perf_counter() - began)
                assert line.startswith("listening")
    yield row("kill-to-ready", ours_subject(), "ms", round(min(took) * 1000), "ms")


def measure() -> list[figures.Row]:
    """Give the rows of `build/bench.json`."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))
    os.sched_setaffinity(0, CORES[-1:])
    try:
        return _all_rows()
    finally:
        os.sched_setaffinity(0, CORES)


def _all_rows() -> list[figures.Row]:
    rows = list(listener())
    with tempfile.TemporaryDirectory(prefix="lumbung-bench-") as temporary:
        directory = Path(temporary) / "data"
        with (
            DataDirectory.open(directory, kind="story", seed=7, created=story_created()) as data,
            log_to(data.logs / "lumbung.log"),
        ):
            assert run_story(data, lambda _text: None, lambda _step: None).ok
            rows += stage_costs(directory, Path(temporary) / "stages", ours_subject())
        with (
            child(*switch_command(directory)) as (process, line),
            open_offices(
                DataDirectory.beside(directory), SystemClock(), lambda _part: system_random
            ) as offices,
        ):
            port = port_of(line)
            rows += idle_links(process.pid, port)
            found = list(whole_purchases(offices, process.pid, port))
            capacity = next(
                r.value for r in found if (r.case, r.metric) == ("purchase-64", "per_s")
            )
            rows += [*found, *open_model(offices, port, round(capacity * 0.5))]
        rows += kill_to_ready(directory)
    return rows


if __name__ == "__main__":
    sys.stdout.write(figures.table(measure()) + "\n")
