"""The switch node of the simulation: real sessions, pump, core, state file and ledger; it dies.

Durable state that is not money is the real SQLite file. A crash ends the process between two
transactions or inside one: what was not committed is gone, as SQLite promises; that promise itself
is not simulated. The ledger is the pure engine on the simulated disk, which loses and tears.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from ledger.errors import LedgerError
from ledger.native import NativeLedger
from ledger.pure import PureLedger
from lumbung.testing.virtual_time import VirtualTime, WallClock
from programme.registry import Registry
from protocols.errors import LumbungError
from switch.assembly import Node, assemble
from switch.changes import Change
from switch.config import SwitchConfig
from switch.metrics import NodeMetrics
from switch.pump import Pump
from switch.rules import RuleBook
from switch.session import Arrival, Departure, Session
from switch.state import StateError, StateFile
from tests.sim_system.system_city import Keys, open_city_ledger
from tests.sim_system.system_network import MS, SECOND, Connection
from tests.test_ledger.ledger_disk import PowerCut, SimulatedDisk

#: How long the node looks away between two looks at deadlines and the calendar.
SWEEP_NS = 20 * SECOND
#: What the writer takes for one piece of work, and until the loop hears of it.
WRITE_MS, HEAR_MS = (1, 40), (0, 3)
DOWN_MS = (300, 45_000)


class Killed(Exception):  # noqa: N818 - it is an event, not an error of the program.
    """The process ends here; what it wrote is in the system's cache and survives."""


@dataclass(slots=True)
class Peer:
    """One connection as the node has it."""

    connection: Connection
    session: Session
    is_done: bool = False


class FaultyState:
    """The state file of one life; `plan` says what its next commit does."""

    def __init__(self, file: StateFile) -> None:
        """Stand before an open file."""
        self.file = file
        self.plan = ""

    def commit(self, changes: Sequence[Change]) -> None:
        """Commit, or die before or behind it, or fail."""
        plan, self.plan = self.plan, ""
        if plan == "error":
            raise StateError("simulated: the disk is full.", fix="Make room.")
        if plan == "before":
            raise Killed
        self.file.commit(changes)
        if plan == "after":
            raise Killed

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def __getattr__(self, name: str) -> Any:
        """Give what else a state file has."""
        return getattr(self.file, name)


