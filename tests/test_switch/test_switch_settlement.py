"""Settlement: match, mismatch and upload, repeats, restarts; what belongs to which batch."""

from dataclasses import replace
from datetime import date

import pytest

from protocols.iso8583 import Message
from switch.batches import Batches
from switch.changes import BatchTotals
from switch.corrections import find_corrections

NOTHING = (0, 0, 0, 0, 0, 0)


def repeat_of(message: Message, mti: str) -> Message:
    return Message(mti, dict(message.elements))


def code(counter, message: Message) -> str:
    return counter.edc.send(message)[0].text(39)


def totals_of(answer: Message) -> tuple[int, ...]:
    return tuple(int(str(value)) for value in answer.parts(63)["totals"].values())


def running(counter, number: int = 1) -> BatchTotals:
    batch = counter.world.node.core._desk.memory.batches.find(17, number)
    return batch.totals if batch is not None else BatchTotals()


@pytest.fixture
def busy(counter):
    """Give a counter after three sales, one void, one refund, one reversal, one refusal."""
    edc, chip = counter.edc, counter.chip
    counter.sold = [edc.purchase(chip, sen) for sen in (1_000_000, 2_000_000, 3_000_000)]
    gone = edc.purchase(chip, 4_000_000)
    for message in (*counter.sold, gone):
        assert code(counter, message) == "00"
    counter.void = edc.void(counter.sold[0])
    counter.refund = edc.refund(chip, counter.sold[1], 500_000)
    assert code(counter, counter.void) == "00"
    assert code(counter, counter.refund) == "00"
    assert code(counter, edc.reversal(gone)) == "00"
    assert code(counter, edc.purchase(chip, 100_000_000)) == "51"
    counter.totals = (3, 6_000_000, 1, 1_000_000, 1, 500_000)
    return counter


def test_settlement_with_equal_totals_closes_the_batch_and_tells_the_payout(busy):
    (answer,) = busy.edc.send(busy.edc.settlement(busy.totals))
    assert answer.text(39) == "00"
    assert totals_of(answer) == busy.totals
    assert answer.text(60, "batch") == "000001"
    assert answer.text(63, "payout_date") == "20260106"
    assert running(busy) == BatchTotals()


def test_settlement_repeated_hears_the_same_also_after_a_restart(busy):
    message = busy.edc.settlement(busy.totals)
    (first,) = busy.edc.send(message)
    for restart in (False, True):
        if restart:
            busy.world.restart()
        (again,) = busy.edc.send(repeat_of(message, "0501"))
        assert again.parts(63) == first.parts(63)
        assert again.text(39) == "00"
    other = busy.edc.settlement(NOTHING)
    for element in (7, 11, 37):
        other.elements[element] = message[element]
    assert code(busy, other) == "94"


def test_settlement_sent_anew_after_the_batch_closed_is_approved_once_more(busy):
    assert code(busy, busy.edc.settlement(busy.totals)) == "00"
    assert code(busy, busy.edc.settlement(busy.totals)) == "00"
    assert code(busy, busy.edc.settlement(busy.totals, "960000")) == "00"


@pytest.mark.parametrize("place", range(6))
def test_settlement_with_any_total_off_by_one_is_95_with_the_switchs_totals(busy, place):
    declared = tuple(n + (i == place) for i, n in enumerate(busy.totals))
    (answer,) = busy.edc.send(busy.edc.settlement(declared))
    assert answer.text(39) == "95"
    assert totals_of(answer) == busy.totals
    assert running(busy) == BatchTotals(*busy.totals)


def test_mismatch_is_uploaded_and_the_second_settlement_closes(busy):
    edc, declared = busy.edc, (4, 7_000_000, 0, 0, 0, 0)
    assert code(busy, edc.settlement(declared, "960000")) == "95"
    for number, sent in enumerate((*busy.sold, busy.void, busy.refund), 1):
        record = edc.upload(sent, number)
        assert code(busy, record) == "00"
        assert code(busy, repeat_of(record, "0321")) == "00"
    assert code(busy, edc.settlement(declared)) == "95"
    assert code(busy, edc.settlement(declared, "960000")) == "00"
    assert running(busy) == BatchTotals()
    assert code(busy, edc.upload(busy.sold[0], 1)) == "00"


