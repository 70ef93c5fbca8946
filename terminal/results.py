"""What a caller of the terminal gets: one result per operation, with its two slips."""

from dataclasses import dataclass

from protocols.catalogue import text
from protocols.values import rupiah
from terminal.journal.batches import Batch, BatchStatus
from terminal.journal.records import (
    Answer,
    Complaint,
    Intent,
    Kind,
    LastPurchase,
    MonthLeft,
    StatementLine,
    Totals,
)
from terminal.journal.transactions import Status, Transaction
from terminal.paper import NARROW
from terminal.purchase.checks import Refused
from terminal.receipt import render, render_complaint
from terminal.slip import Copy, Shop, Slip, SlipStatus
from terminal.wording import NO_ANSWER, Wording, outcome_text, own_word, word

_APPROVED = ("00", "10")
#: The outcome of what waits in the terminal until the bank can be reached.
_NOT_REACHED = "91"
#: Whose slips are nobody's business but the holder's.
_HOLDERS_OWN = frozenset({Kind.BALANCE, Kind.STATEMENT, Kind.PIN_CHANGE})
#: Where a transaction stands while its end is not known.
_OPEN = frozenset({Status.REVERSING, Status.REDUCING, Status.QUEUED})


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleResult:
    """How one operation at the terminal ended.

    `outcome` is DE39: the host's, or the terminal's own (13 amount, 17 cancelled, 68 no answer,
    88 card unusable, 91 no connection). `detail` is the terminal's own sentence, if it has one.
    `reversed` tells that a reversal was queued, `reversal_settled` that it was answered and nothing
    is left to undo. `repeated` tells that nothing new was sold: this is the earlier result.
    `stan` 0 means that nothing was sent. Amounts are sen. `voucher` is the number of an outage
    sale that waits for the bank, `complaint` that of a complaint; `statement` and `totals` are a
    mini statement's and a settlement's. `slip_number` is the STAN of what its slips tell where that
    is not its own (a partial reversal); `is_open` tells that they do not tell its end yet.
    """

    kind: Kind
    outcome: str
    texts: Wording
    detail: str = ""
    amount_sen: int = 0
    stan: int = 0
    rrn: str = ""
    approval_code: str = ""
    balance_sen: int | None = None
    months: tuple[MonthLeft, ...] = ()
    planned_on: str = ""
    last_purchases: tuple[LastPurchase, ...] = ()
    reason: str = ""
    slip_code: str = ""
    last_four: str = ""
    reversed: bool = False
    reversal_settled: bool = False
    repeated: bool = False
    receipt_toko: str = ""
    receipt_pembeli: str = ""
    voucher: str = ""
    complaint: str = ""
    statement: tuple[StatementLine, ...] = ()
    totals: tuple[Totals, ...] = ()
    paid_on: str = ""
    slip_number: int = 0
    is_open: bool = False

    @property
    def is_as_first_told(self) -> bool:
        """Tell whether what its first slip said still stands, with nothing to add."""
        return self.outcome == "00" and not (self.is_open or self.slip_number)

    @property
    def approved(self) -> bool:
        """Tell whether the transaction stands, or the chip has signed it for later."""
        return (self.outcome in _APPROVED or bool(self.voucher)) and not self.reversed


