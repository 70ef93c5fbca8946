"""A terminal with people at it: the flows walked by what is typed, on whatever face it has.

A face shows the screen and asks; the table decides. The same class serves a text terminal, a
script, and later a browser.
"""

from typing import NamedTuple, Protocol

from protocols.catalogue import text
from protocols.values import rupiah
from terminal.card_channel import CardChannel
from terminal.device import Terminal
from terminal.hands import Hands
from terminal.journal.records import Kind
from terminal.purchase.basket import items
from terminal.purchase.checks import NOT_A_NUMBER, Refused, read_amount
from terminal.purchase.flow import OperatorFlow
from terminal.purchase.originals import (
    left_to_refund,
    newest,
    why_not_refund,
    why_not_reprint,
    why_not_void,
)
from terminal.purchase.table import Effect, FlowEvent, FlowState
from terminal.results import SaleResult
from terminal.settling import COMPLAINT_CATEGORIES

#: The menu in its order: the event of a choice, and its text in the catalogue.
MENU = (
    (FlowEvent.PURCHASE, "menu.purchase"),
    (FlowEvent.BASKET, "menu.basket"),
    (FlowEvent.BALANCE, "menu.balance"),
    (FlowEvent.STATEMENT, "menu.statement"),
    (FlowEvent.VOID, "menu.void"),
    (FlowEvent.REFUND, "menu.refund"),
    (FlowEvent.REPRINT, "menu.reprint"),
    (FlowEvent.SETTLE, "menu.settle"),
    (FlowEvent.PIN_CHANGE, "menu.pin_change"),
    (FlowEvent.PROXY, "menu.proxy"),
    (FlowEvent.COMPLAINT, "menu.complaint"),
    (FlowEvent.LOG_ON, "menu.log_on"),
    (FlowEvent.LOG_OFF, "menu.log_off"),
    (FlowEvent.REDUCE, "menu.reduce"),
)
#: What is typed for yes where the screen asks a question.
YES = "1"
_TRACES = frozenset(
    {
        *(FlowState.TRACE, FlowState.REFUND_TRACE),
        *(FlowState.REDUCE_TRACE, FlowState.REPRINT_TRACE),
    }
)
_NO_CHOICE = Refused("12", "refused.choice")


class Presented(NamedTuple):
    """A card at the counter, and whether it is tapped."""

    channel: CardChannel
    tap: bool = False


class Face(Protocol):
    """What people see and type at. `flow.screen` is what it says."""

    def show(self, flow: OperatorFlow) -> None:
        """Show what the screen says now."""

    async def ask(self, flow: OperatorFlow, *, secret: bool = False) -> str | None:
        """Give the line that was typed, None for cancel; a `secret` one is never shown."""

    async def card(self, flow: OperatorFlow) -> Presented | None:
        """Give the card that is presented, None for cancel."""


