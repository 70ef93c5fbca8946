"""The asyncio adapter: sockets, the worker thread, the log. It decides nothing.

All frames of one loop turn go to the core together; what they change goes to the worker thread in
one piece: one state transaction, one ledger batch. The loop never waits for the disk.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import structlog

from ledger.errors import (
    LedgerBusyError,
    LedgerDeadlineError,
    LedgerError,
    LedgerFullError,
    LedgerPoisonedError,
)
from ledger.port import Ledger
from ledger.structures import CreateTransferResult
from programme.registry_port import RegistryReader
from protocols.clock import Clock, RandomBytes
from switch.assembly import Node, assemble
from switch.config import SwitchConfig
from switch.connection import Connection
from switch.decision import StepResult
from switch.key_sets import KeySource
from switch.rules import load_rules
from switch.session import Arrival, Departure
from switch.state import StateError
from switch.work import Work, make_durable, read_results

_log = structlog.get_logger("switch")
#: Seconds between two looks for connections that are overdue.
_SWEEP_SECONDS = 1.0
#: Events that an operator must see; the rest is the course of business.
_LOUD = frozenset({"unfit", "fault", "work-refused"})


class SwitchServer:
    """A switch node on one address. Start once, stop once."""

    def __init__(
        self,
        config: SwitchConfig,
        registry: RegistryReader,
        keystore: KeySource,
        ledger: Ledger,
        state_path: Path,
        clock: Clock,
        random_bytes: RandomBytes,
    ) -> None:
        """Take the parts; nothing is opened before `start`."""
        self._config = config
        self._registry = registry
        self._keystore = keystore
        self._ledger = ledger
        self._state_path = state_path
        self._clock = clock
        self._random_bytes = random_bytes
        self._node: Node | None = None
        self._listener: asyncio.Server | None = None
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="switch-work")
        self._connections: dict[int, Connection] = {}
        self._next_connection = 1
        self._arrivals: list[Arrival] = []
        self._is_scheduled = False
        self._sweeper: asyncio.TimerHandle | None = None
        self._progress = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Tell whether purchases can be decided."""
        return self._listener is not None and not self.unfit_reason

    @property
    def unfit_reason(self) -> str:
        """Give why the node decides nothing any more, empty while it does."""
        return self._node.core.unfit_reason if self._node else ""

    @property
    def counters(self) -> dict[str, int]:
        """Give counts by `mti/DE39`, and of cuts and parked repeats."""
        return dict(self._node.core.counters) if self._node else {}

    async def start(self) -> int:
        """Open the state file, rebuild memory from the ledger, listen; give the port.

        Raises ConfigurationError, StateError, LedgerError, OSError (address in use).
        """
        loop = asyncio.get_running_loop()
        self._node = await loop.run_in_executor(
            self._executor,
            lambda: assemble(
                self._config,
                self._registry,
                self._keystore,
                self._ledger,
                self._state_path,
                self._clock,
                self._random_bytes,
            ),
        )
        listen = self._config.listen
        # The seam for TLS: an SSL context goes in here, and nowhere else.
        try:
            listener = await loop.create_server(self._accept, listen.host, listen.port, ssl=None)
        except OSError:
            self._node.state.close()
            self._node = None
            raise
        self._listener = listener
        self._sweeper = loop.call_later(_SWEEP_SECONDS, self._sweep)
        port: int = listener.sockets[0].getsockname()[1]
        _log.info("listening", host=listen.host, port=port, node=self._config.node)
        return port

    async def stop(self) -> None:
        """Stop listening, finish what is under way within the drain time, cut the rest, close."""
        if self._listener is None or self._node is None:
            self._executor.shutdown()
            return
        self._listener.close()
        self._node.core.is_draining = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        try:
            async with asyncio.timeout(self._config.connections.drain_seconds):
                await self._settled()
                if not self.unfit_reason:
                    self._node.core.keep_marks()
                    self._pump()
                    await self._settled()
        except TimeoutError:
            _log.warning("drain ended early", under_way=self._node.core.under_way)
        for connection in list(self._connections.values()):
            connection.close()
        await self._listener.wait_closed()
        self._executor.shutdown()
        self._node.state.close()
        self._listener = None
        _log.info("stopped", node=self._config.node)

    async def unblock_pin(self, card_number: int, actor: str) -> None:
        """Give a card its PIN tries back; durable when this returns."""
        assert self._node is not None, "the server was started"
        self._node.core.unblock_pin(card_number, actor)
        self._pump()
        await self._settled()

    async def reload_rules(self) -> str:
        """Read the rule file again and decide by it; give its version (R42).

        The whole file is checked first: raises ConfigurationError and keeps the old rules.
        """
        assert self._node is not None, "the server was started"
        loop = asyncio.get_running_loop()
        rules = await loop.run_in_executor(None, load_rules, self._config.rules)
        self._node.core.use_rules(rules)
        self._dispatch([])
        return rules.version

    def opened(self, connection: Connection) -> int:
        """Take a new connection; give its number, 0 when there is no room."""
        if len(self._connections) >= self._config.connections.maximum or self._listener is None:
            _log.warning("connection refused", open=len(self._connections))
            return 0
        number, self._next_connection = self._next_connection, self._next_connection + 1
        self._connections[number] = connection
        return number

    def closed(self, number: int) -> None:
        """Forget a connection; answers to it are dropped, their postings stand."""
        self._connections.pop(number, None)

    def arrived(self, arrivals: list[Arrival]) -> None:
        """Take messages; they are decided together at the end of this loop turn."""
        self._arrivals += arrivals
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._run_turn)

    def waiting_of(self, number: int) -> int:
        """Give how many requests of a connection have no answer yet."""
        assert self._node is not None, "connections come after the start"
        not_seen = sum(1 for arrival in self._arrivals if arrival.connection == number)
        return self._node.core.waiting_of(number) + not_seen

    def now_ns(self) -> int:
        """Give monotonic nanoseconds for deadlines."""
        return self._clock.monotonic_ns()

    def _accept(self) -> Connection:
        return Connection(self, self._config.connections)

    def _run_turn(self) -> None:
        assert self._node is not None
        self._is_scheduled = False
        arrivals, self._arrivals = self._arrivals, []
        self._dispatch(self._node.core.receive(arrivals, self._clock.now_ns()))
        self._pump()

    def _pump(self) -> None:
        assert self._node is not None
        work = self._node.core.next_work()
        if work is not None:
            loop = asyncio.get_running_loop()
            state, ledger = self._node.state, self._ledger
            done = loop.run_in_executor(self._executor, make_durable, work, state, ledger)
            done.add_done_callback(partial(self._work_done, work))

    def _read(
        self, work: Work, done: "asyncio.Future[list[CreateTransferResult]]"
    ) -> list[StepResult] | BaseException:
        """Give what durable work gave, or why there is nothing to give."""
        assert self._node is not None
        error = done.exception()
        if error is not None:
            return error
        results: list[StepResult] | BaseException = AssertionError("a fault in the reading")
        try:
            results = read_results(work, done.result(), self._ledger, self._node.months)
        except LedgerError as lost:
            # Posted and not readable: whatever the reason, the outcome is unknown to the terminal.
            results = LedgerPoisonedError(str(lost))
        finally:
            if isinstance(results, AssertionError):
                self._dispatch(self._node.core.become_unfit(str(results)))
        return results

    def _work_done(self, work: Work, done: "asyncio.Future[list[CreateTransferResult]]") -> None:
        assert self._node is not None
        core, error = self._node.core, self._read(work, done)
        if isinstance(error, list):
            departures = core.complete(error, self._clock.now_ns())
        elif isinstance(error, LedgerBusyError | LedgerDeadlineError):
            departures = core.refuse_work("91", error.code)
        elif isinstance(error, LedgerFullError):
            departures = core.refuse_work("96", error.code)
        elif isinstance(error, LedgerError | StateError):
            departures = core.become_unfit(f"{error.code}: {error}")
        else:
            departures = core.become_unfit(type(error).__name__)
            self._dispatch(departures)
            raise error
        self._dispatch(departures)
        self._pump()

    def _dispatch(self, departures: list[Departure]) -> None:
        assert self._node is not None
        for departure in departures:
            connection = self._connections.get(departure.connection)
            if connection is None:
                continue
            if departure.payload is None:
                connection.close()
            else:
                connection.send(departure.tpdu, departure.payload)
        events, self._node.core.events = self._node.core.events, []
        for name, fields in events:
            (_log.error if name in _LOUD else _log.info)(name, **fields)
        self._progress.set()

    async def _settled(self) -> None:
        """Wait until every request is answered and every change durable."""
        assert self._node is not None
        core = self._node.core
        while (core.under_way or core.has_undurable or self._arrivals) and not core.unfit_reason:
            self._progress.clear()
            await self._progress.wait()

    def _sweep(self) -> None:
        now_ns = self._clock.monotonic_ns()
        for connection in list(self._connections.values()):
            connection.cut_if_overdue(now_ns)
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)
