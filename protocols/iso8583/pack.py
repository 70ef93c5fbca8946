"""The writer that words every encoding error: element by element, straight from the spec.

Like `walk.py` for reading: the compiled plans are faster and give up at anything odd; this one
then says what was wrong, or packs what the plan was not made for.
"""

from collections.abc import Callable, Mapping

from protocols.iso8583.content import check_units, count_of_units, write_count, write_simple
from protocols.iso8583.errors import MessageError, Reason
from protocols.iso8583.limits import DEPTH_MAX, MESSAGE_BYTES_MAX, TAG_BYTES_MAX, TAGS_MAX
from protocols.iso8583.message import Value
from protocols.iso8583.model import Element, Kind, Spec


def pack_message(spec: Spec, mti: object, elements: Mapping[int, Value]) -> bytes:
    """Give the message's bytes. Raises: MessageError for whatever the spec does not allow."""
    out = [pack_mti(spec, mti), pack_bitmap(spec, elements)]
    for number in sorted(elements):
        element = spec.elements.get(number)
        if element is None:
            raise MessageError(str(number), None, Reason.UNKNOWN_ELEMENT)
        out.append(pack_element(element, elements[number], 0))
    raw = b"".join(out)
    if len(raw) > MESSAGE_BYTES_MAX:
        raise MessageError("message", None, Reason.TOO_LONG)
    return raw


def pack_mti(spec: Spec, mti: object) -> bytes:
    """Give the message type's bytes."""
    if not (isinstance(mti, str) and len(mti) == 4 and mti.isascii() and mti.isdigit()):
        raise MessageError("mti", None, Reason.BAD_MTI)
    return bytes.fromhex(mti) if spec.mti_encoding == "bcd" else mti.encode(spec.mti_encoding)


