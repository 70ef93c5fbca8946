"""Measure the programme: registry load, decree import, and a month's disbursement with purchases.

`make bench SUITE=programme`, or `python tests/bench/bench_programme.py` for the table alone. Sizes
come from the arguments CARDS (1,000,000) and LINES (100,000), so that a short run is possible.

`registry-load`: a process of its own opens a registry of CARDS cards, as a switch does at its
start; bytes are what its resident memory grew by. `import`: from the file's first byte to the
durable registry. `disburse`: from the decree to durable credits, while purchases are posted one at
a time through the same ledger's queue; their waiting time is `single-post`. `through-switch` is
the same month as a job of a running switch, with purchases over its line (`programme_switch`).
The process that pays beside purchases shares its interpreter as finely as a running switch does
(`settle_down`): with Python's own 5 ms a waiting purchase waits that long at each hand-over.
"""

import asyncio
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import figures

from ledger import open_ledger
from ledger.port import Ledger
from ledger.structures import CreateTransferResult, Transfer
from lumbung.commands.switch import settle_down
from programme.accounts import open_purse
from programme.actors import Actor, Agency
from programme.chart import TransferCode
from programme.decree import import_decree, read_decree
from programme.decree.columns import columns
from programme.decree.template import template
from programme.disbursement import disburse
from programme.registry import CardRequest, DecreeState, MerchantKind, MerchantRequest, Registry
from protocols.values import Pan, SecretBytes

SUITE = "programme"
CARDS, LINES = 1_000_000, 100_000
KOMINFO = Actor(Agency.DISKOMINFO, "kominfo-01")
MAKER = Actor(Agency.DINSOS_PM, "dinsos-01")
CHECKER = Actor(Agency.DINSOS_PM, "dinsos-02")
MAYOR = Actor(Agency.WALI_KOTA, "wali-kota")
BANK = Actor(Agency.BANK, "bank-01")
#: Seconds between two purchases: 200 a second, the rush of a city's morning many times over.
PAUSE_S = 0.005

#: What a process that only loads does: it prints seconds, and kilobytes of memory before and after.
LOADER = """
import json, sys, time
from programme.registry import Registry
from protocols.values import SecretBytes
import random

class Clock:
    now_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(time.monotonic_ns)

def resident_kb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

before, started = resident_kb(), time.perf_counter()
registry = Registry.open(sys.argv[1], hmac_key=SecretBytes(b"h" * 32),
                         nik_key=SecretBytes(b"n" * 32), clock=Clock, random_bytes=random.randbytes)
seconds = time.perf_counter() - started
print(json.dumps({"s": seconds, "kb": resident_kb() - before, "cards": len(registry.all_cards())}))
"""


class SystemClock:
    """The machine's own clocks."""

    now_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(time.monotonic_ns)


def measure(cards: int = CARDS, lines: int = LINES) -> list[figures.Row]:
    """Give all figures; the folder is the system's temporary one, on its disk."""
    rows: list[figures.Row] = []
    with tempfile.TemporaryDirectory(prefix="lumbung-bench-") as folder:
        rows += _disbursement(Path(folder), lines)
    # Here, because that module takes this one's decree and rows.
    from programme_switch import through_switch

    rows += through_switch(lines)
    with tempfile.TemporaryDirectory(prefix="lumbung-bench-") as folder:
        rows += _load(Path(folder), cards)
    return rows


def _disbursement(folder: Path, lines: int) -> Iterator[figures.Row]:
    path = folder / "decree.csv"
    path.write_text(decree_text(1, lines), "utf-8")
    with _registry(folder) as registry:
        started = time.perf_counter()
        number = import_decree(registry, read_decree(path), KOMINFO).decree.decree_number
        seconds = time.perf_counter() - started
        yield row(f"import-{lines}", "s", seconds, "s")
        yield row(f"import-{lines}", "per_s", lines / seconds, "lines/s")
        determine(registry, number)
        issue(registry, 1, lines)
        ledger = open_ledger(
            folder / "ledger", now_ns=time.time_ns, random_bytes=random.Random(1).randbytes
        )
        _shop(registry)
        open_purse(ledger, registry, 1, MAKER)
        settle_down()
        yield from _pay(ledger, registry, number, lines, "2026-01", purchases=False)
        yield from _pay(ledger, registry, number, lines, "2026-02", purchases=True)
        ledger.close()


