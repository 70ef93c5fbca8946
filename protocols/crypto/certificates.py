"""Public key certificates of EMV: reading an issuer's and a card's, and making our test CA's.

Source: EMV 4.4 Book 2, 5.1-5.3 and 6.1-6.4, tables 5, 6, 13 and 14.
"""

from dataclasses import dataclass
from datetime import date
from hashlib import sha1
from typing import Literal

from protocols.crypto.errors import CertificateError
from protocols.crypto.rsa import EXPONENTS, RsaPrivateKey, RsaPublicKey
from protocols.values import Pan

HASH_BYTES = 20
HEADER = 0x6A
TRAILER = 0xBC
FILLER = b"\xbb"

_SHA_1 = 0x01
_RSA = 0x01

CertificateKind = Literal["issuer", "icc"]

#: Format byte and length of the identifier (issuer digits or card number) per kind.
_LAYOUT: dict[CertificateKind, tuple[int, int]] = {"issuer": (0x02, 4), "icc": (0x04, 10)}
#: Expiry, serial number, hash and key algorithm, key length, exponent length.
_FIXED_BYTES = 2 + 3 + 1 + 1 + 1 + 1


@dataclass(frozen=True, slots=True)
class CaPublicKey:
    """A certification authority's key as terminals keep it: by RID (5 bytes) and index."""

    rid: bytes
    index: int
    key: RsaPublicKey

    def checksum(self) -> bytes:
        """Give SHA-1 over RID, index, modulus, exponent. Source: EMV 4.4 Book 2, 11.2.2."""
        content = self.rid + bytes((self.index,)) + self.key.modulus + self.key.exponent_bytes
        return _sha1(content)


@dataclass(frozen=True, slots=True, repr=False)
class OpenedCertificate:
    """What a certificate holds, before hash and holder are checked. Prints no card number."""

    identifier: str
    expiry_mmyy: str
    serial: bytes
    key_bytes: int
    exponent_bytes: int
    key_part: bytes
    covered: bytes
    digest: bytes

    def __repr__(self) -> str:
        return f"<OpenedCertificate for a key of {self.key_bytes} bytes, until {self.expiry_mmyy}>"

    def modulus(self, remainder: bytes) -> bytes:
        """Give the whole modulus from the part inside and the remainder (92 or 9F48).

        Raises CertificateError when the remainder does not fill it exactly.
        """
        inside = min(self.key_bytes, len(self.key_part))
        if len(remainder) != self.key_bytes - inside:
            raise CertificateError("the remainder does not fit the key length")
        if self.key_part[inside:].strip(FILLER):
            raise CertificateError("the filler behind the key is not BB")
        return self.key_part[:inside] + remainder


@dataclass(frozen=True, slots=True)
class CertificateData:
    """What goes into the card: certificate (90 or 9F46), remainder (92, 9F48), exponent."""

    certificate: bytes
    remainder: bytes
    exponent: bytes


def open_certificate(
    signer: RsaPublicKey, certificate: bytes, kind: CertificateKind
) -> OpenedCertificate:
    """Give the content of a certificate under its signer's key.

    Raises CertificateError for wrong length, header, trailer, format or algorithm: the usual sign
    of another key. Source: EMV 4.4 Book 2, 5.3 steps 1-4, 6.3 steps 1-4.
    """
    form, identifier_bytes = _LAYOUT[kind]
    content = recover_signed(signer, certificate, form)
    start = 2 + identifier_bytes
    if len(content) < start + _FIXED_BYTES + HASH_BYTES + 1:
        raise CertificateError("the certificate is too short for its kind")
    hash_algorithm, key_algorithm, key_bytes, exponent_bytes = content[start + 5 : start + 9]
    if hash_algorithm != _SHA_1 or key_algorithm != _RSA:
        raise CertificateError("an unknown hash or key algorithm")
    return OpenedCertificate(
        content[2:start].hex().rstrip("f"),
        content[start : start + 2].hex(),
        content[start + 2 : start + 5],
        key_bytes,
        exponent_bytes,
        content[start + _FIXED_BYTES : -1 - HASH_BYTES],
        content[1 : -1 - HASH_BYTES],
        content[-1 - HASH_BYTES : -1],
    )


def recover_issuer_key(
    ca_key: RsaPublicKey, data: CertificateData, pan: Pan, on: date | None = None
) -> RsaPublicKey:
    """Give the issuer's key from its certificate (tags 90, 92, 9F32).

    Raises CertificateError when the hash does not hold, the issuer is not that of the card
    number, or the certificate ended before the month of `on` (None: not checked).
    Source: EMV 4.4 Book 2, 5.3.
    """
    opened = open_certificate(ca_key, data.certificate, "issuer")
    identifier = opened.identifier
    if not (3 <= len(identifier) <= 8 and pan.reveal().startswith(identifier)):
        raise CertificateError("the certificate is of another issuer")
    return _checked_key(opened, data, b"", on)


