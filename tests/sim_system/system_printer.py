"""A counter's receipt printer: the virtual one on virtual time, and the people who tear off paper.

It stands in the EDC's own case: each line of print is a step at which the power may go. What it
says comes from `lumbung.printer`, what it is told from `terminal.printing`.
"""

from typing import TYPE_CHECKING

from lumbung.printer.device import VirtualPrinter
from lumbung.printer.faults import Happening
from lumbung.printer.paper import WIDTH_DOTS
from lumbung.testing.virtual_time import Moment
from terminal.line import LineDownError
from terminal.paper import NARROW
from tests.sim_system.system_network import MS, SECOND

if TYPE_CHECKING:
    from tests.sim_system.system_counter import Counter

#: A line takes about 60 ms on a small printer; a page's bytes are read faster than it prints.
_LINE_MS = 60
#: What may happen to a printer, and what mends it.
_MENDED_BY = {
    Happening.PAPER_LOW: Happening.PAPER,
    Happening.PAPER_OUT: Happening.PAPER,
    Happening.COVER_OPEN: Happening.COVER_CLOSED,
    Happening.MUTE: Happening.SPEAKS,
    Happening.UNPLUG: None,
}
_BROKEN_SECONDS = (2, 90)
#: How often it breaks in the middle of a slip, by lines, on a day of many faults.
_BREAKS_AT_A_LINE = 0.004


class SimulatedPrinter:
    """The printer as `terminal.line.Line`. `pieces` is the paper that people hold, in its order."""

    def __init__(self, counter: "Counter") -> None:
        """Switch on, with a new roll."""
        self._counter = counter
        self.device = VirtualPrinter(WIDTH_DOTS[NARROW])
        self.pieces: list[str] = []
        self._pending = b""
        self._waiting: Moment[None] | None = None

    async def connect(self) -> None:
        """Open the line; raise LineDownError while its cable is out."""
        await self._counter.simulation.time.sleep(MS)
        self._check()

    async def send(self, data: bytes) -> None:
        """Print line by line, each of them a step of the terminal's power."""
        for line in data.splitlines(keepends=True):
            self._counter.mains.step("print: before")
            await self._counter.simulation.time.sleep(_LINE_MS * MS)
            if self._counter.simulation.rng.random() < self._breaks_at_a_line:
                self.break_down()
            self._check()
            self._say(self.device.feed(line))
            self._take_paper()
            self._counter.mains.step("print: after")

    async def receive(self, *, timeout_ms: int) -> bytes:
        """Give what the printer says; raise TimeoutError, LineDownError."""
        self._check()
        if not self._pending:
            self._waiting = Moment()
            try:
                await self._counter.simulation.time.within(self._waiting, timeout_ms * MS)
            finally:
                self._waiting = None
            self._check()
        data, self._pending = self._pending, b""
        return data

    async def close(self) -> None:
        """Let the line go."""
        self._pending = b""

    @property
    def _breaks_at_a_line(self) -> float:
        return self._counter.simulation.printer_faults * _BREAKS_AT_A_LINE

    def lose_power(self) -> None:
        """Go dark with the terminal: the buffer is lost, what hangs out is torn off."""
        if not self.device.unplugged:
            self.device.happen(Happening.UNPLUG)
            self.device.plug_in()
        self._pending = b""
        self._tear_off()

    def break_down(self) -> None:
        """Let something happen to it, and be mended a while later."""
        simulation = self._counter.simulation
        if simulation.is_closing or self.device.unplugged:
            return
        what = simulation.rng.choice(list(_MENDED_BY))
        simulation.seen[f"printer: {what.value}"] += 1
        self._say(self.device.happen(what))
        self._wake()
        after_ns = simulation.rng.randrange(*_BROKEN_SECONDS) * SECOND
        simulation.time.after(after_ns, lambda: self._mend(_MENDED_BY[what]))

    def mend(self) -> None:
        """Mend whatever is broken, as at the end of a day."""
        for cure in (None, Happening.PAPER, Happening.COVER_CLOSED, Happening.SPEAKS):
            self._mend(cure)

    def _mend(self, cure: Happening | None) -> None:
        if cure is None:
            if self.device.unplugged:
                self.device.plug_in()
                self._tear_off()
            return
        self._say(self.device.happen(cure))
        self._take_paper()

    def _check(self) -> None:
        if self.device.unplugged:
            raise LineDownError("simulated: the printer's cable is out.", fix="Wait.")

    def _say(self, data: bytes) -> None:
        self._pending += data
        if data:
            self._wake()

    def _wake(self) -> None:
        if self._waiting is not None:
            self._waiting.give(None)

    def _take_paper(self) -> None:
        self.pieces += [piece.as_text() for piece in self.device.take_pieces()]

    def _tear_off(self) -> None:
        self._take_paper()
        if self.device.unfinished.marks:
            self.pieces.append(self.device.tear_off().as_text())
