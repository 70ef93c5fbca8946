"""The host session's reversals, keys and power cuts."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.values import Pan, SecretBytes, Track2
from terminal.errors import NotLoggedOnError, SessionBusyError
from terminal.host import events as out
from terminal.host.events import ChipRequest, HostProfile, Instant
from terminal.host.session import HostSession
from terminal.host.table import State
from terminal.journal.records import (
    Intent,
    ReversalCause,
    ReversalQueued,
)
from terminal.journal.state import JournalState
from terminal.journal.transactions import Status
from terminal.keystore import SessionKeys, TerminalKeys
from terminal.limits import STRAY_MESSAGES_MAX
from tests.terminal_desk import AMOUNT, Desk, MakeRequest, PowerCutError, of, requests


def test_host_that_is_busy_leaves_the_reversal_queued(
    desk: Desk, host: Any, chip_request: MakeRequest
) -> None:
    desk.answers_lost = True
    desk.buy(chip_request())
    desk.time_out()
    desk.answers_lost = False
    for code in ("19", "63", "68", "90", "91", "96"):
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


@settings(max_examples=25)
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
