"""The reader's thread and conversations in it, with tasks instead of cards; no daemon needed."""

import asyncio
import itertools
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from inspect import getgeneratorstate

import pytest

from terminal import pcsc
from terminal.card_channel import CardMuteError, CardRemovedError
from terminal.pcsc import PcscChannel
from terminal.pcsc_thread import Deadline, ReaderThread

NUMBERS = itertools.count()
DRIVE = pcsc._Slot.drive
COMMAND, ANSWER = b"\x00\xb2\x01\x0c\x00", b"\x90\x00"


class Card:
    """A slot whose card answers, waits at a command for a long time, or is gone there."""

    def __init__(self, silent_at: int = 0, gone_at: int = 0) -> None:
        self.silent_at, self.gone_at = silent_at, gone_at
        self.heard: list[bytes] = []
        self.silent, self.speaks = threading.Event(), threading.Event()
        self.released = threading.Event()

    def connect(self) -> bytes:
        return b"\x3b\x60\x00\x00"

    def transmit(self, command: bytes) -> bytes:
        self.heard.append(command)
        if len(self.heard) == self.gone_at:
            raise CardRemovedError
        if len(self.heard) == self.silent_at:
            self.silent.set()
            self.speaks.wait(10)
        return ANSWER

    def drive(self, commands: Generator[bytes, bytes, object], deadline: Deadline) -> object:
        return DRIVE(self, commands, deadline)  # type: ignore[arg-type]

    def disconnect(self) -> None:
        """Hand nothing back."""

    def release(self) -> None:
        self.released.set()


class SlowCard(Card):
    """A card that takes its time for every answer."""

    def transmit(self, command: bytes) -> bytes:
        threading.Event().wait(0.05)
        return super().transmit(command)


Insert = Callable[[Card], Awaitable[PcscChannel]]


@pytest.fixture
def slot_with(monkeypatch: pytest.MonkeyPatch) -> Iterator[Insert]:
    made: list[Card] = []

    async def make(card: Card) -> PcscChannel:
        made.append(card)
        monkeypatch.setattr(pcsc, "_Slot", lambda _reader: card)
        channel = PcscChannel(f"thread {next(NUMBERS)}")
        await channel.connect()
        return channel

    yield make
    for card in made:
        card.speaks.set()


class Talk:
    """A generator of commands that notes its answers and its end."""

    def __init__(self, count: int, fails: Exception | None = None) -> None:
        self.answers: list[bytes] = []
        self.closed = threading.Event()
        self.count, self.fails = count, fails

    def commands(self) -> Generator[bytes, bytes, str]:
        try:
            for _ in range(self.count):
                self.answers.append((yield COMMAND))
            if self.fails is not None:
                raise self.fails
            return "done"
        finally:
            self.closed.set()


async def test_conversation_gives_each_answer_and_the_result(slot_with: Insert) -> None:
    channel, talk = await slot_with(Card()), Talk(5)
    assert await channel.converse(talk.commands(), timeout_ms=2_000) == "done"
    assert talk.answers == [ANSWER] * 5
    assert talk.closed.is_set()


async def test_conversation_that_fails_raises_what_it_raised(slot_with: Insert) -> None:
    channel, talk = await slot_with(Card()), Talk(2, fails=ValueError("odd card"))
    with pytest.raises(ValueError, match="odd card"):
        await channel.converse(talk.commands(), timeout_ms=2_000)
    assert await channel.transmit(COMMAND, timeout_ms=2_000) == ANSWER


async def test_conversation_ends_where_the_card_goes(slot_with: Insert) -> None:
    card, talk = Card(gone_at=3), Talk(5)
    channel = await slot_with(card)
    with pytest.raises(CardRemovedError):
        await channel.converse(talk.commands(), timeout_ms=2_000)
    assert talk.closed.is_set()
    assert (len(card.heard), len(talk.answers)) == (3, 2)


async def test_conversation_without_a_card_is_closed_and_refused() -> None:
    talk = Talk(1)
    commands = talk.commands()
    with pytest.raises(CardRemovedError):
        await PcscChannel("nobody").converse(commands, timeout_ms=1)
    assert getgeneratorstate(commands) == "GEN_CLOSED"


@pytest.mark.parametrize("silent_at", [1, 3])
async def test_card_silent_in_a_conversation_is_mute_and_hears_nothing_more(
    silent_at: int, slot_with: Insert
) -> None:
    card, talk = Card(silent_at=silent_at), Talk(5)
    channel = await slot_with(card)
    with pytest.raises(CardMuteError):
        await channel.converse(talk.commands(), timeout_ms=40)
    with pytest.raises(CardRemovedError):
        await channel.transmit(COMMAND, timeout_ms=40)
    card.speaks.set()  # too late: nobody waits any more
    assert await asyncio.to_thread(card.released.wait, 5)
    assert len(card.heard) == silent_at
    assert talk.closed.is_set()


@pytest.mark.slow
async def test_deadline_is_each_commands_own(slot_with: Insert) -> None:
    channel, talk = await slot_with(SlowCard()), Talk(12)
    begin = time.monotonic()
    assert await channel.converse(talk.commands(), timeout_ms=500) == "done"
    assert time.monotonic() - begin > 0.5


async def test_cancelled_conversation_goes_no_further(slot_with: Insert) -> None:
    card, talk = Card(silent_at=2), Talk(5)
    channel = await slot_with(card)
    caller = asyncio.create_task(channel.converse(talk.commands(), timeout_ms=10_000))
    assert await asyncio.to_thread(card.silent.wait, 5)
    caller.cancel()
    await asyncio.wait([caller], timeout=1)
    assert caller.cancelled()
    card.speaks.set()
    assert await asyncio.to_thread(card.released.wait, 5)
    assert len(card.heard) == 2
    assert talk.closed.is_set()


async def test_thread_answers_in_order_and_ends_when_it_is_told() -> None:
    released = threading.Event()
    thread = ReaderThread(f"thread {next(NUMBERS)}", released.set)
    numbers = iter(range(5))
    assert [await thread.call(lambda _: next(numbers), 2_000) for _ in range(5)] == [*range(5)]
    thread.end()
    assert await asyncio.to_thread(released.wait, 5)
