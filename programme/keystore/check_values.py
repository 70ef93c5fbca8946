"""Check values: six hex digits that name a key without giving it away.

TDES: the first three bytes of eight zero bytes enciphered; AES: of the CMAC over sixteen zero
bytes (both as X9.24-1 and TR-31 practice has them); HMAC keys: of a SHA-256 with a word of ours.
"""

import hashlib

from programme.keystore.sealed_file import KeyKind
from protocols.crypto.mac import aes_cmac
from protocols.crypto.tdes import TdesCipher
from protocols.values import SecretBytes


def check_value(kind: KeyKind, key: SecretBytes) -> str:
    """Give the check value of a key.

    >>> check_value(KeyKind.TDES, SecretBytes(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")))
    '08D7B4'
    """
    if kind is KeyKind.TDES:
        full = TdesCipher(key).encipher_ecb(bytes(8))
    elif kind is KeyKind.AES:
        full = aes_cmac(key, bytes(16))
    else:
        full = hashlib.sha256(b"lumbung/check value\x1f" + key.reveal()).digest()
    return full[:3].hex().upper()
