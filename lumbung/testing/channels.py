"""What every `CardChannel` keeps, as checks that run over any implementation.

A check takes a `SlotMaker`: it makes a slot with a virtual SSN card, with the faults that the
check asks for, behind the channel under test. `CHECKS` names them all; each raises AssertionError
when the channel breaks its interface (`terminal.card_channel`). Usage, with any test runner:

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    async def test_my_channel(check):
        await check(my_slot_maker)
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Protocol

from cardsim.faults import Fault, FaultAction
from terminal.card_channel import CardChannel, CardEvent, CardMuteError, CardRemovedError

#: The card that a slot maker puts in answers this: T=1, `cardsim/profiles/ssn.toml`.
ATR = bytes.fromhex("3BE000008131FE45EB")
WRONG_CHECK_ATR = bytes.fromhex("3BE000008131FE45EA")
SELECT = bytes.fromhex("00A404000E315041592E5359532E444446303100")
READ_RECORD = bytes.fromhex("00B2010C00")
#: What the interface allows beyond a deadline.
SLACK_MS = 50
_TIMEOUT_MS = 2_000
#: A reader that looks for cards every 0.4 s has seen one, or missed one, by then.
_NOTICED_S = 5.0
_LOOK_S = 0.02
#: A busy machine adds delays of its own, so the best of a few is taken.
_TRIES = 3


class SlotUnderTest(Protocol):
    """A slot with a virtual card, and the hand that moves the card."""

    @property
    def channel(self) -> CardChannel:
        """Give the channel to the slot."""

    async def remove(self) -> None:
        """Take the card out."""

    async def insert(self) -> None:
        """Put the card back."""


#: Makes a slot with faults; the card is in it at first.
SlotMaker = Callable[[tuple[Fault, ...]], AbstractAsyncContextManager[SlotUnderTest]]
Check = Callable[[SlotMaker], Awaitable[None]]


async def connected(slot: SlotUnderTest) -> bytes:
    """Give the ATR once the reader has noticed the card; raise CardRemovedError if it never does.

    A reader looks at its slot now and then, so a card that was just put in may not be seen yet.
    """
    deadline = time.monotonic() + _NOTICED_S
    while True:
        try:
            return await slot.channel.connect()
        except CardRemovedError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(_LOOK_S)


async def _fails(slot: SlotUnderTest, error: type[Exception], command: bytes = SELECT) -> None:
    try:
        await slot.channel.transmit(command, timeout_ms=_TIMEOUT_MS)
    except error:
        return
    raise AssertionError(f"no {error.__name__}")


async def _nothing_to_connect(slot: SlotUnderTest) -> None:
    """Wait until the reader knows that the slot is empty."""
    deadline = time.monotonic() + _NOTICED_S
    while time.monotonic() < deadline:
        try:
            await slot.channel.connect()
        except CardRemovedError:
            return
        await asyncio.sleep(_LOOK_S)
    raise AssertionError("an empty slot still gives an ATR")


async def connect_gives_the_atr(make: SlotMaker) -> None:
    """Connect and reset give the card's ATR."""
    async with make(()) as slot:
        assert await connected(slot) == ATR
        assert await slot.channel.reset() == ATR


async def transmit_gives_answer_and_status(make: SlotMaker) -> None:
    """An answer comes whole, with its status word at the end."""
    async with make(()) as slot:
        await connected(slot)
        answer = await slot.channel.transmit(SELECT, timeout_ms=_TIMEOUT_MS)
        assert answer[:1] == b"\x6f"
        assert answer[-2:] == b"\x90\x00"


async def longest_command_and_longest_answer_pass_unaltered(make: SlotMaker) -> None:
    """261 bytes go in; an answer that is too long comes out as it is: who reads it decides."""
    longest = bytes.fromhex("80A80000FF") + bytes(255) + b"\x00"
    data = bytes(300) + b"\x90\x00"
    async with make((Fault(FaultAction.ANSWER, "SELECT", data=data),)) as slot:
        await connected(slot)
        assert len(await slot.channel.transmit(longest, timeout_ms=_TIMEOUT_MS)) == 2
        assert await slot.channel.transmit(SELECT, timeout_ms=_TIMEOUT_MS) == data


async def reset_and_reconnect_forget_the_selection(make: SlotMaker) -> None:
    """Nothing volatile survives a warm reset, nor power off and on."""
    async with make(()) as slot:
        await connected(slot)
        for again in (slot.channel.reset, slot.channel.connect):
            await slot.channel.transmit(SELECT, timeout_ms=_TIMEOUT_MS)
            answer = await slot.channel.transmit(READ_RECORD, timeout_ms=_TIMEOUT_MS)
            assert answer[-2:] == b"\x90\x00"
            await again()
            answer = await slot.channel.transmit(READ_RECORD, timeout_ms=_TIMEOUT_MS)
            assert answer[-2:] == b"\x69\x85"


async def disconnect_is_idempotent_and_powers_down(make: SlotMaker) -> None:
    """After disconnect, twice, nothing can be sent until the card is connected again."""
    async with make(()) as slot:
        await slot.channel.disconnect()
        await connected(slot)
        await slot.channel.disconnect()
        await slot.channel.disconnect()
        await _fails(slot, CardRemovedError)
        assert await connected(slot) == ATR