class SimulatedNode:
    """One switch with all its lives. It is the network's peer and its own worker."""

    def __init__(
        self,
        time: VirtualTime,
        rng: Random,
        clock: WallClock,
        registry: Registry,
        keys: Keys,
        disk: SimulatedDisk,
        state_path: Path,
        config: SwitchConfig,
        rules: RuleBook,
        seen: Counter[str],
        engines: Sequence[str],
    ) -> None:
        """Take the parts; `start` begins the first life."""
        self.time, self.rng, self.clock, self.seen = time, rng, clock, seen
        self.registry, self.keys, self.disk = registry, keys, disk
        self.config, self.rules, self._state_path = config, rules, state_path
        #: Which engine opens the ledger in each life: one, or several in turn.
        self.engines = engines
        self.lives = 0
        self.is_up = False
        self.ledger: PureLedger | NativeLedger | None = None
        self.pump: Pump | None = None
        self.state: FaultyState | None = None
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._peers: dict[int, Peer] = {}
        self._arrivals: list[Arrival] = []
        self._is_scheduled = False
        #: See each message as it comes in, and each answer as it leaves.
        self.watch_request: Callable[[Arrival], None] = lambda _arrival: None
        self.watch_answer: Callable[[Departure], None] = lambda _departure: None
        #: How often each decision was made, over all lives.
        self.counters: Counter[str] = Counter()

    @property
    def node(self) -> Node:
        """Give the living node."""
        assert self.pump is not None, "the node is up"
        return self.pump.node

    def start(self) -> None:
        """Begin a life: open, recover, listen. Dying on the way begins another one later."""
        self.lives += 1
        try:
            self.ledger = open_city_ledger(
                self.disk,
                self.clock,
                self.rng.randbytes,
                self.engines[self.lives % len(self.engines)],
            )
            node = assemble(
                self.config, self.registry, self.keys, self.ledger, self._state_path,
                self.clock, self.rng.randbytes,
            )  # fmt: skip
        except (PowerCut, LedgerError) as error:
            if not self.disk.off and not isinstance(error.__cause__, OSError):
                raise
            self.seen["switch: died in recovery"] += 1
            self.die(power=True)
            return
        self.state = FaultyState(node.state)
        node = replace(node, state=self.state)  # type: ignore[arg-type]  # it has all of its calls
        metrics = NodeMetrics(self.clock.monotonic_ns)
        self.pump = Pump(node, self.ledger, self.clock, self, self._dispatch, metrics)
        self.is_up = True
        node.core.use_rules(self.rules)
        self.pump.turn([])
        life = self.lives
        self.time.after(SWEEP_NS, lambda: self._sweep(life))

    def die(self, *, power: bool) -> None:
        """End this life: of the process, or of the machine, whose unsynced writes are lost."""
        self.seen["switch: machine died" if power else "switch: process killed"] += 1
        if self.pump is not None:
            self.counters += self.pump.node.core.counters
        self.is_up, self.pump, self._is_scheduled = False, None, False
        if self.state is not None:
            self.state.close()
            self.state = None
        self.ledger = None
        if power:
            self.disk = self.disk.after_cut()
        self.disk.locked, self.disk.fuse = False, -1
        peers, self._peers, self._arrivals = list(self._peers.values()), {}, []
        for peer in peers:
            peer.connection.cut()
        life = self.lives
        self.time.after(
            self.rng.randrange(*DOWN_MS) * MS, lambda: self.start() if life == self.lives else None
        )

    def use_rules(self, rules: RuleBook) -> None:
        """Put rules in force, for this life and the next ones."""
        self.rules = rules
        if self.is_up:
            self.node.core.use_rules(rules)

    # The worker of the pump

    def submit(self, work: Callable[[], Any], done: Callable[[Any, Any], None]) -> None:
        """Do the work a little later, and tell a little later still; the node may die between."""
        life = self.lives
        self.time.after(self.rng.randrange(*WRITE_MS) * MS, lambda: self._work(life, work, done))

    def wake(self, call: Callable[[], None]) -> None:
        """Call at this instant."""
        life = self.lives
        self.time.after(0, lambda: call() if self._is(life) else None)

    def _work(self, life: int, work: Callable[[], Any], done: Callable[[Any, Any], None]) -> None:
        if not self._is(life):
            return
        result, error = None, None
        try:
            result = work()
        except (PowerCut, Killed) as death:
            self.die(power=isinstance(death, PowerCut))
            return
        except (LedgerError, LumbungError) as failed:
            if self.disk.off:  # The native engine tells of the cut as of any failed write.
                self.die(power=True)
                return
            self.seen[f"switch: {type(failed).__name__}"] += 1
            error = failed
        self.time.after(
            self.rng.randrange(*HEAR_MS) * MS,
            lambda: done(result, error) if self._is(life) else None,
        )

    def _is(self, life: int) -> bool:
        return self.is_up and life == self.lives

    # The network's peer

    def opened(self, connection: Connection) -> bool:
        """Take a connection while the node lives."""
        if not self.is_up:
            return False
        listen = self.config.listen
        session = Session(
            connection.number, listen.link, listen.frames, self.config.connections,
            self.time.passed_ns,
        )  # fmt: skip
        self._peers[connection.number] = Peer(connection, session)
        return True

    def arrived(self, connection: Connection, data: bytes) -> None:
        """Take bytes; whole messages are decided together a little later."""
        peer = self._peers.get(connection.number)
        if peer is None:
            return
        received = peer.session.receive_data(data, self.time.passed_ns)
        self._arrivals += received.arrivals
        if received.cut_reason:
            self.seen["switch: cut a stream without frames"] += 1
            self._close(peer)
        if received.arrivals and not self._is_scheduled:
            self._is_scheduled = True
            life = self.lives
            # Messages of some milliseconds are one turn, as on a busy machine.
            self.time.after(self.rng.choice((0, 1, 30)) * MS, lambda: self._turn(life))

    def ended(self, connection: Connection, *, reset: bool) -> None:
        """Forget a broken connection; one whose peer is done still gets its answers."""
        peer = self._peers.get(connection.number)
        if peer is None:
            return
        peer.is_done = True
        if reset:
            del self._peers[connection.number]
        elif not self._is_waited_for(peer):
            self._close(peer)

    def _turn(self, life: int) -> None:
        if self._is(life) and self.pump is not None:
            self._is_scheduled = False
            arrivals, self._arrivals = self._arrivals, []
            self.seen["switch: turns of several"] += len(arrivals) > 1
            for arrival in arrivals:
                self.watch_request(arrival)
            self.pump.turn(arrivals)

    def _sweep(self, life: int) -> None:
        if not self._is(life) or self.pump is None:
            return
        for peer in list(self._peers.values()):
            if peer.session.overdue_reason(self.time.passed_ns):
                self.seen["switch: cut an overdue connection"] += 1
                self._close(peer)
        self.pump.turn([])
        self.time.after(SWEEP_NS, lambda: self._sweep(life))

    def _dispatch(self, departures: list[Departure]) -> None:
        for departure in departures:
            self.watch_answer(departure)
            peer = self._peers.get(departure.connection)
            if peer is None:
                self.seen["switch: answer without a peer"] += 1
            elif departure.payload is None:
                self._close(peer)
            else:
                peer.connection.to_terminal.send(
                    peer.session.respond(departure.tpdu, departure.payload)
                )
                if peer.is_done and not self._is_waited_for(peer):
                    self._close(peer)
        core = self.node.core if self.pump is not None else None
        if core is None:
            return
        self.events += core.events
        core.events.clear()
        if core.unfit_reason:
            self.seen["switch: became unfit"] += 1
            life = self.lives
            # Whoever watches it starts it again.
            self.time.after(
                self.rng.randrange(*DOWN_MS) * MS,
                lambda: self.die(power=False) if self._is(life) else None,
            )

    def _is_waited_for(self, peer: Peer) -> bool:
        number = peer.connection.number
        waits = any(arrival.connection == number for arrival in self._arrivals)
        return waits or self.node.core.waiting_of(number) > 0

    def _close(self, peer: Peer) -> None:
        self._peers.pop(peer.connection.number, None)
        peer.connection.to_terminal.close()
