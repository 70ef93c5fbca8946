"""Values to bytes and back, for the simple kinds: one place that knows every encoding.

Strict: what `read_*` accepts, `write_*` gives back byte for byte, so a message has exactly one
encoding and anything else is refused with the offset of the first wrong byte.
"""

import re

from protocols.iso8583.charsets import TEXT_CODECS, first_outside
from protocols.iso8583.errors import MessageError, Reason
from protocols.iso8583.model import Element, Kind, Prefix

_TRACK2 = re.compile(r"[0-9]{1,19}=[0-9]*")
_PAD_NIBBLE = {"left-0": (0, "0"), "left-f": (0, "f"), "right-0": (-1, "0"), "right-f": (-1, "f")}


def wire_size(element: Element, units: int) -> int:
    """Give the bytes that a value of `units` digits, characters or bytes takes."""
    if element.encoding == "bcd":
        return (units + 1) // 2
    if element.encoding in ("hex", "ebcdic-hex"):
        return units * 2
    return units


def read_count(prefix: Prefix, raw: bytes, start: int, end: int, path: str) -> int:
    """Give the number that a length prefix states, without its own size when it includes it."""
    if start + prefix.size > end:
        raise MessageError(path, end, Reason.TRUNCATED, "in its length prefix")
    field = raw[start : start + prefix.size]
    if prefix.encoding == "binary":
        count = int.from_bytes(field, "big")
    else:
        digits = field.hex() if prefix.encoding == "bcd" else _prefix_text(prefix, field)
        if not (digits.isascii() and digits.isdigit()):
            raise MessageError(path, start, Reason.BAD_PREFIX)
        count = int(digits)
        if count >= 10**prefix.width:
            raise MessageError(path, start, Reason.BAD_PREFIX)
    if prefix.includes_self:
        count -= prefix.size
        if count < 0:
            raise MessageError(path, start, Reason.BAD_PREFIX)
    return count


def _prefix_text(prefix: Prefix, field: bytes) -> str:
    try:
        return field.decode(TEXT_CODECS[prefix.encoding])
    except UnicodeDecodeError:
        return "?"


def write_count(prefix: Prefix, count: int, path: str) -> bytes:
    """Give the bytes of a length prefix."""
    if prefix.includes_self:
        count += prefix.size
    if prefix.encoding == "binary":
        if count >= 1 << 8 * prefix.width:
            raise MessageError(path, None, Reason.TOO_LONG, f"{count} does not fit its prefix")
        return count.to_bytes(prefix.width, "big")
    if count >= 10**prefix.width:
        raise MessageError(path, None, Reason.TOO_LONG, f"{count} does not fit its prefix")
    if prefix.encoding == "bcd":
        return bytes.fromhex(f"{count:0{prefix.size * 2}d}")
    return f"{count:0{prefix.width}d}".encode(TEXT_CODECS[prefix.encoding])


def units_of_count(element: Element, count: int, offset: int) -> int:
    """Give the value's units for a prefix's number; raise when the two cannot fit."""
    counts = element.prefix.counts if element.prefix else "bytes"
    packed = element.encoding == "bcd"
    hexed = element.encoding in ("hex", "ebcdic-hex")
    if counts == "digits":
        divisor, factor = (2, 1) if element.kind in (Kind.BYTES, Kind.BITMAP) else (1, 1)
    elif counts == "nibbles":
        divisor, factor = (1, 1) if packed else (4 if hexed else 2, 1)
    else:
        divisor, factor = (1, 2) if packed else (2 if hexed else 1, 1)
    if count % divisor:
        raise MessageError(element.path, offset, Reason.BAD_COUNT, f"{count} is odd")
    return count // divisor * factor


def count_of_units(element: Element, units: int) -> int:
    """Give the number that a prefix states for a value of `units`."""
    counts = element.prefix.counts if element.prefix else "bytes"
    packed = element.encoding == "bcd"
    if counts == "digits":
        return units * 2 if element.kind in (Kind.BYTES, Kind.BITMAP) else units
    if counts == "nibbles":
        return units if packed else wire_size(element, units) * 2
    return wire_size(element, units)


def units_of_size(element: Element, raw: bytes, start: int, end: int) -> int:
    """Give the value's units where only its bytes are known (inside TLV)."""
    size = end - start
    if element.encoding == "bcd":
        if element.minimum == element.maximum and wire_size(element, element.maximum) == size:
            return element.maximum
        is_padded = element.odd == "right-f" and size > 0 and raw[end - 1] & 0x0F == 0x0F
        return size * 2 - is_padded
    if element.encoding in ("hex", "ebcdic-hex"):
        if size % 2:
            raise MessageError(element.path, start, Reason.BAD_COUNT, f"{size} is odd")
        return size // 2
    return size


def check_units(element: Element, units: int, offset: int | None) -> None:
    """Raise unless the number of units is within the element's bounds."""
    if units > element.maximum:
        detail = f"{units} above {element.maximum}"
        raise MessageError(element.path, offset, Reason.TOO_LONG, detail)
    if units < element.minimum:
        detail = f"{units} below {element.minimum}"
        raise MessageError(element.path, offset, Reason.TOO_SHORT, detail)


