"""Stage: a believable amount, within the limits of a sale and of a card's day."""

from protocols.refusals import Refusal
from protocols.values import SEN_PER_RUPIAH, rupiah
from switch.pipeline.context import Context
from switch.pipeline.verdict import CONTINUE, Verdict
from switch.rules import RuleBook


def check_amount(context: Context) -> Verdict:
    """Refuse 13 zero, fractions of a rupiah, other money or absurd; 61 and 65 over a limit."""
    rules, amount_sen = context.desk.rules, context.request.amount_sen
    rule = rules.rules.amount
    if context.request.currency != rule.currency:
        return rules.refuse("amount", "13")
    refusal = sale_refusal(rules, amount_sen)
    if refusal is not None:
        return refusal
    spent_sen, sales = context.desk.memory.velocity.of(context.card_found.account_id)
    if spent_sen + amount_sen > rule.card_day_limit_sen:
        return rules.refuse("amount", "61", _limit(rule.card_day_limit_sen))
    if sales >= rule.card_day_sales_limit:
        return rules.refuse("amount", "65")
    sold_sen, sold = context.desk.memory.velocity.of(context.payable_account_id)
    if sold_sen + amount_sen > rule.shop_day_limit_sen:
        return rules.refuse("amount", "61", _limit(rule.shop_day_limit_sen))
    if sold >= rule.shop_day_sales_limit:
        return rules.refuse("amount", "65")
    return CONTINUE


def sale_refusal(rules: RuleBook, amount_sen: int) -> Refusal | None:
    """Give 13 for an amount that no sale has, 61 for one above the limit of a sale."""
    rule = rules.rules.amount
    if amount_sen <= 0 or amount_sen % SEN_PER_RUPIAH or amount_sen > rule.sale_cap_sen:
        return rules.refuse("amount", "13")
    if amount_sen > rule.sale_limit_sen:
        return rules.refuse("amount", "61", _limit(rule.sale_limit_sen))
    return None


def _limit(amount_sen: int) -> str:
    return f"L={rupiah(amount_sen)}"
