"""Purchases through every stage: each DE39 of domain.md 3.4 with its reason and its postings."""

from dataclasses import replace
from datetime import date

import pytest

from programme.chart import TransferCode
from programme.registry_port import BlockReason, CardStatus
from programme.slip_code import slip_code
from protocols.crypto.cryptogram import application_cryptogram, arqc_data_nsiccs

CASH_CODES = ("01", "09", "10", "11", "17", "21", "40", "48", "50", "60", "61")


def test_purchase_within_balance_is_approved_with_balance_months_and_arpc(counter):
    request = counter.edc.purchase(counter.chip, 14_150_000)
    (answer,) = counter.edc.send(request)
    assert answer.mti == "0210"
    assert answer.text(39) == "00"
    assert len(answer.text(38)) == 6
    assert answer.groups(54)[0]["amount"] == f"{15_850_000:012d}"
    assert answer.groups(63, "months") == [{"period": "202601", "amount": f"{15_850_000:012d}"}]
    assert counter.chip.issuer_is_genuine(request, answer)
    assert counter.world.card_balance(counter.chip) == 15_850_000
    assert counter.world.balance(5_017) == 14_150_000


def test_purchase_of_the_whole_balance_leaves_zero(counter):
    answer = counter.buy(30_000_000)
    assert answer.text(39) == "00"
    assert answer.groups(54)[0]["amount"] == "0" * 12
    assert "months" not in answer.parts(63)
    assert counter.world.card_balance(counter.chip) == 0


def test_purchase_answer_carries_the_slip_code_of_its_record_and_a_repeat_the_same(counter):
    request = counter.edc.purchase(counter.chip, 1_000_000)
    (answer,) = counter.edc.send(request)
    (entry,) = [e for e in counter.world.ledger.entries() if e.transfer.amount == 1_000_000]
    assert answer.text(63, "slip_code") == slip_code(entry)
    (again,) = counter.edc.send(request)
    assert again.text(63, "slip_code") == slip_code(entry)


def test_purchase_of_three_months_takes_the_oldest_first(counter):
    for month in ("2026-02", "2026-03"):
        counter.world.fund(1_001, month, 30_000_000)
    answer = counter.buy(45_000_000)
    months = [(m["period"], int(m["amount"])) for m in answer.groups(63, "months")]
    assert months == [("202602", 15_000_000), ("202603", 30_000_000)]


def test_purchase_above_the_balance_is_51_with_the_balance_and_stays_51(counter):
    request = counter.edc.purchase(counter.chip, 30_000_100)
    for _time in range(2):
        (answer,) = counter.edc.send(request)
        assert answer.text(39) == "51"
        assert answer.groups(54)[0]["amount"] == f"{30_000_000:012d}"
        assert 38 not in answer
    assert counter.world.postings() == 0
    # The key is burnt: money that comes later does not turn the old message into a sale.
    counter.world.fund(1_001, "2026-02", 30_000_000)
    assert counter.edc.send(request)[0].text(39) == "51"
    assert counter.world.postings() == 0


def refuse(counter, wanted, reason="", /, amount=1_000_000, **changes):
    """Expect a refusal that posts nothing and costs no PIN try."""
    before = counter.world.postings()
    answer = counter.buy(amount, **changes)
    assert (answer.text(39), answer.text(44) if 44 in answer else "") == (wanted, reason), changes
    assert 38 not in answer
    assert counter.world.postings() == before
    if wanted != "55":
        assert counter.world.node.core._desk.memory.pin_tries.count(1) == 0
    return answer


def test_blocked_card_is_refused_with_its_reason(counter):
    for block, code in [
        (BlockReason.LOST, "41"),
        (BlockReason.DECREE_ENDED, "62"),
        (BlockReason.DECEASED, "62"),
        (BlockReason.DUPLICATE, "62"),
        (BlockReason.NOT_COLLECTED, "62"),
        (BlockReason.SUSPICION, "62"),
        (BlockReason.STOLEN, "43"),
    ]:
        counter.world.block(counter.chip, block)
        refuse(counter, code, block.value, pin="000000")


