"""The rules as models: what a rule file may say of each, with its version, dates and legal basis.

A rule stands once (`[rule.amount]`) or in several versions (`[[rule.amount]]`), each with its own
dates; no day may have two (R42).
"""

from collections.abc import Iterator
from datetime import date, time
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StrictInt,
    StringConstraints,
    Tag,
    create_model,
)

from programme.registry_port import BlockReason, CardStatus
from protocols.values import SEN_PER_RUPIAH
from switch.limits import BASKET_ITEMS_MAX, OUTAGE_DAYS_MAX, STACK_CARDS_MAX

_TwoDigits = Annotated[str, StringConstraints(pattern="^[0-9]{2}$")]
_ResponseCode = Annotated[str, StringConstraints(pattern="^[0-9]{2}$")]
_ItemCode = Annotated[str, StringConstraints(pattern="^[A-Z0-9]{1,8}$")]


class Rule(BaseModel):
    """What every rule says of itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    #: Whether sales go on without it: then it is as if it said `enabled = false`.
    optional: ClassVar[bool] = False

    version: int = Field(strict=True, ge=1, description="a number from 1, raised with every change")
    legal_basis: str = Field(min_length=1, description="the article or decree behind the rule")
    starts_on: date = Field(strict=True, description="the first day in force, YYYY-MM-DD")
    ends_on: date | None = Field(
        default=None, strict=True, description="the last day in force, YYYY-MM-DD"
    )
    source: str = Field(min_length=1, description="the page that asks for the rule")

    def in_force(self, day: date) -> bool:
        """Tell whether the rule holds on this business date."""
        return self.starts_on <= day and (self.ends_on is None or day <= self.ends_on)


class MessageWindowRule(Rule):
    """How far DE7 may lie from now."""

    minutes: int = Field(strict=True, ge=1, le=1_440, description="1 to 1440 minutes")


class TerminalAndShopRule(Rule):
    """Which shop a terminal may serve."""

    terminal_may_move: bool = Field(strict=True, description="true or false")


class CardStateRule(Rule):
    """Which states of a card refuse, and with which DE39."""

    first_use_activates: bool = Field(
        False,
        strict=True,
        description="true or false: a collected card's first chip and PIN make it active",
    )
    by_status: dict[CardStatus, _ResponseCode] = Field(description="card state = DE39")
    by_block_reason: dict[BlockReason, _ResponseCode] = Field(description="block reason = DE39")


class NoCashOutRule(Rule):
    """What is cash by another name."""

    processing_codes: frozenset[_TwoDigits] = Field(description="two-digit transaction types")
    cash_amount_types: frozenset[_TwoDigits] = Field(description="two-digit DE54 amount types")


class FoodOnlyRule(Rule):
    """Which account type pays from which purse; the categories stand in categories.csv."""

    purse_by_account_type: dict[_TwoDigits, StrictInt] = Field(
        description="account type = purse number"
    )


class AmountRule(Rule):
    """Bounds of a sale and of a card's day."""

    currency: str = Field(pattern="^[0-9]{3}$", description="a three-digit ISO 4217 code")
    sale_cap_rupiah: int = Field(strict=True, ge=1, description="whole rupiah")
    sale_limit_rupiah: int = Field(strict=True, ge=1, description="whole rupiah")
    card_day_limit_rupiah: int = Field(strict=True, ge=1, description="whole rupiah")
    card_day_sales_limit: int = Field(strict=True, ge=1, le=10_000, description="1 to 10000 sales")
    shop_day_limit_rupiah: int = Field(strict=True, ge=1, description="whole rupiah")
    shop_day_sales_limit: int = Field(
        strict=True, ge=1, le=1_000_000, description="1 to 1000000 sales"
    )

    @property
    def sale_cap_sen(self) -> int:
        """Give the largest believable amount in sen."""
        return self.sale_cap_rupiah * SEN_PER_RUPIAH

    @property
    def sale_limit_sen(self) -> int:
        """Give the limit of one sale in sen."""
        return self.sale_limit_rupiah * SEN_PER_RUPIAH

    @property
    def card_day_limit_sen(self) -> int:
        """Give the limit of a card's day in sen."""
        return self.card_day_limit_rupiah * SEN_PER_RUPIAH

    @property
    def shop_day_limit_sen(self) -> int:
        """Give the limit of a shop's day in sen."""
        return self.shop_day_limit_rupiah * SEN_PER_RUPIAH


