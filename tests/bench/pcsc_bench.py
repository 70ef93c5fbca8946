"""Measure APDU round trips over real PC/SC: in the reader's thread, and through the channel.

Part of `make bench SUITE=cards`; `python tests/bench/pcsc_bench.py` for the table alone. The card
is in one process, the terminal in another; between them lie pcscd and the vpcd driver. An APDU:
SELECT of the payment environment, 20 bytes out and 32 back. Without pcscd or pyscard: no rows.

The subjects take turns, a terminal's process for each turn: `ours-thread` calls in the reader's
thread, `ours-channel` awaits every answer, `ours-sequence` hands many commands over at once as the
card link does; `floor` is a bare call of the PC/SC library against a loop that answers the same
bytes whatever comes: what daemon, driver and kernel take. The terminal is once left to the
scheduler (`-any-core`) and once kept to the reader's processor core (`-one-core`, as `pcsc exec
--one-core` does): the first wins on a busy machine, the second on an idle one whose cores fall
asleep. Case `pcsc-apdu` is the better of both.
"""

import asyncio
import contextlib
import ctypes
import datetime
import json
import random
import select
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

import figures

from cardsim import Card, personalise
from cardsim.transport import CardOnWire
from lumbung.event_loop import run_loop
from lumbung.pcsc import PrivatePcscd
from lumbung.services import services
from protocols.values import Pan, SecretBytes
from terminal.pcsc import PcscChannel

SELECT = bytes.fromhex("00A404000E315041592E5359532E444446303100")
#: Turns of each subject and placement, stretches of a turn after a warming one. Short stretches:
#: the machine's other work strikes some of them and not all.
TURNS = 3
STRETCHES = 8
ROUND_TRIPS = 500
TIMEOUT_MS = 30_000
#: Commands of one sequence: about what a purchase has.
SEQUENCE = 10
PLACES = ("any-core", "one-core")

Rates = dict[str, list[list[float]]]


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


def figures_of(times: list[float]) -> list[float]:
    """Give the rate of a stretch and its 99th percentile in microseconds."""
    times.sort()
    return [len(times) / sum(times), times[int(len(times) * 0.99)] * 1e6]


