"""The outgoing half without sockets: which answer belongs to which request, states, back-off."""

from itertools import product

import pytest

from protocols.framing import BANK_FRAMES, frame
from protocols.iso8583 import Message
from switch.back_off import BackOff
from switch.config import HostConfig
from switch.framings import FRAMINGS
from switch.host_link import HostCutOver, HostLink, StateChanged
from switch.link_states import LINK_TABLE, LinkAction, LinkEvent, LinkState
from switch.mux import (
    Answered,
    Asked,
    Broken,
    Late,
    Mux,
    MuxKeys,
    NotSent,
    TimedOut,
    Unmatched,
)
from tests.test_switch.bank_messages import CODEC, SECOND, WALL, sale


def mux(window: int = 4, timeout_ms: int = 1_000) -> Mux:
    keys = MuxKeys((7, 11, 32, 37), {"08": (7, 11)})
    return Mux(CODEC, FRAMINGS["bank"], keys, window=window, timeout_ms=timeout_ms)


def wire(message: Message) -> bytes:
    return frame(CODEC.encode(message), b"", BANK_FRAMES)


def answer(request: Message, code: str = "00", **changes: str) -> Message:
    return request.response(code, {int(n[2:]): v for n, v in changes.items()})


def test_answers_in_any_order_and_any_pieces_find_their_requests():
    one = mux()
    requests = {token: sale(token) for token in (1, 2, 3)}
    for token, request in requests.items():
        assert one.send(token, request, 0) == wire(request)
    stream = b"".join(wire(answer(requests[token], f"0{token}")) for token in (2, 3, 1))
    found = [e for byte in stream for e in one.receive_data(bytes([byte]), 5)]
    assert [(e.token, e.message.text(39), e.waited_ns) for e in found] == [
        (2, "02", 5), (3, "03", 5), (1, "01", 5),
    ]  # fmt: skip
    assert one.pending == 0


def test_full_window_live_key_and_missing_key_are_refused_and_nothing_is_overwritten():
    one = mux(window=2)
    assert isinstance(one.send("a", sale(1), 0), bytes)
    assert one.send("b", sale(1), 0) is NotSent.KEY_UNDER_WAY
    lacking = sale(2)
    del lacking.elements[37]
    assert one.send("c", lacking, 0) is NotSent.KEY_MISSING
    assert one.send("d", sale(2, de4="x"), 0) is NotSent.UNWRITABLE
    assert isinstance(one.send("e", sale(3), 0), bytes)
    assert one.send("f", sale(4), 0) is NotSent.WINDOW_FULL
    (event,) = one.receive_data(wire(answer(sale(1))), 1)
    assert event == Answered("a", event.message, 1)


def test_answer_to_nothing_names_the_nearest_request_and_what_differs():
    one = mux()
    one.send("far", sale(1, de7="0105011500"), 0)
    one.send("near", sale(7), 0)
    (event,) = one.receive_data(wire(answer(sale(8, de37="600509000007"))), 1)
    assert isinstance(event, Unmatched)
    assert event.nearest == "near"
    assert event.differing == ("element 11 was 000007, came back 000008",)
    assert "element 11 was 000007" in str(event)
    assert one.pending == 2
    absent = answer(sale(7))
    del absent.elements[32]
    (event,) = one.receive_data(wire(absent), 1)
    assert event.differing == ("element 32 was 124, came back absent",)
    (event,) = mux().receive_data(wire(answer(sale(1))), 1)
    assert event == Unmatched(event.message, None, ())
    assert "nothing of its kind" in str(event)


