"""What our card side signs, read by a verifier of its own: `pow`, `hashlib` and the tables.

The verifier below knows nothing of `protocols.crypto`: it follows EMV 4.4 Book 2, tables 6, 7, 14,
17 and 22, byte by byte, so that a fault which our two sides share would show.
"""

import hashlib
import random

import pytest

from protocols.crypto import oda
from protocols.values import Pan

PAN = "9360099912344821"
CHANCE = random.Random("oda verifier")
STATIC = CHANCE.randbytes(97)


def opened(modulus: bytes, exponent: int, signed: bytes) -> bytes:
    """Give what a signature holds, by plain arithmetic."""
    assert len(signed) == len(modulus)
    number = pow(int.from_bytes(signed, "big"), exponent, int.from_bytes(modulus, "big"))
    content = number.to_bytes(len(modulus), "big")
    assert (content[0], content[-1]) == (0x6A, 0xBC)
    return content


def holds(content: bytes, outside: bytes) -> bool:
    """Tell whether the hash before the trailer is over the content and what stays outside."""
    return hashlib.sha1(content[1:-21] + outside).digest() == content[-21:-1]


def certified(
    modulus: bytes, exponent: int, data: oda.CertificateData, *, form: int, static: bytes = b""
) -> tuple[bytes, bytes]:
    """Give (who, modulus) of a certificate: tables 6 (issuer, form 02) and 14 (card, form 04)."""
    content = opened(modulus, exponent, data.certificate)
    who_bytes = {2: 4, 4: 10}[form]
    assert content[1] == form
    who, rest = content[2 : 2 + who_bytes], content[2 + who_bytes :]
    expiry, serial = rest[:2], rest[2:5]
    assert (expiry, serial) == (bytes.fromhex("1230"), b"\x00\x00\x07")
    assert rest[5:7] == b"\x01\x01"  # SHA-1, RSA
    size, exponent_size = rest[7], rest[8]
    leftmost = rest[9:-21]
    assert exponent_size == len(data.exponent)
    assert holds(content, data.remainder + data.exponent + static)
    if size <= len(leftmost):
        assert set(leftmost[size:]) <= {0xBB}
        assert data.remainder == b""
        return who, leftmost[:size]
    assert len(leftmost) + len(data.remainder) == size
    return who, leftmost + data.remainder


@pytest.fixture(
    scope="module",
    params=[(768, 768, 768, 3), (1024, 896, 768, 65537), (1152, 1024, 640, 3)],
    ids=str,
)
def chain(request: pytest.FixtureRequest) -> tuple[oda.RsaPrivateKey, ...]:
    """Give keys of CA, issuer and card, whose moduli fit or need a remainder."""
    *sizes, exponent = request.param
    source = random.Random(str(request.param)).randbytes
    return tuple(oda.generate_key(bits, source, exponent) for bits in sizes)


def test_certificates_of_our_side_hold_for_a_verifier_of_its_own(
    chain: tuple[oda.RsaPrivateKey, ...],
) -> None:
    ca, issuer, icc = chain
    exponent = ca.public.exponent
    data = oda.make_issuer_certificate(ca, issuer.public, "936009", "1230", b"\0\0\7")
    who, modulus = certified(ca.public.modulus, exponent, data, form=2)
    assert who.hex() == "936009ff"
    assert modulus == issuer.public.modulus
    card = oda.make_icc_certificate(issuer, icc.public, Pan(PAN), "1230", b"\0\0\7", STATIC)
    who, modulus = certified(issuer.public.modulus, exponent, card, form=4, static=STATIC)
    assert who.hex() == PAN + "ffff"
    assert modulus == icc.public.modulus


def test_signatures_of_our_side_hold_for_a_verifier_of_its_own(
    chain: tuple[oda.RsaPrivateKey, ...],
) -> None:
    _, issuer, icc = chain
    exponent = icc.public.exponent
    content = opened(
        issuer.public.modulus, exponent, oda.sign_static_data(issuer, b"\xda\xc1", STATIC)
    )
    assert content[1:5] == b"\x03\x01\xda\xc1"
    assert set(content[5:-21]) == {0xBB}
    assert holds(content, STATIC)

    number, dynamic = CHANCE.randbytes(4), b"\x04" + CHANCE.randbytes(4)
    content = opened(icc.public.modulus, exponent, oda.sign_dynamic_data(icc, dynamic, number))
    assert content[1:4] == bytes((5, 1, len(dynamic)))
    assert content[4 : 4 + len(dynamic)] == dynamic
    assert set(content[4 + len(dynamic) : -21]) == {0xBB}
    assert holds(content, number)


def test_combined_signature_holds_for_a_verifier_of_its_own(
    chain: tuple[oda.RsaPrivateKey, ...],
) -> None:
    icc = chain[2]
    number, cryptogram, chip_number = (CHANCE.randbytes(size) for size in (4, 8, 4))
    answer = bytes.fromhex("9F2701809F360200019F100706010A03A0A800")
    digest = oda.cda_transaction_hash([b"pdol", b"cdol1"], answer)
    assert digest == hashlib.sha1(b"pdolcdol1" + answer).digest()
    data = oda.CdaData(chip_number, 0x80, cryptogram, digest)
    signed = oda.sign_dynamic_data(icc, data.encoded(), number)
    content = opened(icc.public.modulus, icc.public.exponent, signed)
    inside = content[4 : 4 + content[3]]
    assert inside == b"\x04" + chip_number + b"\x80" + cryptogram + digest
    assert holds(content, number)


def test_pin_enciphered_by_plain_arithmetic_reaches_our_card(
    chain: tuple[oda.RsaPrivateKey, ...],
) -> None:
    icc = chain[2]
    challenge, size = CHANCE.randbytes(8), len(icc.public.modulus)
    block = bytes.fromhex("26123456FFFFFFFF")
    clear = b"\x7f" + block + challenge + CHANCE.randbytes(size - 17)
    number = pow(
        int.from_bytes(clear, "big"),
        icc.public.exponent,
        int.from_bytes(icc.public.modulus, "big"),
    )
    assert oda.decipher_offline_pin(icc, number.to_bytes(size, "big"), challenge) == "123456"
