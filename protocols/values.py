"""Values that carry their own secrecy: card numbers, tracks, PIN blocks, keys; and amounts.

Masking is by type, not by filter (design decision 19): a value that must not be printed has no
way to print itself. `reveal()` is the only way to the content, so every use can be found by name.
"""

import hmac
import re

#: A full card number or national id that strayed into free text: 13 to 19 digits in a run.
#: No Luhn gate: a fictitious test PAN fails Luhn and must be masked all the same.
DIGIT_RUN = re.compile(r"(?<!\d)\d{13,19}(?!\d)")

#: ISO 4217 minor unit of IDR: one rupiah is 100 sen. Inside, money is always integer sen.
SEN_PER_RUPIAH = 100


class _Masked:
    """A value whose repr, str, format, pickle and comparison give nothing away."""

    __slots__ = ("_content",)
    _content: str | bytes

    def _mask(self) -> str:
        return "***"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._mask()}>"

    def __str__(self) -> str:
        return self._mask()

    def __format__(self, spec: str) -> str:
        return format(self._mask(), spec)

    def __reduce__(self) -> str:
        raise TypeError(f"a {type(self).__name__} is never pickled (design decision 15)")

    def __eq__(self, other: object) -> bool:
        """Compare in constant time."""
        if type(other) is not type(self):
            return NotImplemented
        return hmac.compare_digest(_as_bytes(self._content), _as_bytes(other._content))

    def __hash__(self) -> int:
        return hash((type(self), self._content))


def _as_bytes(content: str | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.encode("ascii")


class Pan(_Masked):
    """A primary account number of 8 to 19 digits. Source: ISO/IEC 7812-1.

    >>> Pan("9360099912344821")
    <Pan ****4821>
    >>> Pan("9360099912344821").last_four
    '4821'
    """

    __slots__ = ()
    _content: str

    def __init__(self, digits: str) -> None:
        """Take the digits; raise ValueError, without repeating them, when they are no PAN."""
        if not (8 <= len(digits) <= 19 and digits.isascii() and digits.isdigit()):
            raise ValueError("a PAN is 8 to 19 digits")
        self._content = digits

    def reveal(self) -> str:
        """Give the full number: for packing, key derivation and look-up only."""
        return self._content

    @property
    def last_four(self) -> str:
        """Give the last four digits: all that people, logs and receipts may see."""
        return self._content[-4:]

    def _mask(self) -> str:
        return f"****{self._content[-4:]}"


class Track2(_Masked):
    """Track 2 equivalent data as `PAN=YYMMSSS...` (tag 57, DE35). Source: ISO/IEC 7813.

    >>> track = Track2("9360099912344821=30122200000000000")
    >>> track.pan.last_four, track.expiry_yymm, track.service_code
    ('4821', '3012', '220')
    """

    __slots__ = ()
    _content: str

    def __init__(self, text: str) -> None:
        """Take the text with `=` or `D` as separator; raise ValueError without repeating it."""
        text = text.replace("D", "=").rstrip("F")
        pan, separator, rest = text.partition("=")
        if not (separator and 8 <= len(pan) <= 19 and len(text) <= 37 and len(rest) >= 7):
            raise ValueError("track 2 is PAN=YYMMSSS with at most 37 characters")
        if not (pan + rest).isdigit() or not (pan + rest).isascii():
            raise ValueError("track 2 holds digits around one separator")
        self._content = text

    def reveal(self) -> str:
        """Give the text: for packing only."""
        return self._content

    @property
    def pan(self) -> Pan:
        """Give the card number that the track carries."""
        return Pan(self._content.partition("=")[0])

    @property
    def expiry_yymm(self) -> str:
        """Give the end month as four digits, year first."""
        return self._content.partition("=")[2][:4]

    @property
    def service_code(self) -> str:
        """Give the three digits of the service code."""
        return self._content.partition("=")[2][4:7]


class SecretBytes(_Masked):
    """A key or other secret: no repr, no log, no pickle, constant-time comparison.

    >>> SecretBytes(b"0123456789abcdef")
    <SecretBytes 16 bytes>
    """

    __slots__ = ()
    _content: bytes

    def __init__(self, content: bytes) -> None:
        """Take the bytes."""
        self._content = bytes(content)

    def reveal(self) -> bytes:
        """Give the bytes: for a cipher's argument only."""
        return self._content

    def __len__(self) -> int:
        return len(self._content)

    def _mask(self) -> str:
        return f"{len(self._content)} bytes"


class PinBlock(SecretBytes):
    """An enciphered PIN block of 8 (formats 0, 1, 3) or 16 bytes (format 4). Source: ISO 9564-1."""

    __slots__ = ()


def mask_free_text(text: str) -> str:
    """Give the text with every run of 13 to 19 digits masked but for its last four.

    The net under masking by type; it errs on the side of hiding.

    >>> mask_free_text("card 9360099912344821 refused")
    'card ****4821 refused'
    """
    return DIGIT_RUN.sub(lambda run: f"****{run.group()[-4:]}", text)


def rupiah(amount_sen: int) -> str:
    """Give whole rupiah with Indonesian thousands points, as people read it.

    >>> rupiah(14150000)
    '141.500'
    >>> rupiah(-50000)
    '-500'
    """
    assert amount_sen % SEN_PER_RUPIAH == 0, "people only ever see whole rupiah"
    return f"{amount_sen // SEN_PER_RUPIAH:,}".replace(",", ".")
