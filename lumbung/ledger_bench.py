"""What the ledger does on one disk, beside what the disk itself does: `lumbung ledger bench`.

The disk is asked as the engine asks it: whole blocks into a file that was zeroed before, written
past the page cache where the file system allows, each followed by fdatasync. The ledger gets the
purchases of a food card's day: 10,000 cards that may not be overdrawn, 200 shops, random ids; all
evidence (checksums, hash chain, Merkle tree) is kept. `make bench SUITE=ledger` has the peers.
"""

import asyncio
import mmap
import os
import random
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ledger import open_ledger
from ledger.port import Ledger
from ledger.statuses import CreateTransferStatus
from ledger.structures import RECORD_SIZE, Account, AccountFlags, Transfer

BLOCK = 4_096
#: Bytes of one durable write of the disk: the smallest commit, the largest that costs no more, and
#: a batch of 8,189.
WRITES = {"disk-4k": BLOCK, "disk-64k": 64 << 10, "disk-1m": 1 << 20}
BATCHES = (1, 64, 1_000, 8_189)
IN_FLIGHT = (16, 256)
CASES = len(WRITES) + len(BATCHES) + len(IN_FLIGHT)
#: The probe goes round in a file of this size, and makes so many writes at most.
PROBE_BYTES = 64 << 20
PROBE_WRITES_MAX = 2_000
#: Transfers of one case at most: they are packed before the clock starts.
TRANSFERS_MAX = 320_000
SINGLES_MAX = 20_000
#: More than this in a second is beyond any engine here: a short case packs no more.
RATE_MAX = 2_000_000
CARDS, SHOPS = 10_000, 200
GIRO, FIRST_SHOP, FIRST_CARD = 1, 10, 1_000
FUNDS_SEN = 10**12
_LEDGER, _CODE = 1, 7
_HEAD = struct.Struct("<8Q")
_CREATED = int(CreateTransferStatus.CREATED).to_bytes(4, "little")
Engine = Literal["auto", "native", "pure"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One case: how many in a second, and how long one call took, in microseconds."""

    case: str
    per_s: float
    p50_us: float
    p99_us: float
    max_us: float

    @classmethod
    def of(cls, case: str, count: int, seconds: float, took_s: list[float]) -> "Figure":
        """Make it of what was done, and what each call took.

        >>> Figure.of("batch-2", 6, 2.0, [0.5, 0.25, 1.0])
        Figure(case='batch-2', per_s=3.0, p50_us=500000.0, p99_us=1000000.0, max_us=1000000.0)
        """
        took = sorted(took_s)
        at = [took[len(took) // 2], took[min(int(len(took) * 0.99), len(took) - 1)], took[-1]]
        p50, p99, longest = (round(value * 1e6, 1) for value in at)
        return cls(case, round(count / seconds, 1), p50, p99, longest)


class Probe:
    """The disk's own durable write, a whole block at a time, round and round in one file."""

    def __init__(self, directory: Path, size: int = BLOCK) -> None:
        path = directory / f"probe-{size}"
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        for start in range(0, PROBE_BYTES, 1 << 20):
            os.pwrite(descriptor, bytes(1 << 20), start)
        os.fsync(descriptor)
        os.close(descriptor)
        self.way = "disk-direct"
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_DIRECT)
        except OSError:  # This file system has no direct I/O.
            self._descriptor, self.way = os.open(path, os.O_RDWR), "disk-cached"
        self._path, self._next = path, 0
        self._page = mmap.mmap(-1, size)  # Page-aligned, as direct I/O wants it.
        self._page[:] = os.urandom(size)

    def write(self) -> float:
        """Write the next page durably; give the seconds it took."""
        before = time.perf_counter()
        os.pwrite(self._descriptor, self._page, self._next)
        os.fdatasync(self._descriptor)
        took = time.perf_counter() - before
        self._next = (self._next + len(self._page)) % PROBE_BYTES
        return took

    def close(self) -> None:
        """Remove the file."""
        os.close(self._descriptor)
        self._page.close()
        self._path.unlink()


