"""A counter of the simulation: one real terminal on virtual time, its operator, and their bad days.

The operator's day is a coroutine; each step of it may end in a power cut: at any write, message,
card command and line of print, or at any instant of waiting.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cardsim.channel import InProcessChannel
from lumbung.story.counter import transfer_id_of
from lumbung.testing.terminals import Mains, PowerCutError, open_terminal
from lumbung.testing.virtual_time import Task, WallClock
from terminal.attended import AttendedTerminal
from terminal.journal.records import Kind
from terminal.journal.transactions import Status, Transaction
from terminal.printing.desk import PrintDesk
from terminal.printing.printer import Printer
from terminal.printing.queue import SlipQueue
from terminal.purchase.originals import newest_slip
from terminal.purchase.outage import OutagePolicy
from terminal.purchase.table import FlowState
from terminal.results import SaleResult
from tests.sim_system.system_city import START_NS, merchant_id, terminal_id
from tests.sim_system.system_holder import Holder
from tests.sim_system.system_network import MS, SECOND, SimulatedLine
from tests.sim_system.system_operator import Operator
from tests.sim_system.system_printer import SimulatedPrinter

if TYPE_CHECKING:
    from tests.sim_system.system_simulation import Simulation

TIMEOUT_MS = 10_000
THINK_MS = (200, 90_000)
DOWN_MS = (500, 120_000)
DISK_MS = (1, 30)
#: Share of the slips that are printed with their QR.
QR_SHARE = 0.1
#: Tries of a terminal to come to its end on a good day.
CLOSING_TRIES = 40
MONEY = frozenset({Kind.PURCHASE, Kind.VOUCHER, Kind.VOID, Kind.REFUND})


class SimulatedDisk:
    """A terminal's disk: a write takes some milliseconds, then it is done whole.

    With a `name` each write is a step of the power before it and after it.
    """

    def __init__(self, counter: "Counter", name: str = "") -> None:
        """Take the counter for its time, chance and power."""
        self._counter = counter
        self._name = name

    async def write(self, write: Callable[[], None]) -> None:
        """Let the disk's time pass, then write."""
        simulation = self._counter.simulation
        await simulation.time.sleep(simulation.rng.randrange(*DISK_MS) * MS)
        if self._name:
            self._counter.mains.step(f"{self._name}: before")
        write()
        if self._name:
            self._counter.mains.step(f"{self._name}: after")

    def write_at_once(self, write: Callable[[], None]) -> None:
        """Write."""
        write()

    def stop(self) -> None:
        """Do nothing: there is no thread."""


class CountedMains(Mains):
    """Mains that know how long the journal was before the write under way."""

    def __init__(self, journal: Path) -> None:
        """Switch on."""
        super().__init__()
        self._journal = journal
        self.length_before = 0

    def step(self, name: str) -> None:
        """Count a step."""
        if name == "journal: before" and self._journal.exists():
            self.length_before = self._journal.stat().st_size
        super().step(name)


