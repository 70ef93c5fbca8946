"""Stage: the card is known, in service and not past its end date (R21, R22)."""

from programme.registry_port import CardStatus, CardView
from protocols.business_time import wita_date
from protocols.refusals import Refusal
from switch.pipeline.context import Context
from switch.pipeline.verdict import CONTINUE, Verdict
from switch.rules import RuleBook


def find_card(context: Context) -> CardView | None:
    """Give the registry's card of the message's number, None when it has none."""
    pan = context.request.pan
    return context.desk.registry.card_by_pan(pan) if pan is not None else None


def check_collected_card(context: Context) -> Verdict:
    """Refuse as `check_card_state`; a card that was collected and is not active yet passes.

    Its holder sets the PIN at activation.
    """
    card = find_card(context)
    if card is not None and card.status is CardStatus.COLLECTED:
        context.card = card
        return CONTINUE
    return check_card_state(context)


def check_card_state(context: Context) -> Verdict:
    """Refuse 14 unknown, 78 not active yet, 41, 43 or 62 blocked, 62 replaced, 54 expired.

    For what chip and PIN are proved for later: a collected card passes where the rule lets its
    first use make it active.
    """
    return _check(context, with_pin=True)


def check_active_card(context: Context) -> Verdict:
    """Refuse as `check_card_state`, and a collected card as well: here nobody proves to hold it."""
    return _check(context, with_pin=False)


def _check(context: Context, *, with_pin: bool) -> Verdict:
    desk = context.desk
    card = find_card(context)
    refusal = card_refusal(desk.rules, card, desk.now_ns, with_pin=with_pin)
    if refusal is not None:
        return refusal
    context.card = card
    return CONTINUE


def card_refusal(
    rules: RuleBook, card: CardView | None, now_ns: int, *, with_pin: bool
) -> Refusal | None:
    """Give why a card may not pay now, None when it may; `with_pin`: its holder proves the PIN."""
    refuse, rule = rules.refuse, rules.rules.card_state
    if card is None:
        return refuse("card-state", "14")
    if card.status is CardStatus.BLOCKED:
        reason = card.block_reason
        code = rule.by_block_reason.get(reason, "62") if reason is not None else "62"
        return refuse("card-state", code, reason or "")
    if card.status is not CardStatus.ACTIVE and not (
        with_pin and rule.first_use_activates and card.status is CardStatus.COLLECTED
    ):
        return refuse("card-state", rule.by_status.get(card.status, "62"))
    if wita_date(now_ns) > card.expires_on:
        return refuse("card-state", "54")
    return None
