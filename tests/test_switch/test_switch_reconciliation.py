"""Reconciliation: nothing differs after honest work; each kind of difference is found and named."""

import random
from datetime import date, timedelta

import pytest

from ledger.structures import Transfer
from programme.chart import SaleData, TransferCode
from programme.refunds import refund as office_refund
from protocols.iso8583 import Message
from switch.journal import Entry, EntryKind
from switch.journal_audit import approved_answers, unposted
from switch.limits import SETTLED_DAYS_KEPT
from switch.reconciliation import Kind, Reconciliation, reconcile
from switch.state import StateError, StateFile
from tests.test_switch.switch_edc import CODEC

TODAY = date(2026, 1, 5)


def code(counter, message: Message) -> str:
    return counter.edc.send(message)[0].text(39)


def result_of(counter, today: date = TODAY) -> Reconciliation:
    batches, uploads = counter.world.node.state.batches()
    return reconcile(counter.world.ledger.entries(), batches, uploads, today)


def kinds(result: Reconciliation) -> list[Kind]:
    return [one.kind for one in result.differences]


def id_of(counter, amount_sen: int) -> int:
    """Give the record of the one sale of this amount."""
    (found,) = [
        entry.transfer.id
        for entry in counter.world.ledger.entries()
        if entry.transfer.code == TransferCode.PURCHASE and entry.transfer.amount == amount_sen
    ]
    return found


def run(counter, statement: str) -> None:
    counter.world.node.state._connection.execute(statement)


@pytest.fixture
def worked(counter):
    """Give a counter after one of everything, settled with equal totals."""
    edc, chip = counter.edc, counter.chip
    counter.world.set_rule("outage_sale", enabled=True)
    counter.sold = [edc.purchase(chip, sen) for sen in (1_000_000, 2_000_000, 3_000_000)]
    counter.voucher = edc.voucher(chip, 400_000)
    counter.void = edc.void(counter.sold[0])
    counter.undone = edc.void(counter.sold[2])
    counter.refund = edc.refund(chip, counter.sold[1], 500_000)
    for message in (
        *counter.sold,
        counter.voucher,
        counter.void,
        counter.undone,
        edc.reversal(counter.undone),
        counter.refund,
    ):
        assert code(counter, message) == "00"
    counter.totals = (4, 6_400_000, 1, 1_000_000, 1, 500_000)
    return counter


def test_honest_day_has_no_difference(worked):
    assert code(worked, worked.edc.settlement(worked.totals)) == "00"
    result = result_of(worked, TODAY + timedelta(days=1))
    assert result.differences == ()
    assert (result.batches, result.settled, tuple(result.totals)) == (1, 1, worked.totals)


def test_open_batch_of_an_earlier_day_waits_and_is_no_disagreement(worked):
    assert kinds(result_of(worked)) == []
    result = result_of(worked, TODAY + timedelta(days=1))
    (one,) = result.differences
    assert (one.kind, one.ledger_sen) == (Kind.NOT_SETTLED, 4_900_000)
    assert result.agrees


def test_records_of_batches_that_are_kept_no_longer_are_no_difference(worked):
    entries = list(worked.world.ledger.entries())
    last = TODAY + timedelta(days=SETTLED_DAYS_KEPT)
    assert Kind.NO_BATCH in kinds(reconcile(entries, [], [], last))
    assert kinds(reconcile(entries, [], [], last + timedelta(days=1))) == []


def test_copy_of_the_state_is_the_owners_alone_and_says_the_same(worked):
    state = worked.world.node.state
    path = worked.world.directory / "copy.sqlite"
    path.write_text("what a killed reader left")
    state.copy_to(path)
    assert path.stat().st_mode & 0o777 == 0o600
    copy = StateFile(path)
    try:
        assert copy.batches() == state.batches()
        assert copy.load() == state.load()
    finally:
        copy.close()
    with pytest.raises(StateError, match="cannot be made"):
        state.copy_to(worked.world.directory / "no-such-folder" / "copy.sqlite")


