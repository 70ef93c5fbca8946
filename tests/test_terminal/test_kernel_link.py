"""The card link over a channel: protocols, deadlines, bounds, masked trace, outcomes."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest

from cardsim.channel import InProcessChannel
from cardsim.faults import Fault, FaultAction
from protocols.emv import commands
from protocols.emv.apdu import CommandApdu
from terminal.card_channel import CardChannel, CardEvent, CardMuteError, CardRemovedError
from terminal.card_link import T0_ROUNDS, CardLink, CardLinkError
from terminal.kernel import CompletionKind, KernelContext, KernelOutcome, OutcomeKind
from tests.card_kit import (
    PAN,
    TERMINAL,
    application,
    issuer_answer,
    make_card,
    make_image,
    purchase,
)

TIMEOUT_MS = 10
#: What the interface allows beyond the deadline.
SLACK_MS = 50


def slot(*faults: Fault, profile: str = "ssn") -> InProcessChannel:
    return InProcessChannel(make_card(make_image(profile)), faults=faults)


def context_of(outcome: KernelOutcome) -> KernelContext:
    assert outcome.context is not None
    return outcome.context


@pytest.mark.parametrize("profile", ["ssn", "nsiccs-debit"])
async def test_purchase_over_the_channel_is_approved_and_its_trace_is_masked(profile: str) -> None:
    channel = slot(profile=profile)
    lines: list[str] = []
    as_card_channel: CardChannel = channel
    link = CardLink(as_card_channel, trace=lambda sent, got: lines.extend((sent, got)))
    outcome = await link.start(TERMINAL, purchase())
    assert outcome.kind is OutcomeKind.ONLINE
    completion = await link.complete(context_of(outcome), "00", issuer_answer(outcome.de55), ())
    assert completion.kind is CompletionKind.APPROVED
    await link.close()
    text = "\n".join([*lines, channel.trace.text()])
    assert "9F26=" in text
    assert PAN.reveal() not in text
    assert "53495449" not in text  # "SITI" in hex
    assert ("61" in text and "00C00000" in text) == (profile == "nsiccs-debit")


@pytest.mark.parametrize("command", ["SELECT", "GET_PROCESSING_OPTIONS", "GENERATE_AC"])
@pytest.mark.parametrize(
    ("action", "kind"),
    [
        (FaultAction.MUTE, OutcomeKind.CARD_MUTE),
        (FaultAction.TORN_BEFORE, OutcomeKind.CARD_REMOVED),
        (FaultAction.TORN_AFTER, OutcomeKind.CARD_REMOVED),
    ],
)
async def test_card_that_fails_at_a_command_gives_an_outcome(
    command: str, action: FaultAction, kind: OutcomeKind
) -> None:
    link = CardLink(slot(Fault(action, command)), timeout_ms=TIMEOUT_MS)
    outcome = await link.start(TERMINAL, purchase())
    assert outcome.kind is kind
    assert outcome.context is None


@pytest.mark.parametrize(
    "fault",
    [
        Fault(FaultAction.MUTE, "SELECT", every=True),
        Fault(FaultAction.SLOW, "SELECT", every=True, delay_ms=10_000),
    ],
)
async def test_mute_card_holds_the_caller_no_longer_than_its_deadline(fault: Fault) -> None:
    held_ms = []
    for _ in range(3):  # the best of three: a busy machine may add its own delays
        channel = slot(fault)
        await channel.connect()
        begin = time.monotonic()
        with pytest.raises(CardMuteError):
            await channel.transmit(
                commands.select(commands.PSE_NAME).encoded(), timeout_ms=TIMEOUT_MS
            )
        held_ms.append((time.monotonic() - begin) * 1000)
    assert TIMEOUT_MS - 1 <= min(held_ms) <= TIMEOUT_MS + SLACK_MS


async def test_card_slower_than_the_deadline_is_mute_and_a_quick_one_is_waited_for() -> None:
    slow = CardLink(
        slot(Fault(FaultAction.SLOW, "GENERATE_AC", delay_ms=TIMEOUT_MS + 1)),
        timeout_ms=TIMEOUT_MS,
    )
    assert (await slow.start(TERMINAL, purchase())).kind is OutcomeKind.CARD_MUTE
    quick = CardLink(
        slot(Fault(FaultAction.SLOW, "GENERATE_AC", delay_ms=5)), timeout_ms=TIMEOUT_MS
    )
    assert (await quick.start(TERMINAL, purchase())).kind is OutcomeKind.ONLINE


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(FaultAction.MUTE, "GENERATE_AC", 2), CompletionKind.CARD_MUTE),
        (Fault(FaultAction.TORN_BEFORE, "EXTERNAL_AUTHENTICATE"), CompletionKind.CARD_REMOVED),
        (Fault(FaultAction.TORN_AFTER, "GENERATE_AC", 2), CompletionKind.CARD_REMOVED),
        (Fault(FaultAction.ANSWER, "GENERATE_AC", 2, data=b"\x90"), CompletionKind.CARD_REMOVED),
        (Fault(FaultAction.ANSWER, "GENERATE_AC", 2, data=bytes(300)), CompletionKind.CARD_ERROR),
        (Fault(FaultAction.STATUS, "GENERATE_AC", 2, status_word=0x6F00),
         CompletionKind.CARD_ERROR),
    ],
)  # fmt: skip
async def test_card_that_fails_after_the_host_approved_asks_for_a_reversal(
    fault: Fault, kind: CompletionKind
) -> None:
    link = CardLink(slot(fault), timeout_ms=TIMEOUT_MS)
    outcome = await link.start(TERMINAL, purchase())
    completion = await link.complete(context_of(outcome), "00", issuer_answer(outcome.de55))
    assert completion.kind is kind
    assert completion.must_reverse


async def test_host_unreachable_or_no_pin_ends_the_cards_transaction_without_reversal() -> None:
    for finish in ("complete_without_host", "give_up"):
        channel = slot()
        link = CardLink(channel)
        outcome = await link.start(TERMINAL, purchase())
        completion = await getattr(link, finish)(context_of(outcome))
        assert completion.kind is CompletionKind.DECLINED
        assert not completion.must_reverse
        assert not application(channel.card).state.online_pending


@pytest.mark.parametrize("length", [0, 1])
async def test_answer_shorter_than_its_status_is_a_removed_card(length: int) -> None:
    channel = slot(Fault(FaultAction.TRUNCATE, "SELECT", 2, count=length))
    outcome = await CardLink(channel).start(TERMINAL, purchase())
    assert outcome.kind is OutcomeKind.CARD_REMOVED
    assert not channel.inserted


async def test_card_put_back_after_a_tear_works_and_its_counter_advanced() -> None:
    channel = slot(Fault(FaultAction.TORN_AFTER, "GENERATE_AC"))
    link = CardLink(channel)
    assert (await link.start(TERMINAL, purchase())).kind is OutcomeKind.CARD_REMOVED
    assert (await link.start(TERMINAL, purchase())).kind is OutcomeKind.CARD_REMOVED
    channel.insert()
    outcome = await link.start(TERMINAL, purchase())
    assert outcome.kind is OutcomeKind.ONLINE
    assert outcome.de55["9F36"].hex() == "0002"
    assert outcome.de55["9F10"][3] & 0x01  # last online transaction not completed


@pytest.mark.parametrize("atr", ["", "FF", "3BE000008131FE55FB"])
async def test_answer_to_reset_that_emv_rejects_gives_an_outcome_after_a_warm_reset(
    atr: str,
) -> None:
    fault = Fault(FaultAction.ANSWER, "POWER", every=True, data=bytes.fromhex(atr))
    outcome = await CardLink(slot(fault)).start(TERMINAL, purchase())
    removed = len(atr) < 4  # readers report no card for less than two bytes
    expected = OutcomeKind.CARD_REMOVED if removed else OutcomeKind.CARD_ERROR
    assert outcome.kind is expected
    assert outcome.reason.code == ("card-removed" if removed else "atr-rejected")


async def test_bad_cold_atr_and_good_warm_atr_is_accepted() -> None:
    fault = Fault(FaultAction.ANSWER, "POWER", data=bytes.fromhex("3BE000008131FE45EA"))
    assert (await CardLink(slot(fault)).start(TERMINAL, purchase())).kind is OutcomeKind.ONLINE


class ScriptedChannel:
    """Answers what a function says, on T=0."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self.answer = answer
        self.sent: list[bytes] = []

    async def connect(self) -> bytes:
        return bytes.fromhex("3B600000")

    async def transmit(self, command: bytes, *, timeout_ms: int) -> bytes:
        assert timeout_ms > 0
        self.sent.append(command)
        return self.answer(command)

    async def reset(self) -> bytes:
        return await self.connect()

    async def disconnect(self) -> None:
        return None

    async def events(self) -> AsyncIterator[CardEvent]:
        yield CardEvent.INSERTED


