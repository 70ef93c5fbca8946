"""Open a programme's parts on one data directory: keystore, registry, ledger.

The composition root for whatever runs on a data directory: the demo, `lumbung switch run`, the
terminal commands. Each part gets its clock, its random bytes and its keys from here.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from ledger import open_ledger
from ledger.choosing import Engine
from ledger.port import Ledger
from lumbung.data_directory import DataDirectory
from lumbung.system import story_master_key
from programme.keystore import KeyKind, Keystore
from programme.registry import Registry
from protocols.catalogue import LANGUAGES
from protocols.catalogue import text as said
from protocols.clock import Clock, RandomBytes
from protocols.errors import ConfigurationError
from protocols.values import SecretBytes

MASTER_KEY_VARIABLE = "LUMBUNG_MASTER_KEY"

#: The key under which the switch's raw journal is sealed.
JOURNAL_KEY = "switch/journal"

#: Keys of the programme itself: label -> (kind, bytes).
PROGRAMME_KEYS = {
    "imk_ac": (KeyKind.TDES, 16),
    "pvk": (KeyKind.TDES, 16),
    "registry/hmac": (KeyKind.HMAC, 32),
    "registry/nik": (KeyKind.AES, 32),
    JOURNAL_KEY: (KeyKind.AES, 32),
}

#: Gives a generator of random bytes for a named part.
RandomFor = Callable[[str], RandomBytes]


@dataclass(slots=True)
class Offices:
    """Keystore and registry of one programme: what needs no ledger."""

    data: DataDirectory
    clock: Clock
    random_for: RandomFor
    keystore: Keystore
    registry: Registry

    def close(self) -> None:
        """Close the registry; the directory stays as it is."""
        self.registry.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(slots=True)
class Composition(Offices):
    """All opened parts of one programme; the process that has it is the one writer."""

    ledger: Ledger

    def close(self) -> None:
        """Close the parts in the reverse order of opening; the directory stays locked."""
        self.ledger.close()
        self.registry.close()


def open_offices(data: DataDirectory, clock: Clock, random_for: RandomFor) -> Offices:
    """Open keystore and registry of a data directory, making what is missing.

    Raises what the parts raise: each says which file, what is wrong and how to mend it.
    """
    keystore = open_keystore(data, random_for("keystore"))
    registry = Registry.open(
        data.registry_place(),
        hmac_key=keystore.get("registry/hmac"),
        nik_key=keystore.get("registry/nik"),
        clock=clock,
        random_bytes=random_for("registry"),
    )
    return Offices(data, clock, random_for, keystore, registry)


def compose(
    data: DataDirectory, clock: Clock, random_for: RandomFor, *, engine: Engine = "auto"
) -> Composition:
    """Open keystore, registry and ledger of a data directory, making what is missing."""
    offices = open_offices(data, clock, random_for)
    try:
        ledger = open_ledger(
            data.ledger, now_ns=clock.now_ns, random_bytes=random_for("ledger"), engine=engine
        )
    except BaseException:
        offices.close()
        raise
    return Composition(data, clock, random_for, offices.keystore, offices.registry, ledger)


def open_keystore(data: DataDirectory, random_bytes: RandomBytes) -> Keystore:
    """Open the keystore, or make it with the programme's own keys.

    A process killed while it made the keys leaves some of them: the missing ones are made now.
    """
    opening = Keystore.open if data.keystore.exists() else Keystore.create
    keystore = opening(data.keystore, master_key_for(data), random_bytes)
    for label, (kind, length) in PROGRAMME_KEYS.items():
        if label not in keystore:
            keystore.generate(label, kind, length)
    return keystore


#: The master key that was in the environment, once it was taken from there.
_taken: list[SecretBytes] = []


def master_key_for(data: DataDirectory) -> SecretBytes:
    """Give the master key: of the story from its seed, of a real programme from the environment.

    Raises ConfigurationError without one. It is taken out of the environment, so that no child
    gets it, and kept for the parts that this process opens later; it is never written.
    """
    if data.manifest.seed is not None:
        return story_master_key(data.manifest.seed)
    text = os.environ.pop(MASTER_KEY_VARIABLE, None)
    if text is None and _taken:
        return _taken[0]
    try:
        key = bytes.fromhex(text or "")
    except ValueError:
        key = b""
    if len(key) != 32:
        told = (_no_master_key(lang) for lang in LANGUAGES)
        raise ConfigurationError(" / ".join(told))
    _taken[:] = [SecretBytes(key)]
    return _taken[0]


def _no_master_key(lang: str) -> str:
    return said("directory.master_key", lang, variable=MASTER_KEY_VARIABLE)