def test_card_that_is_not_active_is_refused(counter):
    for status, code in [
        (CardStatus.PRINTED, "78"),
        (CardStatus.AT_BANK, "78"),
        (CardStatus.REPLACED, "62"),
        (CardStatus.CLOSED, "62"),
    ]:
        counter.world.change_card(counter.chip, status=status)
        refuse(counter, code, pin="000000")


def test_expired_card_is_54_the_day_after_its_end_date_and_not_before(counter):
    counter.world.change_card(counter.chip, expires_on=date(2026, 1, 4))
    refuse(counter, "54")
    counter.world.change_card(counter.chip, expires_on=date(2026, 1, 5))
    assert counter.buy(1_000_000).text(39) == "00"


def test_unknown_card_is_14(counter):
    counter.world.registry.cards.clear()
    refuse(counter, "14", pin="000000")


def test_shop_that_is_not_the_terminals_is_03(counter):
    other = counter.world.add_shop(18)
    refuse(counter, "03", de42=other)


@pytest.mark.parametrize("change", [{"suspended": True}, {"designated": False}])
def test_suspended_or_undesignated_shop_is_03(counter, change):
    counter.world.change_shop(counter.shop, **change)
    refuse(counter, "03", pin="000000")


def test_unregistered_shop_is_03(counter):
    counter.world.registry.merchants.clear()
    refuse(counter, "03")


def test_terminal_out_of_service_is_03(counter):
    terminals = counter.world.registry.terminals
    tid = counter.edc.terminal_id
    terminals[tid] = replace(terminals[tid], active=False)
    refuse(counter, "03")


def test_terminal_that_never_logged_on_is_03(world):
    shop = world.add_shop(17)
    edc = world.add_edc(17, shop)
    edc.take_keys(edc.send(edc.network("161"), mac=False)[0])
    chip = world.add_card(1, 30_000_000)
    assert edc.send(edc.purchase(chip, 1_000_000))[0].text(39) == "03"


def test_category_of_our_registry_decides_what_is_food(counter):
    for category, registered, code in [
        ("5411", (), "00"),
        ("5499", (), "00"),
        ("5812", (), "58"),
        ("4814", (), "58"),
        ("9999", (), "58"),
        ("5331", (), "58"),
        ("5331", ("5331",), "00"),
        ("5331", ("5462",), "58"),
        ("5812", ("5812",), "58"),
    ]:
        counter.world.change_shop(
            counter.shop, category=category, conditional_categories=frozenset(registered)
        )
        if code == "00":
            assert counter.buy(1_000_000).text(39) == "00"
        else:
            refuse(counter, "58", "P01", pin="000000")


def test_undesignated_shop_that_sells_no_food_is_58(counter):
    counter.world.change_shop(counter.shop, category="5812", designated=False)
    refuse(counter, "58", "P01")


def test_shop_without_account_in_the_purse_is_58(counter):
    counter.world.change_shop(counter.shop, payable_accounts={2: 5_017})
    refuse(counter, "58", "P01")


def test_card_of_another_purse_is_57(counter):
    counter.world.change_card(counter.chip, purse=2)
    refuse(counter, "57", "P03", pin="000000")


def test_every_cash_code_is_57_without_a_pin_try(counter):
    for code in CASH_CODES:
        refuse(counter, "57", "P02", code=f"{code}9800", pin="000000")


def test_cash_back_in_additional_amounts_is_57_without_a_pin_try(counter):
    cash_back = {
        "account_type": "98",
        "amount_type": "40",
        "currency": "360",
        "sign": "D",
        "amount": "000000500000",
    }
    refuse(counter, "57", "P02", de54=[cash_back], pin="000000")


def test_unknown_processing_code_is_12(counter):
    refuse(counter, "12", code="009900")


def test_unbelievable_amount_is_13(counter):
    for amount in [0, 1, 99, 150, 2_000_000_100]:
        refuse(counter, "13", amount=amount, pin="000000")


