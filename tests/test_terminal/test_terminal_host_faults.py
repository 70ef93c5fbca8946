"""The host session when answers are lost, late, foreign, forged or noise: no loss, no double."""

from typing import Any

import pytest

from protocols.framing import EDC_FRAMES, Framer
from terminal.host import events as out
from terminal.host.table import State
from terminal.journal.records import (
    ReversalCause,
    ReversalSent,
)
from tests.terminal_desk import AMOUNT, CODEC, Desk, MakeRequest, of, requests

# What goes wrong


def test_lost_answer_is_reversed_first_0400_then_0401_with_the_same_numbers(
    desk: Desk, host: Any, chip_request: MakeRequest
) -> None:
    desk.answers_lost = True
    desk.buy(chip_request())
    assert host.standing_sen() == AMOUNT
    (owed,) = of(desk.time_out(), out.ReversalOwed)
    assert owed.cause is ReversalCause.NO_ANSWER
    desk.line_is_cut = True
    for _ in range(2):
        desk.session.request_reversal(desk.clock.now())
        desk.run()
        assert len(of(desk.time_out(), out.ReversalStillOwed)) == 1
        desk.clock.pass_ms(60_000)
    desk.line_is_cut = False
    desk.session.request_reversal(desk.clock.now())
    desk.run()
    desk.time_out()
    desk.settle()
    assert host.standing_sen() == 0
    repeats = requests(host, "0401")
    assert not requests(host, "0400")
    assert len(repeats) == 2
    assert len({(r.text(7), r.text(11), r.text(37)) for r in repeats}) == 1
    (sale,) = requests(host, "0200")
    assert repeats[0].text(90, "stan") == sale.text(11)
    assert repeats[0].text(90, "transmission_time") == sale.text(7)
    assert repeats[0].text(37) == sale.text(37)
    sent = [r.transmission for r in desk.disk if isinstance(r, ReversalSent)]
    assert sent == [1, 2, 3, 4]


def test_first_reversal_goes_as_0400(desk: Desk, host: Any, chip_request: MakeRequest) -> None:
    desk.answers_lost = True
    desk.buy(chip_request())
    desk.time_out()
    desk.settle()
    assert len(requests(host, "0400")) == 1
    assert not requests(host, "0401")


def test_deadline_is_kept_to_the_millisecond(desk: Desk, chip_request: MakeRequest) -> None:
    desk.line_is_cut = True
    desk.buy(chip_request())
    desk.clock.pass_ms(9_999)
    desk.session.handle_timer(desk.clock.now())
    assert desk.session.state is State.MONEY
    desk.clock.pass_ms(1)
    desk.session.handle_timer(desk.clock.now())
    assert len(of(desk.run(), out.ReversalOwed)) == 1


def test_sale_that_never_arrived_is_reversed_before_it_comes(
    desk: Desk, host: Any, chip_request: MakeRequest
) -> None:
    desk.line_is_cut = True
    (transmit,) = of(desk.buy(chip_request()), out.Transmit)
    desk.time_out()
    desk.settle()
    late = host.answer(transmit.data)
    desk.receive(late)
    assert host.standing_sen() == 0


def test_late_approval_changes_nothing_and_is_reversed(
    desk: Desk, host: Any, chip_request: MakeRequest
) -> None:
    desk.line_is_cut = True
    (transmit,) = of(desk.buy(chip_request()), out.Transmit)
    late = host.answer(transmit.data)
    desk.time_out()
    desk.receive(late)
    (stray,) = of(desk.run(), out.Stray)
    assert stray.approved
    assert stray.late_stan in desk.session.journal.transactions
    assert host.standing_sen() == AMOUNT
    desk.settle()
    assert host.standing_sen() == 0


def test_answer_that_comes_twice_counts_once(
    desk: Desk, host: Any, chip_request: MakeRequest
) -> None:
    (transmit,) = of(desk.buy(chip_request()), out.Transmit)
    desk.receive(host.answer(transmit.data))
    assert of(desk.run(), out.Stray) == [out.Stray(0, True)]
    assert host.standing_sen() == AMOUNT == desk.completed_sen()