class ChipRule(Rule):
    """How a card must have been read."""

    entry_modes: frozenset[str] = Field(description="values of DE22 that mean chip")


class PinRule(Rule):
    """How often a PIN may be wrong."""

    tries: int = Field(strict=True, ge=1, le=10, description="1 to 10 tries")
    digits: int = Field(strict=True, ge=4, le=12, description="4 to 12 digits")


class CompensationRule(Rule):
    """Until when money goes back to a card."""

    refund_days: int = Field(strict=True, ge=0, le=366, description="0 to 366 days")


class PartialApprovalRule(Rule):
    """Whether a sale may take what the card has when that is less than was asked."""

    optional: ClassVar[bool] = True

    enabled: bool = Field(strict=True, description="true or false")


class OutageSaleRule(Rule):
    """Vouchers of an outage: whether there are any, and how much the city risks on them."""

    optional: ClassVar[bool] = True

    enabled: bool = Field(strict=True, description="true or false")
    card_day_limit_rupiah: int = Field(strict=True, ge=0, description="whole rupiah")
    terminal_day_limit_rupiah: int = Field(strict=True, ge=0, description="whole rupiah")
    clear_days: int = Field(
        strict=True, ge=0, le=OUTAGE_DAYS_MAX, description=f"0 to {OUTAGE_DAYS_MAX} days"
    )
    partial_recovery: bool = Field(strict=True, description="true or false")

    @property
    def card_day_limit_sen(self) -> int:
        """Give the limit of a card's vouchers of one day in sen."""
        return self.card_day_limit_rupiah * SEN_PER_RUPIAH

    @property
    def terminal_day_limit_sen(self) -> int:
        """Give the limit of a terminal's vouchers of one day in sen."""
        return self.terminal_day_limit_rupiah * SEN_PER_RUPIAH


class SettlementRule(Rule):
    """When a shop is paid for a settled batch."""

    payout_days: int = Field(strict=True, ge=0, le=31, description="0 to 31 working days")


class HoursRule(Rule):
    """When shops may sell, by the clock of Samarinda (WITA)."""

    optional: ClassVar[bool] = True

    enabled: bool = Field(strict=True, description="true or false")
    opens: time = Field(strict=True, description="a time of day in WITA such as 06:00:00")
    closes: time = Field(
        strict=True, description="a time of day in WITA; before `opens` means past midnight"
    )

    def is_open(self, at: time) -> bool:
        """Tell whether shops may sell at this time of day."""
        if self.opens <= self.closes:
            return self.opens <= at < self.closes
        return at >= self.opens or at < self.closes


class BasketRule(Rule):
    """What may stand in a basket (DE62), and whether its lines must add up."""

    optional: ClassVar[bool] = True

    enabled: bool = Field(strict=True, description="true or false")
    required: bool = Field(strict=True, description="true: a sale without a basket is refused")
    must_add_up: bool = Field(strict=True, description="true: the lines give the amount")
    forbidden_items: frozenset[_ItemCode] = Field(
        max_length=BASKET_ITEMS_MAX, description="item codes, 1 to 8 capitals and digits"
    )
    #: The categories whose shops sell other things too: they always send a basket.
    basket_categories: frozenset[Annotated[str, StringConstraints(pattern="^[0-9]{4}$")]] = Field(
        description="four-digit categories"
    )


class ProxyRule(Rule):
    """Whether somebody registered may buy for the holder (R25)."""

    optional: ClassVar[bool] = True

    enabled: bool = Field(strict=True, description="true or false")


