"""Balance inquiry and mini statement: no posting, no PIN; at zero the reason why (R34)."""

from collections.abc import Iterable
from dataclasses import replace

from ledger.port import Entry
from programme.chart import SaleData, TransferCode
from protocols.business_time import wita
from switch.corrections import find_corrections, undone_sen
from switch.decision import Decision, Flow, LedgerStep, StatementLine
from switch.memory import SALES
from switch.pipeline.context import Context

#: What a statement line says of an entry that is no purchase. Bahasa Indonesia, as receipts.
_TEXTS = {
    TransferCode.DISBURSEMENT: "BANTUAN MASUK",
    TransferCode.REVERSAL: "BATAL OTOMATIS",
    TransferCode.VOID: "PEMBATALAN",
    TransferCode.REFUND: "PENGEMBALIAN",
    TransferCode.RESTORATION: "BATAL DIURUNGKAN",
    TransferCode.SWEEP: "DITARIK KEMBALI",
}
_AT_SHOPS = frozenset(
    {
        TransferCode.REVERSAL,
        TransferCode.VOID,
        TransferCode.REFUND,
        TransferCode.RESTORATION,
    }
)
_PURCHASE_TEXT = "BELANJA PANGAN"


def tell_balance(context: Context) -> Flow:
    """Answer the balance with its months, the last purchase and the next payment's date.

    Z01 when nothing was ever paid, Z02 when all is spent.
    """
    account_id = context.card_found.account_id
    answer = yield LedgerStep(
        account_ids=(account_id,), months_account_id=account_id, last_sales_account_id=account_id
    )
    (account,) = answer.accounts
    if account is None:
        return Decision(code="96", evidence="the card's account is not in the ledger")
    balance = account.credit_balance - account.debits_pending
    reason = "" if balance else ("Z02" if account.credits_posted else "Z01")
    desk = context.desk
    decision = Decision(
        code="00",
        balance_sen=balance,
        reason=reason,
        months=answer.months,
        planned_date=desk.rules.rules.payment_plan.next_after(desk.memory.business_date),
        last_purchase=_last_standing(context, answer.last_sales),
    )
    return _kept(context, decision)


def _last_standing(context: Context, sales: Iterable[Entry]) -> StatementLine | None:
    """Give the newest purchase that was not undone whole."""
    for entry in sales:
        corrections = find_corrections(context.desk.entry, entry.transfer.id)
        left = entry.transfer.amount - undone_sen(corrections)
        if left > 0:
            line = _line(context, entry, entry.transfer.debit_account_id)
            return replace(line, amount_sen=left)
    return None


def tell_statement(context: Context) -> Flow:
    """Answer the last movements of the card, newest first."""
    account_id = context.card_found.account_id
    answer = yield LedgerStep(account_ids=(account_id,), statement_account_id=account_id)
    (account,) = answer.accounts
    if account is None:
        return Decision(code="96", evidence="the card's account is not in the ledger")
    lines = tuple(_line(context, entry, account_id) for entry in answer.statement)
    balance = account.credit_balance - account.debits_pending
    return _kept(context, Decision(code="00", balance_sen=balance, statement=lines))


def _kept(context: Context, decision: Decision) -> Decision:
    """Remember the answer: a repeat brings the same counter, and must not be called a replay."""
    decision = decision._replace(chip_proved=True)
    context.desk.memory.answers.keep(context.transfer_id, context.fingerprint, decision)
    return decision


def _line(context: Context, entry: Entry, account_id: int) -> StatementLine:
    transfer = entry.transfer
    is_debit = transfer.debit_account_id == account_id
    code = TransferCode(transfer.code)
    sold = code in SALES
    day = (
        SaleData.unpack(transfer.user_data_64).business_date
        if sold or code in _AT_SHOPS
        else wita(transfer.timestamp).date()
    )
    text = _TEXTS.get(code, code.name)
    if sold:
        shop = context.desk.registry.merchant_by_account(transfer.credit_account_id)
        text = shop.name if shop is not None else _PURCHASE_TEXT
    return StatementLine(day, -transfer.amount if is_debit else transfer.amount, text)
