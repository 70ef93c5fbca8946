"""Static data authentication with an own test CA: what holds, what fails, what it sets."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from cardsim import CardImage, ProfileError, Signer
from protocols.crypto.certificates import CaPublicKey, make_issuer_certificate
from protocols.crypto.rsa import generate_key
from terminal.kernel import KernelOutcome, OutcomeKind, TerminalData, start_transaction
from tests.card_changes import app, body, put
from tests.card_kit import (
    TERMINAL,
    Tamper,
    drive,
    expected_arqc,
    make_card,
    make_image,
    purchase,
)

_SEED = random.Random(11).randbytes
#: Small keys, for speed only: lengths are EMV's business, not this kernel's.
CA = generate_key(768, _SEED)
ISSUER = generate_key(704, _SEED)
OTHER = generate_key(768, _SEED)
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


def expired(_image: CardImage) -> CardImage:
    return make_image("nsiccs-debit", signer=signer(expiry="1225"))


def other_issuer(_image: CardImage) -> CardImage:
    return make_image("nsiccs-debit", signer=signer(identifier="93600998"))


def foreign_signature(_image: CardImage) -> CardImage:
    return make_image("nsiccs-debit", signer=replace(signer(), key=OTHER))


@pytest.mark.parametrize(
    ("change", "keys", "tvr"),
    [
        (lambda image: image, (), "4200048000"),
        (lambda image: image, (replace(KEY, index=0x93),), "4200048000"),
        (lambda image: image, (replace(KEY, rid=bytes(5)),), "4200048000"),
        (lambda image: image, (replace(KEY, key=OTHER.public),), "4200048000"),
        (expired, (KEY,), "4200048000"),
        (other_issuer, (KEY,), "4200048000"),
        (foreign_signature, (KEY,), "4200048000"),
        (put("9F07", "FF80"), (KEY,), "4200048000"),
        (app(aip=bytes.fromhex("5C00")), (KEY,), "4200048000"),
        (put("9F4A", "84"), (KEY,), "4200048000"),
        (put("9F32", "11"), (KEY,), "4200048000"),
        (put("92", None), (KEY,), "4200048000"),
        (put("90", "00" * 96), (KEY,), "4200048000"),
        (put("93", "00" * 88), (KEY,), "4200048000"),
        (put("93", "00"), (KEY,), "4200048000"),
        (put("90", None), (KEY,), "6200048000"),
        (put("93", None), (KEY,), "6200048000"),
        (put("8F", None), (KEY,), "6200048000"),
        (put("9F32", None), (KEY,), "6200048000"),
        (app(aip=bytes.fromhex("1400")), (KEY,), "8000048000"),
    ],
    ids=[
        "no CA key", "other index", "other RID", "other key", "expired", "other issuer",
        "foreign signature", "static data changed", "AIP changed", "tag list names another tag",
        "other exponent", "remainder missing", "certificate zero", "signature zero",
        "signature short", "certificate missing", "signature missing", "index missing",
        "exponent missing", "card does not offer it",
    ],
)  # fmt: skip
def test_static_authentication_that_fails_sets_its_bits_and_goes_online(
    change: Callable[[CardImage], CardImage], keys: tuple[CaPublicKey, ...], tvr: str
) -> None:
    outcome = outcome_of(change(GOOD), capable(*keys))
    assert outcome.kind is OutcomeKind.ONLINE
    assert outcome.tvr.hex() == tvr
    assert outcome.tsi.hex() == ("6800" if tvr.startswith("80") else "e800")


def test_terminal_without_the_capability_reports_not_performed() -> None:
    outcome = outcome_of(GOOD, replace(TERMINAL, ca_keys=(KEY,)))
    assert (outcome.tvr.hex(), outcome.tsi.hex()) == ("8000048000", "6800")


def test_terminal_that_claims_what_it_does_not_perform_is_refused() -> None:
    for byte_3 in ("04", "CC"):
        with pytest.raises(ValueError, match="claim"):
            replace(TERMINAL, terminal_capabilities=bytes.fromhex("2048" + byte_3))


@pytest.mark.parametrize("seed", range(20))
def test_static_records_flipped_anywhere_never_pass(seed: int) -> None:
    generator = random.Random(seed)

    def flip(data: bytes) -> bytes:
        at = generator.randrange(3, len(data))
        return data[:at] + bytes((data[at] ^ 1 << generator.randrange(8),)) + data[at + 1 :]

    records = 5 + generator.randrange(4)  # SFI 3 and 4: the 5th to 8th record read
    outcome = outcome_of(GOOD, capable(KEY), body(0xB2, flip, nth=1 + records))
    passed = outcome.kind is OutcomeKind.ONLINE and not outcome.tvr[0] & 0x40
    assert not passed, f"seed {seed}"


def test_signer_on_a_profile_without_a_place_for_it_is_refused() -> None:
    with pytest.raises(ProfileError, match="no place"):
        make_image("ssn", signer=signer())
    assert outcome_of(SSN, capable(KEY)).tvr.hex() == "8000048000"
