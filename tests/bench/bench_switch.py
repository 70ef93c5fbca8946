"""Measure the switch: approving listener, whole purchase, its stages, kill to ready, idle links.

`make bench SUITE=switch`. The switch runs as `lumbung switch run`, a process of its own on a
story's directory on disk. Listener and client have a core each; the switch may use every core and
shares the last with the client. Closed rows keep one message on each connection under way;
`purchase-64-open` sends by the clock, latency from the intended start. A machine that does other
work as well gives lower rates: `cpu_us` is the switch's own processor time per purchase, which is
what to compare, `client_us` the client's.
"""

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import figures
from codec_bench import ELEMENTS, PACKED
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from switch_stages import stage_costs

from lumbung.composition import Offices, open_offices
from lumbung.data_directory import DataDirectory
from lumbung.event_loop import run_loop
from lumbung.load.closed import ClosedPlan, ClosedRun, run_closed
from lumbung.load.crew import cards_for, load_cards, log_on_all
from lumbung.load.driver import Prepared, Tally
from lumbung.load.histogram import Histogram
from lumbung.load.messages import TPDU, Purchase, answer_code, echo, purchases
from lumbung.load.run import LoadPlan, ledger_beside, run_load
from lumbung.logs import log_to
from lumbung.story.run import run as run_story
from lumbung.story.run import story_created
from lumbung.system import SystemClock, system_random
from protocols.crypto import engine
from protocols.framing import EDC_FRAMES, frame
from protocols.iso8583 import Codec, Message, parse_spec
from switch.control_client import ControlClient
from switch.tls import client_context

SECONDS = 3.0
#: Messages prepared for one closed row: more than any run takes.
PREPARED = 40_000
IDLE_LINKS = 20_000
#: Files that a process has open beside its links.
OTHER_FILES = 200
#: Where jPOS and what it needs lie as jars, or the `address:port` of a jPOS server that answers a
#: packed 0200; without either there is no such row.
JPOS = os.environ.get("LUMBUNG_JPOS", "")
#: Seconds that a server of jPOS works before it is measured: its code is compiled meanwhile.
JPOS_WARM_SECONDS = 6.0
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
def child(*command: str, cores: list[int]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a server on these cores; give it and the first line that it prints.

    It keeps its compiled code, wherever this process keeps its own: a restart that compiles every
    module anew takes three times as long, and no installation does.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    kept["PYTHONPYCACHEPREFIX"] = str(Path(tempfile.gettempdir()) / "lumbung-bench-compiled")
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HERE, env=kept
    )
    os.sched_setaffinity(process.pid, cores)
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
    settings = [
        'rules = "rules.toml"', "[connections]", "maximum = 30_000", "[terminals]",
        "per_second = 1_000_000.0", "burst = 1_000_000", "[[links]]", 'name = "edc-tls"',
        'spec = "edc"', "[links.tls]", 'certificate = "switch.pem"',
        'key = "switch.key"', "[[links]]", 'name = "edc-once"', 'spec = "edc"',
        "persistent = false",
    ]  # fmt: skip
    (at / "switch.toml").write_text("\n".join(settings) + "\n", "utf-8")
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
    """Measure the approving listeners in turn: ours, pyiso8583, and jPOS where it is there."""
    payload = Codec(parse_spec(PACKED, "packed")).encode(Message("0200", dict(ELEMENTS)))
    messages = [Prepared(frame(payload, TPDU, EDC_FRAMES), 0)] * 400_000
    subjects = {"ours": ours_subject(), "pyiso8583": "pyiso8583"}
    for connections in (1, 16, 64):
        case = f"listener-{connections}"
        for name, subject in subjects.items():
            with child(sys.executable, str(HERE / "switch_listener.py"), name, cores=CORES[:1]) as (
                process,
                line,
            ):
                before = cpu_seconds(process.pid)
                tally = closed("127.0.0.1", int(line), messages, connections, SECONDS / 2)
                used = cpu_seconds(process.pid) - before
            yield from closed_rows(case, subject, tally)
            yield row(case, subject, "cpu_us", round(used / tally.answered * 1e6, 1), "us")
        if JPOS and Path(JPOS).is_dir():
            yield from jpos_rows(case, messages, connections)
        elif JPOS:
            host, _, port = JPOS.rpartition(":")
            tally = closed(host, int(port), messages, connections, SECONDS / 2)
            yield from closed_rows(case, "jpos", tally)


