"""Which rule decides about this kind of sale: the pipeline's own functions, asked one by one.

For people who write rules or wonder about a refusal. Rules are asked, and the registry's shop and
card where they are given; no limit that is used up, no PIN, no balance.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from programme.registry_port import CardView, MerchantView
from protocols.business_time import wita
from protocols.refusals import Refusal, outcome_texts
from switch.pipeline.amount import sale_refusal
from switch.pipeline.card_state import card_refusal
from switch.pipeline.city_rules import basket_refusal, hours_refusal
from switch.pipeline.food_rule import category_refusal, shop_refusal
from switch.pipeline.no_cash_out import cash_refusal
from switch.rules import RuleBook, RuleReference

#: Where the pipeline looks whether every rule is in force: before the food rule.
_BEFORE_FOOD = 3


@dataclass(frozen=True, slots=True)
class RuleAnswer:
    """What one rule says. `refusal` is None where it has nothing against the sale."""

    reference: RuleReference
    refusal: Refusal | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Every rule that was asked, in the order of the pipeline; the first refusal wins."""

    answers: tuple[RuleAnswer, ...]

    @property
    def decisive(self) -> RuleAnswer | None:
        """Give the rule that refuses, None when all let the sale pass."""
        return next((answer for answer in self.answers if answer.refusal is not None), None)

    @property
    def code(self) -> str:
        """Give the DE39 that the rules alone lead to."""
        refusal = self.decisive.refusal if self.decisive else None
        return refusal.code if refusal else "00"

    def as_json(self) -> dict[str, Any]:
        """Give the explanation as JSON values."""
        return {
            "code": self.code,
            "rules": [
                {
                    "rule": answer.reference.rule_id,
                    "version": answer.reference.version,
                    "legal_basis": answer.reference.legal_basis,
                    "code": answer.refusal.code if answer.refusal else "",
                    "reason": answer.refusal.reason if answer.refusal else "",
                }
                for answer in self.answers
            ],
        }

    def lines(self) -> Iterator[str]:
        """Yield the explanation for people."""
        for answer in self.answers:
            reference, refusal = answer.reference, answer.refusal
            verdict = f"refuses {refusal.code} {refusal.reason}".rstrip() if refusal else "passes"
            yield (
                f"{reference.rule_id} (version {reference.version}, {reference.legal_basis}): "
                f"{verdict}"
            )
        told = outcome_texts()[self.code].sentence_en if self.decisive else "no rule refuses it"
        yield f"{self.code}: {told}"


@dataclass(frozen=True, slots=True)
class Sale:
    """A sale to be judged. `shop` and `card` are the registry's; without them a shop of `category`
    (`registered`: by name, decision 12) that is designated, and a card that is active."""

    processing_code: str
    amount_sen: int
    now_ns: int
    category: str = ""
    registered: bool = False
    shop: MerchantView | None = None
    card: CardView | None = None
    items: tuple[str, ...] = ()

    @property
    def purse_code(self) -> str:
        """Give the account type that DE3 names."""
        return self.processing_code[2:4]


def explain(rules: RuleBook, sale: Sale) -> Explanation:
    """Give what each rule in force says of a sale, in the order of the pipeline."""
    questions: list[tuple[str, Callable[[], Refusal | None]]] = [
        ("terminal-and-shop", lambda: _suspended(rules, sale)),
        ("card-state", lambda: _card(rules, sale)),
        ("no-cash-out", lambda: cash_refusal(rules, sale.processing_code[:2])),
        ("food-only", lambda: _food(rules, sale)),
        ("hours", lambda: hours_refusal(rules, sale.now_ns)),
        ("basket", lambda: _basket(rules, sale)),
        ("amount", lambda: sale_refusal(rules, sale.amount_sen)),
    ]
    missing = rules.missing_on(wita(sale.now_ns).date())
    if missing is not None:
        # Without this rule nothing says that a sale is lawful on that day.
        questions.insert(_BEFORE_FOOD, (missing, lambda: rules.refuse(missing, "05")))
    return Explanation(
        tuple(RuleAnswer(rules.references[rule_id], ask()) for rule_id, ask in questions)
    )


def _suspended(rules: RuleBook, sale: Sale) -> Refusal | None:
    suspended = sale.shop is not None and sale.shop.suspended
    return rules.refuse("terminal-and-shop", "03") if suspended else None


def _card(rules: RuleBook, sale: Sale) -> Refusal | None:
    card = sale.card
    return card_refusal(rules, card, sale.now_ns, with_pin=True) if card is not None else None


def _food(rules: RuleBook, sale: Sale) -> Refusal | None:
    purse = rules.rules.food_only.purse_by_account_type.get(sale.purse_code)
    if purse is None or (sale.card is not None and sale.card.purse != purse):
        return rules.refuse("food-only", "57", "P03")
    if sale.shop is not None:
        return shop_refusal(rules, sale.shop, purse)
    return category_refusal(rules, sale.category, registered=sale.registered)


def _basket(rules: RuleBook, sale: Sale) -> Refusal | None:
    if not rules.rules.basket.enabled:
        return None
    lines = [{"item": item, "amount": 0} for item in sale.items]
    if lines:
        lines[0]["amount"] = sale.amount_sen
    return basket_refusal(rules, lines, sale.amount_sen)
