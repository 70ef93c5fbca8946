"""One sale, balance inquiry or void: the flow's effects carried out on card, line and journal."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from protocols.business_time import wita
from protocols.values import SecretBytes, rupiah
from terminal.card_desk import CardDesk
from terminal.exchange import Exchange, of
from terminal.host import events as out
from terminal.host.events import Event
from terminal.host.table import State
from terminal.journal.records import Kind, ReversalCause
from terminal.journal.transactions import Transaction
from terminal.limits import PIN_ENTRIES_MAX
from terminal.line import LineDownError
from terminal.purchase.checks import Refused, check_pin
from terminal.purchase.flow import OperatorFlow
from terminal.purchase.table import Effect, FlowEvent, FlowState
from terminal.results import ResultMaker, SaleResult
from terminal.wording import NO_ANSWER

PinEntry = Callable[[], Awaitable[str]]
#: Shows the earlier sale and gives True when the operator wants another one all the same.
RepeatQuestion = Callable[[SaleResult], Awaitable[bool]]

_CANCELLED = Refused("17", "flow.cancelled")
_NO_LINE = Refused("91", "refused.no_connection")
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
    pin_entry: PinEntry | None = None
    repeat_question: RepeatQuestion | None = None
    same_sale_window_ns: int = 0
    original: Transaction | None = None
    _pin: SecretBytes | None = None
    _pin_entries: int = 0
    _refused: Refused | None = None
    _earlier: Transaction | None = None
    _transaction: Transaction | None = None
    _issuer_data: dict[str, bytes] = field(default_factory=dict)
    _outcome: str = ""

    async def run(self, effect: Effect | None) -> SaleResult:
        """Carry out effects until the flow shows its result; the card is released whatever
        happens.
        """
        try:
            while effect is not None and effect is not Effect.RELEASE:
                effect = self.flow.handle(await self._carry_out(effect))
        finally:
            self._pin = None
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
            case Effect.ASK_HOST:
                return await self._ask_host()
            case Effect.ASK_CHIP:
                return await self._ask_chip()
            case Effect.UNDO:
                return await self._undo()
        raise AssertionError(f"{effect} is not carried out by a sale")

    async def _settle_first(self) -> FlowEvent:
        """Drive owed reversals to their answers before the next card: one thing at a time."""
        if await self.exchange.settle():
            return self._fail(self._owed_refusal())
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
        if self.repeat_question is None:
            return FlowEvent.SHOW_EARLIER
        shown = self._earlier_result()
        if not await self.repeat_question(shown):
            return FlowEvent.SHOW_EARLIER
        self._earlier = None
        return FlowEvent.SELL_ANYWAY

    async def _ask_pin(self) -> FlowEvent:
        assert self.card is not None
        if not self.card.needs_pin:
            return FlowEvent.PIN_TAKEN
        if self.pin_entry is None:
            return self._cancel(_CANCELLED)
        digits = await self.pin_entry()
        if not digits:
            return self._cancel(_CANCELLED)
        refused = check_pin(digits)
        if refused is None:
            self._pin = SecretBytes(digits.encode("ascii"))
            return FlowEvent.PIN_TAKEN
        self._pin_entries += 1
        if self._pin_entries >= PIN_ENTRIES_MAX:
            return self._cancel(refused)
        return FlowEvent.PIN_REFUSED

    async def _ask_host(self) -> FlowEvent:
        try:
            # The line first: without one the card signs nothing and no number is used up.
            await self.exchange.open_line()
        except LineDownError:
            self._refused = _NO_LINE
            return FlowEvent.NO_LINE
        session = self.exchange.session
        if self.flow.kind is Kind.VOID:
            original = self.original
            assert original is not None
            return await self._take(
                await self.exchange.request(lambda now: session.request_void(original, now))
            )
        assert self.card is not None
        request = await self.card.sign(self.flow.amount_sen, self._pin, self.flow.items)
        self._pin = None
        if isinstance(request, Refused):
            await self.exchange.close_line()
            return self._fail(request)
        is_sale = self.flow.kind is Kind.PURCHASE
        ask = session.request_purchase if is_sale else session.request_balance
        return await self._take(await self.exchange.request(lambda now: ask(request, now)))

    async def _take(self, events: list[Event]) -> FlowEvent:
        """Turn what the host session says into what the flow understands."""
        for owed in of(events, out.ReversalOwed):
            self._transaction = owed.transaction
            self._outcome = owed.claimed_code if owed.claimed_code in _CLAIMS else NO_ANSWER
            await self._end_card()
            return FlowEvent.NO_ANSWER
        for silence in of(events, out.NoAnswer):
            code = silence.claimed_code if silence.claimed_code in _CLAIMS else NO_ANSWER
            self._refused = Refused(code, _silence_key(silence.cause))
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


def _silence_key(cause: ReversalCause) -> str:
    lost = cause is ReversalCause.CONNECTION_LOST
    return "refused.no_connection" if lost else "refused.no_answer_inquiry"
