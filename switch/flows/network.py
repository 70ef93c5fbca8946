"""0800: log on and off, key change, echo, business date (domain.md 4.3, design decision 15)."""

from switch.decision import Decision
from switch.pipeline.context import Context

LOG_ON = "001"
LOG_OFF = "002"
KEY_CHANGE = "161"
CUT_OVER = "201"
ECHO = "301"


def manage(context: Context) -> Decision:
    """Give the answer to a network management message; 12 for one that this link does not have."""
    code = context.request.network_code
    if not context.terminal.active:
        return _refused(context, "03")
    if code == LOG_ON:
        return _log_on(context)
    if code == LOG_OFF:
        context.desk.memory.log_off(context.request.terminal_id)
        return Decision(code="00", remember=False)
    if code == KEY_CHANGE:
        blocks = context.desk.key_sets.issue(context.terminal)
        return Decision(code="00", key_blocks=blocks, remember=False)
    if code in (ECHO, CUT_OVER):
        # The business date is the switch's own; a terminal learns it and moves nothing.
        return Decision(code="00", business_date=context.desk.memory.business_date, remember=False)
    return Decision(code="12", evidence="network: not on this link", remember=False)


def _log_on(context: Context) -> Decision:
    """Let a terminal serve a shop that is known and not suspended (R39)."""
    desk, request = context.desk, context.request
    merchant = desk.registry.merchant(request.merchant_id)
    if merchant is None or merchant.suspended:
        return _refused(context, "03")
    is_home = context.terminal.home_merchant_id == merchant.merchant_id
    if not (is_home or desk.rules.rules.terminal_and_shop.terminal_may_move):
        return _refused(context, "03")
    number = desk.memory.log_on(request.terminal_id, request.merchant_id, request.operator)
    return Decision(
        code="00",
        log_on_number=number,
        shop_heading=(merchant.name, f"{merchant.village}, {merchant.district}"),
        business_date=desk.memory.business_date,
        remember=False,
    )


def _refused(context: Context, code: str) -> Decision:
    refusal = context.desk.rules.refuse("terminal-and-shop", code)
    return Decision(code=code, evidence=refusal.evidence, remember=False)