class AttendedTerminal(Terminal):
    """A terminal whose operations take their input from a face."""

    _closed: Refused | None = None

    async def serve(self, event: FlowEvent, face: Face) -> SaleResult | None:
        """Run one choice of the menu to its end; None where nothing came of it."""
        self.flow.watcher = lambda: face.show(self.flow)
        try:
            if event is FlowEvent.LOG_ON:
                return self._of_log_on(await self.log_on())
            if event is FlowEvent.LOG_OFF:
                return self._of_log_on(await self.log_off())
            async with self._operation():
                if event in (FlowEvent.PURCHASE, FlowEvent.BASKET, FlowEvent.PROXY):
                    await self._settle_if_due()
                return await self._serve(event, face)
        finally:
            self.flow.watcher = None

    async def tend(self) -> None:
        """Deliver what waits and settle what is due; for a timer. Connects only for that."""
        if self.flow.state is not FlowState.MENU:
            return
        async with self._operation():
            await self._exchange.settle()
            await self._exchange.deliver()
            await self._settle_if_due()

    def came_to_end(self) -> list[SaleResult]:
        """Give what was uncertain at the last call and has ended since: undone, or not paid.

        At the first call what was uncertain when the terminal was opened counts.
        """
        was, self._uncertain = self._uncertain, self.unfinished()
        ended = [self.result_now(stan) for stan in was if stan not in self._uncertain]
        return [result for result in ended if result is not None and not result.is_as_first_told]

    def _of_log_on(self, code: str) -> SaleResult | None:
        if code == "00":
            return None
        key = "refused.settle_first" if code == "90" else "refused.log_on"
        return self._unsent(Kind.NETWORK, Refused(code, key))

    async def _serve(self, event: FlowEvent, face: Face) -> SaleResult | None:
        refused = await self._why_not_begin(event)
        if refused is not None:
            return self._unsent(Kind.SETTLEMENT, refused)
        effect = self.flow.handle(event)
        self._before_asking(event)
        while effect is None and self.flow.state is not FlowState.MENU:
            if self.flow.state is FlowState.SUPERVISOR:
                effect = await self._ask_supervisor(face)
                if self._closed is not None:
                    return self._unsent(Kind.REFUND, self._closed)
                continue
            typed = await face.ask(self.flow)
            if typed is None:
                self.flow.handle(FlowEvent.CANCEL)
            else:
                effect = self._take(typed.strip())
        if effect is None:
            return None
        return await self._finish(effect, face)

    async def _why_not_begin(self, event: FlowEvent) -> Refused | None:
        if event is FlowEvent.SETTLE:
            return await self._why_not_settle()
        if event in (FlowEvent.VOID, FlowEvent.REDUCE) and await self._exchange.settle():
            return self._pending_reversal()
        return None

    def _before_asking(self, event: FlowEvent) -> None:
        if event is FlowEvent.SETTLE:
            self.flow.facts |= self._batch_facts()
            self.flow.changed()

    def _take(self, typed: str) -> Effect | None:
        """Give what was typed to the flow: the state says what it is."""
        flow = self.flow
        match flow.state:
            case FlowState.AMOUNT | FlowState.REFUND_AMOUNT | FlowState.REDUCE_AMOUNT:
                return self._take_amount(read_amount(typed))
            case FlowState.ITEMS:
                return self._take_item(typed)
            case FlowState.PROXY:
                return flow.enter_proxy(typed)
            case FlowState.COMPLAINT:
                return self._take_category(typed)
        if flow.state in _TRACES:
            return self._take_trace(typed)
        assert flow.state in (FlowState.CONFIRM, FlowState.SETTLE), "people are asked here"
        return flow.handle(FlowEvent.CONFIRMED if typed == YES else FlowEvent.CANCEL)

    def _take_amount(self, amount_sen: int | None) -> Effect | None:
        flow = self.flow
        if amount_sen is None:
            return flow.refuse(FlowEvent.AMOUNT_REFUSED, NOT_A_NUMBER)
        if flow.state is FlowState.REFUND_AMOUNT:
            return flow.enter_part(amount_sen, left_to_refund(self.journal, flow.original_stan))
        if flow.state is FlowState.REDUCE_AMOUNT:
            sold_sen = self.journal.transactions[flow.original_stan].amount_sen
            return flow.enter_rest(amount_sen, sold_sen)
        return flow.enter_amount(amount_sen)

    def _take_item(self, typed: str) -> Effect | None:
        """Take `number quantity price`, the number of the list or an item's code; empty ends."""
        if not typed:
            return self.flow.finish_basket()
        which, _, rest = typed.partition(" ")
        quantity, _, price = rest.strip().partition(" ")
        codes = list(items())
        if which.isascii() and which.isdigit() and 0 < int(which) <= len(codes):
            which = codes[int(which) - 1]
        pieces = int(quantity) if quantity.isascii() and quantity.isdigit() else 0
        return self.flow.choose_item(which.upper(), pieces, read_amount(price) or 0)

    def _take_trace(self, typed: str) -> Effect | None:
        flow, journal = self.flow, self.journal
        is_number = typed.isascii() and typed.isdigit() and len(typed) <= 6
        stan = int(typed) if is_number else 0
        if flow.state is FlowState.REPRINT_TRACE:
            stan = stan or newest(journal)
            return flow.enter_trace(stan, why_not_reprint(journal, stan))
        if flow.state is FlowState.REFUND_TRACE:
            return flow.enter_trace(stan, why_not_refund(journal, stan))
        refused = why_not_void(journal, stan)
        if refused is None:
            flow.amount_sen = journal.transactions[stan].amount_sen
            flow.facts |= {"trace": f"{stan:06d}"}
        return flow.enter_trace(stan, refused)

    def _take_category(self, typed: str) -> Effect | None:
        if typed not in COMPLAINT_CATEGORIES:
            return self.flow.refuse(FlowEvent.CATEGORY_REFUSED, _NO_CHOICE)
        self.flow.facts |= {"category": typed}
        return self.flow.handle(FlowEvent.CATEGORY_TAKEN)

    async def _ask_supervisor(self, face: Face) -> Effect | None:
        """Ask for the supervisor's code; `_closed` tells why there is nothing to be asked for."""
        self._closed = None
        if self.config.refund_needs_supervisor:
            self._closed = self._supervisor.why_closed()
            if self._closed is None:
                typed = await face.ask(self.flow, secret=True)
                if typed is None:
                    return self.flow.handle(FlowEvent.CANCEL)
                refused = await self._why_not_agreed(typed.strip())
                if refused is not None:
                    self._closed = self._supervisor.why_closed()
                    if self._closed is None:
                        return self.flow.refuse(FlowEvent.SUPERVISOR_REFUSED, refused)
            if self._closed is not None:
                return self.flow.handle(FlowEvent.SUPERVISOR_ENDED)
        return self.flow.handle(FlowEvent.SUPERVISOR_AGREED)

    async def _finish(self, effect: Effect, face: Face) -> SaleResult | None:
        flow = self.flow
        if effect is Effect.SEND_TOTALS:
            return await self._run_settlement(effect)
        if effect is Effect.SEND_REDUCTION:
            return await self._reduce()
        if effect is Effect.KEEP_COMPLAINT:
            return await self._keep_complaint(flow.facts["category"], newest(self.journal))
        if effect is Effect.RELEASE:
            flow.handle(FlowEvent.DONE)
            return self.reprint(flow.original_stan)
        card = None
        if effect is Effect.WAIT_CARD:
            card = await face.card(flow)
            if card is None:
                flow.handle(FlowEvent.CANCEL)
                return None
        hands = _hands(flow, face)
        if card is None:
            return await self._sale(None, hands).run(effect)
        return await self._sale(card.channel, hands, tap=card.tap).run(effect)


