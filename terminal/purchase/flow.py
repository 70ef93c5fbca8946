"""One operator at one terminal: the table walked, with the facts that its texts show."""

from collections.abc import Callable
from dataclasses import dataclass, field

from protocols.catalogue import placeholders, template, text
from protocols.values import rupiah
from terminal.journal.records import Kind, SaleItem
from terminal.purchase.basket import check_basket, choose
from terminal.purchase.checks import Refused, check_amount, check_proxy, check_rest
from terminal.purchase.table import FLOW, MONEY_IN_FLIGHT, Effect, FlowEvent, FlowState

#: What a choice of the menu asks for; a proxy comes before a purchase.
KINDS = {
    FlowEvent.PURCHASE: Kind.PURCHASE,
    FlowEvent.BASKET: Kind.PURCHASE,
    FlowEvent.PROXY: Kind.PURCHASE,
    FlowEvent.BALANCE: Kind.BALANCE,
    FlowEvent.STATEMENT: Kind.STATEMENT,
    FlowEvent.VOID: Kind.VOID,
    FlowEvent.REFUND: Kind.REFUND,
    FlowEvent.REDUCE: Kind.PURCHASE,
    FlowEvent.PIN_CHANGE: Kind.PIN_CHANGE,
    FlowEvent.SETTLE: Kind.SETTLEMENT,
    FlowEvent.CUT_OFF: Kind.SETTLEMENT,
}
#: Called after each change of what the screen says.
Watcher = Callable[[], None]


@dataclass(slots=True)
class OperatorFlow:
    """The flow of one terminal. `facts` fill the placeholders of the screen's text.

    `proxy` is the registry number of who stands in for the holder, `original_stan` the sale that a
    void or refund is about; both, like amount and basket, are of one operation only.
    """

    state: FlowState = FlowState.OFF_DUTY
    lang: str = "id"
    kind: Kind = Kind.PURCHASE
    amount_sen: int = 0
    items: tuple[SaleItem, ...] = ()
    refused: Refused | None = None
    facts: dict[str, str] = field(default_factory=dict)
    proxy: str = ""
    original_stan: int = 0
    watcher: Watcher | None = None

    def handle(self, event: FlowEvent) -> Effect | None:
        """Walk the table; give what the terminal must do next, None when it waits for people."""
        was = self.state
        self.state, effect = FLOW[self.state][event]
        if was is FlowState.MENU and event in KINDS:
            self.kind, self.amount_sen, self.items = KINDS[event], 0, ()
            self.proxy, self.original_stan = "", 0
        if self.state is not was:
            self.refused = None
        self.changed()
        return effect

    def changed(self) -> None:
        """Tell whoever watches that the screen says something else."""
        if self.watcher is not None:
            self.watcher()

    def enter_proxy(self, number: str) -> Effect | None:
        """Take the registry number of a proxy (R25), or say why not."""
        refused = check_proxy(number)
        if refused is None:
            self.proxy = number
            return self.handle(FlowEvent.PROXY_TAKEN)
        return self.refuse(FlowEvent.PROXY_REFUSED, refused)

    def enter_trace(self, stan: int, refused: Refused | None) -> Effect | None:
        """Take the trace number of an earlier transaction, or say why it does not fit."""
        if refused is None:
            self.original_stan = stan
            return self.handle(FlowEvent.TRACE_TAKEN)
        return self.refuse(FlowEvent.TRACE_REFUSED, refused)

    def enter_part(self, amount_sen: int, most_sen: int) -> Effect | None:
        """Take the amount of a refund, at most what is left of its sale."""
        refused = check_amount(amount_sen)
        if refused is None and amount_sen > most_sen:
            trace = f"{self.original_stan:06d}"
            limit = {"trace": trace, "limit": rupiah(most_sen)}
            refused = Refused("77", "refused.refund_too_much", limit)
        if refused is None:
            self.amount_sen = amount_sen
            return self.handle(FlowEvent.AMOUNT_TAKEN)
        return self.refuse(FlowEvent.AMOUNT_REFUSED, refused)

    def enter_rest(self, actual_sen: int, sold_sen: int) -> Effect | None:
        """Take what of a sale shall stand: more than nothing, less than was sold."""
        refused = check_rest(actual_sen, sold_sen)
        if refused is None:
            self.amount_sen = actual_sen
            return self.handle(FlowEvent.AMOUNT_TAKEN)
        return self.refuse(FlowEvent.AMOUNT_REFUSED, refused)

    def enter_amount(self, amount_sen: int) -> Effect | None:
        """Take a typed amount, or say why not."""
        refused = check_amount(amount_sen)
        if refused is None:
            self.amount_sen = amount_sen
            return self.handle(FlowEvent.AMOUNT_TAKEN)
        return self.refuse(FlowEvent.AMOUNT_REFUSED, refused)

    def choose_item(self, code: str, quantity: int, price_sen: int) -> Effect | None:
        """Put an item into the basket, or say why it cannot be chosen (R38)."""
        chosen = choose(code, quantity, price_sen)
        if isinstance(chosen, Refused):
            return self.refuse(FlowEvent.ITEM_REFUSED, chosen)
        basket = (*self.items, chosen)
        refused = check_basket(basket, sum(item.price_sen for item in basket))
        if refused is not None:
            return self.refuse(FlowEvent.ITEM_REFUSED, refused)
        self.items = basket
        return self.handle(FlowEvent.ITEM_TAKEN)

    def finish_basket(self) -> Effect | None:
        """Take the basket as it is: its sum is the amount."""
        amount_sen = sum(item.price_sen for item in self.items)
        refused = check_basket(self.items, amount_sen) or check_amount(amount_sen)
        if refused is not None:
            return self.refuse(FlowEvent.AMOUNT_REFUSED, refused)
        self.amount_sen = amount_sen
        return self.handle(FlowEvent.ITEMS_DONE)

    def abandon(self) -> None:
        """Go back to where the operator can start again: whatever ran here was cut short."""
        busy = self.state not in (FlowState.OFF_DUTY, FlowState.LOGGING_ON)
        self.state = FlowState.MENU if busy else FlowState.OFF_DUTY
        self.refused = None
        self.changed()

    @property
    def can_cancel(self) -> bool:
        """Tell whether the operator may still turn back: no money is on its way."""
        return self.state not in MONEY_IN_FLIGHT

    @property
    def screen(self) -> str:
        """Give what the screen says: the state's text, after a refusal its sentence first."""
        known = {"amount": rupiah(self.amount_sen), **self.facts}
        key = self.state.value
        if self.state is FlowState.PIN and not self.amount_sen:
            key = "flow.enter_pin_only"
        wanted = placeholders(template(key, self.lang))
        shown = text(key, self.lang, **{name: known.get(name, "") for name in wanted})
        return f"{self.refused.sentence(self.lang)} {shown}" if self.refused else shown

    def refuse(self, event: FlowEvent, refused: Refused) -> Effect | None:
        """Walk the table with a refusal, whose sentence the screen shows first."""
        effect = self.handle(event)
        self.refused = refused
        self.changed()
        return effect