def jpos_rows(case: str, messages: list[Any], connections: int) -> Iterator[figures.Row]:
    """Measure jPOS as an approving listener on the core that the others have, once it is warm."""
    source = HERE / "peers" / "JposListener.java"
    java = ("java", "-cp", f"{Path(JPOS).resolve()}/*", str(source))
    with child("taskset", "-c", str(CORES[0]), *java) as (process, line):
        closed("127.0.0.1", int(line), messages, connections, JPOS_WARM_SECONDS)
        before = cpu_seconds(process.pid)
        tally = closed("127.0.0.1", int(line), messages, connections, SECONDS / 2)
        used = cpu_seconds(process.pid) - before
    yield from closed_rows(case, "jpos", tally)
    yield row(case, "jpos", "cpu_us", round(used / tally.answered * 1e6, 1), "us")


def ours_subject() -> str:
    """Give which of our twins runs."""
    return "ours-native" if engine.is_native() else "ours-pure"


def whole_purchases(offices: Offices, process: int, ports: dict[str, int]) -> Iterator[figures.Row]:
    """Measure the whole purchase at 1, 16, 64 and 1,000 connections, over TLS, and one-shot.

    Of 1,000 connections as many are busy as the story has free cards (933): each card must keep to
    one connection, so that its counters arrive in order. The others stay open beside them.
    """
    authority = client_context(offices.data.root.parent / "switch.pem")
    for case, link, connections in (
        ("purchase-1", "edc", 1), ("purchase-16", "edc", 16), ("purchase-64", "edc", 64),
        ("purchase-1000", "edc", 1_000), ("purchase-64-tls", "edc-tls", 64),
        ("purchase-16-one-shot", "edc-once", 16),
    ):  # fmt: skip
        messages, busy = prepare(offices, ports["edc"], connections)
        before, own = cpu_seconds(process), time.process_time()
        plan = ClosedPlan(
            "127.0.0.1", ports[link], busy, SECONDS, link == "edc-once",
            authority if link == "edc-tls" else None,
        )  # fmt: skip
        idle = ClosedPlan("127.0.0.1", ports[link], max(1, connections - busy), SECONDS)
        with ClosedRun(idle, []) if connections > busy else nullcontext():
            tally = run_closed(plan, messages)
        used, own = cpu_seconds(process) - before, time.process_time() - own
        _must_be_real(messages, tally)
        yield from closed_rows(case, ours_subject(), tally)
        cost = round(used / tally.answered * 1e6, 1)
        yield row(case, ours_subject(), "cpu_us", cost, "us")
        client = round(own / tally.answered * 1e6, 1)
        yield row(case, ours_subject(), "client_us", client, "us")


def closed(host: str, port: int, messages: list[Any], connections: int, seconds: float) -> Tally:
    """Run the closed client and give what happened."""
    return run_closed(ClosedPlan(host, port, connections, seconds), messages)


def prepare(offices: Offices, port: int, connections: int) -> tuple[list[Purchase], int]:
    """Give fresh purchases of terminals that have just logged on, and how many lines they use."""
    now_ns = offices.clock.now_ns()
    with ledger_beside(offices) as ledger:
        free = load_cards(offices, ledger)
    busy = min(connections, len(free))
    terminals = run_loop(log_on_all(offices, "127.0.0.1", port, now_ns))
    return list(purchases(terminals, cards_for(free, busy), 100, PREPARED, now_ns)), busy


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


