"""Long lives of cards: whatever comes, the file can be read again and the keys stay inside."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardsim import Card, CardImage
from protocols.crypto.oda import encipher_offline_pin
from protocols.emv import commands
from protocols.emv.commands import AcType
from protocols.emv.dol import parse_dol
from tests.card_kit import application, make_card, make_image, send, with_application

pytestmark = pytest.mark.slow

LARGEST = bytes.fromhex("999999999999")
#: What a terminal puts into lists here; every other tag is zeros.
VALUES = {"9F02": LARGEST, "8A": b"Y3", "9F37": b"abcd", "5F2A": b"\x03\x60"}


def listed(dol: bytes, values: dict[str, bytes]) -> bytes:
    return b"".join(
        values.get(tag, b"").rjust(size, b"\0")[-size:] if size else b""
        for tag, size in parse_dol(dol)
    )


def begun(card: Card) -> None:
    one = application(card)
    assert card.apdu(commands.select(one.aid).encoded())[-2:] == b"\x90\x00"
    values = listed(one.pdol, VALUES)
    assert card.apdu(commands.get_processing_options(values).encoded())[-2:] == b"\x90\x00"


def offline_purchase(card: Card) -> int:
    """Give the kind of the last cryptogram of a purchase that finds no host."""
    begun(card)
    one = application(card)
    card.apdu(commands.generate_ac(AcType.ARQC, listed(one.cdol1, VALUES)).encoded())
    return card.apdu(commands.generate_ac(AcType.TC, listed(one.cdol2, VALUES)).encoded())[5]


def read_again(card: Card) -> CardImage:
    return CardImage.from_json(card.image.to_json())


def test_largest_offline_approvals_fill_their_counter_and_leave_a_file_that_can_be_read() -> None:
    card = make_card(make_image("emv-generic"))
    kinds = [offline_purchase(card) for _ in range(6)]
    limit = application(card).upper_offline_limit
    assert kinds == [AcType.TC] * limit + [AcType.AAC] * (6 - limit)
    assert read_again(card).applications[0].state.offline_amount_sen == 10**12 - 1


def test_list_that_asks_an_amount_of_another_length_still_leaves_a_whole_log_entry() -> None:
    image = make_image("emv-generic")
    longer = image.applications[0].cdol2.replace(
        bytes.fromhex("9F0206"), bytes.fromhex("9F0208"), 1
    )
    card = make_card(with_application(image, cdol2=longer))
    offline_purchase(card)
    (entry,) = read_again(card).applications[0].state.log
    assert entry[1:7] == LARGEST


@pytest.mark.parametrize(
    "between", ["00FF000000", "80FF", "00840000", "0084000008FF", "00B2010C00", "00A40400", "FF"]
)
def test_challenge_is_spent_by_any_command_between(between: str) -> None:
    card = make_card(make_image("emv-generic", pin="123456"))
    begun(card)
    key = application(card).icc_key
    assert key is not None

    def verify(challenge: bytes) -> str:
        block = encipher_offline_pin(key.public, "123456", challenge, random.Random(3).randbytes)
        return card.apdu(b"\x00\x20\x00\x88" + bytes((len(block),)) + block).hex()

    assert verify(card.apdu(bytes.fromhex("0084000000"))[:8]) == "9000"
    challenge = card.apdu(bytes.fromhex("0084000000"))[:8]
    send(card, between)
    assert verify(challenge) == "6985"
    assert application(card).state.pin_tries == application(card).pin_try_limit


SECRETS = ("udk_ac", "udk_mac", "udk_encipherment")


@settings(max_examples=60)
@given(data=st.data())
def test_card_of_any_life_can_be_read_again_and_gives_no_key_away(data: st.DataObject) -> None:
    profile = data.draw(st.sampled_from(["ssn", "emv-generic"]))
    card = make_card(make_image(profile))
    one = application(card)
    filling = st.sampled_from([b"\x00", b"\x99", b"\xff", b"Y", b"0"])
    answers = b""
    for _ in range(data.draw(st.integers(1, 12))):
        card.apdu(commands.select(one.aid).encoded())
        if data.draw(st.booleans()):
            begun(card)
        for command in data.draw(st.lists(st.sampled_from(LIFE), max_size=6)):
            size = {"AC1": len(listed(one.cdol1, {})), "AC2": len(listed(one.cdol2, {}))}
            head, _, length = command.partition(" ")
            count = size[length] if length in size else int(length or "0")
            body = data.draw(filling) * count
            lc = bytes((count,)) if count else b""
            le = b"\x00" if head[2:4] in ("AE", "B2", "CA", "84") else b""
            answers += card.apdu(bytes.fromhex(head) + lc + body + le)
    assert read_again(card).to_json() == card.image.to_json()
    for name in SECRETS:
        secret = getattr(one, name)
        assert secret is None or secret.reveal() not in answers


#: Header and, behind a blank, how many bytes of data: a number, or a list's length.
LIFE = (
    "80AE8000 AC1", "80AE4000 AC1", "80AE0000 AC1", "80AE4000 AC2", "80AE0000 AC2", "80AE5000 AC1",
    "00820000 10", "00820000 16", "00200080 8", "00200088 128", "00840000", "80CA9F36", "80CADF71",
    "80CA9F4F", "00B2015C", "84240000 8", "84240200 24", "841E0000 4", "84180000 8", "84DADF71 20",
    "84DC010C 30",
)  # fmt: skip
