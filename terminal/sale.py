"""One operation on a card: the flow's effects carried out on card, line and journal."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from protocols.business_time import wita
from protocols.values import SecretBytes, rupiah
from terminal.card_desk import CardDesk
from terminal.exchange import Exchange, of
from terminal.host import events as out
from terminal.host.events import ChipRequest, Event, Instant
from terminal.host.table import State
from terminal.journal.records import Kind, ReversalCause
from terminal.journal.transactions import Transaction
from terminal.limits import PIN_ENTRIES_MAX, UNSETTLED_TRANSACTIONS_MAX
from terminal.line import LineDownError
from terminal.purchase.checks import Refused, check_offline_pin, check_pin
from terminal.purchase.flow import OperatorFlow
from terminal.purchase.outage import (
    OutagePolicy,
    check_voucher,
    left_for,
    limit_fact,
    voucher_number,
)
from terminal.purchase.table import Effect, FlowEvent, FlowState
from terminal.results import ResultMaker, SaleResult
from terminal.wording import NO_ANSWER

PinEntry = Callable[[], Awaitable[str]]
#: Shows the earlier sale and gives True when the operator wants another one all the same.
RepeatQuestion = Callable[[SaleResult], Awaitable[bool]]

#: Tells what may still be sold by voucher and gives True when the operator wants to.
VoucherQuestion = Callable[[int], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Hands:
    """What the people at the counter do when they are asked; without one, they are not there."""

    pin_entry: PinEntry | None = None
    repeat_question: RepeatQuestion | None = None
    voucher_question: VoucherQuestion | None = None


_CANCELLED = Refused("17", "flow.cancelled")
_NO_LINE = Refused("91", "refused.no_connection")
_BATCH_FULL = Refused("90", "refused.batch_full")
_PIN_DIFFERS = Refused("17", "refused.pin_differs")
_PIN_SAME = Refused("17", "refused.pin_same")
_STILL_OWED = "refused.reversal_pending"
#: Outcomes that an answer without a good MAC may claim and the operator should hear of.
_CLAIMS = frozenset({"03", "63"})


@dataclass(slots=True)
class Sale:
    """Carries out the effects of one flow until its result is there."""

    flow: OperatorFlow
    exchange: Exchange
    results: ResultMaker
    card: CardDesk | None = None
    hands: Hands = field(default_factory=Hands)
    same_sale_window_ns: int = 0
    outage: OutagePolicy = field(default_factory=OutagePolicy)
    original: Transaction | None = None
    _pin: SecretBytes | None = None
    _new_pin: SecretBytes | None = None
    _pin_entries: int = 0
    _refused: Refused | None = None
    _said: Refused | None = None
    _earlier: Transaction | None = None
    _transaction: Transaction | None = None
    _issuer_data: dict[str, bytes] = field(default_factory=dict)
    _outcome: str = ""
    _voucher_left_sen: int = 0

    async def run(self, effect: Effect | None) -> SaleResult:
        """Carry out effects until the flow shows its result; the card is released whatever
        happens.
        """
        try:
            while effect is not None and effect is not Effect.RELEASE:
                self._said = None
                event = await self._carry_out(effect)
                said = self._said
                effect = self.flow.handle(event) if said is None else self.flow.refuse(event, said)
        finally:
            self._pin = self._new_pin = None
            if self.exchange.session.state is State.CARD:
                # Cancelled between approval and the chip's decision: nobody knows that it stands.
                self.exchange.abandon()
            if self.card is not None:
                await self.card.release()
        assert self.flow.state is FlowState.RESULT, "a flow ends with its result"
        self.flow.handle(FlowEvent.DONE)
        return self._result()

    async def _carry_out(self, effect: Effect) -> FlowEvent:
        match effect:
            case Effect.WAIT_CARD:
                return await self._settle_first()
            case Effect.READ_CARD:
                return await self._read_card()
            case Effect.ASK_REPEAT:
                return await self._ask_repeat()
            case Effect.ASK_PIN:
                return await self._ask_pin()
            case Effect.ASK_NEW_PIN | Effect.ASK_NEW_PIN_AGAIN:
                return await self._ask_new_pin(again=effect is Effect.ASK_NEW_PIN_AGAIN)
            case Effect.ASK_HOST:
                return await self._ask_host()
            case Effect.OFFER_VOUCHER:
                return await self._offer_voucher()
            case Effect.SIGN_VOUCHER:
                return await self._sign_voucher()
            case Effect.ASK_CHIP:
                return await self._ask_chip()
            case Effect.UNDO:
                return await self._undo()
        raise AssertionError(f"{effect} is not carried out by a sale")

    async def _settle_first(self) -> FlowEvent:
        """Drive owed reversals to their answers before the next card: one thing at a time."""
        if await self.exchange.settle():
            return self._fail(self._owed_refusal())
        full = self.exchange.session.journal.unsettled >= UNSETTLED_TRANSACTIONS_MAX
        if full and self.flow.kind.counts:
            return self._fail(_BATCH_FULL)
        return FlowEvent.CARD_INSERTED

    async def _read_card(self) -> FlowEvent:
        assert self.card is not None, "a flow that reads a card was given one"
        journal, now = self.exchange.session.journal, self.exchange.now()
        refused = await self.card.read(
            self.flow.kind,
            self.flow.amount_sen,
            utc_ns=now.utc_ns,
            sequence=journal.next_stan(),
        )
        if refused is not None:
            return self._fail(refused)
        context = self.card.context
        assert context is not None
        assert context.pan is not None, "a card that was read has a number"
        if self.flow.kind is Kind.PURCHASE:
            since_ns = now.utc_ns - self.same_sale_window_ns
            self._earlier = journal.sale_like(context.pan, self.flow.amount_sen, since_ns)
            if self._earlier is not None:
                return FlowEvent.SAME_AGAIN
        return FlowEvent.PIN_WANTED if self.card.needs_pin else FlowEvent.CARD_READ

    async def _ask_repeat(self) -> FlowEvent:
        assert self._earlier is not None
        intent = self._earlier.intent
        self.flow.facts |= {
            "amount": rupiah(intent.amount_sen),
            "time": f"{wita(intent.started_ns):%H:%M}",
            "trace": f"{intent.stan:06d}",
        }
        if self.hands.repeat_question is None:
            return FlowEvent.SHOW_EARLIER
        shown = self._earlier_result()
        if not await self.hands.repeat_question(shown):
            return FlowEvent.SHOW_EARLIER
        self._earlier = None
        return FlowEvent.SELL_ANYWAY

    async def _ask_pin(self) -> FlowEvent:
        assert self.card is not None, "a PIN is asked for a card"
        if not self.card.needs_pin:
            return FlowEvent.PIN_TAKEN
        digits = await self._typed()
        if not digits:
            return self._cancel(_CANCELLED)
        if self.card.needs_offline_pin:
            refused = check_offline_pin(digits)
            if refused is None:
                refused = await self.card.check_offline_pin(SecretBytes(digits.encode("ascii")))
                if refused is not None and not self.card.needs_offline_pin:
                    return self._fail(refused)
        else:
            refused = check_pin(digits)
        if refused is not None:
            return self._ask_again(FlowEvent.PIN_REFUSED, refused)
        if check_pin(digits) is None:
            self._pin = SecretBytes(digits.encode("ascii"))
        if self.flow.kind is Kind.PIN_CHANGE:
            self._pin_entries = 0
            return FlowEvent.OLD_PIN_TAKEN
        return FlowEvent.PIN_TAKEN

    async def _ask_new_pin(self, *, again: bool) -> FlowEvent:
        digits = await self._typed()
        if not digits:
            return self._cancel(_CANCELLED)
        typed = SecretBytes(digits.encode("utf-8"))
        if again:
            if typed == self._new_pin:
                return FlowEvent.PIN_TAKEN
            return self._ask_again(FlowEvent.PIN_DIFFERS, _PIN_DIFFERS)
        refused = check_pin(digits) or (_PIN_SAME if typed == self._pin else None)
        if refused is not None:
            return self._ask_again(FlowEvent.PIN_REFUSED, refused)
        self._new_pin = typed
        return FlowEvent.PIN_TAKEN

    async def _typed(self) -> str:
        return await self.hands.pin_entry() if self.hands.pin_entry is not None else ""

    def _ask_again(self, event: FlowEvent, refused: Refused) -> FlowEvent:
        """Ask once more with the reason on the screen, unless it was asked often enough."""
        self._pin_entries += 1
        if self._pin_entries >= PIN_ENTRIES_MAX:
            return self._cancel(refused)
        self._said = refused
        return event

    async def _ask_host(self) -> FlowEvent:
        try:
            # The line first: without one the card signs nothing and no number is used up.
            await self.exchange.open_line()
        except LineDownError:
            return self._no_line()
        session = self.exchange.session
        original = self.original
        if self.flow.kind is Kind.VOID:
            assert original is not None, "a void names its sale"
            return await self._take(
                await self.exchange.request(lambda now: session.request_void(original, now))
            )
        request = await self._sign()
        if isinstance(request, Refused):
            await self.exchange.close_line()
            return self._fail(request)
        kind = self.flow.kind

        def ask(now: Instant) -> None:
            if kind is Kind.REFUND:
                assert original is not None, "a refund names its sale"
                session.request_refund(original, request, now)
            else:
                session.request_chip(kind, request, now)

        return await self._take(await self.exchange.request(ask))

    async def _sign(self) -> ChipRequest | Refused:
        assert self.card is not None, "what is asked for a card has one"
        flow = self.flow
        request = await self.card.sign(flow.amount_sen, self._pin, flow.items)
        if isinstance(request, ChipRequest):
            request = replace(request, new_pin=self._new_pin, proxy=flow.proxy)
        self._pin = self._new_pin = None
        return request

    # Outage sale

    def _no_line(self) -> FlowEvent:
        self._refused = _NO_LINE
        if self.flow.kind is not Kind.PURCHASE or not self.outage.enabled:
            return FlowEvent.NO_LINE
        assert self.card is not None, "a purchase has a card"
        context = self.card.context
        assert context is not None, "the card was read"
        assert context.pan is not None, "and has a number"
        journal = self.exchange.session.journal
        now_ns = self.exchange.now().utc_ns
        self._voucher_left_sen = left_for(self.outage, journal, context.pan, now_ns)
        refused = check_voucher(self._voucher_left_sen, self.flow.amount_sen)
        if refused is not None:
            self._refused = refused
            return FlowEvent.NO_LINE
        self.flow.facts |= limit_fact(self._voucher_left_sen)
        return FlowEvent.OUTAGE

    async def _offer_voucher(self) -> FlowEvent:
        question = self.hands.voucher_question
        if question is None or not await question(self._voucher_left_sen):
            return FlowEvent.CANCEL
        return FlowEvent.CONFIRMED

    async def _sign_voucher(self) -> FlowEvent:
        """Let the chip sign the sale and keep it durably; the goods may go then."""
        assert self.card is not None, "a voucher is signed by a card"
        request = await self._sign()
        if isinstance(request, Refused):
            self._refused = Refused(request.code, "refused.voucher_declined")
            return FlowEvent.CARD_FAILED
        await self.card.end_without_host()
        session = self.exchange.session
        number = voucher_number(session.profile.terminal_id, session.journal.next_stan())
        stan = session.keep_voucher(request, number, self.exchange.now())
        await self.exchange.write_down()
        self._refused = None
        self._transaction = session.journal.transactions[stan]
        return FlowEvent.CARD_CONFIRMED

    # The answer

    async def _take(self, events: list[Event]) -> FlowEvent:
        """Turn what the host session says into what the flow understands."""
        for owed in of(events, out.ReversalOwed):
            self._transaction = owed.transaction
            self._outcome = owed.claimed_code if owed.claimed_code in _CLAIMS else NO_ANSWER
            await self._end_card()
            return FlowEvent.NO_ANSWER
        for silence in of(events, out.NoAnswer):
            code = silence.claimed_code if silence.claimed_code in _CLAIMS else NO_ANSWER
            self._refused = Refused(code, self._silence_key(silence.cause))
            await self._end_card()
            return FlowEvent.FINISHED
        (answered,) = of(events, out.Answered)
        self._transaction, self._issuer_data = answered.transaction, answered.issuer_data
        for completed in of(events, out.Completed):
            self._transaction = completed.transaction
        if self.exchange.session.state is State.CARD:
            return FlowEvent.APPROVED
        if self.card is not None:
            await self.card.decide(self._response_code(), self._issuer_data)
        return FlowEvent.FINISHED

    async def _ask_chip(self) -> FlowEvent:
        assert self.card is not None
        confirmed = await self.card.decide(self._response_code(), self._issuer_data)
        events = await self.exchange.decide(card_confirmed=confirmed)
        for completed in of(events, out.Completed):
            self._transaction = completed.transaction
            return FlowEvent.CARD_CONFIRMED
        self._outcome = "88"
        return FlowEvent.CARD_DECLINED

    async def _undo(self) -> FlowEvent:
        still_owed = await self.exchange.settle()
        assert self._transaction is not None
        stan = self._transaction.intent.stan
        self._transaction = self.exchange.session.journal.transactions[stan]
        return FlowEvent.STILL_OWED if still_owed else FlowEvent.UNDONE

    async def _end_card(self) -> None:
        if self.card is not None:
            await self.card.end_without_host()

    def _response_code(self) -> str:
        assert self._transaction is not None
        assert self._transaction.answer is not None
        return self._transaction.answer.response_code

    def _owed_refusal(self) -> Refused:
        owed = self.exchange.session.journal.owed()[0].intent
        return Refused("91", _STILL_OWED, {"trace": f"{owed.stan:06d}"})

    def _fail(self, refused: Refused) -> FlowEvent:
        self._refused = refused
        return FlowEvent.CARD_FAILED

    def _cancel(self, refused: Refused) -> FlowEvent:
        self._refused = refused
        return FlowEvent.CANCEL

    def _earlier_result(self) -> SaleResult:
        assert self._earlier is not None
        now_ns = self.exchange.now().utc_ns
        return self.results.of_transaction(self._earlier, now_ns=now_ns, repeated=True)

    def _result(self) -> SaleResult:
        now_ns = self.exchange.now().utc_ns
        if self._refused is not None:
            return self.results.unsent(
                self.flow.kind,
                self._refused,
                amount_sen=self.flow.amount_sen,
                now_ns=now_ns,
                last_four=self.card.last_four if self.card else "",
            )
        if self._earlier is not None:
            return self._earlier_result()
        assert self._transaction is not None
        return self.results.of_transaction(self._transaction, now_ns=now_ns, outcome=self._outcome)

    def _silence_key(self, cause: ReversalCause) -> str:
        if self.flow.kind is Kind.PIN_CHANGE:
            return "refused.pin_change_unknown"
        lost = cause is ReversalCause.CONNECTION_LOST
        return "refused.no_connection" if lost else "refused.no_answer_inquiry"
