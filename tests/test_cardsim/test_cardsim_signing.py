"""Cards with keys of their own: signatures, enciphered PIN, the published authority, images."""

import json
import random
from dataclasses import replace

import pytest

from cardsim import Card, CardImage, CardImageError, ProfileError, authority, published_authority
from cardsim.fault import Fault, FaultAction
from cardsim.faults import FaultLayer
from protocols.crypto.errors import CertificateError
from protocols.crypto.oda import (
    cda_transaction_hash,
    check_cda,
    encipher_offline_pin,
    recover_dynamic_data,
)
from protocols.crypto.rsa import RsaPublicKey
from protocols.emv import commands, tlv
from protocols.emv.apdu import ResponseApdu
from protocols.emv.commands import AcType
from protocols.values import Pan
from tests.card_kit import PAN, answer_over, application, make_card, make_image, send
from tests.tables import every_row

PDOL = bytes.fromhex("036020D8C8")
NUMBER = bytes.fromhex("6901A5CB")
SDA_ONLY = {"card_keys": ()}


def begun() -> Card:
    card = make_card(make_image("emv-generic"))
    answer_over(card, commands.select(application(card).aid))
    assert answer_over(card, commands.get_processing_options(PDOL)).ok
    return card


def key_of(card: Card) -> RsaPublicKey:
    key = application(card).icc_key
    assert key is not None
    return key.public


def cdol(card: Card, ordinal: int) -> bytes:
    """Give list data with the unpredictable number in its place."""
    ready = card.applications[0]
    data = bytearray(ready.lengths[ordinal])
    start, end = ready.positions[ordinal]["9F37"]
    data[start:end] = NUMBER
    if ordinal == 1:
        data[:2] = b"00"
    return bytes(data)


def test_internal_authenticate_signs_what_the_terminal_sent_and_nothing_else() -> None:
    card = begun()
    answer = answer_over(card, commands.internal_authenticate(NUMBER))
    signed = tlv.parse_flat(tlv.parse_flat(answer.data)["77"])["9F4B"]
    number = recover_dynamic_data(key_of(card), signed, NUMBER)
    assert (number[0], len(number)) == (8, 9)
    with pytest.raises(CertificateError):
        recover_dynamic_data(key_of(card), signed, bytes(4))
    again = answer_over(card, commands.internal_authenticate(NUMBER))
    assert again.data != answer.data  # another number of the card's each time


def test_internal_authenticate_of_another_length_parameter_or_card_is_refused() -> None:
    card = begun()
    assert answer_over(card, commands.internal_authenticate(NUMBER + b"\x00")).sw == 0x6700
    assert send(card, "00880100046901A5CB00") == "6A86"
    plain = make_card()
    send(plain, "00A4040005F053534E0100")
    send(plain, "80A80000078305036003600000")
    assert answer_over(plain, commands.internal_authenticate(NUMBER)).sw == 0x6A81


@every_row("ordinal", [0, 1])
def test_combined_signature_of_either_cryptogram_holds_for_its_transaction_only(
    ordinal: int,
) -> None:
    card = begun()
    sent = [PDOL, cdol(card, 0)]
    answer = answer_over(card, commands.generate_ac(AcType.ARQC, sent[1], cda=True))
    if ordinal:
        sent.append(cdol(card, 1))
        answer = answer_over(card, commands.generate_ac(AcType.TC, sent[2], cda=True))
    template = tlv.parse_flat(answer.data)["77"]
    objects = tlv.parse_flat(template)
    assert list(objects) == ["9F27", "9F36", "9F4B", "9F10"]
    cid = objects["9F27"][0]
    assert cid == (AcType.TC if ordinal else AcType.ARQC)
    hashed = cda_transaction_hash(sent, template)
    found = check_cda(key_of(card), objects["9F4B"], NUMBER, cid, hashed)
    assert len(found.application_cryptogram) == 8
    for wrong in (
        (bytes(4), cid, hashed),
        (NUMBER, cid ^ 0x40, hashed),
        (NUMBER, cid, cda_transaction_hash([*sent, b"\x00"], template)),
    ):
        with pytest.raises(CertificateError):
            check_cda(key_of(card), objects["9F4B"], *wrong)


def test_aac_is_signed_only_for_who_asked_for_one_with_a_signature() -> None:
    card = begun()
    data = cdol(card, 0)
    answer = answer_over(card, commands.generate_ac(AcType.AAC, data, cda=True))
    assert "9F4B" in tlv.parse_flat(tlv.parse_flat(answer.data)["77"])
    card = begun()
    application(card).state.blocked = True
    answer = answer_over(card, commands.generate_ac(AcType.ARQC, data, cda=True))
    objects = tlv.parse_flat(tlv.parse_flat(answer.data)["77"])
    assert (objects["9F27"], "9F26" in objects, "9F4B" in objects) == (b"\x00", True, False)


def enciphered(card: Card, pin: str, challenge: bytes) -> ResponseApdu:
    block = encipher_offline_pin(key_of(card), pin, challenge, random.Random(1).randbytes)
    return answer_over(card, commands.verify(block, enciphered=True))


