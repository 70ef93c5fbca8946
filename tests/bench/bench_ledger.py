"""The suite `ledger`: our engines beside SQLite, LMDB, PostgreSQL and TigerBeetle, durable.

`make bench SUITE=ledger`; LUMBUNG_BENCH_DIRECTORY names the disk that matters (default /var/tmp).
Case by case all subjects post the same purchases one after the other, so that they meet the same
neighbours; large batches go in several rounds of all subjects, of which the median counts. Nobody
begins before the one before has done what it left to its background (sealing a segment takes a
core for a while). Ids are random, as the product's are (SHA-256). Our engines keep all their
evidence: checksums, hash chain, Merkle tree. A peer that is not here is named, never left out in
silence.
`cpu_us` is processor time a transfer in this process: it tells a busy machine from a slow engine.
"""

import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import figures
from ledger_limits import disk_rows, hash_rows
from ledger_load import (
    CARDS,
    FIRST_CARD,
    FIRST_SHOP,
    GIRO,
    LEDGER,
    SHOPS,
    Drawer,
    Purchase,
    as_transfer,
    latency_rows,
    row,
    timed_batches,
)
from ledger_peers import Lmdb, Sqlite
from ledger_postgres import CONNECTIONS, Postgres, PostgresMissingError
from ledger_tigerbeetle import TigerBeetle, TigerBeetleMissingError

from ledger import open_ledger
from ledger.native import NATIVE_AVAILABLE
from ledger.port import Ledger, StatementFilter
from ledger.statuses import CreateTransferStatus as Status
from ledger.structures import RESULT_SIZE, Account, AccountFlags
from lumbung.ledger_bench import Probe

SEED = 1
#: No subject gets longer for one case.
BUDGET_S = 2.5
#: Batch size, how many transfers at most in a round, and how many rounds.
BATCHES = {1: (2_000, 1), 64: (64_000, 1), 1_000: (250_000, 3), 8_189: (327_560, 5)}
#: A process that took less than this share of a core has nothing to do.
IDLE_SHARE = 0.05
SETTLE_S = 20.0
IN_FLIGHT = {16: 16_000, 256: 102_400}
#: Peers whose work is done in processes of their own.
SERVERS = (Postgres, TigerBeetle)
#: Reads of each kind, and rows of a statement.
READS = 500
STATEMENT_ROWS = 100
_CREATED = int(Status.CREATED).to_bytes(4, "little")


class Ours:
    """One of our engines through the ledger port."""

    def __init__(self, directory: Path, engine: str) -> None:
        self.name = f"ours-{engine}"
        self.engine = engine
        self.ledger: Ledger
        self.open(directory)
        limited = int(AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS)
        accounts = [Account(id=GIRO, ledger=LEDGER, code=1)]
        accounts += [Account(id=FIRST_SHOP + n, ledger=LEDGER, code=2) for n in range(SHOPS)]
        accounts += [
            Account(id=FIRST_CARD + n, ledger=LEDGER, code=3, flags=limited) for n in range(CARDS)
        ]
        for start in range(0, len(accounts), 8_000):
            self.ledger.create_accounts(accounts[start : start + 8_000])

    def open(self, directory: Path) -> None:
        """Open the ledger, making it the first time."""
        self.ledger = open_ledger(
            directory / f"ledger-{self.engine}",
            now_ns=time.time_ns,
            random_bytes=os.urandom,
            engine=self.engine,  # type: ignore[arg-type]
        )

    def prepare(self, batch: Sequence[Purchase]) -> object:
        """Give the packed batch: what a caller hands over without an object a transfer."""
        return b"".join([as_transfer(purchase).pack() for purchase in batch])

    def post(self, prepared: Any) -> None:
        """Post one batch durably."""
        results = self.ledger.create_transfers_packed(prepared)
        created = results.count(_CREATED)
        assert created == len(results) // RESULT_SIZE, "a transfer of the bench was refused"

    def close(self) -> None:
        """Close the ledger."""
        self.ledger.close()


def measure() -> list[figures.Row]:
    """Give every row of the suite; prints how it goes, as it takes minutes."""
    rows = hash_rows()
    place = os.environ.get("LUMBUNG_BENCH_DIRECTORY", "/var/tmp")
    say(f"machine {figures.machine()}")
    with tempfile.TemporaryDirectory(dir=place) as name, ExitStack() as stack:
        directory = Path(name)
        directory.chmod(0o755)  # The database server runs as a user of its own.
        rows += disk_rows(directory)
        subjects = open_subjects(directory, stack)
        drawer = Drawer(SEED)
        funding = drawer.funding()
        for start in range(0, CARDS, 5_000):
            for subject in subjects:
                subject.post(subject.prepare(funding[start : start + 5_000]))
        for size in BATCHES:
            rows += batch_case(subjects, size, drawer)
        singles = drawer.batches(1, BATCHES[1][0])
        rows += beside_disk_case(subjects[0], Probe(directory), singles)
        for tasks, total in IN_FLIGHT.items():
            rows += in_flight_case(subjects, tasks, drawer.batches(1, total))
        for subject in subjects:
            if isinstance(subject, Ours):
                rows += reads_case(subject, drawer)
                rows += verify_case(subject)
                rows += restart_case(subject, directory)
                rows += memory_case(subject.engine, directory)
    say(f"machine {figures.machine()}")
    return rows


