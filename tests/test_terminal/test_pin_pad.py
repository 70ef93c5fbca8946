"""A PIN pad on a serial port: only blocks leave it, and whatever goes wrong is one sentence."""

import asyncio
import random
import secrets
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lumbung.pin_pad.device import CANCEL, CLEAR, ENTER, VirtualPinPad
from lumbung.pin_pad.serving import LineFault, PinPadServer, Typist
from lumbung.system import SystemClock
from protocols import serial_line
from protocols.crypto import tr31
from protocols.crypto.kcv import kcv
from protocols.crypto.pin import decipher_pin_block
from protocols.values import Pan, PinBlock, SecretBytes
from terminal.hands import Hands
from terminal.keystore import SessionKeys
from terminal.limits import PIN_PAD_ENTRY_MS
from terminal.line import LineDownError
from terminal.pin_desk import PinDesk
from terminal.pin_pad import pad as pad_module
from terminal.pin_pad.messages import Answer, Code, Request, Verb, read_answer, read_request
from terminal.pin_pad.pad import SerialPinPad
from terminal.purchase.checks import Refused
from terminal.purchase.table import FlowEvent
from terminal.serial_port import SerialPort

TRANSPORT = SecretBytes(bytes.fromhex("1D22BF32387C600AD97F9B97A51311AC"))
PIN_KEY = SecretBytes(bytes.fromhex("E8BC63E5479455E26577F715D587FE68"))
MAC_KEY = SecretBytes(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
KEYS = SessionKeys("01", MAC_KEY, PIN_KEY)
PAN = Pan("9360099912344821")
CLOCK = SystemClock()


@contextmanager
def table(
    folder: Path, *entries: str, faults: tuple[LineFault, ...] = (), key: SecretBytes = TRANSPORT
) -> Iterator[tuple[SerialPinPad, PinPadServer]]:
    server = PinPadServer(VirtualPinPad(key), CLOCK, folder / "ttyPAD", faults)
    Typist(server, deque(entries), random.Random(20260105))
    terminal = SerialPinPad(SerialPort(server.plug_in()), TRANSPORT, CLOCK, secrets.token_bytes)
    try:
        yield terminal, server
    finally:
        server.unplug()


async def entered(pad: SerialPinPad, keys: SessionKeys = KEYS) -> str | Refused:
    got = await pad.enter_pin(keys, PAN, "Total Rp141.500. PIN")
    return decipher_pin_block(keys.pin, got, PAN) if isinstance(got, PinBlock) else got


async def test_pin_typed_on_the_pad_arrives_as_a_block_under_the_session_key(
    tmp_path: Path,
) -> None:
    with table(tmp_path, "123456", "654321", f"99{CLEAR}111111{ENTER}") as (pad, server):
        assert [await entered(pad) for _ in range(3)] == ["123456", "654321", "111111"]
        other = SessionKeys("02", MAC_KEY, MAC_KEY)
        server.pad.on_asked = lambda: server.press(f"222222{ENTER}")
        assert await entered(pad, other) == "222222"
        assert not server.pad.is_asking


async def test_neither_digits_nor_card_number_nor_key_crosses_the_cable(tmp_path: Path) -> None:
    with table(tmp_path, "483920") as (pad, server):
        seen = bytearray()
        feed, write = server._port._on_data, server._port.write

        def hear(data: bytes) -> None:
            seen.extend(data)
            feed(data)

        def say(data: bytes) -> None:
            seen.extend(data)
            write(data)

        server._port._on_data, server._port.write = hear, say  # type: ignore[method-assign]
        assert await entered(pad) == "483920"
    assert len(seen) > 100
    for secret in ("483920", PAN.reveal(), PIN_KEY.reveal().hex().upper()):
        assert secret.encode() not in seen
    assert PIN_KEY.reveal() not in seen


@pytest.mark.parametrize(
    "wrong", ["123", "12345", "1234567", "1234567890123", ""], ids=["3", "5", "7", "13", "none"]
)
async def test_pin_of_another_length_is_refused_on_the_pad_and_asked_again(
    wrong: str, tmp_path: Path
) -> None:
    with table(tmp_path, f"{wrong}{ENTER}123456{ENTER}") as (pad, _):
        assert await entered(pad) == "123456"
    with table(tmp_path, f"{wrong}{ENTER}" * 3) as (pad, _):
        assert await entered(pad) == Refused("17", "refused.pin_length")


async def test_holder_who_cancels_ends_it(tmp_path: Path) -> None:
    with table(tmp_path, f"12{CANCEL}") as (pad, _):
        assert await entered(pad) == Refused("17", "flow.cancelled")


async def test_pin_not_typed_in_time_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pad_module, "PIN_PAD_ENTRY_MS", 1_000)
    assert PIN_PAD_ENTRY_MS >= 30_000
    with table(tmp_path) as (pad, _):
        assert await entered(pad) == Refused("17", "pin_pad.timeout")


async def test_pad_unplugged_in_the_middle_of_the_entry_is_told_and_works_again(
    tmp_path: Path,
) -> None:
    with table(tmp_path) as (pad, server):
        asking = asyncio.ensure_future(entered(pad))
        server.pad.on_asked = server.unplug
        assert await asking == Refused("17", "pin_pad.lost")
        assert await entered(pad) == Refused("17", "pin_pad.lost")
        server.plug_in()
        server.pad.on_asked = lambda: server.press(f"123456{ENTER}")
        assert await entered(pad) == "123456"


async def test_pad_that_was_switched_off_and_on_gets_its_key_again(tmp_path: Path) -> None:
    with table(tmp_path, "123456", "123456") as (pad, server):
        assert await entered(pad) == "123456"
        server.pad.switch_off()
        assert await entered(pad) == "123456"


