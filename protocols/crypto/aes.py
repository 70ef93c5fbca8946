"""AES with keys of 16, 24 or 32 bytes. Source: FIPS 197; NIST SP 800-38A.

`AesCipher` keeps its contexts: hold one per key that is used again.
"""

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from protocols.crypto.errors import DataLengthError, KeyRefusedError
from protocols.values import SecretBytes

BLOCK_BYTES = 16
ZERO_IV = bytes(BLOCK_BYTES)


class AesCipher:
    """AES under one key, contexts kept.

    >>> cipher = AesCipher(SecretBytes(bytes(range(16))))
    >>> cipher.encipher_ecb(bytes.fromhex("00112233445566778899aabbccddeeff")).hex()
    '69c4e0d86a7b0430d8cdb78070b4c55a'
    """

    __slots__ = ("_algorithm", "_decryptor", "_encryptor")

    def __init__(self, key: SecretBytes) -> None:
        """Set up the contexts; raise KeyRefusedError for a key of another length."""
        self._algorithm = algorithms.AES(checked_key(key))
        ecb = Cipher(self._algorithm, modes.ECB())  # noqa: S305 - single blocks, as the standards have it
        self._encryptor = ecb.encryptor()
        self._decryptor = ecb.decryptor()

    def encipher_ecb(self, data: bytes) -> bytes:
        """Give the encipherment of whole blocks; DataLengthError otherwise."""
        return self._encryptor.update(_whole(data))

    def decipher_ecb(self, data: bytes) -> bytes:
        """Give the decipherment of whole blocks; DataLengthError otherwise."""
        return self._decryptor.update(_whole(data))

    def encipher_cbc(self, data: bytes, iv: bytes = ZERO_IV) -> bytes:
        """Give the chained encipherment of whole blocks; DataLengthError otherwise."""
        return Cipher(self._algorithm, modes.CBC(_block(iv))).encryptor().update(_whole(data))

    def decipher_cbc(self, data: bytes, iv: bytes = ZERO_IV) -> bytes:
        """Give the chained decipherment of whole blocks; DataLengthError otherwise."""
        return Cipher(self._algorithm, modes.CBC(_block(iv))).decryptor().update(_whole(data))

    def encipher_ctr(self, data: bytes, counter: bytes) -> bytes:
        """Give data of any length in counter mode; enciphering twice gives it back."""
        return Cipher(self._algorithm, modes.CTR(_block(counter))).encryptor().update(data)


def check_not_zero(key: SecretBytes) -> None:
    """Raise KeyRefusedError for a key of zeros: one that was never set."""
    if not any(key.reveal()):
        raise KeyRefusedError("a key of zeros")


def encipher_ecb(key: SecretBytes, data: bytes) -> bytes:
    """Give the encipherment of whole blocks under a key used once."""
    return AesCipher(key).encipher_ecb(data)


def decipher_ecb(key: SecretBytes, data: bytes) -> bytes:
    """Give the decipherment of whole blocks under a key used once."""
    return AesCipher(key).decipher_ecb(data)


def encipher_cbc(key: SecretBytes, data: bytes, iv: bytes = ZERO_IV) -> bytes:
    """Give the chained encipherment of whole blocks under a key used once."""
    return AesCipher(key).encipher_cbc(data, iv)


def decipher_cbc(key: SecretBytes, data: bytes, iv: bytes = ZERO_IV) -> bytes:
    """Give the chained decipherment of whole blocks under a key used once."""
    return AesCipher(key).decipher_cbc(data, iv)


def checked_key(key: SecretBytes) -> bytes:
    """Give the content of a key of 16, 24 or 32 bytes; raise KeyRefusedError for another."""
    content = key.reveal()
    if len(content) not in (16, 24, 32):
        raise KeyRefusedError(f"an AES key is 16, 24 or 32 bytes, not {len(content)}")
    return content


def _whole(data: bytes) -> bytes:
    if len(data) % BLOCK_BYTES:
        raise DataLengthError(f"{len(data)} bytes are no whole number of 16-byte blocks")
    return data


def _block(value: bytes) -> bytes:
    if len(value) != BLOCK_BYTES:
        raise DataLengthError(f"an initial value is 16 bytes, not {len(value)}")
    return value