class CardStackRule(Rule):
    """When many cards in a row on one terminal look like a stack of collected cards (R28)."""

    optional: ClassVar[bool] = True

    enabled: bool = Field(strict=True, description="true or false")
    cards: int = Field(
        strict=True, ge=2, le=STACK_CARDS_MAX, description=f"2 to {STACK_CARDS_MAX} cards"
    )
    seconds: int = Field(strict=True, ge=1, le=86_400, description="1 to 86400 seconds")
    refuse: bool = Field(strict=True, description="true: the card that completes it is refused")
    wrong_pin_cards: int = Field(
        strict=True, ge=2, le=STACK_CARDS_MAX, description=f"2 to {STACK_CARDS_MAX} cards"
    )
    wrong_pin_seconds: int = Field(strict=True, ge=1, le=86_400, description="1 to 86400 seconds")
    emptied_cards: int = Field(
        strict=True, ge=2, le=STACK_CARDS_MAX, description=f"2 to {STACK_CARDS_MAX} cards"
    )
    emptied_seconds: int = Field(strict=True, ge=1, le=86_400, description="1 to 86400 seconds")


class PaymentPlanRule(Rule):
    """The day on which the months are paid, as the city has announced it (R33)."""

    optional: ClassVar[bool] = True

    enabled: bool = Field(strict=True, description="true or false")
    day_of_month: int = Field(strict=True, ge=1, le=28, description="1 to 28")

    def next_after(self, day: date) -> date | None:
        """Give the next announced day after this one; None when none is announced."""
        if not self.enabled:
            return None
        year, month = day.year, day.month
        if day.day >= self.day_of_month:
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
        planned = date(year, month, self.day_of_month)
        return planned if self.in_force(planned) else None


class Rules(BaseModel):
    """One version of each rule."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    message_window: MessageWindowRule = Field(alias="message-window")
    terminal_and_shop: TerminalAndShopRule = Field(alias="terminal-and-shop")
    card_state: CardStateRule = Field(alias="card-state")
    no_cash_out: NoCashOutRule = Field(alias="no-cash-out")
    food_only: FoodOnlyRule = Field(alias="food-only")
    amount: AmountRule
    chip: ChipRule
    pin: PinRule
    compensation: CompensationRule
    partial_approval: PartialApprovalRule = Field(alias="partial-approval")
    outage_sale: OutageSaleRule = Field(alias="outage-sale")
    settlement: SettlementRule
    hours: HoursRule
    basket: BasketRule
    proxy: ProxyRule
    payment_plan: PaymentPlanRule = Field(alias="payment-plan")
    card_stack: CardStackRule = Field(alias="card-stack")


def rule_id_of(name: str) -> str:
    """Give the id of a rule by its field.

    >>> rule_id_of("card_stack")
    'card-stack'
    """
    return name.replace("_", "-")


def _shape_of(value: Any) -> str:
    return MANY if isinstance(value, list) else ONE


#: Marks in a fault's path, which stand nowhere in the file and are left out when it is told.
ONE, MANY = "<one>", "<many>"


def _versions_field(model: Any) -> Any:
    one = Annotated[model, Tag(ONE)]
    many = Annotated[list[model], Tag(MANY), Field(min_length=1)]
    return Annotated[one | many, Discriminator(_shape_of)]


class _Versions(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


_FIELDS: dict[str, Any] = {
    name: (_versions_field(found.annotation), Field(alias=rule_id_of(name)))
    for name, found in Rules.model_fields.items()
}
#: A rule file's `rule` table: each rule once, or a list of its versions.
RuleVersions: Any = create_model("RuleVersions", __base__=_Versions, **_FIELDS)


class RuleFile(BaseModel):
    """A whole rule file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str = Field(min_length=1, description="the version of the whole rule file")
    title: str = Field(min_length=1, description="what the rules are for")
    rule: RuleVersions = Field(description="the rules by id")

    def versions(self) -> Iterator[tuple[str, tuple[Rule, ...]]]:
        """Yield each rule's field name with its versions, in the order of the file."""
        for name in Rules.model_fields:
            found = getattr(self.rule, name)
            yield name, tuple(found) if isinstance(found, list) else (found,)
