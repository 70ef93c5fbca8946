"""`make soak SUITE=ledger [SOAK_ARGS=...]`: many transfers, then small batches on the grown ledger.

The question is whether a grown ledger still answers small batches quickly, and what it costs in
memory and on disk. Reported: the worst and the 99th percentile commit of the small batches beside
the disk's own 4 KiB write in the same minutes, resident memory, bytes on disk a transfer, and the
time to open again. `--worst-ms` makes a slower worst commit an error. The default is a small run.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUITES = ("ledger",)
#: A real disk: /tmp is memory on many machines.
DIRECTORY = ROOT / "build"
BULK = 8_189
SMALL = 64
#: Batches that are drawn once and posted again and again under other ids.
PATTERNS = 8


def main() -> int:
    """Run the soak; give 1 when the worst commit was slower than asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--transfers", type=int, default=300_000)
    parser.add_argument("--small-batches", type=int, default=1_000)
    parser.add_argument("--engine", choices=("native", "pure"), default="native")
    parser.add_argument("--directory", type=Path, default=DIRECTORY)
    parser.add_argument("--worst-ms", type=float, help="fail when a small commit takes longer")
    given = parser.parse_args()
    sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "bench")]
    given.directory.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=given.directory) as directory:
        worst_ms = soak(Path(directory), given)
    if given.worst_ms is not None and worst_ms > given.worst_ms:
        print(f"soak: worst commit {worst_ms:.1f} ms, allowed {given.worst_ms} ms")
        return 1
    return 0


def soak(directory: Path, given: argparse.Namespace) -> float:
    """Grow a ledger, post small batches, open it again; give the worst small commit in ms."""
    import figures
    from bench_ledger import Ours
    from ledger_limits import Probe
    from ledger_load import Drawer

    print(f"soak: machine {figures.machine()}")
    ours, drawer, probe = Ours(directory, given.engine), Drawer(1), Probe(directory)
    funding = drawer.funding()
    for start in range(0, len(funding), 5_000):
        ours.post(ours.prepare(funding[start : start + 5_000]))
    began = time.perf_counter()
    grown = grow(ours, drawer, given.transfers)
    seconds = time.perf_counter() - began
    print(f"soak: {grown} transfers in batches of {BULK}: {grown / seconds:,.0f} a second")
    took, disk = [], []
    for batch in drawer.batches(SMALL, SMALL * given.small_batches):
        prepared = ours.prepare(batch)
        disk.append(probe.write())
        before = time.perf_counter()
        ours.post(prepared)
        took.append(time.perf_counter() - before)
    probe.close()
    for name, found in ((f"batch-{SMALL}", sorted(took)), ("disk 4 KiB", sorted(disk))):
        p50, p99 = found[len(found) // 2], found[int(len(found) * 0.99)]
        print(
            f"soak: {name:11} p50 {p50 * 1e3:7.2f} ms  p99 {p99 * 1e3:7.2f} ms  "
            f"worst {found[-1] * 1e3:7.2f} ms"
        )
    total = grown + len(took) * SMALL
    stored = sum(path.stat().st_size for path in directory.glob("ledger-*/0*.seg"))
    print(f"soak: resident {resident_mb():.0f} MB, {stored / total:.0f} bytes a transfer on disk")
    ours.close()
    before = time.perf_counter()
    ours.open(directory)
    print(f"soak: opened again with {ours.ledger.last_sequence} records in "
          f"{time.perf_counter() - before:.2f} s")  # fmt: skip
    ours.close()
    return max(took) * 1e3


def grow(ours: object, drawer: object, wanted: int) -> int:
    """Post full batches until so many are there; the same purchases under ids of their own."""
    from bench_ledger import Ours
    from ledger_load import Drawer

    assert isinstance(ours, Ours)
    assert isinstance(drawer, Drawer)
    patterns = [bytearray(ours.prepare(b)) for b in drawer.batches(BULK, BULK * PATTERNS)]
    count = 0
    while count < wanted:
        batch = patterns[count // BULK % PATTERNS]
        ids = os.urandom(16 * BULK)
        for index in range(BULK):
            batch[128 * index : 128 * index + 16] = ids[16 * index : 16 * index + 16]
        ours.post(bytes(batch))
        count += BULK
    return count


def resident_mb() -> float:
    """Give this process's resident memory."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    sys.exit(main())