def test_other_currency_is_13(counter):
    refuse(counter, "13", de49="840")


def test_day_limit_counts_sales_of_the_day_and_frees_what_is_reversed(counter):
    counter.world.set_amount_rule(card_day_limit_rupiah=100_000)
    first = counter.edc.purchase(counter.chip, 6_000_000)
    assert counter.edc.send(first)[0].text(39) == "00"
    answer = counter.buy(5_000_000)
    assert (answer.text(39), answer.text(44)) == ("61", "L=100.000")
    assert counter.edc.send(counter.edc.reversal(first))[0].text(39) == "00"
    assert counter.buy(5_000_000).text(39) == "00"


def test_day_count_is_65_and_survives_a_restart(counter):
    counter.world.set_amount_rule(card_day_sales_limit=2)
    assert [counter.buy(100_000).text(39) for _ in range(3)] == ["00", "00", "65"]
    counter.world.restart()
    counter.world.set_amount_rule(card_day_sales_limit=2)
    assert counter.buy(100_000).text(39) == "65"


def test_sale_refused_by_the_ledger_does_not_count_for_the_day(counter):
    counter.world.set_amount_rule(card_day_sales_limit=1)
    assert counter.buy(40_000_000).text(39) == "51"
    assert counter.buy(30_000_000).text(39) == "00"


def test_chip_data_that_contradicts_message_or_key_is_88(counter):
    for tag, value in [
        ("9F02", "000000100100"),
        ("9F03", "000000000100"),
        ("5F2A", "0840"),
        ("9C", "01"),
        ("5F34", "01"),
        ("5A", "9360099900000027"),
        ("57", "9360099900000027D30122200000000000"),
        ("9F27", "40"),
        ("9F27", "00"),
        ("9F26", "0011223344556677"),
        ("9F37", "00000000"),
        ("95", "0000000000"),
        ("9F10", "0FA5"),
    ]:
        request = counter.edc.purchase(counter.chip, 100_000, pin="000000")
        request.elements[55][tag] = bytes.fromhex(value)
        (answer,) = counter.edc.send(request)
        assert answer.text(39) == "88"
        assert 55 not in answer
        assert counter.world.postings() == 0
        assert counter.world.node.core._desk.memory.pin_tries.count(1) == 0


def test_chip_that_signed_something_else_than_the_message_says_is_88(counter):
    """The cryptogram is right each time: only the comparison can refuse."""
    for tag, value in [
        ("9F02", "000000100100"),
        ("9F03", "000000000100"),
        ("5F2A", "0840"),
        ("9C", "01"),
        ("9F27", "40"),
    ]:
        request = counter.edc.purchase(counter.chip, 100_000)
        tags = request.elements[55]
        tags[tag] = bytes.fromhex(value)
        tags["9F26"] = application_cryptogram(counter.chip.session, arqc_data_nsiccs(tags))
        assert counter.edc.send(request)[0].text(39) == "88", tag
    assert counter.world.postings() == 0


def test_card_sequence_of_the_message_must_be_the_cards(counter):
    refuse(counter, "88", de23="001")


def test_magnetic_stripe_fallback_is_refused(counter):
    refuse(counter, "88", de22="801")


def test_missing_chip_tag_is_30(counter):
    request = counter.edc.purchase(counter.chip, 100_000)
    del request.elements[55]["9F37"]
    assert counter.edc.send(request)[0].text(39) == "30"


def test_missing_element_is_30(counter):
    for element in [4, 22, 35, 49, 52, 55]:
        refuse(counter, "30", **{f"de{element}": None})


def test_card_numbers_that_contradict_each_other_are_30(counter):
    refuse(counter, "30", de2="9360099900000027")


def test_transaction_counter_seen_before_is_88(counter):
    first = counter.edc.purchase(counter.chip, 100_000)
    assert counter.edc.send(first)[0].text(39) == "00"
    replayed = counter.edc.purchase(counter.chip, 100_000)
    replayed.elements[55] = first.elements[55]
    assert counter.edc.send(replayed)[0].text(39) == "88"
    assert counter.world.postings() == 1


