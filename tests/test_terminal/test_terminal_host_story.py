"""Any sequence of sales, voids, faults and power cuts ends with slips equal to postings."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocols.values import SecretBytes
from terminal.host.events import ChipRequest, HostProfile
from terminal.host.table import State
from terminal.journal.records import Kind
from terminal.keystore import TerminalKeys
from tests.terminal_desk import Desk, PowerCutError
from tests.terminal_kit import CounterBytes, ScriptedHost, StoryClock

FAULTS = ("none", "answer lost", "request lost", "bad MAC", "card declines", "host refuses")
STEPS = st.tuples(
    st.sampled_from(("sale", "void", "key change", "settle", "power cut")),
    st.sampled_from(FAULTS),
    st.integers(0, 8),
)


def play(desk: Desk, host: ScriptedHost, what: str, fault: str, make: ChipRequest) -> None:
    """Do one thing with one fault, as the operator's flow would: owed reversals first."""
    now = desk.clock.now()
    desk.answers_lost, desk.line_is_cut = fault == "answer lost", fault == "request lost"
    host.break_mac, host.refuse = fault == "bad MAC", "51" if fault == "host refuses" else ""
    stands = [
        t
        for t in desk.session.journal.transactions.values()
        if t.stands and t.intent.kind is Kind.PURCHASE
    ]
    if desk.session.journal.owed() or what == "settle":
        desk.session.request_reversal(now)
    elif what == "key change":
        desk.session.request_key_change(now)
    elif what == "void" and stands:
        desk.session.request_void(stands[-1], now)
    else:
        desk.session.request_purchase(make, now)
    desk.run()
    if desk.session.state is State.CARD:
        if fault == "card declines":
            desk.session.card_declined(now)
        else:
            desk.session.card_confirmed(now)
        desk.run()
    if desk.session.get_timer() is not None:
        desk.time_out()


@pytest.mark.slow
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=1, max_size=12))
def test_any_story_ends_with_slips_equal_to_postings(
    steps: list[tuple[str, str, int]],
    profile: HostProfile,
    tmk: SecretBytes,
    chip_request: Callable[..., ChipRequest],
) -> None:
    host, clock = ScriptedHost(balance_sen=10**11), StoryClock()
    desk = Desk(host, clock, profile, CounterBytes(), TerminalKeys(tmk))
    desk.log_on()
    for what, fault, cut in steps:
        clock.pass_ms(1_000)
        desk.cut_after = desk.steps + cut if what == "power cut" else -1
        try:
            play(desk, host, what, fault, chip_request())
        except PowerCutError:
            # It may go again while the terminal starts.
            desk.cut_after = desk.steps + cut
            with suppress(PowerCutError):
                desk.start()
            desk.cut_after = -1
            desk.start()
        desk.cut_after = -1
        host.break_mac = False
    host.refuse = ""
    desk.settle()
    assert host.standing_sen() == desk.completed_sen()
    assert not desk.session.journal.undecided()
