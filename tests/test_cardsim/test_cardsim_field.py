"""A card in a contactless reader's field: the reader's ATR, its own answers, and the tap."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cardsim import FaultPlanError
from cardsim.channel import InProcessChannel
from cardsim.faults import Fault, FaultAction, FaultLayer
from cardsim.field import CONTACTLESS_ATR, serial_number
from cardsim.vpcd import VpcdSlot
from lumbung.cards import card_from
from lumbung.cli import root
from lumbung.testing import buy, terminal_for, virtual_card
from protocols.card_frames import Control
from terminal.card_link import CardLink
from terminal.kernel.atr import AtrError, is_contactless, parse_atr
from tests.card_kit import make_card, make_image
from tests.tables import every_row

SERIAL = serial_number(make_image()).hex()


def in_field(*faults: Fault) -> FaultLayer:
    layer = FaultLayer(make_card(), faults, contactless=True)
    layer.power()
    return layer


@every_row(
    ("command", "answer"),
    [
        ("FFCA000000", f"{SERIAL}9000"),
        ("FFCA000004", f"{SERIAL}9000"),
        ("FFCA000003", "6c04"),
        ("FFCA000007", f"{SERIAL}6282"),
        ("FFCA010000", "6a81"),
        ("FFCA020000", "6a86"),
        ("FFCA0000", "6700"),
        ("FFCA00000000", "6700"),
        ("FF00000000", "6e00"),
    ],
)
def test_reader_answers_for_the_serial_number_and_nothing_else(command: str, answer: str) -> None:
    assert in_field().exchange(bytes.fromhex(command)).data.hex() == answer


def test_card_with_contacts_never_sees_such_a_reader() -> None:
    layer = FaultLayer(make_card())
    layer.power()
    assert layer.exchange(bytes.fromhex("FFCA000000")).data.hex() == "6e00"
    assert serial_number(make_image())[0] == 0x08
    assert serial_number(make_image()) != serial_number(make_image(seed=2))


def test_reader_shows_its_own_atr_before_and_after_power() -> None:
    slot = VpcdSlot(FaultLayer(make_card(), contactless=True))
    for control in (None, Control.ON, Control.RESET):
        if control is not None:
            slot.react(slot.receive(bytes((0, 1, control)))[0])
        [asked] = slot.receive(bytes((0, 1, Control.ATR)))
        reaction = slot.react(asked)
        assert reaction is not None
        assert reaction.data == CONTACTLESS_ATR


def test_card_without_a_contactless_form_is_refused() -> None:
    with pytest.raises(FaultPlanError, match="no contactless form"):
        FaultLayer(make_card(make_image("emv-generic")), contactless=True)


@every_row(
    ("raw", "contactless"),
    [
        ("3B80800101", True),
        ("3B8180015050", True),
        ("3B8F80010000000000000000000000000000000E", True),
        ("3B8F8001000000000000000000000000000000000E", False),
        ("3B80800100", False),
        ("3B8080010101", False),
        ("3F80800101", False),
        ("3BE000008131FE45EB", False),
        ("3B600000", False),
        ("3B", False),
    ],
)
def test_contactless_atr_is_told_from_all_others(raw: str, contactless: bool) -> None:
    assert is_contactless(bytes.fromhex(raw)) is contactless
    if contactless:
        with pytest.raises(AtrError):
            parse_atr(bytes.fromhex(raw))


@pytest.mark.parametrize(
    ("arc", "text"),
    [("00", "approved (approved-tap)"), ("51", "declined (host-declined)")],
)
async def test_purchase_in_the_field_is_a_tap(arc: str, text: str) -> None:
    card = virtual_card()
    channel = InProcessChannel(card.card, contactless=True)
    bought = await buy(channel, card.issuer, 500_000, terminal=terminal_for("ssn"), arc=arc)
    assert (bought.text, bought.is_genuine) == (text, True)
    assert not [entry for entry in channel.trace.entries if entry.command.startswith("80AE")]


async def test_link_without_an_answer_or_a_pin_declines_a_tap_and_sends_nothing() -> None:
    for end in ("complete_without_host", "give_up"):
        card = virtual_card()
        channel = InProcessChannel(card.card, contactless=True)
        link = CardLink(channel)
        terminal = terminal_for("ssn")
        bought = await buy(channel, card.issuer, 500_000, terminal=terminal)
        context = bought.outcome.context
        assert context is not None
        await link.open()
        before = len(channel.trace.entries)
        completion = await getattr(link, end)(context)
        assert (completion.kind.value, completion.host_approved) == ("declined", False)
        assert len(channel.trace.entries) == before


async def test_fault_strikes_in_the_field_too() -> None:
    card = virtual_card()
    fault = Fault(FaultAction.TORN_AFTER, "GET_PROCESSING_OPTIONS")
    channel = InProcessChannel(card.card, faults=[fault], contactless=True)
    bought = await buy(channel, card.issuer, 500_000, terminal=terminal_for("ssn"))
    assert bought.text == "card removed (card-removed)"


def test_card_from_a_file_is_served_in_the_field(tmp_path: Path) -> None:
    file = tmp_path / "card.json"
    make_image().save(file)
    with card_from(file, faults=(), trace=False, contactless=True) as card:
        assert card.layer.atr == CONTACTLESS_ATR
    for command in ("card serve", "pcsc exec"):
        shown = CliRunner().invoke(root, [*command.split(), "--help"])
        assert "--contactless" in shown.output
    assert json.loads(file.read_text())["card"]["profile"] == "ssn"
