"""The vpcd wire: frames in any pieces, controls, what a card does with each request."""

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardsim import CardImageError, FaultPlanError
from cardsim.faults import Fault, FaultAction, FaultLayer, Reaction, ReactionKind
from cardsim.transport import CardOnWire, CardWireError
from cardsim.transport_wire import REQUESTS_WAITING_MAX, Ending
from cardsim.vpcd import FramingError, Request, VpcdSlot, answer_frame
from protocols.card_frames import CARD_BODY_BYTES_MAX, Control
from tests.card_kit import make_card

SELECT = bytes.fromhex("00A404000E315041592E5359532E444446303100")
GPO = bytes.fromhex("80A80000078305036000036000")
ATR = "3be000008131fe45eb"


def slot(*faults: Fault) -> VpcdSlot:
    return VpcdSlot(FaultLayer(make_card(), faults))


def reactions(one: VpcdSlot, stream: bytes) -> list[Reaction | None]:
    return [one.react(request) for request in one.receive(stream)]


def framed(*bodies: bytes) -> bytes:
    return b"".join(len(body).to_bytes(2, "big") + body for body in bodies)


def test_two_frames_in_one_segment_are_two_requests() -> None:
    assert [r.control for r in slot().receive(bytes.fromhex("000102000104"))] == [
        Control.RESET, Control.ATR
    ]  # fmt: skip


@given(
    st.lists(
        st.one_of(
            st.sampled_from([b"\0", b"\1", b"\2", b"\4"]), st.binary(min_size=2, max_size=261)
        ),
        max_size=6,
    ),
    st.data(),
)
def test_requests_are_the_same_in_any_pieces(bodies: list[bytes], data: st.DataObject) -> None:
    stream = framed(*bodies)
    whole = slot().receive(stream)
    assert len(whole) == len(bodies)
    cut = data.draw(st.integers(0, len(stream)))
    pieces = slot()
    assert pieces.receive(stream[:cut]) + pieces.receive(stream[cut:]) == whole
    bytewise = slot()
    got: list[Request] = []
    for byte in stream:
        got += bytewise.receive(bytes((byte,)))
    assert got == whole


def test_empty_frame_and_unknown_control_are_passed_over() -> None:
    assert slot().receive(bytes.fromhex("0000000103000105000104")) == [Request(Control.ATR)]


def test_body_beyond_the_limit_is_refused_now_and_after() -> None:
    one = slot()
    for data in ((CARD_BODY_BYTES_MAX + 1).to_bytes(2, "big"), b"\x00\x01\x04"):
        with pytest.raises(FramingError):
            one.receive(data)


def test_power_and_reset_are_not_answered_and_the_atr_is() -> None:
    one = slot()
    given_back = reactions(one, bytes.fromhex("000101000104000102000104"))
    assert [r.data.hex() if r else None for r in given_back] == [None, ATR, None, ATR]


def test_question_for_the_atr_neither_powers_nor_counts() -> None:
    fault = Fault(FaultAction.ANSWER, "POWER", data=b"\x3b\x00")
    one = slot(fault)
    one.power_off()
    [before] = reactions(one, b"\0\1\4" * 1)
    assert before is not None
    assert before.data.hex() == ATR
    assert not one.layer.card.powered
    assert not one.seen
    _, after = reactions(one, b"\0\1\1\0\1\4")
    assert after is not None
    assert after.data == b"\x3b\x00"
    assert one.seen


@pytest.mark.parametrize("action", [FaultAction.ANSWER, FaultAction.MUTE, FaultAction.SLOW])
def test_command_to_a_card_without_power_finds_none_whatever_its_faults(
    action: FaultAction,
) -> None:
    one = slot(Fault(action, "SELECT", data=b"\x90\x00"))
    off, answer = reactions(one, b"\0\1\0" + framed(SELECT))
    assert off is None
    assert answer == Reaction(ReactionKind.REMOVED)


def test_answer_of_no_byte_is_a_card_that_leaves() -> None:
    one = slot(Fault(FaultAction.TRUNCATE, "SELECT", count=0))
    assert reactions(one, framed(SELECT)) == [Reaction(ReactionKind.REMOVED)]


def test_slow_reset_delays_the_next_atr_only() -> None:
    one = slot(Fault(FaultAction.SLOW, "POWER", delay_ms=70))
    got = reactions(one, b"\0\1\1\0\1\4\0\1\4")
    assert [r.delay_ms if r else None for r in got] == [None, 70, 0]


def test_repr_shows_no_data() -> None:
    assert repr(Request(None, SELECT)) == "<Request 20 bytes>"
    assert repr(Request(Control.ON)) == "<Request ON>"