async def test_pad_that_holds_another_key_than_it_was_sent_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = VirtualPinPad.take

    def other_key(pad: VirtualPinPad, content: bytes, now_ns: int) -> bytes | None:
        answer = take(pad, content, now_ns)
        return None if answer is None else answer.replace(kcv(PIN_KEY).encode(), b"000000")

    monkeypatch.setattr(VirtualPinPad, "take", other_key)
    with table(tmp_path, "123456") as (pad, _):
        assert await entered(pad) == Refused("17", "pin_pad.refused")


async def test_block_under_keys_that_have_changed_since_is_not_sent(tmp_path: Path) -> None:
    card: Any = SimpleNamespace(
        needs_pin=True, needs_offline_pin=False, context=SimpleNamespace(pan=PAN)
    )
    with table(tmp_path, "123456") as (pad, _):
        desk = PinDesk(card, Hands(pin_pad=pad), lambda: KEYS)
        assert (await desk.ask("PIN", changes=False)).event is FlowEvent.PIN_TAKEN
    assert isinstance(desk.pin, PinBlock)
    assert desk.why_not_send(KEYS) is None
    changed = SessionKeys("02", MAC_KEY, PIN_KEY)
    assert desk.why_not_send(changed) == Refused("17", "pin_pad.no_key")


async def test_chip_that_wants_the_digits_gets_none_from_a_pad() -> None:
    card: Any = SimpleNamespace(needs_pin=True, needs_offline_pin=True)
    pad: Any = object()
    asked = await PinDesk(card, Hands(pin_pad=pad), lambda: KEYS).ask("PIN", changes=False)
    assert (asked.ends, asked.refused) == (True, Refused("17", "pin_pad.offline_pin"))


async def test_answer_to_an_earlier_question_is_looked_past(tmp_path: Path) -> None:
    with table(tmp_path) as (pad, server):
        stale = Answer((pad._number + 50) % 100, Verb.PIN, Code.CANCELLED)

        def asked() -> None:
            server._answer(stale.encode())
            server.press(f"123456{ENTER}")

        server.pad.on_asked = asked
        assert await entered(pad) == "123456"


async def test_port_whose_device_is_gone_says_so_instead_of_giving_nothing(
    tmp_path: Path,
) -> None:
    with table(tmp_path) as (_, server):
        port = SerialPort(str(tmp_path / "ttyPAD"))
        await port.connect()
        server.unplug()
        with pytest.raises(LineDownError, match="gone"):
            await port.receive(timeout_ms=1_000)
        await port.close()


async def test_pad_of_another_transport_key_never_asks(tmp_path: Path) -> None:
    with table(tmp_path, "123456", key=MAC_KEY) as (pad, _):
        assert await entered(pad) == Refused("17", "pin_pad.no_key")


@pytest.mark.parametrize("write", range(1, 9))
@pytest.mark.parametrize("what", ["noise", "lost"])
async def test_cable_that_spoils_one_piece_gives_the_same_block_or_says_so(
    what: str, write: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The waits of the line in their proportions, twenty times as quick.
    quick = {state: wait // 20 for state, wait in serial_line._WAITS_MS.items()}
    monkeypatch.setattr(serial_line, "_WAITS_MS", quick)
    with table(tmp_path, "123456", faults=(LineFault(what, write),)) as (pad, _):
        got = await entered(pad)
    assert got == "123456", f"{what} at write {write}: {got}"


def test_pad_refuses_what_it_cannot_use_by_code() -> None:
    pad = VirtualPinPad(TRANSPORT)

    def asked(verb: Verb, *fields: str) -> Answer | None:
        content = pad.take(Request(7, verb, fields).encode(), 0)
        return read_answer(content) if content is not None else None

    def code(verb: Verb, *fields: str) -> Code:
        answer = asked(verb, *fields)
        assert answer is not None
        return answer.code

    good = ("936009991234", "6", "6", "30", "PIN")
    assert code(Verb.PIN, *good) is Code.NO_KEY
    header = tr31.KeyBlockHeader("B", "M3", "T", "C")
    as_mac = tr31.wrap(TRANSPORT, header, PIN_KEY, secrets.token_bytes)
    assert [code(Verb.KEY), code(Verb.KEY, "rubbish"), code(Verb.KEY, as_mac)] == [
        Code.BAD_REQUEST, Code.BAD_KEY, Code.BAD_KEY,
    ]  # fmt: skip
    block = tr31.wrap(
        TRANSPORT, tr31.KeyBlockHeader("B", "P0", "T", "E"), PIN_KEY, secrets.token_bytes
    )
    loaded = asked(Verb.KEY, block)
    assert loaded is not None
    assert loaded.fields == (kcv(PIN_KEY),)
    for place, wrong in ((0, "12"), (1, "3"), (2, "13"), (3, "0"), (3, "x"), (1, "9")):
        fields = list(good)
        fields[place] = wrong
        assert code(Verb.PIN, *fields) is Code.BAD_REQUEST, (place, wrong)
    assert pad.take(b"\xff\xfe", 0) is None
    assert pad.take(Request(8, Verb.PIN, good).encode(), 0) is None
    assert pad.is_asking
    assert pad.press("A") is None
    late = pad.tick(31 * 10**9)
    assert late is not None
    assert b"11" in late


@pytest.mark.parametrize(
    "content", [b"", b"\x1c", b"7\x1cPIN", b"07\x1cNO", b"\xff", b"07\x1cPIN\x1cZZ"]
)
def test_content_that_is_no_message_is_none(content: bytes) -> None:
    assert read_answer(content) is None
    assert read_request(content) is None or content == b"07\x1cPIN\x1cZZ"
