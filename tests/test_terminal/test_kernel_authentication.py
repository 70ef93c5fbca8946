"""Static data authentication with an own test CA: what holds, what fails, what it sets."""

import random
import tomllib
from dataclasses import replace
from importlib.resources import files

import pytest

from cardsim import CardImage, ProfileError, Signer, published_authority
from protocols.crypto.certificates import (
    CaPublicKey,
    make_icc_certificate,
    make_issuer_certificate,
)
from protocols.emv import tlv
from protocols.values import SecretBytes
from terminal.kernel import (
    CompletionKind,
    KernelOutcome,
    OutcomeKind,
    TerminalData,
    complete_online,
    known_ca_keys,
    laboratory_terminal_data,
    start_transaction,
)
from terminal.kernel.laboratory import read_ca_keys
from tests.card_changes import add, body
from tests.card_kit import (
    PAN,
    TERMINAL,
    Tamper,
    drive,
    expected_arqc,
    final_cryptogram,
    issuer_answer,
    make_card,
    make_image,
    purchase,
    with_application,
)

CA = published_authority().ca
ISSUER = published_authority().issuer
RID = bytes.fromhex("A000000602")


def signer(expiry: str = "1230", identifier: str = "93600999") -> Signer:
    certificate = make_issuer_certificate(CA, ISSUER.public, identifier, expiry, b"\x00\x00\x01")
    return Signer(0x92, ISSUER, certificate)


def capable(*keys: CaPublicKey) -> TerminalData:
    return replace(TERMINAL, terminal_capabilities=bytes.fromhex("204880"), ca_keys=keys)


KEY = CaPublicKey(RID, 0x92, CA.public)
GOOD = make_image("nsiccs-debit", signer=signer())
SSN = make_image()


def outcome_of(image: CardImage, data: TerminalData, tamper: Tamper | None = None) -> KernelOutcome:
    outcome: KernelOutcome = drive(start_transaction(data, purchase()), make_card(image), tamper)
    return outcome


def test_signed_card_has_the_records_of_the_field() -> None:
    assert GOOD.applications[0].afl.hex() == "08010100100103001801020120010200"
    assert GOOD.applications[0].aip.hex() == "5400"
    unsigned = make_image("nsiccs-debit").applications[0]
    assert (unsigned.afl.hex(), unsigned.aip.hex()) == ("080101001001030018010101", "1400")


def test_good_signature_is_performed_and_its_code_is_kept() -> None:
    outcome = outcome_of(GOOD, capable(KEY))
    assert (outcome.tvr.hex(), outcome.tsi.hex()) == ("0200048000", "e800")
    assert outcome.context is not None
    assert outcome.context.card["9F45"] == signer().code
    assert outcome.de55["9F26"] == expected_arqc(outcome.de55)


def test_terminal_without_the_capability_reports_not_performed() -> None:
    outcome = outcome_of(GOOD, replace(TERMINAL, ca_keys=(KEY,)))
    assert (outcome.tvr.hex(), outcome.tsi.hex()) == ("8000048000", "6800")


def test_terminal_that_claims_what_it_does_not_perform_is_refused() -> None:
    for byte_3 in ("04", "CC"):
        with pytest.raises(ValueError, match="claim"):
            replace(TERMINAL, terminal_capabilities=bytes.fromhex("2048" + byte_3))


def test_static_records_flipped_anywhere_never_pass() -> None:
    passed = [seed for seed in range(20) if flipped_passes(seed)]
    assert not passed


def flipped_passes(seed: int) -> bool:
    """Flip a bit of a signed record and tell whether the card still passes."""
    generator = random.Random(seed)

    def flip(data: bytes) -> bytes:
        at = generator.randrange(3, len(data))
        return data[:at] + bytes((data[at] ^ 1 << generator.randrange(8),)) + data[at + 1 :]

    records = 5 + generator.randrange(4)  # SFI 3 and 4: the 5th to 8th record read
    outcome = outcome_of(GOOD, capable(KEY), body(0xB2, flip, nth=1 + records))
    return outcome.kind is OutcomeKind.ONLINE and not outcome.tvr[0] & 0x40


def test_signer_on_a_profile_without_a_place_for_it_is_refused() -> None:
    with pytest.raises(ProfileError, match="no place"):
        make_image("ssn", signer=signer())
    assert outcome_of(SSN, capable(KEY)).tvr.hex() == "8000048000"


def test_pin_key_of_its_own_enciphers_the_pin_of_a_card_that_signs_statically() -> None:
    authority = published_authority()
    key = authority.card_keys[3]
    made = make_icc_certificate(authority.issuer, key.public, PAN, "1230", b"\x00\x00\x03")
    signed = authority.signer(PAN, card_keys=())
    image = with_application(make_image("emv-generic", signer=signed), icc_key=key)
    image = add("9F2E", made.exponent.hex())(add("9F2F", made.remainder.hex())(image))
    for certificate, results in ((made.certificate, "440302"), (bytes(144), "410302")):
        records = dict(image.applications[0].records)
        records[4, 9] = tlv.build([("70", tlv.build([("9F2D", certificate)]))])
        afl = image.applications[0].afl + bytes.fromhex("20090900")
        card = make_card(with_application(image, records=records, afl=afl))
        steps = start_transaction(
            laboratory_terminal_data(),
            purchase(),
            lambda _left: SecretBytes(b"123456"),
            random.Random(3).randbytes,
        )
        outcome = drive(steps, card)
        assert (outcome.kind, outcome.tvr.hex()) == (OutcomeKind.ONLINE, "0200008000")
        assert outcome.cvm_results.hex() == results


def test_ca_keys_are_data_that_their_checksums_guard() -> None:
    first, second, third = known_ca_keys()
    assert first.key == second.key == published_authority().ca.public
    assert third.key == published_authority("published-long").ca.public
    text = files("terminal.kernel").joinpath("laboratory.toml").read_text("utf-8")
    entry, longer = tomllib.loads(text)["ca_key"]
    assert read_ca_keys([entry, longer]) == (first, second, third)
    for name, value in (("modulus", entry["modulus"][:-2] + "01"), ("index", "E2")):
        with pytest.raises(ValueError, match="checksum"):
            read_ca_keys([{**entry, name: value}])


@pytest.mark.parametrize("profile", ["emv-generic", "emv-long"])
@pytest.mark.parametrize("number", [b"\x00\x00\x00\x00", b"\xff\xff\xff\xff"])
def test_combined_purchase_ends_in_a_signed_tc_that_the_issuer_can_recompute(
    number: bytes, profile: str
) -> None:
    card = make_card(make_image(profile))
    data = replace(laboratory_terminal_data(), terminal_capabilities=bytes.fromhex("2008C8"))
    outcome = drive(start_transaction(data, purchase(unpredictable_number=number)), card)
    assert outcome.context is not None
    assert outcome.de55["9F26"] == expected_arqc(outcome.de55)
    steps = complete_online(outcome.context, "00", issuer_answer(outcome.de55))
    completion = drive(steps, card)
    assert completion.kind is CompletionKind.APPROVED
    assert completion.cryptogram == final_cryptogram(
        outcome.de55, completion.tvr, completion.issuer_application_data
    )