@pytest.mark.parametrize(
    ("change", "value"),
    [("de11", "999999"), ("de37", "600509999999"), ("de41", "12400018")],
)
def test_answer_for_somebody_else_is_looked_past(
    desk: Desk, host: Any, chip_request: MakeRequest, change: str, value: str
) -> None:
    host.change = lambda reply: reply.replace(**{change: value})
    desk.buy(chip_request())
    assert desk.session.state is State.MONEY
    (transmit,) = of(desk.events, out.Transmit)
    desk.receive(host.answer(transmit.data))
    desk.run()
    desk.session.card_confirmed(desk.clock.now())
    desk.run()
    assert desk.completed_sen() == AMOUNT


@pytest.mark.parametrize("lost_mac", [False, True])
def test_answer_without_good_mac_is_not_believed_and_reversed_at_once(
    desk: Desk, host: Any, chip_request: MakeRequest, lost_mac: bool
) -> None:
    if lost_mac:
        desk.line_is_cut = True
        desk.buy(chip_request())
        (sale,) = of(desk.events, out.Transmit)
        (received,) = Framer(EDC_FRAMES).feed(sale.data)
        request = CODEC.decode(received.payload)
        bare = CODEC.encode(request.response("63"))
        desk.receive((len(bare) + 5).to_bytes(2, "big") + received.tpdu + bare)
        events = desk.run()
    else:
        host.break_mac = True
        events = desk.buy(chip_request())
    (owed,) = of(events, out.ReversalOwed)
    assert owed.cause is ReversalCause.BAD_MAC
    assert owed.claimed_code == ("63" if lost_mac else "00")


def test_approval_of_another_amount_is_no_approval(
    desk: Desk, host: Any, chip_request: MakeRequest
) -> None:
    host.change = lambda reply: reply.replace(de4="000000000100")
    (owed,) = of(desk.buy(chip_request()), out.ReversalOwed)
    assert owed.cause is ReversalCause.UNREADABLE


@pytest.mark.parametrize(
    "nonsense",
    [
        {63: {"months": [{"period": "202613", "amount": "000000000100"}]}},
        {4: "000014150100"},
        {39: "10", 4: "000014150100"},
        {39: "10", 4: "000000000000"},
    ],
    ids=["month 13", "more than asked", "part is more than the whole", "part is nothing"],
)
def test_authentic_nonsense_is_no_approval(
    desk: Desk, host: Any, chip_request: MakeRequest, nonsense: dict[int, Any]
) -> None:
    host.change = lambda reply: reply.replace(nonsense)
    (owed,) = of(desk.buy(chip_request()), out.ReversalOwed)
    assert owed.cause is ReversalCause.UNREADABLE


@pytest.mark.parametrize(
    "noise",
    [b"\xff\xff\xff\xff", b"\x00\x07\x60\x00\x00\x08\x31\xff\xff", b"\x00\x03abc"],
    ids=["endless frame", "no message", "no TPDU"],
)
def test_noise_instead_of_an_answer_is_reversed(
    desk: Desk, chip_request: MakeRequest, noise: bytes
) -> None:
    desk.line_is_cut = True
    desk.buy(chip_request())
    desk.receive(noise)
    (owed,) = of(desk.run(), out.ReversalOwed)
    assert owed.cause is ReversalCause.UNREADABLE
    desk.session.line_opened()


def test_keep_alive_is_no_answer(desk: Desk, chip_request: MakeRequest) -> None:
    desk.line_is_cut = True
    desk.buy(chip_request())
    desk.receive(b"\x00\x00\x00\x00")
    assert desk.session.state is State.MONEY
    desk.time_out()


def test_lost_line_is_reversed(desk: Desk, chip_request: MakeRequest) -> None:
    desk.answers_lost = True
    desk.buy(chip_request())
    desk.session.line_lost(desk.clock.now())
    (owed,) = of(desk.run(), out.ReversalOwed)
    assert owed.cause is ReversalCause.CONNECTION_LOST


def test_chip_that_declines_after_approval_is_reversed(
    desk: Desk, host: Any, chip_request: MakeRequest
) -> None:
    desk.session.request_purchase(chip_request(), desk.clock.now())
    desk.run()
    assert host.standing_sen() == AMOUNT
    desk.session.card_declined(desk.clock.now())
    (owed,) = of(desk.run(), out.ReversalOwed)
    assert owed.cause is ReversalCause.CARD_DECLINED
    desk.settle()
    assert requests(host, "0400")[0].text(38) == "7K2M9Q"
