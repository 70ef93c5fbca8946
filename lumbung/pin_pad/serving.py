"""A virtual PIN pad on a serial port, with somebody who types: by a script, or by hand."""

import asyncio
import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lumbung.pin_pad.device import ENTER, VirtualPinPad
from lumbung.pty_port import PtyPort
from protocols.clock import Clock
from protocols.serial_line import LineOutcome, SerialLine
from terminal.pin_pad.messages import PAD_END

_NS_PER_S = 1_000_000_000
#: Answers that wait for the line at once; one request gets one.
_ANSWERS_MAX = 8


@dataclass(frozen=True, slots=True)
class LineFault:
    """What the cable does to one piece of what the pad writes, counted from 1.

    `noise` flips a bit of each byte, `lost` swallows it, `unplug` pulls the cable out instead.
    """

    what: str
    write: int


class PinPadServer:
    """A `VirtualPinPad` behind a serial port: the line's machine, its time, and its cable."""

    def __init__(
        self,
        pad: VirtualPinPad,
        clock: Clock,
        link: Path | None = None,
        faults: Iterable[LineFault] = (),
    ) -> None:
        """Take the pad; `link` names its port."""
        self.pad = pad
        self._clock = clock
        self._port = PtyPort(self._feed, link)
        self._faults = {fault.write: fault.what for fault in faults}
        self._writes = 0
        self._machine: SerialLine | None = None
        self._answers: deque[bytes] = deque(maxlen=_ANSWERS_MAX)
        self._timer: asyncio.TimerHandle | None = None

    def plug_in(self) -> str:
        """Put the cable in; give the port's path."""
        self._machine = SerialLine(PAD_END, self._now())
        return self._port.plug_in()

    def unplug(self) -> None:
        """Pull the cable out, which is also the pad's power. Idempotent."""
        self.pad.switch_off()
        self._answers.clear()
        self._machine = None
        if self._timer is not None:
            self._timer.cancel()
        self._port.pull_out()

    def press(self, keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self._answer(self.pad.press(key))

    def _feed(self, data: bytes) -> None:
        if self._machine is not None:
            self._carry(self._machine.feed(data, self._now()))

    def _tick(self) -> None:
        if self._machine is None:
            return
        self._answer(self.pad.tick(self._now()))
        self._carry(self._machine.tick(self._now()))

    def _carry(self, outcome: LineOutcome) -> None:
        if outcome.write:
            self._write(outcome.write)
        for content in outcome.delivered:
            self._answer(self.pad.take(content, self._now()))
        self._send_next()
        self._set_timer()

    def _answer(self, content: bytes | None) -> None:
        if content is not None:
            self._answers.append(content)
            self._send_next()
            self._set_timer()

    def _send_next(self) -> None:
        machine = self._machine
        if machine is not None and self._answers and not machine.is_busy:
            self._carry(machine.send(self._answers.popleft(), self._now()))

    def _write(self, data: bytes) -> None:
        self._writes += 1
        match self._faults.get(self._writes):
            case "lost":
                return
            case "noise":
                data = bytes(byte ^ 0x10 for byte in data)
            case "unplug":
                asyncio.get_running_loop().call_soon(self.unplug)
                return
        self._port.write(data)

    def _set_timer(self) -> None:
        """Wake up at the next moment that anybody waits for."""
        if self._timer is not None:
            self._timer.cancel()
        if self._machine is None:
            return
        due = [ns for ns in (self._machine.deadline_ns, self.pad.deadline_ns) if ns is not None]
        if due:
            wait_s = max(0, min(due) - self._now()) / _NS_PER_S
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._tick)

    def _now(self) -> int:
        return self._clock.monotonic_ns()


@dataclass(slots=True)
class Typist:
    """Somebody who types on a pad when it asks: the next entry each time, at a seeded pace.

    An entry's keys are digits, ENTER, CANCEL and CLEAR; ENTER is pressed after digits alone.
    """

    server: PinPadServer
    entries: deque[str]
    pace: random.Random
    #: Longest pause between two keys. Real people need half a second.
    pause_s: float = 0.0
    _typing: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.server.pad.on_asked = self.begin

    def begin(self) -> None:
        """Begin to type the next entry; without one nobody types."""
        if self.entries:
            entry = self.entries.popleft()
            keys = entry + ENTER if entry.isdigit() else entry
            self._typing = asyncio.get_running_loop().create_task(self._type(keys))

    async def _type(self, keys: str) -> None:
        for key in keys:
            await asyncio.sleep(self.pace.uniform(0, self.pause_s))
            self.server.press(key)
