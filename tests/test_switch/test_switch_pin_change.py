"""PIN set and change: proved by chip and present PIN, durable before the answer, repeatable."""

from dataclasses import replace

import pytest

from programme.registry_port import CardStatus
from protocols.crypto.pin import encipher_pin_block, ibm3624_offset
from protocols.iso8583 import Message
from tests.test_switch.switch_edc import PIN, PVK

NEW = "913572"


def code(counter, message: Message) -> str:
    return counter.edc.send(message)[0].text(39)


def buys(counter, pin: str) -> str:
    return code(counter, counter.edc.purchase(counter.chip, 100_000, pin=pin))


@pytest.mark.parametrize("restart", [False, True])
def test_new_pin_counts_and_the_old_one_does_not_any_more(counter, restart):
    change = counter.edc.pin_change(counter.chip, NEW)
    (answer,) = counter.edc.send(change)
    assert (answer.mti, answer.text(39)) == ("0110", "00")
    assert counter.chip.issuer_is_genuine(change, answer)
    if restart:
        counter.world.restart()
    assert buys(counter, PIN) == "55"
    assert buys(counter, NEW) == "00"


def test_answer_leaves_after_the_new_reference_is_durable(counter):
    world, change = counter.world, counter.edc.pin_change(counter.chip, NEW)
    assert world.receive(counter.edc.encode(change)) == []
    work = world.node.core.next_work()
    assert len(world.finish(work)) == 1
    world.restart()
    assert buys(counter, NEW) == "00"


def test_kill_before_the_commit_leaves_the_old_pin(counter):
    world, change = counter.world, counter.edc.pin_change(counter.chip, NEW)
    assert world.receive(counter.edc.encode(change)) == []
    world.node.core.next_work()
    world.restart()
    assert buys(counter, PIN) == "00"


@pytest.mark.parametrize("restart", [False, True])
def test_repeat_of_a_change_hears_00_and_costs_no_try(counter, restart):
    change = counter.edc.pin_change(counter.chip, NEW)
    assert code(counter, change) == "00"
    if restart:
        counter.world.restart()
    (again,) = counter.edc.send(change)
    assert again.text(39) == "00"
    assert counter.chip.issuer_is_genuine(change, again)
    assert counter.world.node.core._desk.memory.pin_tries.count(1) == 0


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(("other", "expected"), [("913573", "94"), ("1234", "55")])
def test_key_of_a_change_with_another_new_pin_is_no_repeat(counter, restart, other, expected):
    change = counter.edc.pin_change(counter.chip, NEW)
    assert code(counter, change) == "00"
    if restart:
        counter.world.restart()
    block = encipher_pin_block(counter.edc.pin_key, other, counter.chip.pan).reveal()
    assert code(counter, change.replace(de48={"new_pin": block})) == expected
    assert buys(counter, NEW) == "00"


def test_change_with_a_wrong_present_pin_costs_tries_until_75(counter):
    answers = []
    for _ in range(3):
        message = counter.edc.pin_change(counter.chip, NEW, pin="000000")
        (answer,) = counter.edc.send(message)
        answers.append((answer.text(39), answer.get(44)))
        assert code(counter, message) == answer.text(39)
    assert answers == [("55", "N=2"), ("55", "N=1"), ("75", None)]
    assert code(counter, counter.edc.pin_change(counter.chip, NEW)) == "75"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"de48": None}, "30"),
        ({"de55": None}, "30"),
        ({"de48": {"new_pin": bytes(8)}}, "63"),
        ({"de22": "021"}, "88"),
    ],
)
def test_change_without_what_it_needs_is_refused_and_changes_nothing(counter, changes, expected):
    assert code(counter, counter.edc.pin_change(counter.chip, NEW, **changes)) == expected
    assert buys(counter, PIN) == "00"


def test_new_pin_of_another_length_is_55_and_costs_no_try(counter):
    assert code(counter, counter.edc.pin_change(counter.chip, "1234")) == "55"
    assert counter.world.node.core._desk.memory.pin_tries.count(1) == 0
    assert buys(counter, PIN) == "00"


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        ("710000", CardStatus.COLLECTED, "00"),
        ("720000", CardStatus.COLLECTED, "00"),
        ("710000", CardStatus.AT_BANK, "78"),
        ("710000", CardStatus.ACTIVE, "00"),
        ("710000", CardStatus.REPLACED, "62"),
    ],
)
def test_pin_is_set_and_changed_of_a_card_that_its_holder_has(counter, kind, status, expected):
    counter.world.change_card(counter.chip, status=status)
    assert code(counter, counter.edc.pin_change(counter.chip, NEW, code=kind)) == expected


def test_pin_that_the_office_gives_later_wins_over_a_change_on_the_line(counter):
    world = counter.world
    assert code(counter, counter.edc.pin_change(counter.chip, NEW)) == "00"
    offset = ibm3624_offset(PVK, counter.chip.pan, "246810")
    world.change_card(counter.chip, pin_offset=offset)
    assert buys(counter, NEW) == "55"
    assert buys(counter, "246810") == "00"
    world.restart()
    assert buys(counter, "246810") == "00"
    assert code(counter, counter.edc.pin_change(counter.chip, NEW, pin="246810")) == "00"
    assert buys(counter, NEW) == "00"


def test_nothing_of_a_pin_stands_in_the_state_file_or_the_log(counter):
    counter.edc.send(counter.edc.pin_change(counter.chip, NEW))
    events = str(counter.world.node.core.events)
    assert NEW not in events
    assert PIN not in events
    dump = "\n".join(counter.world.node.state._connection.iterdump())
    assert NEW not in dump
    assert counter.chip.pan.reveal() not in dump


def test_replacement_card_has_a_pin_of_its_own(counter):
    world = counter.world
    assert code(counter, counter.edc.pin_change(counter.chip, NEW)) == "00"
    other = world.add_card(2, 0)
    known = world.registry.cards[other.pan.reveal()]
    world.registry.cards[other.pan.reveal()] = replace(known, account_id=1_001)
    answer = counter.edc.send(counter.edc.purchase(other, 100_000))[0]
    assert answer.text(39) == "00"