def test_upload_notes_what_the_ledger_has_of_each_record(busy):
    edc, rows = busy.edc, []
    assert code(busy, edc.settlement(NOTHING)) == "95"
    unknown = edc.purchase(busy.chip, 700_000)
    for number, sent in enumerate((*busy.sold, busy.void, busy.refund, unknown), 1):
        assert code(busy, edc.upload(sent, number)) == "00"
    run = busy.world.node.state._connection.execute
    rows = run("SELECT claimed_sen, posted_sen FROM batch_upload").fetchall()
    assert sorted(rows) == [
        (500_000, 500_000),
        (700_000, 0),
        (1_000_000, 1_000_000),
        (1_000_000, 1_000_000),
        (2_000_000, 2_000_000),
        (3_000_000, 3_000_000),
    ]


def test_upload_of_a_batch_that_never_was_is_25(busy):
    record = busy.edc.upload(busy.sold[0], 1)
    record.elements[60] = {**record.parts(60), "batch": "000009"}
    assert code(busy, record) == "25"


def test_dispute_survives_a_restart(busy):
    assert code(busy, busy.edc.settlement(NOTHING)) == "95"
    busy.world.restart()
    assert code(busy, busy.edc.settlement(NOTHING, "960000")) == "00"


def test_void_after_settlement_is_refused_and_a_refund_is_not(busy):
    assert code(busy, busy.edc.settlement(busy.totals)) == "00"
    assert code(busy, busy.edc.void(busy.sold[2])) == "12"
    numbers = {"batch": "000002", "invoice": "000099"}
    refund = busy.edc.refund(busy.chip, busy.sold[2], 3_000_000, de60=numbers)
    assert code(busy, refund) == "00"
    assert running(busy, 2) == BatchTotals(0, 0, 0, 0, 1, 3_000_000)


def test_void_that_names_another_batch_is_refused(busy):
    wrong = busy.edc.void(busy.sold[2], de60={"batch": "000002", "invoice": "000099"})
    assert code(busy, wrong) == "12"


def test_reversal_after_settlement_gives_the_money_back_and_changes_no_batch(counter):
    sale = counter.edc.purchase(counter.chip, 1_000_000)
    assert code(counter, sale) == "00"
    assert code(counter, counter.edc.settlement((1, 1_000_000, 0, 0, 0, 0))) == "00"
    numbers = {"batch": "000002", "invoice": "000099"}
    assert code(counter, counter.edc.purchase(counter.chip, 500_000, de60=numbers)) == "00"
    assert code(counter, counter.edc.reversal(sale)) == "00"
    assert counter.world.card_balance(counter.chip) == 29_500_000
    assert running(counter, 2) == BatchTotals(1, 500_000)


def test_void_that_is_reversed_is_in_no_total(counter):
    sale = counter.edc.purchase(counter.chip, 1_000_000)
    void = counter.edc.void(sale)
    assert [code(counter, one) for one in (sale, void)] == ["00", "00"]
    assert running(counter) == BatchTotals(1, 1_000_000, 1, 1_000_000)
    assert code(counter, counter.edc.reversal(void)) == "00"
    assert running(counter) == BatchTotals(1, 1_000_000)
    counter.world.restart()
    assert running(counter) == BatchTotals(1, 1_000_000)


def test_partial_reversal_leaves_the_sale_with_what_stands(counter):
    sale = counter.edc.purchase(counter.chip, 1_000_000)
    assert code(counter, sale) == "00"
    kept = {"transaction_amount": "000000400000"}
    reversal = counter.edc.reversal(sale)
    reversal.elements[95] = reversal_amounts(kept)
    assert code(counter, reversal) == "00"
    assert running(counter) == BatchTotals(1, 400_000)
    assert code(counter, counter.edc.settlement((1, 400_000, 0, 0, 0, 0))) == "00"


def reversal_amounts(kept: dict[str, str]) -> dict[str, str]:
    return {
        "transaction_amount": kept["transaction_amount"],
        "settlement_amount": "0" * 12,
        "transaction_fee": "C" + "0" * 8,
        "settlement_fee": "C" + "0" * 8,
    }


