"""A terminal's batches: what each holds, in the terms of a settlement (domain.md 4.3, 4.4).

A batch begins with the first posting that names it (element 60) and ends with its settlement. Its
totals are kept running, so that a settlement reads nothing. A posting's record carries the low bits
of its batch number (`SaleData.batch_tag`), and no two open batches of a terminal share them: so a
start rebuilds every total from the ledger.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from ledger.port import Entry
from programme.chart import SaleData
from switch.changes import (
    BatchClosed,
    BatchDisputed,
    BatchesKept,
    BatchOpened,
    BatchSetAside,
    BatchTotals,
    BatchUploaded,
    Change,
    KeptBatch,
)
from switch.limits import BATCH_UPLOADS_MAX

#: How many batches of one terminal can be open: what the four bits of a record can tell apart.
BATCH_TAGS = 16
#: Keys of batches lie above the 128 bits of transfer ids, so both can be locked alike.
_LOCK_BASE = 1 << 130


class BatchState(StrEnum):
    """Where a batch is."""

    OPEN = "open"
    DISPUTED = "disputed"
    CLOSED = "closed"
    SET_ASIDE = "set aside"


def batch_lock(terminal_number: int, number: int) -> int:
    """Give the key that a settlement holds, so that sales of its batch wait.

    >>> batch_lock(17, 12) == batch_lock(17, 12), batch_lock(17, 12) == batch_lock(17, 13)
    (True, False)
    """
    return _LOCK_BASE | terminal_number << 32 | number


def batch_tag(number: int) -> int:
    """Give the bits of a batch number that a record carries."""
    return number % BATCH_TAGS


@dataclass(slots=True)
class Batch:
    """One batch that is not closed. Money in sen; `counted` is the last record in its totals."""

    batch_id: int
    terminal_number: int
    number: int
    opened_sequence: int
    counted: int
    totals: BatchTotals
    state: BatchState = BatchState.OPEN
    uploads: int = 0
    changed: bool = False


@dataclass(slots=True)
class Batches:
    """The open batches of every terminal, and the last closed one of each."""

    changes: list[Change]
    open: dict[tuple[int, int], Batch] = field(default_factory=dict)
    closed: dict[int, BatchClosed] = field(default_factory=dict)
    last_id: int = 0

    @classmethod
    def load(
        cls,
        kept: Iterable[KeptBatch],
        closed: Iterable[BatchClosed],
        last_id: int,
        changes: list[Change],
    ) -> "Batches":
        """Begin from what the state file holds."""
        batches = cls(changes, last_id=last_id)
        for one in kept:
            batch = Batch(
                one.batch_id,
                one.terminal_number,
                one.number,
                one.opened_sequence,
                one.counted,
                one.totals,
                BatchState.DISPUTED if one.is_disputed else BatchState.OPEN,
                one.uploads,
            )
            batches.open[one.terminal_number, batch_tag(one.number)] = batch
        for last in closed:
            batches.closed[last.terminal_number] = last
        return batches

    def find(self, terminal_number: int, number: int) -> Batch | None:
        """Give the open batch with this number."""
        batch = self.open.get((terminal_number, number % BATCH_TAGS))
        return batch if batch is not None and batch.number == number else None

    def of(self, terminal_number: int, sale: SaleData, sequence: int) -> Batch | None:
        """Give the open batch that a record belongs to, None when it was settled since."""
        batch = self.open.get((terminal_number, sale.batch_tag))
        return batch if batch is not None and sequence > batch.opened_sequence else None

    def begin(self, terminal_number: int, number: int, sequence: int, day: date) -> Batch:
        """Give the open batch with this number; open it behind `sequence` when there is none.

        An open batch of another number with the same tag is set aside: a terminal that counts
        anew, or has left sixteen batches unsettled, must still be able to sell.
        """
        key = (terminal_number, number % BATCH_TAGS)
        batch = self.open.get(key)
        if batch is not None:
            if batch.number == number:
                return batch
            self.changes.append(BatchSetAside(batch.batch_id, batch.counted, batch.totals))
        self.last_id += 1
        batch = Batch(self.last_id, terminal_number, number, sequence, sequence, BatchTotals())
        self.open[key] = batch
        self.changes.append(BatchOpened(self.last_id, terminal_number, number, sequence, day))
        return batch

    def count(self, batch: Batch | None, sequence: int, **more: int) -> None:
        """Add to the totals of a batch what the record with this sequence did to them."""
        if batch is None or sequence <= batch.counted:
            return
        told = batch.totals
        batch.totals = told._replace(**{name: getattr(told, name) + n for name, n in more.items()})
        batch.counted = sequence
        batch.changed = True

    def count_sale(self, terminal_number: int, sale: SaleData, sequence: int, amount: int) -> None:
        """Count a sale or a cleared voucher."""
        batch = self.open.get((terminal_number, sale.batch_tag))
        if batch is None or sequence <= batch.counted:
            return
        told = batch.totals
        batch.totals = BatchTotals(
            told.sales + 1,
            told.sales_sen + amount,
            told.voids,
            told.voids_sen,
            told.refunds,
            told.refunds_sen,
        )
        batch.counted = sequence
        batch.changed = True

    def dispute(self, batch: Batch, declared: BatchTotals) -> None:
        """Note that a terminal's totals differ: its sales are to be uploaded."""
        batch.state = BatchState.DISPUTED
        self.changes.append(BatchDisputed(batch.batch_id, declared))

    def upload(self, batch: Batch, record: BatchUploaded) -> bool:
        """Note one uploaded record; False when the batch has too many already."""
        if batch.uploads >= BATCH_UPLOADS_MAX:
            return False
        batch.uploads += 1
        self.changes.append(record)
        return True

    def close(self, closed: BatchClosed) -> None:
        """End a batch: nothing is posted to it any more."""
        self.open.pop((closed.terminal_number, batch_tag(closed.number)), None)
        self.closed[closed.terminal_number] = closed
        self.changes.append(closed)

    def keep(self) -> None:
        """Have the running totals kept, so that a start need not go behind them."""
        changed = [batch for batch in self.open.values() if batch.changed]
        for batch in changed:
            batch.changed = False
        if changed:
            rows = tuple((batch.batch_id, batch.counted, batch.totals) for batch in changed)
            self.changes.append(BatchesKept(rows))


def record_of(entry: Entry) -> SaleData:
    """Give what an entry's record says of its sale or compensation."""
    return SaleData.unpack(entry.transfer.user_data_64)
