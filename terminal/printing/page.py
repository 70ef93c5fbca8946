"""A slip's text -> the ESC/POS bytes of one page: big where it matters, its code as a QR, a cut."""

from dataclasses import dataclass
from functools import cache

import segno

from protocols.catalogue import LANGUAGES, text
from terminal.paper import NARROW
from terminal.printing.escpos import encode

#: Code table 0 is PC437. Source: ESC/POS Command Reference, ESC t.
_CODE_TABLE, _CHARACTERS = 0, "cp437"
_PLAIN, _BOLD, _TALL = 0, 1, 2
#: GS ! n: bits 0 to 2 are height - 1.
_TALL_SIZE, _USUAL_SIZE = 0x01, 0x00
#: Cut after feeding to the cutter. Source: ESC/POS Command Reference, GS V function B.
_FEED_AND_CUT = 66
#: Dots of one QR module: 8 dots are a millimetre, and 0.6 mm is read by any telephone.
_MODULE_DOTS = 5
#: Blank modules round a QR. Source: ISO/IEC 18004:2015, 6.3.8.
_QUIET_MODULES = 4
_FEED_BEFORE_CUT = 2
#: A QR says what it is. `lumbung ledger check-slip` reads it.
QR_HEAD = "LUMBUNG1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One slip to be printed: its text, what its QR says (empty for none), a mark above all."""

    body: str
    qr: str = ""
    mark: str = ""


def qr_text(*, slip_code: str, rrn: str, terminal_id: str, amount_sen: int) -> str:
    """Give what a slip's QR says, in the characters that a QR packs best.

    >>> qr_text(slip_code="9F2C-71B0-44DA", rrn="600509000345", terminal_id="12400017",
    ...     amount_sen=14_150_000)
    'LUMBUNG1:9F2C-71B0-44DA:600509000345:12400017:14150000'
    """
    return f"{QR_HEAD}:{slip_code}:{rrn}:{terminal_id}:{amount_sen}"


def page_bytes(page: Page, *, columns: int = NARROW) -> bytes:
    """Give the bytes of one page, from the initialisation to the cut."""
    out = bytearray(encode("initialise") + encode("code_page", _CODE_TABLE))
    if page.mark:
        out += encode("reverse", 1) + _line(page.mark.center(columns), _TALL)
        out += encode("reverse", 0)
    for line in page.body.splitlines():
        out += _line(line, _weight(line))
    if page.qr:
        out += _qr(page.qr)
    return bytes(out + encode("feed_lines", _FEED_BEFORE_CUT) + encode("cut", _FEED_AND_CUT, 0))


def _line(line: str, weight: int) -> bytes:
    printed = line.encode(_CHARACTERS, "replace") + b"\n"
    if weight == _PLAIN:
        return printed
    size = _TALL_SIZE if weight == _TALL else _USUAL_SIZE
    begin = encode("character_size", size) + encode("emphasis", 1)
    return begin + printed + encode("character_size", _USUAL_SIZE) + encode("emphasis", 0)


def _weight(line: str) -> int:
    """Give how a line stands out: the heading and the money are what people look for."""
    words = line.strip()
    tall, bold = _standing_out()
    if words.startswith(bold):  # One of them begins as the total does.
        return _BOLD
    return _TALL if words.startswith(tall) else _PLAIN


@cache
def _standing_out() -> tuple[tuple[str, ...], tuple[str, ...]]:
    def every(*keys: str) -> tuple[str, ...]:
        return tuple(text(f"receipt.{key}", lang) for key in keys for lang in LANGUAGES)

    tall = every("title", "total", "remaining", "failed", "undone", "training", "reprint")
    return tall, every("copy_merchant", "copy_customer", "check", "settled", "voided", "proxy")


def _qr(content: str) -> bytes:
    """Give a QR as a picture: every printer prints pictures, not every one knows QR."""
    matrix = segno.make(content, error="m", boost_error=False, micro=False).matrix
    side = len(matrix) * _MODULE_DOTS
    width = -(-side // 8)
    rows = bytearray()
    for modules in matrix:
        bits = "".join(str(int(bool(module))) * _MODULE_DOTS for module in modules)
        rows += int(bits.ljust(width * 8, "0"), 2).to_bytes(width, "big") * _MODULE_DOTS
    head = bytes([*width.to_bytes(2, "little"), *side.to_bytes(2, "little")])
    picture = encode("raster", 0, data=head + bytes(rows))
    quiet = encode("feed_dots", _QUIET_MODULES * _MODULE_DOTS)
    return quiet + encode("align", 1) + picture + encode("align", 0)
