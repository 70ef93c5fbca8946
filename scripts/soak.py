"""`make soak SUITE=ledger|switch [SOAK_ARGS=...]`: for the switch see `tests/bench/soak_switch.py`.

The ledger: many transfers, then small batches on the grown ledger.

The question is whether a grown ledger still answers small batches quickly, and what it costs in
memory and on disk. A process of its own grows the ledger and posts; at the end it is killed with
SIGKILL in the middle of its posts, and another one opens what it left. Reported, in one run:

* commits of small batches, and single posts: quiet, while a segment is being sealed, and while a
  snapshot is being written, each beside the disk's own 4 KiB write in the same minutes;
* the time to open again after SIGKILL and after a close, resident memory, bytes on disk;
* a statement of 100 rows and a balance at a past instant.

`--worst-ms` makes a slower worst commit an error. The default is a small run.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SUITES = ("ledger", "switch")
#: A real disk: /tmp is memory on many machines.
DIRECTORY = ROOT / "build"
BULK = 8_189
SMALL = 64
#: Batches that are drawn once and posted again and again under other ids.
PATTERNS = 8
#: Single posts in a row while nothing else goes on.
SINGLES = 2_000
#: Segments that are filled and sealed while single posts are measured.
SEALS = 4
#: Statements and balances that are asked for.
QUESTIONS = 500
STATEMENT_ROWS = 100
#: What the disk's own write is measured after: every so many posts.
PROBED_EVERY = 8


def main() -> int:
    """Run the soak; give 1 when the worst commit was slower than asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--transfers", type=int, default=300_000)
    parser.add_argument("--small-batches", type=int, default=1_000)
    parser.add_argument("--engine", choices=("native", "pure"), default="native")
    parser.add_argument("--directory", type=Path, default=DIRECTORY)
    parser.add_argument("--worst-ms", type=float, help="fail when a small commit takes longer")
    sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "bench")]
    import soak_switch

    soak_switch.add_arguments(parser)
    given = parser.parse_args()
    given.directory = given.directory.resolve()
    given.directory.mkdir(exist_ok=True)
    if given.suite == "switch":
        with tempfile.TemporaryDirectory(dir=given.directory) as directory:
            return soak_switch.soak(Path(directory), given)
    with tempfile.TemporaryDirectory(dir=given.directory) as name:
        directory = Path(name)
        worst_ms = in_a_process_that_is_killed(lambda: soak(directory, given))
        questions(directory, given)
    if given.worst_ms is not None and worst_ms > given.worst_ms:
        print(f"soak: worst commit {worst_ms:.1f} ms, allowed {given.worst_ms} ms")
        return 1
    return 0


def in_a_process_that_is_killed(work: Callable[[], tuple[float, Callable[[], None]]]) -> float:
    """Do work in a child; kill it while it goes on with what the work gave last.

    Gives the number that the work gave.
    """
    sys.stdout.flush()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            number, forever = work()
            sys.stdout.flush()
            os.write(writing, f"{number}\n".encode())
            while True:
                forever()
        finally:
            sys.stdout.flush()
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as told:
        line = told.readline()
        if line:
            time.sleep(0.2)  # Some hundred posts more; the next is cut off.
            os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if not line:
        raise SystemExit("soak: the growing process failed; its error stands above")
    return float(line)


def soak(directory: Path, given: argparse.Namespace) -> tuple[float, Callable[[], None]]:
    """Grow a ledger and post to it; give the worst commit in ms, and what posts one more."""
    import figures
    from bench_ledger import Ours
    from ledger_limits import Probe
    from ledger_load import Drawer

    print(f"soak: machine {figures.machine()}")
    ours, drawer, probe = Ours(directory, given.engine), Drawer(1), Probe(directory)
    funding = drawer.funding()
    for start in range(0, len(funding), 5_000):
        ours.post(ours.prepare(funding[start : start + 5_000]))
    patterns = [bytearray(ours.prepare(b)) for b in drawer.batches(BULK, BULK * PATTERNS)]
    began = time.perf_counter()
    grown = grow(ours, patterns, given.transfers)
    seconds = time.perf_counter() - began
    print(f"soak: {grown} transfers in batches of {BULK}: {grown / seconds:,.0f} a second")
    settle(ours, directory)
    print(f"soak: resident {resident_mb():.0f} MB with {ours.ledger.last_sequence} records")
    timing = Timing(ours, probe, next(directory.glob("ledger-*")))
    for batch in drawer.batches(SMALL, SMALL * given.small_batches):
        timing.post(f"batch-{SMALL}", ours.prepare(batch))
    singles = patterns[0]
    for _ in range(SINGLES):
        timing.post("single", fresh(singles, 1))
    for _ in range(SEALS if given.engine == "native" else 1):
        seal_beside_singles(ours, timing, patterns, singles)
    worst_ms = timing.report()
    stored(directory, ours.ledger.last_sequence)
    return worst_ms, lambda: ours.post(fresh(singles, 1))