async def empty_slot_is_a_removed_card(make: SlotMaker) -> None:
    """Without a card, connect raises CardRemovedError; with it again, it works."""
    async with make(()) as slot:
        await connected(slot)
        await slot.remove()
        await _fails(slot, CardRemovedError)
        await _nothing_to_connect(slot)
        await slot.channel.disconnect()
        await slot.insert()
        assert await connected(slot) == ATR


async def torn_card_is_removed_and_works_when_put_back(make: SlotMaker) -> None:
    """A card torn before or after a command raises CardRemovedError, and is none until put back."""
    for action in (FaultAction.TORN_BEFORE, FaultAction.TORN_AFTER):
        async with make((Fault(action, "SELECT"),)) as slot:
            await connected(slot)
            await _fails(slot, CardRemovedError)
            await _nothing_to_connect(slot)
            await slot.insert()
            await connected(slot)
            answer = await slot.channel.transmit(SELECT, timeout_ms=_TIMEOUT_MS)
            assert answer[-2:] == b"\x90\x00"


async def answer_without_status_is_a_removed_card(make: SlotMaker) -> None:
    """An answer of no byte or one byte never reaches the caller."""
    for count in (0, 1):
        async with make((Fault(FaultAction.TRUNCATE, "SELECT", count=count),)) as slot:
            await connected(slot)
            await _fails(slot, CardRemovedError)
            await _fails(slot, CardRemovedError)


async def mute_card_holds_no_longer_than_the_deadline(make: SlotMaker) -> None:
    """CardMuteError comes between the deadline and 50 ms after it."""
    await _is_mute_within(make, Fault(FaultAction.MUTE, "SELECT"), timeout_ms=100)


async def slow_card_is_waited_for_until_the_deadline(make: SlotMaker) -> None:
    """An answer before the deadline is given, one after it is silence."""
    async with make((Fault(FaultAction.SLOW, "SELECT", delay_ms=100),)) as slot:
        await connected(slot)
        begin = time.monotonic()
        answer = await slot.channel.transmit(SELECT, timeout_ms=_TIMEOUT_MS)
        assert answer[-2:] == b"\x90\x00"
        assert time.monotonic() - begin >= 0.095
    await _is_mute_within(make, Fault(FaultAction.SLOW, "SELECT", delay_ms=400), timeout_ms=100)


async def _is_mute_within(make: SlotMaker, fault: Fault, *, timeout_ms: int) -> None:
    held_ms = []
    for _ in range(_TRIES):
        async with make((fault,)) as slot:
            await connected(slot)
            begin = time.monotonic()
            try:
                await slot.channel.transmit(SELECT, timeout_ms=timeout_ms)
            except CardMuteError:
                held_ms.append((time.monotonic() - begin) * 1000)
            else:
                raise AssertionError("a mute card gave an answer")
        if timeout_ms - 1 <= held_ms[-1] <= timeout_ms + SLACK_MS:
            return
    raise AssertionError(f"held for {held_ms} ms at a deadline of {timeout_ms} ms")


async def wrong_atr_reaches_the_caller(make: SlotMaker) -> None:
    """An ATR with a wrong check byte is given as it is: the rules for ATRs are the caller's."""
    fault = Fault(FaultAction.ANSWER, "POWER", every=True, data=WRONG_CHECK_ATR)
    async with make((fault,)) as slot:
        assert await connected(slot) == WRONG_CHECK_ATR
        assert await slot.channel.reset() == WRONG_CHECK_ATR


async def atr_below_two_bytes_is_no_card(make: SlotMaker) -> None:
    """No ATR, or one byte of it, is a slot without a card."""
    for data in (b"", b"\x3b"):
        async with make((Fault(FaultAction.ANSWER, "POWER", every=True, data=data),)) as slot:
            await _nothing_to_connect(slot)


async def events_tell_insertion_and_removal_in_order(make: SlotMaker) -> None:
    """A card that is there is the first event; then each removal and insertion."""
    async with make(()) as slot, aclosing(slot.channel.events()) as events:  # type: ignore[type-var]

        async def following() -> CardEvent:
            async with asyncio.timeout(_NOTICED_S):
                return await anext(events)

        assert await following() is CardEvent.INSERTED
        await slot.remove()
        assert await following() is CardEvent.REMOVED
        await slot.insert()
        assert await following() is CardEvent.INSERTED


CHECKS: tuple[Check, ...] = (
    connect_gives_the_atr,
    transmit_gives_answer_and_status,
    longest_command_and_longest_answer_pass_unaltered,
    reset_and_reconnect_forget_the_selection,
    disconnect_is_idempotent_and_powers_down,
    empty_slot_is_a_removed_card,
    torn_card_is_removed_and_works_when_put_back,
    answer_without_status_is_a_removed_card,
    mute_card_holds_no_longer_than_the_deadline,
    slow_card_is_waited_for_until_the_deadline,
    wrong_atr_reaches_the_caller,
    atr_below_two_bytes_is_no_card,
    events_tell_insertion_and_removal_in_order,
)
