"""What undoes an original: derived ids, never more than the original, lost races looked at again.

Design decision 6: compensation k has an id made from (original, k). Whoever finds an ordinal taken
reads again and tries the next.
"""

from ledger.port import Entry
from ledger.statuses import CreateTransferStatus
from ledger.structures import Transfer
from programme.chart import SaleData, TransferCode
from protocols.ids import compensation_id
from switch.approval import approval_code
from switch.decision import Decision, Flow, LedgerStep
from switch.flows import postings
from switch.limits import COMPENSATIONS_MAX
from switch.outcomes import OutcomeKind, ledger_outcomes
from switch.pipeline.context import Context, Desk


def find_compensations(desk: Desk, original_id: int) -> list[Entry]:
    """Give the compensations of an original in order; refused ones moved nothing and count not."""
    return [
        entry for entry in _taken(desk, original_id) if entry.status == CreateTransferStatus.CREATED
    ]


def _taken(desk: Desk, original_id: int) -> list[Entry]:
    found: list[Entry] = []
    for ordinal in range(COMPENSATIONS_MAX):
        entry = desk.entry(compensation_id(original_id, ordinal))
        if entry is None:
            break
        found.append(entry)
    return found


def compensate(
    context: Context, original: Transfer, wanted_sen: int, code: TransferCode, *, total: bool
) -> Flow:
    """Give money back until `wanted_sen` of the original is undone (`total`) or once more by it.

    Answers 00 with the card's balance; also when nothing is left to undo of a `total`. Answers 77
    when the original does not hold as much as is asked.
    """
    desk = context.desk
    for _attempt in range(COMPENSATIONS_MAX + 1):
        taken = _taken(desk, original.id)
        undone = sum(e.transfer.amount for e in taken if e.status == CreateTransferStatus.CREATED)
        amount = wanted_sen - undone if total else wanted_sen
        if amount <= 0:
            return Decision(code="00", evidence="undone before", remember=False)
        if amount > original.amount - undone:
            return Decision(code="77", evidence="more than is left of it", remember=False)
        if len(taken) >= COMPENSATIONS_MAX:
            break
        transfer = postings.compensation(context, original, len(taken), amount, code)
        answer = yield LedgerStep(
            transfers=(transfer,),
            entry_ids=(transfer.id,),
            months_account_id=transfer.credit_account_id,
            months_of_id=transfer.id,
        )
        (result,), (entry,) = answer.results, answer.entries
        if result.status is CreateTransferStatus.CREATED:
            assert entry is not None, "a created transfer is on record"
            _note(desk, original, transfer)
            return Decision(
                code="00",
                approval_code="" if code is TransferCode.REVERSAL else approval_code(transfer.id),
                balance_sen=entry.credit_balance_after,
                months=answer.months,
                remember=False,
            )
        outcome = ledger_outcomes()[result.status]
        if outcome.kind is not OutcomeKind.LOOK:
            return Decision(
                code=outcome.code, evidence=f"ledger: {result.status.name}", remember=False
            )
    return Decision(code="96", evidence="too many compensations", remember=False)


def _note(desk: Desk, original: Transfer, done: Transfer) -> None:
    desk.memory.velocity.undo(original.id, done.amount)
    sale = SaleData.unpack(done.user_data_64)
    desk.memory.day_index.note(done.user_data_32, sale, done.id, done.code)