def idle_links(offices: Offices, process: int, port: int) -> Iterator[figures.Row]:
    """Measure what an idle connection costs the switch, once each has had an echo answered."""
    room = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - OTHER_FILES
    count = min(IDLE_LINKS, room, limit_of(process) - OTHER_FILES)
    if count < IDLE_LINKS:
        sys.stderr.write(f"idle-{IDLE_LINKS}: open files are limited, {count} links only\n")
    terminals = run_loop(log_on_all(offices, "127.0.0.1", port, offices.clock.now_ns()))
    echoes = [echo(terminals[n % len(terminals)], offices.clock.now_ns()) for n in range(count)]
    before = rss_bytes(process)
    with ClosedRun(ClosedPlan("127.0.0.1", port, count, 60.0), echoes) as run:
        began = time.perf_counter()
        tally = run.run()
        took = time.perf_counter() - began
        grown = rss_bytes(process) - before
    assert tally.answered == count, f"{tally.answered} of {count} echoes answered"
    case = f"idle-{IDLE_LINKS}"
    yield row(case, ours_subject(), "links", count, "links")
    yield row(case, ours_subject(), "bytes", round(grown / count), "B/link")
    yield row(case, ours_subject(), "echo_per_s", round(count / took), "1/s")


def limit_of(process: int) -> int:
    """Give how many files a process may have open."""
    for line in Path(f"/proc/{process}/limits").read_text().splitlines():
        if line.startswith("Max open files"):
            return int(line.split()[3])
    return IDLE_LINKS


def certificate(folder: Path) -> None:
    """Make the certificate of the TLS link; it vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "switch")])
    now, here = datetime.now(UTC), x509.IPAddress(ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([here]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = serialization.Encoding.PEM
    (folder / "switch.pem").write_bytes(made.public_bytes(pem))
    (folder / "switch.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def kill_to_ready(directory: Path) -> Iterator[figures.Row]:
    """Measure from a SIGKILL to the first line of the next switch on the same directory."""
    took = []
    for _ in range(RESTARTS):
        with child(*switch_command(directory), cores=CORES) as (process, _line):
            process.kill()
            began = time.perf_counter()
            process.wait()
            with child(*switch_command(directory), cores=CORES) as (_again, line):
                took.append(time.perf_counter() - began)
                assert line.startswith("listening")
    yield row("kill-to-ready", ours_subject(), "ms", round(min(took) * 1000), "ms")


def measure() -> list[figures.Row]:
    """Give the rows of `build/bench.json`."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = IDLE_LINKS + 2 * OTHER_FILES
    # The superuser may raise the hard limit, others take what there is.
    for limits in ((max(hard, wanted), max(hard, wanted)), (hard, hard)):
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            break
    os.sched_setaffinity(0, CORES[-1:])
    try:
        return _all_rows()
    finally:
        os.sched_setaffinity(0, CORES)


def _all_rows() -> list[figures.Row]:
    rows = list(listener())
    with tempfile.TemporaryDirectory(prefix="lumbung-bench-") as temporary:
        directory = Path(temporary) / "data"
        certificate(Path(temporary))
        with (
            DataDirectory.open(directory, kind="story", seed=7, created=story_created()) as data,
            log_to(data.logs / "lumbung.log"),
        ):
            assert run_story(data, lambda _text: None, lambda _step: None).ok
            rows += stage_costs(directory, Path(temporary) / "stages", ours_subject())
        with (
            child(*switch_command(directory), cores=CORES) as (process, line),
            open_offices(
                DataDirectory.beside(directory), SystemClock(), lambda _part: system_random
            ) as offices,
        ):
            port = port_of(line)
            with ControlClient(directory) as client:
                ports = {link["link"]: link["port"] for link in client.ask("status")["links"]}
            rows += idle_links(offices, process.pid, port)
            found = list(whole_purchases(offices, process.pid, ports))
            capacity = next(
                r.value for r in found if (r.case, r.metric) == ("purchase-64", "per_s")
            )
            rows += [*found, *open_model(offices, port, round(capacity * 0.5))]
        rows += kill_to_ready(directory)
    return rows


if __name__ == "__main__":
    sys.stdout.write(figures.table(measure()) + "\n")
