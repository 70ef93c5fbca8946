"""The reader that knows exactly where it is: every element in order, offsets, exact errors.

Theory of operation. `Walk` reads MTI, bitmaps and elements one after the other, straight from the
spec. The compiled plans (`plan.py`) do the same faster for messages that are right; whenever a
plan finds anything odd it gives up and the walk is asked, so an error is worded in one place only.
`inspect` and `peek` are walks that note each part or stop early.
"""

from collections.abc import Callable
from dataclasses import dataclass

from protocols.iso8583.bits import numbers_of
from protocols.iso8583.charsets import first_outside
from protocols.iso8583.content import (
    check_units,
    hex_content,
    read_count,
    read_simple,
    units_of_count,
    units_of_size,
    wire_size,
)
from protocols.iso8583.errors import MessageError, Reason
from protocols.iso8583.limits import DEPTH_MAX, MESSAGE_BYTES_MAX, TAG_BYTES_MAX, TAGS_MAX
from protocols.iso8583.message import Value
from protocols.iso8583.model import Element, Kind, Spec, TagForm

_HEX_PAGES = {"hex": "ascii", "ebcdic-hex": "cp500"}


@dataclass(frozen=True, slots=True)
class Node:
    """One part that was read: element path, bytes `start:end`, value (None for a composite)."""

    path: str
    element: Element | None
    start: int
    end: int
    value: Value | None

    def __repr__(self) -> str:
        return f"<Node {self.path} {self.start}:{self.end}>"


