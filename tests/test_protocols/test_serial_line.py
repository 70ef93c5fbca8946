"""The serial line: every pair of its table, two ends back to back, loss, damage and noise."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.framing import FramingError
from protocols.limits import (
    SERIAL_ANSWER_MS,
    SERIAL_BLOCK_MS,
    SERIAL_CHARACTER_MS,
    SERIAL_QUIET_MS,
    SERIAL_SESSION_MS,
    SERIAL_TRIES_MAX,
)
from protocols.serial_line import (
    ACK,
    ENQ,
    EOT,
    ETX,
    NAK,
    STX,
    LineOutcome,
    LineSpec,
    SendResult,
    SerialLine,
    block,
    lrc,
)
from protocols.serial_table import PRIMARY, TABLE, LineAction, LineEvent, LineState

MS = 1_000_000
FREE = LineSpec(bits_per_second=0)
PLAIN = LineSpec(has_length=False, bits_per_second=0, block_max=40)
QUIET = (SERIAL_QUIET_MS + 1) * MS

tables = pytest.mark.parametrize("table", [TABLE, PRIMARY], ids=["secondary", "primary"])


def byte(*values: int) -> bytes:
    """Give control characters as bytes."""
    return bytes(values)


def quiet_line(spec: LineSpec = FREE) -> SerialLine:
    """Give an idle end that believes what comes at time QUIET and later."""
    return SerialLine(spec, 0)


@tables
def test_serial_table_decides_every_pair(
    table: dict[LineState, dict[LineEvent, tuple[LineState, LineAction]]],
) -> None:
    assert set(table) == set(LineState)
    for state, event in product(LineState, LineEvent):
        after, action = table[state][event]
        if action in (LineAction.NONE, LineAction.HOLD, LineAction.DISTRUST, LineAction.NEVER):
            assert after is state, f"{state.name} {event.name}: moves without doing anything"


@tables
def test_serial_table_last_time_out_of_every_waiting_state_ends_idle(
    table: dict[LineState, dict[LineEvent, tuple[LineState, LineAction]]],
) -> None:
    for state in LineState:
        after, action = table[state][LineEvent.TIMEOUT_LAST]
        assert after is LineState.IDLE
        assert (action is LineAction.NEVER) == (state is LineState.IDLE)


@tables
def test_serial_table_sending_ends_with_exactly_one_result(
    table: dict[LineState, dict[LineEvent, tuple[LineState, LineAction]]],
) -> None:
    results = (LineAction.FINISH, LineAction.GIVE_UP, LineAction.STOPPED)
    for state, event in product(LineState, LineEvent):
        after, action = table[state][event]
        leaves = state in (LineState.BIDDING, LineState.SENDING) and after is LineState.IDLE
        assert (action in results) == leaves, f"{state.name} {event.name}"


def test_serial_exchange_written_by_hand() -> None:
    sender, receiver = quiet_line(), quiet_line()
    now = QUIET
    assert sender.send(b"AB", now).write == byte(ENQ)
    assert receiver.feed(byte(ENQ), now).write == byte(ACK)
    written = sender.feed(byte(ACK), now).write
    assert written == bytes.fromhex("02 0002 4142 03 02")
    taken = receiver.feed(written, now)
    assert (taken.write, taken.delivered) == (byte(ACK), (b"AB",))
    done = sender.feed(byte(ACK), now)
    assert (done.write, done.results) == (byte(EOT), (SendResult.SENT,))
    assert receiver.feed(byte(EOT), now) == LineOutcome()
    assert sender.state is receiver.state is LineState.IDLE
    assert sender.deadline_ns is receiver.deadline_ns is None


@pytest.mark.parametrize("spec", [FREE, PLAIN], ids=["length", "plain"])
def test_serial_receiver_byte_at_a_time_gives_the_same(spec: LineSpec) -> None:
    content = b"0200 ISO" if not spec.has_length else bytes([STX, ETX, EOT, ENQ, ACK, NAK, 0])
    stream = byte(ENQ) + block(content, spec) + byte(EOT)
    whole, single = quiet_line(spec), quiet_line(spec)
    expected = whole.feed(stream, QUIET)
    written, delivered = b"", ()
    for index in range(len(stream)):
        out = single.feed(stream[index : index + 1], QUIET + index * MS)
        written, delivered = written + out.write, delivered + out.delivered
    assert (written, delivered) == (expected.write, expected.delivered) == (b"\x06\x06", (content,))
    assert whole.state is single.state is LineState.IDLE


def ready(spec: LineSpec = FREE) -> SerialLine:
    """Give an end that was bid and has invited the peer."""
    line = quiet_line(spec)
    assert line.feed(byte(ENQ), QUIET).write == byte(ACK)
    return line


def sending(spec: LineSpec = FREE) -> SerialLine:
    """Give an end that has sent its block at time QUIET."""
    line = quiet_line(spec)
    line.send(b"AB", QUIET)
    line.feed(byte(ACK), QUIET)
    assert line.state is LineState.SENDING
    return line


def test_serial_every_single_wrong_byte_of_the_content_is_refused() -> None:
    raw = block(b"0200ABC", FREE)
    for place, change in product(range(3, len(raw)), (0x01, 0x80, 0xFF)):
        damaged = bytearray(raw)
        damaged[place] ^= change
        out = ready().feed(bytes(damaged), QUIET)
        assert (out.write, out.delivered) == (byte(NAK), ()), place


@pytest.mark.parametrize(
    "raw", ["020000", "02001a", "02aaaa", "029999"], ids=["zero", "nibble", "letters", "too large"]
)
def test_serial_block_with_a_bad_length_is_refused_at_once(raw: str) -> None:
    line = ready(LineSpec(bits_per_second=0, block_max=100))
    assert line.feed(bytes.fromhex(raw), QUIET).write == byte(NAK)


def test_serial_plain_block_above_the_limit_is_refused_at_once() -> None:
    line = ready(PLAIN)
    out = line.feed(byte(STX) + b"x" * (PLAIN.block_max + 1), QUIET)
    assert out.write == byte(NAK)


def test_serial_wrong_block_is_refused_a_bounded_number_of_times() -> None:
    line = ready()
    bad = block(b"AB", FREE)[:-1] + b"\x00"
    answers = [line.feed(bad, QUIET + n * QUIET).write for n in range(SERIAL_TRIES_MAX)]
    assert answers == [byte(NAK)] * (SERIAL_TRIES_MAX - 1) + [byte(EOT)]
    assert line.state is LineState.IDLE


def test_serial_repeat_of_a_taken_block_is_confirmed_and_not_delivered_again() -> None:
    line = ready()
    raw = block(b"AB", FREE)
    assert line.feed(raw, QUIET).delivered == (b"AB",)
    again = line.feed(raw, QUIET + MS)
    assert (again.write, again.delivered) == (byte(ACK), ())
    other = line.feed(block(b"CD", FREE), QUIET + 2 * MS)
    assert other.delivered == (b"CD",)
    line.feed(byte(EOT, ENQ), QUIET + 3 * MS)
    assert line.feed(raw, QUIET + 4 * MS).delivered == (b"AB",)  # a new bid may say the same


def test_serial_refused_block_is_sent_a_bounded_number_of_times() -> None:
    line = sending()
    writes = [line.feed(byte(NAK), QUIET + n * MS) for n in range(SERIAL_TRIES_MAX)]
    assert [out.write for out in writes[:-1]] == [block(b"AB", FREE)] * (SERIAL_TRIES_MAX - 1)
    assert (writes[-1].write, writes[-1].results) == (byte(EOT), (SendResult.NOT_SENT,))
    assert not line.is_busy


def run_out(line: SerialLine) -> tuple[list[bytes], int]:
    """Let every deadline pass; give what was written and how often."""
    written = []
    for count in range(100):
        if line.deadline_ns is None:
            return written, count
        assert line.tick(line.deadline_ns - 1) == LineOutcome()
        written.append(line.tick(line.deadline_ns).write)
    raise AssertionError("it never ends")


def test_serial_silent_peer_ends_a_bid_a_block_and_a_session() -> None:
    bidding = quiet_line()
    bidding.send(b"AB", 0)
    assert run_out(bidding)[0] == [byte(ENQ)] * (SERIAL_TRIES_MAX - 1) + [byte(EOT)]
    raw = block(b"AB", FREE)
    assert run_out(sending())[0] == [raw] * (SERIAL_TRIES_MAX - 1) + [byte(EOT)]
    assert run_out(ready())[0] == [b""]
    inside = ready()
    inside.feed(byte(STX), QUIET)
    assert inside.deadline_ns == QUIET + SERIAL_CHARACTER_MS * MS
    assert run_out(inside)[0] == [byte(NAK), b""]


def test_serial_byte_now_and_then_ends_the_block_all_the_same() -> None:
    line = ready()
    line.feed(byte(STX) + b"\x99\x99", QUIET)
    step = (SERIAL_CHARACTER_MS - 1) * MS
    now = QUIET
    while line.state is LineState.RECEIVING:
        now += step
        line.feed(b"x", now)
    assert now - QUIET <= (SERIAL_BLOCK_MS + SERIAL_CHARACTER_MS) * MS


def test_serial_answer_older_than_the_end_of_our_block_is_not_believed() -> None:
    spec = LineSpec(bits_per_second=9_600)
    line = sending(spec)
    leaves = QUIET + len(block(b"AB", spec)) * 10 * 1_000_000_000 // 9_600
    assert line.feed(byte(ACK), leaves - 1) == LineOutcome()
    assert line.feed(byte(ACK), leaves).results == (SendResult.SENT,)


def test_serial_control_character_inside_noise_is_not_answered() -> None:
    line = quiet_line()
    assert line.feed(b"\x41" + byte(ENQ), QUIET) == LineOutcome()
    assert line.feed(byte(ENQ), QUIET + (SERIAL_QUIET_MS - 1) * MS) == LineOutcome()
    assert line.feed(byte(ENQ), QUIET + 3 * QUIET).write == byte(ACK)
    fresh = quiet_line()
    assert fresh.feed(byte(ENQ), 1) == LineOutcome()  # perhaps the middle of a block


def test_serial_both_bid_the_primary_wins_and_the_other_follows() -> None:
    first, second = SerialLine(LineSpec(is_primary=True, bits_per_second=0), 0), quiet_line()
    first.send(b"FIRST", QUIET)
    second.send(b"SECOND", QUIET)
    heard = pump(first, second, first.feed(byte(ENQ), QUIET), second.feed(byte(ENQ), QUIET), QUIET)
    assert heard == ([b"SECOND"], [b"FIRST"])


def pump(
    left: SerialLine, right: SerialLine, out: LineOutcome, back: LineOutcome, now: int
) -> tuple[list[bytes], list[bytes]]:
    """Carry bytes between two ends until both are silent; give what each heard."""
    heard: tuple[list[bytes], list[bytes]] = ([], [])
    for _ in range(50):
        now += MS
        right_out, left_out = right.feed(out.write, now), left.feed(back.write, now)
        heard[0].extend(left_out.delivered)
        heard[1].extend(right_out.delivered)
        out, back = left_out, right_out
        if not (out.write or back.write):
            return heard
    raise AssertionError("they never fall silent")


def test_serial_busy_line_oversize_and_empty_content_are_refused() -> None:
    line = quiet_line(PLAIN)
    for content in (b"", b"x" * 41, b"a\x02", b"a\x03"):
        with pytest.raises(FramingError):
            line.send(content, 0)
    line.send(b"AB", 0)
    assert line.is_busy
    with pytest.raises(FramingError, match="under way"):
        line.send(b"CD", 0)


def test_serial_outcome_shows_sizes_only() -> None:
    shown = repr(LineOutcome(b"9360099912344821", (b"9360099912344821",)))
    assert "9360099912344821" not in shown
    assert lrc(b"") == 0


@settings(max_examples=60)
@given(
    pieces=st.lists(
        st.one_of(
            st.binary(min_size=1, max_size=12),
            st.sampled_from([byte(one) for one in (STX, ETX, EOT, ENQ, ACK, NAK)]),
            st.just(block(b"AB", FREE)),
        ),
        max_size=25,
    ),
    gaps=st.lists(st.sampled_from([0, 1, 60, 600, 2_500]), min_size=25, max_size=25),
    is_primary=st.booleans(),
    has_length=st.booleans(),
)
def test_serial_any_bytes_at_any_time_end_idle(
    pieces: list[bytes], gaps: list[int], is_primary: bool, has_length: bool
) -> None:
    line = SerialLine(LineSpec(has_length, is_primary, 0, 50), 0)
    line.send(b"OURS", 0)
    now, results = 0, 0
    for piece, gap in zip(pieces, gaps, strict=False):
        now += gap * MS
        out = line.feed(piece, now)
        results += len(out.results)
        assert all(0 < len(one) <= 50 for one in out.delivered)
    for _ in range(40):
        if line.deadline_ns is None:
            break
        results += len(line.tick(line.deadline_ns).results)
    assert (line.state, results, line.is_busy) == (LineState.IDLE, 1, False)


def test_serial_receiver_outlasts_all_tries_of_the_sender() -> None:
    assert SERIAL_SESSION_MS > SERIAL_TRIES_MAX * SERIAL_ANSWER_MS + SERIAL_BLOCK_MS