def test_enciphered_pin_is_for_the_challenge_of_the_command_before_only() -> None:
    card = begun()

    def challenge() -> bytes:
        return answer_over(card, commands.get_challenge()).data

    assert enciphered(card, "123456", challenge()).ok
    assert enciphered(card, "999999", challenge()).sw == 0x63C2
    assert enciphered(card, "123456", bytes(8)).sw == 0x6985  # no challenge is open: no try spent
    first = challenge()
    challenge()
    assert enciphered(card, "123456", first).sw == 0x63C1  # an older challenge: a try spent
    old = challenge()
    assert answer_over(card, commands.get_data("9F17")).ok
    assert enciphered(card, "123456", old).sw == 0x6985  # another command came between
    assert enciphered(card, "123456", challenge()).ok
    assert application(card).state.pin_tries == 3


def test_enciphered_pin_of_a_wrong_length_or_on_a_card_without_key_costs_no_try() -> None:
    card = begun()
    answer_over(card, commands.get_challenge())
    assert send(card, f"0020008810{'00' * 16}") == "6700"
    assert application(card).state.pin_tries == 3
    plain = make_card()
    send(plain, "00A4040005F053534E0100")
    send(plain, "80A80000078305036003600000")
    assert send(plain, f"0020008808{'00' * 8}") == "6A86"


def test_published_keys_are_those_that_their_seed_makes_and_cards_share_the_pool() -> None:
    known = published_authority()
    assert [len(key.public) for key in known.card_keys] == [128] * 8
    signer = known.signer(PAN)
    used = {signer.card_key(Pan(f"93600999{n:08d}")) for n in range(200)}
    assert used == set(known.card_keys)


@pytest.mark.slow
def test_published_keys_are_made_anew_from_their_seed() -> None:
    from importlib.resources import files

    for name, seed in (
        ("published", "lumbung test authority"),
        ("published-long", "lumbung test authority published-long"),
    ):
        text = files("cardsim").joinpath(authority.PUBLISHED[name]).read_text("utf-8")
        assert authority.keys_text(random.Random(seed).randbytes, name) == text


def test_image_with_a_key_saved_and_read_signs_as_before_and_shows_no_prime() -> None:
    image = make_image("emv-generic")
    again = CardImage.from_json(image.to_json())
    assert again.to_json() == image.to_json()
    key = again.applications[0].icc_key
    assert key is not None
    assert f"{key.prime_p:x}"[:16] not in repr(again) + repr(again.applications[0]) + repr(key)
    outcome = answer_over(make_card(again), commands.select(again.applications[0].aid))
    assert outcome.ok


@every_row("key", [{}, {"prime_p": "3", "prime_q": "5", "exponent": 3}, {"prime_p": "zz"}, "x", 7])
def test_image_with_a_damaged_key_is_one_clear_error(key: object) -> None:
    from hashlib import sha256

    document = json.loads(make_image("emv-generic").to_json())
    document["card"]["applications"][0]["icc_key"] = key
    text = json.dumps(document["card"], separators=(",", ":"), sort_keys=True)
    document["checksum"] = sha256(text.encode()).hexdigest()
    with pytest.raises(CardImageError, match="field"):
        CardImage.from_json(json.dumps(document))


def test_image_of_version_1_reads_as_a_card_without_key_and_contactless_form() -> None:
    from hashlib import sha256

    document = json.loads(make_image().to_json())
    for name in ("icc_key", "ddol", "contactless_pdol", "contactless_aip"):
        del document["card"]["applications"][0][name]
    document["version"] = 1
    text = json.dumps(document["card"], separators=(",", ":"), sort_keys=True)
    document["checksum"] = sha256(text.encode()).hexdigest()
    image = CardImage.from_json(json.dumps(document))
    assert image.applications[0].icc_key is None
    assert send(make_card(image), "00A404000E325041592E5359532E444446303100") == "6A82"


def test_signer_without_a_place_in_the_profile_is_refused() -> None:
    signer = published_authority().signer(PAN)
    with pytest.raises(ProfileError, match="no place for a signature"):
        make_image(signer=signer)
    with pytest.raises(ProfileError, match="no place for a card key"):
        make_image("nsiccs-debit", signer=signer)
    static = make_image("nsiccs-debit", signer=replace(signer, **SDA_ONLY))
    assert static.applications[0].aip.hex() == "5400"


def test_wrong_hash_inside_a_good_signature_is_a_fault_of_the_card() -> None:
    card = begun()
    layer = FaultLayer(card, [Fault(FaultAction.WRONG_TRANSACTION_HASH, "GENERATE_AC")])
    data = cdol(card, 0)
    raw = commands.generate_ac(AcType.ARQC, data, cda=True).encoded()
    template = tlv.parse_flat(layer.exchange(raw).data[:-2])["77"]
    objects = tlv.parse_flat(template)
    assert recover_dynamic_data(key_of(card), objects["9F4B"], NUMBER)
    hashed = cda_transaction_hash([PDOL, data], template)
    with pytest.raises(CertificateError, match="another transaction"):
        check_cda(key_of(card), objects["9F4B"], NUMBER, objects["9F27"][0], hashed)
