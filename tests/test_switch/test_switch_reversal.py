"""Duplicates, reversals, voids, refunds: each approved answer has one unreversed posting."""

import pytest

from programme.chart import TransferCode
from protocols.iso8583 import Message


def repeat_of(message: Message, mti: str) -> Message:
    return Message(mti, dict(message.elements))


def codes(answers: list[Message]) -> list[str]:
    return [answer.text(39) for answer in answers]


def without_mac(message: Message) -> dict:
    return {n: v for n, v in message.elements.items() if n not in (64, 128)}


def test_repeat_gets_the_same_answer_and_no_second_posting(counter):
    request = counter.edc.purchase(counter.chip, 14_150_000)
    (first,) = counter.edc.send(request)
    counter.buy(1_000_000)
    for mti in ("0200", "0201"):
        (again,) = counter.edc.send(repeat_of(request, mti))
        assert without_mac(again) == without_mac(first)
    assert counter.world.postings() == 2


def test_repeat_after_a_restart_and_on_another_business_day_gets_the_same_answer(counter):
    request = counter.edc.purchase(counter.chip, 14_150_000)
    (first,) = counter.edc.send(request)
    counter.world.restart()
    counter.world.clock.advance(86_400)
    (again,) = counter.edc.send(repeat_of(request, "0201"))
    assert without_mac(again) == without_mac(first)
    assert counter.world.postings() == 1


def test_repeat_in_the_same_turn_waits_and_gets_the_same_answer(counter):
    request = counter.edc.purchase(counter.chip, 14_150_000)
    answers = counter.edc.send(request, request, repeat_of(request, "0201"))
    assert codes(answers) == ["00"] * 3
    assert len({answer.text(38) for answer in answers}) == 1
    assert counter.world.postings() == 1


def test_repeat_while_the_write_is_under_way_waits_for_it(counter):
    world, payload = counter.world, counter.edc.encode(counter.edc.purchase(counter.chip, 100_000))
    assert world.receive(payload) == []
    work = world.node.core.next_work()
    assert world.receive(payload) == []
    departures = world.finish(work)
    while (work := world.node.core.next_work()) is not None:
        departures += world.finish(work)
    assert codes([counter.edc.decode(d.payload) for d in departures]) == ["00", "00"]
    assert world.postings() == 1


def test_same_key_with_other_content_is_94(counter):
    request = counter.edc.purchase(counter.chip, 100_000)
    assert codes(counter.edc.send(request)) == ["00"]
    other = counter.edc.purchase(counter.chip, 200_000, pin="000000")
    for element in (7, 11, 37):
        other.elements[element] = request[element]
    assert codes(counter.edc.send(other)) == ["94"]
    assert counter.world.postings() == 1
    assert counter.world.node.core._desk.memory.pin_tries.count(1) == 0


def test_same_key_as_a_refused_message_with_other_content_is_94(counter):
    request = counter.edc.purchase(counter.chip, 100_000, pin="000000")
    assert codes(counter.edc.send(request)) == ["55"]
    other = counter.edc.purchase(counter.chip, 200_000)
    for element in (7, 11, 37):
        other.elements[element] = request[element]
    assert codes(counter.edc.send(other)) == ["94"]


def test_reversal_after_the_sale_gives_the_money_back_once(counter):
    request = counter.edc.purchase(counter.chip, 14_150_000)
    counter.edc.send(request)
    reversal = counter.edc.reversal(request)
    assert codes(counter.edc.send(reversal)) == ["00"]
    assert counter.world.card_balance(counter.chip) == 30_000_000
    for mti in ("0401", "0401", "0420", "0421"):
        (answer,) = counter.edc.send(repeat_of(reversal, mti))
        assert (answer.mti, answer.text(39)) == (
            {"04": "0410"}["04"] if mti < "0420" else "0430",
            "00",
        )
    assert counter.world.postings(TransferCode.REVERSAL) == 1
    assert counter.world.card_balance(counter.chip) == 30_000_000


def test_sale_that_was_reversed_is_never_approved_again(counter):
    request = counter.edc.purchase(counter.chip, 14_150_000)
    counter.edc.send(request)
    counter.edc.send(counter.edc.reversal(request))
    assert codes(counter.edc.send(repeat_of(request, "0201"))) == ["76"]
    counter.world.restart()
    assert codes(counter.edc.send(repeat_of(request, "0201"))) == ["76"]


