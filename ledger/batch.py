"""The batch runner: timestamps, linked chains, expiry and burnt ids around single events.

Source: docs/reference/ledger-format.md, section 7 (time, order, expiry); ledger.md 1.2, rules 1
and 2. Deterministic: the same batches and clock readings give the same records.
"""

import heapq
from collections.abc import Callable, Sequence
from typing import TypeVar

from ledger.books import PendingRow
from ledger.creating import create_account
from ledger.events import TransferEvent
from ledger.limits import GROUP_EXPIRIES_MAX
from ledger.log import SegmentedLog
from ledger.posting import Answer, TransferMachine
from ledger.resolving import expire
from ledger.stage import LINKED, Stage
from ledger.statuses import TRANSIENT_STATUSES, CreateTransferStatus
from ledger.structures import Account

_CREATED = int(CreateTransferStatus.CREATED)
_CHAIN_OPEN = int(CreateTransferStatus.LINKED_EVENT_CHAIN_OPEN)
_CHAIN_FAILED = int(CreateTransferStatus.LINKED_EVENT_FAILED)
Event = TypeVar("Event")


class BatchRunner:
    """Runs the requests of one commit group against the books."""

    def __init__(self, stage: Stage, log: SegmentedLog) -> None:
        self._stage = stage
        self._machine = TransferMachine(stage, log)
        self._records_max = log.records_per_frame
        self._last = stage.books.last_timestamp

    def expiries_at_most(self, events: int) -> int:
        """Give how many expiries may go ahead of a group of so many events."""
        due = len(self._stage.books.expiries)
        return min(GROUP_EXPIRIES_MAX, self._records_max - events, due)

    def begin(self, now: int, events: int) -> None:
        """Start a group: expire what is due at `now` (nanoseconds UTC), in order of its time."""
        base = max(now, self._last)
        expired = 0
        for row in self._due(base, min(GROUP_EXPIRIES_MAX, self._records_max - events)):
            expired += 1
            expire(self._stage, row, base + expired)
        if expired:
            self._last = base + expired

    def transfers(self, events: Sequence[TransferEvent], now: int) -> list[Answer]:
        """Post one request's transfers; one answer per event, in order."""
        batch = self._last = max(now, self._last + len(events))
        first = batch - len(events) + 1
        execute, refuse = self._machine.execute, self._machine.refuse
        answers: list[Answer] = []
        chain = _ChainRun(self._stage, len(events), _failed_transfer)
        for position, event in enumerate(events):
            timestamp = first + position
            if event[11] & LINKED or chain.start >= 0:
                linked = bool(event[11] & LINKED)
                answer = chain.run(position, linked, execute, event, timestamp, answers)
            else:
                answer = execute(event, timestamp)
            if answer[1] != _CREATED and answer[1] in TRANSIENT_STATUSES:
                refuse(event, timestamp, answer[1])
            answers.append(answer)
        return answers

    def accounts(self, events: Sequence[Account], now: int) -> list[Answer]:
        """Create one request's accounts; one answer per event, in order."""
        batch = self._last = max(now, self._last + len(events))
        first = batch - len(events) + 1
        answers: list[Answer] = []
        chain = _ChainRun(self._stage, len(events), _failed_account)
        for position, event in enumerate(events):
            linked = bool(event.flags & LINKED)
            timestamp = first + position
            answers.append(chain.run(position, linked, self._create, event, timestamp, answers))
        return answers

    def _create(self, event: Account, timestamp: int) -> Answer:
        return create_account(self._stage, event, timestamp)

    def _due(self, base: int, limit: int) -> list[PendingRow]:
        """Take open holds off the expiry queue; those resolved or undone meanwhile drop out."""
        books, due = self._stage.books, list[PendingRow]()
        while books.expiries and len(due) < limit and books.expiries[0][0] <= base:
            expires_at, sequence = heapq.heappop(books.expiries)
            row = books.pendings.get(sequence)
            if row is not None and row.expires_at == expires_at and row not in due[-1:]:
                due.append(row)
        return due


class _ChainRun:
    """The state of linked chains over one request: all of a chain or nothing of it."""

    def __init__(self, stage: Stage, length: int, failed: Callable[[int], Answer]) -> None:
        self.start = -1
        self._stage = stage
        self._length = length
        self._failed = failed
        self._broken = False

    def run(
        self,
        position: int,
        linked: bool,
        execute: Callable[[Event, int], Answer],
        event: Event,
        timestamp: int,
        answers: list[Answer],
    ) -> Answer:
        """Run one event in or out of a chain; on a break, mend the answers given before."""
        if linked and self.start < 0:
            self.start = position
            self._stage.begin_chain()
        opened = linked and position == self._length - 1
        if opened:
            answer = (self._failed(timestamp)[0], _CHAIN_OPEN)
        elif self._broken:
            answer = self._failed(timestamp)
        else:
            answer = execute(event, timestamp)
        if self.start >= 0:
            if answer[1] != _CREATED and not self._broken:
                self._broken = True
                self._stage.break_chain()
                first = timestamp - position
                for earlier in range(self.start, position):
                    answers[earlier] = self._failed(first + earlier)
            if not linked or opened:
                if not self._broken:
                    self._stage.end_chain()
                self.start, self._broken = -1, False
        return answer


def _failed_transfer(timestamp: int) -> Answer:
    return timestamp, _CHAIN_FAILED


def _failed_account(_timestamp: int) -> Answer:
    return 0, _CHAIN_FAILED
