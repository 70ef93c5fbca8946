"""The terminal's own key file: its master key from enrolment and the session keys from the host.

One small file, sealed whole under the storage key, mode 0600, replaced in one step. Keys come out
as SecretBytes only. Design decision 15.
"""

import binascii
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

from protocols.values import SecretBytes
from terminal.errors import KeyStoreError, SealBrokenError
from terminal.sealing import Sealer

_VERSION = 1
_FILE_MAX_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """One key set as the host gave it: number (DE61), MAC key, PIN key."""

    key_set: str
    mac: SecretBytes
    pin: SecretBytes


@dataclass(frozen=True, slots=True)
class TerminalKeys:
    """All keys of a terminal; `session` is None before the first key change."""

    tmk: SecretBytes
    session: SessionKeys | None = None


class KeyStore:
    """The file and what it holds."""

    def __init__(self, path: Path, terminal_id: str, sealer: Sealer, keys: TerminalKeys) -> None:
        """Use `KeyStore.open`."""
        self._path = path
        self._label = f"lumbung/terminal keys/{_VERSION}/{terminal_id}"
        self._sealer = sealer
        self.keys = keys

    @classmethod
    def open(cls, path: Path, terminal_id: str, sealer: Sealer, tmk: SecretBytes) -> "KeyStore":
        """Open the key file, or create it with the master key of the enrolment.

        Raises KeyStoreError when the file is damaged, belongs to another terminal or storage key,
        or holds another master key than the enrolment.
        """
        store = cls(path, terminal_id, sealer, TerminalKeys(tmk))
        if not path.exists():
            store._save()
            return store
        store.keys = store._load()
        if store.keys.tmk != tmk:
            raise KeyStoreError(
                f"{path}: holds another master key than the enrolment.",
                fix="Enrol the terminal again in a directory of its own.",
            )
        return store

    def store_session(self, session: SessionKeys) -> None:
        """Keep a new key set, durably, before it is first used."""
        self.keys = replace(self.keys, session=session)
        self._save()

    def _load(self) -> TerminalKeys:
        try:
            sealed = self._path.read_bytes()
            if len(sealed) > _FILE_MAX_BYTES:
                raise KeyStoreError(f"{self._path}: larger than any key file.")
            body = json.loads(self._sealer.open(sealed, self._label))
            session = body["session"]
            return TerminalKeys(
                _key(body["tmk"]),
                session and SessionKeys(session["set"], _key(session["mac"]), _key(session["pin"])),
            )
        except (SealBrokenError, ValueError, KeyError, TypeError) as wrong:
            raise KeyStoreError(
                f"{self._path}: does not open: damaged, of another terminal, or under another"
                " storage key.",
                fix="Use the storage key of this terminal, or enrol it again.",
            ) from wrong

    def _save(self) -> None:
        session = self.keys.session
        body = {
            "tmk": _hex(self.keys.tmk),
            "session": session
            and {"set": session.key_set, "mac": _hex(session.mac), "pin": _hex(session.pin)},
        }
        sealed = self._sealer.seal(json.dumps(body).encode("ascii"), self._label)
        try:
            replace_durably(self._path, sealed)
        except OSError as failed:
            raise KeyStoreError(
                f"{self._path}: cannot write: {failed.strerror}.", fix="Free the disk."
            ) from failed


def replace_durably(path: Path, content: bytes) -> None:
    """Replace a file (mode 0600) so that a power cut leaves the old or the new one, whole."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _hex(key: SecretBytes) -> str:
    return binascii.hexlify(key.reveal()).decode("ascii")


def _key(text: str) -> SecretBytes:
    return SecretBytes(binascii.unhexlify(text))
