"""Keys by label: generate, import, rotate, session key sets. Values leave only as SecretBytes."""

import fcntl
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Self

from programme.errors import (
    KeyNotFoundError,
    KeyRefusedError,
    KeystoreConflictError,
    KeystoreForeignError,
)
from programme.keystore import check_values, sealed_file
from programme.keystore.sealed_file import KEY_LENGTHS, Contents, KeyKind, SealedKey, Vault
from programme.limits import KEYS_MAX, SESSION_SET_NUMBER_MAX, SESSION_SETS_MAX
from protocols.clock import RandomBytes
from protocols.crypto.tdes import check_strength, with_odd_parity
from protocols.values import SecretBytes

_WORD = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}"
_LABEL = re.compile(rf"{_WORD}(/{_WORD}){{0,4}}")
_SESSION_KEYS = ("mac", "pin")
#: Generations kept of a rotated key: the current one and the one before.
_GENERATIONS_KEPT = 2


@dataclass(frozen=True, slots=True)
class SessionKeySet:
    """One session of a terminal: its number (1 to 99) and its two keys."""

    number: int
    mac: SecretBytes
    pin: SecretBytes


class Keystore:
    """An open keystore. Thread-safe; another process's change is found and refused, never lost."""

    def __init__(
        self, path: Path, vault: Vault, contents: Contents, random_bytes: RandomBytes
    ) -> None:
        """Keep what `create` or `open` made; callers use those."""
        self._path = path
        self._vault = vault
        self._contents = contents
        self._random_bytes = random_bytes
        self._lock = RLock()
        self._values: dict[tuple[str, int], SecretBytes] = {}

    @classmethod
    def create(
        cls,
        path: str | Path,
        master_key: SecretBytes,
        random_bytes: RandomBytes,
    ) -> Self:
        """Make a new empty keystore; raise KeystoreConflictError when the file exists."""
        path = Path(path)
        vault = Vault(master_key, random_bytes)
        if path.exists():
            raise KeystoreConflictError.of("keystore.there", path=str(path))
        keystore = cls(path, vault, Contents(0, {}), random_bytes)
        with keystore._file_lock():
            sealed_file.write(path, keystore._contents, vault)
        return keystore

    @classmethod
    def open(
        cls,
        path: str | Path,
        master_key: SecretBytes,
        random_bytes: RandomBytes,
    ) -> Self:
        """Open a keystore; its 32-byte master key is an argument and never written.

        Raises: KeystoreForeignError, KeystoreMasterKeyError.
        """
        path = Path(path)
        vault = Vault(master_key, random_bytes)
        return cls(path, vault, sealed_file.read(path, vault), random_bytes)

    def labels(self, prefix: str = "") -> list[str]:
        """Give the labels that begin with `prefix`, sorted."""
        return sorted(label for label in self._contents.keys if label.startswith(prefix))

    def __contains__(self, label: str) -> bool:
        return label in self._contents.keys

    def get(self, label: str, *, generation: int | None = None) -> SecretBytes:
        """Give a key's value, the newest or a named generation; raise KeyNotFoundError."""
        entry = self._entry(label, generation)
        known = self._values.get((label, entry.generation))
        if known is None:
            known = sealed_file.open_value(self._path, self._vault, label, entry)
            found = check_values.check_value(entry.kind, known)
            if found != entry.check_value:
                raise KeystoreForeignError.of(
                    "keystore.other_check_value",
                    path=str(self._path),
                    label=label,
                    found=found,
                    entry=entry.check_value,
                )
            self._values[(label, entry.generation)] = known
        return known

    def check_value(self, label: str) -> str:
        """Give the newest generation's check value: six hex digits."""
        return self._entry(label, None).check_value

    def kind(self, label: str) -> KeyKind:
        """Give what a key is for."""
        return self._entry(label, None).kind

    def generation(self, label: str) -> int:
        """Give the newest generation's number, from 1."""
        return self._entry(label, None).generation

    def generate(self, label: str, kind: KeyKind = KeyKind.TDES, length: int = 16) -> SecretBytes:
        """Make a random key under a new label and give it; raise KeyRefusedError."""
        with self._change() as keys:
            value = self._fresh(kind, length)
            self._add(keys, label, kind, value)
        return value

    def get_or_generate(self, label: str, kind: KeyKind, length: int) -> SecretBytes:
        """Give the key under a label, made now when no process has made it yet.

        Unlike `generate`, it first takes over what another process wrote meanwhile.
        """
        if label not in self:
            with self._change(take_over=True) as keys:
                if label not in keys:
                    self._add(keys, label, kind, self._fresh(kind, length))
        return self.get(label)

    def generate_all(
        self, labels: Iterable[str], kind: KeyKind = KeyKind.TDES, length: int = 16
    ) -> None:
        """Make random keys under new labels, all or none, in one write of the file."""
        with self._change() as keys:
            for label in labels:
                self._add(keys, label, kind, self._fresh(kind, length))

    def put(
        self,
        label: str,
        value: SecretBytes,
        kind: KeyKind = KeyKind.TDES,
        *,
        check_value: str | None = None,
    ) -> None:
        """Import a key under a new label, against the check value it came with.

        Raises: KeyRefusedError.
        """
        found = check_values.check_value(kind, _sized(kind, value))
        if check_value is not None and found != check_value.upper():
            raise KeyRefusedError.of(
                "keystore.check_value", label=label, found=found, expected=check_value.upper()
            )
        with self._change() as keys:
            self._add(keys, label, kind, value)

    def rotate(self, label: str) -> SecretBytes:
        """Make a new generation of a key and give it; the one before stays readable."""
        with self._change() as keys:
            newest = self._entry(label, None)
            length = len(self.get(label))
            value = self._fresh(newest.kind, length)
            fresh = self._seal(label, newest.kind, newest.generation + 1, value)
            keys[label] = (*keys[label], fresh)[-_GENERATIONS_KEPT:]
        return value

    def remove(self, label: str) -> None:
        """Forget a key; raise KeyNotFoundError."""
        with self._change() as keys:
            self._entry(label, None)
            del keys[label]

    def new_session_set(self, terminal_id: str, length: int = 16) -> SessionKeySet:
        """Make the next session key set of a terminal (decision 15).

        Earlier sets stay: the one in use, so that a lost answer locks nobody out, and the newest
        that was sent but not yet used. `confirm_session_set` ends them.
        """
        with self._change() as keys:
            numbers = self.session_sets(terminal_id)
            number = numbers[-1] if numbers else 0
            while number in numbers or not number:
                number = number % SESSION_SET_NUMBER_MAX + 1
            for old in numbers[1 : max(1, len(numbers) - SESSION_SETS_MAX + 2)]:
                self._drop_set(keys, terminal_id, old)
            pair = {}
            for name in _SESSION_KEYS:
                pair[name] = self._fresh(KeyKind.TDES, length)
                self._add(keys, _session_label(terminal_id, number, name), KeyKind.TDES, pair[name])
        return SessionKeySet(number, pair["mac"], pair["pin"])

    def session_sets(self, terminal_id: str) -> list[int]:
        """Give the numbers of a terminal's sets, oldest first."""
        prefix = f"session/{terminal_id}/"
        made = {
            int(label.split("/")[2]): keys[-1].made_at
            for label, keys in self._contents.keys.items()
            if label.startswith(prefix) and label.endswith("/mac")
        }
        return sorted(made, key=made.__getitem__)

    def session_set(self, terminal_id: str, number: int) -> SessionKeySet:
        """Give a session key set; raise KeyNotFoundError."""
        mac, pin = (self.get(_session_label(terminal_id, number, name)) for name in _SESSION_KEYS)
        return SessionKeySet(number, mac, pin)

    def confirm_session_set(self, terminal_id: str, number: int) -> bool:
        """Forget all other sets of a terminal, as this one was used; give whether any went."""
        self.session_set(terminal_id, number)
        others = [other for other in self.session_sets(terminal_id) if other != number]
        if not others:
            return False
        with self._change() as keys:
            for other in others:
                self._drop_set(keys, terminal_id, other)
        return True

    def _drop_set(
        self, keys: dict[str, tuple[SealedKey, ...]], terminal_id: str, number: int
    ) -> None:
        for name in _SESSION_KEYS:
            keys.pop(_session_label(terminal_id, number, name), None)

    def _entry(self, label: str, generation: int | None) -> SealedKey:
        entries = self._contents.keys.get(label, ())
        for entry in reversed(entries):
            if generation is None or entry.generation == generation:
                return entry
        path = str(self._path)
        if generation is None:
            raise KeyNotFoundError.of("keystore.no_key", path=path, label=label)
        raise KeyNotFoundError.of(
            "keystore.no_generation", path=path, label=label, generation=generation
        )

    def _fresh(self, kind: KeyKind, length: int) -> SecretBytes:
        value = self._random_bytes(length)
        if kind is KeyKind.TDES:
            value = with_odd_parity(SecretBytes(value)).reveal()
        return _sized(kind, SecretBytes(value))

    def _add(
        self, keys: dict[str, tuple[SealedKey, ...]], label: str, kind: KeyKind, value: SecretBytes
    ) -> None:
        if not _LABEL.fullmatch(label):
            raise KeyRefusedError.of("keystore.label")
        if label in keys:
            raise KeyRefusedError.of("keystore.label_taken", label=label)
        if len(keys) >= KEYS_MAX:
            raise KeyRefusedError.of("keystore.full", limit=KEYS_MAX)
        keys[label] = (self._seal(label, kind, 1, value),)

    def _seal(self, label: str, kind: KeyKind, generation: int, value: SecretBytes) -> SealedKey:
        return SealedKey(
            kind=kind,
            generation=generation,
            check_value=check_values.check_value(kind, value),
            made_at=self._contents.revision + 1,
            sealed=self._vault.seal(label, kind, generation, value),
        )

    @contextmanager
    def _change(self, *, take_over: bool = False) -> Iterator[dict[str, tuple[SealedKey, ...]]]:
        """Change a copy of the keys; write it durably, then take it over.

        What another process wrote meanwhile is a conflict, or with `take_over` where this begins.
        """
        with self._lock, self._file_lock():
            on_disk = sealed_file.read(self._path, self._vault)
            if take_over:
                self._contents, self._values = on_disk, {}
            if on_disk.revision != self._contents.revision:
                raise KeystoreConflictError.of("keystore.changed", path=str(self._path))
            keys = dict(self._contents.keys)
            yield keys
            contents = Contents(self._contents.revision + 1, keys)
            sealed_file.write(self._path, contents, self._vault)
            self._contents = contents
            kept = {(label, entry.generation) for label in keys for entry in keys[label]}
            self._values = {key: v for key, v in self._values.items() if key in kept}

    @contextmanager
    def _file_lock(self) -> Iterator[None]:
        lock_path = self._path.with_name(self._path.name + ".lock")
        try:
            descriptor = os.open(lock_path, os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise KeystoreConflictError.of(
                "keystore.not_made", path=str(lock_path), why=str(error.strerror)
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _sized(kind: KeyKind, value: SecretBytes) -> SecretBytes:
    if len(value) not in KEY_LENGTHS[kind]:
        allowed = ", ".join(map(str, sorted(KEY_LENGTHS[kind])))
        raise KeyRefusedError.of(
            "keystore.length", kind=kind.value, allowed=allowed, found=len(value)
        )
    if kind is KeyKind.TDES:
        check_strength(value)
    return value


def _session_label(terminal_id: str, number: int, name: str) -> str:
    return f"session/{terminal_id}/{number}/{name}"
