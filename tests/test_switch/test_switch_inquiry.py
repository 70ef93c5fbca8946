"""Balance, mini statement, log-on, echo, business date."""

from datetime import date

import pytest

from programme.registry_port import BlockReason
from switch.rules import load_rules


def test_balance_tells_total_and_months_without_a_pin(counter):
    counter.world.fund(1_001, "2026-02", 30_000_000)
    counter.buy(10_000_000)
    request = counter.edc.balance(counter.chip)
    (answer,) = counter.edc.send(request)
    assert answer.text(39) == "00"
    assert int(answer.groups(54)[0]["amount"]) == 50_000_000
    months = [(m["period"], int(m["amount"])) for m in answer.groups(63, "months")]
    assert months == [("202601", 20_000_000), ("202602", 30_000_000)]
    assert 44 not in answer
    assert counter.chip.issuer_is_genuine(request, answer)


def test_balance_of_older_terminals_is_the_food_purse_too(counter):
    (answer,) = counter.edc.send(counter.edc.balance(counter.chip, "301000"))
    assert answer.text(39) == "00"
    assert answer.groups(54)[0]["account_type"] == "98"


def test_balance_of_zero_says_why(counter):
    never_paid = counter.world.add_card(2, 0)
    (answer,) = counter.edc.send(counter.edc.balance(never_paid))
    assert (answer.text(39), answer.text(44)) == ("00", "Z01")
    counter.buy(30_000_000)
    (answer,) = counter.edc.send(counter.edc.balance(counter.chip))
    assert (answer.text(39), answer.text(44)) == ("00", "Z02")


def test_balance_of_a_blocked_card_is_refused_with_the_reason(counter):
    counter.world.block(counter.chip, BlockReason.DECREE_ENDED)
    (answer,) = counter.edc.send(counter.edc.balance(counter.chip))
    assert (answer.text(39), answer.text(44)) == ("62", "B02")


def test_balance_needs_a_genuine_chip(counter):
    request = counter.edc.balance(counter.chip)
    request.elements[55]["9F26"] = bytes(8)
    assert counter.edc.send(request)[0].text(39) == "88"


def test_repeated_balance_inquiry_is_answered_again(counter):
    request = counter.edc.balance(counter.chip)
    answers = [counter.edc.send(request)[0] for _ in range(2)]
    assert [answer.text(39) for answer in answers] == ["00", "00"]


def test_mini_statement_lists_the_last_five_newest_first(counter):
    for amount in range(1, 7):
        counter.buy(amount * 100_000)
    (answer,) = counter.edc.send(counter.edc.balance(counter.chip, "389800"))
    lines = answer.groups(48, "statement")
    assert [int(line["amount"]) for line in lines] == [600_000, 500_000, 400_000, 300_000, 200_000]
    assert {line["sign"] for line in lines} == {"D"}
    assert {line["date"] for line in lines} == {"20260105"}


def test_mini_statement_shows_money_that_came(counter):
    (answer,) = counter.edc.send(counter.edc.balance(counter.chip, "389800"))
    (line,) = answer.groups(48, "statement")
    assert (line["sign"], int(line["amount"])) == ("C", 30_000_000)
    assert line["shop"].rstrip() == "BANTUAN MASUK"


def test_log_on_gives_number_heading_and_business_date(counter):
    (answer,) = counter.edc.send(counter.edc.network("001"))
    assert answer.text(39) == "00"
    assert int(answer.text(61, "log_on")) == 1
    assert answer.parts(63)["shop"]["name"].rstrip() == "E-WARONG UJI 17"
    assert answer.text(63, "business_date") == "20260105"


def test_log_on_to_a_suspended_or_unknown_shop_is_03(counter):
    counter.world.change_shop(counter.shop, suspended=True)
    assert counter.edc.send(counter.edc.network("001"))[0].text(39) == "03"
    counter.edc.merchant_id = "EW0000000000099"
    assert counter.edc.send(counter.edc.network("001"))[0].text(39) == "03"


