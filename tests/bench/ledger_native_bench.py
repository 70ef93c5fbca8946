"""Measure the native ledger beside the disk it writes to, in one run.

`python tests/bench/ledger_native_bench.py --directory /var/tmp`. Single posts alternate with the
disk's own 4 KiB write and sync, so that both meet the same neighbours; every throughput case also
says what it cost in processor time, which tells a busy machine from a slow engine. All evidence is
on: checksums, hash chain, Merkle tree. The files it makes are removed.
"""

import argparse
import asyncio
import mmap
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import figures
from ledger_bench import Bench

from ledger import open_ledger
from ledger.structures import Transfer

BLOCK = 4096
PROBE_BLOCKS = 4096


class Disk:
    """The disk's own durable write: a zeroed file, O_DIRECT, fdatasync."""

    def __init__(self, directory: Path) -> None:
        path = directory / "probe"
        self._fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_DIRECT, 0o600)
        self._block = mmap.mmap(-1, BLOCK)
        chunk = mmap.mmap(-1, 256 * BLOCK)
        for start in range(0, PROBE_BLOCKS * BLOCK, 256 * BLOCK):
            os.pwrite(self._fd, chunk, start)
        os.fsync(self._fd)
        self._next = 0

    def write(self) -> None:
        """Write the next block durably."""
        os.pwrite(self._fd, self._block, self._next * BLOCK)
        os.fdatasync(self._fd)
        self._next = (self._next + 1) % PROBE_BLOCKS


class Measure:
    """Collects rows and prints a table for people."""

    def __init__(self) -> None:
        self.rows: list[figures.Row] = []

    def note(self, case: str, subject: str, values: dict[str, tuple[float, str]]) -> None:
        """Take the metrics of one case."""
        for metric, (value, unit) in values.items():
            self.rows.append(
                figures.Row(
                    suite="ledger",
                    case=case,
                    subject=subject,
                    metric=metric,
                    value=round(value, 1),
                    unit=unit,
                )
            )
        cells = "  ".join(f"{metric} {value:11,.1f}" for metric, (value, _) in values.items())
        print(f"{subject:12} {case:14} {cells}", file=sys.stderr)

    def latencies(self, case: str, subject: str, took: list[float]) -> None:
        """Take the percentiles of one case, in microseconds."""
        took = sorted(took)
        at = {"p50_us": 0.5, "p99_us": 0.99, "max_us": 1.0}
        self.note(
            case,
            subject,
            {m: (took[min(int(len(took) * p), len(took) - 1)] * 1e6, "us") for m, p in at.items()},
        )

    @contextmanager
    def throughput(self, case: str, events: int) -> Iterator[None]:
        """Take events per second, and processor time per event over all threads."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        values = {"per_s": (events / wall, "1/s"), "cpu_us": (cpu / events * 1e6, "us")}
        self.note(case, "ours-native", values)


def timed(took: list[float], work: Callable[[], object]) -> None:
    """Do the work and note how long it took."""
    before = time.perf_counter()
    work()
    took.append(time.perf_counter() - before)


def single_posts(measure: Measure, bench: Bench, disk: Disk, count: int) -> None:
    """Post one at a time, each beside one write of the disk's own."""
    ours: list[float] = []
    raw: list[float] = []
    for transfer in bench.purchases(count):
        event = transfer.pack()
        timed(raw, disk.write)
        timed(ours, lambda event=event: bench.ledger.create_transfers_packed(event))
    measure.latencies("batch-1", "disk-4k-sync", raw)
    measure.latencies("batch-1", "ours-native", ours)


def batches(measure: Measure, bench: Bench, size: int, total: int) -> None:
    """Post packed batches, one caller."""
    count = max(total // size, 1)
    buffers = [b"".join(t.pack() for t in bench.purchases(size)) for _ in range(count)]
    took: list[float] = []
    with measure.throughput(f"batch-{size}", count * size):
        for buffer in buffers:
            timed(took, lambda buffer=buffer: bench.ledger.create_transfers_packed(buffer))
    measure.latencies(f"batch-{size}", "ours-native", took)


def in_flight(measure: Measure, bench: Bench, tasks: int, total: int) -> None:
    """Post one by one from so many coroutines."""
    queues = [bench.purchases(total // tasks) for _ in range(tasks)]
    took: list[float] = []

    async def work(queue: list[Transfer]) -> None:
        for transfer in queue:
            before = time.perf_counter()
            await bench.ledger.post(transfer)
            took.append(time.perf_counter() - before)

    async def run() -> None:
        await bench.ledger.post(bench.purchases(1)[0])
        with measure.throughput(f"asyncio-{tasks}", (total // tasks) * tasks):
            await asyncio.gather(*(work(queue) for queue in queues))

    asyncio.run(run())
    measure.latencies(f"asyncio-{tasks}", "ours-native", took)


def reopen(measure: Measure, directory: Path) -> None:
    """Verify from genesis, then open again."""
    options = {"now_ns": time.time_ns, "random_bytes": os.urandom, "engine": "native"}
    before = time.perf_counter()
    ledger = open_ledger(directory, **options)  # type: ignore[arg-type]
    took = time.perf_counter() - before
    measure.note("restart", "ours-native", {"records_per_s": (ledger.last_sequence / took, "1/s")})
    with measure.throughput("verify", ledger.last_sequence):
        ledger.verify()
    status = Path("/proc/self/status").read_text()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    measure.note("restart", "ours-native", {"rss_mb": (int(resident.split()[1]) / 1024, "MB")})
    ledger.close()


def main() -> None:
    """Run all cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, default=None)
    parser.add_argument("--total", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="merge into build/bench.json")
    arguments = parser.parse_args()
    measure = Measure()
    print(figures.machine(), file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=arguments.directory) as name:
        directory = Path(name) / "ledger"
        disk = Disk(Path(name))
        ledger = open_ledger(
            directory, now_ns=time.time_ns, random_bytes=os.urandom, engine="native"
        )
        bench = Bench(ledger, arguments.seed)
        single_posts(measure, bench, disk, 1_000)
        for size in (64, 1_000, 8_189):
            batches(measure, bench, size, arguments.total)
        in_flight(measure, bench, 16, arguments.total // 10)
        in_flight(measure, bench, 256, arguments.total)
        ledger.close()
        reopen(measure, directory)
    if arguments.write:
        figures.write(measure.rows, native=True)


if __name__ == "__main__":
    main()
