"""Offline data authentication, both sides: SDA, DDA, CDA, and the enciphered offline PIN.

The terminal's side recovers and checks, the card's and personaliser's side makes.
Source: EMV 4.4 Book 2, 5 (SDA), 6 (DDA, CDA), 7 (PIN encipherment); Book 3, 10.3.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha1

from protocols.clock import RandomBytes
from protocols.crypto import limits
from protocols.crypto.certificates import (
    FILLER,
    HASH_BYTES,
    CaPublicKey,
    CertificateData,
    check_digest,
    make_icc_certificate,
    make_issuer_certificate,
    open_certificate,
    recover_icc_key,
    recover_issuer_key,
    recover_signed,
    sign_content,
)
from protocols.crypto.errors import CertificateError, PinError
from protocols.crypto.pin import pin_block_decode, pin_block_encode
from protocols.crypto.rsa import RsaPrivateKey, RsaPublicKey, generate_key
from protocols.emv import tlv
from protocols.values import SecretBytes

__all__ = [
    "CaPublicKey",
    "CdaData",
    "CertificateData",
    "CertificateError",
    "RsaPrivateKey",
    "RsaPublicKey",
    "cda_transaction_hash",
    "check_cda",
    "decipher_offline_pin",
    "encipher_offline_pin",
    "generate_key",
    "make_icc_certificate",
    "make_issuer_certificate",
    "open_certificate",
    "recover_dynamic_data",
    "recover_icc_key",
    "recover_issuer_key",
    "recover_static_data",
    "sign_dynamic_data",
    "sign_static_data",
    "static_data",
]

_FORM_STATIC = 0x03
_FORM_DYNAMIC = 0x05
_SHA_1 = 0x01
_PIN_HEADER = 0x7F
_RECORD_TEMPLATE = "70"
_LAST_PLAIN_SFI = 10


@dataclass(frozen=True, slots=True)
class CdaData:
    """The dynamic data of a combined signature. Source: EMV 4.4 Book 2, table 19."""

    icc_dynamic_number: bytes
    cryptogram_information: int
    application_cryptogram: bytes
    transaction_hash: bytes

    def encoded(self) -> bytes:
        """Give the bytes that the signature carries."""
        number = bytes((len(self.icc_dynamic_number),)) + self.icc_dynamic_number
        return (
            number
            + bytes((self.cryptogram_information,))
            + self.application_cryptogram
            + self.transaction_hash
        )

    @classmethod
    def parse(cls, data: bytes) -> "CdaData":
        """Give the parts; raise CertificateError when the lengths do not add up."""
        length = data[0] if data else 0
        if not 2 <= length <= 8 or len(data) != 1 + length + 1 + 8 + HASH_BYTES:
            raise CertificateError("the dynamic data is not that of a combined signature")
        rest = data[1 + length :]
        return cls(data[1 : 1 + length], rest[0], rest[1:9], rest[9:])


def static_data(
    records: Iterable[tuple[int, bytes]], aip: bytes, tag_list: bytes | None = None
) -> bytes:
    """Give the data that SDA and card certificates cover.

    `records` are (SFI, record as read) of those the AFL marks, in order. Files 1 to 10 count
    without their template's tag and length. `tag_list` (9F4A) may name the AIP only.
    Raises CertificateError. Source: EMV 4.4 Book 3, 10.3.

    >>> static_data([(1, bytes.fromhex("70049F070180"))], b"\\x54\\x00", b"\\x82").hex()
    '9f0701805400'
    """
    parts: list[bytes] = []
    for sfi, record in records:
        try:
            objects = tlv.parse_flat(record)
        except tlv.TlvError as error:
            raise CertificateError("a record to be authenticated is no TLV data") from error
        if list(objects) != [_RECORD_TEMPLATE]:
            raise CertificateError("a record to be authenticated is not one template 70")
        parts.append(objects[_RECORD_TEMPLATE] if sfi <= _LAST_PLAIN_SFI else record)
    if tag_list is not None:
        if tag_list != b"\x82":
            raise CertificateError("the tag list names something else than the AIP")
        parts.append(aip)
    data = b"".join(parts)
    if len(data) > limits.STATIC_DATA_BYTES:
        raise CertificateError(f"more than {limits.STATIC_DATA_BYTES} bytes of static data")
    return data


def sign_static_data(issuer: RsaPrivateKey, code: bytes, data: bytes) -> bytes:
    """Give tag 93 over static data, with the 2-byte data authentication code (9F45)."""
    if len(code) != 2:
        raise CertificateError("a data authentication code is 2 bytes")
    covered = bytes((_FORM_STATIC, _SHA_1)) + code
    room = len(issuer.public) - 2 - HASH_BYTES - len(covered)
    return sign_content(issuer, covered + FILLER * room, data)


def recover_static_data(issuer_key: RsaPublicKey, signed: bytes, data: bytes) -> bytes:
    """Give the data authentication code of tag 93 once it holds over the static data.

    Raises CertificateError. Source: EMV 4.4 Book 2, 5.4.
    """
    content = recover_signed(issuer_key, signed, _FORM_STATIC)
    if content[2] != _SHA_1:
        raise CertificateError("an unknown hash algorithm")
    check_digest(content[1 : -1 - HASH_BYTES] + data, content[-1 - HASH_BYTES : -1])
    return content[3:5]


def sign_dynamic_data(icc: RsaPrivateKey, dynamic: bytes, terminal_data: bytes) -> bytes:
    """Give tag 9F4B: the card's dynamic data signed together with the terminal's.

    `terminal_data`: the DDOL's values for DDA, the unpredictable number for CDA.
    Raises CertificateError when the key is too short. Source: EMV 4.4 Book 2, 6.5.1 and 6.6.1.
    """
    covered = bytes((_FORM_DYNAMIC, _SHA_1, len(dynamic) & 0xFF)) + dynamic
    room = len(icc.public) - 2 - HASH_BYTES - len(covered)
    if room < 0 or len(dynamic) > 0xFF:
        raise CertificateError("the key is too short for the dynamic data")
    return sign_content(icc, covered + FILLER * room, terminal_data)


def recover_dynamic_data(icc_key: RsaPublicKey, signed: bytes, terminal_data: bytes) -> bytes:
    """Give the card's dynamic data of tag 9F4B once it holds over the terminal's data.

    Raises CertificateError. Source: EMV 4.4 Book 2, 6.5.2.
    """
    content = recover_signed(icc_key, signed, _FORM_DYNAMIC)
    length = content[3]
    if content[2] != _SHA_1 or length > len(content) - 2 - HASH_BYTES - 3:
        raise CertificateError("an unknown hash algorithm, or a length beyond the key")
    check_digest(content[1 : -1 - HASH_BYTES] + terminal_data, content[-1 - HASH_BYTES : -1])
    return content[4 : 4 + length]


def cda_transaction_hash(dol_values: Iterable[bytes], response: bytes) -> bytes:
    """Give the hash that binds a combined signature to its transaction.

    `dol_values`: values of PDOL, CDOL1 and, for the second GENERATE AC, CDOL2, as sent.
    `response`: the objects of template 77, in order; 9F4B is left out here.
    Raises TlvError. Source: EMV 4.4 Book 2, 6.6.1.
    """
    kept = tlv.parse_flat(response)
    kept.pop("9F4B", None)
    return sha1(b"".join(dol_values) + tlv.build(kept)).digest()  # noqa: S324 - laid down by EMV


def check_cda(
    icc_key: RsaPublicKey,
    signed: bytes,
    unpredictable_number: bytes,
    cryptogram_information: int,
    transaction_hash: bytes,
) -> CdaData:
    """Give the data of a combined signature once signature, CID and transaction hash hold.

    The cryptogram of the transaction is the one inside. Raises CertificateError.
    Source: EMV 4.4 Book 2, 6.6.2.
    """
    data = CdaData.parse(recover_dynamic_data(icc_key, signed, unpredictable_number))
    if data.cryptogram_information != cryptogram_information:
        raise CertificateError("the cryptogram information is not the one that was signed")
    if data.transaction_hash != transaction_hash:
        raise CertificateError("the signature is over another transaction")
    return data


def encipher_offline_pin(
    key: RsaPublicKey, pin: str, icc_challenge: bytes, random_bytes: RandomBytes
) -> bytes:
    """Give the data of VERIFY (P2 88): PIN block, the card's challenge and random filler, by RSA.

    Raises PinError, CertificateError. Source: EMV 4.4 Book 2, 7.2.
    """
    if len(icc_challenge) != 8:
        raise CertificateError("a card's challenge is 8 bytes")
    block = pin_block_encode(2, pin).reveal()
    filler = random_bytes(len(key) - 17)
    return key.recover(bytes((_PIN_HEADER,)) + block + icc_challenge + filler)


def decipher_offline_pin(key: RsaPrivateKey, enciphered: bytes, icc_challenge: bytes) -> str:
    """Give the PIN that a terminal enciphered for this challenge: the card's side.

    Raises PinError for another challenge or damage, CertificateError for a wrong length.
    """
    content = key.sign(enciphered)
    if content[0] != _PIN_HEADER or content[9:17] != icc_challenge:
        raise PinError("the enciphered block is not for this challenge")
    return pin_block_decode(2, SecretBytes(content[1:9]))
