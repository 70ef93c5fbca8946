"""The asyncio adapter: sockets and the log. It decides nothing.

All frames of one loop turn go to the core together; `pump` sends what they change to the worker.
"""

import asyncio
import ssl
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import structlog

from ledger.port import Ledger
from programme.registry_port import RegistryReader
from protocols.clock import Clock, RandomBytes
from protocols.errors import LumbungError
from switch.assembly import Node, assemble, codec_of
from switch.config import ListenConfig, SwitchConfig
from switch.connection import Connection
from switch.dialler import Dialler
from switch.host_link import LinkReport
from switch.job_runner import JobRunner
from switch.jobs import ledger_for_jobs
from switch.key_sets import KeySource
from switch.limits import HANDSHAKE_SECONDS_MAX
from switch.metrics import NodeMetrics
from switch.pump import Pump
from switch.registry_keeper import RegistryKeeper
from switch.rules import load_rules
from switch.session import Arrival, Departure
from switch.tls import server_context
from switch.worker import ExecutorWorker

_log = structlog.get_logger("switch")
#: Seconds between two looks for connections that are overdue.
_SWEEP_SECONDS = 1.0
#: Events that an operator must see; the rest is the course of business.
_LOUD = frozenset({"unfit", "fault", "work-refused", "card-stack", "state-lost"})


class Recorder(Protocol):
    """Where raw messages and decisions are kept; never waits."""

    def request(self, arrival: Arrival) -> None:
        """Keep a message that came in."""

    def answer(self, departure: Departure, link: str) -> None:
        """Keep an answer on its link, or that there is none."""

    def event(self, name: str, fields: dict[str, Any]) -> None:
        """Keep a decision."""

    @property
    def dropped(self) -> int:
        """Give how many records were dropped because too many waited."""

    @property
    def short_hours(self) -> float:
        """Give how many hours are kept where that is less than is wanted, else 0."""

    @property
    def queued(self) -> int:
        """Give how many records wait to be written."""


