"""The rules as values: loaded from TOML, versioned, each with its legal basis and its dates (R42).

A decision carries a `RuleReference`, so that an auditor reads which article refused a purchase.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StringConstraints

from programme.registry_port import BlockReason, CardStatus
from protocols.errors import ConfigurationError
from protocols.refusals import Refusal
from protocols.values import SEN_PER_RUPIAH
from switch.limits import OUTAGE_DAYS_MAX
from switch.toml_model import parse_model, read_text

_TwoDigits = Annotated[str, StringConstraints(pattern="^[0-9]{2}$")]
_ResponseCode = Annotated[str, StringConstraints(pattern="^[0-9]{2}$")]


@dataclass(frozen=True, slots=True)
class RuleReference:
    """Which rule decided: id, version and legal basis."""

    rule_id: str
    version: int
    legal_basis: str

    def refuse(self, code: str, reason: str = "") -> Refusal:
        """Give the refusal of this rule; its evidence names the rule and the law.

        >>> RuleReference("food-only", 1, "art. 12(3)").refuse("58", "P01").evidence
        'food-only/1: art. 12(3)'
        """
        return Refusal(code, reason, f"{self.rule_id}/{self.version}: {self.legal_basis}")


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = Field(strict=True, ge=1, description="a number from 1, raised with every change")
    legal_basis: str = Field(min_length=1, description="the article or decree behind the rule")
    starts_on: date = Field(description="the first day in force, YYYY-MM-DD")
    ends_on: date | None = Field(default=None, description="the last day in force, YYYY-MM-DD")
    source: str = Field(min_length=1, description="the page that asks for the rule")

    def in_force(self, day: date) -> bool:
        """Tell whether the rule holds on this business date."""
        return self.starts_on <= day and (self.ends_on is None or day <= self.ends_on)


class MessageWindowRule(_Rule):
    """How far DE7 may lie from now."""

    minutes: int = Field(strict=True, ge=1, le=1_440, description="1 to 1440 minutes")


class TerminalAndShopRule(_Rule):
    """Which shop a terminal may serve."""

    terminal_may_move: bool = Field(strict=True, description="true or false")


class CardStateRule(_Rule):
    """Which states of a card refuse, and with which DE39."""

    by_status: dict[CardStatus, _ResponseCode] = Field(description="card state = DE39")
    by_block_reason: dict[BlockReason, _ResponseCode] = Field(description="block reason = DE39")


class NoCashOutRule(_Rule):
    """What is cash by another name."""

    processing_codes: frozenset[_TwoDigits] = Field(description="two-digit transaction types")
    cash_amount_types: frozenset[_TwoDigits] = Field(description="two-digit DE54 amount types")


class FoodOnlyRule(_Rule):
    """Which account type pays from which purse; the categories stand in categories.csv."""

    purse_by_account_type: dict[_TwoDigits, StrictInt] = Field(
        description="account type = purse number"
    )


class AmountRule(_Rule):
    """Bounds of a sale and of a card's day."""

    currency: str = Field(pattern="^[0-9]{3}$", description="a three-digit ISO 4217 code")
    sale_cap_rupiah: int = Field(strict=True, ge=1, description="whole rupiah")
    sale_limit_rupiah: int = Field(strict=True, ge=1, description="whole rupiah")
    card_day_limit_rupiah: int = Field(strict=True, ge=1, description="whole rupiah")
    card_day_sales_limit: int = Field(strict=True, ge=1, le=10_000, description="1 to 10000 sales")

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


class ChipRule(_Rule):
    """How a card must have been read."""

    entry_modes: frozenset[str] = Field(description="values of DE22 that mean chip")


class PinRule(_Rule):
    """How often a PIN may be wrong."""

    tries: int = Field(strict=True, ge=1, le=10, description="1 to 10 tries")
    digits: int = Field(strict=True, ge=4, le=12, description="4 to 12 digits")


class CompensationRule(_Rule):
    """Until when money goes back to a card."""

    refund_days: int = Field(strict=True, ge=0, le=366, description="0 to 366 days")


class PartialApprovalRule(_Rule):
    """Whether a sale may take what the card has when that is less than was asked."""

    enabled: bool = Field(strict=True, description="true or false")


