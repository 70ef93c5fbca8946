"""Stage: food only (R3, R11, R41). The category is our registry's, never the message's DE18.

The ledger cannot do otherwise either: only approved shops have an account in the food purse
(design decision 3).
"""

from programme.registry_port import MerchantView
from protocols.refusals import Refusal
from switch.pipeline.context import Context
from switch.pipeline.verdict import CONTINUE, Continue, Verdict
from switch.rules import Food, RuleBook


def check_purse(context: Context) -> Verdict:
    """Refuse with 57 and P03 an account type that is not the card's purse."""
    rules = context.desk.rules
    missing = rules.missing_on(context.desk.memory.business_date)
    if missing is not None:
        return rules.refuse(missing, "05")
    purses = rules.rules.food_only.purse_by_account_type
    purse = purses.get(context.request.account_type)
    if purse is None or purse != context.card_found.purse:
        return rules.refuse("food-only", "57", "P03")
    context.purse = purse
    return CONTINUE


def check_food_rule(context: Context) -> Verdict:
    """Refuse with 58 and P01 a shop that does not sell food, with 03 one not designated."""
    verdict = check_purse(context)
    if not isinstance(verdict, Continue):
        return verdict
    merchant = context.merchant
    assert merchant is not None, "the shop stage runs before the food rule"
    refusal = shop_refusal(context.desk.rules, merchant, context.purse)
    if refusal is not None:
        return refusal
    context.payable_account_id = merchant.payable_accounts[context.purse]
    return CONTINUE


def shop_refusal(rules: RuleBook, merchant: MerchantView, purse: int) -> Refusal | None:
    """Give why a shop may not be paid from a purse: its category, designation or account."""
    registered = merchant.category in merchant.conditional_categories
    refusal = category_refusal(rules, merchant.category, registered=registered)
    if refusal is not None:
        return refusal
    if not merchant.designated:
        return rules.refuse("food-only", "03")
    if purse not in merchant.payable_accounts:
        return rules.refuse("food-only", "58", "P01")
    return None


def category_refusal(rules: RuleBook, category: str, *, registered: bool) -> Refusal | None:
    """Give 58 and P01 for a category that is no food; `registered` is by name (decision 12)."""
    known = rules.categories.get(category)
    food = Food.NO if known is None else known.food
    if food is Food.NO or (food is Food.CONDITIONAL and not registered):
        return rules.refuse("food-only", "58", "P01")
    return None
