"""Purchase: the stages, one transfer, and the answer that its record gives (now or ever again)."""

from ledger.port import Entry
from ledger.statuses import CreateTransferStatus
from programme.chart import SaleData, TransferCode
from programme.slip_code import slip_code
from switch.approval import approval_code
from switch.decision import Decision, Flow, LedgerStep
from switch.flows import postings
from switch.flows.compensations import find_corrections, undone_sen
from switch.outcomes import OutcomeKind, ledger_outcomes
from switch.pipeline.context import Context


def post_sale(context: Context) -> Flow:
    """Post the purchase that passed every stage; the append is the decision."""
    memory = context.desk.memory
    transfer = postings.sale(context)
    day = memory.business_date
    memory.velocity.sell(transfer.id, transfer.debit_account_id, transfer.amount, day)
    try:
        answer = yield LedgerStep(
            transfers=(transfer,),
            entry_ids=(transfer.id,),
            months_account_id=transfer.debit_account_id,
            months_of_id=transfer.id,
        )
    except GeneratorExit:
        memory.velocity.undo(transfer.id, transfer.amount)
        raise
    (result,), (entry,) = answer.results, answer.entries
    outcome = ledger_outcomes()[result.status]
    if result.status is not CreateTransferStatus.CREATED:
        memory.velocity.undo(transfer.id, transfer.amount)
    if result.status is CreateTransferStatus.CREATED:
        assert entry is not None, "a created transfer is on record"
        sale = SaleData.unpack(transfer.user_data_64)
        memory.day_index.note(transfer.user_data_32, sale, transfer.id, transfer.code)
        return Decision(
            code="00",
            approval_code=approval_code(transfer.id),
            balance_sen=entry.debit_balance_after,
            months=answer.months,
            slip_code=slip_code(entry),
        )
    if outcome.kind is OutcomeKind.LOOK and entry is not None:
        return (yield from answer_from_record(context, entry))
    balance = entry.debit_balance_after if entry is not None and outcome.code == "51" else None
    return Decision(
        code=outcome.code,
        balance_sen=balance,
        evidence=f"ledger: {result.status.name}",
        remember=False,
    )


def answer_from_record(context: Context, entry: Entry) -> Flow:
    """Give the stored answer of a message that the ledger knows, or 94, or 76 when it was undone.

    An approved sale that has been reversed is never approved again: each approved answer has
    exactly one unreversed posting.
    """
    transfer = entry.transfer
    if transfer.code == TransferCode.TOMBSTONE:
        return Decision(code="76", evidence="reversed before it came", remember=False)
    if transfer.code != TransferCode.PURCHASE or transfer.user_data_128 != context.fingerprint:
        return Decision(code="94", evidence="the key was used for another message", remember=False)
    status = CreateTransferStatus(entry.status)
    if status is not CreateTransferStatus.CREATED:
        code = ledger_outcomes()[status].code
        balance = entry.debit_balance_after if code == "51" else None
        return Decision(code=code, balance_sen=balance, remember=False)
    if undone_sen(find_corrections(context.desk, transfer.id)) >= transfer.amount:
        return Decision(code="76", evidence="reversed since", remember=False)
    answer = yield LedgerStep(months_account_id=transfer.debit_account_id, months_of_id=transfer.id)
    derive_cryptogram_key(context)
    return Decision(
        code="00",
        approval_code=approval_code(transfer.id),
        balance_sen=entry.debit_balance_after,
        months=answer.months,
        slip_code=slip_code(entry),
        remember=False,
    )


def derive_cryptogram_key(context: Context) -> None:
    """Find the chip's session key again: the fingerprint proved that the ARQC is the same one."""
    request, desk = context.request, context.desk
    card = desk.registry.card_by_pan(request.pan) if request.pan is not None else None
    if card is not None and request.pan is not None and request.atc:
        keys = desk.chip_keys
        context.cryptogram_key = keys.session_key(request.pan, card.pan_sequence, request.atc)