def _pay(
    ledger: Ledger, registry: Registry, decree: int, lines: int, month: str, *, purchases: bool
) -> Iterator[figures.Row]:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()

    def behind(group: list[Transfer]) -> list[CreateTransferResult]:
        done: Future[list[CreateTransferResult]] = asyncio.run_coroutine_threadsafe(
            ledger.post_many(group), loop
        )
        return done.result()

    till = asyncio.run_coroutine_threadsafe(_till(ledger, registry), loop) if purchases else None
    started = time.perf_counter()
    result = disburse(ledger, registry, decree, month, None, MAKER, CHECKER, post=behind)
    seconds = time.perf_counter() - started
    assert result.credited_count == lines, "everybody is credited, or the figure means nothing"
    case = f"disburse-{lines}" + ("-beside-purchases" if purchases else "")
    yield row(case, "per_s", lines / seconds, "credits/s")
    yield row(case, "s", seconds, "s")
    if till is not None:
        loop.call_soon_threadsafe(till.cancel)
        _STOP.set()
        waits = sorted(_WAITS_MS)
        yield row("single-post-meanwhile", "posts", len(waits), "posts")
        yield row("single-post-meanwhile", "p50_ms", waits[len(waits) // 2], "ms")
        yield row("single-post-meanwhile", "p99_ms", waits[len(waits) * 99 // 100], "ms")
        yield row("single-post-meanwhile", "max_ms", waits[-1], "ms")
    loop.call_soon_threadsafe(loop.stop)


_WAITS_MS: list[float] = []
_STOP = threading.Event()


async def _till(ledger: Ledger, registry: Registry) -> None:
    """Post one purchase after the other and note how long each waited for its durability."""
    shop = registry.all_merchants()[0].payable_accounts[1]
    cards = [card.account_id for card in registry.all_cards()]
    generator = random.Random(7)
    while not _STOP.is_set():
        transfer = Transfer(
            id=generator.getrandbits(127) | 1, debit_account_id=generator.choice(cards),
            credit_account_id=shop, amount=100, ledger=1, code=TransferCode.PURCHASE,
            user_data_128=1,
        )  # fmt: skip
        started = time.perf_counter()
        result = await ledger.post(transfer)
        _WAITS_MS.append((time.perf_counter() - started) * 1_000)
        assert result.status.name == "CREATED"
        await asyncio.sleep(PAUSE_S)


def _load(folder: Path, cards: int) -> Iterator[figures.Row]:
    at_once = 250_000
    with _registry(folder) as registry:
        for first in range(1, cards + 1, at_once):
            count = min(at_once, cards + 1 - first)
            path = folder / "decree.csv"
            path.write_text(decree_text(first, count), "utf-8")
            import_decree(registry, read_decree(path), KOMINFO)
            issue(registry, first, count)
    path = folder / "registry.sqlite"
    done = subprocess.run(
        [sys.executable, "-c", LOADER, str(path)], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert found["cards"] == cards
    case = f"registry-load-{cards}"
    yield row(case, "s", found["s"], "s")
    yield row(case, "bytes_per_card", found["kb"] * 1_024 / cards, "bytes")
    yield row(case, "file_bytes_per_card", path.stat().st_size / cards, "bytes")


@contextmanager
def _registry(folder: Path) -> Iterator[Registry]:
    with Registry.open(
        folder / "registry.sqlite",
        hmac_key=SecretBytes(b"h" * 32),
        nik_key=SecretBytes(b"n" * 32),
        clock=SystemClock,
        random_bytes=random.Random(2).randbytes,
    ) as registry:
        yield registry


def decree_text(first: int, count: int) -> str:
    """Give a decree file of `count` people, the first with this index."""
    lines = template().splitlines()[:-1]
    lines[0] = f"#nomor_sk: 460/{first}/HK/2025"
    start = date(1940, 1, 1).toordinal()
    for index in range(first, first + count):
        born = date.fromordinal(start + index % 25_000)
        cells = {
            "nik": f"9972{index:012d}", "nama": f"Sari {index} Rekaan",
            "tanggal_lahir": born.isoformat(), "nomor_kk": f"9973{index:012d}",
            "alamat": f"Jalan Lumbung {index}", "kelurahan": "Bukuan", "kecamatan": "Palaran",
            "nominal": "300000", "hasil_verifikasi": "layak",
        }  # fmt: skip
        lines.append(";".join(cells[field.name] for field in columns()))
    return "\n".join(lines) + "\n"


def determine(registry: Registry, number: int) -> None:
    """Walk a decree to its determination."""
    for state, actor in (
        (DecreeState.VERIFICATION, MAKER),
        (DecreeState.VALIDATION, MAKER),
        (DecreeState.DETERMINATION, MAYOR),
    ):
        registry.decrees.move(number, state, actor)


def issue(registry: Registry, first: int, count: int) -> None:
    """Print a card for each recipient from this number on."""
    requests = [
        CardRequest(
            recipient_number=number, pan=Pan(f"9360{number:012d}"), pan_sequence="01",
            expires_on=date(2030, 12, 31), pin_offset=f"{number % 1_000_000:06d}",
        )
        for number in range(first, first + count)
    ]  # fmt: skip
    registry.cards.issue(requests, KOMINFO)


def _shop(registry: Registry) -> None:
    request = MerchantRequest(
        merchant_id="EWSMDPLR0000001", name="E-Warong Berkah", kind=MerchantKind.MICRO,
        district="Palaran", village="Bukuan", category="5411", designated=True,
    )  # fmt: skip
    registry.shops.add_merchants([request], BANK)


def row(case: str, metric: str, value: float, unit: str) -> figures.Row:
    """Give one figure of this suite."""
    return figures.Row(
        suite=SUITE, case=case, subject="ours", metric=metric, value=round(value, 3), unit=unit
    )


if __name__ == "__main__":
    sizes = [int(argument) for argument in sys.argv[1:3]]
    print(figures.table(measure(*sizes)))
