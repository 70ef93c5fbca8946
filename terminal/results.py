"""What a caller of the terminal gets: one result per operation, with its two slips."""

from dataclasses import dataclass

from protocols.catalogue import text
from terminal.journal.records import Answer, Kind, LastPurchase, MonthLeft
from terminal.journal.transactions import Status, Transaction
from terminal.purchase.checks import Refused
from terminal.receipt import Copy, Shop, Slip, SlipStatus, render
from terminal.wording import NO_ANSWER, Wording, outcome_text, word

_APPROVED = ("00", "10")


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleResult:
    """How a purchase, void or balance inquiry ended.

    `outcome` is DE39: the host's, or the terminal's own (13 amount, 17 cancelled, 68 no answer,
    88 card unusable, 91 no connection). `detail` is the terminal's own sentence, if it has one.
    `reversed` tells that a reversal was queued, `reversal_settled` that it was answered and nothing
    is left to undo. `repeated` tells that nothing new was sold: this is the earlier result.
    `stan` 0 means that nothing was sent. Amounts are sen.
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

    @property
    def approved(self) -> bool:
        """Tell whether the transaction stands."""
        return self.outcome in _APPROVED and not self.reversed


@dataclass(frozen=True, slots=True)
class ResultMaker:
    """Makes results for one terminal: its heading, its language."""

    shop: Shop
    lang: str

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
            receipt_toko=render(slip, Copy.MERCHANT, reprint=repeated, lang=self.lang),
            receipt_pembeli=render(slip, Copy.CUSTOMER, reprint=repeated, lang=self.lang),
        )

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
        )
        return SaleResult(
            kind=kind,
            outcome=refused.code,
            texts=word(refused.code, help_line=self.shop.help_line, lang=self.lang),
            detail=refused.sentence(self.lang),
            amount_sen=amount_sen,
            last_four=last_four,
            receipt_toko=render(slip, Copy.MERCHANT, lang=self.lang),
            receipt_pembeli=render(slip, Copy.CUSTOMER, lang=self.lang),
        )

    def _detail(self, transaction: Transaction, repeated: bool) -> str:
        """Give the terminal's own sentence, where the host's outcome does not say it all."""
        trace = f"{transaction.intent.stan:06d}"
        match transaction.status:
            case Status.REVERSED:
                return text("flow.reversal_done", self.lang, trace=trace)
            case Status.REVERSING:
                return text("refused.reversal_pending", self.lang, trace=trace)
            case Status.DISPUTED:
                return text("slip.disputed", self.lang)
            case Status.COMPLETED if repeated:
                return text("flow.same_again_shown", self.lang)
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
        # A sale that was undone must not show the balance or the code of its approval.
        told = answer if answer is not None and transaction.reversal is None else None
        return Slip(
            shop=self.shop,
            kind=intent.kind,
            status=status,
            printed_ns=transaction.completed_ns or (answer.received_ns if answer else now_ns),
            response_code=outcome_text(code).code,
            amount_sen=told.amount_sen
            if stands and told and told.amount_sen
            else intent.amount_sen,
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
        )


def _code_of(transaction: Transaction) -> str:
    if transaction.reversal is not None or transaction.answer is None:
        return NO_ANSWER
    return transaction.answer.response_code


def _slip_status(transaction: Transaction) -> SlipStatus:
    if transaction.status is Status.COMPLETED:
        return SlipStatus.APPROVED
    if transaction.status is Status.DISPUTED:
        return SlipStatus.DISPUTED
    if transaction.status in (Status.REFUSED, Status.REVERSED):
        return SlipStatus.FAILED
    if not transaction.intent.kind.moves_money:
        return SlipStatus.FAILED
    return SlipStatus.PENDING
