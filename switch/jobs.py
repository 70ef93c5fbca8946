"""Bulk work of the one writer: batches of other parts, in groups, behind purchases (decision 8).

A job (disbursement, sweep, payout, registry block) runs in a thread of its own and sees a `Ledger`
whose writes are groups of at most 1,024 transfers. Groups and purchases take turns at the writer:
neither waits for more than one of the other.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from operator import methodcaller
from typing import Any, TypeVar, cast

from ledger.port import Ledger
from ledger.structures import (
    Account,
    AccountFlags,
    CreateAccountResult,
    CreateTransferResult,
    Transfer,
    TransferFlags,
)
from protocols.errors import LumbungError
from switch.limits import BULK_GROUP_TRANSFERS_MAX, BULK_GROUPS_MAX

_Event = TypeVar("_Event", Account, Transfer)
_Result = TypeVar("_Result")


class BulkError(LumbungError):
    """Bulk work is not taken: the node stops, is unfit, or has too much of it."""

    code = "E-SW-0110"


class Group:
    """One piece of bulk work: runs on the writer's thread, its outcome is waited for elsewhere."""

    __slots__ = ("_write", "outcome")

    def __init__(self, write: Callable[[Ledger], Any]) -> None:
        """Take what shall be written."""
        self._write = write
        self.outcome: Future[Any] = Future()

    def run(self, ledger: Ledger) -> Any:
        """Write; called by the writer alone."""
        return self._write(ledger)


class BulkQueue:
    """Groups that wait for the writer. `put` may be called by any thread, the rest by the loop."""

    def __init__(self) -> None:
        """Begin empty; `wake` is set by whoever serves the queue."""
        self._waiting: deque[Group] = deque()
        self._lock = threading.Lock()
        self._refusal = ""
        self.wake: Callable[[], None] = lambda: None

    def put(self, group: Group) -> None:
        """Queue a group; raise BulkError when none is taken."""
        with self._lock:
            if self._refusal:
                raise BulkError(f"The switch takes no bulk work: {self._refusal}.",
                                fix="What was posted stands; run the job again later.")  # fmt: skip
            if len(self._waiting) >= BULK_GROUPS_MAX:
                raise BulkError("Too much bulk work waits already.", fix="Run the job again later.")
            self._waiting.append(group)
        self.wake()

    def take(self) -> Group | None:
        """Give the next group, None when nothing waits."""
        with self._lock:
            return self._waiting.popleft() if self._waiting else None

    def refuse(self, why: str) -> None:
        """Take nothing more, and tell those who wait."""
        with self._lock:
            self._refusal = why
            waiting, self._waiting = list(self._waiting), deque()
        for group in waiting:
            group.outcome.set_exception(
                BulkError(f"The switch did not do this bulk work: {why}.", fix="Run it again.")
            )


#: What a job may ask the switch's own ledger at once. A write that is neither here nor written out
#: in `JobLedger` does not exist for jobs: it would pass the writer by.
READS = frozenset({
    "engine", "last_sequence", "lookup_accounts", "lookup_transfers", "lookup_entries", "accounts",
    "statement", "balance_at", "entries", "verify", "scrub", "backup", "housekeeping_error",
    "checkpoint",
})  # fmt: skip


class JobLedger:
    """The `Ledger` port for jobs: reads at once, writes as groups behind purchases.

    Not for the loop's own thread, which it would stop. A batch that is cut into groups is durable
    group by group: a job that is stopped in the middle is run again, its ids say what stands.
    """

    def __init__(self, ledger: Ledger, queue: BulkQueue) -> None:
        """Work on the switch's own open ledger; made on the loop's thread."""
        self._ledger = ledger
        self._queue = queue
        self._loop_thread = threading.get_ident()

    def __getattr__(self, name: str) -> Any:
        """Give a reading part of the ledger's port."""
        if name not in READS:
            raise AttributeError(name)
        return getattr(self._ledger, name)

    def create_accounts(self, accounts: Sequence[Account]) -> list[CreateAccountResult]:
        """Create accounts, group by group."""
        found: list[CreateAccountResult] = []
        for group in in_groups(accounts):
            found += self._write(Group(methodcaller("create_accounts", group)))
        return found

    def create_transfers(
        self, transfers: Sequence[Transfer], *, deadline_ns: int | None = None
    ) -> list[CreateTransferResult]:
        """Post transfers, group by group; a linked chain stays in one."""
        found: list[CreateTransferResult] = []
        for group in in_groups(transfers):
            write = methodcaller("create_transfers", group, deadline_ns=deadline_ns)
            found += self._write(Group(write))
        return found

    def create_transfers_packed(self, batch: bytes | memoryview) -> bytes:
        """Post packed transfers in one group."""
        answer: bytes = self._write(Group(methodcaller("create_transfers_packed", batch)))
        return answer

    async def post(self, transfer: Transfer) -> CreateTransferResult:
        """Post one transfer from another loop."""
        return (await self.post_many([transfer]))[0]

    async def post_many(self, transfers: Sequence[Transfer]) -> list[CreateTransferResult]:
        """Post several from another loop."""
        return await asyncio.to_thread(self.create_transfers, transfers)

    def close(self) -> None:
        """Do nothing: the switch owns the ledger."""

    def _write(self, group: Group) -> Any:
        assert threading.get_ident() != self._loop_thread, "a job has a thread of its own"
        self._queue.put(group)
        return group.outcome.result()


def in_turn(ledger: Ledger, work: Callable[[Ledger], _Result]) -> _Result:
    """Run work in one turn of the writer that stands behind a job's ledger; give its result.

    For reading and posting that belong together: no purchase comes between, all wait for the whole.
    """
    assert isinstance(ledger, JobLedger), "only a job's ledger has another writer behind it"
    result: _Result = ledger._write(Group(work))
    return result


def ledger_for_jobs(ledger: Ledger, queue: BulkQueue) -> Ledger:
    """Give the port as jobs see it; a test holds it to the whole of the port."""
    return cast(Ledger, JobLedger(ledger, queue))


def in_groups(events: Sequence[_Event]) -> Iterator[list[_Event]]:
    """Yield the events in groups of at most 1,024; a linked chain is never cut.

    Raises BulkError for a chain that is longer than a group, before anything of it is yielded.
    """
    group: list[_Event] = []
    chain: list[_Event] = []
    for event in events:
        chain.append(event)
        if len(chain) > BULK_GROUP_TRANSFERS_MAX:
            raise BulkError(f"A linked chain is longer than {BULK_GROUP_TRANSFERS_MAX} events.")
        if _is_linked(event):
            continue
        if len(group) + len(chain) > BULK_GROUP_TRANSFERS_MAX:
            yield group
            group = []
        group += chain
        chain = []
    if group or chain:
        # An open chain at the end is the ledger's to refuse.
        yield group + chain


def _is_linked(event: Account | Transfer) -> bool:
    flag = AccountFlags.LINKED if isinstance(event, Account) else TransferFlags.LINKED
    return bool(event.flags & flag)