@pytest.mark.parametrize("keep_marks", [False, True])
@pytest.mark.parametrize("days", [0, 1, 3])
def test_totals_are_rebuilt_by_a_restart(busy, keep_marks, days):
    if keep_marks:
        busy.world.node.core.keep_marks()
        busy.world.exchange()
    busy.world.clock.advance(86_400 * days)
    extra = busy.edc.purchase(busy.chip, 100_000)
    assert code(busy, extra) == "00"
    before = running(busy)
    assert before == BatchTotals(4, 6_100_000, 1, 1_000_000, 1, 500_000)
    busy.world.restart()
    assert running(busy) == before


def test_cut_over_while_work_is_under_way_loses_no_total(counter):
    """What is durable and not yet taken into account must be replayed behind the kept marks."""
    world, edc = counter.world, counter.edc
    assert world.receive(edc.encode(edc.purchase(counter.chip, 100_000))) == []
    work = world.node.core.next_work()
    world.node.state.commit(work.changes)
    world.ledger.create_transfers([one for step in work.steps for one in step.transfers])
    world.clock.advance(86_400)
    assert world.receive(edc.encode(edc.network("301")))
    world.node.state.commit(tuple(world.node.core._desk.memory.changes))
    world.restart()
    assert running(counter) == BatchTotals(1, 100_000)


@pytest.mark.parametrize("declared", [(0,) * 6, (9,) * 6])
def test_answer_of_a_settlement_leaves_after_its_decision_is_durable(counter, declared):
    world, edc = counter.world, counter.edc
    assert world.receive(edc.encode(edc.settlement(declared))) == []
    assert world.finish(world.node.core.next_work()) == []
    work = world.node.core.next_work()
    assert work.changes
    assert len(world.finish(work)) == 1


def test_sale_in_the_turn_of_its_settlement_is_counted_or_waits(counter):
    edc = counter.edc
    early, late = (edc.purchase(counter.chip, sen) for sen in (100_000, 200_000))
    settlement = edc.settlement((1, 100_000, 0, 0, 0, 0))
    answers = {a.text(11): a.text(39) for a in edc.send(early, settlement, late)}
    assert set(answers.values()) == {"00"}
    assert running(counter) == BatchTotals(1, 200_000)


def test_settlement_of_nothing_is_approved(counter):
    assert code(counter, counter.edc.settlement(NOTHING, batch=7)) == "00"


def test_settlement_without_totals_or_batch_is_30(counter):
    assert code(counter, counter.edc.settlement(NOTHING, de63={"slip_code": "AAAA"})) == "30"
    assert code(counter, counter.edc.settlement(NOTHING, batch=0)) == "30"


def test_settlement_of_a_terminal_out_of_service_is_03(counter):
    registry = counter.world.registry
    known = registry.terminals[counter.edc.terminal_id]
    registry.terminals[counter.edc.terminal_id] = replace(known, active=False)
    assert code(counter, counter.edc.settlement(NOTHING)) == "03"


def test_batch_seventeen_numbers_on_sets_the_unsettled_one_aside(counter):
    for number in (1, 17):
        numbers = {"batch": f"{number:06d}", "invoice": "000001"}
        assert code(counter, counter.edc.purchase(counter.chip, 100_000, de60=numbers)) == "00"
    assert running(counter, 1) == BatchTotals()
    assert running(counter, 17) == BatchTotals(1, 100_000)
    counter.world.restart()
    assert running(counter, 17) == BatchTotals(1, 100_000)
    run = counter.world.node.state._connection.execute
    kept = run("SELECT number, state, totals FROM terminal_batch ORDER BY batch_id").fetchall()
    assert kept[0] == (1, "set aside", "1,100000,0,0,0,0")


def test_closed_batch_whose_number_comes_again_is_a_new_one(counter):
    counter.buy(100_000)
    assert code(counter, counter.edc.settlement((1, 100_000, 0, 0, 0, 0))) == "00"
    counter.buy(300_000)
    assert running(counter) == BatchTotals(1, 300_000)
    assert code(counter, counter.edc.settlement((1, 300_000, 0, 0, 0, 0))) == "00"


def test_counting_the_same_record_twice_counts_once():
    batches = Batches([])
    batch = batches.begin(17, 1, 5, date(2026, 1, 5))
    for _ in range(2):
        batches.count(batch, 6, voids=1, voids_sen=100)
    assert batch.totals == BatchTotals(0, 0, 1, 100)
    assert find_corrections(lambda _id: None, 1) == []