@pytest.mark.parametrize("keep", [False, True])
def test_totals_that_the_state_file_has_wrong_are_found(worked, keep):
    if keep:
        worked.world.node.core.keep_marks()
        worked.world.exchange()
    else:
        assert code(worked, worked.edc.settlement(worked.totals)) == "00"
    run(worked, "UPDATE terminal_batch SET totals = '4,6400001,1,1000000,1,500000'")
    (one,) = result_of(worked).differences
    assert (one.kind, one.reference) == (Kind.SWITCH, "sales_sen")
    assert (one.ledger_sen, one.other_sen) == (6_400_000, 6_400_001)


def test_declared_totals_that_differ_are_named_one_by_one(worked):
    declared = (5, 7_000_000, 1, 1_000_000, 1, 500_000)
    assert code(worked, worked.edc.settlement(declared)) == "95"
    sent = (*worked.sold, worked.voucher, worked.void, worked.refund)
    for number, one in enumerate(sent, 1):
        assert code(worked, worked.edc.upload(one, number)) == "00"
    assert code(worked, worked.edc.settlement(declared, "960000")) == "00"
    result = result_of(worked)
    assert kinds(result) == [Kind.TERMINAL, Kind.TERMINAL]
    assert [one.reference for one in result.differences] == ["sales", "sales_sen"]
    assert not result.agrees


def test_uploads_that_lack_or_invent_records_are_found(worked):
    assert code(worked, worked.edc.settlement((0,) * 6)) == "95"
    invented = worked.edc.purchase(worked.chip, 700_000)
    sent = (worked.sold[1], worked.voucher, worked.void, worked.refund, invented)
    for number, one in enumerate(sent, 1):
        assert code(worked, worked.edc.upload(one, number)) == "00"
    assert code(worked, worked.edc.settlement(worked.totals, "960000")) == "00"
    found = {(one.kind, one.ledger_sen, one.other_sen) for one in result_of(worked).differences}
    assert found == {
        (Kind.UPLOAD, 0, 700_000),
        (Kind.NOT_UPLOADED, 1_000_000, 0),
        (Kind.NOT_UPLOADED, 3_000_000, 0),
    }


def test_reversal_after_the_settlement_is_noted(worked):
    assert code(worked, worked.edc.settlement(worked.totals)) == "00"
    assert code(worked, worked.edc.reversal(worked.sold[2])) == "00"
    result = result_of(worked)
    (one,) = result.differences
    assert (one.kind, one.ledger_sen) == (Kind.LATE, -3_000_000)
    assert result.agrees


def test_refund_by_an_office_is_of_no_batch_and_no_disagreement(worked):
    sale = id_of(worked, 3_000_000)
    office_refund(worked.world.ledger, sale, 1_200_000, TODAY, 7)
    assert code(worked, worked.edc.settlement(worked.totals)) == "00"
    (one,) = (result := result_of(worked)).differences
    assert (one.kind, one.ledger_sen, one.batch) == (Kind.OFFICE, -1_200_000, 0)
    assert result.agrees


def test_reversal_behind_an_offices_refund_takes_the_whole_sale_out_of_its_batch(worked):
    office_refund(worked.world.ledger, id_of(worked, 3_000_000), 1_200_000, TODAY, 7)
    assert code(worked, worked.edc.reversal(worked.sold[2])) == "00"
    assert worked.world.card_balance(worked.chip) == 30_000_000 - 2_000_000 + 500_000 - 400_000
    assert code(worked, worked.edc.settlement((3, 3_400_000, 1, 1_000_000, 1, 500_000))) == "00"
    assert kinds(result_of(worked)) == [Kind.OFFICE]
    worked.world.restart()
    assert kinds(result_of(worked)) == [Kind.OFFICE]


def test_sale_that_no_batch_holds_is_found(worked):
    assert code(worked, worked.edc.settlement(worked.totals)) == "00"
    stray = Transfer(
        id=99,
        debit_account_id=1_001,
        credit_account_id=5_017,
        amount=100,
        ledger=1,
        code=TransferCode.PURCHASE,
        user_data_64=SaleData(1, TODAY, 1, batch_tag=1).pack(),
        user_data_32=17,
    )
    assert worked.world.ledger.create_transfers([stray])[0].status.name == "CREATED"
    (one,) = result_of(worked).differences
    assert (one.kind, one.ledger_sen) == (Kind.NO_BATCH, 100)


