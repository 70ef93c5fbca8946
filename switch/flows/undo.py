"""Void and refund: money back to the same card from the same shop, never trusting the message.

A void undoes a whole sale of the same terminal and business date; a refund any part of a sale while
something of it is left (R16, domain.md 4.4, design decision 6). Both name their original by DE90,
or by DE37 when it is of today; their own repeat finds its compensation and hears the same answer.
"""

from datetime import timedelta

from ledger.port import Entry
from ledger.statuses import CreateTransferStatus
from programme.chart import SaleData, TransferCode
from programme.slip_code import slip_code
from protocols.ids import transfer_id
from protocols.refusals import Refusal
from switch.approval import approval_code
from switch.batches import batch_lock
from switch.corrections import find_corrections, made_by, undone_sen
from switch.decision import Decision, Flow, LedgerStep
from switch.flows.compensations import compensate
from switch.memory import SALES
from switch.pipeline.context import Context
from switch.pipeline.verdict import Park


def lock_original(context: Context) -> Refusal | Park | None:
    """Find the original's key; refuse 25 when it cannot be found, park while it is under way."""
    request, desk = context.request, context.desk
    context.transfer_id = request.transfer_id
    context.fingerprint = request.fingerprint
    if request.original is not None:
        context.original_id = transfer_id(request.original_key())
    else:
        stan = request.rrn[-6:]
        terminal = context.terminal.terminal_number
        found = desk.memory.day_index.find(terminal, int(stan)) if stan.isdecimal() else None
        if found is None or found[1] not in SALES:
            return Refusal("25", evidence="compensation: no such sale")
        context.original_id = found[0]
    if context.original_id == context.transfer_id:
        return Refusal("30", evidence="compensation: it names itself")
    context.lock_ids = (context.transfer_id, context.original_id)
    settlement = batch_lock(context.terminal.terminal_number, request.batch)
    for key in (*context.lock_ids, settlement):
        if key in desk.in_flight:
            return Park(key)
    return None


def find_repeat(context: Context, code: TransferCode) -> Flow | Decision | None:
    """Give the stored answer when the ledger knows this very message, None when it is new.

    76 when it was reversed, before or after it came; 94 when its key was another message's.
    """
    entry = context.desk.entry(context.transfer_id)
    if entry is None:
        return None
    known = entry.transfer
    if known.code == TransferCode.TOMBSTONE:
        return Decision(code="76", evidence="reversed before it came", remember=False)
    if known.code != code or known.user_data_128 != context.original_id:
        return Decision(code="94", evidence="the key was used for another message", remember=False)
    stan, terminal = int(context.request.stan), context.terminal.terminal_number
    corrections = find_corrections(context.desk.entry, context.original_id)
    mine = [made for made in corrections if made_by(made, stan, terminal)]
    done = [made for made in mine if made.transfer.code == code]
    if not done or len(mine) > len(done):
        return Decision(code="76", evidence="reversed since", remember=False)
    if done[0].transfer.amount != context.request.amount_sen:
        return Decision(code="94", evidence="the key was used for another message", remember=False)
    return _answer_repeat(done[0])


def find_original(context: Context) -> Entry | Refusal:
    """Give the sale that stands; refuse 25 when there is none, 77 when card or amount differ."""
    entry = context.desk.entry(context.original_id)
    if entry is None or entry.status != CreateTransferStatus.CREATED:
        return Refusal("25", evidence="compensation: no such sale")
    original, request = entry.transfer, context.request
    if original.code not in SALES:
        return Refusal("25", evidence="compensation: not a sale")
    if request.amount_sen > original.amount or request.amount_sen <= 0:
        return Refusal("77", evidence="compensation: amount")
    if request.pan is not None:
        card = context.desk.registry.card_by_pan(request.pan)
        if card is None or card.account_id != original.debit_account_id:
            return Refusal("77", evidence="compensation: card")
    return entry


def _answer_repeat(entry: Entry) -> Flow:
    done = entry.transfer
    answer = yield LedgerStep(months_account_id=done.credit_account_id, months_of_id=done.id)
    return Decision(
        code="00",
        approval_code=approval_code(done.id),
        balance_sen=entry.credit_balance_after,
        months=answer.months,
        slip_code=slip_code(entry),
        remember=False,
    )


def void(context: Context) -> Flow | Decision:
    """Undo a whole sale of this terminal and business date; 76 when it is undone already."""
    entry = find_original(context)
    if isinstance(entry, Refusal):
        return refused(entry)
    desk, original = context.desk, entry.transfer
    if undone_sen(find_corrections(desk.entry, original.id)):
        return Decision(code="76", evidence="compensation: undone before", remember=False)
    if context.request.amount_sen != original.amount:
        return refused(desk.rules.refuse("compensation", "77"))
    if SaleData.unpack(original.user_data_64).business_date != desk.memory.business_date:
        return refused(desk.rules.refuse("compensation", "12"))
    batch = desk.memory.batch_of(entry)
    if batch is None or batch.number != context.request.batch:
        return refused(desk.rules.refuse("compensation", "12"))
    return compensate(context, original, original.amount, TransferCode.VOID, total=True)


def refund(context: Context) -> Flow | Decision:
    """Give back a part of a sale, or all that is left of it; 77 when that is less."""
    entry = find_original(context)
    if isinstance(entry, Refusal):
        return refused(entry)
    desk, original = context.desk, entry.transfer
    sold_on = SaleData.unpack(original.user_data_64).business_date
    days = desk.rules.rules.compensation.refund_days
    if desk.memory.business_date > sold_on + timedelta(days=days):
        return refused(desk.rules.refuse("compensation", "12"))
    amount, memory = context.request.amount_sen, desk.memory
    terminal, batch = context.terminal.terminal_number, context.request.batch
    if memory.batches.find(terminal, batch) is None:
        memory.batches.begin(terminal, batch, desk.reader.last_sequence, memory.business_date)
    return compensate(context, original, amount, TransferCode.REFUND, total=False)


def refused(refusal: Refusal) -> Decision:
    """Give the decision that a refusal is."""
    return Decision(code=refusal.code, reason=refusal.reason, evidence=refusal.evidence)
