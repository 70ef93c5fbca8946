"""End-of-day reconciliation: the switch's batches = the ledger = the terminals' totals.

Nothing here trusts a running total: every batch is summed again from the ledger's records and set
beside what the switch counted, what the terminal declared and what it uploaded. Each difference is
one row, with both figures. Reading only: people decide what a difference means.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from enum import StrEnum

from ledger.port import Entry
from ledger.statuses import CreateTransferStatus
from programme.chart import SaleData, TransferCode
from programme.refunds import NO_TERMINAL
from switch.batches import batch_tag
from switch.changes import BatchRow, BatchTotals, BatchUploaded
from switch.limits import SETTLED_DAYS_KEPT

_SALES = frozenset({TransferCode.PURCHASE, TransferCode.OUTAGE_SALE})
_UNDOING = frozenset({TransferCode.VOID, TransferCode.REFUND})
_NOTHING = BatchTotals()


class Kind(StrEnum):
    """What differs."""

    SWITCH = "switch total"
    TERMINAL = "terminal total"
    UPLOAD = "uploaded record"
    NOT_UPLOADED = "record not uploaded"
    ANSWER = "answer without its record"
    NO_BATCH = "record in no batch"
    LATE = "reversed after settlement"
    NOT_SETTLED = "not settled"
    OFFICE = "refunded by an office"


#: Kinds that say where work waits or what no batch has, not that figures disagree.
NOTICES = frozenset({Kind.LATE, Kind.NOT_SETTLED, Kind.OFFICE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One row of the report. Money in sen; `reference` is a transfer id or the total's name."""

    kind: Kind
    terminal_number: int
    batch: int
    day: date
    reference: str
    ledger_sen: int
    other_sen: int