class Counter:
    """One shop's terminal with all its lives."""

    def __init__(self, simulation: "Simulation", place: int, folder: Path) -> None:
        """Set the terminal up and switch it on."""
        self.simulation = simulation
        self.place, self.folder = place, folder / f"terminal-{place}"
        self.folder.mkdir()
        self.clock = WallClock(simulation.time, START_NS)
        self.line = SimulatedLine(simulation.network)
        self.lives = 0
        self.holder: Holder | None = None
        self.slot: InProcessChannel | None = None
        self.printer = SimulatedPrinter(self)
        self.desk: PrintDesk | None = None
        self.is_done = False
        self.terminal: AttendedTerminal | None = None
        self.mains = CountedMains(self.folder / "journal")
        self.task: Task | None = None
        self.operator = Operator(self)

    @property
    def terminal_id(self) -> str:
        """Give DE41."""
        return terminal_id(self.place)

    def begin(self) -> None:
        """Begin the operator's day."""
        self.task = self.simulation.time.start(self._day())

    def cut_power(self) -> None:
        """Let the power go at this instant, whatever the terminal waits for."""
        if self.task is None or self.terminal is None or self.simulation.is_closing:
            return
        self.simulation.seen["terminal: power cut while it waits"] += 1
        self.mains.cut_at = max(1, len(self.mains.steps))
        self.mains.steps.append("waiting")
        self.task.interrupt(PowerCutError("power cut while it waits"))

    def id_of(self, transaction: Transaction) -> int:
        """Give the ledger id of a message."""
        return transfer_id_of(self.terminal_id, transaction)

    # The day

    async def _day(self) -> None:
        simulation = self.simulation
        while not simulation.is_closing:
            try:
                if self.terminal is None:
                    await self._come_back()
                await simulation.time.sleep(simulation.rng.randrange(*THINK_MS) * MS)
                if not simulation.is_closing:
                    await self.operator.one_thing()
            except PowerCutError:
                self._go_dark()
        await self._close_the_day()
        self.is_done = True

    async def _come_back(self) -> None:
        rng = self.simulation.rng
        await self.simulation.time.sleep(rng.randrange(*DOWN_MS) * MS)
        self.lives += 1
        self.mains = CountedMains(self.folder / "journal")
        self.plan_cut(0.05)
        self.terminal = open_terminal(
            self.folder,
            self.simulation.keys[f"tmk/{self.terminal_id}"],
            clock=self.clock,
            random_bytes=rng.randbytes,
            line=self.line,
            mains=self.mains,
            disk=SimulatedDisk(self),
            terminal_id=self.terminal_id,
            merchant_id=merchant_id(self.place),
            timeout_ms=TIMEOUT_MS,
            persistent=rng.random() < 0.5,
            outage=OutagePolicy(enabled=True),
            same_sale_window_ns=60 * SECOND,
            cut_off_minute=0 if self.simulation.settles_by_itself else -1,
        )
        await self._open_desk(self.terminal)

    async def _open_desk(self, terminal: AttendedTerminal) -> None:
        """Print first what the power cut left."""
        self.desk = PrintDesk(
            SlipQueue.open(self.folder / "slips", newest_slip(terminal.journal)),
            Printer(self.printer),
            terminal_id=self.terminal_id,
            disk=SimulatedDisk(self, "slips"),
        )
        await self.desk.catch_up(terminal.newest_result(), terminal.unfinished())

    async def print_slips(self, result: SaleResult) -> None:
        """Print a result's slips; most without their QR, which takes the simulation long."""
        assert self.desk is not None, "the terminal is up"
        if self.simulation.rng.random() > QR_SHARE:
            result = replace(result, slip_code="")
        report = await self.desk.take(result)
        if report.trouble is None:
            report = await self.desk.follow_up(self.up.result_now)
        if report.trouble is not None:
            self.simulation.seen[f"printer: told {report.trouble.name.lower()}"] += 1

    def _go_dark(self) -> None:
        """Let everything go that needs power; what the disk had not finished may be torn."""
        rng, seen = self.simulation.rng, self.simulation.seen
        last = self.mains.steps[self.mains.cut_at - 1] if self.mains.cut_at else "waiting"
        seen[f"terminal: power cut at {last.split('#')[0]}"] += 1
        terminal, self.terminal = self.terminal, None
        if terminal is not None:
            terminal.release()
        self.desk = None
        if rng.random() < 0.7:
            self.printer.lose_power()
        self.line.lose()
        if self.slot is not None:
            self.slot.card.power_off()
        self.give_card_back()
        if last == "journal: after" and rng.random() < 0.5:
            path = self.folder / "journal"
            whole = path.stat().st_size
            torn = rng.randrange(self.mains.length_before, whole + 1)
            seen["terminal: journal torn"] += torn < whole
            with path.open("r+b") as file:
                file.truncate(torn)

    def plan_cut(self, chance: float) -> None:
        """Let the power go within the next steps, sometimes."""
        rng = self.simulation.rng
        if rng.random() < chance * self.simulation.power_cuts:
            self.mains.cut_at = len(self.mains.steps) + rng.randint(1, rng.choice((60, 250)))

    @property
    def up(self) -> AttendedTerminal:
        """Give the terminal that has power."""
        assert self.terminal is not None, "the terminal is up"
        return self.terminal

    def give_card_back(self) -> None:
        """Let the holder have the card back, whose counter never went back."""
        who, self.holder, self.slot = self.holder, None, None
        if who is None:
            return
        who.is_away = False
        now = who.image.applications[0].state.atc
        assert now >= who.atc, "a card's counter never goes back"
        who.atc = now

    # The end

    async def _close_the_day(self) -> None:
        """Come to an end as on a good day: line up, everything delivered, the batch settled."""
        simulation = self.simulation
        for _ in range(CLOSING_TRIES):
            try:
                if await self._is_closed():
                    return
            except PowerCutError:
                self._go_dark()
            await simulation.time.sleep(20 * SECOND)
        raise AssertionError(f"{self.terminal_id} does not come to its end: {self._why()}")

    async def _is_closed(self) -> bool:
        if self.terminal is None:
            await self._come_back()
        terminal = self.up
        self.mains.cut_at = 0
        if terminal.flow.state is not FlowState.MENU:
            await terminal.log_on()
            return False
        if await terminal.settle_outstanding():
            return False
        assert self.desk is not None, "the terminal is up"
        self.printer.mend()
        result = await terminal.settle()
        if (await self.desk.follow_up(terminal.result_now)).waiting:
            return False
        return result.outcome in ("00", "12") and terminal.journal.pending_batch() is None

    def _why(self) -> str:
        if self.terminal is None:
            return "it is dark"
        journal = self.terminal.journal
        open_ones = [
            f"{t.intent.kind.value} {t.intent.stan} {t.status.value}"
            for t in journal.transactions.values()
            if t.owed or t.status in (Status.QUEUED, Status.OPEN, Status.APPROVED)
        ]
        return f"{self.terminal.flow.state}, {open_ones}, {journal.pending_batch()}"
