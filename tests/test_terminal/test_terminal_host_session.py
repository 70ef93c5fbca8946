"""The host session against a scripted host: whatever goes wrong, nothing is lost or doubled."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.framing import EDC_FRAMES, Framer
from protocols.iso8583 import Codec, Message, load_spec
from protocols.values import Pan, SecretBytes, Track2
from terminal.errors import NotLoggedOnError, SessionBusyError
from terminal.host import events as out
from terminal.host.events import ChipRequest, Event, HostProfile, Instant
from terminal.host.session import HostSession
from terminal.host.table import TRANSITIONS, Action, Input, State
from terminal.journal.records import (
    Intent,
    Kind,
    Record,
    ReversalCause,
    ReversalQueued,
    ReversalSent,
)
from terminal.journal.state import JournalState, Status
from terminal.keystore import SessionKeys, TerminalKeys
from terminal.limits import STRAY_MESSAGES_MAX

AMOUNT = 14_150_000
CODEC = Codec(load_spec("edc"))
MakeRequest = Callable[..., ChipRequest]


class PowerCutError(Exception):
    """The terminal goes dark here."""


@dataclass
class Desk:
    """A terminal without I/O: session, disk (records and keys) and a line to the host."""

    host: Any
    clock: Any
    profile: HostProfile
    random_bytes: Any
    keys: TerminalKeys
    disk: list[Record] = field(default_factory=list)
    steps: int = 0
    cut_after: int = -1
    line_is_cut: bool = False
    answers_lost: bool = False
    byte_at_a_time: bool = False
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Power on: everything that is known comes from the disk."""
        state = JournalState()
        for record in self.disk:
            state.apply(record)
        self.session = HostSession(self.profile, state, self.keys, self.random_bytes)
        self.session.recover(self.clock.now())
        self.run()

    def run(self) -> list[Event]:
        """Carry out events until there are none; give those of this call."""
        seen: list[Event] = []
        while (event := self.session.next_event()) is not None:
            seen.append(event)
            self.carry_out(event)
        self.events += seen
        return seen

    def carry_out(self, event: Event) -> None:
        if isinstance(event, out.Persist):
            self.step()
            self.disk += event.records
            self.step()
        elif isinstance(event, out.StoreKeys):
            self.step()
            self.keys = TerminalKeys(self.keys.tmk, event.keys)
        elif isinstance(event, out.Transmit):
            self.step()
            if self.line_is_cut:
                return
            answer = self.host.answer(event.data)
            self.step()
            if not self.answers_lost:
                self.receive(answer)

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.cut_after:
            raise PowerCutError

    def receive(self, data: bytes) -> None:
        size = 1 if self.byte_at_a_time else len(data) or 1
        for i in range(0, len(data), size):
            self.session.receive_data(data[i : i + size], self.clock.now())

    def log_on(self) -> None:
        self.session.request_key_change(self.clock.now())
        self.run()
        self.session.request_log_on(self.clock.now())
        self.run()

    def buy(self, request: ChipRequest) -> list[Event]:
        self.session.request_purchase(request, self.clock.now())
        events = self.run()
        if self.session.state is State.CARD:
            self.session.card_confirmed(self.clock.now())
            events += self.run()
        return events

    def time_out(self) -> list[Event]:
        deadline = self.session.get_timer()
        assert deadline is not None
        self.clock.pass_ms(-(-(deadline - self.clock.monotonic) // 10**6))
        self.session.handle_timer(self.clock.now())
        return self.run()

    def settle(self) -> None:
        """Drive every owed reversal to its answer on a line that works."""
        self.line_is_cut = self.answers_lost = False
        for _ in range(20):
            if not self.session.request_reversal(self.clock.now()):
                return
            self.run()
            if self.session.state is not State.IDLE:
                self.time_out()
        raise AssertionError("a reversal is never answered")

    def completed_sen(self) -> int:
        """Give what the terminal's slips come to."""
        signs = {Kind.PURCHASE: 1, Kind.VOID: -1}
        return sum(
            signs[t.intent.kind] * t.intent.amount_sen
            for t in self.session.journal.transactions.values()
            if t.status is Status.COMPLETED and t.intent.kind in signs
        )


@pytest.fixture
def desk(
    host: Any, clock: Any, profile: HostProfile, random_bytes: Any, tmk: SecretBytes
) -> Iterator[Desk]:
    made = Desk(host, clock, profile, random_bytes, TerminalKeys(tmk))
    made.log_on()
    made.events.clear()
    yield made
    # Whatever the test did: slips and postings agree once everything is settled.
    made.settle()
    assert host.standing_sen() == made.completed_sen()
    assert not made.session.journal.owed()


def of(events: list[Event], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def requests(host: Any, mti: str) -> list[Message]:
    return [message for message in host.seen if message.mti == mti]


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


def test_host_that_is_busy_leaves_the_reversal_queued(
    desk: Desk, host: Any, chip_request: MakeRequest
) -> None:
    desk.answers_lost = True
    desk.buy(chip_request())
    desk.time_out()
    desk.answers_lost = False
    for code in ("91", "96", "90"):
        host.refuse_reversals = code
        desk.session.request_reversal(desk.clock.now())
        (still,) = of(desk.run(), out.ReversalStillOwed)
        assert still.claimed_code == code
    host.refuse_reversals = ""


def test_refused_reversal_is_closed_as_disputed(
    host: Any,
    clock: Any,
    profile: HostProfile,
    random_bytes: Any,
    tmk: SecretBytes,
    chip_request: MakeRequest,
) -> None:
    desk = Desk(host, clock, profile, random_bytes, TerminalKeys(tmk))
    desk.log_on()
    desk.answers_lost = True
    desk.buy(chip_request())
    desk.time_out()
    desk.answers_lost = False
    host.refuse_reversals = "12"
    desk.session.request_reversal(clock.now())
    (closed,) = of(desk.run(), out.ReversalClosed)
    assert not closed.undone
    assert closed.transaction.status is Status.DISPUTED
    assert not desk.session.journal.owed()


def test_reversal_is_maced_under_the_keys_of_the_moment_it_is_sent(
    desk: Desk, host: Any, chip_request: MakeRequest
) -> None:
    desk.answers_lost = True
    desk.buy(chip_request())
    desk.time_out()
    desk.answers_lost = False
    desk.session.request_key_change(desk.clock.now())
    desk.run()
    desk.settle()
    assert requests(host, "0200")[0].text(61, "key_set") == "0001"
    assert requests(host, "0400")[0].text(61, "key_set") == "0002"


def test_lost_key_change_answer_leaves_the_old_keys_in_use(
    desk: Desk, chip_request: MakeRequest
) -> None:
    desk.answers_lost = True
    desk.session.request_key_change(desk.clock.now())
    desk.run()
    desk.time_out()
    desk.answers_lost = False
    assert desk.keys.session is not None
    assert desk.keys.session.key_set == "0001"
    assert len(of(desk.buy(chip_request()), out.Completed)) == 1


def test_key_block_under_a_foreign_key_is_not_taken(
    host: Any, clock: Any, profile: HostProfile, random_bytes: Any
) -> None:
    other = TerminalKeys(SecretBytes(bytes.fromhex("89E88CF7931444F334BD7547FC3F380C")))
    desk = Desk(host, clock, profile, random_bytes, other)
    desk.session.request_key_change(clock.now())
    assert of(desk.run(), out.NoAnswer) == [out.NoAnswer(ReversalCause.BAD_MAC, "00")]
    with pytest.raises(NotLoggedOnError):
        desk.session.request_log_on(clock.now())


def test_second_request_while_one_waits_is_refused(desk: Desk, chip_request: MakeRequest) -> None:
    desk.line_is_cut = True
    desk.buy(chip_request())
    for call in (desk.session.request_purchase, desk.session.request_balance):
        with pytest.raises(SessionBusyError):
            call(chip_request(), desk.clock.now())
    with pytest.raises(SessionBusyError):
        desk.session.card_confirmed(desk.clock.now())
    desk.time_out()


def test_flood_of_strays_ends_the_wait(desk: Desk, host: Any, chip_request: MakeRequest) -> None:
    desk.line_is_cut = True
    desk.buy(chip_request())
    (transmit,) = of(desk.events, out.Transmit)
    host.change = lambda reply: reply.replace(de11="999999")
    stray = host.answer(transmit.data)
    for _ in range(STRAY_MESSAGES_MAX + 1):
        desk.receive(stray)
    assert len(of(desk.run(), out.ReversalOwed)) == 1


def test_approval_with_any_byte_altered_is_never_an_approval(
    host: Any,
    clock: Any,
    profile: HostProfile,
    random_bytes: Any,
    tmk: SecretBytes,
    chip_request: MakeRequest,
) -> None:
    """Length and TPDU carry no meaning for the answer; every byte behind them is MACed."""
    desk = Desk(host, clock, profile, random_bytes, TerminalKeys(tmk))
    desk.log_on()
    desk.line_is_cut = True
    position, size = 7, 8
    while position < size:
        (transmit,) = of(desk.buy(chip_request()), out.Transmit)
        answer = host.answer(transmit.data)
        size = len(answer)
        altered = bytes([answer[position] ^ 1 << position % 8])
        desk.receive(answer[:position] + altered + answer[position + 1 :])
        assert not of(desk.run(), out.Answered), f"byte {position}"
        if desk.session.state is not State.IDLE:
            desk.session.line_lost(clock.now())
            desk.run()
        desk.session.line_opened()
        desk.settle()
        desk.line_is_cut = True
        position += 3
    assert host.standing_sen() == 0


@given(noise=st.lists(st.binary(max_size=40), max_size=8))
def test_any_bytes_leave_the_session_waiting_or_settled(noise: list[bytes]) -> None:
    """Whatever a host says: no exception, and money is either awaited or owed."""
    keys = SessionKeys("0001", SecretBytes(b"0123456789abcdef"), SecretBytes(b"fedcba9876543210"))
    profile = HostProfile("12400017", "EWSMR0000000017", "831", 10_000, "OP01")
    session = HostSession(
        profile,
        JournalState(),
        TerminalKeys(SecretBytes(b"M" * 16), keys),
        lambda size: bytes(size),
    )
    pan = "9360099912344821"
    request = ChipRequest(
        amount_sen=AMOUNT,
        pan=Pan(pan),
        track2=Track2(f"{pan}D30122200000000000"),
        psn="01",
        de55={"9F26": bytes(8)},
    )
    now = Instant(1_767_575_647 * 10**9, 0)
    session.request_purchase(request, now)
    for data in noise:
        session.receive_data(data, now)
        framed = (len(data) + 5).to_bytes(2, "big") + b"\x60\x00\x00\x08\x31" + data
        session.receive_data(framed, now)
    owed = session.journal.owed()
    assert (session.state is State.MONEY) != (len(owed) == 1)


# Power cuts


@pytest.mark.parametrize(
    "second_cuts", [(0,), pytest.param(range(1, 8), marks=pytest.mark.slow)], ids=["once", "twice"]
)
def test_power_cut_at_every_step_loses_and_doubles_nothing(
    host: Any,
    clock: Any,
    profile: HostProfile,
    random_bytes: Any,
    tmk: SecretBytes,
    chip_request: MakeRequest,
    second_cuts: Iterable[int],
) -> None:
    """Sale, void and a reversal, cut before and after every write and every message."""
    base = Desk(host, clock, profile, random_bytes, TerminalKeys(tmk))
    base.log_on()
    disk, keys = list(base.disk), base.keys

    def play(desk: Desk) -> None:
        desk.buy(chip_request())
        desk.answers_lost = True
        desk.buy(chip_request(5_000_000))
        desk.time_out()
        desk.settle()
        first = next(iter(t for t in desk.session.journal.transactions.values() if t.stands))
        desk.session.request_void(first, desk.clock.now())
        desk.run()

    def fresh(cut_after: int) -> Desk:
        host.book.clear()
        host.undone.clear()
        made = Desk(host, clock, profile, random_bytes, keys, list(disk))
        made.cut_after = cut_after
        return made

    whole = fresh(-1)
    play(whole)
    assert whole.steps > 20
    for cut, again in [(cut, again) for cut in range(1, whole.steps + 1) for again in second_cuts]:
        desk = fresh(cut)
        with pytest.raises(PowerCutError):
            play(desk)
        if again:
            # The power goes again while the terminal recovers and settles.
            desk.cut_after = desk.steps + again
            with suppress(PowerCutError):
                desk.start()
                desk.settle()
        desk.cut_after = -1
        desk.start()
        desk.settle()
        assert host.standing_sen() == desk.completed_sen(), f"cut at step {cut}, then {again}"
        assert not desk.session.journal.undecided()
        stans = [r.stan for r in desk.disk if isinstance(r, Intent)]
        stans += [r.reversal_stan for r in desk.disk if isinstance(r, ReversalQueued)]
        assert len(set(stans)) == len(stans), "a STAN was given out twice"