def test_reversal_before_its_original_refuses_the_late_original(counter):
    request = counter.edc.purchase(counter.chip, 14_150_000)
    reversal = counter.edc.reversal(request)
    assert codes(counter.edc.send(reversal)) == ["00"]
    assert codes(counter.edc.send(repeat_of(reversal, "0401"))) == ["00"]
    assert codes(counter.edc.send(request)) == ["76"]
    counter.world.restart()
    assert codes(counter.edc.send(repeat_of(request, "0201"))) == ["76"]
    assert counter.world.postings() == 0
    assert counter.world.card_balance(counter.chip) == 30_000_000


@pytest.mark.parametrize("reversal_first", [False, True])
def test_reversal_in_one_turn_with_its_original_leaves_nothing(counter, reversal_first):
    request = counter.edc.purchase(counter.chip, 14_150_000)
    reversal = counter.edc.reversal(request)
    pair = (reversal, request) if reversal_first else (request, reversal)
    by_mti = {answer.mti: answer.text(39) for answer in counter.edc.send(*pair)}
    assert by_mti == {"0210": "76" if reversal_first else "00", "0410": "00"}
    assert counter.world.card_balance(counter.chip) == 30_000_000


def test_reversals_in_one_turn_compensate_once(counter):
    request = counter.edc.purchase(counter.chip, 14_150_000)
    counter.edc.send(request)
    reversal = counter.edc.reversal(request)
    answers = counter.edc.send(reversal, repeat_of(reversal, "0401"), repeat_of(reversal, "0401"))
    assert codes(answers) == ["00"] * 3
    assert counter.world.postings(TransferCode.REVERSAL) == 1


def test_reversal_of_a_refused_sale_is_00_and_moves_nothing(counter):
    broke = counter.edc.purchase(counter.chip, 40_000_000)
    wrong = counter.edc.purchase(counter.chip, 100_000, pin="000000")
    assert codes(counter.edc.send(broke, wrong)) == ["51", "55"]
    assert codes(counter.edc.send(counter.edc.reversal(broke), counter.edc.reversal(wrong))) == [
        "00",
        "00",
    ]
    assert counter.world.card_balance(counter.chip) == 30_000_000


def test_reversal_trusts_neither_amount_nor_card_of_its_message(counter):
    request = counter.edc.purchase(counter.chip, 14_150_000)
    counter.edc.send(request)
    thief = counter.world.add_card(2, 0)
    reversal = counter.edc.reversal(request, de2=thief.pan.reveal(), de4="000099999900")
    assert codes(counter.edc.send(reversal)) == ["00"]
    assert counter.world.card_balance(counter.chip) == 30_000_000
    assert counter.world.card_balance(thief) == 0


def test_reversal_of_another_terminals_sale_finds_nothing(counter):
    request = counter.edc.purchase(counter.chip, 14_150_000)
    counter.edc.send(request)
    other = counter.world.add_edc(18, counter.shop).start()
    reversal = other.reversal(request, de41=other.terminal_id)
    reversal.elements[61] = {"operator": "OP01", "key_set": f"{other.key_set:04d}"}
    assert codes(other.send(reversal)) == ["00"]
    assert counter.world.card_balance(counter.chip) == 15_850_000


def test_partial_reversal_keeps_what_changed_hands_and_may_be_completed(counter):
    request = counter.edc.purchase(counter.chip, 10_000_000)
    counter.edc.send(request)
    kept = {
        "transaction_amount": "000004000000",
        "settlement_amount": "0" * 12,
        "transaction_fee": "C00000000",
        "settlement_fee": "C00000000",
    }
    partial = counter.edc.reversal(request, de95=kept)
    for message in (partial, repeat_of(partial, "0401")):
        assert codes(counter.edc.send(message)) == ["00"]
        assert counter.world.card_balance(counter.chip) == 26_000_000
    assert codes(counter.edc.send(counter.edc.reversal(request))) == ["00"]
    assert counter.world.card_balance(counter.chip) == 30_000_000