def measure(place: Path, *, engine: Engine, seconds: float, seed: int = 1) -> Iterator[Figure]:
    """Yield each case as it is done; what is written lies in a new folder of `place`, removed.

    `seconds` bounds each case. Raises what opening a ledger raises, and `OSError` of the disk.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=place)))
        for case, size in WRITES.items():
            yield _disk_case(folder, case, size, seconds)
        ledger = open_ledger(
            folder / "ledger", now_ns=time.time_ns, random_bytes=os.urandom, engine=engine
        )
        stack.callback(ledger.close)
        draw = _Drawer(random.Random(seed))  # noqa: S311 - purchases of a bench, no secret.
        _found(ledger, draw)
        for size in BATCHES:
            yield _batch_case(ledger, draw, size, seconds)
        for tasks in IN_FLIGHT:
            yield asyncio.run(_in_flight_case(ledger, draw, tasks, seconds))


def _disk_case(folder: Path, case: str, size: int, seconds: float) -> Figure:
    probe, took = Probe(folder, size), list[float]()
    try:
        deadline = time.perf_counter() + seconds
        while not took or (len(took) < PROBE_WRITES_MAX and time.perf_counter() < deadline):
            took.append(probe.write())
    finally:
        probe.close()
    return Figure.of(case, len(took), sum(took), took)


class _Drawer:
    """Draws purchases, packed."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        blank = Transfer(
            id=1, debit_account_id=1, credit_account_id=2, amount=0, ledger=_LEDGER, code=_CODE
        )
        self._tail = blank.pack()[_HEAD.size :]

    def packed(self, debit: int, credit: int, amount: int) -> bytes:
        number = self._chance.getrandbits(127) + 1
        low, high = number & (1 << 64) - 1, number >> 64
        return _HEAD.pack(low, high, debit, 0, credit, 0, amount, 0) + self._tail

    def purchase(self) -> bytes:
        draw = self._chance.randrange
        card, shop = FIRST_CARD + draw(CARDS), FIRST_SHOP + draw(SHOPS)
        return self.packed(card, shop, 100 * draw(5_000, 200_000))


def _found(ledger: Ledger, draw: _Drawer) -> None:
    """Make the accounts and fill the cards."""
    limited = int(AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS)
    accounts = [Account(id=GIRO, ledger=_LEDGER, code=1)]
    accounts += [Account(id=FIRST_SHOP + n, ledger=_LEDGER, code=2) for n in range(SHOPS)]
    accounts += [
        Account(id=FIRST_CARD + n, ledger=_LEDGER, code=3, flags=limited) for n in range(CARDS)
    ]
    for start in range(0, len(accounts), 5_000):
        ledger.create_accounts(accounts[start : start + 5_000])
    for start in range(0, CARDS, 5_000):
        cards = range(FIRST_CARD + start, FIRST_CARD + start + 5_000)
        _post(ledger, b"".join(draw.packed(GIRO, card, FUNDS_SEN) for card in cards))


def _post(ledger: Ledger, batch: bytes) -> None:
    results = ledger.create_transfers_packed(batch)
    assert results.count(_CREATED) == len(batch) // RECORD_SIZE, (
        "a transfer of the bench was refused"
    )


def _batch_case(ledger: Ledger, draw: _Drawer, size: int, seconds: float) -> Figure:
    most = min(TRANSFERS_MAX, int(seconds * RATE_MAX))
    count = max(1, min(most // size, SINGLES_MAX))
    batches = [b"".join(draw.purchase() for _ in range(size)) for _ in range(count)]
    took = []
    started = now = time.perf_counter()
    for batch in batches:
        _post(ledger, batch)
        before, now = now, time.perf_counter()
        took.append(now - before)
        if now - started > seconds:
            break
    return Figure.of(f"batch-{size}", len(took) * size, now - started, took)


async def _in_flight_case(ledger: Ledger, draw: _Drawer, tasks: int, seconds: float) -> Figure:
    most = min(TRANSFERS_MAX // 3, int(seconds * RATE_MAX))
    queue = iter([Transfer.unpack(draw.purchase()) for _ in range(most)])
    took: list[float] = []
    with suppress(StopIteration):  # What starts with the first post is up before the clock.
        await ledger.post(next(queue))
    started = time.perf_counter()

    async def one() -> None:
        for transfer in queue:
            before = time.perf_counter()
            answer = await ledger.post(transfer)
            assert answer.status is CreateTransferStatus.CREATED, "a transfer was refused"
            now = time.perf_counter()
            took.append(now - before)
            if now - started > seconds:
                return

    await asyncio.gather(*(one() for _ in range(tasks)))
    return Figure.of(f"asyncio-{tasks}", len(took), time.perf_counter() - started, took)


def report(figures: list[Figure], show: Callable[[str], None]) -> None:
    """Show the figures as a table for people."""
    show(f"{'case':12} {'a second':>12} {'p50 us':>10} {'p99 us':>10} {'max us':>10}")
    for one in figures:
        show(
            f"{one.case:12} {one.per_s:12,.0f} {one.p50_us:10,.0f} {one.p99_us:10,.0f} "
            f"{one.max_us:10,.0f}"
        )
