"""The PC/SC channel over a real daemon, a real driver and pyscard, with virtual cards."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from cardsim.faults import Fault, FaultAction
from cardsim.field import CONTACTLESS_ATR, serial_number
from lumbung.pcsc import READERS_MAX, PrivatePcscd
from lumbung.testing.channels import CHECKS, SELECT, Check, SlotMaker, connected
from terminal.card_channel import CardMuteError, CardRemovedError
from terminal.card_link import CardLink
from terminal.kernel import CompletionKind, KernelOutcome, OutcomeKind
from terminal.pcsc import PcscChannel
from terminal.pcsc_system import ReaderUnknownError, find_reader, reader_names
from tests.card_kit import PAN, TERMINAL, expected_arqc, issuer_answer, purchase
from tests.slot_kit import PcscReaders, PcscSlot

pytestmark = [pytest.mark.service, pytest.mark.asyncio(loop_scope="module")]
TIMEOUT_MS = 2_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def readers(need: Callable[[str], None], pcsc_folder: Path) -> AsyncIterator[PcscReaders]:
    need("pcsc")
    async with PrivatePcscd(READERS_MAX, pcsc_folder) as daemon:
        yield PcscReaders(daemon)
    shutil.rmtree(pcsc_folder)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def conformance(readers: PcscReaders) -> dict[str, BaseException | None]:
    """Run all checks at once, each in readers of its own: a reader looks only every 0.4 s."""
    make: SlotMaker = readers.slot
    runs: list[Awaitable[None]] = [check(make) for check in CHECKS if "mute" not in name_of(check)]
    results = await asyncio.gather(*runs, return_exceptions=True)
    names = [name_of(check) for check in CHECKS if "mute" not in name_of(check)]
    return dict(zip(names, results, strict=True))


def name_of(check: Check) -> str:
    return str(check.__name__)  # type: ignore[attr-defined]


@pytest.mark.parametrize("check", CHECKS, ids=name_of)
async def test_pcsc_channel_keeps_the_interface(
    check: Check, conformance: dict[str, BaseException | None], readers: PcscReaders
) -> None:
    if name_of(check) not in conformance:
        await check(readers.slot)  # it measures time: not beside a dozen others
        return
    failure = conformance[name_of(check)]
    if failure is not None:
        raise failure


async def sell(slot: PcscSlot) -> tuple[KernelOutcome, Any, list[str]]:
    lines: list[str] = []
    link = CardLink(slot.channel, trace=lambda sent, got: lines.extend((sent, got)))
    outcome = await link.start(TERMINAL, purchase())
    assert outcome.kind is OutcomeKind.ONLINE, outcome
    assert outcome.context is not None
    completion = await link.complete(outcome.context, "00", issuer_answer(outcome.de55))
    await link.close()
    return outcome, completion, lines


@pytest.mark.parametrize("profile", ["ssn", "nsiccs-debit"])
async def test_whole_purchase_over_pcsc_is_approved_with_a_genuine_cryptogram(
    profile: str, readers: PcscReaders
) -> None:
    async with readers.slot((), profile=profile) as slot:
        await connected(slot)
        outcome, completion, lines = await sell(slot)
    assert outcome.de55["9F26"] == expected_arqc(outcome.de55)
    assert completion.kind is CompletionKind.APPROVED
    text = "\n".join(lines)
    assert PAN.reveal() not in text
    assert ("00C00000" in text) == (profile == "nsiccs-debit")


async def test_tap_over_a_contactless_reader_is_approved_and_the_reader_tells_the_serial_number(
    readers: PcscReaders,
) -> None:
    async with readers.slot((), contactless=True) as slot:
        assert await connected(slot) == CONTACTLESS_ATR
        number = await slot.channel.transmit(bytes.fromhex("FFCA000000"), timeout_ms=TIMEOUT_MS)
        assert number == serial_number(slot.card.layer.card.image) + b"\x90\x00"
        outcome, completion, lines = await sell(slot)
        assert outcome.de55["9F26"] == expected_arqc(outcome.de55)
        assert completion.kind is CompletionKind.APPROVED
        assert completion.reason.code == "approved-tap"
        assert not [line for line in lines if line.startswith("80AE")]


async def test_two_readers_hold_two_cards_that_sell_at_once(readers: PcscReaders) -> None:
    async with readers.slot(()) as first, readers.slot(()) as second:
        assert first.channel.reader != second.channel.reader
        await asyncio.gather(connected(first), connected(second))
        one, two = await asyncio.gather(sell(first), sell(second))
        assert one[1].kind is two[1].kind is CompletionKind.APPROVED
        first.card.remove()
        assert (await sell(second))[0].de55["9F36"].hex() == "0002"


FAILURES = {
    OutcomeKind.CARD_REMOVED: Fault(FaultAction.TORN_AFTER, "GENERATE_AC"),
    OutcomeKind.CARD_MUTE: Fault(FaultAction.MUTE, "GENERATE_AC"),
    OutcomeKind.CARD_ERROR: Fault(
        FaultAction.ANSWER, "POWER", every=True, data=bytes.fromhex("3BE000008131FE55FB")
    ),
}


async def test_card_that_fails_gives_its_outcome_and_sells_when_put_back(
    readers: PcscReaders,
) -> None:
    # All at once: what takes time is the daemon's look at its slots.
    await asyncio.gather(*(fails_and_sells(kind, readers) for kind in FAILURES))


async def fails_and_sells(kind: OutcomeKind, readers: PcscReaders) -> None:
    async with readers.slot((FAILURES[kind],)) as slot:
        await connected(slot)
        link = CardLink(slot.channel, timeout_ms=100)
        assert (await link.start(TERMINAL, purchase())).kind is kind
        await link.close()
        if kind is OutcomeKind.CARD_ERROR:
            return
        slot.card.remove()
        await slot.card.left()
        await slot.insert()
        await patiently(slot)
        outcome, completion, _ = await sell(slot)
        assert completion.kind is CompletionKind.APPROVED
        assert int(outcome.de55["9F36"].hex(), 16) == 2  # the counter went on over the failure


async def patiently(slot: PcscSlot) -> None:
    """Connect once the thread that waited for the mute card has let the reader go."""
    deadline = time.monotonic() + 5
    while True:
        try:
            await connected(slot)
        except CardMuteError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        else:
            return


async def test_apdu_waits_for_no_delayed_acknowledgement(readers: PcscReaders) -> None:
    took_s = []
    async with readers.slot(()) as slot:
        await connected(slot)
        for _ in range(5):
            begin = time.monotonic()
            for _ in range(10):
                await slot.channel.transmit(SELECT, timeout_ms=TIMEOUT_MS)
            took_s.append(time.monotonic() - begin)
    # Without the card's quick acknowledgement the driver takes 44 ms for each: 0.44 s.
    assert min(took_s) < 0.2


async def test_mute_reader_is_bad_at_once_and_others_work_on(readers: PcscReaders) -> None:
    async with readers.slot((Fault(FaultAction.MUTE, "SELECT"),)) as mute, readers.slot(()) as fit:
        await connected(mute)
        await connected(fit)
        with pytest.raises(CardMuteError):
            await mute.channel.transmit(SELECT, timeout_ms=50)
        with pytest.raises(CardRemovedError):
            await mute.channel.transmit(SELECT, timeout_ms=50)
        begin = time.monotonic()
        with pytest.raises(CardMuteError):
            await PcscChannel(mute.channel.reader).connect()
        assert time.monotonic() - begin < 0.05
        answer = await fit.channel.transmit(SELECT, timeout_ms=TIMEOUT_MS)
        assert answer[-2:] == b"\x90\x00"


async def test_cancelled_caller_leaves_a_channel_that_works_once_the_card_is_heard(
    readers: PcscReaders,
) -> None:
    async with readers.slot((Fault(FaultAction.SLOW, "SELECT", delay_ms=100),)) as slot:
        await connected(slot)
        caller = asyncio.create_task(slot.channel.transmit(SELECT, timeout_ms=TIMEOUT_MS))
        await asyncio.sleep(0)
        caller.cancel()
        await asyncio.wait([caller])
        with pytest.raises(CardMuteError):
            await slot.channel.connect()
        await patiently(slot)
        answer = await slot.channel.transmit(SELECT, timeout_ms=TIMEOUT_MS)
        assert answer[-2:] == b"\x90\x00"


async def test_card_given_back_loses_its_power_at_once(readers: PcscReaders) -> None:
    """Left powered, it would keep its power for the daemon's own grace, 0.8 s with 1.9.9."""
    async with readers.slot(()) as slot:
        await connected(slot)
        await slot.channel.transmit(SELECT, timeout_ms=TIMEOUT_MS)
        assert slot.card.layer.card.powered
        await slot.channel.disconnect()
        deadline = time.monotonic() + 0.4
        while slot.card.layer.card.powered:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.005)