@pytest.mark.parametrize("seed", range(6))
def test_any_run_of_honest_work_reconciles(counter, seed):
    """A terminal that keeps its own books and restarts of the switch in between: never a row."""
    chance, edc, chip = random.Random(seed), counter.edc, counter.chip
    batch, mine, standing = 1, [0] * 6, []
    for _ in range(40):
        numbers = {"batch": f"{batch:06d}", "invoice": f"{edc.stan:06d}"}
        act = chance.choice(["sell", "sell", "sell", "void", "refund", "reverse", "settle", "kill"])
        if act == "sell" or (act != "settle" and act != "kill" and not standing):
            sale = edc.purchase(chip, chance.randrange(1, 50) * 10_000, de60=numbers)
            if code(counter, sale) == "00":
                standing.append(sale)
                mine[0] += 1
                mine[1] += int(sale.text(4))
        elif act == "settle":
            assert code(counter, edc.settlement(tuple(mine), batch=batch)) == "00", seed
            batch, mine, standing = batch + 1, [0] * 6, []
        elif act == "kill":
            if chance.random() < 0.5:
                counter.world.node.core.keep_marks()
                counter.world.exchange()
            counter.world.restart()
        else:
            sale = standing.pop(chance.randrange(len(standing)))
            amount = int(sale.text(4))
            if act == "reverse":
                assert code(counter, edc.reversal(sale)) == "00"
                mine[0] -= 1
                mine[1] -= amount
                continue
            message = (
                edc.void(sale, de60=numbers)
                if act == "void"
                else edc.refund(chip, sale, amount, de60=numbers)
            )
            assert code(counter, message) == "00", seed
            place = 2 if act == "void" else 4
            if chance.random() < 0.3:
                assert code(counter, edc.reversal(message)) == "00"
                continue
            mine[place] += 1
            mine[place + 1] += amount
    assert code(counter, edc.settlement(tuple(mine), batch=batch)) == "00", seed
    assert result_of(counter).differences == (), seed


def journalled(counter, *messages: Message) -> list[Entry]:
    """Give the journal's entries of the answers to messages."""
    answers = counter.world.exchange(*(counter.edc.encode(one) for one in messages))
    now = counter.world.clock.now
    return [Entry(now, EntryKind.ANSWER, "shops-south", 1, payload=payload) for payload in answers]


def unposted_of(counter, entries: list[Entry]) -> list:
    ledger = counter.world.ledger
    answers = list(approved_answers(entries, {"shops-south": CODEC}))
    return list(unposted(answers, lambda one: ledger.lookup_entries([one])[0], {"12400017": 17}))


def test_every_approved_answer_of_the_journal_has_its_record(worked):
    edc, chip = worked.edc, worked.chip
    sale = edc.purchase(chip, 100_000)
    entries = journalled(worked, sale)
    for message in (
        edc.void(sale),
        edc.refund(chip, worked.sold[2], 100_000),
        edc.voucher(chip, 200_000),
        edc.purchase(chip, 100_000_000),
        edc.balance(chip),
    ):
        entries += journalled(worked, message)
    assert len(list(approved_answers(entries, {"shops-south": CODEC}))) == 4
    assert unposted_of(worked, entries) == []


def test_answer_whose_record_is_missing_or_differs_is_found(counter):
    (entry,) = journalled(counter, counter.edc.purchase(counter.chip, 100_000))
    answer = CODEC.decode(entry.payload)
    forged = [answer.replace(de4="000000200000"), answer.replace(de11="999999")]
    entries = [entry._replace(payload=counter.edc.encode(one)) for one in forged]
    found = unposted_of(counter, entries)
    assert [(one.kind, one.ledger_sen, one.other_sen) for one in found] == [
        (Kind.ANSWER, 100_000, 200_000),
        (Kind.ANSWER, 0, 100_000),
    ]
    assert found[0].terminal_number == 17
