"""Character sets and encodings of text elements. Source: ISO 8583:1987, 4.2 (attributes)."""

import codecs
from string import ascii_letters, ascii_uppercase, digits

_PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F))

#: The characters each attribute allows; `p` adds the pad character, which is the space.
CHARSETS: dict[str, frozenset[str]] = {
    "n": frozenset(digits),
    "a": frozenset(ascii_letters),
    "ap": frozenset(ascii_letters + " "),
    "an": frozenset(ascii_letters + digits),
    "anp": frozenset(ascii_letters + digits + " "),
    "ans": frozenset(_PRINTABLE),
    "hex": frozenset(digits + "ABCDEF"),
    "upper": frozenset(ascii_uppercase + digits),
    # x+n: C (credit) or D (debit), then digits.
    "x+n": frozenset(digits + "CD"),
}

#: EBCDIC code pages that the standard library knows, and 1047, which mainframes and jPOS speak.
EBCDIC_PAGES = ("cp037", "cp273", "cp500", "cp1026", "cp1047", "cp1140")

#: Where page 1047 has what another place of page 037 has. Source: IBM, code page 1047 (CDRA).
_MOVED_1047 = {0x5F: 0xB0, 0xB0: 0x5F, 0xAD: 0xBA, 0xBA: 0xAD, 0xBD: 0xBB, 0xBB: 0xBD}

#: Encodings of text and unpacked digits, with the codec that decodes them.
TEXT_CODECS = {"ascii": "ascii", **{page: page for page in EBCDIC_PAGES}}

#: Encodings of byte values. `ebcdic-hex` is hex digits in code page 500.
BYTES_ENCODINGS = ("binary", "hex", "ebcdic-hex")


def first_outside(text: str, charset: str) -> int:
    """Give the index of the first character outside the set, -1 when all are inside.

    >>> first_outside("AB-1", "an")
    2
    """
    allowed = CHARSETS[charset]
    for index, character in enumerate(text):
        if character not in allowed or (charset == "x+n" and (index == 0) == character.isdigit()):
            return index
    return -1


def _find_page_1047(name: str) -> codecs.CodecInfo | None:
    """Give the codec of page 1047, which the standard library lacks; None for another name."""
    if name != "cp1047":
        return None
    known = bytes(range(256)).decode("cp037")
    characters = "".join(known[_MOVED_1047.get(byte, byte)] for byte in range(256))
    back = codecs.charmap_build(characters)

    def encode(text: str, errors: str = "strict") -> tuple[bytes, int]:
        return codecs.charmap_encode(text, errors, back)

    def decode(raw: bytes, errors: str = "strict") -> tuple[str, int]:
        return codecs.charmap_decode(raw, errors, characters)

    # The name of any buffer as a type came with Python 3.12.
    return codecs.CodecInfo(encode, decode, name=name)  # type: ignore[arg-type]


# A Python that has the page itself is asked before this.
codecs.register(_find_page_1047)