def test_terminal_moves_between_shops_by_log_on(counter):
    other = counter.world.add_shop(18)
    counter.edc.merchant_id = other
    assert counter.buy(100_000).text(39) == "03"
    assert counter.edc.send(counter.edc.network("001"))[0].text(61, "log_on") == "000002"
    assert counter.buy(100_000).text(39) == "00"
    assert counter.world.balance(5_018) == 100_000
    counter.world.restart()
    assert counter.buy(100_000).text(39) == "00"


def test_terminal_that_logged_off_sells_nothing(counter):
    assert counter.edc.send(counter.edc.network("002"))[0].text(39) == "00"
    assert counter.buy(100_000).text(39) == "03"
    counter.world.restart()
    assert counter.buy(100_000).text(39) == "03"


@pytest.mark.parametrize("code", ["301", "201"])
def test_echo_tells_the_business_date_and_moves_nothing(counter, code):
    (answer,) = counter.edc.send(counter.edc.network(code))
    assert answer.text(39) == "00"
    assert answer.text(63, "business_date") == "20260105"


def test_network_code_that_the_link_does_not_have_is_12(counter):
    assert counter.edc.send(counter.edc.network("162"))[0].text(39) == "12"


def test_business_date_moves_at_midnight_in_samarinda_and_never_back(counter):
    world = counter.world
    # It is 09:14:07 in Samarinda: 14 h 45 min 52 s are left of the day, one second short.
    seen = []
    for step in (14 * 3600 + 45 * 60 + 52, 1, -12 * 3600):
        world.clock.advance(step)
        (answer,) = counter.edc.send(counter.edc.network("301"))
        seen.append(answer.text(63, "business_date"))
    assert seen == ["20260105", "20260106", "20260106"]
    world.restart()
    assert world.node.core._desk.memory.business_date == date(2026, 1, 6)


def test_balance_tells_the_last_purchase_that_stands_and_its_shop(counter):
    answer = counter.edc.send(counter.edc.balance(counter.chip))[0]
    assert "last_purchase" not in answer.parts(63)
    counter.buy(1_000_000)
    gone = counter.edc.purchase(counter.chip, 2_000_000)
    counter.edc.send(gone)
    counter.edc.send(counter.edc.reversal(gone))
    answer = counter.edc.send(counter.edc.balance(counter.chip))[0]
    assert answer.parts(63)["last_purchase"] == {
        "date": "20260105",
        "amount": "000001000000",
        "shop": "E-WARONG UJI 17     ",
    }


def test_balance_at_zero_says_why_when_and_where(counter):
    counter.world.set_rule("payment_plan", enabled=True)
    counter.buy(30_000_000)
    answer = counter.edc.send(counter.edc.balance(counter.chip))[0]
    assert (answer.text(39), answer.text(44)) == ("00", "Z02")
    assert answer.parts(63)["planned_date"] == "20260110"
    assert answer.parts(63)["last_purchase"]["amount"] == "000030000000"


@pytest.mark.parametrize(
    ("day", "ends_on", "expected"),
    [
        (date(2026, 1, 9), None, date(2026, 1, 10)),
        (date(2026, 1, 10), None, date(2026, 2, 10)),
        (date(2026, 12, 31), None, date(2027, 1, 10)),
        (date(2026, 12, 31), date(2026, 12, 31), None),
    ],
)
def test_planned_date_is_the_next_announced_one(day, ends_on, expected):
    rule = load_rules().rules.payment_plan.model_copy(update={"enabled": True, "ends_on": ends_on})
    assert rule.next_after(day) == expected


def test_statement_names_the_shop_of_each_purchase(counter):
    counter.buy(1_000_000)
    sale = counter.edc.purchase(counter.chip, 500_000)
    counter.edc.send(sale)
    void = counter.edc.void(sale)
    counter.edc.send(void)
    counter.edc.send(counter.edc.reversal(void))
    answer = counter.edc.send(counter.edc.balance(counter.chip, "389800"))[0]
    lines = [(one["sign"], one["shop"].strip()) for one in answer.parts(48)["statement"]]
    assert lines == [
        ("D", "BATAL DIURUNGKAN"),
        ("C", "PEMBATALAN"),
        ("D", "E-WARONG UJI 17"),
        ("D", "E-WARONG UJI 17"),
        ("C", "BANTUAN MASUK"),
    ]
