"""Fixtures of the terminal's tests: the scripted host, its card, the whole terminal."""

import datetime
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from cardsim import Card, CardImage, personalise
from cardsim.channel import InProcessChannel
from protocols.values import Pan, SecretBytes
from terminal.configuration import TerminalConfig
from terminal.device import Terminal
from terminal.host.events import ChipRequest, HostProfile
from terminal.keystore import TerminalKeys
from tests.terminal_desk import Desk
from tests.terminal_kit import (
    CARD_KEY,
    PAN,
    PROFILE,
    TMK,
    TRACK,
    CounterBytes,
    ScriptedHost,
    StoryClock,
)
from tests.terminal_lines import HostServer, RealMonotonic, StoryLine


@pytest.fixture
def clock() -> StoryClock:
    return StoryClock()


@pytest.fixture
def host() -> ScriptedHost:
    return ScriptedHost()


@pytest.fixture
def random_bytes() -> CounterBytes:
    return CounterBytes()


@pytest.fixture
def tmk() -> SecretBytes:
    return TMK


@pytest.fixture
def profile() -> HostProfile:
    return PROFILE


@pytest.fixture
def chip_request() -> Callable[..., ChipRequest]:
    """Give a function that makes the request of a card."""

    def make(amount_sen: int = 14_150_000, pin: str | None = "123456") -> ChipRequest:
        return ChipRequest(
            amount_sen=amount_sen,
            pan=PAN,
            track2=TRACK,
            psn="01",
            de55={"9F26": bytes(8), "9F36": b"\x00\x01", "9F02": bytes(6)},
            pin=None if pin is None else SecretBytes(pin.encode()),
        )

    return make


@pytest_asyncio.fixture
async def story_line(server: HostServer) -> StoryLine:
    return StoryLine(server)


@pytest_asyncio.fixture
async def server(host: ScriptedHost) -> AsyncIterator[HostServer]:
    made = HostServer(host)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def card_image() -> Callable[..., CardImage]:
    """Give a function that personalises a card of the scripted host."""

    def make(pan: str = PAN.reveal(), expiry: datetime.date | None = None) -> CardImage:
        return personalise(
            "ssn",
            pan=Pan(pan),
            expiry=expiry or datetime.date(2030, 12, 31),
            psn="01",
            name="KARTU UJI",
            udk_ac=CARD_KEY,
            random_bytes=CounterBytes(),
        )

    return make


@pytest.fixture
def slot(
    card_image: Callable[..., CardImage], clock: StoryClock, random_bytes: CounterBytes
) -> InProcessChannel:
    """Give a slot with the scripted host's card in it."""
    return InProcessChannel(Card(card_image(), clock, random_bytes))


# The whole terminal


@pytest.fixture
def pin_of() -> Callable[..., Callable[[], Awaitable[str]]]:
    """Give a function that makes a PIN pad which types these, one per question."""

    def make(*entries: str) -> Callable[[], Awaitable[str]]:
        left = list(entries)

        async def entry() -> str:
            return left.pop(0)

        return entry

    return make


@pytest.fixture
def config(tmp_path: Path, tmk: SecretBytes) -> TerminalConfig:
    return TerminalConfig(
        terminal_id="12400017",
        merchant_id="EWSMR0000000017",
        host="127.0.0.1",
        port=0,
        data_directory=tmp_path / "terminal",
        storage_key=SecretBytes(bytes(range(32))),
        tmk=tmk,
        timeout_ms=30_000,
        shop_name="E-WARONG BERKAH SEMPAJA",
        shop_place="KEL. SEMPAJA SELATAN",
        help_line="0541-7777777",
        refund_needs_supervisor=False,
    )


@pytest_asyncio.fixture
async def open_terminal(
    config: TerminalConfig,
    server: HostServer,
    story_line: StoryLine,
    clock: StoryClock,
    random_bytes: CounterBytes,
) -> AsyncIterator[Callable[..., Terminal]]:
    """Give a function that opens the terminal on its directory; `line=None` is plain TCP."""
    opened: list[Terminal] = []

    def make(**changes: Any) -> Terminal:
        line = changes.pop("line", story_line)
        settings = replace(config, port=server.port, **changes)
        made = Terminal(settings, clock=RealMonotonic(clock), random_bytes=random_bytes, line=line)
        opened.append(made)
        return made

    yield make
    for terminal in opened:
        await terminal.close()


@pytest_asyncio.fixture
async def terminal(open_terminal: Callable[..., Terminal]) -> Terminal:
    """Give a terminal that is logged on."""
    made = open_terminal()
    assert await made.log_on() == "00"
    return made


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