@dataclass(frozen=True, slots=True)
class ResultMaker:
    """Makes results for one terminal: its heading, its language."""

    shop: Shop
    lang: str
    columns: int = NARROW

    def of_transaction(
        self,
        transaction: Transaction,
        *,
        now_ns: int,
        outcome: str = "",
        repeated: bool = False,
    ) -> SaleResult:
        """Give the result of what the journal knows; the slip says no more than is certain.

        `outcome` replaces the answer's DE39 where the terminal knows better (68, 88).
        """
        intent, answer = transaction.intent, transaction.answer
        code = outcome or _code_of(transaction)
        slip = self._slip(transaction, code, now_ns)
        waits = slip.status is SlipStatus.VOUCHER
        known = answer or Answer(stan=intent.stan, response_code=code, received_ns=0)
        return SaleResult(
            kind=intent.kind,
            outcome=code,
            texts=self._words(code, known),
            detail=self._detail(transaction, repeated),
            amount_sen=slip.amount_sen,
            stan=intent.stan,
            rrn=intent.rrn,
            approval_code=slip.approval_code,
            balance_sen=slip.balance_sen,
            months=slip.months,
            planned_on=known.planned_on,
            last_purchases=known.last_purchases,
            reason=known.reason,
            slip_code=slip.slip_code,
            last_four=slip.last_four,
            reversed=transaction.reversal is not None,
            reversal_settled=transaction.status is Status.REVERSED,
            repeated=repeated,
            receipt_toko=self._of_shop(slip, repeated),
            receipt_pembeli=self._render(slip, Copy.CUSTOMER, repeated),
            voucher=intent.voucher if waits else "",
            statement=slip.statement,
            slip_number=_slip_number(transaction),
            is_open=transaction.status in _OPEN,
        )

    def of_batch(
        self, batch: Batch, intent: Intent, answer: Answer | None, *, now_ns: int, repeated: bool
    ) -> SaleResult:
        """Give the result of a batch's settlement as it stands."""
        status, code = _of_batch(batch, answer)
        slip = Slip(
            shop=self.shop,
            kind=Kind.SETTLEMENT,
            status=status,
            printed_ns=answer.received_ns if answer else now_ns,
            response_code=code,
            amount_sen=intent.totals[0].net_sen,
            batch=batch.number,
            stan=intent.stan,
            rrn=intent.rrn,
            totals=intent.totals,
            bank_totals=answer.totals if answer else (),
            paid_on=answer.paid_on if answer else "",
        )
        keys = {
            SlipStatus.WAITING: "refused.settlement_waits",
            SlipStatus.DISPUTED: "refused.settlement_disputed",
        }
        detail = keys.get(status)
        return SaleResult(
            kind=Kind.SETTLEMENT,
            outcome=code,
            texts=self._words(code, answer or Answer(stan=0, response_code=code, received_ns=0)),
            detail=text(detail, self.lang, batch=f"{batch.number:06d}") if detail else "",
            amount_sen=slip.amount_sen,
            stan=intent.stan,
            rrn=intent.rrn,
            repeated=repeated,
            totals=intent.totals,
            paid_on=slip.paid_on,
            receipt_toko=self._render(slip, Copy.MERCHANT, repeated),
        )

    def of_complaint(self, complaint: Complaint, now_ns: int) -> SaleResult:
        """Give the slip of a complaint (R36)."""
        slip = Slip(
            shop=self.shop,
            kind=Kind.COMPLAINT,
            status=SlipStatus.APPROVED,
            printed_ns=now_ns,
            response_code="00",
            amount_sen=0,
            original_stan=complaint.stan,
        )
        number, category = complaint.number, complaint.category
        printed = render_complaint(slip, number, category, lang=self.lang, columns=self.columns)
        return SaleResult(
            kind=Kind.COMPLAINT,
            outcome="00",
            texts=word("00", help_line=self.shop.help_line, lang=self.lang),
            detail=text("slip.complaint", self.lang, number=number),
            complaint=number,
            receipt_toko=printed,
            receipt_pembeli=printed,
        )

    def _of_shop(self, slip: Slip, repeated: bool = False) -> str:
        """Give the shop's copy; of what is the holder's alone there is none."""
        if slip.kind in _HOLDERS_OWN:
            return ""
        return self._render(slip, Copy.MERCHANT, repeated)

    def _render(self, slip: Slip, copy: Copy, repeated: bool = False) -> str:
        return render(slip, copy, reprint=repeated, lang=self.lang, columns=self.columns)

    def unsent(
        self,
        kind: Kind,
        refused: Refused,
        *,
        amount_sen: int,
        now_ns: int,
        last_four: str = "",
    ) -> SaleResult:
        """Give the result of what ended before anything was sent."""
        slip = Slip(
            shop=self.shop,
            kind=kind,
            status=SlipStatus.FAILED,
            printed_ns=now_ns,
            response_code=refused.code,
            amount_sen=amount_sen if amount_sen > 0 and amount_sen % 100 == 0 else 0,
            last_four=last_four,
            notice=refused.sentence(self.lang),
            own=refused.key,
        )
        words = word(refused.code, help_line=self.shop.help_line, lang=self.lang)
        return SaleResult(
            kind=kind,
            outcome=refused.code,
            texts=own_word(refused.key, refused.sentence(self.lang), words, self.lang),
            detail=refused.sentence(self.lang),
            amount_sen=amount_sen,
            last_four=last_four,
            receipt_toko=self._of_shop(slip),
            receipt_pembeli=self._render(slip, Copy.CUSTOMER),
        )

    def _detail(self, transaction: Transaction, repeated: bool) -> str:
        """Give the terminal's own sentence, where the host's outcome does not say it all."""
        trace = f"{transaction.intent.stan:06d}"
        match transaction.status:
            case Status.REVERSED:
                return text("flow.reversal_done", self.lang, trace=trace)
            case Status.REVERSING | Status.REDUCING:
                return text("refused.reversal_pending", self.lang, trace=trace)
            case Status.DISPUTED:
                return text("slip.disputed", self.lang)
            case Status.QUEUED:
                return text("slip.voucher", self.lang)
            case Status.COMPLETED if repeated:
                return text("flow.same_again_shown", self.lang)
        return self._notice(transaction)

    def _notice(self, transaction: Transaction) -> str:
        """Give what a slip of something approved says beside its figures."""
        intent, amount_sen = transaction.intent, transaction.amount_sen
        if transaction.status is not Status.COMPLETED:
            return ""
        if transaction.actual_sen:
            assert transaction.answer is not None, "it was approved before it was reduced"
            asked = transaction.answer.amount_sen or intent.amount_sen
            values = {"asked": rupiah(asked), "actual": rupiah(amount_sen)}
            return text("slip.reduced", self.lang, **values)
        if intent.kind is Kind.PIN_CHANGE:
            return text("slip.pin_changed", self.lang)
        if intent.kind is Kind.PURCHASE and amount_sen < intent.amount_sen:
            return text("slip.partial", self.lang, amount=rupiah(amount_sen))
        return ""

    def _words(self, code: str, answer: Answer) -> Wording:
        return word(
            code,
            reason=answer.reason,
            balance_sen=answer.balance_sen,
            help_line=self.shop.help_line,
            lang=self.lang,
        )

    def _slip(self, transaction: Transaction, code: str, now_ns: int) -> Slip:
        intent, answer = transaction.intent, transaction.answer
        status = _slip_status(transaction)
        stands = status is SlipStatus.APPROVED
        amount_sen = transaction.amount_sen if stands else intent.amount_sen
        # A sale that was undone must not show the balance or the code of its approval.
        told = answer if answer is not None and transaction.reversal is None else None
        return Slip(
            shop=self.shop,
            kind=intent.kind,
            status=status,
            printed_ns=transaction.completed_ns or (answer.received_ns if answer else now_ns),
            response_code=outcome_text(code).code,
            amount_sen=amount_sen,
            batch=intent.batch,
            stan=intent.stan,
            rrn=intent.rrn,
            approval_code=told.approval_code if stands and told else "",
            last_four=intent.pan.last_four if intent.pan else "",
            entry=intent.entry,
            items=intent.items,
            balance_sen=told.balance_sen if told else None,
            months=told.months if told else (),
            planned_on=told.planned_on if told else "",
            last_purchases=told.last_purchases if told else (),
            reason=told.reason if told else "",
            slip_code=told.slip_code if stands and told else "",
            pin_verified=intent.pin_entered,
            original_stan=intent.original_stan,
            asked_sen=intent.amount_sen if stands and amount_sen < intent.amount_sen else 0,
            proxy=bool(intent.proxy),
            voucher=intent.voucher,
            statement=told.statement if told else (),
            planned_sen=told.planned_sen if told else 0,
            notice=self._notice(transaction),
        )


