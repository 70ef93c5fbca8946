"""Sealing small values under the terminal's storage key: AES-256-GCM, bound to where they stand.

Sealed values are `nonce (12) || ciphertext || tag (16)`. The label is authenticated with them, so
that a value cut out of one record does not open in another. The nonce is drawn from the random
bytes, the label and the content under a key of its own, so that a generator that repeats itself
(a seeded one in a simulation) never enciphers two values under one nonce.
Source: NIST SP 800-38D, 8.2; RFC 5869 for the key of the nonces.
"""

import hmac
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from protocols.clock import RandomBytes
from protocols.values import SecretBytes
from terminal.errors import SealBrokenError

_NONCE_BYTES = 12
_KEY_BYTES = 32


class Sealer:
    """Seals and opens values under one storage key."""

    __slots__ = ("_cipher", "_nonce_key", "_random_bytes")

    def __init__(self, storage_key: SecretBytes, random_bytes: RandomBytes) -> None:
        """Take a key of 32 bytes; raise ValueError for another length."""
        if len(storage_key) != _KEY_BYTES:
            raise ValueError(f"a storage key has {_KEY_BYTES} bytes, not {len(storage_key)}")
        self._cipher = AESGCM(storage_key.reveal())
        self._nonce_key = hmac.digest(storage_key.reveal(), b"lumbung/terminal nonce/1", sha256)
        self._random_bytes = random_bytes

    def seal(self, content: bytes, label: str) -> bytes:
        """Give the content sealed under `label`."""
        drawn = self._random_bytes(_NONCE_BYTES) + f"{label}\n".encode("ascii") + content
        nonce = hmac.digest(self._nonce_key, drawn, sha256)[:_NONCE_BYTES]
        return nonce + self._cipher.encrypt(nonce, content, label.encode("ascii"))

    def open(self, sealed: bytes, label: str) -> bytes:
        """Give the content; raise SealBrokenError when key, bytes or label do not fit."""
        nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, ciphertext, label.encode("ascii"))
        except (InvalidTag, ValueError) as broken:
            raise SealBrokenError(
                "A sealed value does not open.",
                internal=f"seal broken, label {label}, {len(sealed)} bytes",
                fix="Use the storage key that this terminal was set up with.",
            ) from broken
