"""One operator at one terminal: the table walked, with the facts that its texts show."""

from dataclasses import dataclass, field

from protocols.catalogue import placeholders, template, text
from protocols.values import rupiah
from terminal.journal.records import Kind, SaleItem
from terminal.purchase.basket import check_basket, choose
from terminal.purchase.checks import Refused, check_amount
from terminal.purchase.table import FLOW, MONEY_IN_FLIGHT, Effect, FlowEvent, FlowState

_KINDS = {
    FlowEvent.PURCHASE: Kind.PURCHASE,
    FlowEvent.BASKET: Kind.PURCHASE,
    FlowEvent.BALANCE: Kind.BALANCE,
    FlowEvent.VOID: Kind.VOID,
}


@dataclass(slots=True)
class OperatorFlow:
    """The flow of one terminal. `facts` fill the placeholders of the screen's text."""

    state: FlowState = FlowState.OFF_DUTY
    lang: str = "id"
    kind: Kind = Kind.PURCHASE
    amount_sen: int = 0
    items: tuple[SaleItem, ...] = ()
    refused: Refused | None = None
    facts: dict[str, str] = field(default_factory=dict)

    def handle(self, event: FlowEvent) -> Effect | None:
        """Walk the table; give what the terminal must do next, None when it waits for people."""
        was = self.state
        self.state, effect = FLOW[self.state][event]
        if was is FlowState.MENU and event in _KINDS:
            self.kind, self.amount_sen, self.items = _KINDS[event], 0, ()
        if self.state is not was:
            self.refused = None
        return effect

    def enter_amount(self, amount_sen: int) -> Effect | None:
        """Take a typed amount, or say why not."""
        refused = check_amount(amount_sen)
        if refused is None:
            self.amount_sen = amount_sen
            return self.handle(FlowEvent.AMOUNT_TAKEN)
        return self._refuse(FlowEvent.AMOUNT_REFUSED, refused)

    def choose_item(self, code: str, quantity: int, price_sen: int) -> Effect | None:
        """Put an item into the basket, or say why it cannot be chosen (R38)."""
        chosen = choose(code, quantity, price_sen)
        if isinstance(chosen, Refused):
            return self._refuse(FlowEvent.ITEM_REFUSED, chosen)
        basket = (*self.items, chosen)
        refused = check_basket(basket, sum(item.price_sen for item in basket))
        if refused is not None:
            return self._refuse(FlowEvent.ITEM_REFUSED, refused)
        self.items = basket
        return self.handle(FlowEvent.ITEM_TAKEN)

    def finish_basket(self) -> Effect | None:
        """Take the basket as it is: its sum is the amount."""
        amount_sen = sum(item.price_sen for item in self.items)
        refused = check_basket(self.items, amount_sen) or check_amount(amount_sen)
        if refused is not None:
            return self._refuse(FlowEvent.AMOUNT_REFUSED, refused)
        self.amount_sen = amount_sen
        return self.handle(FlowEvent.ITEMS_DONE)

    def abandon(self) -> None:
        """Go back to where the operator can start again: whatever ran here was cut short."""
        busy = self.state not in (FlowState.OFF_DUTY, FlowState.LOGGING_ON)
        self.state = FlowState.MENU if busy else FlowState.OFF_DUTY
        self.refused = None

    @property
    def can_cancel(self) -> bool:
        """Tell whether the operator may still turn back: no money is on its way."""
        return self.state not in MONEY_IN_FLIGHT

    @property
    def screen(self) -> str:
        """Give what the screen says: the state's text, after a refusal its sentence first."""
        known = {"amount": rupiah(self.amount_sen), **self.facts}
        wanted = placeholders(template(self.state.value, self.lang))
        shown = text(self.state.value, self.lang, **{name: known.get(name, "") for name in wanted})
        return f"{self.refused.sentence(self.lang)} {shown}" if self.refused else shown

    def _refuse(self, event: FlowEvent, refused: Refused) -> Effect | None:
        effect = self.handle(event)
        self.refused = refused
        return effect
