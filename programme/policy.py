"""Policy as data: the limits that a city or a central bank sets, from `policy.toml`."""

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

from protocols.values import SEN_PER_RUPIAH


class YearEndRule(StrEnum):
    """What happens to money that its budget year has outlived (R9; domain.md 8 Q2)."""

    HOLD = "hold"
    RETURN = "return"
    CARRY_OVER = "carry over"


class CardHolder(StrEnum):
    """Who has one card of a purse (domain.md 8 Q5)."""

    FAMILY = "family"
    PERSON = "person"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOver:
    """The switch of R9. `months` 0 means: rolls over inside the budget year."""

    months: int
    year_end: YearEndRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Amounts in sen. `card_ceiling_sen` is the most a card may hold (R17)."""

    card_ceiling_sen: int
    print_cost_sen: int
    left_over: LeftOver
    one_card_per: CardHolder
    late_after_days: int
    proxy_cards_max: int
    proxy_days_max: int
    proposal_days_max: int


@cache
def policy() -> Policy:
    """Give the policy in force."""
    table = tomllib.loads(files("programme").joinpath("policy.toml").read_text("utf-8"))
    return Policy(
        card_ceiling_sen=table["card_ceiling"]["rupiah"] * SEN_PER_RUPIAH,
        print_cost_sen=table["print_cost"]["rupiah"] * SEN_PER_RUPIAH,
        left_over=LeftOver(
            months=table["left_over_within_year"]["months"],
            year_end=YearEndRule(table["left_over_at_year_end"]["rule"]),
        ),
        one_card_per=CardHolder(table["one_card_per"]["holder"]),
        late_after_days=table["late_card"]["days"],
        proxy_cards_max=table["proxy"]["cards"],
        proxy_days_max=table["proxy"]["days"],
        proposal_days_max=table["proposal"]["days"],
    )
