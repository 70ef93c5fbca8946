"""The clear part of a TR-31 key block: what the key inside may be used for.

Source: ANSI X9.143:2021, 6; ASC X9 TR 31:2018, 5 and Annex A; ISO 20038:2017 (version E).
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files

from protocols.crypto import limits
from protocols.crypto.errors import KeyBlockError

HEADER_CHARACTERS = 16
#: Bytes of an extended length, two hexadecimal digits each. Source: X9.143:2021, 6.2, table 1.
_EXTENDED_BYTES = 2
VERSIONS = "ABCDE"

_CODES: Mapping[str, Mapping[str, Mapping[str, str]]] = tomllib.loads(
    files("protocols.crypto").joinpath("tr31.toml").read_text("utf-8")
)
_HEX = frozenset("0123456789ABCDEF")


@dataclass(frozen=True, slots=True)
class OptionalBlock:
    """One optional block: two-character identifier and its data as printable text."""

    identifier: str
    data: str

    def encoded(self) -> str:
        """Give identifier, length (extended when above 255) and data.

        An extended length is announced by a short one of 00 and by the bytes that its hexadecimal
        digits stand for: two, hence 02 in front of four digits.

        >>> OptionalBlock("LB", "A" * 300).encoded()[:10]
        'LB00020136'
        """
        length = 4 + len(self.data)
        if length <= 0xFF:
            return f"{self.identifier}{length:02X}{self.data}"
        return f"{self.identifier}00{_EXTENDED_BYTES:02X}{length + 6:04X}{self.data}"


@dataclass(frozen=True, slots=True)
class KeyBlockHeader:
    """What a key block says of its key.

    `version` A to E; `usage` such as M3 (retail MAC key), P0 (PIN key), K1 (key block protection
    key); `algorithm` T or A; `mode` such as B, G, V, E, N; `key_version` two characters;
    `exportability` E, N or S; `context` 0 (storage or exchange), 1 or 2.

    >>> KeyBlockHeader("B", "P0", "T", "E").describe()
    'PIN encryption key, TDES, encrypt only, not exportable'
    """

    version: str
    usage: str
    algorithm: str
    mode: str
    key_version: str = "00"
    exportability: str = "N"
    context: str = "0"
    options: tuple[OptionalBlock, ...] = ()

    def describe(self) -> str:
        """Give what the codes mean, for people; unknown codes as they are."""
        known = (
            _CODES["usage"].get(self.usage, {}).get("meaning", f"usage {self.usage}"),
            _CODES["algorithm"].get(self.algorithm, {}).get("meaning", self.algorithm),
            _CODES["mode"].get(self.mode, {}).get("meaning", f"mode {self.mode}"),
            _CODES["exportability"].get(self.exportability, {}).get("meaning", "?"),
        )
        return ", ".join(known)

    def require(self, *, usage: str, algorithm: str, modes: str) -> None:
        """Raise KeyBlockError when the key inside is meant for something else.

        `modes` lists the modes of use that will do. A receiver calls this before it takes a key:
        a PIN key must never serve as a MAC key because a message said so.
        """
        if self.usage != usage:
            raise KeyBlockError(f"the key block is for usage {self.usage}, not {usage}")
        if self.algorithm != algorithm:
            raise KeyBlockError(f"the key is for algorithm {self.algorithm}, not {algorithm}")
        if self.mode not in modes:
            raise KeyBlockError(f"the key's mode {self.mode} is none of {modes}")

    def option(self, identifier: str) -> str | None:
        """Give the data of an optional block, None when absent."""
        for block in self.options:
            if block.identifier == identifier:
                return block.data
        return None


def parse_header(text: str) -> tuple[KeyBlockHeader, int]:
    """Give the header and where the enciphered part begins. Raises KeyBlockError."""
    if len(text) < HEADER_CHARACTERS:
        raise KeyBlockError(f"{len(text)} characters are no key block header")
    if not text.isascii() or not text.isprintable():
        raise KeyBlockError("a key block holds printable ASCII only")
    if len(text) > limits.KEY_BLOCK_CHARACTERS:
        raise KeyBlockError(f"longer than {limits.KEY_BLOCK_CHARACTERS} characters")
    if text[0] not in VERSIONS:
        raise KeyBlockError("an unknown key block version")
    if not text[1:5].isdecimal() or int(text[1:5]) != len(text):
        raise KeyBlockError("the length in the header is not that of the block")
    if not text[12:14].isdecimal():
        raise KeyBlockError("the number of optional blocks is no number")
    options, at = _parse_options(text, int(text[12:14]))
    header = KeyBlockHeader(
        text[0], text[5:7], text[7], text[8], text[9:11], text[11], text[14], options
    )
    check_codes(header)
    if text[15] != "0":
        raise KeyBlockError("the reserved character of the header is not 0")
    return header, at


def encode_header(header: KeyBlockHeader, body_characters: int) -> str:
    """Give the header's text, a padding block PB added where the cipher's block size asks for it.

    `body_characters` counts the hex digits behind it. Raises KeyBlockError.
    """
    check_codes(header)
    options = _aligned(header)
    text = "".join(block.encoded() for block in options)
    total = HEADER_CHARACTERS + len(text) + body_characters
    if total > limits.KEY_BLOCK_CHARACTERS or len(options) > limits.KEY_BLOCK_OPTIONS:
        raise KeyBlockError("the key block would be longer than its length field can say")
    fixed = (
        f"{header.version}{total:04d}{header.usage}{header.algorithm}{header.mode}"
        f"{header.key_version}{header.exportability}{len(options):02d}{header.context}0"
    )
    return fixed + text


def check_codes(header: KeyBlockHeader) -> None:
    """Raise KeyBlockError for codes that the standard does not lay down or leaves to nobody.

    Usages whose first character is a digit are proprietary (X9.143:2021, table 2) and pass.
    """
    if header.version not in VERSIONS or len(header.version) != 1:
        raise KeyBlockError("an unknown key block version")
    if not (header.usage in _CODES["usage"] or _is_proprietary(header.usage)):
        raise KeyBlockError("an unknown key usage")
    for name, code in (
        ("algorithm", header.algorithm),
        ("mode", header.mode),
        ("exportability", header.exportability),
        ("context", header.context),
    ):
        if code not in _CODES[name]:
            raise KeyBlockError(f"an unknown {name} code")
    if len(header.key_version) != 2 or not _is_alphanumeric(header.key_version):
        raise KeyBlockError("a key version is two letters or digits")
    seen: set[str] = set()
    for block in header.options:
        _check_option(block, seen)


def _check_option(block: OptionalBlock, seen: set[str]) -> None:
    if len(block.identifier) != 2 or not _is_alphanumeric(block.identifier):
        raise KeyBlockError("an optional block's identifier is two letters or digits")
    if block.identifier in seen:
        raise KeyBlockError("an optional block comes twice")
    if not block.data.isascii() or not (block.data.isprintable()):
        raise KeyBlockError("an optional block holds printable ASCII only")
    seen.add(block.identifier)


def _parse_options(text: str, count: int) -> tuple[tuple[OptionalBlock, ...], int]:
    blocks: list[OptionalBlock] = []
    at = HEADER_CHARACTERS
    for _ in range(count):
        length, head = _option_length(text, at)
        if length < head or at + length > len(text):
            raise KeyBlockError(f"the optional block at character {at} has a wrong length")
        blocks.append(OptionalBlock(text[at : at + 2], text[at + head : at + length]))
        at += length
    if blocks and (at - HEADER_CHARACTERS) % block_size(text[0]):
        raise KeyBlockError("the optional blocks do not fill whole cipher blocks")
    return tuple(blocks), at


def _option_length(text: str, at: int) -> tuple[int, int]:
    """Give a block's whole length and where its data begins within it."""
    short = _hex_number(text[at + 2 : at + 4], 2, at)
    if short:
        return short, 4
    if _hex_number(text[at + 4 : at + 6], 2, at) != _EXTENDED_BYTES:
        raise KeyBlockError(f"the extended length at character {at} is not of 2 bytes")
    return _hex_number(text[at + 6 : at + 10], 4, at), 10


def _hex_number(text: str, digits: int, at: int) -> int:
    if len(text) != digits or not _HEX.issuperset(text):
        raise KeyBlockError(f"the length of the optional block at character {at} is no hex number")
    return int(text, 16)


def block_size(version: str) -> int:
    """Give the step in characters to which a version's optional blocks are filled.

    Version E enciphers in counter mode and knows no blocks.
    """
    return {"D": 16, "E": 1}.get(version, 8)


def _aligned(header: KeyBlockHeader) -> tuple[OptionalBlock, ...]:
    """Give the options with a PB block behind them when they do not fill whole cipher blocks."""
    step = block_size(header.version)
    length = sum(len(block.encoded()) for block in header.options)
    if not length % step:
        return header.options
    kept = replace(header, options=tuple(b for b in header.options if b.identifier != "PB"))
    length = sum(len(block.encoded()) for block in kept.options)
    filler = -(length + 4) % step
    return (*kept.options, OptionalBlock("PB", "0" * filler)) if length % step else kept.options


def _is_alphanumeric(text: str) -> bool:
    return text.isascii() and text.isalnum()


def _is_proprietary(usage: str) -> bool:
    return len(usage) == 2 and usage[0].isdecimal() and _is_alphanumeric(usage)
