"""The network between terminals and switch: connections in virtual time, with faults of all kinds.

A direction of a connection is a stream of bytes. Without a fault each piece arrives in order after
a short while; a fault strikes one piece.
"""

from collections import Counter
from collections.abc import Callable
from enum import Enum
from itertools import pairwise
from random import Random
from typing import Protocol

from lumbung.testing.virtual_time import Moment, VirtualTime
from terminal.line import LineDownError

MS = 1_000_000
SECOND = 1_000 * MS
#: One way, in ms: GPRS on a good day.
LATENCY_MS = (20, 180)
#: Above what a terminal waits (10 s): its answer is a late one.
DELAY_MS = (500, 25_000)
CONNECT_MS = 5_000


class NetworkFault(Enum):
    """What happens to one piece."""

    DELAY = "delay"
    DROP = "drop"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    SPLIT = "split"
    CORRUPT = "corrupt"
    HALF_CLOSE = "half close"
    CUT_BEFORE = "cut before"
    CUT_AFTER = "cut after"


class Peer(Protocol):
    """The switch, as the network sees it."""

    def opened(self, connection: "Connection") -> bool:
        """Take a connection, or refuse it."""

    def arrived(self, connection: "Connection", data: bytes) -> None:
        """Take bytes."""

    def ended(self, connection: "Connection", *, reset: bool) -> None:
        """Hear that nothing more comes."""


class Network:
    """Makes connections; `rates` says how often each fault strikes a piece."""

    def __init__(self, time: VirtualTime, rng: Random, seen: Counter[str]) -> None:
        """Begin without faults."""
        self.time, self.rng, self.seen = time, rng, seen
        self.rates: dict[NetworkFault, float] = {}
        self.peer: Peer | None = None
        self._number = 0

    def number(self) -> int:
        """Give the next connection's number."""
        self._number += 1
        return self._number

    def latency_ns(self) -> int:
        """Give how long a piece takes."""
        return self.rng.randrange(*LATENCY_MS) * MS

    def strike(self, way: str) -> NetworkFault | None:
        """Give the fault of the next piece, None for most."""
        for fault, rate in self.rates.items():
            if self.rng.random() < rate:
                self.seen[f"network: {way} {fault.value}"] += 1
                return fault
        return None


class Direction:
    """One way of a connection."""

    def __init__(self, network: Network, way: str, connection: "Connection") -> None:
        """Begin with nothing under way."""
        self._network = network
        self._way = way
        self._connection = connection
        self._free_ns = 0
        self._is_closed = False
        self.deliver: Callable[[bytes], None] = lambda _data: None
        self.end: Callable[[], None] = lambda: None

    def send(self, data: bytes) -> None:
        """Send a piece; a fault may strike it."""
        if self._is_closed or self._connection.is_cut:
            return
        network, rng = self._network, self._network.rng
        fault = network.strike(self._way)
        match fault:
            case NetworkFault.DROP:
                return
            case NetworkFault.CUT_BEFORE:
                self._connection.cut()
                return
            case NetworkFault.DELAY:
                self._arrive(data, rng.randrange(*DELAY_MS) * MS)
            case NetworkFault.REORDER:
                network.time.after(rng.randrange(4_000) * MS, lambda: self._hand_over(data))
            case NetworkFault.DUPLICATE:
                self._arrive(data)
                self._arrive(data, rng.randrange(3_000) * MS)
            case NetworkFault.SPLIT:
                for piece in _pieces(data, rng):
                    self._arrive(piece, rng.randrange(2_000) * MS)
            case NetworkFault.CORRUPT:
                self._arrive(_corrupted(data, rng))
            case _:
                self._arrive(data)
        if fault is NetworkFault.HALF_CLOSE:
            self.close()
        elif fault is NetworkFault.CUT_AFTER:
            self._after(lambda: self._connection.cut())

    def close(self) -> None:
        """Send no more; the other end hears so behind what is under way."""
        if not self._is_closed:
            self._is_closed = True
            self._after(self.end)

    def _arrive(self, data: bytes, extra_ns: int = 0) -> None:
        due_ns = self._network.time.passed_ns + self._network.latency_ns() + extra_ns
        self._free_ns = max(self._free_ns, due_ns)
        self._network.time.after(
            self._free_ns - self._network.time.passed_ns, lambda: self._hand_over(data)
        )

    def _after(self, call: Callable[[], None]) -> None:
        wait_ns = max(0, self._free_ns - self._network.time.passed_ns)
        self._network.time.after(wait_ns, lambda: None if self._connection.is_cut else call())

    def _hand_over(self, data: bytes) -> None:
        if not self._connection.is_cut:
            self.deliver(data)


