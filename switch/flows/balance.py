"""Balance inquiry and mini statement: no posting, no PIN; at zero the reason why (R34)."""

from dataclasses import replace

from ledger.port import Entry
from programme.chart import SaleData, TransferCode
from protocols.business_time import wita
from switch.decision import Decision, Flow, LedgerStep, StatementLine
from switch.pipeline.context import Context

#: What a statement line says of an entry that is no purchase. Bahasa Indonesia, as receipts.
_TEXTS = {
    TransferCode.DISBURSEMENT: "BANTUAN MASUK",
    TransferCode.REVERSAL: "BATAL OTOMATIS",
    TransferCode.VOID: "PEMBATALAN",
    TransferCode.REFUND: "PENGEMBALIAN",
    TransferCode.SWEEP: "DITARIK KEMBALI",
}
_PURCHASE_TEXT = "BELANJA PANGAN"


def tell_balance(context: Context) -> Flow:
    """Answer the balance with its months; Z01 when nothing was ever paid, Z02 when all is spent."""
    account_id = context.card_found.account_id
    answer = yield LedgerStep(account_ids=(account_id,), months_account_id=account_id)
    (account,) = answer.accounts
    if account is None:
        return Decision(code="96", evidence="the card's account is not in the ledger")
    balance = account.credit_balance - account.debits_pending
    reason = "" if balance else ("Z02" if account.credits_posted else "Z01")
    return _kept(
        context, Decision(code="00", balance_sen=balance, reason=reason, months=answer.months)
    )


def tell_statement(context: Context) -> Flow:
    """Answer the last movements of the card, newest first."""
    account_id = context.card_found.account_id
    answer = yield LedgerStep(account_ids=(account_id,), statement_account_id=account_id)
    (account,) = answer.accounts
    if account is None:
        return Decision(code="96", evidence="the card's account is not in the ledger")
    lines = tuple(_line(entry, account_id) for entry in answer.statement)
    balance = account.credit_balance - account.debits_pending
    return _kept(context, Decision(code="00", balance_sen=balance, statement=lines))


def _kept(context: Context, decision: Decision) -> Decision:
    """Remember the answer: a repeat brings the same counter, and must not be called a replay."""
    decision = replace(decision, chip_proved=True)
    context.desk.memory.answers.keep(context.transfer_id, context.fingerprint, decision)
    return decision


def _line(entry: Entry, account_id: int) -> StatementLine:
    transfer = entry.transfer
    is_debit = transfer.debit_account_id == account_id
    code = TransferCode(transfer.code)
    sold = code in (TransferCode.PURCHASE, TransferCode.OUTAGE_SALE)
    day = (
        SaleData.unpack(transfer.user_data_64).business_date
        if sold or code in (TransferCode.REVERSAL, TransferCode.VOID, TransferCode.REFUND)
        else wita(transfer.timestamp).date()
    )
    text = _PURCHASE_TEXT if sold else _TEXTS.get(code, code.name)
    return StatementLine(day, -transfer.amount if is_debit else transfer.amount, text)
