"""The host session on its straight line, and its table."""

from typing import Any

import pytest

from terminal.host import events as out
from terminal.host.table import TRANSITIONS, Action, Input, State
from terminal.journal.records import (
    ReversalCause,
)
from terminal.journal.transactions import Status
from tests.terminal_desk import AMOUNT, Desk, MakeRequest, of, requests

# The table


@pytest.mark.parametrize("state", State)
def test_table_decides_every_input_in_every_state(state: State) -> None:
    assert TRANSITIONS[state].keys() == set(Input)
    for following, action in TRANSITIONS[state].values():
        stays = action in (Action.NOTE, Action.MISUSE, Action.IMPOSSIBLE)
        assert (following is None) == stays


def test_table_reaches_every_state_and_owes_whatever_is_uncertain() -> None:
    reached = {following for row in TRANSITIONS.values() for following, _ in row.values()}
    assert reached >= set(State)
    uncertain = (Input.UNTRUSTED, Input.UNREADABLE, Input.TIME_OUT, Input.LINE_LOST)
    for what in uncertain:
        assert TRANSITIONS[State.MONEY][what] == (State.IDLE, Action.OWE_REVERSAL)
        assert TRANSITIONS[State.REVERSAL][what] == (State.IDLE, Action.KEEP_OWING)
    assert TRANSITIONS[State.CARD][Input.CARD_DECLINED] == (State.IDLE, Action.OWE_REVERSAL)


# The straight line


def test_key_change_then_log_on_gives_keys_and_heading(desk: Desk, host: Any) -> None:
    assert desk.keys.session is not None
    assert desk.keys.session.key_set == "0001"
    logged_on = desk.session.journal.logged_on
    assert logged_on is not None
    assert (logged_on.shop_name, logged_on.shop_place) == ("E-WARONG MAJU", "KEL. SENGKOTEK")
    assert [message.get(70) for message in host.seen] == ["161", "001"]


@pytest.mark.parametrize("byte_at_a_time", [False, True])
def test_sale_is_journalled_before_bytes_leave_and_stands_after_the_chip(
    desk: Desk, host: Any, chip_request: MakeRequest, byte_at_a_time: bool
) -> None:
    desk.byte_at_a_time = byte_at_a_time
    events = desk.buy(chip_request())
    names = [type(event).__name__ for event in events]
    assert names == ["Persist", "Transmit", "Persist", "Answered", "Persist", "Completed"]
    (answered,) = of(events, out.Answered)
    assert answered.issuer_data == {"91": bytes(8) + b"00"}
    transaction = of(events, out.Completed)[0].transaction
    assert transaction.stands
    assert transaction.answer.approval_code == "7K2M9Q"
    assert transaction.answer.balance_sen == 90_000_000 - AMOUNT
    assert transaction.answer.months[0].period == "2026-01"
    assert transaction.answer.planned_on == "2026-02-10"
    assert host.standing_sen() == AMOUNT
    (sale,) = requests(host, "0200")
    assert sale.text(37) == f"600509{sale.text(11)}"
    assert sale.text(61, "key_set") == "0001"


@pytest.mark.parametrize(("code", "reason"), [("51", ""), ("55", "N=2"), ("57", ""), ("75", "")])
def test_refusal_closes_the_sale_and_owes_nothing(
    desk: Desk, host: Any, chip_request: MakeRequest, code: str, reason: str
) -> None:
    host.refuse = code
    (answered,) = of(desk.buy(chip_request()), out.Answered)
    assert answered.transaction.status is Status.REFUSED
    assert answered.transaction.answer.response_code == code
    assert answered.transaction.answer.reason == reason
    assert not requests(host, "0400")


def test_wrong_pin_reaches_the_host_enciphered_only(
    desk: Desk, host: Any, chip_request: MakeRequest
) -> None:
    (answered,) = of(desk.buy(chip_request(pin="654321")), out.Answered)
    assert answered.transaction.answer.response_code == "55"
    assert b"654321" not in repr(desk.disk).encode()
    assert "9360099912344821" not in repr(desk.disk)
    assert "654321" not in repr(chip_request(pin="654321"))


def test_balance_moves_no_money_and_owes_nothing_without_answer(
    desk: Desk, host: Any, chip_request: MakeRequest
) -> None:
    desk.session.request_balance(chip_request(0, None), desk.clock.now())
    (answered,) = of(desk.run(), out.Answered)
    assert answered.transaction.answer.balance_sen == 90_000_000
    desk.line_is_cut = True
    desk.session.request_balance(chip_request(0, None), desk.clock.now())
    desk.run()
    assert of(desk.time_out(), out.NoAnswer) == [out.NoAnswer(ReversalCause.NO_ANSWER)]
    assert not desk.session.journal.owed()


def test_void_undoes_a_sale_by_its_reference_without_a_chip(
    desk: Desk, host: Any, chip_request: MakeRequest
) -> None:
    desk.buy(chip_request())
    (sale,) = requests(host, "0200")
    original = desk.session.journal.transactions[int(sale.text(11))]
    desk.session.request_void(original, desk.clock.now())
    events = desk.run()
    assert len(of(events, out.Completed)) == 1
    assert host.standing_sen() == 0
    void = requests(host, "0200")[1]
    assert void.text(37) == sale.text(37)
    assert void.text(90, "stan") == sale.text(11)
    assert not desk.session.journal.transactions[int(sale.text(11))].stands