class Driver:
    """A driver that listens and writes length and body apart, as vpcd 3.3 does."""

    def __init__(self) -> None:
        self.server: asyncio.Server | None = None
        self.accepted: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = (
            asyncio.Queue()
        )

    async def listen(self) -> int:
        self.server = await asyncio.start_server(
            lambda reader, writer: self.accepted.put_nowait((reader, writer)), "127.0.0.1", 0
        )
        return int(self.server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        assert self.server is not None
        self.server.close()
        await self.server.wait_closed()


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes, *, answers: bool = True
) -> bytes:
    writer.write(len(body).to_bytes(2, "big"))
    await writer.drain()
    writer.write(body)
    await writer.drain()
    if not answers:
        return b""
    return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))


async def test_card_enters_a_driver_that_listens_leaves_and_comes_back() -> None:
    driver, card = Driver(), CardOnWire(make_card(), away_s=0)
    port = await driver.listen()
    await card.connect("127.0.0.1", port)
    reader, writer = await driver.accepted.get()
    assert (await ask(reader, writer, b"\4")).hex() == ATR
    await ask(reader, writer, b"\1", answers=False)
    assert (await ask(reader, writer, b"\4")).hex() == ATR
    await card.seen.wait()
    assert (await ask(reader, writer, SELECT))[-2:] == b"\x90\x00"
    card.remove()
    assert await card.left() is Ending.CARD_LEFT
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()
    await card.connect("127.0.0.1", port)
    reader, writer = await driver.accepted.get()
    assert (await ask(reader, writer, b"\4")).hex() == ATR
    writer.close()
    assert await card.left() is Ending.READER_GONE
    await card.close()
    await driver.close()


async def test_no_driver_is_one_clear_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(CardWireError, match="no virtual reader listens"):
            await CardOnWire(make_card()).connect("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize(
    ("said", "ending"),
    [
        (b"\xff\xff", Ending.NOT_A_READER),
        (b"\x00\x01\x04" * (REQUESTS_WAITING_MAX + 1), Ending.NOT_A_READER),
        (b"\x00\x05\x00", Ending.READER_GONE),
    ],
)
async def test_rubbish_ends_its_connection_and_the_card_serves_the_next(
    said: bytes, ending: Ending
) -> None:
    card = CardOnWire(make_card())
    port = await card.listen("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    writer.write_eof()
    with contextlib.suppress(ConnectionError):
        await reader.read()
    writer.close()
    assert await card.left() is ending
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert (await ask(reader, writer, b"\4")).hex() == ATR
    writer.close()
    await card.close()


async def test_second_reader_waits_until_the_first_has_gone() -> None:
    card = CardOnWire(make_card())
    port = await card.listen("127.0.0.1", 0)
    first = await asyncio.open_connection("127.0.0.1", port)
    assert (await ask(*first, b"\4")).hex() == ATR
    second = await asyncio.open_connection("127.0.0.1", port)
    waiting = asyncio.create_task(ask(*second, b"\4"))
    assert (await ask(*first, b"\4")).hex() == ATR
    assert not waiting.done()
    first[1].close()
    assert (await waiting).hex() == ATR
    second[1].close()
    await card.close()


async def test_mute_card_frees_its_reader_after_its_bound() -> None:
    card = CardOnWire(make_card(), faults=[Fault(FaultAction.MUTE, "SELECT")], mute_ms=20)
    port = await card.listen("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await ask(reader, writer, b"\1", answers=False)
    await ask(reader, writer, SELECT, answers=False)
    assert await card.left() is Ending.MUTE
    writer.close()
    await card.close()


async def test_write_that_is_not_durable_is_not_answered_and_comes_out(tmp_path: Path) -> None:
    gone = tmp_path / "gone" / "card.json"
    card = CardOnWire(make_card(), persist=lambda image: image.save(gone))
    port = await card.listen("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await ask(reader, writer, b"\1", answers=False)
    await ask(reader, writer, bytes.fromhex("00A4040005F053534E0100"))
    await ask(reader, writer, GPO, answers=False)
    with pytest.raises(CardImageError, match="cannot be written"):
        await card.left()
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()
    await card.close()


async def test_unix_socket_is_its_owners_replaces_a_dead_one_and_never_a_live_one(
    tmp_path: Path,
) -> None:
    path = tmp_path / "card.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    card = CardOnWire(make_card())
    await card.listen_unix(path)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(CardWireError, match="cannot listen"):
        await CardOnWire(make_card()).listen_unix(path)
    await card.close()
    assert not path.exists()


def test_answer_that_no_reader_takes_is_refused_with_the_plan() -> None:
    with pytest.raises(FaultPlanError):
        CardOnWire(
            make_card(), faults=[Fault(FaultAction.ANSWER, data=bytes(CARD_BODY_BYTES_MAX + 1))]
        )


def test_answer_frame_is_one_piece() -> None:
    assert answer_frame(b"\x6a\x82").hex() == "00026a82"