class Walk:
    """One strict reading of one message."""

    __slots__ = ("nodes", "raw", "spec")

    def __init__(self, spec: Spec, raw: bytes, nodes: list[Node] | None = None) -> None:
        """Take the message; `nodes`, when given, receives every part as it is read."""
        self.spec = spec
        self.raw = raw
        self.nodes = nodes

    def message(self, last: int | None = None) -> tuple[str, dict[int, Value], int]:
        """Give MTI, elements and the position behind them; stop after element `last` if given.

        Raises: MessageError at the first byte that the spec does not allow.
        """
        if len(self.raw) > MESSAGE_BYTES_MAX:
            raise MessageError("message", MESSAGE_BYTES_MAX, Reason.TOO_LONG)
        mti, position = self.mti()
        numbers, position = self.bitmap(position)
        elements: dict[int, Value] = {}
        for number in numbers:
            if last is not None and number > last:
                return mti, elements, position
            element = self.spec.elements.get(number)
            if element is None:
                raise MessageError(str(number), position, Reason.UNKNOWN_ELEMENT)
            elements[number], position = self.element(element, position, len(self.raw), 0)
        if last is None and position < len(self.raw):
            detail = f"{len(self.raw) - position} bytes"
            raise MessageError("message", position, Reason.LEFT_OVER, detail)
        return mti, elements, position

    def mti(self) -> tuple[str, int]:
        """Give the message type, four digits, and the position behind it."""
        size = self.spec.mti_size
        field = self.raw[:size]
        if len(field) < size:
            raise MessageError("mti", len(self.raw), Reason.TRUNCATED)
        if self.spec.mti_encoding == "bcd":
            text = field.hex()
        else:
            text = field.decode(self.spec.mti_encoding, "replace")
        if not (text.isascii() and text.isdigit()):
            raise MessageError("mti", 0, Reason.BAD_MTI)
        self._note("mti", None, 0, size, text)
        return text, size

    def bitmap(self, start: int) -> tuple[list[int], int]:
        """Give the numbers of the elements that follow, and the position behind the bitmaps.

        Element 1 (and 65 where the spec has a third bitmap) is a bitmap itself and not listed. A
        secondary bitmap without any element is refused unless the spec always sends 128 bits:
        otherwise one message would have two encodings.
        """
        bits, position = self._bits(start, 0)
        if bits >> 63:
            more, position = self._bits(position, 1)
            bits = bits << 64 | more
            if not more and not self.spec.bitmap_always_128:
                raise MessageError("bitmap", start, Reason.BAD_BITMAP, "empty secondary bitmap")
            if self.spec.bitmap_tertiary and more >> 63:
                third, position = self._bits(position, 2)
                if not third:
                    raise MessageError("bitmap", start, Reason.BAD_BITMAP, "empty third bitmap")
                bits = bits << 64 | third
        elif self.spec.bitmap_always_128:
            raise MessageError("bitmap", start, Reason.BAD_BITMAP, "128 bits are always sent")
        self._note("bitmap", None, start, position, self.raw[start:position])
        return numbers_of(
            bits, (position - start) // self.spec.bitmap_size * 64, self.spec
        ), position

    def _bits(self, start: int, index: int) -> tuple[int, int]:
        end = start + self.spec.bitmap_size
        field = self.raw[start:end]
        if len(field) < self.spec.bitmap_size:
            raise MessageError("bitmap", len(self.raw), Reason.TRUNCATED, f"bitmap {index + 1}")
        if self.spec.bitmap_encoding == "binary":
            return int.from_bytes(field, "big"), end
        text = field.decode(_HEX_PAGES[self.spec.bitmap_encoding], "replace")
        if any(character not in "0123456789ABCDEF" for character in text):
            raise MessageError("bitmap", start, Reason.BAD_BITMAP, "not upper-case hex digits")
        return int(text, 16), end

    def element(self, element: Element, start: int, end: int, depth: int) -> tuple[Value, int]:
        """Give an element's value and the position behind it; it may not reach beyond `end`."""
        position = start
        if element.prefix is not None:
            count = read_count(element.prefix, self.raw, start, end, element.path)
            position += element.prefix.size
            units = units_of_count(element, count, start)
        elif element.minimum < element.maximum:
            units = units_of_size(element, self.raw, start, end)
        else:
            units = element.maximum
        check_units(element, units, start)
        stop = position + wire_size(element, units)
        if stop > end:
            raise MessageError(
                element.path, min(end, len(self.raw)), Reason.TRUNCATED, f"{stop - end} bytes short"
            )
        return self._content(element, start, position, stop, units, depth), stop

    def sized(self, element: Element, start: int, end: int, depth: int) -> Value:
        """Give the value of a sub-element whose bytes are known from outside (TLV)."""
        units = units_of_size(element, self.raw, start, end)
        check_units(element, units, start)
        if wire_size(element, units) != end - start:
            raise MessageError(element.path, start, Reason.BAD_COUNT)
        return self._content(element, start, start, end, units, depth)

    def _content(
        self, element: Element, begin: int, start: int, end: int, units: int, depth: int
    ) -> Value:
        if not element.is_composite:
            value: Value = read_simple(element, self.raw, start, end, units)
            self._note(element.path, element, begin, end, value)
            return value
        if depth >= DEPTH_MAX:
            raise MessageError(element.path, start, Reason.TOO_MANY, f"nested {DEPTH_MAX} deep")
        self._note(element.path, element, begin, end, None)
        if element.encoding == "hex":
            return self._hexed(element, start, end, depth)
        return _COMPOSITE_READERS[element.kind](self, element, start, end, depth + 1)

    def _hexed(self, element: Element, start: int, end: int, depth: int) -> Value:
        """Give a composite that is written in hex digits; offsets stay those of the message."""
        raw = hex_content(element, self.raw, start, end)
        inner = Walk(self.spec, raw, None if self.nodes is None else [])
        try:
            value = _COMPOSITE_READERS[element.kind](inner, element, 0, len(raw), depth + 1)
        except MessageError as error:
            offset = start + 2 * (error.offset or 0)
            raise MessageError(error.path, offset, error.reason, error.detail) from None
        finally:
            for node in inner.nodes or ():
                first, last = start + 2 * node.start, start + 2 * node.end
                self._note(node.path, node.element, first, last, node.value)
        return value

    def _note(
        self, path: str, element: Element | None, start: int, end: int, value: Value | None
    ) -> None:
        if self.nodes is not None:
            self.nodes.append(Node(path, element, start, end, value))

    def positional(self, element: Element, start: int, end: int, depth: int) -> Value:
        """Give a dict of sub-elements in their order, or a list of them where they repeat."""
        if element.encoding == "bcd":
            return self._packed_group(element, start, end)
        position = start
        groups: list[dict[str, Value]] = []
        while position < end or not groups:
            if len(groups) == element.repeats:
                reason = Reason.LEFT_OVER if element.repeats == 1 else Reason.TOO_MANY
                raise MessageError(element.path, position, reason)
            group: dict[str, Value] = {}
            for sub in element.sub:
                group[sub.key], position = self.element(sub, position, end, depth)
            groups.append(group)
        return groups if element.repeats > 1 else groups[0]

    def _packed_group(self, element: Element, start: int, end: int) -> Value:
        """Give fixed digits sub-elements that are packed without regard to bytes (DE90)."""
        digits = self.raw[start:end].hex()
        outside = first_outside(digits, "n")
        if outside >= 0:
            raise MessageError(element.path, start + outside // 2, Reason.BAD_NIBBLE)
        values: dict[str, Value] = {}
        at = 0
        for sub in element.sub:
            values[sub.key] = digits[at : at + sub.maximum]
            begin, stop = start + at // 2, start + (at + sub.maximum + 1) // 2
            self._note(sub.path, sub, begin, stop, values[sub.key])
            at += sub.maximum
        return values

    def tlv(self, element: Element, start: int, end: int, depth: int) -> Value:
        """Give a dict of private tag-length-value or length-tag-value sub-elements."""
        assert element.form is not None
        by_tag = {sub.tag: sub for sub in element.sub}
        read = self._ltv_header if element.kind is Kind.LTV else self._tlv_header
        values: dict[str, Value] = {}
        position = start
        while position < end:
            tag, begin, stop = read(element, element.form, position, end)
            self._put(element, values, by_tag.get(tag), tag, position, begin, stop, depth)
            position = stop
        return values

    def _put(
        self,
        element: Element,
        values: dict[str, Value],
        sub: Element | None,
        tag: str,
        position: int,
        begin: int,
        stop: int,
        depth: int,
    ) -> None:
        key = tag if sub is None else sub.key
        path = f"{element.path}.{key}"
        if key in values:
            raise MessageError(path, position, Reason.DUPLICATE_TAG)
        if len(values) == TAGS_MAX:
            raise MessageError(element.path, position, Reason.TOO_MANY, f"{TAGS_MAX} tags")
        if sub is None:
            values[key] = self.raw[begin:stop]
            self._note(path, None, position, stop, self.raw[begin:stop])
        else:
            values[key] = self.sized(sub, begin, stop, depth)

    def _tag(self, element: Element, form: TagForm, start: int, end: int) -> str:
        field = self.raw[start : min(end, start + form.tag_bytes)]
        if len(field) < form.tag_bytes:
            raise MessageError(element.path, end, Reason.TRUNCATED, "in a tag")
        if form.tag_encoding == "binary":
            return field.hex().upper()
        text = field.decode(form.tag_encoding, "replace")
        if not (text.isascii() and text.isalnum()):
            raise MessageError(element.path, start, Reason.BAD_TAG)
        return text

    def _tlv_header(
        self, element: Element, form: TagForm, start: int, end: int
    ) -> tuple[str, int, int]:
        tag = self._tag(element, form, start, end)
        at = start + form.tag_bytes
        path = f"{element.path}.{tag}"
        count = read_count(form.length, self.raw, at, end, path)
        begin = at + form.length.size
        return tag, begin, self._stop(path, begin, count, end)

    def _ltv_header(
        self, element: Element, form: TagForm, start: int, end: int
    ) -> tuple[str, int, int]:
        count = read_count(form.length, self.raw, start, end, element.path)
        at = start + form.length.size
        tag = self._tag(element, form, at, end)
        if form.length_counts_tag:
            count -= form.tag_bytes
        path = f"{element.path}.{tag}"
        if count < 0:
            raise MessageError(path, start, Reason.BAD_COUNT)
        begin = at + form.tag_bytes
        return tag, begin, self._stop(path, begin, count, end)

    def _stop(self, path: str, begin: int, count: int, end: int) -> int:
        if begin + count > end:
            detail = f"{begin + count - end} bytes short"
            raise MessageError(path, end, Reason.TRUNCATED, detail)
        return begin + count

    def ber_tlv(self, element: Element, start: int, end: int, depth: int) -> Value:
        """Give a dict of BER tags (upper-case hex, or the spec's names). Source: EMV Book 3, B."""
        by_tag = {sub.tag: sub for sub in element.sub}
        values: dict[str, Value] = {}
        position = start
        while position < end:
            tag, at = self._ber_tag(element, position, end)
            path = f"{element.path}.{tag}"
            count, begin = self._ber_length(path, at, end)
            stop = self._stop(path, begin, count, end)
            self._put(element, values, by_tag.get(tag), tag, position, begin, stop, depth)
            position = stop
        return values

    def _ber_tag(self, element: Element, start: int, end: int) -> tuple[str, int]:
        raw = self.raw
        position = start + 1
        if raw[start] & 0x1F == 0x1F:
            while position < end and raw[position] & 0x80:
                position += 1
                if position - start >= TAG_BYTES_MAX:
                    raise MessageError(element.path, start, Reason.BAD_TAG, "too long")
            if position >= end:
                raise MessageError(element.path, end, Reason.TRUNCATED, "in a tag")
            position += 1
        elif raw[start] == 0x00:
            # Filler bytes between objects are legal BER and never sent here; keeping them would
            # give one message two encodings.
            raise MessageError(element.path, start, Reason.BAD_TAG, "filler byte")
        return raw[start:position].hex().upper(), position

    def _ber_length(self, path: str, at: int, end: int) -> tuple[int, int]:
        if at >= end:
            raise MessageError(path, end, Reason.TRUNCATED, "in a length")
        first = self.raw[at]
        if first < 0x80:
            return first, at + 1
        size = first & 0x7F
        if size == 0 or size > 2:
            raise MessageError(path, at, Reason.BAD_LENGTH_FORM)
        if at + 1 + size > end:
            raise MessageError(path, end, Reason.TRUNCATED, "in a length")
        count = int.from_bytes(self.raw[at + 1 : at + 1 + size], "big")
        if count < (0x80 if size == 1 else 0x100):
            raise MessageError(path, at, Reason.BAD_LENGTH_FORM)
        return count, at + 1 + size

    def bitmapped(self, element: Element, start: int, end: int, depth: int) -> Value:
        """Give a dict of the sub-elements that the element's own bitmap announces."""
        stop = start + element.bitmap_bytes
        if stop > end:
            raise MessageError(element.path, end, Reason.TRUNCATED, "in its bitmap")
        bits = int.from_bytes(self.raw[start:stop], "big")
        width = element.bitmap_bytes * 8
        by_key = {sub.key: sub for sub in element.sub}
        values: dict[str, Value] = {}
        position = stop
        for number in range(1, width + 1):
            if not bits >> (width - number) & 1:
                continue
            sub = by_key.get(str(number))
            if sub is None:
                path = f"{element.path}.{number}"
                raise MessageError(path, position, Reason.UNKNOWN_ELEMENT)
            values[sub.key], position = self.element(sub, position, end, depth)
        if position < end:
            raise MessageError(element.path, position, Reason.LEFT_OVER)
        return values

    def dataset(self, element: Element, start: int, end: int, depth: int) -> Value:
        """Give a dict of data sets: one identifier byte, two length bytes, sub-elements.

        Source: ISO 8583:2003, composite data elements (identifier and length of a data set).
        """
        by_tag = {sub.tag: sub for sub in element.sub}
        values: dict[str, Value] = {}
        position = start
        while position < end:
            tag = self.raw[position : position + 1].hex().upper()
            path = f"{element.path}.{tag}"
            if position + 3 > end:
                raise MessageError(path, end, Reason.TRUNCATED, "in a data set header")
            count = int.from_bytes(self.raw[position + 1 : position + 3], "big")
            stop = self._stop(path, position + 3, count, end)
            self._put(element, values, by_tag.get(tag), tag, position, position + 3, stop, depth)
            position = stop
        return values


_COMPOSITE_READERS: dict[Kind, Callable[[Walk, Element, int, int, int], Value]] = {
    Kind.POSITIONAL: Walk.positional,
    Kind.TLV: Walk.tlv,
    Kind.LTV: Walk.tlv,
    Kind.BER_TLV: Walk.ber_tlv,
    Kind.BITMAPPED: Walk.bitmapped,
    Kind.DATASET: Walk.dataset,
}