async def terminal_side(reader: str) -> Rates:
    """Give the figures of each stretch of our three ways."""
    channel = PcscChannel(reader)
    await channel.connect()
    slot, thread = channel._slot, channel._thread
    assert slot is not None
    assert thread is not None

    def in_thread(_deadline: object) -> list[float]:
        return timed(lambda: slot.transmit(SELECT))

    async def through_channel() -> list[float]:
        times = []
        for _ in range(ROUND_TRIPS):
            begin = time.perf_counter()
            await channel.transmit(SELECT, timeout_ms=TIMEOUT_MS)
            times.append(time.perf_counter() - begin)
        return times

    def commands() -> Generator[bytes, bytes, None]:
        for _ in range(SEQUENCE):
            yield SELECT

    async def in_sequences() -> list[float]:
        times = []
        for _ in range(ROUND_TRIPS // SEQUENCE):
            begin = time.perf_counter()
            await channel.converse(commands(), timeout_ms=TIMEOUT_MS)
            times.append((time.perf_counter() - begin) / SEQUENCE)
        return times

    found: Rates = {"ours-thread": [], "ours-channel": [], "ours-sequence": []}
    for stretch in range(STRETCHES + 1):
        round_of = {
            "ours-thread": await thread.call(in_thread, TIMEOUT_MS),
            "ours-channel": await through_channel(),
            "ours-sequence": await in_sequences(),
        }
        for name, times in round_of.items():
            if stretch:  # the first one warms up
                found[name].append(figures_of(times))
    await channel.close()
    return found


def timed(call: Callable[[], object]) -> list[float]:
    """Give how long each of many calls took, in seconds."""
    times = []
    for _ in range(ROUND_TRIPS):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return times


class _Protocol(ctypes.Structure):
    """SCARD_IO_REQUEST of pcsc-lite: the protocol, and the structure's length."""

    _fields_ = [("protocol", ctypes.c_ulong), ("length", ctypes.c_ulong)]


def floor_side(reader: str) -> Rates:
    """Give the figures of bare calls of the PC/SC library, buffers made once."""
    library = ctypes.CDLL("libpcsclite.so.1")
    context, card, used = (ctypes.c_long() for _ in range(3))
    protocol = _Protocol(2, ctypes.sizeof(_Protocol))  # T=1
    answer, length = (ctypes.c_ubyte * 300)(), ctypes.c_ulong()
    assert library.SCardEstablishContext(2, None, None, ctypes.byref(context)) == 0
    assert library.SCardConnect(
        context, reader.encode(), 1, 2, ctypes.byref(card), ctypes.byref(used)
    ) == 0  # fmt: skip

    def call() -> None:
        length.value = 300
        code = library.SCardTransmit(
            card, ctypes.byref(protocol), SELECT, len(SELECT), None, answer, ctypes.byref(length)
        )
        assert code == 0
        assert length.value == len(FloorCard.ANSWER)

    found: Rates = {"floor": []}
    for stretch in range(STRETCHES + 1):
        times = timed(call)
        if stretch:
            found["floor"].append(figures_of(times))
    library.SCardDisconnect(card, 0)
    library.SCardReleaseContext(context)
    return found


class FloorCard:
    """A thread that answers every APDU with the same bytes: no card at all."""

    ATR = bytes.fromhex("3BE000008131FE45EB")
    ANSWER = bytes(30) + b"\x90\x00"

    def __init__(self, connection: socket.socket) -> None:
        """Take a connection to a reader and begin."""
        connection.setblocking(True)
        self._connection = connection
        self.asked = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        watch, held = select.poll(), b""
        watch.register(self._connection, select.POLLIN)
        while True:
            if not held:
                watch.poll()
                data = self._connection.recv(4_096)
            else:  # The rest of a frame may be a single byte, which wakes nobody and is no mark.
                time.sleep(0.001)
                try:
                    data = self._connection.recv(4_096, socket.MSG_DONTWAIT)
                except BlockingIOError:
                    continue
            if not data:
                return
            held += data
            while len(held) >= 2 and len(held) >= 2 + int.from_bytes(held[:2], "big"):
                size = int.from_bytes(held[:2], "big")
                body, held = held[2 : 2 + size], held[2 + size :]
                answer = self.ANSWER if size > 1 else self.ATR if body == b"\x04" else b""
                if answer:
                    self._connection.sendall(len(answer).to_bytes(2, "big") + answer)
                if body == b"\x01":
                    self.asked.set()

    def close(self) -> None:
        """Leave the reader."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._connection.close()


async def measure_all(result: Path) -> dict[str, Rates]:
    """Serve both cards and let terminals' processes take turns; give what they found, by place."""
    found: dict[str, Rates] = {place: {} for place in PLACES}
    async with PrivatePcscd(1) as daemon, PrivatePcscd(1) as other:
        card = make_card()
        await card.attach(lambda: daemon.connect(0), core=daemon.core)
        await card.seen.wait()
        floor = FloorCard(await other.connect(0))
        await asyncio.to_thread(floor.asked.wait)
        for _ in range(TURNS):
            for place in PLACES:
                for kind, at in (("ours", daemon), ("floor", other)):
                    command = [sys.executable, __file__, kind, at.reader_names[0], str(result)]
                    code = await at.run(command, core=at.core if place == "one-core" else None)
                    assert code == 0
                    for name, stretches in written(result).items():
                        found[place].setdefault(name, []).extend(stretches)
        floor.close()
        await card.close()
    return found


def written(result: Path) -> Rates:
    """Give what a terminal's process wrote down."""
    rates: Rates = json.loads(result.read_text())
    return rates


def measure() -> list[figures.Row]:
    """Give the rows of `build/bench.json`: the best of several stretches, and their median."""
    missing = services()["pcsc"].missing_for_tests()
    if missing:
        sys.stderr.write(f"pcsc: {missing}. {services()['pcsc'].line_for_tests()}\n")
        return []
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure_all(Path(folder) / "result.json"))

    rows = []
    best: dict[tuple[str, str], float] = {}
    for place in PLACES:
        for name, stretches in found[place].items():
            values = {
                "per_s": max(rate for rate, _ in stretches),
                "median_per_s": statistics.median(rate for rate, _ in stretches),
                "p99_us": min(slowest for _, slowest in stretches),
            }
            rows += [row(f"pcsc-apdu-{place}", name, *of) for of in values.items()]
            for metric, value in values.items():
                better = min if metric == "p99_us" else max
                best[name, metric] = better(best.get((name, metric), value), value)
    return [row("pcsc-apdu", *key, value) for key, value in best.items()] + rows


def row(case: str, subject: str, metric: str, value: float) -> figures.Row:
    """Give one row."""
    unit = "us" if metric == "p99_us" else "1/s"
    return figures.Row(
        suite="cards", case=case, subject=subject, metric=metric, value=round(value), unit=unit
    )


if __name__ == "__main__":
    if len(sys.argv) > 2:
        side = sys.argv[1]
        rates = run_loop(terminal_side(sys.argv[2])) if side == "ours" else floor_side(sys.argv[2])
        Path(sys.argv[3]).write_text(json.dumps(rates))
    else:
        sys.stdout.write(figures.table(measure()) + "\n")
