"""How a person is kept: sealed under AES-256-GCM, found again by HMAC (design decision 19)."""

import hmac
import json
from hashlib import sha256

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from programme.registry.names import plain_name, spelling_key
from protocols.clock import RandomBytes
from protocols.values import Pan, SecretBytes

_NONCE_BYTES = 12


class Sealer:
    """Seals what identifies a person and gives the HMACs that find it again.

    The HMAC key is 32 bytes and common to card numbers and people; each use has its own domain
    word, so that no value of one kind can stand for one of another. NIK and family numbers have
    few digits: without the key's secrecy they could be found by trial.
    """

    __slots__ = ("_aead", "_hmac_key", "_pan_inner", "_pan_outer", "_random_bytes")

    def __init__(
        self, *, hmac_key: SecretBytes, nik_key: SecretBytes, random_bytes: RandomBytes
    ) -> None:
        """Take two keys of 32 bytes; raise ValueError for another length."""
        if len(hmac_key) != 32 or len(nik_key) != 32:
            raise ValueError("the registry's keys are 32 bytes each")
        self._hmac_key = hmac_key.reveal()
        padded = self._hmac_key.ljust(sha256().block_size, b"\0")
        self._pan_inner = sha256(bytes(byte ^ 0x36 for byte in padded) + b"pan\x1f")
        self._pan_outer = sha256(bytes(byte ^ 0x5C for byte in padded))
        self._aead = AESGCM(nik_key.reveal())
        self._random_bytes = random_bytes

    def pan(self, pan: Pan) -> bytes:
        """Give the look-up value of a card number."""
        # HMAC step by step (RFC 2104), begun once: a third of a whole HMAC's time.
        inner, outer = self._pan_inner.copy(), self._pan_outer.copy()
        inner.update(pan.reveal().encode("ascii"))
        outer.update(inner.digest())
        return outer.digest()

    def nik(self, nik: str) -> bytes:
        """Give the look-up value of a population number."""
        return self._digest("nik", nik)

    def family(self, family_number: str) -> bytes:
        """Give the look-up value of a family card number."""
        return self._digest("family", family_number)

    def person(self, name: str, birth_date: str, *, apart: str = "") -> bytes:
        """Give the look-up value of a person by name and birth date, punctuation set aside.

        `apart` (a NIK) tells a person from another of the same name and day.
        """
        return self._digest("person", f"{plain_name(name)}\x1f{birth_date}" + apart)

    def likeness(self, name: str, birth_date: str) -> bytes:
        """Give the value that all spellings of a name share with one birth date."""
        return self._digest("likeness", f"{spelling_key(name)}\x1f{birth_date}")

    def token(self, token: SecretBytes) -> bytes:
        """Give what is kept of a token of the administration interface."""
        return self._digest("token", token.reveal().hex())

    def key_check(self) -> bytes:
        """Give what tells whether a registry was made with these two keys."""
        sealed = self._aead.encrypt(bytes(_NONCE_BYTES), b"", b"lumbung/registry/check")
        return self._digest("check", sealed.hex())

    def seal(self, identity: dict[str, str], binding: bytes) -> bytes:
        """Give nonce and ciphertext of an identity, bound to its NIK look-up value."""
        nonce = self._random_bytes(_NONCE_BYTES)
        plain = json.dumps(identity, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
        return nonce + self._aead.encrypt(nonce, plain, b"person\x1f" + binding)

    def open(self, sealed: bytes, binding: bytes) -> dict[str, str]:
        """Give the identity back; raise InvalidTag when one byte was altered."""
        nonce, body = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        plain = self._aead.decrypt(nonce, body, b"person\x1f" + binding)
        identity: dict[str, str] = json.loads(plain)
        return identity

    def _digest(self, domain: str, text: str) -> bytes:
        return hmac.digest(self._hmac_key, f"{domain}\x1f{text}".encode(), "sha256")
