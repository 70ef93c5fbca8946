"""The explanation of rules: the pipeline's own functions, in the pipeline's order."""

from datetime import time

import pytest

from programme.registry_port import CardStatus
from switch.explain import Sale, explain
from switch.rules import load_rules
from tests.test_switch.switch_world import START_NS

CASES = """
5411  -  009800        25000  00  -
5499  -  009800        25000  00  -
4814  -  009800        25000  58  food-only
9999  -  009800        25000  58  food-only
5331  -  009800        25000  58  food-only
5331  by-name  009800  25000  00  -
4814  by-name  009800  25000  58  food-only
5411  -  010000        25000  57  no-cash-out
4814  -  090000        25000  57  no-cash-out
5411  -  009800            0  13  amount
5411  -  009800     20000001  13  amount
4814  -  009800            0  58  food-only
"""


@pytest.mark.parametrize("row", [line.split() for line in CASES.strip().splitlines()], ids="/".join)
def test_explain_names_the_rule_that_decides_first(row: list[str]) -> None:
    category, by_name, processing_code, amount, code, rule = row
    sale = Sale(processing_code, int(amount) * 100, START_NS, category, by_name == "by-name")
    told = explain(load_rules(), sale)
    assert told.code == code
    assert (told.decisive.reference.rule_id if told.decisive else "-") == rule
    assert len(list(told.lines())) == 8
    assert told.as_json()["code"] == code


def decisive(counter, **changes: object) -> str:
    """Give code and rule of a sale at the counter's shop with its card."""
    registry = counter.world.registry
    given = {
        "processing_code": "009800",
        "amount_sen": 100_000,
        "now_ns": START_NS,
        "shop": registry.merchant(counter.shop),
        "card": registry.card_by_pan(counter.chip.pan),
        **changes,
    }
    told = explain(counter.world.node.core._desk.rules, Sale(**given))
    return f"{told.code} {told.decisive.reference.rule_id if told.decisive else '-'}"


def test_explain_of_this_shop_and_this_card_says_what_the_switch_answers(counter):
    world = counter.world

    def both() -> str:
        told = decisive(counter)
        assert told[:2] == counter.buy(100_000).text(39)
        return told

    assert both() == "00 -"
    world.set_rule("hours", enabled=True, opens=time(10), closes=time(11))
    assert both() == "05 hours"
    world.change_shop(counter.shop, designated=False)
    assert both() == "03 food-only"
    world.change_card(counter.chip, status=CardStatus.AT_BANK)
    assert both() == "78 card-state"
    world.change_shop(counter.shop, suspended=True)
    assert both() == "03 terminal-and-shop"


def test_explain_looks_at_items_and_purse(counter):
    assert decisive(counter, items=("ROKOK",)) == "57 basket"
    assert decisive(counter, items=("BERAS5KG",)) == "00 -"
    assert decisive(counter, processing_code="005500") == "57 food-only"
