"""Taps, signing cards and fault plans over a channel, as a terminal meets them."""

import random
from dataclasses import replace

import pytest

from cardsim.channel import InProcessChannel
from cardsim.faults import parse_faults
from protocols.values import SecretBytes
from terminal.card_link import CardLink
from terminal.kernel import (
    OutcomeKind,
    finish_tap,
    laboratory_terminal_data,
    start_tap,
    start_transaction,
)
from tests.card_kit import (
    PAN,
    TERMINAL,
    expected_arqc,
    issuer_answer,
    make_card,
    make_image,
    purchase,
)


async def test_tap_over_a_channel_is_one_select_one_answer_and_masked() -> None:
    channel = InProcessChannel(make_card())
    link = CardLink(channel)
    await link.open()
    outcome = await link.run(start_tap(TERMINAL, purchase()))
    channel.remove()  # the card has left the field before the host answers
    assert outcome.kind is OutcomeKind.ONLINE
    assert outcome.context is not None
    assert outcome.de55["9F26"] == expected_arqc(outcome.de55)
    assert finish_tap(outcome.context, "00").kind.value == "approved"
    commands = [entry for entry in channel.trace.entries if entry.command != "power"]
    assert len(commands) == 3
    assert PAN.reveal() not in channel.trace.text()


async def test_signing_card_over_a_channel_is_approved_and_its_trace_shows_no_pin() -> None:
    channel = InProcessChannel(make_card(make_image("emv-generic")))
    link = CardLink(channel)
    await link.open()
    pins = iter(("654321", "123456"))
    steps = start_transaction(
        laboratory_terminal_data(),
        purchase(),
        lambda _left: SecretBytes(next(pins).encode()),
        random.Random(9).randbytes,
    )
    outcome = await link.run(steps)
    assert outcome.context is not None
    completion = await link.complete(outcome.context, "00", issuer_answer(outcome.de55))
    assert (completion.kind.value, completion.tsi.hex()) == ("approved", "f800")
    text = channel.trace.text()
    assert "123456FF" not in text
    assert PAN.reveal() not in text


LOOPS = """
[[fault]]
action = "status"
status_word = "{}"
command = "{}"
every = true
"""


@pytest.mark.parametrize(
    ("status_word", "command"), [("6110", "GET_RESPONSE"), ("6C10", "READ_RECORD")]
)
async def test_card_that_never_ends_its_answers_is_a_card_error_and_in_the_trace(
    status_word: str, command: str
) -> None:
    faults = parse_faults(LOOPS.format(status_word, command), "plan")
    channel = InProcessChannel(make_card(make_image("nsiccs-debit")), faults=faults)
    outcome = await CardLink(channel).start(TERMINAL, purchase())
    assert (outcome.kind, outcome.reason.code) == (OutcomeKind.CARD_ERROR, "card-link")
    struck = [entry for entry in channel.trace.entries if entry.fault == "status"]
    assert 1 < len(struck) < 20


async def test_purchases_under_a_plan_of_chance_are_the_same_under_its_seed() -> None:
    plan = (
        'seed = 11\nstream = "queue"\n[[fault]]\naction = "corrupt object"\n'
        'command = "GENERATE_AC"\ntag = "9F4B"\nevery = true\nprobability = 0.5\n'
    )
    data = replace(laboratory_terminal_data(), terminal_capabilities=bytes.fromhex("2008C8"))

    async def queue() -> list[str]:
        channel = InProcessChannel(
            make_card(make_image("emv-generic")), faults=parse_faults(plan, "plan")
        )
        return [(await CardLink(channel).start(data, purchase())).reason.code for _ in range(12)]

    first = await queue()
    assert first == await queue()
    assert set(first) == {"go-online", "cda-failed"}
