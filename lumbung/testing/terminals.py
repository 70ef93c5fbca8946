"""A whole terminal for tests: on any line, worked by a script, cut off at any step.

`open_terminal` gives one that enrols with a key of yours. `AnsweringLine` is a host that is a
function; `ScriptedOperator` types what a list says; `Mains` counts the terminal's steps (journal
and key writes, messages, card commands) and goes out at the one you name.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from protocols.clock import Clock, RandomBytes
from protocols.values import SecretBytes
from terminal.attended import AttendedTerminal, Face, Presented
from terminal.card_channel import CardChannel, CardEvent
from terminal.configuration import TerminalConfig
from terminal.disk import Disk
from terminal.line import Line, LineDownError
from terminal.purchase.flow import OperatorFlow

_NS_PER_MS = 1_000_000
#: Key that protects the files of a terminal under test: no secret, its directory is thrown away.
_STORAGE_KEY = SecretBytes(bytes(range(32)))


class PowerCutError(Exception):
    """The terminal goes dark here; what it does afterwards never happens."""


@dataclass(slots=True)
class VirtualClock:
    """Both clocks of a test, moved by hand: deadlines pass when the test says so."""

    utc_ns: int = 1_767_575_647 * 10**9
    passed_ns: int = 0

    def now_ns(self) -> int:
        """Give the wall time in nanoseconds UTC."""
        return self.utc_ns

    def monotonic_ns(self) -> int:
        """Give the nanoseconds that have passed."""
        return self.passed_ns

    def pass_ms(self, milliseconds: int) -> None:
        """Let time pass on both clocks.

        >>> clock = VirtualClock(); clock.pass_ms(5); clock.monotonic_ns()
        5000000
        """
        self.utc_ns += milliseconds * _NS_PER_MS
        self.passed_ns += milliseconds * _NS_PER_MS


class Mains:
    """The power of one terminal: steps are counted, and it goes out at step `cut_at`, 0 never.

    After the cut every step fails, so that nothing of the terminal's own tidying up counts.
    """

    def __init__(self, cut_at: int = 0) -> None:
        """Switch on."""
        self.cut_at = cut_at
        self.steps: list[str] = []
        self._cut_on = ""

    def cut_on(self, name: str) -> None:
        """Go out at the next step of this name, such as `answer: arrived` or `journal: after`."""
        self._cut_on = name

    def step(self, name: str) -> None:
        """Count a step; raise PowerCutError at the cut and ever after."""
        self.steps.append(name)
        if name == self._cut_on:
            self.cut_at, self._cut_on = len(self.steps), ""
        if self.cut_at and len(self.steps) >= self.cut_at:
            raise PowerCutError(f"power cut at step {self.cut_at}: {self.steps[self.cut_at - 1]}")

    def line(self, line: Line) -> Line:
        """Give the line with a step before and after each message."""
        return _PoweredLine(line, self)

    def slot(self, slot: CardChannel) -> CardChannel:
        """Give the slot with a step before and after each command."""
        return _PoweredSlot(slot, self)


class _PoweredLine:
    def __init__(self, line: Line, mains: Mains) -> None:
        self._line = line
        self._mains = mains

    async def connect(self) -> None:
        await self._line.connect()

    async def send(self, data: bytes) -> None:
        self._mains.step("message: before")
        await self._line.send(data)
        self._mains.step("message: after")

    async def receive(self, *, timeout_ms: int) -> bytes:
        data = await self._line.receive(timeout_ms=timeout_ms)
        self._mains.step("answer: arrived")
        return data

    async def close(self) -> None:
        await self._line.close()


class _PoweredSlot:
    def __init__(self, slot: CardChannel, mains: Mains) -> None:
        self._slot = slot
        self._mains = mains

    async def connect(self) -> bytes:
        return await self._slot.connect()

    async def transmit(self, command: bytes, *, timeout_ms: int) -> bytes:
        self._mains.step("command: before")
        answer = await self._slot.transmit(command, timeout_ms=timeout_ms)
        self._mains.step("command: after")
        return answer

    async def reset(self) -> bytes:
        return await self._slot.reset()

    async def disconnect(self) -> None:
        await self._slot.disconnect()

    def events(self) -> AsyncIterator[CardEvent]:
        return self._slot.events()


class Moving(Protocol):
    """A clock that a test moves."""

    def pass_ms(self, milliseconds: int) -> None:
        """Let time pass."""


class AnsweringLine:
    """A line whose host is a function: request frame in, answer frame out, empty for silence.

    Silence lets the deadline pass on the clock at once. `is_down` refuses connections; `lose`
    answers are given and thrown away.
    """

    def __init__(self, answer: Callable[[bytes], bytes], clock: Moving) -> None:
        """Take the host and the clock."""
        self._answer = answer
        self._clock = clock
        self._pending = b""
        self.is_down = False
        self.lose = 0

    async def connect(self) -> None:
        """Connect, unless the line is down."""
        if self.is_down:
            raise LineDownError("the line is cut.", fix="Mend it.")
        self._pending = b""

    async def send(self, data: bytes) -> None:
        """Let the host answer."""
        answer = self._answer(data)
        if self.lose:
            self.lose -= 1
            answer = b""
        self._pending += answer

    async def receive(self, *, timeout_ms: int) -> bytes:
        """Give the answer; without one let the time pass."""
        data, self._pending = self._pending, b""
        if not data:
            self._clock.pass_ms(timeout_ms)
            raise TimeoutError
        return data

    async def close(self) -> None:
        """Close."""
        self._pending = b""


class ScriptedOperator(Face):
    """Types what a list says, `None` to cancel, and presents one card; keeps what it saw."""

    def __init__(self, typed: Iterable[str | None], card: Presented | None = None) -> None:
        """Take the lines in their order, PINs among them."""
        self._typed = iter(typed)
        self._card = card
        self.screens: list[str] = []

    def show(self, flow: OperatorFlow) -> None:
        """Remember the screen."""
        if not self.screens or self.screens[-1] != flow.screen:
            self.screens.append(flow.screen)

    async def ask(self, flow: OperatorFlow, *, secret: bool = False) -> str | None:
        """Type the next line; cancel when there is none."""
        self.show(flow)
        return next(self._typed, None)

    async def card(self, flow: OperatorFlow) -> Presented | None:
        """Present the card."""
        self.show(flow)
        return self._card


def open_terminal(
    directory: Path,
    tmk: SecretBytes,
    *,
    clock: Clock,
    random_bytes: RandomBytes,
    line: Line | None = None,
    mains: Mains | None = None,
    disk: Disk | None = None,
    **settings: Any,
) -> AttendedTerminal:
    """Give a terminal on a directory, with settings of `TerminalConfig` where they differ.

    `line` replaces TCP to `host` and `port`; with `mains` each durable write is a step, and so is
    each message. `disk` replaces the thread that writes. Refunds need no supervisor unless
    `refund_needs_supervisor` says so.
    """
    values: dict[str, Any] = {
        "terminal_id": "12400017",
        "merchant_id": "EWSMR0000000017",
        "host": "127.0.0.1",
        "port": 8583,
        "data_directory": directory,
        "storage_key": _STORAGE_KEY,
        "tmk": tmk,
        "refund_needs_supervisor": False,
    }
    config = TerminalConfig(**(values | settings))
    return AttendedTerminal(
        config,
        clock=clock,
        random_bytes=random_bytes,
        line=mains.line(line) if mains is not None and line is not None else line,
        mark=mains.step if mains is not None else None,
        disk=disk,
    )


def types(*entries: str) -> Callable[[], Awaitable[str]]:
    """Give a PIN pad on which these are typed, one a question, then nothing."""
    left = iter(entries)

    async def entry() -> str:
        return next(left, "")

    return entry
