"""What undoes an original: derived ids, never more than the original, lost races looked at again.

Design decision 6: correction k of an original has an id made from (original, k). Whoever finds an
ordinal taken reads again and tries the next. Compensations give money back; a restoration takes a
void or refund back whose answer was lost.
"""

from collections.abc import Generator

from ledger.port import Entry
from ledger.statuses import CreateTransferStatus
from ledger.structures import Transfer
from programme.chart import SaleData, TransferCode
from programme.slip_code import slip_code
from switch.approval import approval_code
from switch.corrections import find_corrections, made_by, undone_sen
from switch.decision import Decision, Flow, LedgerStep, StepResult
from switch.flows import postings
from switch.limits import COMPENSATIONS_MAX
from switch.outcomes import OutcomeKind, ledger_outcomes
from switch.pipeline.context import Context, Desk


def compensate(
    context: Context, original: Transfer, wanted_sen: int, code: TransferCode, *, total: bool
) -> Flow:
    """Give money back until `wanted_sen` of the original is undone (`total`) or once more by it.

    Answers 00 with the card's balance; also when nothing is left to undo of a `total`. Answers 77
    when the original does not hold as much as is asked.
    """
    desk = context.desk
    for _attempt in range(COMPENSATIONS_MAX + 1):
        taken = find_corrections(desk.entry, original.id)
        undone = undone_sen(taken)
        amount = wanted_sen - undone if total else wanted_sen
        if amount <= 0:
            return Decision(code="00", evidence="undone before", remember=False)
        if amount > original.amount - undone:
            return Decision(code="77", evidence="more than is left of it", remember=False)
        if len(taken) >= COMPENSATIONS_MAX:
            break
        transfer = postings.compensation(context, original, len(taken), amount, code)
        decision = yield from _post(context, original, transfer)
        if decision is not None:
            return decision
    return Decision(code="96", evidence="too many corrections", remember=False)


def _post(
    context: Context, original: Transfer, transfer: Transfer
) -> Generator[LedgerStep, StepResult, Decision | None]:
    """Post a compensation; give the decision, or None when its ordinal was taken meanwhile."""
    code = TransferCode(transfer.code)
    is_own_message = code is not TransferCode.REVERSAL
    marker = (postings.marker(context, original, code),) if is_own_message else ()
    answer = yield LedgerStep(
        transfers=(transfer, *marker),
        entry_ids=(transfer.id,),
        months_account_id=transfer.credit_account_id,
        months_of_id=transfer.id,
    )
    status, (entry,) = answer.results[0].status, answer.entries
    if status is CreateTransferStatus.CREATED:
        assert entry is not None, "a created transfer is on record"
        _note(context.desk, original, entry)
        return Decision(
            code="00",
            approval_code=approval_code(transfer.id) if is_own_message else "",
            balance_sen=entry.credit_balance_after,
            months=answer.months,
            slip_code=slip_code(entry),
            remember=False,
        )
    outcome = ledger_outcomes()[status]
    if outcome.kind is OutcomeKind.LOOK:
        return None
    return Decision(code=outcome.code, evidence=f"ledger: {status.name}", remember=False)


def restore(context: Context, sale_id: int, stan: int, terminal_number: int) -> Flow:
    """Take back the void or refund that this terminal made under this STAN; 00 when none stands.

    Answers 51 when the card has spent the money meanwhile: the terminal must show that, and people
    decide.
    """
    desk = context.desk
    for _attempt in range(COMPENSATIONS_MAX + 1):
        taken = find_corrections(desk.entry, sale_id)
        mine = [entry for entry in taken if made_by(entry, stan, terminal_number)]
        done = [one for one in mine if one.transfer.code != TransferCode.RESTORATION]
        if not done or len(mine) > len(done) or len(taken) >= COMPENSATIONS_MAX:
            return Decision(code="00", evidence="nothing to undo", remember=False)
        transfer = postings.restoration(done[0].transfer, sale_id, len(taken))
        answer = yield LedgerStep(transfers=(transfer,), entry_ids=(transfer.id,))
        (result,), (entry,) = answer.results, answer.entries
        if result.status is CreateTransferStatus.CREATED:
            assert entry is not None, "a created transfer is on record"
            desk.memory.count_restoration(entry, done[0])
            day = SaleData.unpack(transfer.user_data_64).business_date
            account, shop = transfer.debit_account_id, transfer.credit_account_id
            desk.memory.velocity.sell(sale_id, account, shop, transfer.amount, day)
            return Decision(code="00", evidence="void undone", remember=False)
        outcome = ledger_outcomes()[result.status]
        if outcome.kind is not OutcomeKind.LOOK:
            evidence = f"ledger: {result.status.name}"
            return Decision(code=outcome.code, evidence=evidence, remember=False)
    return Decision(code="96", evidence="too many corrections", remember=False)


def _note(desk: Desk, original: Transfer, done: Entry) -> None:
    memory, transfer = desk.memory, done.transfer
    memory.velocity.undo(original.id, transfer.amount)
    sale = SaleData.unpack(transfer.user_data_64)
    memory.day_index.note(transfer.user_data_32, sale, transfer.id, transfer.code)
    corrections = find_corrections(desk.entry, original.id)
    before = [one for one in corrections if one.sequence < done.sequence]
    original_entry = desk.entry(original.id)
    assert original_entry is not None, "what is undone is on record"
    memory.count_correction(done, original_entry, before)