class SwitchServer:
    """A switch node on its links. Start once, stop once."""

    def __init__(
        self,
        config: SwitchConfig,
        registry: RegistryReader,
        keystore: KeySource,
        ledger: Ledger,
        state_path: Path,
        clock: Clock,
        random_bytes: RandomBytes,
        *,
        recorder: Recorder | None = None,
    ) -> None:
        """Take the parts; nothing is opened before `start`."""
        self.config = config
        self.clock = clock
        self.metrics = NodeMetrics(clock.monotonic_ns)
        self.recorder = recorder
        #: Set when someone asked the node to stop (`drain` on the control channel).
        self.is_stop_wanted = asyncio.Event()
        self._registry = registry
        self._keystore = keystore
        self._ledger = ledger
        self.state_path = state_path
        self._random_bytes = random_bytes
        self._pump: Pump | None = None
        self._runner: JobRunner | None = None
        self._listeners: list[asyncio.Server] = []
        self.ports: dict[str, int] = {}
        self.hosts: dict[str, Dialler] = {}
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="switch-work")
        self._connections: dict[int, Connection] = {}
        self._next_connection = 1
        self._arrivals: list[Arrival] = []
        self._unseen: defaultdict[int, int] = defaultdict(int)
        self._holding: list[Connection] = []
        self._keeper = RegistryKeeper(registry, self.metrics)
        self._is_scheduled = False
        self._sweeper: asyncio.TimerHandle | None = None

    @property
    def ready(self) -> bool:
        """Tell whether purchases can be decided."""
        return bool(self._listeners) and not self.unfit_reason and not self.is_draining

    @property
    def is_draining(self) -> bool:
        """Tell whether the node finishes and takes nothing new."""
        return self._pump is not None and self._pump.node.core.is_draining

    @property
    def unfit_reason(self) -> str:
        """Give why the node decides nothing any more, empty while it does."""
        return self._pump.node.core.unfit_reason if self._pump else ""

    @property
    def counters(self) -> dict[str, int]:
        """Give counts by `mti/DE39`, and of cuts and parked repeats."""
        return dict(self._pump.node.core.counters) if self._pump else {}

    @property
    def node(self) -> Node:
        """Give the started node."""
        return self._started.node

    @property
    def runner(self) -> JobRunner:
        """Give who runs jobs on the started node."""
        assert self._runner is not None, "the server was started"
        return self._runner

    @property
    def connections_by_link(self) -> dict[str, int]:
        """Give how many connections are open on each link."""
        found = Counter(connection.link.link for connection in self._connections.values())
        return {link.link: found[link.link] for link in self.config.all_links}

    async def start(self) -> int:
        """Open the state file, rebuild memory from the ledger, listen; give the first link's port.

        Raises ConfigurationError, StateError, LedgerError, OSError (address in use).
        """
        loop = asyncio.get_running_loop()
        contexts = [server_context(link.tls) if link.tls else None for link in self._links]
        for host in self.config.hosts:
            told = partial(self._host_reported, host.name)
            self.hosts[host.name] = Dialler(host, codec_of(host.spec), self.clock, told)
        node = await loop.run_in_executor(
            self._executor,
            lambda: assemble(
                self.config, self._registry, self._keystore, self._ledger, self.state_path,
                self.clock, self._random_bytes,
            ),
        )  # fmt: skip
        await loop.run_in_executor(self._executor, self._keeper.catch_up, self._ledger)
        worker = ExecutorWorker(self._executor)
        self._pump = Pump(node, self._ledger, self.clock, worker, self._dispatch, self.metrics)
        self._runner = JobRunner(ledger_for_jobs(self._ledger, self._pump.bulk))
        try:
            for link, context in zip(self._links, contexts, strict=True):
                await self._listen(link, context)
        except OSError:
            self._stop_listening()
            self._pump, self._runner = None, None
            node.state.close()
            raise
        for dialler in self.hosts.values():
            dialler.start()
        self._started.turn([])
        self._sweeper = loop.call_later(_SWEEP_SECONDS, self._sweep)
        return self.ports[self.config.listen.link]

    async def stop(self) -> None:
        """Stop listening, finish what is under way within the drain time, cut the rest, close."""
        if self._pump is None or self._runner is None:
            self._executor.shutdown()
            return
        pump, core = self._pump, self._pump.node.core
        self._stop_listening()
        core.is_draining = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._runner.stop()
        pump.bulk.refuse("the switch stops")
        try:
            async with asyncio.timeout(self.config.connections.drain_seconds):
                await self._settled()
                if not self.unfit_reason:
                    core.keep_marks()
                    pump.run()
                    await self._settled()
                await self._runner.ended()
                await self._keeper.end()
        except TimeoutError:
            _log.warning("drain ended early", under_way=core.under_way)
        for dialler in self.hosts.values():
            await dialler.stop(self.config.connections.drain_seconds)
        for connection in list(self._connections.values()):
            connection.close()
        for listener in self._listeners:
            await listener.wait_closed()
        self._executor.shutdown()
        pump.node.state.close()
        self._listeners = []
        _log.info("stopped", node=self.config.node)

    def drain(self) -> None:
        """Take nothing new from now on (91), and ask whoever runs the node to stop it."""
        self.node.core.is_draining = True
        self.is_stop_wanted.set()

    async def unblock_pin(self, card_number: int, actor: str) -> None:
        """Give a card its PIN tries back; durable when this returns."""
        await self.change(lambda: self.node.core.unblock_pin(card_number, actor))

    async def log_off(self, terminal_id: str) -> None:
        """Let a terminal serve no shop until its next log-on; durable when this returns."""
        await self.change(lambda: self.node.core.desk.memory.log_off(terminal_id))

    async def copy_state(self, path: Path) -> int:
        """Copy the state as it is now (`Pump.copy_state`), for a reader beside the switch."""
        await self.change(self.node.core.keep_marks)
        return await self._started.copy_state(path)

    async def change(self, make: Callable[[], object]) -> None:
        """Have the core's state changed by `make`, on the loop; durable when this returns.

        Raises LumbungError when the node is unfit, or became so meanwhile.
        """
        self._check_fit()
        make()
        self._dispatch([])
        self._started.run()
        await self._settled()
        self._check_fit()

    def _check_fit(self) -> None:
        if self.unfit_reason:
            raise LumbungError(f"the switch decides nothing: {self.unfit_reason}.")

    async def reload_rules(self) -> str:
        """Read the rule file again and decide by it; give its version (R42).

        The whole file is checked first: raises ConfigurationError and keeps the old rules.
        """
        loop = asyncio.get_running_loop()
        rules = await loop.run_in_executor(None, load_rules, self.config.rules)
        self.node.core.use_rules(rules)
        self._dispatch([])
        return rules.version

    async def refresh_registry(self) -> bool:
        """Take over what other processes changed in the registry; tell whether there was anything.

        A block that was made elsewhere is in force when this returns.
        """
        return await self._keeper.refresh()

    def opened(self, connection: Connection) -> int:
        """Take a new connection; give its number, 0 when there is no room."""
        is_full = len(self._connections) >= self.config.connections.maximum
        if not self._listeners or (is_full and not self.node.core.strangers.make_room()):
            self.metrics.refused_connections += 1
            _log.warning("connection refused", open=len(self._connections))
            return 0
        number, self._next_connection = self._next_connection, self._next_connection + 1
        self._connections[number] = connection
        self.node.core.strangers.came(number, connection.give_way)
        return number

    def closed(self, connection: Connection) -> None:
        """Forget a connection; answers to it are dropped, their postings stand."""
        self._connections.pop(connection.number, None)
        self.node.core.strangers.left(connection.number)

    def arrived(self, arrivals: list[Arrival]) -> None:
        """Take messages; they are decided together at the end of this loop turn."""
        self._arrivals += arrivals
        self._unseen[arrivals[0].connection] += len(arrivals)
        if self.recorder is not None:
            for arrival in arrivals:
                self.recorder.request(arrival)
        self._schedule()

    def has_more(self, connection: Connection) -> None:
        """Have a connection hand over its next messages in the next turn."""
        self._holding.append(connection)
        self._schedule()

    def waiting_of(self, number: int) -> int:
        """Give how many requests of a connection have no answer yet."""
        return self.node.core.waiting_of(number) + self._unseen.get(number, 0)

    def note_cut(self, number: int, reason: str) -> None:
        """Count and tell a cut."""
        self.metrics.cuts[reason] += 1
        _log.info("connection cut", connection=number, why=reason)

    def now_ns(self) -> int:
        """Give monotonic nanoseconds for deadlines."""
        return self.clock.monotonic_ns()

    @property
    def _links(self) -> tuple[ListenConfig, ...]:
        return self.config.all_links

    @property
    def _started(self) -> Pump:
        assert self._pump is not None, "the server was started"
        return self._pump

    async def _listen(self, link: ListenConfig, context: ssl.SSLContext | None) -> None:
        make = partial(Connection, self, link, self.config.connections)
        listener = await asyncio.get_running_loop().create_server(
            make, link.host, link.port, ssl=context, backlog=1_024,
            ssl_handshake_timeout=HANDSHAKE_SECONDS_MAX if context else None,
        )  # fmt: skip
        self._listeners.append(listener)
        port: int = listener.sockets[0].getsockname()[1]
        self.ports[link.link] = port
        _log.info("listening", link=link.link, host=link.host, port=port, tls=bool(context))

    def _stop_listening(self) -> None:
        for listener in self._listeners:
            listener.close()

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._run_turn)

    def _run_turn(self) -> None:
        self._is_scheduled = False
        arrivals, self._arrivals = self._arrivals, []
        self._unseen.clear()
        holding, self._holding = self._holding, []
        self._started.turn(arrivals)
        # Their next messages come behind what other connections have sent meanwhile.
        for connection in holding:
            if connection.held:
                connection.hand_over()

    def _dispatch(self, departures: list[Departure]) -> None:
        recorder = self.recorder
        for departure in departures:
            connection = self._connections.get(departure.connection)
            if recorder is not None:
                link = connection.link if connection is not None else self.config.listen
                recorder.answer(departure, link.link)
            if connection is None:
                continue
            if departure.payload is None:
                connection.close()
            else:
                connection.send(departure.tpdu, departure.payload)
        core = self.node.core
        events, core.events = core.events, []
        for name, fields in events:
            (_log.error if name in _LOUD else _log.info)(name, **fields)
            if recorder is not None:
                recorder.event(name, fields)
        self._keeper.hear(events)

    async def _settled(self) -> None:
        """Wait until every request is answered and every change durable."""
        while self._arrivals or self._holding:
            await self._started.turned()
        await self._started.settled()

    def _sweep(self) -> None:
        now_ns = self.clock.monotonic_ns()
        for connection in list(self._connections.values()):
            connection.cut_if_overdue(now_ns)
        # Without a message the business date moves as well, and is durable.
        self._started.turn([])
        self._keeper.tick()
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)

    def _host_reported(self, host: str, report: LinkReport) -> None:
        """Count what a host's link tells; the flow of decision 18 takes the reports from here."""
        self.metrics.host_reports[f"{host}/{type(report).__name__}"] += 1
