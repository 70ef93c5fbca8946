"""Purchase: the stages, one transfer, and the answer that its record gives (now or ever again)."""

from ledger.port import Entry
from ledger.statuses import CreateTransferStatus
from ledger.structures import Transfer
from programme.chart import SaleData, TransferCode
from programme.slip_code import slip_code
from programme.tranches import MonthLeft
from switch.approval import approval_code
from switch.changes import OutageCounted
from switch.corrections import find_corrections, undone_sen
from switch.decision import Decision, Flow, LedgerStep, StepResult
from switch.flows import postings
from switch.memory import SALES
from switch.outcomes import OutcomeKind, ledger_outcomes
from switch.pipeline.city_rules import note_emptied
from switch.pipeline.context import Context
from switch.pipeline.outage import signed_on


def post_sale(context: Context) -> Flow:
    """Post the purchase that passed every stage; the append is the decision.

    Where the city allows a partial approval and the terminal can handle it, the ledger takes what
    the card has (10).
    """
    rule = context.desk.rules.rules.partial_approval
    is_partial = rule.enabled and context.request.accepts_partial
    return _post(context, TransferCode.PURCHASE, is_partial=is_partial)


def post_voucher(context: Context) -> Flow:
    """Post a voucher of an outage: whole, or what the card has where the city allows it (R30)."""
    desk, request = context.desk, context.request
    use = desk.memory.outage
    use.count(
        OutageCounted(
            context.transfer_id,
            context.card_found.account_id,
            context.terminal.terminal_number,
            signed_on(request),
            request.amount_sen,
        )
    )
    is_partial = desk.rules.rules.outage_sale.partial_recovery
    try:
        decision = yield from _post(context, TransferCode.OUTAGE_SALE, is_partial=is_partial)
    except GeneratorExit:
        use.release(context.transfer_id)
        raise
    if not decision.approved:
        use.release(context.transfer_id)
    return decision


def _post(context: Context, code: TransferCode, *, is_partial: bool) -> Flow:
    memory = context.desk.memory
    sale = postings.sale_data(context)
    transfer = postings.sale(context, sale, code, is_partial=is_partial)
    day = memory.business_date
    terminal, batch = transfer.user_data_32, context.request.batch
    if memory.batches.find(terminal, batch) is None:
        memory.batches.begin(terminal, batch, context.desk.reader.last_sequence, day)
    account, shop = transfer.debit_account_id, transfer.credit_account_id
    memory.velocity.sell(transfer.id, account, shop, transfer.amount, day)
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
    return (yield from settle_sale(context, sale, transfer, answer))


def settle_sale(context: Context, sale: SaleData, transfer: Transfer, answer: StepResult) -> Flow:
    """Answer a sale or voucher by what the ledger said of its transfer."""
    memory = context.desk.memory
    terminal, code = transfer.user_data_32, TransferCode(transfer.code)
    (result,), (entry,) = answer.results, answer.entries
    outcome = ledger_outcomes()[result.status]
    if result.status is CreateTransferStatus.CREATED:
        assert entry is not None, "a created transfer is on record"
        posted = entry.transfer.amount
        if posted < transfer.amount:
            memory.velocity.undo(transfer.id, transfer.amount - posted)
        memory.day_index.note(terminal, sale, transfer.id, code)
        if posted:
            memory.batches.count_sale(terminal, sale, entry.sequence, posted)
        if posted and not entry.debit_balance_after:
            note_emptied(context)
        return _approved(context, entry, answer.months)
    memory.velocity.undo(transfer.id, transfer.amount)
    if outcome.kind is OutcomeKind.LOOK and entry is not None:
        return (yield from answer_from_record(context, entry))
    balance = entry.debit_balance_after if entry is not None and outcome.code == "51" else None
    return Decision(
        code=outcome.code,
        balance_sen=balance,
        evidence=f"ledger: {result.status.name}",
        remember=False,
    )


def _approved(context: Context, entry: Entry, months: tuple[MonthLeft, ...]) -> Decision:
    """Give the answer of a posted sale: 00, 10 for a part, 51 when there was nothing to take."""
    posted, balance = entry.transfer.amount, entry.debit_balance_after
    if not posted:
        return Decision(code="51", balance_sen=balance, evidence="ledger: 0", remember=False)
    is_whole = posted == context.request.amount_sen
    return Decision(
        code="00" if is_whole else "10",
        approved_sen=None if is_whole else posted,
        approval_code=approval_code(entry.transfer.id),
        balance_sen=balance,
        months=months,
        slip_code=slip_code(entry),
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
    if transfer.code not in SALES or transfer.user_data_128 != context.fingerprint:
        return Decision(code="94", evidence="the key was used for another message", remember=False)
    status = CreateTransferStatus(entry.status)
    if status is not CreateTransferStatus.CREATED:
        code = ledger_outcomes()[status].code
        balance = entry.debit_balance_after if code == "51" else None
        return Decision(code=code, balance_sen=balance, remember=False)
    undone = undone_sen(find_corrections(context.desk.entry, transfer.id))
    if transfer.amount and undone >= transfer.amount:
        return Decision(code="76", evidence="reversed since", remember=False)
    answer = yield LedgerStep(months_account_id=transfer.debit_account_id, months_of_id=transfer.id)
    derive_cryptogram_key(context)
    return _approved(context, entry, answer.months)


def derive_cryptogram_key(context: Context) -> None:
    """Find the chip's session key again: the fingerprint proved that the ARQC is the same one."""
    request, desk = context.request, context.desk
    card = desk.registry.card_by_pan(request.pan) if request.pan is not None else None
    if card is not None and request.pan is not None and request.atc:
        keys = desk.chip_keys
        context.cryptogram_key = keys.session_key(request.pan, card.pan_sequence, request.atc)
