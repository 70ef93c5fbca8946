"""The outgoing half: which answer belongs to which request, link states, back-off, a real host."""

import asyncio
from itertools import product

import pytest

from lumbung.bank.host import BankHost
from lumbung.bank.table import AnswerTable, BankFault, parse_table
from protocols.errors import ConfigurationError
from protocols.framing import BANK_FRAMES, frame
from protocols.iso8583 import Codec, Message, load_spec
from switch.back_off import BackOff
from switch.config import HostConfig
from switch.dialler import Dialler
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

CODEC = Codec(load_spec("bank"))
SECOND = 10**9
WALL = 1_767_575_647 * SECOND


def sale(stan: int, **changes: str) -> Message:
    elements = {
        3: "009800", 4: "000000001300", 7: "0105011407", 11: f"{stan:06d}", 12: "091407",
        13: "0105", 18: "6017", 22: "051", 32: "124", 37: f"600509{stan:06d}", 41: "12400017",
        42: "EWSMDSGP0000017", 43: "E-WARONG UJI                            ", 49: "360",
    }  # fmt: skip
    return Message("0200", {**elements, **{int(n[2:]): v for n, v in changes.items()}}, CODEC.spec)


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


class RealClock:
    def now_ns(self) -> int:
        return WALL

    def monotonic_ns(self) -> int:
        return int(asyncio.get_running_loop().time() * SECOND)


class Ours:
    """A dialler with what it told, awaited kind by kind."""

    def __init__(self, port: int, **changes) -> None:
        config = {"name": "bank", "host": "127.0.0.1", "port": port, "back_off_ms": 1, **changes}
        self.told: asyncio.Queue = asyncio.Queue()
        config = HostConfig.model_validate(config)
        self.dialler = Dialler(config, CODEC, RealClock(), self.told.put_nowait)

    async def next(self, kind):
        async with asyncio.timeout(10):
            while not isinstance(found := await self.told.get(), kind):
                pass
        return found

    async def until(self, state: LinkState) -> None:
        while (await self.next(StateChanged)).state is not state:
            pass


TABLE = """
[[answer]]
mti = "0200"
match = { 4 = "000000005100" }
code = "51"
[[answer]]
mti = "0200"
match = { 4 = "000000000001" }
fault = "silent"
[[answer]]
mti = "0200"
match = { 4 = "000000000002" }
fault = "late"
delay_ms = 120
[[answer]]
mti = "0200"
match = { 4 = "000000000003" }
fault = "twice"
[[answer]]
mti = "0200"
match = { 4 = "000000000004" }
fault = "wrong-key"
[[answer]]
mti = "0200"
match = { 4 = "000000000005" }
fault = "garbage"
[[answer]]
mti = "0200"
match = { 4 = "000000000006" }
fault = "close"
[[answer]]
mti = "0200"
elements = { 38 = "7K2M9Q" }
"""


async def test_scripted_bank_and_dialler_meet_every_fault_with_a_definite_word():
    async with BankHost(parse_table(TABLE, "t")) as bank:
        ours = Ours(bank.port, timeout_ms=60)
        ours.dialler.start()
        await ours.until(LinkState.UP)
        send, stan = ours.dialler.submit, 0

        def ask(amount: str) -> int:
            nonlocal stan
            stan += 1
            assert send(stan, sale(stan, de4=amount)) is None
            return stan

        token = ask("000000001300")
        found = await ours.next(Answered)
        assert (found.token, found.message.text(39), found.message.text(38)) == (
            token,
            "00",
            "7K2M9Q",
        )
        ask("000000005100")
        assert (await ours.next(Answered)).message.text(39) == "51"
        token = ask("000000000001")
        assert (await ours.next(TimedOut)).token == token
        token = ask("000000000002")
        assert (await ours.next(TimedOut)).token == token
        assert (await ours.next(Late)).token == token
        ask("000000000003")
        await ours.next(Answered)
        assert (await ours.next(Unmatched)).nearest is None
        token = ask("000000000004")
        unmatched = await ours.next(Unmatched)
        assert (unmatched.nearest, len(unmatched.differing)) == (token, 1)
        await ours.next(TimedOut)
        for amount in ("000000000005", "000000000006"):
            token = ask(amount)
            assert (await ours.next(TimedOut)).token == token
            await ours.until(LinkState.UP)
        ask("000000001300")
        assert (await ours.next(Answered)).message.text(39) == "00"
        await ours.dialler.stop(5)
        assert ours.dialler.link.state is LinkState.CLOSED
        assert bank.counts["0800/00/none"] == 4
        assert bank.seen[-1].text(70) == "002"


async def test_host_that_is_away_is_dialled_again_until_it_is_there():
    async with BankHost(AnswerTable()) as bank:
        port = bank.port
    ours = Ours(port, back_off_ms=2, back_off_longest_ms=4)
    ours.dialler.start()
    async with BankHost(AnswerTable(), port=port) as bank:
        await ours.until(LinkState.UP)
        await bank.ask(Message("0800", {7: "0105160000", 11: "000009", 15: "0106", 70: "201"}))
        assert (await ours.next(HostCutOver)).date == "0106"
        bank.cut_all()
        await ours.until(LinkState.UP)
        await ours.dialler.stop(5)


async def test_stop_while_the_host_is_away_does_not_wait():
    async with BankHost(AnswerTable()) as bank:
        port = bank.port
    ours = Ours(port, back_off_ms=60_000)
    ours.dialler.start()
    await asyncio.sleep(0)
    await ours.dialler.stop(5)
    assert ours.dialler.link.state is LinkState.CLOSED


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[[answer]]\ncolour = 1", "answer 1: colour"),
        ("[[answer]]\nfault = 'odd'", "answer 1: fault"),
        ("[[answer]]\nmatch = { x = '1' }", "answer 1: match: x"),
        ("spec = 'visa'", "there are bank"),
        ("mti = '0200'", "unknown key"),
        ("answer = 7", "answer: up to"),
        ("x =", "not TOML"),
        ("answer = [7]", "answer 1: not a table"),
    ],
)
def test_table_that_is_wrong_is_told(text, why):
    with pytest.raises(ConfigurationError, match=why):
        parse_table(text, "t.toml")


def test_rule_is_used_so_often_and_the_next_one_then():
    table = parse_table("[[answer]]\nmti = '0200'\ntimes = 1\nfault = 'silent'\n", "t")
    assert table.choose(sale(1)).fault is BankFault.SILENT
    assert table.choose(sale(1)).fault is BankFault.NONE