@pytest.mark.parametrize("answer", ["6101", "6C01"])
async def test_t0_exchange_without_end_stops_at_its_bound(answer: str) -> None:
    channel = ScriptedChannel(lambda _command: bytes.fromhex(answer))
    link = CardLink(channel)
    await link.open()
    with pytest.raises(CardLinkError, match="answers to one command"):
        await link.exchange(commands.read_record(1, 1))
    assert len(channel.sent) == T0_ROUNDS + 1


@pytest.mark.parametrize(
    ("answers", "sw", "data"),
    [
        (["9000"], 0x9000, ""),
        (["6103", "0102039000"], 0x9000, "010203"),
        (["6100", "6C02", "01029000"], 0x9000, "0102"),
        (["6283", "6C02", "01029000"], 0x6283, "0102"),
        (["6300", "6985"], 0x6300, ""),
        (["6A82"], 0x6A82, ""),
    ],
)
async def test_t0_follow_ups_give_the_final_answer(answers: list[str], sw: int, data: str) -> None:
    queue = [bytes.fromhex(text) for text in answers]
    link = CardLink(ScriptedChannel(lambda _command: queue.pop(0)))
    await link.open()
    answer = await link.exchange(CommandApdu(0, 0xA4, 4, 0, b"1PAY1", 256))
    assert (answer.sw, answer.data.hex()) == (sw, data)
    assert not queue