@dataclass(slots=True)
class _Counted:
    """One batch, summed again."""

    row: BatchRow
    totals: BatchTotals = _NOTHING
    #: What the ledger had when the switch last kept its running totals.
    as_counted: BatchTotals = _NOTHING
    records: dict[int, int] = field(default_factory=dict)

    def add(self, sequence: int, **more: int) -> None:
        """Add what one record did."""
        self.totals = _plus(self.totals, more)
        if sequence <= self.row.counted:
            self.as_counted = _plus(self.as_counted, more)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The result: how much was compared, and every difference."""

    batches: int
    settled: int
    totals: BatchTotals
    differences: tuple[Difference, ...]

    def with_more(self, more: Iterable[Difference]) -> "Reconciliation":
        """Give the result with further differences."""
        return replace(self, differences=(*self.differences, *more))

    @property
    def agrees(self) -> bool:
        """Tell whether all figures agree; what waits is no disagreement."""
        return all(one.kind in NOTICES for one in self.differences)


class _Fold:
    """One pass over the ledger."""

    def __init__(self, rows: Sequence[BatchRow], today: date) -> None:
        #: Batches settled before this day are no longer kept: their records stand alone.
        self._first_day = today - timedelta(days=SETTLED_DAYS_KEPT)
        self.batches = {row.batch_id: _Counted(row) for row in rows}
        self._by_key: dict[tuple[int, int], list[_Counted]] = defaultdict(list)
        for counted in self.batches.values():
            row = counted.row
            self._by_key[row.terminal_number, batch_tag(row.number)].append(counted)
        #: What stands of each sale, and the batch that it is in.
        self._sales: dict[int, tuple[int, _Counted | None]] = {}
        #: Voids and refunds by sale: the correction, its maker's data, its batch.
        self._undoing: dict[int, list[tuple[Entry, _Counted | None]]] = defaultdict(list)
        #: Keys of void and refund messages by maker (terminal, data) and sale.
        self._messages: dict[tuple[int, int, int], int] = {}
        self.differences: list[Difference] = []

    def take(self, entry: Entry) -> None:
        """Take one record in, in the order of the ledger."""
        code = entry.transfer.code
        if entry.status != CreateTransferStatus.CREATED:
            if code in _UNDOING:
                self._name_message(entry)
        elif code in _SALES:
            self._sale(entry)
        elif code == TransferCode.REVERSAL:
            self._reversal(entry)
        elif code in _UNDOING:
            self._undo(entry)
        elif code == TransferCode.RESTORATION:
            self._restoration(entry)

    def _sale(self, entry: Entry) -> None:
        transfer = entry.transfer
        batch = self._batch_of(entry)
        self._sales[transfer.id] = (transfer.amount, batch)
        if not transfer.amount:
            return
        if batch is None:
            self._differ(Kind.NO_BATCH, entry, None, transfer.amount)
            return
        batch.records[transfer.id] = transfer.amount
        batch.add(entry.sequence, sales=1, sales_sen=transfer.amount)

    def _reversal(self, entry: Entry) -> None:
        amount, sale_id = entry.transfer.amount, entry.transfer.user_data_128
        left, batch = self._sales.get(sale_id, (0, None))
        self._sales[sale_id] = (left - amount, batch)
        if batch is None:
            return
        closed = batch.row.closed_sequence
        if closed is not None and entry.sequence > closed:
            self._differ(Kind.LATE, entry, batch, -amount)
            return
        if left == amount:
            # Whatever an office gave back of it before: the batch has no such sale any more.
            amount = batch.records.get(sale_id, 0)
        batch.records[sale_id] = batch.records.get(sale_id, 0) - amount
        batch.add(entry.sequence, sales=-(left == entry.transfer.amount), sales_sen=-amount)

    def _undo(self, entry: Entry) -> None:
        transfer = entry.transfer
        sale_id, amount = transfer.user_data_128, transfer.amount
        left, sold_in = self._sales.get(sale_id, (0, None))
        self._sales[sale_id] = (left - amount, sold_in)
        if transfer.user_data_32 == NO_TERMINAL:
            self._differ(Kind.OFFICE, entry, None, -amount)
            return
        batch = self._batch_of(entry)
        self._undoing[sale_id].append((entry, batch))
        if batch is None:
            self._differ(Kind.NO_BATCH, entry, None, amount)
        elif transfer.code == TransferCode.VOID:
            batch.add(entry.sequence, voids=1, voids_sen=amount)
        else:
            batch.add(entry.sequence, refunds=1, refunds_sen=amount)

    def _name_message(self, marker: Entry) -> None:
        """The marker of a void or refund stands right behind its correction and names its key."""
        transfer = marker.transfer
        made = self._undoing.get(transfer.user_data_128)
        if made:
            entry, batch = made[-1]
            if batch is not None and entry.transfer.code == transfer.code:
                batch.records[transfer.id] = entry.transfer.amount
                key = (transfer.user_data_128, transfer.user_data_32, entry.transfer.id)
                self._messages[key] = transfer.id

    def _restoration(self, entry: Entry) -> None:
        transfer = entry.transfer
        sale_id = transfer.user_data_128
        left, sold_in = self._sales.get(sale_id, (0, None))
        self._sales[sale_id] = (left + transfer.amount, sold_in)
        for done, batch in self._undoing[sale_id]:
            made = done.transfer
            if (made.user_data_64, made.user_data_32) != (
                transfer.user_data_64,
                transfer.user_data_32,
            ):
                continue
            if batch is None:
                return
            closed = batch.row.closed_sequence
            if closed is not None and entry.sequence > closed:
                self._differ(Kind.LATE, entry, batch, transfer.amount)
                return
            batch.records.pop(self._messages.get((sale_id, made.user_data_32, made.id), 0), None)
            if made.code == TransferCode.VOID:
                batch.add(entry.sequence, voids=-1, voids_sen=-transfer.amount)
            else:
                batch.add(entry.sequence, refunds=-1, refunds_sen=-transfer.amount)
            return

    def _batch_of(self, entry: Entry) -> _Counted | None:
        transfer = entry.transfer
        sale = SaleData.unpack(transfer.user_data_64)
        found = None
        for counted in self._by_key.get((transfer.user_data_32, sale.batch_tag), ()):
            row = counted.row
            ended = row.closed_sequence is not None and entry.sequence > row.closed_sequence
            if row.opened_sequence < entry.sequence and not ended:
                found = counted
        return found

    def _differ(self, kind: Kind, entry: Entry, batch: _Counted | None, amount: int) -> None:
        transfer = entry.transfer
        day = SaleData.unpack(transfer.user_data_64).business_date
        if kind is Kind.NO_BATCH and day < self._first_day:
            return
        self.differences.append(
            Difference(
                kind=kind,
                terminal_number=transfer.user_data_32,
                batch=batch.row.number if batch is not None else 0,
                day=day,
                reference=f"{transfer.id:032x}",
                ledger_sen=amount,
                other_sen=0,
            )
        )


def reconcile(
    entries: Iterable[Entry],
    batches: Sequence[BatchRow],
    uploads: Sequence[BatchUploaded],
    today: date,
) -> Reconciliation:
    """Compare every batch with the ledger, with its terminal's totals and with its upload.

    `entries` is the whole ledger in order, as far as the batches know it; `today` the business
    date, before which an open batch counts as not settled.
    """
    fold = _Fold(batches, today)
    for entry in entries:
        fold.take(entry)
    by_batch: dict[int, list[BatchUploaded]] = defaultdict(list)
    for one in uploads:
        by_batch[one.batch_id].append(one)
    found = list(fold.differences)
    whole = BatchTotals()
    for counted in fold.batches.values():
        whole = BatchTotals(*(a + b for a, b in zip(whole, counted.totals, strict=True)))
        found += _judge(counted, by_batch.get(counted.row.batch_id, []), today)
    settled = sum(row.state == "closed" for row in batches)
    return Reconciliation(len(batches), settled, whole, tuple(found))


def _judge(
    counted: _Counted, uploads: Sequence[BatchUploaded], today: date
) -> Iterator[Difference]:
    row = counted.row
    ours = counted.totals if row.state == "closed" else counted.as_counted
    yield from _compare(Kind.SWITCH, row, ours, row.totals)
    if row.declared is not None and row.state == "closed":
        yield from _compare(Kind.TERMINAL, row, counted.totals, row.declared)
    for one in uploads:
        posted = counted.records.get(one.transfer_id, 0)
        if one.claimed_sen != posted:
            reference = f"{one.transfer_id:032x}"
            yield _row(Kind.UPLOAD, row, reference, posted, one.claimed_sen)
    if uploads and row.state == "closed":
        told = {one.transfer_id for one in uploads}
        for transfer_id, amount in counted.records.items():
            if amount and transfer_id not in told:
                yield _row(Kind.NOT_UPLOADED, row, f"{transfer_id:032x}", amount, 0)
    if row.state != "closed" and row.opened_on < today:
        net = counted.totals.sales_sen - counted.totals.voids_sen - counted.totals.refunds_sen
        yield _row(Kind.NOT_SETTLED, row, row.state, net, 0)


def _compare(
    kind: Kind, row: BatchRow, ledger: BatchTotals, other: BatchTotals
) -> Iterator[Difference]:
    for name in BatchTotals._fields:
        left, right = getattr(ledger, name), getattr(other, name)
        if left != right:
            yield _row(kind, row, name, left, right)


def _row(kind: Kind, row: BatchRow, reference: str, ledger: int, other: int) -> Difference:
    return Difference(
        kind=kind,
        terminal_number=row.terminal_number,
        batch=row.number,
        day=row.closed_on or row.opened_on,
        reference=reference,
        ledger_sen=ledger,
        other_sen=other,
    )


def _plus(totals: BatchTotals, more: Mapping[str, int]) -> BatchTotals:
    return totals._replace(**{name: getattr(totals, name) + n for name, n in more.items()})