def _hands(flow: OperatorFlow, face: Face) -> Hands:
    async def pin_entry() -> str:
        return await face.ask(flow, secret=True) or ""

    async def repeat_question(_earlier: SaleResult) -> bool:
        return await face.ask(flow) == YES

    async def voucher_question(_left_sen: int) -> bool:
        return await face.ask(flow) == YES

    return Hands(pin_entry, repeat_question, voucher_question)


def menu_lines(lang: str) -> list[str]:
    """Give the menu, one numbered choice a line.

    >>> menu_lines("en")[0]
    '1 PURCHASE (amount)'
    """
    return [f"{number} {text(key, lang)}" for number, (_, key) in enumerate(MENU, 1)]


def choice_of(typed: str) -> FlowEvent | None:
    """Give the event of a typed menu number, None when there is no such choice.

    >>> choice_of("3"), choice_of("0"), choice_of("x")
    (<FlowEvent.BALANCE: 'menu: cek saldo'>, None, None)
    """
    is_number = typed.isascii() and typed.isdigit() and 0 < int(typed) <= len(MENU)
    return MENU[int(typed) - 1][0] if is_number else None


def item_lines(flow: OperatorFlow, lang: str) -> list[str]:
    """Give the list of goods with their numbers, what cannot be chosen marked; then the basket."""
    lines = []
    for number, item in enumerate(items().values(), 1):
        mark = "" if item.food else f" - {text('menu.not_food', lang)}"
        lines.append(f"{number:>2} {item.name}{mark}")
    lines += [f"   {i.name} {i.quantity} x Rp{rupiah(i.price_sen)}" for i in flow.items]
    return lines
