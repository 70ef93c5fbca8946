"""Check values: six hex digits that name a key without giving it away.

TDES and AES as ANSI X9.24-1 has them (`protocols.crypto.kcv`); HMAC keys: the first three bytes of
a SHA-256 over a word of ours and the key.
"""

import hashlib

from programme.keystore.sealed_file import KeyKind
from protocols.crypto.kcv import kcv
from protocols.values import SecretBytes


def check_value(kind: KeyKind, key: SecretBytes) -> str:
    """Give the check value of a key.

    >>> check_value(KeyKind.TDES, SecretBytes(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")))
    '08D7B4'
    """
    if kind is KeyKind.TDES:
        return kcv(key, "T")
    if kind is KeyKind.AES:
        return kcv(key, "A")
    return hashlib.sha256(b"lumbung/check value\x1f" + key.reveal()).hexdigest()[:6].upper()