@pytest.mark.parametrize(
    ("kept_sen", "balance_sen"), [(10_000_000, 20_000_000), (10_000_001, 30_000_000)]
)
def test_partial_reversal_that_keeps_the_whole_undoes_nothing_and_more_is_not_believed(
    counter, kept_sen, balance_sen
):
    request = counter.edc.purchase(counter.chip, 10_000_000)
    counter.edc.send(request)
    kept = {
        "transaction_amount": f"{kept_sen:012d}",
        "settlement_amount": "0" * 12,
        "transaction_fee": "C00000000",
        "settlement_fee": "C00000000",
    }
    assert codes(counter.edc.send(counter.edc.reversal(request, de95=kept))) == ["00"]
    assert counter.world.card_balance(counter.chip) == balance_sen


def test_reversal_works_for_a_shop_that_was_suspended_and_a_card_that_was_blocked(counter):
    from programme.registry_port import BlockReason

    request = counter.edc.purchase(counter.chip, 10_000_000)
    counter.edc.send(request)
    counter.world.change_shop(counter.shop, suspended=True)
    counter.world.block(counter.chip, BlockReason.LOST)
    assert codes(counter.edc.send(counter.edc.reversal(request))) == ["00"]
    assert counter.world.card_balance(counter.chip) == 30_000_000


def test_reversal_has_no_window_and_crosses_the_cut_over(counter):
    request = counter.edc.purchase(counter.chip, 10_000_000)
    counter.edc.send(request)
    reversal = counter.edc.reversal(request)
    counter.world.clock.advance(3 * 86_400)
    assert codes(counter.edc.send(reversal)) == ["00"]
    assert counter.world.card_balance(counter.chip) == 30_000_000


def test_void_of_the_same_day_gives_the_money_back_to_the_same_month(counter):
    request = counter.edc.purchase(counter.chip, 10_000_000)
    counter.edc.send(request)
    (answer,) = counter.edc.send(counter.edc.void(request))
    assert answer.text(39) == "00"
    assert int(answer.groups(54)[0]["amount"]) == 30_000_000
    assert answer.groups(63, "months") == [{"period": "202601", "amount": "000030000000"}]
    assert counter.world.postings(TransferCode.VOID) == 1


def test_void_repeats_are_answered_the_same_and_a_second_void_is_76(counter):
    request = counter.edc.purchase(counter.chip, 10_000_000)
    counter.edc.send(request)
    void = counter.edc.void(request)
    first, second = counter.edc.send(void, repeat_of(void, "0201"))
    assert without_mac(first) == without_mac(second)
    counter.world.restart()
    (third,) = counter.edc.send(repeat_of(void, "0201"))
    assert without_mac(third) == without_mac(first)
    assert codes(counter.edc.send(counter.edc.void(request))) == ["76"]
    assert counter.world.postings(TransferCode.VOID) == 1


def test_void_finds_its_sale_by_the_slips_number_too(counter):
    request = counter.edc.purchase(counter.chip, 10_000_000)
    counter.edc.send(request)
    counter.world.restart()
    assert codes(counter.edc.send(counter.edc.void(request, de90=None))) == ["00"]


def test_void_that_does_not_fit_its_sale_is_refused(counter):
    request = counter.edc.purchase(counter.chip, 10_000_000)
    counter.edc.send(request)
    for changes, code in [
        ({"de4": "000009999900"}, "77"),
        ({"de4": "000010000100"}, "77"),
        ({"de2": "9360099900000027"}, "77"),
        ({"de37": "600509999999"}, "25"),
        ({"de37": "600509999999", "de90": None}, "25"),
        ({"de42": "EW0000000000099"}, "03"),
    ]:
        assert codes(counter.edc.send(counter.edc.void(request, **changes))) == [code]
        assert counter.world.card_balance(counter.chip) == 20_000_000


def test_void_on_a_later_business_day_is_12(counter):
    request = counter.edc.purchase(counter.chip, 10_000_000)
    counter.edc.send(request)
    counter.world.clock.advance(86_400)
    assert codes(counter.edc.send(counter.edc.void(request))) == ["12"]


def test_void_of_a_reversed_sale_is_76_and_of_a_refused_one_25(counter):
    sold = counter.edc.purchase(counter.chip, 10_000_000)
    broke = counter.edc.purchase(counter.chip, 40_000_000)
    counter.edc.send(sold, broke)
    counter.edc.send(counter.edc.reversal(sold))
    assert codes(counter.edc.send(counter.edc.void(sold))) == ["76"]
    assert codes(counter.edc.send(counter.edc.void(broke))) == ["25"]


