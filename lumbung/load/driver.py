"""Send prepared messages over TCP by a schedule and take the time.

Knows no message: it gets frames, and a function that says whose answer a payload is. What came back
is kept raw and looked at after the run, so that the client costs the host little.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from lumbung.load.limits import BURST_MAX, GRACE_SECONDS
from lumbung.load.schedule import LoadError
from protocols.framing import EDC_FRAMES, Framer, FrameSpec, FramingError

#: Gives what an answer and its request have in common, None for what is no answer.
ReadKey = Callable[[bytes], Hashable]


@dataclass(frozen=True, slots=True)
class Prepared:
    """One message, ready to be sent: its frame, and the key by which its answer is known."""

    frame: bytes = field(repr=False)
    key: Hashable


@dataclass(slots=True)
class Tally:
    """What happened to each message, by its place; times are nanoseconds of one clock.

    0 stands for never: not sent, not answered.
    """

    sent_ns: list[int]
    answered_ns: list[int]
    answers: list[bytes] = field(repr=False)
    begin_ns: int = 0
    lost_connections: int = 0
    strangers: int = 0

    @classmethod
    def of(cls, count: int) -> "Tally":
        """Give an empty tally for so many messages."""
        return cls([0] * count, [0] * count, [b""] * count)

    @property
    def sent(self) -> int:
        """Give how many were sent."""
        return sum(1 for at in self.sent_ns if at)

    @property
    def answered(self) -> int:
        """Give how many were answered."""
        return sum(1 for at in self.answered_ns if at)

    @property
    def seconds(self) -> float:
        """Give the time from the beginning to the last answer."""
        return max(0, max(self.answered_ns, default=0) - self.begin_ns) / 1e9


class _Connection(asyncio.Protocol):
    """One connection: sends by place, finds the place of each answer."""

    def __init__(self, driver: "Driver", frames: FrameSpec) -> None:
        self._driver = driver
        self._framer = Framer(frames)
        self._waiting: dict[Hashable, deque[int]] = {}
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transport has every method of asyncio.Transport and is no subclass of it.
        self._transport = transport  # type: ignore[assignment]

    def send(self, place: int) -> None:
        """Send the message of a place, unless the connection is gone."""
        if self._transport is None or self._transport.is_closing():
            return
        prepared, tally = self._driver.messages[place], self._driver.tally
        self._waiting.setdefault(prepared.key, deque()).append(place)
        tally.sent_ns[place] = time.perf_counter_ns()
        self._transport.write(prepared.frame)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter_ns()
        try:
            frames = self._framer.feed(data)
        except FramingError as error:
            frames = error.frames
            self.close()
        for frame in frames:
            if frame.payload:
                self._take(frame.payload, now)

    def _take(self, payload: bytes, now: int) -> None:
        tally = self._driver.tally
        places = self._waiting.get(self._driver.read_key(payload))
        if not places:
            tally.strangers += 1
            return
        place = places.popleft()
        tally.answered_ns[place], tally.answers[place] = now, payload
        self._driver.answered()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._driver.lost()

    def close(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()


class Driver:
    """Sends messages to one host. Use as an async context manager, for one run."""

    def __init__(
        self,
        host: str,
        port: int,
        messages: Sequence[Prepared],
        read_key: ReadKey,
        *,
        connections: int,
        frames: FrameSpec = EDC_FRAMES,
    ) -> None:
        """Take everything that is needed; nothing is opened yet."""
        self.messages, self.read_key = messages, read_key
        self.tally = Tally.of(len(messages))
        self._host, self._port, self._count, self._frames = host, port, connections, frames
        self._connections: list[_Connection] = []
        self._left = len(messages)
        self._done = asyncio.Event()
        self._is_closing = False

    async def __aenter__(self) -> "Driver":
        loop = asyncio.get_running_loop()
        try:
            for _ in range(self._count):
                made = await loop.create_connection(
                    lambda: _Connection(self, self._frames), self._host, self._port
                )
                self._connections.append(made[1])
        except OSError as error:
            await self.__aexit__()
            raise LoadError(
                f"{self._host}:{self._port}: cannot connect ({error.strerror or error}).",
                fix="Is the host running? lumbung switch run --data DIRECTORY --port 8583",
            ) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_closing = True
        for connection in self._connections:
            connection.close()
        await asyncio.sleep(0)

    async def run_open(self, starts_ns: Sequence[int]) -> Tally:
        """Send each message at its start, whatever comes back; wait a while for late answers."""
        assert len(starts_ns) == len(self.messages)
        count, connections, place = len(starts_ns), self._connections, 0
        begin = self.tally.begin_ns = time.perf_counter_ns()
        while place < count:
            now = time.perf_counter_ns() - begin
            burst = 0
            while place < count and starts_ns[place] <= now and burst < BURST_MAX:
                connections[place % len(connections)].send(place)
                place, burst = place + 1, burst + 1
            if place < count:
                await asyncio.sleep(max(0.0, (starts_ns[place] - now) / 1e9))
        await self._settle()
        return self.tally

    def answered(self) -> None:
        """Take note of an answer."""
        self._left -= 1
        if self._left <= 0:
            self._done.set()

    def lost(self) -> None:
        """Take note of a connection that the host ended."""
        if not self._is_closing:
            self.tally.lost_connections += 1

    async def _settle(self) -> None:
        """Wait for the answers that are due."""
        if self._left <= 0 or self.tally.lost_connections >= len(self._connections):
            return
        self._done.clear()
        try:
            async with asyncio.timeout(GRACE_SECONDS):
                await self._done.wait()
        except TimeoutError:
            return
