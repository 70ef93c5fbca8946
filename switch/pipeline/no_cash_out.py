"""Stage: no cash, by no name (R5). Decided before any PIN, so it can never cost a try."""

from switch.pipeline.context import Context
from switch.pipeline.verdict import CONTINUE, Verdict


def check_no_cash_out(context: Context) -> Verdict:
    """Refuse with 57 and P02 every cash processing code and every cash-back amount in DE54."""
    rules, request = context.desk.rules, context.request
    rule = rules.rules.no_cash_out
    asks_cash = request.transaction_type in rule.processing_codes
    if asks_cash or not rule.cash_amount_types.isdisjoint(request.additional_amount_types):
        return rules.refuse("no-cash-out", "57", "P02")
    return CONTINUE
