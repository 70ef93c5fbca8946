"""Static data authentication with an own test CA: what holds, what fails, what it sets."""

import random
from dataclasses import replace

import pytest

from cardsim import CardImage, ProfileError, Signer
from protocols.crypto.certificates import CaPublicKey, make_issuer_certificate
from protocols.crypto.rsa import generate_key
from terminal.kernel import KernelOutcome, OutcomeKind, TerminalData, start_transaction
from tests.card_changes import body
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
