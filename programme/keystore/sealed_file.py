"""The keystore's file: JSON, each key under AES-256-GCM, the whole under an HMAC, mode 0600.

Each key is bound to its label, kind and generation, so entries cannot be exchanged; the HMAC over
the whole finds removed and altered entries. Both keys are derived from the master key by HKDF
(RFC 5869), so that the master key itself enciphers nothing.
"""

import hmac
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from programme.errors import KeystoreConflictError, KeystoreForeignError, KeystoreMasterKeyError
from programme.limits import KEYSTORE_BYTES_MAX
from protocols.clock import RandomBytes
from protocols.values import SecretBytes

FORMAT = "lumbung keystore"
VERSION = 1
_NONCE_BYTES = 12


class KeyKind(StrEnum):
    """What a key is for, by its cipher; it decides the length and the check value."""

    TDES = "tdes"
    AES = "aes"
    #: Key of an HMAC: 32 bytes.
    HMAC = "hmac"


#: Lengths in bytes that a kind may have.
KEY_LENGTHS = {
    KeyKind.TDES: frozenset({16, 24}),
    KeyKind.AES: frozenset({16, 24, 32}),
    KeyKind.HMAC: frozenset({32}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedKey:
    """One key as it stands in the file: everything but its value is in clear.

    `made_at` is the file's revision that brought it.
    """

    kind: KeyKind
    generation: int
    check_value: str
    made_at: int
    sealed: bytes

    def to_json(self) -> dict[str, Any]:
        """Give the JSON object."""
        return {
            "kind": self.kind.value,
            "generation": self.generation,
            "check_value": self.check_value,
            "made_at": self.made_at,
            "sealed": self.sealed.hex(),
        }

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Self:
        """Give the entry; raise KeyError, TypeError or ValueError when it is none."""
        return cls(
            kind=KeyKind(entry["kind"]),
            generation=int(entry["generation"]),
            check_value=str(entry["check_value"]),
            made_at=int(entry["made_at"]),
            sealed=bytes.fromhex(entry["sealed"]),
        )


@dataclass(frozen=True, slots=True)
class Contents:
    """What one version of the file holds: by label, the generations, newest last."""

    revision: int
    keys: dict[str, tuple[SealedKey, ...]]


class Vault:
    """The two derived keys: seals and opens values, signs and checks the file."""

    __slots__ = ("_aead", "_mac_key", "_random_bytes")

    def __init__(self, master_key: SecretBytes, random_bytes: RandomBytes) -> None:
        """Take the 32-byte master key; raise KeystoreMasterKeyError for another length."""
        if len(master_key) != 32:
            raise KeystoreMasterKeyError.of("keystore.master_length", found=len(master_key))
        self._aead = AESGCM(_derive(master_key, b"lumbung/keystore/seal"))
        self._mac_key = _derive(master_key, b"lumbung/keystore/file")
        self._random_bytes = random_bytes

    def seal(self, label: str, kind: KeyKind, generation: int, value: SecretBytes) -> bytes:
        """Give nonce and ciphertext of a key."""
        nonce = self._random_bytes(_NONCE_BYTES)
        binding = _binding(label, kind, generation)
        return nonce + self._aead.encrypt(nonce, value.reveal(), binding)

    def open(self, label: str, key: SealedKey) -> SecretBytes:
        """Give a key's value; raise InvalidTag when entry and binding differ."""
        nonce, body = key.sealed[:_NONCE_BYTES], key.sealed[_NONCE_BYTES:]
        binding = _binding(label, key.kind, key.generation)
        return SecretBytes(self._aead.decrypt(nonce, body, binding))

    def master_check(self) -> str:
        """Give what tells whether a file was made with this master key."""
        return hmac.digest(self._mac_key, b"master key check", "sha256").hex()

    def sign(self, body: bytes) -> str:
        """Give the HMAC-SHA256 of the file's content as hex."""
        return hmac.digest(self._mac_key, b"file\x1f" + body, "sha256").hex()


def write(path: Path, contents: Contents, vault: Vault) -> None:
    """Replace the file atomically and durably, mode 0600."""
    body = _body(contents, vault)
    document = {**body, "mac": vault.sign(_canonical(body))}
    text = json.dumps(document, indent=1, sort_keys=True).encode("ascii") + b"\n"
    temporary = path.with_name(path.name + ".new")
    try:
        with suppress(FileNotFoundError):
            temporary.unlink()
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        raise KeystoreConflictError.of(
            "keystore.not_written", path=str(path), why=str(error.strerror)
        ) from error


def read(path: Path, vault: Vault) -> Contents:
    """Give what the file holds.

    Raises: KeystoreForeignError (not ours, another version, altered), KeystoreMasterKeyError.
    """
    document = _parse(path)
    if document.get("format") != FORMAT:
        raise _foreign(path, "keystore.foreign")
    if document.get("version") != VERSION:
        found = str(document.get("version"))
        raise _foreign(path, "keystore.version", found=found, read=str(VERSION))
    if not hmac.compare_digest(str(document.get("master_check")), vault.master_check()):
        raise KeystoreMasterKeyError.of("keystore.master_other", path=str(path))
    mac = str(document.pop("mac", ""))
    if not hmac.compare_digest(mac, vault.sign(_canonical(document))):
        raise _foreign(path, "keystore.altered")
    try:
        keys = {
            str(label): tuple(SealedKey.from_json(entry) for entry in entries)
            for label, entries in document["keys"].items()
        }
        return Contents(int(document["revision"]), keys)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _foreign(path, "keystore.fields") from error


def open_value(path: Path, vault: Vault, label: str, key: SealedKey) -> SecretBytes:
    """Give a key's value; raise KeystoreForeignError when its entry was altered."""
    try:
        return vault.open(label, key)
    except InvalidTag as error:
        raise _foreign(path, "keystore.entry_altered", label=label) from error


def _parse(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > KEYSTORE_BYTES_MAX:
            raise _foreign(path, "keystore.too_large")
        document = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise _foreign(path, "keystore.missing") from error
    except OSError as error:
        raise _foreign(path, "keystore.unreadable", why=str(error.strerror)) from error
    except ValueError as error:
        raise _foreign(path, "keystore.foreign") from error
    if not isinstance(document, dict):
        raise _foreign(path, "keystore.foreign")
    return document


def _foreign(path: Path, key: str, **values: str) -> KeystoreForeignError:
    return KeystoreForeignError.of(key, path=str(path), **values)


def _body(contents: Contents, vault: Vault) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "revision": contents.revision,
        "master_check": vault.master_check(),
        "keys": {label: [k.to_json() for k in keys] for label, keys in contents.keys.items()},
    }


def _canonical(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode("ascii")


def _binding(label: str, kind: KeyKind, generation: int) -> bytes:
    return f"{label}\x1f{kind.value}\x1f{generation}".encode("ascii")


def _derive(master_key: SecretBytes, purpose: bytes) -> bytes:
    kdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=purpose)
    return kdf.derive(master_key.reveal())


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
