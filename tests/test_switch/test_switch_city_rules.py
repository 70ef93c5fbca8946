"""The city's own rules: hours, baskets, proxies, stacks of cards, shop limits; versions by date."""

from datetime import date, time
from importlib.resources import files

import pytest

from programme.registry_port import ProxyView
from protocols.errors import ConfigurationError
from protocols.iso8583 import Message
from switch.rules import load_rules, parse_rules
from tests.test_switch.switch_edc import PIN

RICE = {"item": "BERAS5KG", "quantity": "00001000", "amount": "000000100000"}
SMOKE = {**RICE, "item": "ROKOK   "}


def built_in() -> str:
    return files("switch").joinpath("data/rules.toml").read_text("utf-8")


def told(answer: Message) -> str:
    return " ".join(str(answer.get(n)) for n in (39, 44) if n in answer)


def tries(counter) -> int:
    return counter.world.node.core._desk.memory.pin_tries.count(1)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([RICE], "00"),
        ([RICE, SMOKE], "57 P04"),
        ([RICE, RICE], "30"),
        ([], "00"),
    ],
)
def test_basket_decides_by_item_and_sum_and_costs_no_try(counter, lines, expected):
    sale = {"de62": {"basket": lines}} if lines else {}
    assert told(counter.buy(100_000, pin="482159", **sale)) == expected
    assert told(counter.buy(100_000, pin="000000", **sale))[:2] == {"00": "55"}.get(
        expected, expected[:2]
    )
    assert tries(counter) == (expected == "00")


def test_basket_is_required_where_the_rule_says_so(counter):
    counter.world.set_rule("basket", basket_categories=frozenset({"5411"}))
    assert told(counter.buy(100_000)) == "30"
    assert told(counter.buy(100_000, de62={"proxy": "W1"})) == "30"
    assert told(counter.buy(100_000, de62={"basket": [RICE]})) == "00"
    counter.world.set_rule("basket", enabled=False)
    assert told(counter.buy(100_000, de62={"basket": [SMOKE]})) == "00"


@pytest.mark.parametrize(
    ("named", "account", "until", "expected"),
    [
        ("W0000042", 1_001, date(2026, 1, 5), "00"),
        ("W0000042", 1_001, date(2026, 1, 4), "57 W01"),
        ("W0000042", 1_002, date(2026, 6, 30), "57 W01"),
        ("W0000043", 1_001, date(2026, 6, 30), "57 W01"),
        ("X42", 1_001, date(2026, 6, 30), "57 W01"),
        ("WABC", 1_001, date(2026, 6, 30), "57 W01"),
    ],
)
def test_proxy_buys_only_for_the_card_and_days_of_the_registry(
    counter, named, account, until, expected
):
    counter.world.registry.proxies[42] = ProxyView(
        proxy_number=42, account_id=account, valid_from=date(2026, 1, 1), valid_until=until
    )
    assert told(counter.buy(100_000, de62={"proxy": named})) == expected
    counter.world.set_rule("proxy", enabled=False)
    assert told(counter.buy(100_000, de62={"proxy": named})) == "57 W01"


@pytest.mark.parametrize(
    ("opens", "closes", "expected"),
    [
        (time(9), time(10), "00"),
        (time(10), time(11), "05 H01"),
        (time(22), time(9, 14), "05 H01"),
        (time(22), time(9, 15), "00"),
    ],
)
def test_hours_are_those_of_samarinda(counter, opens, closes, expected):
    counter.world.set_rule("hours", enabled=True, opens=opens, closes=closes)
    assert told(counter.buy(100_000)) == expected


def alarms(counter) -> list[dict]:
    return [fields for name, fields in counter.world.node.core.events if name == "card-stack"]


@pytest.mark.parametrize(("refuse", "last"), [(False, "00"), (True, "05 B06")])
def test_stack_of_cards_raises_one_alarm_and_is_refused_where_the_rule_says_so(
    counter, refuse, last
):
    world, edc = counter.world, counter.edc
    world.set_rule("card_stack", cards=3, seconds=60, refuse=refuse)
    cards = [world.add_card(number, 1_000_000) for number in (2, 3, 4, 5)]
    answers = []
    for card in cards:
        world.clock.advance(20)
        answers.append(told(edc.send(edc.purchase(card, 100_000))[0]))
    assert answers == ["00", "00", last, "00"]
    (alarm,) = alarms(counter)
    assert alarm["terminal"] == edc.terminal_id
    assert not any(card.pan.reveal() in str(alarm) for card in cards)