def test_request_times_out_once_and_its_late_answer_is_told_as_late():
    one = mux(timeout_ms=1_000)
    one.send("a", sale(1), 0)
    one.send("b", sale(2), SECOND // 2)
    assert one.next_timer_ns() == SECOND
    assert one.handle_timer(SECOND - 1) == []
    (event,) = one.handle_timer(SECOND)
    assert (event.token, event.request.text(11)) == ("a", "000001")
    assert one.next_timer_ns() == SECOND * 3 // 2
    (event,) = one.receive_data(wire(answer(sale(1))), SECOND + 5)
    assert event == Late("a", event.message)
    (event,) = one.receive_data(wire(answer(sale(1))), SECOND + 6)
    assert isinstance(event, Unmatched)


def test_repeat_of_a_request_that_was_given_up_takes_its_answer():
    one = mux()
    one.send("first", sale(1), 0)
    one.handle_timer(2 * SECOND)
    repeat = sale(1)
    repeat.mti = "0201"
    assert isinstance(one.send("again", repeat, 2 * SECOND), bytes)
    (event,) = one.receive_data(wire(answer(repeat)), 3 * SECOND)
    assert event == Answered("again", event.message, SECOND)


def test_lost_connection_gives_up_everything_and_begins_a_new_stream():
    one = mux()
    one.send("a", sale(1), 0)
    half = wire(answer(sale(1)))[:9]
    assert one.receive_data(half, 1) == []
    assert [(type(e), e.token) for e in one.lost()] == [(TimedOut, "a")]
    (event,) = one.receive_data(wire(answer(sale(1))), 2)
    assert isinstance(event, Late)


@pytest.mark.parametrize("garbage", [b"12x4", b"0012GARBAGE-----", b"9999"])
def test_stream_that_is_none_is_broken(garbage):
    assert isinstance(mux().receive_data(garbage, 0)[-1], Broken)


def test_host_s_own_request_is_told_as_asked():
    echo = Message("0800", {7: "0105011407", 11: "000001", 70: "301"}, CODEC.spec)
    (event,) = mux().receive_data(wire(echo), 0)
    assert event == Asked(event.message)


def test_every_pair_of_state_and_event_is_decided_and_closed_stays_closed():
    assert set(LINK_TABLE) == set(product(LinkState, LinkEvent))
    for event in LinkEvent:
        assert LINK_TABLE[LinkState.CLOSED, event] == (LinkState.CLOSED, LinkAction.NONE)
    for state in set(LinkState) - {LinkState.CLOSED}:
        assert LINK_TABLE[state, LinkEvent.LOST][0] in (LinkState.DOWN, LinkState.CLOSED)
    begins_traffic = [pair for pair, (state, _) in LINK_TABLE.items() if state is LinkState.UP]
    assert {event for state, event in begins_traffic if state is not LinkState.UP} == {
        LinkEvent.SIGN_ON_APPROVED
    }


def test_waits_double_up_to_the_longest_and_begin_anew_after_success():
    waits = BackOff(1_000, 5_000)
    assert [waits.next_ms(0.0) for _ in range(5)] == [500, 1_000, 2_000, 2_500, 2_500]
    assert waits.next_ms(0.999) == 4_997
    waits.succeeded()
    assert waits.next_ms(0.0) == 500


def link(**changes) -> HostLink:
    config = {"name": "bank", "host": "127.0.0.1", "port": 1, "timeout_ms": 1_000, **changes}
    return HostLink(HostConfig.model_validate(config), CODEC, 0)


def messages(data: bytes) -> list[Message]:
    from protocols.framing import Framer

    return [CODEC.decode(one.payload) for one in Framer(BANK_FRAMES).feed(data)]


def up(one: HostLink) -> HostLink:
    one.connected(0, WALL)
    (sign_on,) = messages(one.data_to_send())
    assert sign_on.text(70) == "001"
    assert one.submit("early", sale(1), 0) is NotSent.NOT_UP
    assert one.receive_data(wire(answer(sign_on)), 1, WALL) == [StateChanged(LinkState.UP)]
    return one


def test_traffic_begins_after_sign_on_only():
    one = up(link())
    assert one.submit("a", sale(1), 2) is None
    (sent,) = messages(one.data_to_send())
    (report,) = one.receive_data(wire(answer(sent)), 3, WALL)
    assert (report.token, report.message.text(39)) == ("a", "00")


@pytest.mark.parametrize("code", ["05", "91"])
def test_refused_sign_on_hangs_up_and_waits_longer_each_time(code):
    one = link(back_off_ms=100, back_off_longest_ms=300)
    waits = []
    for _try in range(4):
        one.connected(0, WALL)
        (sign_on,) = messages(one.data_to_send())
        one.receive_data(wire(answer(sign_on, code)), 0, WALL)
        assert one.hang_up
        one.lost(0, WALL, 0.0)
        waits.append(one.dial_at_ns // 10**6)
    assert waits == [50, 100, 150, 150]


def test_silence_is_answered_by_an_echo_and_no_echo_by_hanging_up():
    one = up(link(echo_seconds=10))
    assert one.next_timer_ns() == 10 * SECOND + 1
    one.handle_timer(10 * SECOND + 1, WALL)
    (echo,) = messages(one.data_to_send())
    assert echo.text(70) == "301"
    one.receive_data(wire(answer(echo)), 10 * SECOND + 2, WALL)
    assert one.state is LinkState.UP
    assert one.next_timer_ns() == 20 * SECOND + 2
    one.handle_timer(20 * SECOND + 2, WALL)
    assert len(messages(one.data_to_send())) == 1
    assert one.next_timer_ns() == 21 * SECOND + 2
    assert one.handle_timer(21 * SECOND + 2, WALL) == [StateChanged(LinkState.DOWN)]
    assert one.hang_up


def test_host_s_cut_over_is_answered_and_told():
    one = up(link())
    cut = Message("0800", {7: "0105160000", 11: "000009", 15: "0106", 70: "201"}, CODEC.spec)
    reports = one.receive_data(wire(cut), 5, WALL)
    assert reports == [HostCutOver("0106")]
    (told,) = messages(one.data_to_send())
    assert (told.mti, told.text(39)) == ("0810", "00")


def test_drain_waits_for_answers_then_signs_off_then_closes():
    one = up(link())
    one.submit("a", sale(1), 2)
    (sent,) = messages(one.data_to_send())
    assert one.drain(3, WALL) == [StateChanged(LinkState.DRAINING)]
    assert one.submit("b", sale(2), 3) is NotSent.NOT_UP
    one.receive_data(wire(answer(sent)), 4, WALL)
    (sign_off,) = messages(one.data_to_send())
    assert sign_off.text(70) == "002"
    one.receive_data(wire(answer(sign_off)), 5, WALL)
    assert (one.state, one.hang_up) == (LinkState.CLOSED, True)
    assert one.lost(6, WALL, 0.0) == []
    assert one.dial_at_ns is None
