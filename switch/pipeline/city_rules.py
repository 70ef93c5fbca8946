"""Stages of the city's own rules: hours, basket, proxy, and the alarm of a stack of cards.

All come before chip and PIN: what they refuse costs no PIN try.
"""

from typing import Any

from programme.registry_port import ProxyView
from protocols.business_time import wita
from protocols.refusals import Refusal
from switch.pipeline.context import Context
from switch.pipeline.verdict import CONTINUE, Verdict
from switch.rules import RuleBook

#: What stands before a proxy's number in element 62.
_PROXY_LETTER = "W"
#: What the cards of a stack have in common. Source: domain.md 2, R28.
SALES_IN_A_ROW, WRONG_PINS, EMPTIED = "sales", "wrong PINs", "emptied"


def check_hours(context: Context) -> Verdict:
    """Refuse with 05 and H01 a sale outside the hours that the city sets."""
    rules = context.desk.rules
    if not rules.rules.hours.enabled:
        return CONTINUE
    return hours_refusal(rules, context.desk.now_ns) or CONTINUE


def hours_refusal(rules: RuleBook, now_ns: int) -> Refusal | None:
    """Give 05 and H01 for an instant at which no shop may sell."""
    rule = rules.rules.hours
    if rule.enabled and not rule.is_open(wita(now_ns).time()):
        return rules.refuse("hours", "05", "H01")
    return None


def check_basket(context: Context) -> Verdict:
    """Refuse with 57 and P04 what is no food, with 30 a basket that lacks or does not add up.

    A proxy whom the message names must be registered for the card on this day: 57 and W01.
    """
    message, merchant = context.request.message, context.merchant
    assert merchant is not None, "the shop stage runs before the basket"
    rules = context.desk.rules
    rule = rules.rules.basket
    if 62 not in message:
        is_needed = rule.required or merchant.category in rule.basket_categories
        return rules.refuse("basket", "30") if rule.enabled and is_needed else CONTINUE
    parts = message.parts(62)
    lines = parts.get("basket", [])
    if rule.enabled:
        assert isinstance(lines, list), "the codec decoded it"
        refusal = basket_refusal(rules, lines, context.request.amount_sen)
        if refusal is not None:
            return refusal
        if not lines and (rule.required or merchant.category in rule.basket_categories):
            return rules.refuse("basket", "30")
    proxy = parts.get("proxy")
    return CONTINUE if proxy is None else _check_proxy(context, str(proxy))


def basket_refusal(rules: RuleBook, lines: list[dict[str, Any]], amount_sen: int) -> Refusal | None:
    """Give 57 and P04 for a forbidden item, 30 for lines that do not give the amount."""
    rule = rules.rules.basket
    if any(str(line["item"]).strip() in rule.forbidden_items for line in lines):
        return rules.refuse("basket", "57", "P04")
    if lines and rule.must_add_up and sum(int(line["amount"]) for line in lines) != amount_sen:
        return rules.refuse("basket", "30")
    return None


def _check_proxy(context: Context, named: str) -> Verdict:
    rules, desk = context.desk.rules, context.desk
    number = named.removeprefix(_PROXY_LETTER)
    proxy: ProxyView | None = None
    if rules.rules.proxy.enabled and named.startswith(_PROXY_LETTER) and number.isdecimal():
        proxy = desk.registry.proxy(int(number))
    if proxy is None or not proxy.acts_for(context.card_found, desk.memory.business_date):
        return rules.refuse("proxy", "57", "W01")
    return CONTINUE


def check_card_stack(context: Context) -> Verdict:
    """Raise the alarm of many cards in quick succession; refuse 05 and B06 if the rule says so."""
    rules = context.desk.rules
    rule = rules.rules.card_stack
    if not raise_alarm(context, SALES_IN_A_ROW, rule.cards, rule.seconds):
        return CONTINUE
    return rules.refuse("card-stack", "05", "B06") if rule.refuse else CONTINUE


def note_wrong_pin(context: Context) -> None:
    """Raise the alarm of wrong PINs of many cards on one terminal."""
    rule = context.desk.rules.rules.card_stack
    raise_alarm(context, WRONG_PINS, rule.wrong_pin_cards, rule.wrong_pin_seconds)


def note_emptied(context: Context) -> None:
    """Raise the alarm of many cards that one terminal leaves with nothing."""
    rule = context.desk.rules.rules.card_stack
    raise_alarm(context, EMPTIED, rule.emptied_cards, rule.emptied_seconds)


def raise_alarm(context: Context, pattern: str, cards: int, seconds: int) -> bool:
    """Tell people, and whoever asks, when this card completes a stack of its pattern."""
    desk, terminal = context.desk, context.terminal.terminal_number
    card = context.card_found.card_number
    if not desk.rules.rules.card_stack.enabled:
        return False
    if not desk.memory.stacks.note(pattern, terminal, card, desk.now_ns, cards, seconds):
        return False
    fields = {
        "pattern": pattern,
        "terminal": context.request.terminal_id,
        "shop": context.request.merchant_id,
        "cards": cards,
        "seconds": seconds,
        "rule": desk.rules.references["card-stack"].evidence,
    }
    desk.alarms.append(("card-stack", fields))
    return True