def test_reversal_of_a_void_lets_the_sale_stand_again_once(counter):
    sale = counter.edc.purchase(counter.chip, 10_000_000)
    counter.edc.send(sale)
    void = counter.edc.void(sale)
    counter.edc.send(void)
    reversal = counter.edc.reversal(void)
    for message in (reversal, repeat_of(reversal, "0401")):
        assert codes(counter.edc.send(message)) == ["00"]
        assert counter.world.card_balance(counter.chip) == 20_000_000
    counter.world.restart()
    assert codes(counter.edc.send(repeat_of(reversal, "0401"))) == ["00"]
    assert codes(counter.edc.send(repeat_of(void, "0201"))) == ["76"]
    assert codes(counter.edc.send(repeat_of(sale, "0201"))) == ["00"]
    assert codes(counter.edc.send(counter.edc.void(sale))) == ["00"]
    assert counter.world.card_balance(counter.chip) == 30_000_000


def test_reversal_of_a_void_in_one_turn_with_it_leaves_the_sale(counter):
    sale = counter.edc.purchase(counter.chip, 10_000_000)
    counter.edc.send(sale)
    void = counter.edc.void(sale)
    assert codes(counter.edc.send(void, counter.edc.reversal(void))) == ["00", "00"]
    assert counter.world.card_balance(counter.chip) == 20_000_000


def test_reversal_of_a_void_before_it_refuses_the_late_void(counter):
    sale = counter.edc.purchase(counter.chip, 10_000_000)
    counter.edc.send(sale)
    void = counter.edc.void(sale)
    assert codes(counter.edc.send(counter.edc.reversal(void))) == ["00"]
    assert codes(counter.edc.send(void)) == ["76"]
    assert counter.world.card_balance(counter.chip) == 20_000_000


def test_reversal_of_a_void_whose_money_is_spent_says_so(counter):
    sale = counter.edc.purchase(counter.chip, 20_000_000)
    counter.edc.send(sale)
    void = counter.edc.void(sale)
    counter.edc.send(void)
    counter.buy(30_000_000)
    assert codes(counter.edc.send(counter.edc.reversal(void))) == ["51"]
    assert counter.world.card_balance(counter.chip) == 0


def refund(counter, sale, amount, **changes):
    changes = {"de37": sale.text(37), "de90": counter.edc.original(sale), **changes}
    return counter.edc.purchase(counter.chip, amount, code="200098", **changes)


def test_refunds_give_back_parts_of_a_sale_and_never_more_than_it(counter):
    sale = counter.edc.purchase(counter.chip, 10_000_000)
    counter.edc.send(sale)
    first = refund(counter, sale, 4_000_000)
    assert codes(counter.edc.send(first)) == ["00"]
    assert codes(counter.edc.send(repeat_of(first, "0201"))) == ["00"]
    assert counter.world.card_balance(counter.chip) == 24_000_000
    assert codes(counter.edc.send(refund(counter, sale, 7_000_000))) == ["77"]
    assert codes(counter.edc.send(refund(counter, sale, 6_000_000))) == ["00"]
    assert codes(counter.edc.send(refund(counter, sale, 100_000))) == ["77"]
    assert counter.world.card_balance(counter.chip) == 30_000_000
    assert codes(counter.edc.send(counter.edc.reversal(sale))) == ["00"]
    assert counter.world.card_balance(counter.chip) == 30_000_000


def test_refund_needs_the_pin_its_own_card_and_a_sale_that_is_not_too_old(counter):
    sale = counter.edc.purchase(counter.chip, 10_000_000)
    counter.edc.send(sale)
    assert codes(counter.edc.send(refund(counter, sale, 100_000, pin="000000"))) == ["55"]
    own, counter.chip = counter.chip, counter.world.add_card(2, 0)
    assert codes(counter.edc.send(refund(counter, sale, 100_000))) == ["77"]
    counter.chip = own
    counter.world.clock.advance(31 * 86_400)
    assert codes(counter.edc.send(refund(counter, sale, 100_000))) == ["12"]
    assert counter.world.postings(TransferCode.REFUND) == 0