def read_simple(element: Element, raw: bytes, start: int, end: int, units: int) -> str | bytes:
    """Give the value of a simple element that stands in `raw[start:end]`."""
    kind = element.kind
    if kind is Kind.TEXT:
        return _read_text(element, raw, start, end)
    if kind is Kind.DIGITS:
        return _read_digits(element, raw, start, end, units)
    if kind is Kind.TRACK2:
        return _read_track2(element, raw, start, end, units)
    return _read_bytes(element, raw, start, end)


def write_simple(element: Element, value: object) -> tuple[bytes, int]:
    """Give the bytes of a simple value and its units; raise when it does not fit the spec."""
    if element.kind in (Kind.BYTES, Kind.BITMAP):
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise MessageError(element.path, None, Reason.WRONG_TYPE, "bytes expected")
        value = bytes(value)
        check_units(element, len(value), None)
        if element.encoding == "binary":
            return value, len(value)
        page = "ascii" if element.encoding == "hex" else "cp500"
        return value.hex().upper().encode(page), len(value)
    if not isinstance(value, str):
        raise MessageError(element.path, None, Reason.WRONG_TYPE, "str expected")
    text = _padded(element, value)
    check_units(element, len(text), None)
    if element.kind is Kind.TEXT:
        if first_outside(text, element.charset) >= 0:
            raise MessageError(element.path, None, Reason.BAD_CHARACTER)
        return text.encode(TEXT_CODECS[element.encoding]), len(text)
    if element.kind is Kind.DIGITS and first_outside(text, "n") >= 0:
        raise MessageError(element.path, None, Reason.NOT_DIGITS)
    if element.kind is Kind.TRACK2 and not _TRACK2.fullmatch(text):
        raise MessageError(element.path, None, Reason.BAD_TRACK)
    if element.encoding == "bcd":
        return _packed(text.replace("=", "d"), element.odd), len(text)
    return text.encode(TEXT_CODECS[element.encoding]), len(text)


def _packed(nibbles: str, odd: str) -> bytes:
    if len(nibbles) % 2:
        index, pad = _PAD_NIBBLE[odd]
        nibbles = pad + nibbles if index == 0 else nibbles + pad
    return bytes.fromhex(nibbles)


def _padded(element: Element, value: str) -> str:
    if not element.pad or len(value) >= element.minimum:
        return value
    side, _, name = element.pad.partition("-")
    fill = " " if name == "space" else name
    if side == "left":
        return value.rjust(element.minimum, fill)
    return value.ljust(element.minimum, fill)


def _read_text(element: Element, raw: bytes, start: int, end: int) -> str:
    try:
        text = raw[start:end].decode(TEXT_CODECS[element.encoding])
    except UnicodeDecodeError as error:
        raise MessageError(element.path, start + error.start, Reason.BAD_CHARACTER) from None
    outside = first_outside(text, element.charset)
    if outside >= 0:
        raise MessageError(element.path, start + outside, Reason.BAD_CHARACTER)
    return text


def _unpacked(element: Element, raw: bytes, start: int, end: int, units: int) -> tuple[str, int]:
    """Give the nibbles of a packed value and how many padding nibbles stand before them."""
    nibbles = raw[start:end].hex()
    if len(nibbles) == units:
        return nibbles, 0
    index, pad = _PAD_NIBBLE[element.odd]
    if nibbles[index] != pad:
        offset = start if index == 0 else end - 1
        raise MessageError(element.path, offset, Reason.BAD_PADDING)
    return (nibbles[1:], 1) if index == 0 else (nibbles[:-1], 0)


def _read_digits(element: Element, raw: bytes, start: int, end: int, units: int) -> str:
    if element.encoding == "bcd":
        nibbles, lead = _unpacked(element, raw, start, end, units)
        outside = first_outside(nibbles, "n")
        if outside >= 0:
            offset = start + (outside + lead) // 2
            raise MessageError(element.path, offset, Reason.BAD_NIBBLE)
        return nibbles
    text = _decoded(element, raw, start, end, Reason.NOT_DIGITS)
    outside = first_outside(text, "n")
    if outside >= 0:
        raise MessageError(element.path, start + outside, Reason.NOT_DIGITS)
    return text


def _read_track2(element: Element, raw: bytes, start: int, end: int, units: int) -> str:
    if element.encoding == "bcd":
        text = _unpacked(element, raw, start, end, units)[0]
        if "=" not in text:
            text = text.replace("d", "=")
    else:
        text = _decoded(element, raw, start, end, Reason.BAD_TRACK)
    if not _TRACK2.fullmatch(text):
        raise MessageError(element.path, start, Reason.BAD_TRACK)
    return text


def _decoded(element: Element, raw: bytes, start: int, end: int, reason: Reason) -> str:
    try:
        return raw[start:end].decode(TEXT_CODECS[element.encoding])
    except UnicodeDecodeError as error:
        raise MessageError(element.path, start + error.start, reason) from None


def hex_content(element: Element, raw: bytes, start: int, end: int) -> bytes:
    """Give the bytes that stand as upper-case hex digits in `raw[start:end]`."""
    return _read_bytes(element, raw, start, end)


def _read_bytes(element: Element, raw: bytes, start: int, end: int) -> bytes:
    if element.encoding == "binary":
        return raw[start:end]
    page = "ascii" if element.encoding == "hex" else "cp500"
    field = raw[start:end]
    for index, byte in enumerate(field):
        character = bytes([byte]).decode(page, "replace")
        if character not in "0123456789ABCDEF":
            raise MessageError(element.path, start + index, Reason.BAD_CHARACTER)
    return bytes.fromhex(field.decode(page))
