"""Offline data authentication with our own CA: both sides meet, and every damage is found."""

import random
from datetime import date

import pytest

from protocols.crypto import engine, oda
from protocols.crypto.errors import CertificateError, CryptoError, KeyRefusedError, PinError
from protocols.crypto.rsa import private_key
from protocols.values import Pan

PAN = Pan("9360099912344821")
STATIC = oda.static_data(
    [(1, bytes.fromhex("700A5A08936009991234482 1".replace(" ", ""))), (11, b"\x70\x02\x50\x00")],
    b"\x5c\x00",
    b"\x82",
)
CHALLENGE = bytes(range(8))
ON = date(2026, 1, 5)


@pytest.fixture(scope="module")
def ca() -> oda.RsaPrivateKey:
    return oda.generate_key(768, random.Random("ca").randbytes)


@pytest.fixture(scope="module")
def issuer() -> oda.RsaPrivateKey:
    return oda.generate_key(768, random.Random("issuer").randbytes, 65537)


@pytest.fixture(scope="module")
def icc() -> oda.RsaPrivateKey:
    return oda.generate_key(640, random.Random("icc").randbytes)


def flipped(data: bytes, bit: int) -> bytes:
    return (int.from_bytes(data, "big") ^ 1 << bit).to_bytes(len(data), "big")


def test_chain_from_our_ca_to_a_card_is_recovered(
    ca: oda.RsaPrivateKey, issuer: oda.RsaPrivateKey, icc: oda.RsaPrivateKey
) -> None:
    data = oda.make_issuer_certificate(ca, issuer.public, "93600999", "1230", b"\0\0\1")
    assert data.remainder
    recovered = oda.recover_issuer_key(ca.public, data, PAN, ON)
    assert recovered == issuer.public
    card = oda.make_icc_certificate(issuer, icc.public, PAN, "1230", b"\0\0\2", STATIC)
    assert oda.recover_icc_key(recovered, card, PAN, STATIC, ON) == icc.public


def test_certificate_of_another_holder_or_out_of_date_is_refused(
    ca: oda.RsaPrivateKey, issuer: oda.RsaPrivateKey, icc: oda.RsaPrivateKey
) -> None:
    data = oda.make_issuer_certificate(ca, issuer.public, "93600999", "1225", b"\0\0\1")
    card = oda.make_icc_certificate(issuer, icc.public, PAN, "1225", b"\0\0\2", STATIC)
    other = Pan("4360099912344821")
    for wrong in (
        lambda: oda.recover_issuer_key(ca.public, data, other),
        lambda: oda.recover_issuer_key(ca.public, data, PAN, ON),
        lambda: oda.recover_issuer_key(issuer.public, data, PAN),
        lambda: oda.recover_icc_key(issuer.public, card, other, STATIC),
        lambda: oda.recover_icc_key(issuer.public, card, PAN, STATIC, ON),
        lambda: oda.recover_icc_key(issuer.public, card, PAN, STATIC, date(2026, 12, 1)),
        lambda: oda.recover_icc_key(issuer.public, card, PAN, STATIC + b"\0"),
    ):
        with pytest.raises(CertificateError):
            wrong()
    assert oda.recover_issuer_key(ca.public, data, PAN, date(2025, 12, 31)) == issuer.public


def test_every_damage_to_a_certificate_is_found(
    issuer: oda.RsaPrivateKey, icc: oda.RsaPrivateKey
) -> None:
    card = oda.make_icc_certificate(issuer, icc.public, PAN, "1230", b"\0\0\2", STATIC)
    whole = (card.certificate, card.remainder, card.exponent)
    for part, content in enumerate(whole):
        for bit in range(0, 8 * len(content), 5):
            damaged = list(whole)
            damaged[part] = flipped(content, bit)
            with pytest.raises(CryptoError):
                oda.recover_icc_key(issuer.public, oda.CertificateData(*damaged), PAN, STATIC)
        for length in range(len(content)):
            damaged = list(whole)
            damaged[part] = content[:length]
            with pytest.raises(CertificateError):
                oda.recover_icc_key(issuer.public, oda.CertificateData(*damaged), PAN, STATIC)


def test_static_signature_holds_over_its_data_only(issuer: oda.RsaPrivateKey) -> None:
    signed = oda.sign_static_data(issuer, b"\xda\xc1", STATIC)
    assert oda.recover_static_data(issuer.public, signed, STATIC) == b"\xda\xc1"
    for at in range(0, 8 * len(STATIC), 3):
        with pytest.raises(CertificateError):
            oda.recover_static_data(issuer.public, signed, flipped(STATIC, at))
    for bit in range(0, 8 * len(signed), 7):
        with pytest.raises(CertificateError):
            oda.recover_static_data(issuer.public, flipped(signed, bit), STATIC)


def test_dynamic_signature_holds_for_its_terminal_data_only(icc: oda.RsaPrivateKey) -> None:
    dynamic = b"\x04\1\2\3\4"
    signed = oda.sign_dynamic_data(icc, dynamic, b"\x11\x22\x33\x44")
    assert oda.recover_dynamic_data(icc.public, signed, b"\x11\x22\x33\x44") == dynamic
    with pytest.raises(CertificateError):
        oda.recover_dynamic_data(icc.public, signed, b"\x11\x22\x33\x45")
    with pytest.raises(CertificateError):
        oda.sign_dynamic_data(icc, bytes(80 - 24), b"")
    assert len(oda.sign_dynamic_data(icc, bytes(80 - 25), b"")) == 80


