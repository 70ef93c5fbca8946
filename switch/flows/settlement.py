"""Settlement 0500 and batch upload 0320 (domain.md 4.3, 4.4).

A settlement closes a batch when the terminal's totals are the switch's. When they differ (95), the
terminal uploads its records one by one, and its next settlement (960000) closes the batch whatever
it says: the ledger decides what the shop is owed, and each difference stands in the reconciliation
report. No money moves: a payout takes from the shop's payable account, settled or not, so that a
forgotten settlement never delays the shop's money.
"""

from datetime import date, timedelta

from ledger.port import Entry
from ledger.statuses import CreateTransferStatus
from programme.chart import TransferCode
from protocols.ids import transfer_id
from switch.answers import read_totals
from switch.batches import Batch, BatchState, batch_lock
from switch.changes import BatchClosed, BatchTotals, BatchUploaded
from switch.corrections import find_corrections, made_by, reversed_sen
from switch.decision import Decision, Flow, LedgerStep
from switch.memory import SALES
from switch.pipeline.context import Context, Desk
from switch.pipeline.verdict import Park

#: DE3 of a settlement that follows an upload. Source: protocols/specs/edc.toml, element 3.
_AFTER_UPLOAD = "960000"
_SATURDAY = 5
_NOTHING = BatchTotals()


def settle(context: Context) -> Flow | Decision | Park:
    """Compare totals and close the batch, or ask for its upload (95)."""
    stop = _lock(context)
    if stop is not None:
        return stop
    declared = read_totals(context.request.message)
    if declared is None or not context.request.batch:
        return Decision(code="30", evidence="shape: no totals or batch", remember=False)
    return _settle(context, declared)


def upload(context: Context) -> Flow | Decision | Park:
    """Note one record of a batch whose totals differed, beside what the ledger has of it."""
    stop = _lock(context)
    return stop if stop is not None else _upload(context)


def _lock(context: Context) -> Decision | Park | None:
    """Hold the batch: what is under way in it is finished first, what comes waits."""
    request, desk = context.request, context.desk
    if not context.terminal.active:
        refusal = desk.rules.refuse("terminal-and-shop", "03")
        return Decision(code="03", evidence=refusal.evidence, remember=False)
    context.transfer_id = request.transfer_id
    lock = batch_lock(context.terminal.terminal_number, request.batch)
    context.lock_ids = (request.transfer_id, lock)
    for key in context.lock_ids:
        if key in desk.in_flight:
            return Park(key)
    return None


def _settle(context: Context, declared: BatchTotals) -> Flow:
    """Judge when every posting before this message is in the totals."""
    yield LedgerStep()
    request, batches = context.request, context.desk.memory.batches
    terminal = context.terminal.terminal_number
    batch, last = batches.find(terminal, request.batch), batches.closed.get(terminal)
    if last is not None and last.number == request.batch:
        if last.message_id == context.transfer_id:
            if last.declared != declared:
                evidence = "the key was used for another message"
                return Decision(code="94", evidence=evidence, remember=False)
            return _answer(context, last.totals, last.day)
        if batch is None and (request.processing_code == _AFTER_UPLOAD or declared == last.totals):
            return _answer(context, last.totals, last.day)
    ours = batch.totals if batch is not None else _NOTHING
    is_uploaded = batch is not None and batch.state is BatchState.DISPUTED
    if ours != declared and not (request.processing_code == _AFTER_UPLOAD and is_uploaded):
        batches.dispute(batch or _begin(context), declared)
        return Decision(
            code="95", totals=ours, batch=request.batch, evidence="totals", remember=False
        )
    _close(context, batch or _begin(context), declared)
    return _answer(context, ours, context.desk.memory.business_date)


def _begin(context: Context) -> Batch:
    memory = context.desk.memory
    number, sequence = context.request.batch, context.desk.reader.last_sequence
    terminal = context.terminal.terminal_number
    return memory.batches.begin(terminal, number, sequence, memory.business_date)


def _close(context: Context, batch: Batch, declared: BatchTotals) -> None:
    desk = context.desk
    desk.memory.batches.close(
        BatchClosed(
            batch.batch_id,
            batch.terminal_number,
            batch.number,
            context.transfer_id,
            declared,
            batch.totals,
            desk.memory.business_date,
            desk.reader.last_sequence,
        )
    )


def _answer(context: Context, ours: BatchTotals, day: date) -> Decision:
    days = context.desk.rules.rules.settlement.payout_days
    return Decision(
        code="00",
        totals=ours,
        batch=context.request.batch,
        business_date=context.desk.memory.business_date,
        payout_date=working_day(day, days),
        remember=False,
    )


def working_day(day: date, days: int) -> date:
    """Give the date that many working days later; weekends are none, holidays are not known.

    >>> working_day(date(2026, 1, 9), 1).isoformat()
    '2026-01-12'
    """
    left = days
    while left or day.weekday() >= _SATURDAY:
        day += timedelta(days=1)
        left -= day.weekday() < _SATURDAY and left > 0
    return day


def _upload(context: Context) -> Flow:
    yield LedgerStep()
    request, desk = context.request, context.desk
    batches, terminal = desk.memory.batches, context.terminal.terminal_number
    batch = batches.find(terminal, request.batch)
    if batch is None:
        last = batches.closed.get(terminal)
        is_late = last is not None and last.number == request.batch
        code = "00" if is_late else "25"
        return Decision(code=code, evidence="the batch is not open", remember=False)
    if request.original is None:
        return Decision(code="30", evidence="shape: no DE90", remember=False)
    original_id = transfer_id(request.original_key())
    record = BatchUploaded(
        batch.batch_id,
        original_id,
        request.processing_code,
        request.amount_sen,
        posted_sen(desk, original_id, terminal, int(request.original.stan)),
    )
    if not batches.upload(batch, record):
        return Decision(code="12", evidence="too many records in one batch", remember=False)
    return Decision(code="00", batch=request.batch, remember=False)


def posted_sen(desk: Desk, message_id: int, terminal_number: int, stan: int) -> int:
    """Give what stands in the ledger of a terminal's sale, voucher, void or refund, in sen."""
    entry = desk.entry(message_id)
    if entry is None or entry.transfer.user_data_32 != terminal_number:
        return 0
    transfer = entry.transfer
    if entry.status == CreateTransferStatus.CREATED:
        if transfer.code not in SALES:
            return 0
        return transfer.amount - reversed_sen(find_corrections(desk.entry, message_id))
    if transfer.code not in (TransferCode.VOID, TransferCode.REFUND):
        return 0
    corrections = find_corrections(desk.entry, transfer.user_data_128)
    mine = [one for one in corrections if made_by(one, stan, terminal_number)]
    return _standing_sen(mine)


def _standing_sen(mine: list[Entry]) -> int:
    done = [one for one in mine if one.transfer.code != TransferCode.RESTORATION]
    return done[0].transfer.amount if done and len(mine) == len(done) else 0
