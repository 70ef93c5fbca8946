"""Vouchers of an outage: off by default, chip-signed, within the city's limits, cleared once."""

from datetime import date

import pytest

from programme.chart import TransferCode
from programme.registry_port import BlockReason, CardStatus
from protocols.iso8583 import Message
from switch.changes import BatchTotals


def code(counter, message: Message) -> str:
    return counter.edc.send(message)[0].text(39)


def repeat_of(message: Message, mti: str) -> Message:
    return Message(mti, dict(message.elements))


@pytest.fixture
def open_counter(counter):
    """Give a counter in a city that allows vouchers."""
    counter.world.set_rule("outage_sale", enabled=True)
    return counter


def test_voucher_where_the_city_has_none_is_12(counter):
    assert code(counter, counter.edc.voucher(counter.chip, 1_000_000)) == "12"
    assert counter.world.postings(TransferCode.OUTAGE_SALE) == 0


def test_voucher_is_cleared_once_however_often_it_comes(open_counter):
    voucher = open_counter.edc.voucher(open_counter.chip, 1_000_000)
    (first,) = open_counter.edc.send(voucher)
    assert (first.mti, first.text(39)) == ("0230", "00")
    open_counter.world.restart()
    open_counter.world.set_rule("outage_sale", enabled=True)
    for mti in ("0220", "0221"):
        (again,) = open_counter.edc.send(repeat_of(voucher, mti))
        assert again.parts(63) == first.parts(63)
        assert again.text(38) == first.text(38)
    assert open_counter.world.postings(TransferCode.OUTAGE_SALE) == 1
    assert open_counter.world.card_balance(open_counter.chip) == 29_000_000


def test_voucher_counts_in_the_batch_that_it_names(open_counter):
    assert code(open_counter, open_counter.edc.voucher(open_counter.chip, 1_000_000)) == "00"
    batches = open_counter.world.node.core._desk.memory.batches
    assert batches.find(17, 1).totals == BatchTotals(1, 1_000_000)


def test_voucher_late_within_its_days_has_no_window(open_counter):
    voucher = open_counter.edc.voucher(open_counter.chip, 1_000_000)
    open_counter.world.clock.advance(3 * 86_400)
    assert code(open_counter, voucher) == "00"


def test_voucher_after_its_last_day_is_98(open_counter):
    voucher = open_counter.edc.voucher(open_counter.chip, 1_000_000)
    open_counter.world.clock.advance(4 * 86_400)
    assert code(open_counter, voucher) == "98"


def test_voucher_signed_on_a_day_to_come_is_98(open_counter):
    open_counter.world.clock.advance(-5 * 86_400)
    open_counter.world.node.core._desk.memory.business_date = date(2025, 12, 31)
    assert code(open_counter, open_counter.edc.voucher(open_counter.chip, 1_000_000)) == "98"


def test_voucher_with_a_signed_day_that_is_none_is_98(open_counter):
    voucher = open_counter.edc.voucher(open_counter.chip, 1_000_000)
    voucher.elements[55] = {**voucher.parts(55), "9A": bytes.fromhex("261305")}
    assert code(open_counter, voucher) == "98"


def test_limit_of_a_card_and_of_a_terminal_hold_by_the_day_signed(open_counter):
    world, edc, chip = open_counter.world, open_counter.edc, open_counter.chip
    assert code(open_counter, edc.voucher(chip, 3_000_000)) == "00"
    (answer,) = edc.send(edc.voucher(chip, 2_000_001 - 1 + 100))
    assert (answer.text(39), answer.text(44)) == ("98", "L=50.000")
    world.restart()
    world.set_rule("outage_sale", enabled=True, terminal_day_limit_rupiah=60_000)
    assert code(open_counter, edc.voucher(chip, 2_000_000)) == "00"
    other = world.add_card(2, 30_000_000)
    (answer,) = edc.send(edc.voucher(other, 1_000_100))
    assert (answer.text(39), answer.text(44)) == ("98", "L=60.000")
    assert code(open_counter, edc.voucher(other, 1_000_000)) == "00"


def test_voucher_recovers_what_the_card_has_and_says_so(open_counter):
    world, edc = open_counter.world, open_counter.edc
    poor = world.add_card(2, 400_000)
    voucher = edc.voucher(poor, 1_000_000)
    for message in (voucher, repeat_of(voucher, "0221")):
        (answer,) = edc.send(message)
        assert (answer.text(39), answer.text(4)) == ("10", "000000400000")
        assert answer.groups(54)[0]["amount"] == "000000000000"
    assert world.card_balance(poor) == 0
    assert code(open_counter, edc.reversal(repeat_of(voucher, "0200"))) == "00"
    assert world.card_balance(poor) == 400_000


def test_voucher_with_nothing_to_recover_is_51_and_uses_no_limit(open_counter):
    world, edc = open_counter.world, open_counter.edc
    empty = world.add_card(2, 0)
    voucher = edc.voucher(empty, 5_000_000)
    assert code(open_counter, voucher) == "51"
    assert code(open_counter, repeat_of(voucher, "0221")) == "51"
    assert world.node.core._desk.memory.outage.of_card(1_002, date(2026, 1, 5)) == 0
    world.fund(1_002, "2026-01", 5_000_000)
    assert code(open_counter, edc.voucher(empty, 5_000_000)) == "00"


