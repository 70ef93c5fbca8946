"""Character sets and encodings of text elements. Source: ISO 8583:1987, 4.2 (attributes)."""

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

#: EBCDIC code pages that the standard library knows.
EBCDIC_PAGES = ("cp037", "cp273", "cp500", "cp1026", "cp1140")

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
