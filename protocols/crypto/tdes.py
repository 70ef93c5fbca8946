"""TDES with keys of 8, 16 or 24 bytes. Source: NIST SP 800-67 revision 2; ISO/IEC 18033-3.

`TdesCipher` keeps its contexts: hold one per key that is used again. The functions are for keys
used once. A cipher belongs to one worker at a time.
"""

from protocols.crypto.engine import current
from protocols.crypto.errors import DataLengthError, KeyRefusedError
from protocols.values import SecretBytes

BLOCK_BYTES = 8
ZERO_IV = bytes(BLOCK_BYTES)

_PARITY_MASK = 0xFEFEFEFEFEFEFEFE
_WEAK_TEXT = """
    0101010101010101 FEFEFEFEFEFEFEFE E0E0E0E0F1F1F1F1 1F1F1F1F0E0E0E0E
    011F011F010E010E 1F011F010E010E01 01E001E001F101F1 E001E001F101F101
    01FE01FE01FE01FE FE01FE01FE01FE01 1FE01FE00EF10EF1 E01FE01FF10EF10E
    1FFE1FFE0EFE0EFE FE1FFE1FFE0EFE0E E0FEE0FEF1FEF1FE FEE0FEE0FEF1FEF1
"""
#: The 4 weak and 12 semi-weak keys of DES, parity cleared. NIST SP 800-67 revision 2, 3.3.2.
_WEAK_HALVES = frozenset(int(text, 16) & _PARITY_MASK for text in _WEAK_TEXT.split())


class TdesCipher:
    """TDES under one key, contexts kept.

    >>> cipher = TdesCipher(SecretBytes(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")))
    >>> cipher.encipher_ecb(bytes(8)).hex()
    '08d7b4fb629d0885'
    """

    __slots__ = ("context",)

    def __init__(self, key: SecretBytes) -> None:
        """Set up the contexts; raise KeyRefusedError for a key of another length."""
        self.context = current.engine.Tdes(_checked(key))

    def encipher_ecb(self, data: bytes) -> bytes:
        """Give the encipherment of whole blocks; DataLengthError otherwise."""
        return self.context.encipher_ecb(_whole(data))

    def decipher_ecb(self, data: bytes) -> bytes:
        """Give the decipherment of whole blocks; DataLengthError otherwise."""
        return self.context.decipher_ecb(_whole(data))

    def encipher_cbc(self, data: bytes, iv: bytes = ZERO_IV) -> bytes:
        """Give the chained encipherment of whole blocks; DataLengthError otherwise."""
        return self.context.encipher_cbc(_whole(data), _block(iv))

    def decipher_cbc(self, data: bytes, iv: bytes = ZERO_IV) -> bytes:
        """Give the chained decipherment of whole blocks; DataLengthError otherwise."""
        return self.context.decipher_cbc(_whole(data), _block(iv))


def encipher_ecb(key: SecretBytes, data: bytes) -> bytes:
    """Give the encipherment of whole blocks under a key used once.

    Raises KeyRefusedError, DataLengthError.
    """
    return current.engine.tdes_encipher(_checked(key), _whole(data))


def decipher_ecb(key: SecretBytes, data: bytes) -> bytes:
    """Give the decipherment of whole blocks under a key used once."""
    return TdesCipher(key).decipher_ecb(data)


def encipher_cbc(key: SecretBytes, data: bytes, iv: bytes = ZERO_IV) -> bytes:
    """Give the chained encipherment of whole blocks under a key used once."""
    return TdesCipher(key).encipher_cbc(data, iv)


def decipher_cbc(key: SecretBytes, data: bytes, iv: bytes = ZERO_IV) -> bytes:
    """Give the chained decipherment of whole blocks under a key used once."""
    return TdesCipher(key).decipher_cbc(data, iv)


def check_strength(key: SecretBytes) -> None:
    """Raise KeyRefusedError for a key that TDES must not be given.

    Refused: another length than 16 or 24 bytes, a zero, weak or semi-weak part, two equal
    neighbouring parts (they cancel to single DES). Source: NIST SP 800-67 revision 2, 3.2-3.3.

    >>> check_strength(SecretBytes(bytes(16)))
    Traceback (most recent call last):
    protocols.crypto.errors.KeyRefusedError: Cryptography: part 1 of a TDES key is weak or zero.
    """
    content = key.reveal()
    if len(content) not in (16, 24):
        raise KeyRefusedError(f"a TDES key is 16 or 24 bytes, not {len(content)}")
    parts = [
        int.from_bytes(content[at : at + 8], "big") & _PARITY_MASK
        for at in range(0, len(content), 8)
    ]
    for number, part in enumerate(parts, 1):
        if part in _WEAK_HALVES:
            raise KeyRefusedError(f"part {number} of a TDES key is weak or zero")
    for number in range(1, len(parts)):
        if parts[number - 1] == parts[number]:
            raise KeyRefusedError(f"parts {number} and {number + 1} of a TDES key are equal")


def with_odd_parity(key: SecretBytes) -> SecretBytes:
    """Give the key with the low bit of every byte set so that its bits are odd in number.

    >>> with_odd_parity(SecretBytes(bytes(8))) == SecretBytes(b"\\x01" * 8)
    True
    """
    return SecretBytes(bytes(byte if byte.bit_count() % 2 else byte ^ 1 for byte in key.reveal()))


def _checked(key: SecretBytes) -> bytes:
    content = key.reveal()
    if len(content) not in (8, 16, 24):
        raise KeyRefusedError(f"a DES or TDES key is 8, 16 or 24 bytes, not {len(content)}")
    return content


def _whole(data: bytes) -> bytes:
    if len(data) % BLOCK_BYTES:
        raise DataLengthError(f"{len(data)} bytes are no whole number of 8-byte blocks")
    return data


def _block(iv: bytes) -> bytes:
    if len(iv) != BLOCK_BYTES:
        raise DataLengthError(f"an initial value is 8 bytes, not {len(iv)}")
    return iv
