"""Reversal 0400, 0401, 0420, 0421: the answer was lost, so the sale is undone (decision 6).

It waits while its original is under way; it never trusts the message for account or amount; it may
come before its original, which is then refused; it may come any number of times.
"""

from collections.abc import Sequence

from ledger.statuses import CreateTransferStatus
from programme.chart import TransferCode
from protocols.ids import transfer_id
from protocols.refusals import Refusal
from switch.decision import Decision, Flow, LedgerStep
from switch.flows import postings
from switch.flows.compensations import compensate
from switch.limits import ATTEMPTS_MAX
from switch.outcomes import OutcomeKind, ledger_outcomes
from switch.pipeline.context import Context
from switch.pipeline.verdict import Park

_REVERSIBLE = frozenset({TransferCode.PURCHASE, TransferCode.OUTAGE_SALE})
_UNDOING = frozenset({TransferCode.VOID, TransferCode.REFUND})


def lock_original(context: Context) -> Refusal | Park | None:
    """Name the original by DE90, DE41 and DE37; park while it is under way."""
    request = context.request
    if request.original is None:
        return Refusal("30", evidence="shape: no DE90")
    context.lock_id = transfer_id(request.original_key())
    if context.lock_id in context.desk.in_flight:
        return Park(context.lock_id)
    return None


def reverse(context: Context) -> Flow:
    """Burn the original's id, or undo what it posted; 00 whenever nothing is left to undo."""
    desk, request = context.desk, context.request
    assert request.original is not None
    original_id = context.lock_id
    desk.memory.answers.forget(original_id)
    purse = min(desk.rules.rules.food_only.purse_by_account_type.values())
    for _attempt in range(ATTEMPTS_MAX):
        entry = desk.entry(original_id)
        if entry is None:
            if _is_applied_compensation(context):
                return Decision(code="12", evidence="a void or refund is repeated, not reversed")
            answer = yield LedgerStep(transfers=(postings.tombstone(context, original_id, purse),))
            (result,) = answer.results
            outcome = ledger_outcomes()[result.status]
            if result.status is CreateTransferStatus.DEBIT_ACCOUNT_NOT_FOUND:
                return Decision(code="00", evidence="tombstone", remember=False)
            if outcome.kind is not OutcomeKind.LOOK:
                return Decision(code="96", evidence=f"ledger: {result.status.name}")
        elif entry.status != CreateTransferStatus.CREATED:
            return Decision(code="00", evidence="nothing to undo", remember=False)
        elif entry.transfer.code not in _REVERSIBLE:
            return Decision(code="12", evidence="not a sale")
        else:
            wanted = entry.transfer.amount - _kept_sen(context, entry.transfer.amount)
            return (
                yield from compensate(
                    context, entry.transfer, wanted, TransferCode.REVERSAL, total=True
                )
            )
    return Decision(code="96", evidence="the original changed under every attempt")


def _kept_sen(context: Context, amount_sen: int) -> int:
    """Give what DE95 lets stand of the sale: nothing unless it is less than the whole."""
    kept = context.request.replacement_sen
    return kept if 0 < kept < amount_sen else 0


def _is_applied_compensation(context: Context) -> bool:
    original = context.request.original
    assert original is not None
    found = context.desk.memory.day_index.find(context.terminal.terminal_number, int(original.stan))
    return found is not None and found[1] in _codes(_UNDOING)


def _codes(codes: frozenset[TransferCode]) -> Sequence[int]:
    return [int(code) for code in codes]