def open_subjects(directory: Path, stack: ExitStack) -> list[Any]:
    """Give whoever can be measured here; say of the others why not."""
    subjects: list[Any] = []
    makers: list[tuple[str, Callable[[], Any]]] = [
        ("ours-pure", lambda: Ours(directory, "pure")),
        ("sqlite-wal-full", lambda: Sqlite(directory)),
        ("lmdb", lambda: Lmdb(directory)),
        ("postgresql", lambda: Postgres(directory)),
        ("tigerbeetle", TigerBeetle),
    ]
    if NATIVE_AVAILABLE:
        makers.insert(0, ("ours-native", lambda: Ours(directory, "native")))
    else:
        say("ours-native: NOT measured: the native core is not built (no Rust tool-chain)")
    for name, make in makers:
        try:
            subject = make()
        except (ModuleNotFoundError, PostgresMissingError, TigerBeetleMissingError) as error:
            say(f"{name}: NOT measured: {error}; peers come with requirements-bench.lock")
            continue
        stack.callback(subject.close)
        subjects.append(subject)
    return subjects


def batch_case(subjects: Sequence[Any], size: int, drawer: Drawer) -> list[figures.Row]:
    """Post batches of a size to every subject, one caller, in rounds; the median round counts."""
    case, (total, rounds) = f"batch-{size}", BATCHES[size]
    rates: dict[str, list[float]] = {subject.name: [] for subject in subjects}
    took: dict[str, list[float]] = {subject.name: [] for subject in subjects}
    cpu = dict.fromkeys(rates, 0.0)
    for _ in range(rounds):
        batches = drawer.batches(size, total)
        for subject in subjects:
            name = subject.name
            # A slow subject comes no further than last time; what is not posted is not packed.
            done = len(took[name]) // max(len(rates[name]), 1)
            prepared = [subject.prepare(batch) for batch in batches[: 2 * done or None]]
            settle()
            before = time.process_time()
            count, seconds, found = timed_batches(prepared, subject.post, BUDGET_S / rounds)
            cpu[name] += time.process_time() - before
            rates[name].append(count * size / seconds)
            took[name] += found
    rows = []
    for subject in subjects:
        name = subject.name
        found_rows = latency_rows(case, name, median(rates[name]), took[name])
        if rounds > 1:
            found_rows.append(row(case, name, "best_per_s", max(rates[name]), "1/s"))
        if not isinstance(subject, SERVERS):  # Its work is done in processes of its own.
            each = cpu[name] / (len(took[name]) * size) * 1e6
            found_rows.append(row(case, name, "cpu_us", each))
        rows += noted(found_rows)
    return rows


def settle() -> None:
    """Wait until this process has nothing to do: what one subject left would slow the next."""
    deadline = time.perf_counter() + SETTLE_S
    while time.perf_counter() < deadline:
        before = time.process_time()
        time.sleep(0.1)
        if time.process_time() - before < 0.1 * IDLE_SHARE:
            return


def beside_disk_case(
    ours: Ours, disk: Probe, singles: Sequence[Sequence[Purchase]]
) -> list[figures.Row]:
    """Post one at a time, each beside one write of the disk's own: the distance to its limit."""
    took: dict[str, list[float]] = {"disk-4k-sync": [], ours.name: []}
    deadline = time.perf_counter() + BUDGET_S
    for single in singles:
        prepared = ours.prepare(single)
        took["disk-4k-sync"].append(disk.write())
        before = time.perf_counter()
        ours.post(prepared)
        took[ours.name].append(time.perf_counter() - before)
        if before > deadline:
            break
    disk.close()
    rows = []
    for name, found in took.items():
        rows += noted(latency_rows("one-beside-disk", name, len(found) / sum(found), found))
    return rows


def in_flight_case(
    subjects: Sequence[Any], tasks: int, singles: Sequence[Sequence[Purchase]]
) -> list[figures.Row]:
    """Post one by one from so many coroutines, each awaiting its own transfer."""
    rows = []
    for subject in subjects:
        name = subject.name
        if isinstance(subject, Postgres):
            name = f"{name}-{CONNECTIONS}"
        with poster(subject) as (post, loop, prepare):
            work = [prepare(single) for single in singles]
            settle()
            count, seconds, took = loop.run_until_complete(post_all(work, tasks, post))
        rows += noted(latency_rows(f"asyncio-{tasks}", name, count / seconds, took))
    return rows


Poster = tuple[
    Callable[[Any], Awaitable[Any]], asyncio.AbstractEventLoop, Callable[[Sequence[Purchase]], Any]
]


