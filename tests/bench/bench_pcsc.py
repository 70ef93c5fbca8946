"""Measure APDU round trips over real PC/SC: in the reader's thread, and through the channel.

`make bench SUITE=pcsc`, or `python tests/bench/bench_pcsc.py` for the table alone. The card is in
one process, the terminal in another; between them lie pcscd and the vpcd driver. An APDU: SELECT
of the payment environment, 20 bytes out and 32 back. Without pcscd or pyscard there are no rows.
"""

import asyncio
import datetime
import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import figures

from cardsim import Card, personalise
from cardsim.transport import CardOnWire
from lumbung.pcsc import PrivatePcscd
from lumbung.services import services
from protocols.values import Pan, SecretBytes
from terminal.pcsc import PcscChannel

SELECT = bytes.fromhex("00A404000E315041592E5359532E444446303100")
STRETCHES = 7
ROUND_TRIPS = 3_000
TIMEOUT_MS = 30_000


class StillClock:
    """A clock that stands: the card reads none in this command."""

    def now_ns(self) -> int:
        """Give 0."""
        return 0

    def monotonic_ns(self) -> int:
        """Give 0."""
        return 0


def make_card() -> CardOnWire:
    """Give a card under the fixed test key."""
    generator = random.Random(7)
    image = personalise(
        "ssn", pan=Pan("9360099900000018"), expiry=datetime.date(2030, 12, 31), psn="01",
        name="BENCH", udk_ac=SecretBytes(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")),
        random_bytes=generator.randbytes,
    )  # fmt: skip
    return CardOnWire(Card(image, StillClock(), generator.randbytes))


async def terminal_side(reader: str) -> dict[str, list[float]]:
    """Give the rates of each stretch and the times of single round trips, in microseconds."""
    channel = PcscChannel(reader)
    await channel.connect()
    slot, thread = channel._slot, channel._thread
    assert slot is not None
    assert thread is not None

    def in_thread() -> list[float]:
        times = []
        for _ in range(ROUND_TRIPS):
            begin = time.perf_counter()
            slot.transmit(SELECT)
            times.append(time.perf_counter() - begin)
        return times

    async def through_channel() -> list[float]:
        times = []
        for _ in range(ROUND_TRIPS):
            begin = time.perf_counter()
            await channel.transmit(SELECT, timeout_ms=TIMEOUT_MS)
            times.append(time.perf_counter() - begin)
        return times

    found: dict[str, list[float]] = {"thread": [], "channel": []}
    for stretch in range(STRETCHES + 1):
        for name, times in (
            ("thread", await thread.call(in_thread, TIMEOUT_MS)),
            ("channel", await through_channel()),
        ):
            if stretch:  # the first one warms up
                times.sort()
                found[name].append(ROUND_TRIPS / sum(times))
                found.setdefault(f"{name}_p99_us", []).append(times[int(ROUND_TRIPS * 0.99)] * 1e6)
    await channel.close()
    return found


async def card_side(result: Path) -> None:
    """Serve the card and let the terminal's process write what it found."""
    async with PrivatePcscd(1) as daemon:
        card = make_card()
        await card.attach(lambda: daemon.connect(0), core=daemon.core)
        await card.seen.wait()
        await daemon.run([sys.executable, __file__, daemon.reader_names[0], str(result)])
        await card.close()


def measure() -> list[figures.Row]:
    """Give the rows of `build/bench.json`: the best of several stretches, and their median."""
    missing = services()["pcsc"].missing_for_tests()
    if missing:
        sys.stderr.write(f"pcsc: {missing}. {services()['pcsc'].line_for_tests()}\n")
        return []
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        asyncio.run(card_side(result))
        found = json.loads(result.read_text())

    def row(subject: str, metric: str, value: float, unit: str) -> figures.Row:
        return figures.Row(
            suite="pcsc", case="pcsc-apdu", subject=subject, metric=metric,
            value=round(value), unit=unit,
        )  # fmt: skip

    rows = []
    for name in ("thread", "channel"):
        rows += [
            row(f"ours-{name}", "per_s", max(found[name]), "1/s"),
            row(f"ours-{name}", "median_per_s", statistics.median(found[name]), "1/s"),
            row(f"ours-{name}", "p99_us", min(found[f"{name}_p99_us"]), "us"),
        ]
    return rows


if __name__ == "__main__":
    if len(sys.argv) > 2:
        Path(sys.argv[2]).write_text(json.dumps(asyncio.run(terminal_side(sys.argv[1]))))
    else:
        sys.stdout.write(figures.table(measure()) + "\n")
