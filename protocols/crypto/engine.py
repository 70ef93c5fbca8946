"""Which engine does the work: `protocols._core` when it was built, else `protocols.crypto.pure`.

Both give the same bytes; every vector runs through both. Assigning `current.engine` is for tests
and benchmarks that compare them.
"""

import importlib
from collections.abc import Mapping
from typing import Any, Protocol, cast

from protocols.crypto import pure
from protocols.crypto.pure import ChipVerdict


class TdesContext(Protocol):
    """TDES under one key. Callers have checked every length."""

    def encipher_ecb(self, data: bytes) -> bytes:
        """Give the encipherment of whole blocks."""

    def decipher_ecb(self, data: bytes) -> bytes:
        """Give the decipherment of whole blocks."""

    def encipher_cbc(self, data: bytes, iv: bytes) -> bytes:
        """Give the chained encipherment of whole blocks."""

    def decipher_cbc(self, data: bytes, iv: bytes) -> bytes:
        """Give the chained decipherment of whole blocks."""

    def encipher_pin_block_0(self, pin: str, pan_part: str) -> bytes:
        """Give an enciphered format 0 PIN block."""

    def translate_pin_block_0(self, target: Any, block: bytes, pan_part: str) -> bytes | None:
        """Give a format 0 block under another key of the same engine, None when malformed."""


class MacContext(Protocol):
    """Retail MAC under one key."""

    def mac(self, data: bytes, padding: int) -> bytes:
        """Give the 8-byte MAC."""


class PowerContext(Protocol):
    """A secret exponent and its modulus."""

    def power(self, base: bytes) -> bytes:
        """Give base to the exponent, as long as the modulus."""


class IssuerContext(Protocol):
    """The issuer's cryptogram key and what its cards' cryptograms cover."""

    def check(self, card: bytes, chip: bytes) -> ChipVerdict:
        """Check the cryptogram in raw chip data of the card with this diversification block."""

    def check_tags(self, card: bytes, tags: Mapping[str, bytes]) -> ChipVerdict:
        """Check the same of tags that were taken apart: hex text of the tag to value."""

    def check_batch(self, claims: list[tuple[bytes, bytes]]) -> list[ChipVerdict]:
        """Check many."""


class Engine(Protocol):
    """What an engine offers, on bare bytes that callers have checked."""

    NAME: str

    def Tdes(self, key: bytes) -> TdesContext:  # noqa: N802 - a class in both engines
        """Set up TDES under a key of 8, 16 or 24 bytes."""

    def RetailMac(self, key: bytes) -> MacContext:  # noqa: N802 - a class in both engines
        """Set up the retail MAC under a key of 16 bytes."""

    def ModPower(self, modulus: bytes, exponent: bytes) -> PowerContext:  # noqa: N802 - a class
        """Set up raising to a secret exponent modulo an odd number."""

    def tdes_encipher(self, key: bytes, data: bytes) -> bytes:
        """Give TDES ECB under a key used once."""

    def retail_mac(self, key: bytes, data: bytes, padding: int) -> bytes:
        """Give the algorithm 3 MAC under a key used once."""

    def icc_master_key(self, imk: bytes, block: bytes) -> bytes:
        """Give the card's master key from its diversification block."""

    def common_session_key(self, master_key: bytes, diversifier: bytes) -> bytes:
        """Give the EMV common session key."""

    def issuer_cryptogram(
        self, imk: bytes, block: bytes, diversifier: bytes, data: bytes, padding: int
    ) -> bytes:
        """Give a card's cryptogram from the issuer's key."""

    def arpc_method1(self, session_key: bytes, arqc: bytes, arc: bytes) -> bytes:
        """Give the 8-byte ARPC."""

    def IssuerKey(  # noqa: N802 - a class in both engines
        self, imk: bytes, order: list[tuple[bytes, int]], bounds: tuple[int, int, int, int]
    ) -> IssuerContext:
        """Set up an issuer's key. `order`: covered tags, each with its length, 0 for any."""

    def verify_macs(self, claims: list[tuple[Any, int, bytes, bytes]]) -> list[bool]:
        """Tell of each (context, padding, data, given MAC) whether it holds."""

    def check_pin_0(
        self, cipher: Any, block: bytes, pan_part: str, pvk: Any, offset: str, decimals: str
    ) -> int:
        """Give 1 when a format 0 block holds the PIN of an IBM 3624 offset, 0 when another,
        2 when none."""

    def lrc(self, data: bytes) -> int:
        """Give the exclusive or of all bytes."""

    def tlv_flat(
        self, data: bytes, leaves: bool, bounds: tuple[int, int, int, int]
    ) -> dict[str, bytes] | None:
        """Give tag and value of every object; None when the parser must look (and word a fault).

        `bounds`: input bytes, depth, tag bytes, objects.
        """


def _load_native() -> Engine | None:
    try:
        core = importlib.import_module("protocols._core")
    except ImportError:
        return None
    return cast(Engine, core.crypto)


native: Engine | None = _load_native()


class _Current:
    """The engine in use, one attribute away for every caller."""

    __slots__ = ("engine",)
    engine: Engine

    def __init__(self) -> None:
        self.engine = pure if native is None else native


current = _Current()


def engines() -> list[Engine]:
    """Give every engine that can run here, the pure one first."""
    return [pure] if native is None else [pure, native]


def is_native() -> bool:
    """Tell whether the native engine is in use."""
    return current.engine is not pure
