"""Which rule decides about this kind of sale: the pipeline's own functions, asked one by one.

For people who write rules or wonder about a refusal. Only what a rule file says is looked at: no
card, no shop's state, no balance.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from protocols.refusals import Refusal, outcome_texts
from switch.pipeline.amount import sale_refusal
from switch.pipeline.food_rule import category_refusal
from switch.pipeline.no_cash_out import cash_refusal
from switch.rules import RuleBook, RuleReference


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


def explain(
    rules: RuleBook, *, category: str, registered: bool, processing_code: str, amount_sen: int
) -> Explanation:
    """Give what each rule says of a sale in a designated shop of this category.

    `registered` tells that the shop is registered with the category by name (decision 12).
    """
    questions: list[tuple[str, Callable[[], Refusal | None]]] = [
        ("no-cash-out", lambda: cash_refusal(rules, processing_code[:2])),
        ("food-only", lambda: category_refusal(rules, category, registered=registered)),
        ("amount", lambda: sale_refusal(rules, amount_sen)),
    ]
    return Explanation(
        tuple(RuleAnswer(rules.references[rule_id], ask()) for rule_id, ask in questions)
    )