async def test_card_held_by_one_channel_is_not_there_for_another(readers: PcscReaders) -> None:
    async with readers.slot(()) as slot:
        await connected(slot)
        other = PcscChannel(slot.channel.reader)
        with pytest.raises(CardRemovedError):
            await other.transmit(SELECT, timeout_ms=TIMEOUT_MS)
        await other.close()
        answer = await slot.channel.transmit(SELECT, timeout_ms=TIMEOUT_MS)
        assert answer[-2:] == b"\x90\x00"


async def test_readers_are_found_by_name_or_its_beginning(readers: PcscReaders) -> None:
    name = readers.daemon.reader_names[5]
    assert set(reader_names()) == set(readers.daemon.reader_names)
    assert find_reader(name) == name
    assert PcscChannel.open(name).reader == name
    with pytest.raises(ReaderUnknownError, match="more than one"):
        find_reader(name[:-1])
    with pytest.raises(ReaderUnknownError, match="no reader"):
        find_reader("Other")
    with pytest.raises(CardRemovedError):
        await PcscChannel("Other 00 00").connect()


async def test_events_of_a_reader_that_is_not_there_wait(readers: PcscReaders) -> None:
    async with aclosing(PcscChannel("Other 00 00").events()) as events:  # type: ignore[type-var]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(events)