def recover_icc_key(
    issuer_key: RsaPublicKey,
    data: CertificateData,
    pan: Pan,
    static_data: bytes = b"",
    on: date | None = None,
) -> RsaPublicKey:
    """Give a card's key from its certificate (9F46-9F48; for the PIN key 9F2D-9F2F, no data).

    Raises CertificateError when the hash over key and static data does not hold, the card number
    is another, or the certificate ended before the month of `on`. Source: Book 2, 6.4 and 7.1.
    """
    opened = open_certificate(issuer_key, data.certificate, "icc")
    if opened.identifier != pan.reveal():
        raise CertificateError("the certificate is of another card")
    return _checked_key(opened, data, static_data, on)


def make_issuer_certificate(
    ca: RsaPrivateKey, issuer: RsaPublicKey, identifier: str, expiry_mmyy: str, serial: bytes
) -> CertificateData:
    """Give the certificate of an issuer's key; `identifier` is 3 to 8 leading digits of its PANs.

    Raises CertificateError for a key that the CA's is too short for.
    """
    if not 3 <= len(identifier) <= 8:
        raise CertificateError("an issuer identifier is 3 to 8 digits")
    return _make(ca, issuer, "issuer", identifier, expiry_mmyy, serial, b"")


def make_icc_certificate(
    issuer: RsaPrivateKey,
    icc: RsaPublicKey,
    pan: Pan,
    expiry_mmyy: str,
    serial: bytes,
    static_data: bytes = b"",
) -> CertificateData:
    """Give the certificate of a card's key over its static data (none for a PIN key).

    Raises CertificateError for a key longer than the issuer's.
    """
    return _make(issuer, icc, "icc", pan.reveal(), expiry_mmyy, serial, static_data)


def recover_signed(key: RsaPublicKey, signed: bytes, form: int) -> bytes:
    """Give signed content once header, format and trailer are right. Raises CertificateError."""
    content = key.recover(signed)
    if content[0] != HEADER or content[1] != form or content[-1] != TRAILER:
        raise CertificateError("header, format or trailer is wrong: another key, or damage")
    return content


def check_digest(covered: bytes, digest: bytes) -> None:
    """Raise CertificateError when the SHA-1 of `covered` is not the digest."""
    if _sha1(covered) != digest:
        raise CertificateError("the hash does not hold")


def sign_content(key: RsaPrivateKey, covered: bytes, unsigned: bytes) -> bytes:
    """Give header, covered content, its hash (with what stays outside) and trailer, signed."""
    digest = _sha1(covered + unsigned)
    return key.sign(bytes((HEADER,)) + covered + digest + bytes((TRAILER,)))


def _checked_key(
    opened: OpenedCertificate, data: CertificateData, static_data: bytes, on: date | None
) -> RsaPublicKey:
    modulus = opened.modulus(data.remainder)
    check_digest(opened.covered + data.remainder + data.exponent + static_data, opened.digest)
    _check_expiry(opened.expiry_mmyy, on)
    exponent = int.from_bytes(data.exponent, "big")
    if opened.exponent_bytes != len(data.exponent) or exponent not in EXPONENTS:
        raise CertificateError("the exponent is not that of the certificate")
    return RsaPublicKey(modulus, exponent)


def _check_expiry(expiry_mmyy: str, on: date | None) -> None:
    if not expiry_mmyy.isdecimal() or not 1 <= int(expiry_mmyy[:2]) <= 12:
        raise CertificateError("the expiry is no month")
    if on is None:
        return
    year = int(expiry_mmyy[2:])
    year += 2000 if year < 50 else 1900  # EMV 4.4 Book 4, 6.7.3
    if (year, int(expiry_mmyy[:2])) < (on.year, on.month):
        raise CertificateError("the certificate has expired")


def _make(
    signer: RsaPrivateKey,
    subject: RsaPublicKey,
    kind: CertificateKind,
    identifier: str,
    expiry_mmyy: str,
    serial: bytes,
    static_data: bytes,
) -> CertificateData:
    form, identifier_bytes = _LAYOUT[kind]
    room = len(signer.public) - 2 - identifier_bytes - _FIXED_BYTES - HASH_BYTES - 1
    if len(subject) > len(signer.public):
        raise CertificateError("a key longer than the one that signs it")
    if len(serial) != 3 or len(expiry_mmyy) != 4 or not (identifier + expiry_mmyy).isdecimal():
        raise CertificateError("serial number, expiry or identifier is malformed")
    inside, remainder = subject.modulus[:room], subject.modulus[room:]
    covered = (
        bytes((form,))
        + bytes.fromhex(identifier.ljust(2 * identifier_bytes, "f"))
        + bytes.fromhex(expiry_mmyy)
        + serial
        + bytes((_SHA_1, _RSA, len(subject), len(subject.exponent_bytes)))
        + inside.ljust(room, FILLER)
    )
    unsigned = remainder + subject.exponent_bytes + static_data
    return CertificateData(
        sign_content(signer, covered, unsigned), remainder, subject.exponent_bytes
    )


def _sha1(content: bytes) -> bytes:
    return sha1(content).digest()  # noqa: S324 - EMV's certificates are defined with it