async def test_link_errors_reach_those_who_exchange_single_commands() -> None:
    mute = CardLink(slot(Fault(FaultAction.MUTE, "SELECT")), timeout_ms=10)
    await mute.open()
    with pytest.raises(CardMuteError):
        await mute.exchange(commands.select(commands.PSE_NAME))
    torn = CardLink(slot(Fault(FaultAction.TORN_BEFORE, "SELECT")))
    await torn.open()
    with pytest.raises(CardRemovedError):
        await torn.exchange(commands.select(commands.PSE_NAME))
    await torn.close()
    await torn.close()


async def test_channel_tells_removal_and_insertion_until_closed() -> None:
    channel = slot()
    channel.remove()
    channel.remove()
    channel.insert()
    channel.close()
    events = [event async for event in channel.events()]
    assert events == [
        CardEvent.INSERTED, CardEvent.REMOVED, CardEvent.INSERTED, CardEvent.REMOVED
    ]  # fmt: skip


async def test_card_taken_out_while_it_is_slow_is_a_removed_card() -> None:
    channel = slot(Fault(FaultAction.SLOW, "GENERATE_AC", delay_ms=20))
    task = asyncio.create_task(CardLink(channel).start(TERMINAL, purchase()))
    await asyncio.sleep(0)
    channel.remove()
    assert (await task).kind is OutcomeKind.CARD_REMOVED
