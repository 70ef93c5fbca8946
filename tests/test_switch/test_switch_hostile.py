"""Good keys with bad intentions, and peers with neither: a definite end each time."""

import random

import pytest

from protocols.iso8583 import Message, MessageError
from switch.limits import STRANGER_BURST
from switch.session import Arrival
from tests.test_switch.switch_edc import CODEC
from tests.test_switch.switch_world import TPDU

_MTIS = ("0200", "0201", "0100", "0220", "0320", "0400", "0401", "0420", "0421", "0500", "0800")
_CODES = ("009800", "029800", "200098", "319800", "389800", "301000", "019800", "920000", "999999")


def _digits(noise: random.Random, length: int) -> str:
    return "".join(noise.choice("0123456789") for _ in range(length))


def _value(noise: random.Random, number: int) -> object:
    """Give a value of the right form and any content."""
    lengths = {3: 6, 4: 12, 7: 10, 11: 6, 12: 6, 13: 4, 14: 4, 22: 3, 23: 3, 24: 3, 25: 2, 49: 3}
    if number == 3:
        return noise.choice(_CODES)
    if number in lengths:
        return _digits(noise, lengths[number])
    original = {
        "mti": noise.choice(_MTIS),
        "stan": _digits(noise, 6),
        "transmission_time": _digits(noise, 10),
        "acquirer": _digits(noise, 11),
        "forwarder": _digits(noise, 11),
    }
    amounts = {
        "transaction_amount": _digits(noise, 12),
        "settlement_amount": _digits(noise, 12),
        "transaction_fee": "C" + _digits(noise, 8),
        "settlement_fee": "D" + _digits(noise, 8),
    }
    return {
        2: _digits(noise, noise.randint(0, 19)),
        32: _digits(noise, noise.randint(0, 11)),
        35: f"{_digits(noise, noise.randint(1, 19))}={_digits(noise, noise.randint(0, 15))}",
        37: "".join(noise.choice("0123456789ABCZ az") for _ in range(12)),
        38: "AB12  ",
        42: "".join(noise.choice("EW0123456789 '") for _ in range(15)),
        52: noise.randbytes(8),
        61: {"key_set": noise.choice(["0001", _digits(noise, 4)]), "operator": "OP01"},
        70: noise.choice(["001", "002", "161", "162", "201", "301", "999"]),
        90: original,
        95: amounts,
    }[number]


_ELEMENTS = (2, 3, 4, 7, 11, 12, 13, 14, 22, 23, 24, 25, 32, 35, 37, 38, 42, 49, 52, 61, 70, 90, 95)


def _spoil_chip(noise: random.Random, message: Message) -> None:
    tags = message.elements.get(55)
    if not isinstance(tags, dict) or noise.random() < 0.5:
        return
    tags = dict(tags)
    tag = noise.choice(sorted(tags))
    if noise.random() < 0.3:
        del tags[tag]
    else:
        tags[tag] = noise.randbytes(len(tags[tag]))
    message.elements[55] = tags


def _spoiled(noise: random.Random, counter) -> Message:
    edc, chip = counter.edc, counter.chip
    sale = edc.purchase(chip, noise.choice([100, 100_000]))
    message = noise.choice([sale, edc.void(sale), edc.reversal(sale), edc.network("301"), sale])
    message = Message(noise.choice([message.mti, message.mti, *_MTIS]), dict(message.elements))
    for _change in range(noise.randint(0, 4)):
        number = noise.choice(_ELEMENTS)
        if noise.random() < 0.3:
            message.elements.pop(number, None)
        else:
            message.elements[number] = _value(noise, number)
    _spoil_chip(noise, message)
    return message


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_signed_nonsense_gets_a_definite_answer_and_the_books_hold(counter, seed):
    noise, world, sent = random.Random(seed), counter.world, 0
    for _message in range(120):
        try:
            payload = counter.edc.encode(_spoiled(noise, counter))
        except MessageError:
            continue
        sent += 1
        answers = world.exchange(payload)
        assert len(answers) == 1, f"seed {seed}"
        if answers[0]:
            assert CODEC.decode(answers[0]).text(39) != "96", f"seed {seed}"
        counter.edc.send(counter.edc.network("001"))
    assert sent > 60
    assert world.node.core.under_way == 0
    assert not world.node.core._desk.in_flight
    assert world.ledger.verify().sum_minor == 0
    assert world.card_balance(counter.chip) + world.balance(5_017) == 30_000_000


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_damaged_bytes_never_stop_the_node_and_never_buy(counter, seed):
    noise, world = random.Random(seed), counter.world
    payloads = [
        counter.edc.encode(message)
        for message in (
            counter.edc.purchase(counter.chip, 100_000),
            counter.edc.balance(counter.chip),
            counter.edc.network("161"),
        )
    ]
    for _message in range(400):
        raw = bytearray(noise.choice(payloads))
        for _damage in range(noise.randint(1, 4)):
            raw[noise.randrange(len(raw))] = noise.randrange(256)
        if noise.random() < 0.2:
            del raw[noise.randrange(1, len(raw)) :]
        if bytes(raw) in payloads:
            continue
        (answer,) = world.exchange(bytes(raw))
        assert not answer or CODEC.decode(answer).text(39) in {"63", "03", "30"}, f"seed {seed}"
    assert world.postings() == 0
    assert counter.buy(100_000).text(39) == "00"


@pytest.mark.parametrize("kind", ["spoilt", "unsigned", "unknown terminal"])
def test_connection_whose_messages_no_key_vouches_for_is_cut_and_others_are_not(counter, kind):
    edc, world = counter.edc, counter.world
    sale = edc.encode(edc.purchase(counter.chip, 100_000))
    messages = {
        "spoilt": sale[:-1] + bytes([sale[-1] ^ 1]),
        "unsigned": edc.encode(edc.network("161"), mac=False),
        "unknown terminal": edc.encode(edc.network("301").replace(de41="99999999"), mac=False),
    }
    core, now = world.node.core, world.clock.now

    def answers(connection: int, *payloads: bytes) -> list[bytes | None]:
        arrivals = [Arrival(connection, TPDU, payload) for payload in payloads]
        departures = core.receive(arrivals, now)
        while (work := core.next_work()) is not None:
            departures += world.finish(work)
        return [departure.payload for departure in departures]

    found = answers(2, *[messages[kind]] * (STRANGER_BURST + 1))
    assert (len(found), found.count(None)) == (STRANGER_BURST + 1, 1)
    (signed,) = answers(1, sale)
    assert edc.decode(signed).text(39) == "00"
    (other,) = answers(3, messages[kind])
    assert other is not None
    assert answers(2, messages[kind]) == [None]
    world.clock.advance(1)
    now = world.clock.now
    assert answers(2, messages[kind]) != [None]