@pytest.mark.parametrize(
    ("pattern", "sen", "pin", "answer"),
    [("wrong PINs", 100_000, "000000", "55 N=2"), ("emptied", 1_000_000, PIN, "00")],
)
def test_wrong_pins_and_emptied_cards_of_one_terminal_raise_one_alarm_for_the_stack(
    counter, pattern, sen, pin, answer
):
    world, edc = counter.world, counter.edc
    rule = {"wrong_pin_cards": 3, "wrong_pin_seconds": 60}
    world.set_rule("card_stack", **rule, emptied_cards=3, emptied_seconds=60)
    cards = [world.add_card(number, 1_000_000) for number in (2, 3, 4, 5)]
    for card in cards:
        world.clock.advance(20)
        request = edc.purchase(card, sen, pin=pin)
        assert told(edc.send(request)[0]) == answer
        assert told(edc.send(request)[0]) == answer
    world.exchange()
    (alarm,) = alarms(counter)
    assert (alarm["pattern"], alarm["terminal"]) == (pattern, edc.terminal_id)
    assert not any(card.pan.reveal() in str(alarm) for card in cards)


def test_holder_who_mistypes_again_and_again_is_no_stack(counter):
    counter.world.set_rule("card_stack", wrong_pin_cards=2, wrong_pin_seconds=600)
    for expected in ("55 N=2", "55 N=1", "75"):
        assert told(counter.buy(100_000, pin="000000")) == expected
    assert alarms(counter) == []


def test_cards_at_the_pace_of_people_raise_no_alarm(counter):
    world, edc = counter.world, counter.edc
    world.set_rule("card_stack", cards=3, seconds=60)
    for number in (2, 3, 4, 5):
        world.clock.advance(31)
        assert told(edc.send(edc.purchase(world.add_card(number, 100_000), 100_000))[0]) == "00"
    assert alarms(counter) == []


def test_shops_day_is_limited_over_all_cards_also_after_a_restart(counter):
    world, other = counter.world, counter.world.add_card(2, 30_000_000)
    world.set_amount_rule(shop_day_limit_rupiah=3_000)
    assert told(counter.buy(200_000)) == "00"
    assert told(counter.edc.send(counter.edc.purchase(other, 200_000))[0]) == "61 L=3.000"
    world.restart()
    world.set_amount_rule(shop_day_limit_rupiah=3_000)
    assert told(counter.edc.send(counter.edc.purchase(other, 200_000))[0]) == "61 L=3.000"
    world.set_amount_rule(shop_day_sales_limit=1, shop_day_limit_rupiah=1_000_000)
    assert told(counter.edc.send(counter.edc.purchase(other, 200_000))[0]) == "65"


def two_versions() -> str:
    """Give the built-in rules with a sale limit of Rp1,000 from 2026-01-07 on."""
    head, rest = built_in().split("[rule.amount]", 1)
    body, tail = rest.split("\n[rule.chip]", 1)
    first = body.replace("source =", "ends_on = 2026-01-06\nsource =")
    second = (
        body.replace("version = 1", "version = 2")
        .replace("2025-09-23", "2026-01-07")
        .replace("sale_limit_rupiah = 20_000_000", "sale_limit_rupiah = 1_000")
    )
    return f"{head}[[rule.amount]]{first}\n[[rule.amount]]{second}\n[rule.chip]{tail}"


def test_version_of_a_rule_changes_with_the_business_date(counter):
    counter.world.node.core.use_rules(parse_rules(two_versions(), "rules.toml"))
    answers = []
    for _day in range(3):
        answers.append(told(counter.buy(200_000)))
        counter.world.clock.advance(86_400)
    assert answers == ["00", "00", "61 L=1.000"]
    assert counter.world.node.core._desk.rules.references["amount"].version == 2


def test_two_versions_of_a_rule_on_one_day_are_refused_by_line():
    text = two_versions().replace("ends_on = 2026-01-06\n", "")
    number = text.splitlines().index("starts_on = 2026-01-07") + 1
    with pytest.raises(ConfigurationError, match=rf"r\.toml:{number}: rule\.amount\.1\.starts_on"):
        parse_rules(text, "r.toml")


def test_two_versions_with_one_number_are_refused():
    text = two_versions().replace("version = 2\n", "version = 1\n")
    with pytest.raises(ConfigurationError, match=r"rule\.amount\.1\.version: double"):
        parse_rules(text, "r.toml")


def test_fault_in_the_second_version_names_its_line():
    text = two_versions().replace("sale_limit_rupiah = 1_000\n", "sale_limit_rupiah = 0\n")
    number = text.splitlines().index("sale_limit_rupiah = 0") + 1
    with pytest.raises(ConfigurationError, match=rf"r\.toml:{number}: rule\.amount\.1\.sale_limit"):
        parse_rules(text, "r.toml")


def test_optional_rule_out_of_force_is_as_not_enabled_and_stops_no_sale(counter):
    text = built_in().replace(
        'source = "R28; domain.md 1.4 (Brebes, Tuban)"',
        'source = "R28"\nends_on = 2026-01-04',
    )
    counter.world.node.core.use_rules(parse_rules(text, "r.toml"))
    assert not counter.world.node.core._desk.rules.rules.card_stack.enabled
    assert told(counter.buy(100_000)) == "00"


def test_every_rule_has_a_version_a_basis_and_a_book_of_any_day():
    book = load_rules()
    for day in (date(2025, 9, 23), date(2026, 12, 31), date(2040, 1, 1)):
        assert book.on(day).missing_on(day) is None
        assert book.on(day).references.keys() == book.references.keys()