def test_transaction_counter_is_remembered_over_a_restart(counter):
    first = counter.edc.purchase(counter.chip, 100_000)
    assert counter.edc.send(first)[0].text(39) == "00"
    counter.world.restart()
    replayed = counter.edc.purchase(counter.chip, 100_000)
    replayed.elements[55] = first.elements[55]
    assert counter.edc.send(replayed)[0].text(39) == "88"


def test_replacement_card_starts_its_own_counter_on_the_same_account(counter):
    for _sale in range(3):
        assert counter.buy(100_000).text(39) == "00"
    old = counter.chip
    counter.world.change_card(old, status=CardStatus.REPLACED)
    account = counter.world.registry.cards[old.pan.reveal()].account_id
    counter.chip = counter.world.add_card(2, 0, account_id=account)
    assert counter.buy(100_000).text(39) == "00"
    counter.world.restart()
    assert counter.buy(100_000).text(39) == "00"
    counter.chip = old
    assert counter.buy(100_000).text(39) == "62"


def test_message_from_outside_the_window_is_19_and_a_repeat_in_time_is_answered(counter):
    request = counter.edc.purchase(counter.chip, 100_000)
    counter.world.clock.advance(16 * 60)
    assert counter.edc.send(request)[0].text(39) == "19"
    early = counter.edc.purchase(counter.chip, 100_000)
    counter.world.clock.advance(-16 * 60)
    assert counter.edc.send(early)[0].text(39) == "19"
    counter.world.clock.advance(2 * 60)
    assert counter.edc.send(early)[0].text(39) == "00"


def test_decision_names_rule_version_and_legal_basis(counter):
    counter.world.change_shop(counter.shop, category="5812")
    counter.world.node.core.events.clear()
    counter.buy(100_000)
    name, fields = counter.world.node.core.events[-1]
    assert name == "declined"
    assert fields["rule"].startswith("food-only/1: Perwali 70/2025")
    assert fields["rules"] == "2026.1"
    assert counter.chip.pan.reveal() not in str(counter.world.node.core.events)


def test_purchases_of_other_counters_in_one_turn_share_one_batch(counter):
    world = counter.world
    shops = [world.add_shop(20 + i) for i in range(4)]
    edcs = [world.add_edc(20 + i, shop).start() for i, shop in enumerate(shops)]
    chips = [world.add_card(20 + i, 30_000_000) for i in range(4)]
    requests = [edc.purchase(chip, 100_000) for edc, chip in zip(edcs, chips, strict=True)]
    raw = [edc.encode(request) for edc, request in zip(edcs, requests, strict=True)]
    assert world.receive(*raw) == []
    work = world.node.core.next_work()
    assert [len(step.transfers) for step in work.steps] == [1, 1, 1, 1]
    answers = world.finish(work)
    codes = [e.decode(a.payload).text(39) for e, a in zip(edcs, answers, strict=True)]
    assert codes == ["00"] * 4
    assert world.node.core.next_work() is None
    assert world.postings(TransferCode.PURCHASE) == 4


def test_two_purchases_of_one_card_in_one_turn_never_spend_more_than_there_is(counter):
    requests = [counter.edc.purchase(counter.chip, 20_000_000) for _ in range(2)]
    answers = counter.edc.send(*requests)
    assert [answer.text(39) for answer in answers] == ["00", "51"]
    assert int(answers[1].groups(54)[0]["amount"]) == 10_000_000
    assert counter.world.card_balance(counter.chip) == 10_000_000


def test_months_of_an_answer_are_those_right_after_its_own_posting(counter):
    requests = [counter.edc.purchase(counter.chip, 10_000_000) for _ in range(2)]
    answers = counter.edc.send(*requests)
    left = [int(answer.groups(63, "months")[0]["amount"]) for answer in answers]
    assert left == [20_000_000, 10_000_000]