class Connection:
    """One connection between a terminal's line and the switch."""

    def __init__(self, network: Network) -> None:
        """Begin; `to_switch` and `to_terminal` get their ends from whoever owns them."""
        self._network = network
        self.number = network.number()
        self.is_cut = False
        self.to_switch = Direction(network, "request", self)
        self.to_terminal = Direction(network, "reply", self)
        self.terminal_lost: Callable[[], None] = lambda: None

    def cut(self) -> None:
        """Break it: both ends hear it at once, what is under way is gone. Idempotent."""
        if self.is_cut:
            return
        self.is_cut = True
        self.terminal_lost()
        if self._network.peer is not None:
            self._network.peer.ended(self, reset=True)


class SimulatedLine:
    """A terminal's line (`terminal.line.Line`) over the network."""

    def __init__(self, network: Network) -> None:
        """Begin without a connection; `is_down` refuses connections and breaks what stands."""
        self._network = network
        self._connection: Connection | None = None
        self._pending = b""
        self._is_over = self._is_lost = False
        self._waiting: Moment[None] | None = None
        self.is_down = False

    async def connect(self) -> None:
        """Open a connection; raise LineDownError when there is none."""
        await self.close()
        network = self._network
        if self.is_down:
            await network.time.sleep(CONNECT_MS * MS)
            raise _down()
        await network.time.sleep(2 * network.latency_ns())
        connection = Connection(network)
        peer = network.peer
        if self.is_down or peer is None or not peer.opened(connection):
            raise _down()
        self._pending, self._is_over, self._is_lost = b"", False, False
        self._connection = connection
        connection.to_switch.deliver = lambda data: peer.arrived(connection, data)
        connection.to_switch.end = lambda: peer.ended(connection, reset=False)
        connection.to_terminal.deliver = lambda data: self._arrived(connection, data)
        connection.to_terminal.end = lambda: self._ended(connection)
        connection.terminal_lost = lambda: self._lost(connection)

    async def send(self, data: bytes) -> None:
        """Hand bytes over; raise LineDownError when the connection is gone."""
        if self._connection is None or self._is_lost:
            raise _down()
        self._connection.to_switch.send(data)

    async def receive(self, *, timeout_ms: int) -> bytes:
        """Give the next bytes, empty at the end; raise TimeoutError, LineDownError."""
        if self._connection is None:
            raise _down()
        if not (self._pending or self._is_over or self._is_lost):
            if timeout_ms <= 0:
                raise TimeoutError
            self._waiting = Moment()
            try:
                await self._network.time.within(self._waiting, timeout_ms * MS)
            finally:
                self._waiting = None
        if self._pending:
            data, self._pending = self._pending, b""
            return data
        if self._is_lost:
            raise _down()
        return b""

    async def close(self) -> None:
        """Close the connection. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.to_switch.close()

    def lose(self) -> None:
        """Let the connection break without a word, as power or signal go."""
        if self._connection is not None:
            self._connection.cut()

    def _arrived(self, connection: Connection, data: bytes) -> None:
        if connection is self._connection:
            self._pending += data
            self._wake()

    def _ended(self, connection: Connection) -> None:
        if connection is self._connection:
            self._is_over = True
            self._wake()

    def _lost(self, connection: Connection) -> None:
        if connection is self._connection:
            self._is_lost = True
            self._wake()

    def _wake(self) -> None:
        if self._waiting is not None:
            self._waiting.give(None)


def _down() -> LineDownError:
    return LineDownError("simulated: no connection.", fix="Wait.")


def _pieces(data: bytes, rng: Random) -> list[bytes]:
    cuts = sorted(rng.randrange(1, max(2, len(data))) for _ in range(rng.randint(1, 3)))
    ends = [0, *cuts, len(data)]
    return [data[a:b] for a, b in pairwise(ends) if a < b]


def _corrupted(data: bytes, rng: Random) -> bytes:
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]
