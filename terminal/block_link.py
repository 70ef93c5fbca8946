"""One end of a serial line with ENQ, STX, ETX and LRC, over any `Line`: the adapter of the machine.

`protocols.serial_line` decides, this carries its bytes and its time.
"""

import asyncio
from collections import deque

from protocols.clock import Clock
from protocols.limits import SERIAL_QUIET_MS
from protocols.serial_line import LineOutcome, LineSpec, SendResult, SerialLine
from terminal.line import Line, LineDownError

_NS_PER_MS = 1_000_000


class BlockLink:
    """One end, for one task at a time. Opens and closes the line beneath."""

    def __init__(self, line: Line, spec: LineSpec, clock: Clock) -> None:
        """Take the parts; nothing is opened yet."""
        self._line = line
        self._spec = spec
        self._clock = clock
        self._machine: SerialLine | None = None
        self._delivered: deque[bytes] = deque()
        self._results: list[SendResult] = []

    async def open(self) -> None:
        """Open the line and let it be quiet once; raise LineDownError."""
        await self._line.connect()
        self._delivered.clear()
        self._results.clear()
        # The machine believes nothing before the line was quiet for this long.
        await asyncio.sleep(SERIAL_QUIET_MS / 1000)
        self._machine = SerialLine(self._spec, self._now() - SERIAL_QUIET_MS * _NS_PER_MS)

    @property
    def is_open(self) -> bool:
        """Tell whether the line is open."""
        return self._machine is not None

    async def send(self, content: bytes) -> bool:
        """Send a block; give whether the peer took it. Raises LineDownError, FramingError."""
        self._results.clear()
        await self._carry(self._end().send(content, self._now()))
        while not self._results:
            await self._step(None)
        return self._results.pop() is SendResult.SENT

    async def receive(self, *, timeout_ms: int) -> bytes:
        """Give the next block; raise TimeoutError, LineDownError."""
        ends_ns = self._now() + timeout_ms * _NS_PER_MS
        while not self._delivered:
            if self._now() >= ends_ns:
                raise TimeoutError
            await self._step(ends_ns)
        return self._delivered.popleft()

    async def close(self) -> None:
        """Close the line. Idempotent; never raises."""
        self._machine = None
        await self._line.close()

    async def _step(self, ends_ns: int | None) -> None:
        machine = self._end()
        due = [ns for ns in (machine.deadline_ns, ends_ns) if ns is not None]
        assert due, "somebody waits for an end"
        wait_ms = max(1, -(-(min(due) - self._now()) // _NS_PER_MS))
        try:
            data = await self._line.receive(timeout_ms=wait_ms)
        except TimeoutError:
            await self._carry(machine.tick(self._now()))
            return
        if not data:
            raise LineDownError("the other end closed the line.")
        await self._carry(machine.feed(data, self._now()))

    async def _carry(self, outcome: LineOutcome) -> None:
        self._delivered += outcome.delivered
        self._results += outcome.results
        if outcome.write:
            await self._line.send(outcome.write)

    def _end(self) -> SerialLine:
        if self._machine is None:
            raise LineDownError("the line is not open.")
        return self._machine

    def _now(self) -> int:
        return self._clock.monotonic_ns()
