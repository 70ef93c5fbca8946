"""Partial approval: off unless the city allows it and the terminal says that it can handle it."""

import pytest

from protocols.iso8583 import Message


def code(counter, message: Message) -> str:
    return counter.edc.send(message)[0].text(39)


def partial(counter, amount_sen: int, accepts: str = "P") -> Message:
    message = counter.edc.purchase(counter.chip, amount_sen)
    return message.replace(de61={**message.parts(61), "accepts": accepts})


@pytest.fixture
def generous(counter):
    """Give a counter in a city that allows partial approvals; the card has Rp300,000."""
    counter.world.set_rule("partial_approval", enabled=True)
    return counter


def test_sale_above_the_balance_takes_what_there_is(generous):
    sale = partial(generous, 40_000_000)
    for restart in (False, True):
        if restart:
            generous.world.restart()
        (answer,) = generous.edc.send(Message("0201", dict(sale.elements)))
        assert (answer.text(39), answer.text(4)) == ("10", "000030000000")
        assert generous.chip.issuer_is_genuine(sale, answer)
    assert generous.world.card_balance(generous.chip) == 0
    assert generous.world.postings() == 1


@pytest.mark.parametrize(("enabled", "accepts"), [(False, "P"), (True, "X")])
def test_sale_above_the_balance_is_51_unless_city_and_terminal_allow_a_part(
    generous, enabled, accepts
):
    generous.world.set_rule("partial_approval", enabled=enabled)
    assert code(generous, partial(generous, 40_000_000, accepts)) == "51"
    assert generous.world.card_balance(generous.chip) == 30_000_000


def test_sale_within_the_balance_is_whole(generous):
    (answer,) = generous.edc.send(partial(generous, 30_000_000))
    assert (answer.text(39), answer.text(4)) == ("00", "000030000000")


def test_sale_on_an_empty_card_is_51_and_stays_so(generous):
    assert code(generous, partial(generous, 30_000_000)) == "00"
    empty = partial(generous, 100_000)
    assert code(generous, empty) == "51"
    generous.world.fund(1_001, "2026-02", 100_000)
    assert code(generous, Message("0201", dict(empty.elements))) == "51"
    memory = generous.world.node.core._desk.memory
    assert memory.velocity.of(1_001) == (30_000_000, 1)
    assert memory.batches.find(17, 1).totals[:2] == (1, 30_000_000), "nothing taken is no sale"


def test_part_is_what_counts_for_limits_totals_void_and_reversal(generous):
    sale = partial(generous, 40_000_000)
    assert code(generous, sale) == "10"
    memory = generous.world.node.core._desk.memory
    assert memory.velocity.of(1_001) == (30_000_000, 1)
    assert memory.batches.find(17, 1).totals[:2] == (1, 30_000_000)
    assert code(generous, generous.edc.void(sale)) == "77"
    assert code(generous, generous.edc.void(sale, de4="000030000000")) == "00"
    assert generous.world.card_balance(generous.chip) == 30_000_000
    again = partial(generous, 40_000_000)
    assert code(generous, again) == "10"
    assert code(generous, generous.edc.reversal(again)) == "00"
    assert generous.world.card_balance(generous.chip) == 30_000_000