def test_voucher_without_partial_recovery_takes_all_or_nothing(open_counter):
    open_counter.world.set_rule("outage_sale", partial_recovery=False)
    poor = open_counter.world.add_card(2, 400_000)
    assert code(open_counter, open_counter.edc.voucher(poor, 1_000_000)) == "51"
    assert open_counter.world.card_balance(poor) == 400_000


def test_voucher_with_a_wrong_cryptogram_or_a_used_counter_is_88(open_counter):
    edc, chip = open_counter.edc, open_counter.chip
    forged = edc.voucher(chip, 1_000_000)
    forged.elements[55] = {**forged.parts(55), "9F26": bytes(8)}
    assert code(open_counter, forged) == "88"
    online = edc.purchase(chip, 1_000_000, pin="000000")
    assert code(open_counter, online) == "55"
    replayed = edc.voucher(chip, 1_000_000)
    replayed.elements[55] = online.elements[55]
    assert code(open_counter, replayed) == "88"


def test_voucher_that_the_card_approved_by_itself_is_accepted(open_counter):
    voucher = open_counter.edc.voucher(open_counter.chip, 1_000_000)
    voucher.elements[55] = {**voucher.parts(55), "9F27": b"\x40"}
    assert code(open_counter, voucher) == "00"
    online = open_counter.edc.purchase(open_counter.chip, 1_000_000)
    online.elements[55] = {**online.parts(55), "9F27": b"\x40"}
    assert code(open_counter, online) == "88"


@pytest.mark.parametrize(("online", "expected"), [(63, "00"), (64, "88")])
def test_voucher_may_lag_behind_online_sales_by_less_than_64(open_counter, online, expected):
    world, edc, chip = open_counter.world, open_counter.edc, open_counter.chip
    world.set_rule("amount", card_day_sales_limit=1_000)
    voucher = edc.voucher(chip, 1_000_000)
    for _ in range(online):
        assert code(open_counter, edc.purchase(chip, 100_000)) == "00"
    world.node.core.keep_marks()
    world.exchange()
    world.restart()
    world.set_rule("outage_sale", enabled=True)
    assert code(open_counter, voucher) == expected


def test_vouchers_of_one_card_may_come_in_any_order(open_counter):
    edc, chip = open_counter.edc, open_counter.chip
    three = [edc.voucher(chip, 1_000_000) for _ in range(3)]
    assert [code(open_counter, one) for one in (three[2], three[0], three[1])] == ["00"] * 3


def test_voucher_without_number_or_condition_is_30(open_counter):
    edc, chip = open_counter.edc, open_counter.chip
    assert code(open_counter, edc.voucher(chip, 100_000, de25="00")) == "30"
    bare = edc.voucher(chip, 100_000, de60={"batch": "000001", "invoice": "000001"})
    assert code(open_counter, bare) == "30"


def test_voucher_of_a_replaced_card_is_paid_and_of_a_lost_one_is_not(open_counter):
    world, edc, chip = open_counter.world, open_counter.edc, open_counter.chip
    voucher, other = (edc.voucher(chip, 1_000_000) for _ in range(2))
    world.change_card(chip, status=CardStatus.REPLACED)
    assert code(open_counter, voucher) == "00"
    world.block(chip, BlockReason.LOST)
    assert code(open_counter, other) == "41"


def test_voucher_is_the_shops_where_it_was_sold_though_the_terminal_moved_on(open_counter):
    world, edc = open_counter.world, open_counter.edc
    voucher = edc.voucher(open_counter.chip, 1_000_000)
    edc.merchant_id = world.add_shop(18)
    assert code(open_counter, edc.network("001")) == "00"
    assert code(open_counter, voucher) == "00"
    assert world.balance(5_017) == 1_000_000
    suspended = edc.voucher(open_counter.chip, 1_000_000)
    world.change_shop(edc.merchant_id, suspended=True)
    assert code(open_counter, suspended) == "03"


def test_voucher_can_be_voided_and_is_uploaded_like_a_sale(open_counter):
    edc = open_counter.edc
    voucher = edc.voucher(open_counter.chip, 1_000_000)
    assert code(open_counter, voucher) == "00"
    assert code(open_counter, edc.settlement((0,) * 6)) == "95"
    assert code(open_counter, edc.upload(voucher, 1)) == "00"
    run = open_counter.world.node.state._connection.execute
    assert run("SELECT posted_sen FROM batch_upload").fetchall() == [(1_000_000,)]
    assert code(open_counter, edc.void(voucher)) == "00"


def test_busy_ledger_gives_the_limit_of_a_voucher_back(open_counter):
    world, edc = open_counter.world, open_counter.edc
    voucher = edc.voucher(open_counter.chip, 5_000_000)
    assert world.receive(edc.encode(voucher)) == []
    work = world.node.core.next_work()
    world.node.state.commit(work.changes)
    assert len(world.node.core.refuse_work("91", "busy")) == 1
    assert world.node.core._desk.memory.outage.of_card(1_001, date(2026, 1, 5)) == 0
    world.exchange()
    assert code(open_counter, repeat_of(voucher, "0221")) in {"00", "88"}
