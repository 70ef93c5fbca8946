"""Reversal 0400, 0401, 0420, 0421: the answer was lost, so the message is undone (decision 6).

It waits while its original is under way; it never trusts the message for account or amount; it may
come before its original, which is then refused; it may come any number of times. A void or refund
whose answer was lost is undone too: then the sale stands again.
"""

from ledger.port import Entry
from ledger.statuses import CreateTransferStatus
from programme.chart import SaleData, TransferCode
from protocols.ids import transfer_id
from protocols.refusals import Refusal
from switch.decision import Decision, Flow, LedgerStep
from switch.flows import postings
from switch.flows.compensations import compensate, restore
from switch.limits import ATTEMPTS_MAX
from switch.outcomes import OutcomeKind, ledger_outcomes
from switch.pipeline.context import Context
from switch.pipeline.verdict import Park

_REVERSIBLE = frozenset({TransferCode.PURCHASE, TransferCode.OUTAGE_SALE})
_UNDOING = frozenset({TransferCode.VOID, TransferCode.REFUND})


def lock_original(context: Context) -> Refusal | Park | None:
    """Name the original by DE90, DE41 and DE37; park while it is under way."""
    request, desk = context.request, context.desk
    if request.original is None:
        return Refusal("30", evidence="shape: no DE90")
    original_id = transfer_id(request.original_key())
    context.original_id = original_id
    context.lock_ids = (original_id,)
    entry = desk.entry(original_id)
    if entry is not None and _undid_something(entry):
        context.lock_ids = (original_id, entry.transfer.user_data_128)
    for key in context.lock_ids:
        if key in desk.in_flight:
            return Park(key)
    return None


def reverse(context: Context) -> Flow:
    """Burn the original's id, or undo what it posted; 00 whenever nothing is left to undo."""
    desk, original_id = context.desk, context.original_id
    purse = min(desk.rules.rules.food_only.purse_by_account_type.values())
    for _attempt in range(ATTEMPTS_MAX):
        entry = desk.entry(original_id)
        if entry is not None:
            return (yield from _undo(context, entry))
        answer = yield LedgerStep(transfers=(postings.tombstone(context, original_id, purse),))
        (result,) = answer.results
        if result.status is CreateTransferStatus.DEBIT_ACCOUNT_NOT_FOUND:
            return Decision(code="00", evidence="tombstone", remember=False)
        if ledger_outcomes()[result.status].kind is not OutcomeKind.LOOK:
            return Decision(code="96", evidence=f"ledger: {result.status.name}", remember=False)
    return Decision(code="96", evidence="the original changed under every attempt", remember=False)


def _undo(context: Context, entry: Entry) -> Flow:
    transfer = entry.transfer
    if _undid_something(entry):
        made = SaleData.unpack(transfer.user_data_64)
        sale_id, terminal = transfer.user_data_128, transfer.user_data_32
        return (yield from restore(context, sale_id, made.stan, terminal))
    if entry.status != CreateTransferStatus.CREATED:
        return Decision(code="00", evidence="nothing to undo", remember=False)
    if transfer.code not in _REVERSIBLE:
        return Decision(code="12", evidence="not a sale", remember=False)
    wanted = transfer.amount - _kept_sen(context, transfer.amount)
    code = TransferCode.REVERSAL
    return (yield from compensate(context, transfer, wanted, code, total=True))


def _undid_something(entry: Entry) -> bool:
    """Tell whether this record is the marker of a void or refund."""
    return entry.status != CreateTransferStatus.CREATED and entry.transfer.code in _UNDOING


def _kept_sen(context: Context, amount_sen: int) -> int:
    """Give what DE95 lets stand of the sale; more than the whole cannot be, and is not believed."""
    kept = context.request.replacement_sen
    return kept if 0 < kept <= amount_sen else 0
