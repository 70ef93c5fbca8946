"""The serial line: every state and signal decided, and a line that loses and spoils bytes."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.serial_frames import (
    ACK,
    ENQ,
    EOT,
    NAK,
    SEND_QUEUE_MAX,
    TRANSITIONS,
    SerialError,
    SerialEventKind,
    SerialLink,
    SerialSpec,
    Signal,
    State,
    lrc,
    serial_frame,
)

PLAIN, BARE = SerialSpec(), SerialSpec(has_length=False)
ASKING = SerialSpec(enquires=True)
SECOND = 1_000_000_000


def events(link: SerialLink) -> list[tuple[str, bytes, bool]]:
    """Give all waiting events."""
    out = []
    while (event := link.next_event()) is not None:
        out.append((event.kind.value, event.body, event.is_repeat))
    return out


def test_transitions_decide_every_state_and_signal() -> None:
    assert set(TRANSITIONS) == {(state, signal) for state in State for signal in Signal}


def test_frame_known_bytes_and_their_lrc() -> None:
    assert serial_frame(b"ab", PLAIN).hex() == "02000261620302"
    assert serial_frame(b"ab", BARE).hex() == "0261620300"
    assert lrc(b"") == 0


@pytest.mark.parametrize(
    ("spec", "body"), [(PLAIN, b""), (PLAIN, bytes(400)), (BARE, b"a\x03b")], ids=str
)
def test_frame_that_the_line_cannot_carry_is_refused(spec: SerialSpec, body: bytes) -> None:
    with pytest.raises(SerialError):
        serial_frame(body, spec)


def test_send_and_acknowledge_is_reported_once() -> None:
    link = SerialLink(PLAIN)
    link.send(b"sale", 0)
    assert link.data_to_send() == serial_frame(b"sale", PLAIN)
    assert link.state is State.WAITING
    link.receive_data(bytes([ACK, ACK]), 1)
    assert events(link) == [("sent", b"", False)]
    assert link.get_timer() is None


def test_send_with_enquiry_asks_first_and_ends_with_eot() -> None:
    link = SerialLink(ASKING)
    link.send(b"sale", 0)
    assert link.data_to_send() == bytes([ENQ])
    link.receive_data(bytes([ACK]), 1)
    assert link.data_to_send() == serial_frame(b"sale", ASKING)
    link.receive_data(bytes([ACK]), 2)
    assert link.data_to_send() == bytes([EOT])
    assert events(link) == [("sent", b"", False)]


@pytest.mark.parametrize("answer", [bytes([NAK]), b""], ids=["NAK", "silence"])
def test_send_without_ack_is_repeated_and_given_up(answer: bytes) -> None:
    link = SerialLink(PLAIN)
    link.send(b"sale", 0)
    now, sent = 0, 0
    while link.get_timer() is not None:
        sent += link.data_to_send().count(serial_frame(b"sale", PLAIN))
        if answer:
            link.receive_data(answer, now)
        else:
            now = link.get_timer() or now
            link.handle_timer(now)
    assert sent == PLAIN.attempts
    assert events(link) == [("not sent", b"", False)]


def test_receive_frame_gives_the_body_and_acknowledges() -> None:
    for spec in (PLAIN, BARE):
        link = SerialLink(spec)
        link.receive_data(serial_frame(b"ok", spec), 0)
        assert events(link) == [("received", b"ok", False)]
        assert link.data_to_send() == bytes([ACK])


def test_receive_repeat_behind_a_lost_ack_is_marked() -> None:
    link = SerialLink(PLAIN)
    link.receive_data(serial_frame(b"ok", PLAIN) * 2 + serial_frame(b"new", PLAIN), 0)
    assert events(link) == [
        ("received", b"ok", False),
        ("received", b"ok", True),
        ("received", b"new", False),
    ]


def test_receive_body_may_hold_control_bytes_on_a_line_with_lengths() -> None:
    body = bytes(range(32))
    link = SerialLink(PLAIN)
    for byte in serial_frame(body, PLAIN):
        link.receive_data(bytes([byte]), 0)
    assert events(link) == [("received", body, False)]


@pytest.mark.parametrize(
    "spoilt",
    [
        serial_frame(b"ab", PLAIN)[:-1] + b"\x7f",
        serial_frame(b"ab", PLAIN)[:-2] + b"\x04\x02",
        b"\x02\x0a\x00ab\x03\x00",
        b"\x02\x99\x99" + bytes([ACK, ENQ]) * 50,
        b"\x02\x00\x00\x03\x03",
        serial_frame(b"ab", PLAIN)[:4],
        serial_frame(b"five5", PLAIN)[1:],
        b"noise" + serial_frame(b"ab", PLAIN),
    ],
    ids=["lrc", "no etx", "length digits", "too large", "empty", "cut", "no stx", "noise"],
)
def test_receive_spoilt_frame_is_refused_once_the_line_is_quiet(spoilt: bytes) -> None:
    link = SerialLink(PLAIN)
    link.receive_data(spoilt, 0)
    assert link.data_to_send() == b""
    link.handle_timer(PLAIN.character_ns - 1)
    assert link.data_to_send() == b""
    link.handle_timer(PLAIN.character_ns)
    assert link.data_to_send() == bytes([NAK])
    link.receive_data(serial_frame(b"ab", PLAIN), SECOND)
    assert events(link) == [("received", b"ab", False)]


def test_receive_ack_inside_a_broken_frame_is_no_ack() -> None:
    link = SerialLink(PLAIN)
    link.send(b"sale", 0)
    link.receive_data(b"\x02\xff" + bytes([ACK]) * 9, 1)
    assert events(link) == []
    assert link.state is State.WAITING


def test_receive_enquiry_from_both_ends_one_gives_way() -> None:
    strong, weak = SerialLink(ASKING), SerialLink(SerialSpec(enquires=True, yields=True))
    strong.send(b"one", 0)
    weak.send(b"two", 0)
    out = run_line(strong, weak, lambda data: data, 30 * SECOND)
    assert ("received", b"one", False) in out[1]
    assert ("received", b"two", False) in out[0]
    assert [e for side in out for e in side if e[0] == "not sent"] == []


def test_send_queue_is_bounded() -> None:
    link = SerialLink(PLAIN)
    for number in range(SEND_QUEUE_MAX):
        link.send(b"%d" % number, 0)
    with pytest.raises(SerialError):
        link.send(b"one too many", 0)


def run_line(
    left: SerialLink, right: SerialLink, line: Callable[[bytes], bytes], until_ns: int
) -> tuple[list[tuple[str, bytes, bool]], list[tuple[str, bytes, bool]]]:
    """Carry bytes both ways through `line` under virtual time until all is quiet."""
    now = 0
    seen: tuple[list[tuple[str, bytes, bool]], list[tuple[str, bytes, bool]]] = ([], [])
    while now < until_ns:
        to_right, to_left = line(left.data_to_send()), line(right.data_to_send())
        if to_right:
            right.receive_data(to_right, now)
        if to_left:
            left.receive_data(to_left, now)
        seen[0].extend(events(left))
        seen[1].extend(events(right))
        if to_right or to_left:
            now += 1_000_000
            continue
        due = [one for one in (left.get_timer(), right.get_timer()) if one is not None]
        if not due:
            break
        now = max(now, min(due))
        left.handle_timer(now)
        right.handle_timer(now)
    return seen


@settings(max_examples=40)
@given(seed=st.integers(0, 1 << 32), asks=st.booleans(), has_length=st.booleans())
def test_line_that_loses_and_spoils_bytes_gives_bodies_whole_and_in_order(
    seed: int, asks: bool, has_length: bool
) -> None:
    chance = random.Random(seed)
    spec = SerialSpec(enquires=asks, has_length=has_length, attempts=5)
    left, right = SerialLink(spec), SerialLink(spec)
    bodies = [
        b"body %d " % n + bytes(chance.randrange(32, 127) for _ in range(9)) for n in range(5)
    ]
    for body in bodies:
        left.send(body, 0)

    def line(data: bytes) -> bytes:
        if data and chance.random() < 0.25:
            place = chance.randrange(len(data))
            if chance.random() < 0.5:
                return data[:place] + data[place + 1 :]
            return data[:place] + bytes([data[place] ^ 0x40]) + data[place + 1 :]
        return data

    mine, theirs = run_line(left, right, line, 600 * SECOND)
    outcomes = [kind for kind, _, _ in mine]
    assert len(outcomes) == len(bodies)
    received = [body for kind, body, is_repeat in theirs if not is_repeat]
    assert all(body in bodies for body in received)
    assert received == sorted(received)
    for body, outcome in zip(bodies, outcomes, strict=True):
        if outcome == "sent":
            assert body in received


@given(st.lists(st.tuples(st.binary(max_size=20), st.integers(0, SECOND)), max_size=8))
def test_link_any_bytes_at_any_time_stay_bounded_and_raise_nothing(
    pieces: list[tuple[bytes, int]],
) -> None:
    for spec in (PLAIN, BARE, ASKING):
        link, now = SerialLink(spec), 0
        link.send(b"sale", now)
        for data, step in pieces:
            now += step
            link.receive_data(data, now)
            link.handle_timer(now)
            timer = link.get_timer()
            assert timer is None or timer >= now
        assert all(kind in set(SerialEventKind) for kind, _, _ in events(link))