def test_combined_signature_binds_cryptogram_and_transaction(icc: oda.RsaPrivateKey) -> None:
    response = bytes.fromhex("9F2701809F360200019F100706010A03A0A800")
    digest = oda.cda_transaction_hash([b"pdol", b"cdol1"], response)
    with_signature = response + bytes.fromhex("9F4B03AABBCC")
    assert oda.cda_transaction_hash([b"pdol", b"cdol1"], with_signature) == digest
    data = oda.CdaData(b"\1\2\3\4", 0x80, bytes(range(8)), digest)
    signed = oda.sign_dynamic_data(icc, data.encoded(), b"\x01\x02\x03\x04")
    checked = oda.check_cda(icc.public, signed, b"\x01\x02\x03\x04", 0x80, digest)
    assert checked == data
    for un, cid, hashed in (
        (b"\x01\x02\x03\x05", 0x80, digest),
        (b"\x01\x02\x03\x04", 0x40, digest),
        (b"\x01\x02\x03\x04", 0x80, oda.cda_transaction_hash([b"pdol", b"cdol2"], response)),
    ):
        with pytest.raises(CertificateError):
            oda.check_cda(icc.public, signed, un, cid, hashed)
    for length in range(len(data.encoded())):
        with pytest.raises(CertificateError):
            oda.CdaData.parse(data.encoded()[:length])


def test_enciphered_pin_reaches_the_card_for_its_challenge_only(icc: oda.RsaPrivateKey) -> None:
    sent = oda.encipher_offline_pin(icc.public, "123456", CHALLENGE, random.Random(1).randbytes)
    assert oda.decipher_offline_pin(icc, sent, CHALLENGE) == "123456"
    with pytest.raises(PinError):
        oda.decipher_offline_pin(icc, sent, bytes(8))
    for bit in range(0, 8 * len(sent), 9):
        with pytest.raises(CryptoError):
            oda.decipher_offline_pin(icc, flipped(sent, bit), CHALLENGE)
    with pytest.raises(CertificateError):
        oda.decipher_offline_pin(icc, sent[:-1], CHALLENGE)


def test_key_from_the_same_seed_is_the_same_and_from_another_is_not() -> None:
    keys = [oda.generate_key(512, random.Random(seed).randbytes).public for seed in (1, 1, 2)]
    assert keys[0] == keys[1] != keys[2]
    assert {len(key) for key in keys} == {64}


def test_key_from_bytes_that_are_not_random_is_refused_in_bounded_time() -> None:
    with pytest.raises(KeyRefusedError):
        oda.generate_key(512, bytes)


@pytest.mark.parametrize(
    ("modulus", "exponent"),
    [
        (b"\xff" * 63, 3),
        (b"\xff" * 249, 3),
        (b"\x7f" + b"\xff" * 63, 3),
        (b"\xff" * 63 + b"\xfe", 3),
        (b"\xff" * 64, 5),
        (b"\xff" * 64, 1),
    ],
)
def test_public_key_that_emv_does_not_know_is_refused(modulus: bytes, exponent: int) -> None:
    with pytest.raises(KeyRefusedError):
        oda.RsaPublicKey(modulus, exponent)


def test_two_equal_primes_make_no_key(icc: oda.RsaPrivateKey) -> None:
    with pytest.raises(KeyRefusedError):
        private_key(icc.prime_p, icc.prime_p)


@pytest.mark.parametrize(
    ("records", "tags"),
    [
        ([(1, b"\x71\x00")], None),
        ([(1, b"\x70\x05\x00")], None),
        ([(1, b"\x70\x00\x70\x00")], None),
        ([(1, b"")], None),
        ([], b"\x95"),
        ([], b""),
    ],
)
def test_records_that_cannot_be_authenticated_are_refused(
    records: list[tuple[int, bytes]], tags: bytes | None
) -> None:
    with pytest.raises(CertificateError):
        oda.static_data(records, b"\x5c\x00", tags)


@pytest.mark.parametrize("bits", [512, 528, 640, 1024, 1984])
def test_private_operation_of_any_size_is_the_same_in_every_engine(bits: int) -> None:
    # Primes are not needed for the arithmetic: odd numbers with an inverse exponent will do.
    chance = random.Random(bits)
    moduli = [chance.getrandbits(bits // 2) | 1 << bits // 2 - 1 | 1 for _ in range(4)]
    for modulus in moduli:
        size = bits // 16
        base, exponent = chance.randrange(modulus), chance.getrandbits(bits // 2)
        expected = pow(base, exponent, modulus).to_bytes(size, "big")
        for which in engine.engines():
            context = which.ModPower(modulus.to_bytes(size, "big"), exponent.to_bytes(size, "big"))
            assert context.power(base.to_bytes(size, "big")) == expected


def test_ca_key_checksum_is_over_rid_index_and_key(ca: oda.RsaPrivateKey) -> None:
    one = oda.CaPublicKey(bytes.fromhex("F053534E01"), 1, ca.public)
    two = oda.CaPublicKey(bytes.fromhex("F053534E01"), 2, ca.public)
    assert len(one.checksum()) == 20
    assert one.checksum() != two.checksum()


def test_certificate_holds_through_its_last_month_and_ends_with_it(
    issuer: oda.RsaPrivateKey, icc: oda.RsaPrivateKey
) -> None:
    card = oda.make_icc_certificate(issuer, icc.public, PAN, "0326", b"\0\0\2")
    assert oda.recover_icc_key(issuer.public, card, PAN, on=date(2026, 3, 31)) == icc.public
    with pytest.raises(CertificateError, match="expired"):
        oda.recover_icc_key(issuer.public, card, PAN, on=date(2026, 4, 1))


def test_value_beyond_the_modulus_is_refused_by_both_operations(icc: oda.RsaPrivateKey) -> None:
    for operation in (icc.public.recover, icc.sign):
        for value in (icc.public.modulus, b"\xff" * len(icc.public)):
            with pytest.raises(CertificateError):
                operation(value)