def pack_bitmap(spec: Spec, elements: Mapping[int, Value]) -> bytes:
    """Give the bitmaps that announce the elements."""
    bits = 0
    width = 128 if spec.bitmap_always_128 else 64
    for number in elements:
        if not (isinstance(number, int) and number in spec.elements):
            raise MessageError(_number(number), None, Reason.UNKNOWN_ELEMENT)
        width = max(width, (number + 63) // 64 * 64)
    if spec.bitmap_tertiary and 65 in elements:
        raise MessageError("65", None, Reason.NOT_ALLOWED, "the codec writes the third bitmap")
    for number in elements:
        bits |= 1 << (width - number)
    if width >= 128:
        bits |= 1 << (width - 1)
    if width == 192:
        bits |= 1 << (192 - 65)
    raw = bits.to_bytes(width // 8, "big")
    if spec.bitmap_encoding == "binary":
        return raw
    page = "ascii" if spec.bitmap_encoding == "hex" else "cp500"
    return raw.hex().upper().encode(page)


def _number(number: object) -> str:
    return str(number) if isinstance(number, int) else "message"


def pack_element(element: Element, value: Value, depth: int) -> bytes:
    """Give an element's bytes with its length prefix."""
    content, units = _content(element, value, depth)
    if element.prefix is None:
        return content
    prefix = write_count(element.prefix, count_of_units(element, units), element.path)
    return prefix + content


def content_of(element: Element, value: Value) -> bytes:
    """Give an element's bytes without its prefix."""
    return _content(element, value, 0)[0]


def _content(element: Element, value: Value, depth: int) -> tuple[bytes, int]:
    if not element.is_composite:
        return write_simple(element, value)
    if depth >= DEPTH_MAX:
        raise MessageError(element.path, None, Reason.TOO_MANY, f"nested {DEPTH_MAX} deep")
    content = _COMPOSITE_WRITERS[element.kind](element, value, depth + 1)
    units = len(content) * 2 if element.encoding == "bcd" else len(content)
    check_units(element, units, None)
    if element.encoding == "hex":
        content = content.hex().upper().encode("ascii")
    return content, units


def _dict(element: Element, value: object) -> dict[str, Value]:
    if not isinstance(value, dict):
        raise MessageError(element.path, None, Reason.WRONG_TYPE, "dict expected")
    return value


def _packed_group(element: Element, value: Value) -> bytes:
    parts = _dict(element, value)
    _no_strangers(element, parts)
    digits = ""
    for sub in element.sub:
        part = parts.get(sub.key)
        if part is None:
            raise MessageError(sub.path, None, Reason.MISSING)
        digits += write_simple(sub, part)[0].decode("ascii")
    return bytes.fromhex(digits)


def _positional(element: Element, value: Value, depth: int) -> bytes:
    if element.encoding == "bcd":
        return _packed_group(element, value)
    groups: list[Value]
    if element.repeats == 1:
        groups = [value]
    elif isinstance(value, list):
        groups = list(value)
        if not groups:
            raise MessageError(element.path, None, Reason.TOO_SHORT, "no group")
        if len(groups) > element.repeats:
            raise MessageError(element.path, None, Reason.TOO_MANY, f"{element.repeats} groups")
    else:
        raise MessageError(element.path, None, Reason.WRONG_TYPE, "list of dicts expected")
    out = []
    for group in groups:
        parts = _dict(element, group)
        _no_strangers(element, parts)
        for sub in element.sub:
            if sub.key not in parts:
                raise MessageError(sub.path, None, Reason.MISSING)
            out.append(pack_element(sub, parts[sub.key], depth))
    return b"".join(out)


def _no_strangers(element: Element, parts: Mapping[str, Value]) -> None:
    known = {sub.key for sub in element.sub}
    if any(key not in known for key in parts):
        raise MessageError(element.path, None, Reason.UNKNOWN_ELEMENT)


def _tagged(element: Element, value: Value, depth: int) -> list[tuple[str, str, bytes]]:
    """Give (key, tag, content) of every sub-element in the dict's order; unknown tags are bytes."""
    parts = _dict(element, value)
    if len(parts) > TAGS_MAX:
        raise MessageError(element.path, None, Reason.TOO_MANY, f"{TAGS_MAX} tags")
    by_key = {sub.key: sub for sub in element.sub}
    by_tag = {sub.tag for sub in element.sub}
    out = []
    for key, part in parts.items():
        sub = by_key.get(key)
        if sub is not None:
            out.append((key, sub.tag, _content(sub, part, depth)[0]))
            continue
        if not isinstance(key, str) or key in by_tag:
            raise MessageError(element.path, None, Reason.BAD_TAG, "named sub-element by its tag")
        if not isinstance(part, (bytes, bytearray, memoryview)):
            # The path may hold only a well-formed tag: a caller's key could be anything.
            raise MessageError(element.path, None, Reason.WRONG_TYPE, "bytes expected")
        out.append((key, key, bytes(part)))
    return out


def _tag_bytes(element: Element, tag: str) -> bytes:
    form = element.form
    if form is not None and form.tag_encoding != "binary":
        if len(tag) != form.tag_bytes or not (tag.isascii() and tag.isalnum()):
            raise MessageError(element.path, None, Reason.BAD_TAG)
        return tag.encode(form.tag_encoding)
    if len(tag) % 2 or any(character not in "0123456789ABCDEF" for character in tag):
        raise MessageError(element.path, None, Reason.BAD_TAG)
    raw = bytes.fromhex(tag)
    if form is not None and len(raw) != form.tag_bytes:
        raise MessageError(element.path, None, Reason.BAD_TAG)
    return raw


def tagged_parts(element: Element, value: Value) -> list[tuple[str, bytes, bytes]]:
    """Give (key, tag and length as on the wire, content) of every part of a tagged element."""
    return _tagged_parts(element, value, 1)


def _tagged_parts(element: Element, value: Value, depth: int) -> list[tuple[str, bytes, bytes]]:
    header = _HEADERS[element.kind]
    return [
        (key, header(element, tag, len(content)), content)
        for key, tag, content in _tagged(element, value, depth)
    ]


def _tagged_content(element: Element, value: Value, depth: int) -> bytes:
    parts = _tagged_parts(element, value, depth)
    return b"".join([header + content for _, header, content in parts])


def _tlv_header(element: Element, tag: str, size: int) -> bytes:
    form = element.form
    assert form is not None
    head, path = _tag_bytes(element, tag), f"{element.path}.{tag}"
    if element.kind is Kind.LTV:
        count = size + (form.tag_bytes if form.length_counts_tag else 0)
        return write_count(form.length, count, path) + head
    return head + write_count(form.length, size, path)


def _ber_header(element: Element, tag: str, size: int) -> bytes:
    head = _tag_bytes(element, tag)
    if not is_ber_tag(head):
        raise MessageError(element.path, None, Reason.BAD_TAG)
    return head + ber_length(size, element.path)


def _dataset_header(element: Element, tag: str, size: int) -> bytes:
    head = _tag_bytes(element, tag)
    if len(head) != 1:
        raise MessageError(element.path, None, Reason.BAD_TAG)
    if size > 0xFFFF:
        raise MessageError(element.path, None, Reason.TOO_LONG)
    return head + size.to_bytes(2, "big")


def is_ber_tag(tag: bytes) -> bool:
    """Tell whether the bytes are exactly one BER tag. Source: EMV 4.4 Book 3, annex B1."""
    if not 1 <= len(tag) <= TAG_BYTES_MAX or tag[0] == 0x00:
        return False
    if tag[0] & 0x1F != 0x1F:
        return len(tag) == 1
    return len(tag) >= 2 and all(byte & 0x80 for byte in tag[1:-1]) and tag[-1] < 0x80


def ber_length(size: int, path: str) -> bytes:
    """Give a BER length in its shortest form. Source: EMV 4.4 Book 3, annex B2."""
    if size > 0xFFFF:
        raise MessageError(path, None, Reason.TOO_LONG)
    if size < 0x80:
        return bytes([size])
    return bytes([0x81, size]) if size < 0x100 else b"\x82" + size.to_bytes(2, "big")


def _bitmapped(element: Element, value: Value, depth: int) -> bytes:
    parts = _dict(element, value)
    _no_strangers(element, parts)
    width = element.bitmap_bytes * 8
    bits = 0
    out = []
    for sub in sorted(element.sub, key=lambda sub: int(sub.key)):
        if sub.key in parts:
            bits |= 1 << (width - int(sub.key))
            out.append(pack_element(sub, parts[sub.key], depth))
    return bits.to_bytes(element.bitmap_bytes, "big") + b"".join(out)


_COMPOSITE_WRITERS: dict[Kind, Callable[[Element, Value, int], bytes]] = {
    Kind.POSITIONAL: _positional,
    Kind.TLV: _tagged_content,
    Kind.LTV: _tagged_content,
    Kind.BER_TLV: _tagged_content,
    Kind.BITMAPPED: _bitmapped,
    Kind.DATASET: _tagged_content,
}

_HEADERS: dict[Kind, Callable[[Element, str, int], bytes]] = {
    Kind.TLV: _tlv_header,
    Kind.LTV: _tlv_header,
    Kind.BER_TLV: _ber_header,
    Kind.DATASET: _dataset_header,
}