@contextmanager
def poster(subject: Any) -> Iterator[Poster]:
    """Give how one transfer is posted from a coroutine of this subject's kind, and the loop."""
    if isinstance(subject, SERVERS):
        yield subject.post_soon, subject.loop, subject.prepare
        return
    loop = asyncio.new_event_loop()
    try:
        if isinstance(subject, Ours):
            yield subject.ledger.post, loop, lambda single: as_transfer(single[0])
            return
        # An embedded database has one writer: a thread, one commit for each transfer.
        with ThreadPoolExecutor(1) as writer:

            async def post(prepared: Any) -> None:
                await loop.run_in_executor(writer, subject.post, prepared)

            yield post, loop, subject.prepare
    finally:
        loop.close()


async def post_all(
    work: list[Any], tasks: int, post: Callable[[Any], Awaitable[Any]]
) -> tuple[int, float, list[float]]:
    """Post until all are posted or the time is up; give the count, seconds, and each one's."""
    await post(work.pop())  # What starts with the first post is up before the clock.
    took: list[float] = []
    queue = iter(work)
    started = time.perf_counter()

    async def one() -> None:
        for prepared in queue:
            before = time.perf_counter()
            answer = await post(prepared)
            assert answer is None or answer.status is Status.CREATED, "a transfer was refused"
            now = time.perf_counter()
            took.append(now - before)
            if now - started > BUDGET_S:
                return

    await asyncio.gather(*(one() for _ in range(tasks)))
    return len(took), time.perf_counter() - started, took


def reads_case(ours: Ours, drawer: Drawer) -> list[figures.Row]:
    """Ask for statements and balances of the past, cards and shops in turn, all over the history.

    LUMBUNG_BENCH_RECORDS grows the ledger to so many records first: 10000000 is the row that the
    design asks for.
    """
    ledger, grown_to = ours.ledger, int(os.environ.get("LUMBUNG_BENCH_RECORDS", "0"))
    while ledger.last_sequence < grown_to:
        for batch in drawer.batches(8_189, min(327_560, grown_to - ledger.last_sequence + 8_189)):
            ours.post(ours.prepare(batch))
    records = ledger.last_sequence
    chance = random.Random(SEED)
    accounts = [
        chance.choice((FIRST_CARD + chance.randrange(CARDS), FIRST_SHOP + chance.randrange(SHOPS)))
        for _ in range(READS)
    ]
    asked: dict[str, Callable[[int], Any]] = {
        f"statement-{STATEMENT_ROWS}": lambda account: ledger.statement(
            StatementFilter(account_id=account, limit=STATEMENT_ROWS, reverse=chance.random() < 0.5)
        ),
        "balance-at": lambda account: ledger.balance_at(
            account, sequence=chance.randrange(1, records + 1)
        ),
    }
    rows = []
    for case, ask in asked.items():
        took = []
        for account in accounts:
            before = time.perf_counter()
            ask(account)
            took.append(time.perf_counter() - before)
        found = latency_rows(f"{case}-of-{records}", ours.name, len(took) / sum(took), took)
        rows += noted(found)
    return rows


def verify_case(ours: Ours) -> list[figures.Row]:
    """Replay everything from genesis; no peer offers that."""
    report = ours.ledger.verify()
    assert report.sum_minor == 0
    return noted([row("verify", ours.name, "per_s", report.records / report.seconds)])


def restart_case(ours: Ours, directory: Path) -> list[figures.Row]:
    """Close and open again; opening checks every frame and record."""
    ours.close()
    began = time.perf_counter()
    ours.open(directory)
    seconds = time.perf_counter() - began
    rows = [
        row("restart", ours.name, "per_s", ours.ledger.last_sequence / seconds),
        row("restart", ours.name, "seconds", seconds, "s"),
    ]
    return noted(rows)


def memory_case(engine: str, directory: Path) -> list[figures.Row]:
    """Ask a process of its own what a million transfers take of memory, and a record of disk."""
    script = Path(__file__).with_name("ledger_memory.py")
    paths = os.pathsep.join([str(figures.ROOT), str(script.parent)])
    place = directory / f"memory-{engine}"
    done = subprocess.run(
        [sys.executable, str(script), str(place), engine],
        capture_output=True, check=True, text=True, env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    shutil.rmtree(place)
    told, name = json.loads(done.stdout), f"ours-{engine}"
    return noted([
        row("memory-1m", name, "rss_mb", told["rss_mb"], "MB"),
        row("memory-1m", name, "disk_bytes", told["disk_bytes"], "B"),
    ])  # fmt: skip


def noted(rows: list[figures.Row]) -> list[figures.Row]:
    """Say the rows of one subject on one line."""
    cells = "  ".join(f"{r.metric} {r.value:,.0f}" for r in rows)
    say(f"{rows[0].case:12} {rows[0].subject:28} {cells}")
    return rows


def say(text: str) -> None:
    """Tell the person at the screen how it goes."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    print(figures.table(measure()))
