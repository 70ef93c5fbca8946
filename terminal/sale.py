"""One operation on a card: the flow's effects carried out on card, line and journal."""

from dataclasses import dataclass, field, replace

from protocols.business_time import wita
from protocols.values import rupiah
from terminal.card_desk import CardDesk
from terminal.exchange import Exchange, of
from terminal.hands import Hands
from terminal.host import events as out
from terminal.host.events import ChipRequest, Event, Instant
from terminal.host.table import State
from terminal.journal.records import Kind, ReversalCause
from terminal.journal.transactions import Transaction
from terminal.limits import UNSETTLED_TRANSACTIONS_MAX
from terminal.line import LineDownError
from terminal.pin_desk import Asked, PinDesk
from terminal.purchase.checks import Refused
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

_NO_LINE = Refused("91", "refused.no_connection")
_BATCH_FULL = Refused("90", "refused.batch_full")
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
    _pins: PinDesk = field(init=False)
    _refused: Refused | None = None
    _said: Refused | None = None
    _earlier: Transaction | None = None
    _transaction: Transaction | None = None
    _issuer_data: dict[str, bytes] = field(default_factory=dict)
    _outcome: str = ""
    _voucher_left_sen: int = 0

    def __post_init__(self) -> None:
        session = self.exchange.session
        self._pins = PinDesk(self.card, self.hands, lambda: session.session_keys)

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
            self._pins.forget()
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
                changes = self.flow.kind is Kind.PIN_CHANGE
                return self._asked(await self._pins.ask(self.flow.screen, changes=changes))
            case Effect.ASK_NEW_PIN | Effect.ASK_NEW_PIN_AGAIN:
                again = effect is Effect.ASK_NEW_PIN_AGAIN
                return self._asked(await self._pins.ask_new(self.flow.screen, again=again))
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

    def _asked(self, asked: Asked) -> FlowEvent:
        if asked.ends:
            self._refused = asked.refused
        else:
            self._said = asked.refused
        return asked.event

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
        flow, pins = self.flow, self._pins
        refused = pins.why_not_send(self.exchange.session.session_keys)
        if refused is not None:
            return refused
        request = await self.card.sign(flow.amount_sen, pins.pin, flow.items)
        if isinstance(request, ChipRequest):
            request = replace(request, new_pin=pins.new_pin, proxy=flow.proxy)
        pins.forget()
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
