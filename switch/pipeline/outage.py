"""Stages of a voucher: an outage sale that the chip signed and that is cleared later (R30).

Off unless the city's rules say otherwise. The day that counts is 9A, which the chip signed.
"""

from datetime import date, timedelta

from programme.registry_port import CardStatus
from protocols.refusals import Refusal
from protocols.values import rupiah
from switch.pipeline.amount import sale_refusal
from switch.pipeline.card_state import check_active_card, find_card
from switch.pipeline.context import Context
from switch.pipeline.shape import check_card_shape
from switch.pipeline.verdict import CONTINUE, Verdict
from switch.request import Request

#: DE25 of a voucher. Source: protocols/specs/edc.toml, element 25.
_VOUCHER_CONDITION = "06"
_NO_DAY = date.min


def check_outage_allowed(context: Context) -> Verdict:
    """Refuse 12 where the city has no outage sale, 30 a voucher without number or condition."""
    rules, request = context.desk.rules, context.request
    if not rules.rules.outage_sale.enabled:
        return rules.refuse("outage-sale", "12")
    voucher = request.message.parts(60).get("voucher")
    if request.message.text(25) != _VOUCHER_CONDITION or not voucher:
        return Refusal("30", evidence="shape: no voucher")
    return check_card_shape(context)


def check_voucher_shop(context: Context) -> Verdict:
    """Refuse with 03 a terminal out of service, and a shop that is unknown, suspended or foreign.

    The terminal may be logged on to another shop by now: the voucher is its shop's of that day.
    """
    desk, request = context.desk, context.request
    merchant = desk.registry.merchant(request.merchant_id)
    may_move = desk.rules.rules.terminal_and_shop.terminal_may_move
    is_home = context.terminal.home_merchant_id == request.merchant_id
    if merchant is None or merchant.suspended or not context.terminal.active:
        return desk.rules.refuse("terminal-and-shop", "03")
    if not (is_home or may_move):
        return desk.rules.refuse("terminal-and-shop", "03")
    context.merchant = merchant
    return CONTINUE


def check_voucher_card(context: Context) -> Verdict:
    """Refuse as for an online sale; a card replaced since still pays for what it signed."""
    card = find_card(context)
    if card is not None and card.status is CardStatus.REPLACED:
        context.card = card
        return CONTINUE
    return check_active_card(context)


def check_outage_limits(context: Context) -> Verdict:
    """Refuse 13 and 61 as for any sale; 98 too late, too early, or over a limit of its day."""
    rules, request = context.desk.rules, context.request
    rule, use = rules.rules.outage_sale, context.desk.memory.outage
    if request.currency != rules.rules.amount.currency:
        return rules.refuse("amount", "13")
    refusal = sale_refusal(rules, request.amount_sen)
    if refusal is not None:
        return refusal
    day, today = signed_on(request), context.desk.memory.business_date
    if not today - timedelta(days=rule.clear_days) <= day <= today + timedelta(days=1):
        return rules.refuse("outage-sale", "98")
    for used, limit_sen in (
        (use.of_card(context.card_found.account_id, day), rule.card_day_limit_sen),
        (use.of_terminal(context.terminal.terminal_number, day), rule.terminal_day_limit_sen),
    ):
        if used + request.amount_sen > limit_sen:
            return rules.refuse("outage-sale", "98", f"L={rupiah(limit_sen)}")
    return CONTINUE


def signed_on(request: Request) -> date:
    """Give the day that the chip signed (9A, YYMMDD), 0001-01-01 when it is none."""
    text = request.chip["9A"].hex()
    try:
        return date(2000 + int(text[:2]), int(text[2:4]), int(text[4:6]))
    except ValueError:
        return _NO_DAY