class OutageSaleRule(_Rule):
    """Vouchers of an outage: whether there are any, and how much the city risks on them."""

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


class SettlementRule(_Rule):
    """When a shop is paid for a settled batch."""

    payout_days: int = Field(strict=True, ge=0, le=31, description="0 to 31 working days")


class _Rules(BaseModel):
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


class _RuleFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str = Field(min_length=1, description="the version of the whole rule file")
    title: str = Field(min_length=1, description="what the rules are for")
    rule: _Rules = Field(description="the rules by id")


class Food(StrEnum):
    """Whether a category sells food."""

    YES = "yes"
    CONDITIONAL = "conditional"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Category:
    """A merchant category of our registry."""

    code: str
    name: str
    food: Food
    reason: str


@dataclass(frozen=True, slots=True)
class RuleBook:
    """All rules of one version, ready for the pipeline."""

    version: str
    rules: _Rules
    categories: dict[str, Category]
    references: dict[str, RuleReference]
    #: The judgement of the day that was asked for last.
    _judged: dict[date, str | None] = field(default_factory=dict, init=False, compare=False)

    def refuse(self, rule_id: str, code: str, reason: str = "") -> Refusal:
        """Give the refusal of the rule with this id."""
        return self.references[rule_id].refuse(code, reason)

    def missing_on(self, day: date) -> str | None:
        """Give the id of a rule that is not in force on this day, None when all are.

        A purchase on such a day is refused: without the rule nothing says that it is lawful.
        """
        if day not in self._judged:
            self._judged.clear()
            self._judged[day] = next(
                (rule_id for rule_id, rule in self._by_id() if not rule.in_force(day)), None
            )
        return self._judged[day]

    def _by_id(self) -> Iterator[tuple[str, _Rule]]:
        for rule_id in self.references:
            yield rule_id, getattr(self.rules, rule_id.replace("-", "_"))


def load_rules(path: Path | None = None) -> RuleBook:
    """Give the rules of a file, or the built-in ones; raise ConfigurationError with every fault."""
    if path is None:
        return _built_in_rules()
    return _rule_book(parse_model(read_text(path), str(path), _RuleFile))


@cache
def _built_in_rules() -> RuleBook:
    text = files("switch").joinpath("data/rules.toml").read_text("utf-8")
    return _rule_book(parse_model(text, "switch/data/rules.toml", _RuleFile))


def _rule_book(parsed: _RuleFile) -> RuleBook:
    references: dict[str, RuleReference] = {}
    for name in _Rules.model_fields:
        rule: _Rule = getattr(parsed.rule, name)
        rule_id = name.replace("_", "-")
        references[rule_id] = RuleReference(rule_id, rule.version, rule.legal_basis)
    return RuleBook(parsed.version, parsed.rule, load_categories(), references)


def load_categories() -> dict[str, Category]:
    """Give the built-in categories by code; raise ConfigurationError when a row is wrong."""
    text = files("switch").joinpath("data/categories.csv").read_text("utf-8")
    return parse_categories(text, "switch/data/categories.csv")


def parse_categories(text: str, name: str) -> dict[str, Category]:
    """Give the categories of a CSV text with columns code, name, food, reason, source."""
    reader = csv.DictReader(io.StringIO(text), strict=True)
    expected = ["code", "name", "food", "reason", "source"]
    if reader.fieldnames != expected:
        raise ConfigurationError(
            f"{name}:1: header: wrong columns - allowed: {','.join(expected)} - mend the header."
        )
    found: dict[str, Category] = {}
    for row in reader:
        where = f"{name}:{reader.line_num}"
        code, food = row["code"], row["food"]
        if not (len(code) == 4 and code.isascii() and code.isdigit()) or code in found:
            raise ConfigurationError(
                f"{where}: code: wrong or double - allowed: four digits, once - mend the row."
            )
        if food not in set(Food):
            raise ConfigurationError(
                f"{where}: food: unknown - allowed: yes, conditional, no - mend the row."
            )
        found[code] = Category(code, row["name"], Food(food), row["reason"])
    return found