class Timing:
    """What commits took, by kind, and the disk's own writes in between."""

    def __init__(self, ours: Any, probe: Any, directory: Path) -> None:
        self._ours, self._probe, self._directory = ours, probe, directory
        self._took: dict[str, list[float]] = {}
        self._posts = 0

    def post(self, kind: str, prepared: object) -> None:
        """Post a batch; every few posts the disk is asked for its own write."""
        before = time.perf_counter()
        self._ours.post(prepared)
        self.note(kind, time.perf_counter() - before)
        self._posts += 1
        if self._posts % PROBED_EVERY == 0:
            doing = self.doing()
            self.note(f"disk 4 KiB{doing}", self._probe.write())

    def note(self, kind: str, took: float) -> None:
        """Note a time."""
        self._took.setdefault(kind, []).append(took)

    def doing(self) -> str:
        """Say what the ledger does beside its commits."""
        if (self._directory / "snapshot.tmp").exists():
            return " in snapshot"
        return " in seal" if (self._directory / "seal.tmp").exists() else ""

    def report(self) -> float:
        """Print everything; give the worst commit in ms."""
        self._probe.close()
        for kind, took in sorted(self._took.items()):
            took.sort()
            p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
            print(
                f"soak: {kind:22} p50 {p50 * 1e3:7.2f} ms  p99 {p99 * 1e3:7.2f} ms  "
                f"worst {took[-1] * 1e3:7.2f} ms  of {len(took)}"
            )
        commits = [took[-1] for kind, took in self._took.items() if not kind.startswith("disk")]
        disk = [took[-1] for kind, took in self._took.items() if kind.startswith("disk")]
        ratio = max(commits) / max(disk)
        print(f"soak: worst commit {max(commits) * 1e3:.2f} ms, {ratio:.2f} times the disk's own")
        return max(commits) * 1e3


def seal_beside_singles(
    ours: Any, timing: Timing, patterns: list[bytearray], singles: bytearray
) -> None:
    """Fill a segment; post singles for as long as it is being sealed and the state is saved."""
    while not timing.doing():
        ours.post(fresh(patterns[0], BULK))
    while doing := timing.doing():
        timing.post(f"single{doing}", fresh(singles, 1))


def grow(ours: Any, patterns: list[bytearray], wanted: int) -> int:
    """Post full batches until so many are there; the same purchases under ids of their own."""
    count = 0
    while count < wanted:
        ours.post(fresh(patterns[count // BULK % PATTERNS], BULK))
        count += BULK
    return count


def fresh(pattern: bytearray, count: int) -> bytes:
    """Give the first transfers of a pattern under new ids."""
    ids = os.urandom(16 * count)
    for index in range(count):
        pattern[128 * index : 128 * index + 16] = ids[16 * index : 16 * index + 16]
    return bytes(pattern[: 128 * count])


def settle(ours: Any, directory: Path) -> None:
    """Wait until every closed segment is sealed, as it is on a quiet day."""
    del ours
    began = time.perf_counter()
    place = next(directory.glob("ledger-*"))
    while len(list(place.glob("0*.seg"))) > 1 or (place / "snapshot.tmp").exists():
        time.sleep(0.05)
    print(f"soak: all closed segments sealed {time.perf_counter() - began:.1f} s later")


def stored(directory: Path, records: int) -> None:
    """Print what lies on the disk."""
    place = next(directory.glob("ledger-*"))
    sealed = sum(path.stat().st_size for path in place.glob("0*.seal"))
    last = max((path for path in place.glob("0*.seal")), default=None)
    if last is None:
        print("soak: no segment was closed; ask for more --transfers")
        return
    page = last.read_bytes()[:144]
    held = int.from_bytes(page[48:56], "little") + int.from_bytes(page[140:144], "little") - 1
    everything = sum(path.stat().st_size for path in place.iterdir())
    print(
        f"soak: {sealed / held:.0f} bytes a record in sealed segments; "
        f"{everything / records:.0f} a record with snapshots, the raw segment and the spare"
    )


def questions(directory: Path, given: argparse.Namespace) -> None:
    """Open what was left, ask, and open once more after a close."""
    from bench_ledger import Ours
    from ledger_load import CARDS, FIRST_CARD

    from ledger.port import StatementFilter

    ours = Ours.__new__(Ours)
    ours.engine = given.engine
    opened(ours, directory, "after SIGKILL")
    ledger, rng = ours.ledger, random.Random(1)  # noqa: S311 - which rows are asked for is no secret.
    # Behind the accounts and the funding of every card.
    first = next(ledger.entries(after_sequence=3 * CARDS)).transfer.timestamp
    latest = next(ledger.entries(after_sequence=ledger.last_sequence - 1)).transfer.timestamp
    statements, balances = [], []
    for _ in range(QUESTIONS):
        account_id, instant = FIRST_CARD + rng.randrange(CARDS), rng.randrange(first, latest)
        before = time.perf_counter()
        rows = ledger.statement(
            StatementFilter(
                account_id=account_id, timestamp_max=instant, limit=STATEMENT_ROWS, reverse=True
            )
        )
        between = time.perf_counter()
        balance = ledger.balance_at(account_id, timestamp=instant)
        statements.append(between - before)
        balances.append(time.perf_counter() - between)
        is_debit = rows[0].transfer.debit_account_id == account_id
        newest = rows[0].debit_balance_after if is_debit else rows[0].credit_balance_after
        assert balance == newest, "the balance is that after the newest row"
    for name, took in ((f"statement of {STATEMENT_ROWS}", statements), ("balance at", balances)):
        took.sort()
        print(
            f"soak: {name:22} p50 {took[len(took) // 2] * 1e3:7.2f} ms  "
            f"p99 {took[int(len(took) * 0.99)] * 1e3:7.2f} ms  worst {took[-1] * 1e3:7.2f} ms"
        )
    ledger.close()
    opened(ours, directory, "after a close")
    ours.close()


def opened(ours: Any, directory: Path, after: str) -> None:
    """Open the ledger and print how long that took."""
    before = time.perf_counter()
    ours.open(directory)
    seconds = time.perf_counter() - before
    print(f"soak: opened {after} with {ours.ledger.last_sequence} records in {seconds:.2f} s")


def resident_mb() -> float:
    """Give this process's resident memory."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    sys.exit(main())