def _slip_number(transaction: Transaction) -> int:
    """Give the STAN of a partial reversal that has been done, 0 without one."""
    reduction = transaction.reduction
    return reduction.reversal_stan if reduction is not None and transaction.actual_sen else 0


def _code_of(transaction: Transaction) -> str:
    if transaction.status is Status.QUEUED:
        return _NOT_REACHED
    if transaction.reversal is not None or transaction.answer is None:
        return NO_ANSWER
    return transaction.answer.response_code


def _slip_status(transaction: Transaction) -> SlipStatus:
    status, kind = transaction.status, transaction.intent.kind
    if status in (Status.COMPLETED, Status.REDUCING):
        return SlipStatus.APPROVED
    if status is Status.DISPUTED:
        return SlipStatus.DISPUTED
    if kind is Kind.VOUCHER:
        return SlipStatus.VOUCHER if status is Status.QUEUED else SlipStatus.UNPAID
    if status in (Status.REFUSED, Status.REVERSED) or not kind.moves_money:
        return SlipStatus.FAILED
    return SlipStatus.PENDING


def _of_batch(batch: Batch, answer: Answer | None) -> tuple[SlipStatus, str]:
    if batch.status is BatchStatus.CLOSED:
        return SlipStatus.APPROVED, "00"
    if batch.status is BatchStatus.DISPUTED:
        return SlipStatus.DISPUTED, answer.response_code if answer else NO_ANSWER
    return SlipStatus.WAITING, _NOT_REACHED
