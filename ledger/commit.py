"""Group commit: many callers, one writer, one durable frame for all who wait.

There is no timer: a group is whatever arrived while the last one was being written. Whoever holds
the commit lock writes: a blocking caller for itself and all others, or the writer thread for
coroutines. Nothing is answered before it is durable; after a failed write nothing is answered at
all (docs/reference/ledger-format.md, section 8).
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ledger.batch import BatchRunner
from ledger.books import Books
from ledger.errors import (
    LedgerBatchError,
    LedgerBusyError,
    LedgerDeadlineError,
    LedgerError,
    LedgerFullError,
    LedgerPoisonedError,
)
from ledger.events import TransferEvent
from ledger.housekeeping import Housekeeper
from ledger.limits import BATCH_EVENTS_MAX, QUEUE_TRANSFERS_MAX
from ledger.log import SUPERBLOCK_NAME, SegmentedLog
from ledger.posting import Answer
from ledger.restoring import capture
from ledger.stage import Stage
from ledger.structures import Account


@dataclass(slots=True)
class Request:
    """Events of one kind that commit together, and what became of them."""

    transfers: Sequence[TransferEvent] = ()
    accounts: Sequence[Account] = ()
    deadline_ns: int | None = None
    future: "asyncio.Future[list[Answer]] | None" = None
    answers: list[Answer] = field(default_factory=list)
    error: LedgerError | None = None
    done: bool = False

    @property
    def size(self) -> int:
        """Give the number of events."""
        return len(self.transfers) + len(self.accounts)


class Committer:
    """Turns queued requests into durable frames, one group at a time."""

    def __init__(
        self,
        log: SegmentedLog,
        books: Books,
        *,
        now_ns: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        background: bool,
    ) -> None:
        self.stage = Stage(books)
        #: Held while the books change; readers take it for a moment, never across a disk write.
        self.state_lock = threading.Lock()
        #: Held while a group is applied, written and published.
        self.commit_lock = threading.Lock()
        self.housekeeper = Housekeeper(log, books, self.state_lock, background=background)
        self._runner = BatchRunner(self.stage, log)
        self._log = log
        self._now_ns = now_ns
        self._random_bytes = random_bytes
        self._background = background
        self._events_max = min(BATCH_EVENTS_MAX, log.records_per_frame)
        self._queue: deque[Request] = deque()
        self._queued = 0
        self._wake = threading.Condition()
        self._writer: threading.Thread | None = None
        self._closing = False
        #: The event loop whose turn is still adding to the next group.
        self._turn: asyncio.AbstractEventLoop | None = None
        self._poison: Exception | None = None

    def check(self) -> None:
        """Raise `LedgerPoisonedError` after a failed write, `LedgerError` after closing."""
        if self._poison is None:
            self._poison = self.housekeeper.damage
        if self._poison is not None:
            raise self._poisoned() from self._poison
        if self._closing:
            raise LedgerError(f"{self._log.storage.location}: the ledger is closed; open it again")

    def execute(self, request: Request) -> list[Answer]:
        """Commit a request and wait for its durability, writing for others too if need be."""
        self._enqueue(request)
        while not request.done:
            with self.commit_lock:
                if not request.done:
                    self._commit_group()
        if request.error is not None:
            raise request.error
        return request.answers

    def submit(self, request: Request, loop: asyncio.AbstractEventLoop) -> None:
        """Queue a request of a coroutine; its future is set once it is durable.

        The writer is woken at the end of the loop's turn: what all coroutines of the turn post is
        one group, and the writer does not fight the loop for the interpreter meanwhile.
        """
        self._enqueue(request)
        if self._background and self._writer is None:
            self._writer = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
            self._writer.start()
        if self._turn is not loop:
            self._turn = loop
            loop.call_soon(self._end_turn, loop)

    def _end_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._wake:
            if self._turn is loop:
                self._turn = None
            self._wake.notify()
        if not self._background:
            self._commit_queued()

    def _commit_queued(self) -> None:
        with self.commit_lock:
            while self._queue and self._poison is None:
                self._commit_group()

    def close(self, *, sync: bool) -> None:
        """Commit what is queued and, if asked, make the last commit mark durable. Idempotent."""
        with self._wake:
            if self._closing:
                return
            self._closing = True
            self._wake.notify_all()
        if self._writer is not None:
            self._writer.join()
        self._commit_queued()
        self.housekeeper.wait_for_spare()
        self.housekeeper.wait_for_sealing()
        if self._poison is None and self.housekeeper.damage is not None:
            raise self.housekeeper.damage
        if sync and self._poison is None:
            try:
                self._log.storage.sync(SUPERBLOCK_NAME)
            except OSError as error:
                raise LedgerError(
                    f"{self._log.storage.location}/{SUPERBLOCK_NAME}: {error}; all that was "
                    "acknowledged is durable, but check the disk before the next start"
                ) from error

    def _enqueue(self, request: Request) -> None:
        self.check()
        if request.size > self._events_max:
            raise LedgerBatchError(
                f"a batch of {request.size} events; this ledger takes {self._events_max} at most"
            )
        with self._wake:
            if self._queued + request.size > QUEUE_TRANSFERS_MAX:
                raise LedgerBusyError(
                    f"{self._queued} transfers wait already, the bound is {QUEUE_TRANSFERS_MAX}; "
                    "nothing was submitted, try again"
                )
            self._queued += request.size
            self._queue.append(request)

    def _take(self) -> list[Request]:
        """Take the next group off the queue: the first request always, more while they fit."""
        group: list[Request] = []
        size = 0
        with self._wake:
            while self._queue:
                size += self._queue[0].size
                if group and size > self._events_max:
                    break
                group.append(self._queue.popleft())
                self._queued -= group[-1].size
        return group

    def _run(self) -> None:
        while True:
            with self._wake:
                while not (self._queue and self._turn is None) and not self._closing:
                    self._wake.wait()
                if not self._queue:
                    return
            with self.commit_lock:
                self._commit_group()

    def _commit_group(self) -> None:
        group = self._take()
        self._poison = self._poison or self.housekeeper.damage
        try:
            if self._poison is None and group:
                self._commit(group)
        except (OSError, LedgerError) as error:
            self._poison = error
        finally:
            # Also on the way out of a bug: nobody may wait for an answer that cannot come.
            undone = [request for request in group if not request.done]
            if undone:
                if self._poison is None:
                    self._poison = RuntimeError("the writer stopped inside a group")
                for request in undone:
                    request.error = self._poisoned()
                _deliver(undone)

    def _commit(self, group: list[Request]) -> None:
        now = self._now_ns()
        group = self._admit(group, now)
        if not group:
            return
        events = sum(request.size for request in group)
        with self.state_lock:
            self._runner.begin(now, events)
            for request in group:
                if request.accounts:
                    request.answers = self._runner.accounts(request.accounts, now)
                else:
                    request.answers = self._runner.transfers(request.transfers, now)
        bodies, snapshot = self.stage.bodies, None
        closing = bool(bodies) and not self._log.fits(len(bodies))
        if closing:
            # Whether a snapshot is due must not depend on how fast the one before was written.
            self.housekeeper.wait_for_sealing()
            since, before = self.housekeeper.snapshot_sequence, self.stage.before
            snapshot = capture(self._log, self.stage.books, since, before, bodies)
        if bodies:
            self._log.append(bodies, self._random_bytes)
            with self.state_lock:
                self.stage.publish()
        _deliver(group)
        if bodies:
            self._log.grow_tree(bodies)
            self._log.write_mark()
            self.housekeeper.prepare_spare()
        if closing:
            self.housekeeper.seal(snapshot)

    def _admit(self, group: list[Request], now: int) -> list[Request]:
        """Give who may be submitted; answer those too late, or all when there is no room."""
        late = [r for r in group if r.deadline_ns is not None and now >= r.deadline_ns]
        for request in late:
            request.error = LedgerDeadlineError(
                "the deadline passed before submission: nothing was submitted, try again"
            )
        _deliver(late)
        group = [request for request in group if not request.done]
        events = sum(request.size for request in group)
        if not self._has_room(events + self._runner.expiries_at_most(events)):
            for request in group:
                request.error = LedgerFullError(
                    f"{self._log.storage.location}: no room for another segment "
                    f"({self.housekeeper.spare_error}); free "
                    f"{self._log.identity.segment_size} bytes; nothing was submitted"
                )
            _deliver(group)
            return []
        return group

    def _has_room(self, records: int) -> bool:
        if self._log.has_room(records):
            return True
        self.housekeeper.wait_for_spare()
        if not self._log.has_spare:
            self.housekeeper.make_spare()
        return self._log.has_room(records)

    def _poisoned(self) -> LedgerPoisonedError:
        return LedgerPoisonedError(
            f"{self._log.storage.location}: the writer stopped ({self._poison}); what was "
            "outstanding is indeterminate until the ledger is reopened"
        )


def _deliver(requests: list[Request]) -> None:
    """Finish requests; wake each event loop once for all its futures."""
    loops: dict[asyncio.AbstractEventLoop, list[Request]] = {}
    for request in requests:
        request.done = True
        if request.future is not None:
            loops.setdefault(request.future.get_loop(), []).append(request)
    for loop, waiting in loops.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_set_results, waiting)


def _set_results(requests: list[Request]) -> None:
    for request in requests:
        future = request.future
        if future is None or future.done():  # Its awaiter was cancelled; the transfer stands.
            continue
        if request.error is not None:
            future.set_exception(request.error)
        else:
            future.set_result(request.answers)
