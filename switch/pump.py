"""Between the loop and the worker thread: turns of the core, and bulk groups behind them.

What a turn changes goes to the worker in one piece: one state transaction, one ledger batch. The
loop never waits for the disk. A bulk group goes when no purchase waits, or after a turn of them.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ledger.errors import (
    LedgerBusyError,
    LedgerDeadlineError,
    LedgerError,
    LedgerFullError,
    LedgerPoisonedError,
)
from ledger.port import Ledger
from ledger.structures import CreateTransferResult
from protocols.clock import Clock
from switch.assembly import Node
from switch.decision import StepResult
from switch.jobs import BulkQueue, Group
from switch.metrics import NodeMetrics
from switch.session import Arrival, Departure
from switch.state import StateError
from switch.work import Work, make_durable, read_results
from switch.worker import Worker

#: Gives answers and events to whoever owns sockets and log.
Dispatch = Callable[[list[Departure]], None]


class Pump:
    """Drives one node. Made on the loop's thread."""

    def __init__(
        self,
        node: Node,
        ledger: Ledger,
        clock: Clock,
        worker: Worker,
        dispatch: Dispatch,
        metrics: NodeMetrics,
    ) -> None:
        """Take the parts; nothing runs yet."""
        self.node = node
        self.ledger = ledger
        self.bulk = BulkQueue()
        self._clock = clock
        self._worker = worker
        self._dispatch = dispatch
        self._metrics = metrics
        self._progress = asyncio.Event()
        self._is_writing = False
        self._is_bulks_turn = False
        self._sent_ns = 0
        self.bulk.wake = self._wake

    def turn(self, arrivals: list[Arrival]) -> None:
        """Decide messages together, and send what they change on its way."""
        core, metrics = self.node.core, self._metrics
        began = self._clock.monotonic_ns()
        metrics.begin_turn(core)
        departures = core.receive(arrivals, self._clock.now_ns())
        metrics.end_turn(len(arrivals), self._clock.monotonic_ns() - began)
        self._give(departures)
        self.run()

    def run(self) -> None:
        """Give the worker its next piece, unless it has one."""
        if self._is_writing:
            return
        group = self.bulk.take() if self._is_bulks_turn else None
        work = self.node.core.next_work() if group is None else None
        if work is None and group is None:
            group = self.bulk.take()
        self._is_bulks_turn = work is not None
        self._sent_ns = self._clock.monotonic_ns()
        if work is not None:
            self._is_writing = True
            make = partial(make_durable, work, self.node.state, self.ledger)
            self._worker.submit(make, partial(self._work_done, work))
        elif group is not None:
            self._is_writing = True
            write = partial(group.run, self.ledger)
            self._worker.submit(write, partial(self._group_done, group))

    def _wake(self) -> None:
        self._worker.wake(self.run)

    async def copy_state(self, path: Path) -> int:
        """Copy the state file between two pieces of work; give the ledger's last record then.

        State is durable before the ledger: the copy knows the batch of every record up to that one.
        """
        copied: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def copy() -> int:
            last = self.ledger.last_sequence
            self.node.state.copy_to(path)
            return last

        def done(last: Any, error: BaseException | None) -> None:
            if copied.cancelled():
                return
            if error is None:
                copied.set_result(last)
            else:
                copied.set_exception(error)

        self._worker.submit(copy, done)
        return await copied

    async def turned(self) -> None:
        """Wait until something has been decided or become durable."""
        self._progress.clear()
        await self._progress.wait()

    async def settled(self) -> None:
        """Wait until every request is answered and every change durable."""
        core = self.node.core
        while (core.under_way or core.has_undurable or self._is_writing) and not core.unfit_reason:
            self._progress.clear()
            await self._progress.wait()

    def _read(
        self,
        work: Work,
        posted: list[CreateTransferResult] | None,
        error: BaseException | None,
    ) -> list[StepResult] | BaseException:
        """Give what durable work gave, or why there is nothing to give."""
        if error is not None:
            return error
        assert posted is not None, "work that did not fail gives what became of it"
        results: list[StepResult] | BaseException = AssertionError("a fault in the reading")
        try:
            results = read_results(work, posted, self.ledger, self.node.months)
        except LedgerError as lost:
            # Posted and not readable: whatever the reason, the outcome is unknown to the terminal.
            results = LedgerPoisonedError(str(lost))
        finally:
            if isinstance(results, AssertionError):
                self._give(self.node.core.become_unfit(str(results)))
        return results

    def _work_done(
        self,
        work: Work,
        posted: list[CreateTransferResult] | None,
        failed: BaseException | None,
    ) -> None:
        self._is_writing = False
        now_ns = self._clock.monotonic_ns()
        self._metrics.durable.record(now_ns - self._sent_ns)
        core, error = self.node.core, self._read(work, posted, failed)
        if isinstance(error, list):
            departures = core.complete(error, self._clock.now_ns())
        elif isinstance(error, LedgerBusyError | LedgerDeadlineError):
            departures = core.refuse_work("91", error.code)
        elif isinstance(error, LedgerFullError):
            self._metrics.is_full = True
            departures = core.refuse_work("96", error.code)
        elif isinstance(error, LedgerError | StateError):
            departures = self._unfit(f"{error.code}: {error}")
        else:
            self._give(self._unfit(type(error).__name__))
            raise error
        self._metrics.answer.record(self._clock.monotonic_ns() - now_ns)
        self._give(departures)
        self.run()

    def _group_done(self, group: Group, result: Any, error: BaseException | None) -> None:
        self._is_writing = False
        self._metrics.bulk.record(self._clock.monotonic_ns() - self._sent_ns)
        if error is None:
            group.outcome.set_result(result)
        else:
            group.outcome.set_exception(error)
        if isinstance(error, LedgerPoisonedError):
            self._give(self._unfit(f"{error.code}: {error}"))
        else:
            self._give([])
        self.run()

    def _unfit(self, why: str) -> list[Departure]:
        self.bulk.refuse("the node is unfit")
        return self.node.core.become_unfit(why)

    def _give(self, departures: list[Departure]) -> None:
        self._dispatch(departures)
        self._progress.set()
