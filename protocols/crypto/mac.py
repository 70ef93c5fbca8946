"""Message authentication codes: ISO/IEC 9797-1 algorithms 1 and 3, AES-CMAC.

`RetailMac` keeps its contexts: hold one per session key. Comparison takes constant time.
"""

import hmac
from collections.abc import Sequence
from typing import Literal

from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.cmac import CMAC

from protocols.crypto import aes, pure, tdes
from protocols.crypto.engine import current
from protocols.crypto.errors import CryptoError, KeyRefusedError
from protocols.values import SecretBytes

#: ISO/IEC 9797-1 padding: 1 zeros, 2 one bit and zeros, 3 length in front and zeros.
Padding = Literal[1, 2, 3]

#: A truncated MAC shorter than this protects nothing. ISO 9807 allows 4 bytes.
SHORTEST_MAC_BYTES = 4


class RetailMac:
    """The MAC of ISO/IEC 9797-1 algorithm 3 under one 16-byte key.

    >>> mac = RetailMac(SecretBytes(b"AAAAAAAABBBBBBBB"), padding=2)
    >>> mac.mac(b"hello world").hex()
    'e16941032c3bc7d4'
    >>> mac.verify(b"hello world", bytes.fromhex("e16941032c3bc7d4"))
    True
    """

    __slots__ = ("kept",)

    def __init__(self, key: SecretBytes, padding: Padding = 1) -> None:
        """Set up the contexts; raise KeyRefusedError when the key is not 16 bytes."""
        #: The engine's context and the padding, as the native core takes them.
        self.kept = (current.engine.RetailMac(_double_key(key)), _checked(padding))

    def mac(self, data: bytes) -> bytes:
        """Give the 8-byte MAC."""
        context, padding = self.kept
        return context.mac(data, padding)

    def verify(self, data: bytes, given: bytes) -> bool:
        """Tell, in constant time, whether `given` (8 bytes, or its first 4 to 7) is the MAC."""
        return same_mac(self.mac(data), given)


def retail_mac(key: SecretBytes, data: bytes, padding: Padding = 1) -> bytes:
    """Give the 8-byte algorithm 3 MAC under a 16-byte key used once.

    Raises KeyRefusedError. Source: ISO/IEC 9797-1:2011, 7.4; ANSI X9.19.

    >>> retail_mac(SecretBytes(b"AAAAAAAABBBBBBBB"), b"hello world", padding=3).hex()
    'ba90f750ef43f668'
    """
    return current.engine.retail_mac(_double_key(key), data, _checked(padding))


def cbc_mac(key: SecretBytes, data: bytes, padding: Padding = 1) -> bytes:
    """Give the 8-byte algorithm 1 MAC with TDES. Source: ISO/IEC 9797-1:2011, 7.2.

    >>> cbc_mac(SecretBytes(bytes.fromhex("AA" * 8 + "BB" * 8)), b"hello world").hex()
    '68d9038f23360df3'
    """
    return tdes.encipher_cbc(key, pure.pad(data, _checked(padding)))[-8:]


def aes_cmac(key: SecretBytes, data: bytes) -> bytes:
    """Give the 16-byte CMAC with AES. Source: NIST SP 800-38B; RFC 4493.

    >>> aes_cmac(SecretBytes(bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C")), b"").hex()
    'bb1d6929e95937287fa37d129b756746'
    """
    context = CMAC(algorithms.AES(aes.checked_key(key)))
    context.update(data)
    return context.finalize()


def tdes_cmac(key: SecretBytes, data: bytes) -> bytes:
    """Give the 8-byte CMAC with TDES, as key blocks of version B use it. Source: SP 800-38B."""
    cipher = tdes.TdesCipher(key)
    subkey = _double(cipher.encipher_ecb(bytes(8)))
    if not data or len(data) % 8:
        subkey = _double(subkey)
        data = data + b"\x80" + bytes(-(len(data) + 1) % 8)
    return cipher.encipher_cbc(data[:-8] + pure.xor(data[-8:], subkey))[-8:]


def verify_mac(key: SecretBytes, data: bytes, given: bytes, padding: Padding = 1) -> bool:
    """Tell, in constant time, whether `given` is the retail MAC (or its first 4 to 7 bytes)."""
    return same_mac(retail_mac(key, data, padding), given)


def verify_batch(claims: Sequence[tuple[RetailMac, bytes, bytes]]) -> list[bool]:
    """Tell of each (key, covered bytes, given MAC) whether it holds, in order.

    The native engine checks them all while other Python threads run on.

    >>> key = RetailMac(SecretBytes(b"AAAAAAAABBBBBBBB"), padding=2)
    >>> verify_batch([(key, b"hello world", key.mac(b"hello world")), (key, b"", bytes(8))])
    [True, False]
    """
    return current.engine.verify_macs([(*key.kept, data, given) for key, data, given in claims])


def same_mac(computed: bytes, given: bytes) -> bool:
    """Compare in constant time; a given MAC of 4 bytes or more may be a leading part.

    >>> same_mac(b"12345678", b"1234"), same_mac(b"12345678", b"123"), same_mac(b"1234", b"12345")
    (True, False, False)
    """
    if not SHORTEST_MAC_BYTES <= len(given) <= len(computed):
        return False
    return hmac.compare_digest(computed[: len(given)], given)


def _double(block: bytes) -> bytes:
    """Give the block times x in GF(2^64). Source: NIST SP 800-38B, 6.1."""
    value = int.from_bytes(block, "big") << 1
    return ((value & (1 << 64) - 1) ^ (0x1B if value >> 64 else 0)).to_bytes(8, "big")


def _double_key(key: SecretBytes) -> bytes:
    content = key.reveal()
    if len(content) != 16:
        raise KeyRefusedError(f"a retail MAC key is 16 bytes, not {len(content)}")
    return content


def _checked(padding: Padding) -> Padding:
    if padding not in (1, 2, 3):
        raise CryptoError("a padding method is 1, 2 or 3")
    return padding
