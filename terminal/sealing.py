"""Sealing small values under the terminal's storage key: AES-256-GCM, bound to where they stand.

Sealed values are `nonce (12) || ciphertext || tag (16)`. The label is authenticated with them, so
that a value cut out of one record does not open in another. Source: NIST SP 800-38D.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from protocols.clock import RandomBytes
from protocols.values import SecretBytes
from terminal.errors import SealBrokenError

_NONCE_BYTES = 12
_KEY_BYTES = 32


class Sealer:
    """Seals and opens values under one storage key."""

    __slots__ = ("_cipher", "_random_bytes")

    def __init__(self, storage_key: SecretBytes, random_bytes: RandomBytes) -> None:
        """Take a key of 32 bytes; raise ValueError for another length."""
        if len(storage_key) != _KEY_BYTES:
            raise ValueError(f"a storage key has {_KEY_BYTES} bytes, not {len(storage_key)}")
        self._cipher = AESGCM(storage_key.reveal())
        self._random_bytes = random_bytes

    def seal(self, content: bytes, label: str) -> bytes:
        """Give the content sealed under `label`."""
        nonce = self._random_bytes(_NONCE_BYTES)
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
