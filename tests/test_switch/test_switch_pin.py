"""The PIN: three tries, each charged to the message that cost it, durable before the answer."""

import pytest

from protocols.values import SecretBytes


def tries(counter) -> int:
    return counter.world.node.core._desk.memory.pin_tries.count(1)


def test_wrong_pin_is_55_twice_with_tries_left_then_75_and_stays_75(counter):
    answers = [counter.buy(100_000, pin="000000") for _ in range(3)]
    assert [(a.text(39), a.text(44) if 44 in a else "") for a in answers] == [
        ("55", "N=2"),
        ("55", "N=1"),
        ("75", ""),
    ]
    assert counter.buy(100_000).text(39) == "75"
    assert counter.world.postings() == 0


def test_right_pin_gives_the_tries_back_also_when_the_ledger_then_refuses(counter):
    counter.buy(100_000, pin="000000")
    assert counter.buy(40_000_000).text(39) == "51"
    assert tries(counter) == 0
    assert counter.buy(100_000, pin="000000").text(44) == "N=2"


def test_repeat_of_a_wrong_pin_hears_the_same_and_costs_no_second_try(counter):
    request = counter.edc.purchase(counter.chip, 100_000, pin="000000")
    repeat = type(request)("0201", dict(request.elements))
    for message in (request, repeat, request):
        (answer,) = counter.edc.send(message)
        assert (answer.text(39), answer.text(44)) == ("55", "N=2")
    assert tries(counter) == 1


def test_repeat_of_a_wrong_pin_after_a_restart_costs_no_second_try(counter):
    requests = [counter.edc.purchase(counter.chip, 100_000, pin="000000") for _ in range(2)]
    for request in requests:
        counter.edc.send(request)
    counter.world.restart()
    assert tries(counter) == 2
    answers = [counter.edc.send(request)[0] for request in requests]
    assert [answer.text(44) for answer in answers] == ["N=2", "N=1"]
    assert tries(counter) == 2
    assert counter.buy(100_000, pin="000000").text(39) == "75"
    counter.world.restart()
    answers = [counter.edc.send(request)[0] for request in requests]
    assert [answer.text(44) for answer in answers] == ["N=2", "N=1"]


def test_block_survives_a_restart_until_the_help_desk_lifts_it(counter):
    for _ in range(3):
        counter.buy(100_000, pin="000000")
    counter.world.restart()
    assert counter.buy(100_000).text(39) == "75"
    counter.world.node.core.unblock_pin(1, "dinsos.rina")
    assert counter.buy(100_000).text(39) == "00"
    counter.world.restart()
    assert counter.buy(100_000).text(39) == "00"


def test_three_wrong_pins_in_one_turn_count_three(counter):
    requests = [counter.edc.purchase(counter.chip, 100_000, pin="000000") for _ in range(4)]
    answers = counter.edc.send(*requests)
    assert [answer.text(39) for answer in answers] == ["55", "55", "75", "75"]
    assert tries(counter) == 3


def test_wrong_pin_is_answered_only_after_the_try_is_durable(counter):
    request = counter.edc.purchase(counter.chip, 100_000, pin="000000")
    assert counter.world.receive(counter.edc.encode(request)) == []
    work = counter.world.node.core.next_work()
    assert [type(change).__name__ for change in work.changes] == ["PinTryCharged"]
    (departure,) = counter.world.finish(work)
    assert counter.edc.decode(departure.payload).text(39) == "55"


def test_pin_block_under_a_foreign_key_is_63_and_no_try(counter):
    right_key = counter.edc.pin_key
    counter.edc.pin_key = SecretBytes(b"0123456789abcdef")
    request = counter.edc.purchase(counter.chip, 100_000)
    counter.edc.pin_key = right_key
    assert counter.edc.send(request)[0].text(39) == "63"
    assert tries(counter) == 0


@pytest.mark.parametrize("pin", ["48215", "4821590", "4821"])
def test_pin_of_another_length_is_simply_wrong(counter, pin):
    assert counter.buy(100_000, pin=pin).text(39) == "55"


def test_forged_chip_can_never_burn_pin_tries(counter):
    for _ in range(5):
        request = counter.edc.purchase(counter.chip, 100_000, pin="000000")
        request.elements[55]["9F26"] = bytes(8)
        assert counter.edc.send(request)[0].text(39) == "88"
    assert tries(counter) == 0


def test_answer_to_a_wrong_pin_carries_the_issuers_cryptogram(counter):
    request = counter.edc.purchase(counter.chip, 100_000, pin="000000")
    (answer,) = counter.edc.send(request)
    assert counter.chip.issuer_is_genuine(request, answer)
    (again,) = counter.edc.send(request)
    assert again.elements == answer.elements | {64: again[64]}
