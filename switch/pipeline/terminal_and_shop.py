"""Stage: a terminal in service, and the shop it is logged on to (R4, R39)."""

from switch.pipeline.context import Context
from switch.pipeline.verdict import CONTINUE, Verdict


def check_terminal_and_shop(context: Context) -> Verdict:
    """Refuse with 03 a terminal out of service, and a shop that is not its own or is suspended."""
    desk, request = context.desk, context.request
    refuse = desk.rules.refuse
    if not context.terminal.active:
        return refuse("terminal-and-shop", "03")
    log_on = desk.memory.log_ons.get(request.terminal_id)
    if log_on is None or log_on.merchant_id != request.merchant_id:
        return refuse("terminal-and-shop", "03")
    merchant = desk.registry.merchant(request.merchant_id)
    if merchant is None or merchant.suspended:
        return refuse("terminal-and-shop", "03")
    context.merchant = merchant
    return CONTINUE
