"""Stage: no cash, by no name (R5). Decided before any PIN, so it can never cost a try."""

from collections.abc import Iterable

from protocols.refusals import Refusal
from switch.pipeline.context import Context
from switch.pipeline.verdict import CONTINUE, Verdict
from switch.rules import RuleBook


def check_no_cash_out(context: Context) -> Verdict:
    """Refuse with 57 and P02 every cash processing code and every cash-back amount in DE54."""
    rules, request = context.desk.rules, context.request
    refusal = cash_refusal(rules, request.transaction_type, request.additional_amount_types)
    return refusal or CONTINUE


def cash_refusal(
    rules: RuleBook, transaction_type: str, amount_types: Iterable[str] = ()
) -> Refusal | None:
    """Give 57 and P02 when the first two digits of DE3, or a type of amount in DE54, mean cash."""
    rule = rules.rules.no_cash_out
    asks_cash = transaction_type in rule.processing_codes
    if asks_cash or not rule.cash_amount_types.isdisjoint(amount_types):
        return rules.refuse("no-cash-out", "57", "P02")
    return None
