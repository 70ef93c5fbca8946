"""Compiled encoders: one function per set of elements.

The mirror of `plan_decode.py`: neighbours of one encoding are joined as text and converted at once,
everything is joined at the end. Whatever is not plainly right is handed to the packer, which pads,
packs or words the error.
"""

from binascii import unhexlify
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from protocols.iso8583.charsets import TEXT_CODECS
from protocols.iso8583.content import count_of_units, write_count
from protocols.iso8583.errors import MessageError
from protocols.iso8583.layouts import TlvWriter
from protocols.iso8583.limits import MESSAGE_BYTES_MAX, PLANS_MAX
from protocols.iso8583.message import Value
from protocols.iso8583.model import COMPOSITES, Element, Kind, Prefix, Spec
from protocols.iso8583.pack import content_of, pack_bitmap, pack_message, pack_mti
from protocols.iso8583.plan_source import (
    TRACK2_TEST,
    PlanRefused,
    Source,
    charset_test,
    digit_spans,
    has_small_prefix,
    run_at,
)

#: Turns a value into the bytes of its content.
Writer = Callable[[Value], bytes]
_TAGGED = (Kind.TLV, Kind.LTV, Kind.BER_TLV, Kind.DATASET)

#: MTIs whose head (MTI and bitmap) one plan remembers; there are not thousands of them.
HEADS_MAX = 64


class EncodePlans:
    """The encoders of one spec, compiled as sets of elements are seen.

    `by_elements[tuple(elements)]` is the plan; the codec looks it up itself to save a call. The
    dict's order is part of the key, so a plan takes all values out at once.
    """

    __slots__ = ("_spec", "_writers", "by_elements")

    def __init__(self, spec: Spec) -> None:
        """Take the spec."""
        self._spec = spec
        self._writers: dict[str, Writer] = {}
        self.by_elements: dict[tuple[int, ...], Callable[[str, Mapping[int, Value]], bytes]] = {}

    def encode_slowly(self, mti: str, elements: Mapping[int, Value]) -> bytes:
        """Give the message's bytes by the packer, and learn a plan. Raises: MessageError."""
        raw = pack_message(self._spec, mti, elements)
        key = tuple(elements)
        if key and key not in self.by_elements and len(self.by_elements) < PLANS_MAX:
            self.by_elements[key] = self._compile(key)
        return raw

    def _compile(self, key: tuple[int, ...]) -> Callable[[str, Mapping[int, Value]], bytes]:
        source = Source()
        numbers = sorted(key)
        source.add(", ".join(f"v{number}" for number in key) + ", = e.values()")
        elements = [self._spec.elements[number] for number in numbers]
        body = BodyWriter(source, self._writer)
        parts = body.compile(elements, [f"v{number}" for number in numbers])
        heads = source.constant(_Heads(self._spec, numbers))
        source.add(f"out = b''.join(({heads}[mti], {', '.join(parts)}))")
        if sum(element.maximum * 2 + 4 for element in elements) > MESSAGE_BYTES_MAX:
            source.refuse_unless(f"len(out) <= {MESSAGE_BYTES_MAX}")
        return source.compile("mti, e", "out")  # type: ignore[return-value]

    def _writer(self, element: Element) -> Writer:
        """Give the content writer of a composite, made once."""
        known = self._writers.get(element.path)
        if known is None:
            known = self._writers[element.path] = compile_writer(element)
        return known


class _Heads(dict[str, bytes]):
    """MTI -> the bytes of MTI and bitmap, for one set of elements."""

    def __init__(self, spec: Spec, numbers: Sequence[int]) -> None:
        super().__init__()
        self._spec = spec
        self._bitmap = pack_bitmap(spec, dict.fromkeys(numbers, ""))

    def __missing__(self, mti: str) -> bytes:
        try:
            head = pack_mti(self._spec, mti) + self._bitmap
        except MessageError:
            raise PlanRefused from None
        if len(self) < HEADS_MAX:
            self[mti] = head
        return head


def compile_writer(element: Element) -> Writer:
    """Give the function that writes a composite's content."""
    if element.encoding == "hex":
        write = compile_writer(replace(element, encoding="ascii"))
        return lambda value: write(value).hex().upper().encode("ascii")
    if element.kind in _TAGGED:
        return TlvWriter(element, compile_bytes)  # type: ignore[return-value]
    if element.kind is Kind.POSITIONAL and element.repeats == 1 and element.encoding != "bcd":
        return _group_writer(element)
    if element.kind is Kind.POSITIONAL and element.repeats > 1:
        return _repeating_writer(element)
    return lambda value: _packed(element, value)


def compile_bytes(element: Element) -> Writer | None:
    """Give the function from a sub-element's value to its bytes; None when they are the same."""
    if element.is_composite:
        return compile_writer(element)
    if element.kind in (Kind.BYTES, Kind.BITMAP) and element.encoding == "binary":
        return None
    if element.kind is Kind.DIGITS and element.encoding == "bcd" and element.maximum % 2 == 0:
        return _digits_writer(element)
    return lambda value: _packed(element, value)


def _packed(element: Element, value: Value) -> bytes:
    try:
        return content_of(element, value)
    except MessageError:
        raise PlanRefused from None


def _digits_writer(element: Element) -> Writer:
    low, high = element.minimum, element.maximum

    def write(value: Value) -> bytes:
        if not isinstance(value, str) or not value.isdigit() or not low <= len(value) <= high:
            raise PlanRefused
        return bytes.fromhex(value)

    return write


def _group_writer(element: Element) -> Writer:
    source = Source()
    source.refuse_unless(f"len(e) == {len(element.sub)}")
    names = [f"v{index}" for index in range(len(element.sub))]
    for name, sub in zip(names, element.sub, strict=True):
        source.add(f"{name} = e[{sub.key!r}]")
    parts = BodyWriter(source, compile_writer).compile(element.sub, names)
    source.add(f"out = b''.join(({', '.join(parts)},))")
    source.refuse_unless(f"{element.minimum} <= len(out) <= {element.maximum}")
    return source.compile("e", "out")  # type: ignore[return-value]


def _repeating_writer(element: Element) -> Writer:
    one = compile_writer(replace(element, repeats=1, minimum=0))

    def write(value: Value) -> bytes:
        if not isinstance(value, list) or not 1 <= len(value) <= element.repeats:
            raise PlanRefused
        out = b"".join([one(group) for group in value])
        if not element.minimum <= len(out) <= element.maximum:
            raise PlanRefused
        return out

    return write


@lru_cache(maxsize=256)
def prefix_table(
    prefix: Prefix, kind: Kind, encoding: str, low: int, high: int
) -> tuple[bytes | None, ...]:
    """Give the prefix bytes by units for every length that is allowed, None below."""
    probe = Element("", "", "", kind, encoding, low, high, prefix)
    table: list[bytes | None] = [None] * low
    for units in range(low, high + 1):
        try:
            table.append(write_count(prefix, count_of_units(probe, units), ""))
        except MessageError:
            break
    return tuple(table)


def packed_run_at(elements: Sequence[Element], index: int) -> Sequence[Element]:
    """Give the elements from `index` on that are one text of digits; empty when it is not so.

    Packed digits of fixed length, and those whose length stands in front in packed digits too: one
    conversion then serves them all.
    """
    stop = index
    while stop < len(elements) and _is_packed_text(elements[stop]):
        stop += 1
    return elements[index:stop]


def _is_packed_text(element: Element) -> bool:
    if element.kind is not Kind.DIGITS or element.encoding != "bcd":
        return False
    if element.is_fixed:
        return not (element.odd.endswith("f") and element.maximum % 2)
    prefix = element.prefix
    is_packed = prefix is not None and prefix.encoding == "bcd" and has_small_prefix(prefix)
    return is_packed and element.odd == "left-0"


def packed_heads(element: Element) -> tuple[str | None, ...]:
    """Give by number of digits what stands before them, as text: prefix, zero before an odd count.

    None for a number that is not allowed: joining it fails, and the packer says why.
    """
    assert element.prefix is not None
    table = prefix_table(
        element.prefix, element.kind, element.encoding, element.minimum, element.maximum
    )
    return tuple(
        None if field is None else field.hex() + "0" * (units % 2)
        for units, field in enumerate(table)
    )


class BodyWriter:
    """Writes the statements that turn values into byte strings, in order."""

    __slots__ = ("_source", "_writer")

    def __init__(self, source: Source, writer: Callable[[Element], Writer]) -> None:
        """Take the function under construction and the maker of composite writers."""
        self._source = source
        self._writer = writer

    def compile(self, elements: Sequence[Element], names: Sequence[str]) -> list[str]:
        """Write the statements; give the expressions of the byte strings to join."""
        parts: list[str] = []
        index = 0
        while index < len(elements):
            run = packed_run_at(elements, index) or run_at(elements, index)
            if run:
                parts.append(self._run(run, names[index : index + len(run)]))
                index += len(run)
            else:
                parts += self._single(elements[index], names[index])
                index += 1
        return parts

    def _run(self, run: Sequence[Element], names: Sequence[str]) -> str:
        """Join the values of neighbours of one encoding, check and convert them together."""
        source, encoding = self._source, run[0].encoding
        lengths = " and ".join(
            f"len({name}) == {element.maximum}"
            for element, name in zip(run, names, strict=True)
            if element.is_fixed
        )
        if lengths:
            source.refuse_unless(lengths)
        pieces: list[str] = []
        for element, name in zip(run, names, strict=True):
            if not element.is_fixed:
                heads = source.constant(packed_heads(element))
                pieces += [f"{heads}[len({name})]", name]
                continue
            is_odd = encoding == "bcd" and element.maximum % 2
            before = ["'0'"] if is_odd and element.odd == "left-0" else []
            after = ["'0'"] if is_odd and element.odd == "right-0" else []
            pieces += [*before, name, *after]
        joined = f"t_{names[0]}"
        source.add(f"{joined} = ''.join(({', '.join(pieces)},))")
        if encoding == "bcd":
            # The digits of bytes are the ASCII ones, and looked at faster than those of a str.
            source.add(f"{joined} = {joined}.encode()")
            source.refuse_unless(f"{joined}.isdigit()")
            return f"{source.constant(unhexlify)}({joined})"
        if encoding != "ascii":  # the ASCII codec refuses the rest itself
            source.refuse_unless(f"{joined}.isascii()")
        source.refuse_unless(f"{joined}.isprintable()")
        written = f"b_{joined}"
        source.add(f"{written} = {joined}.encode({TEXT_CODECS[encoding]!r})")
        for start, stop in digit_spans(run) if encoding == "ascii" else ():
            source.refuse_unless(f"{written}[{start}:{stop}].isdigit()")
        for element, name in zip(run, names, strict=True):
            charset = "n" if element.kind is Kind.DIGITS else element.charset
            if charset != "ans" and (charset != "n" or encoding != "ascii"):
                source.refuse_unless(charset_test(charset, name, may_be_empty=False))
        return written

    def _single(self, element: Element, name: str) -> list[str]:
        source = self._source
        if element.kind in COMPOSITES:
            source.add(f"b_{name} = {source.constant(self._writer(element))}({name})")
            scale = {"bcd": " * 2", "hex": " // 2"}.get(element.encoding, "")
            units = f"len(b_{name}){scale}"
            written = f"b_{name}"
        else:
            written = self._convert(element, name)
            units = f"len({name})"
        if element.prefix is None:
            if element.minimum == element.maximum:
                source.refuse_unless(f"{units} == {element.maximum}")
            else:
                source.refuse_unless(f"{element.minimum} <= {units} <= {element.maximum}")
            return [written]
        if not has_small_prefix(element.prefix):
            source.add("raise odd")
            return [written]
        prefix = prefix_table(
            element.prefix, element.kind, element.encoding, element.minimum, element.maximum
        )
        return [f"{source.constant(prefix)}[{units}]", written]

    def _convert(self, element: Element, name: str) -> str:
        """Write the checks of a value that stands alone; give the expression of its bytes."""
        source = self._source
        if element.kind in (Kind.BYTES, Kind.BITMAP):
            if element.encoding == "binary":
                return name  # joining refuses what is no bytes
            page = "ascii" if element.encoding == "hex" else "cp500"
            return f"{name}.hex().upper().encode({page!r})"
        if element.kind is Kind.TRACK2:
            source.add(f"a, s, b = {name}.partition('=')")
            source.refuse_unless(TRACK2_TEST)
        else:
            charset = "n" if element.kind is Kind.DIGITS else element.charset
            if element.encoding not in ("bcd", "ascii"):  # fromhex and ASCII refuse the rest
                source.refuse_unless(f"{name}.isascii()")
            test = charset_test(charset, name, may_be_empty=element.minimum == 0)
            source.refuse_unless(test)
        if element.encoding != "bcd":
            return f"{name}.encode({TEXT_CODECS[element.encoding]!r})"
        whole = "{a}d{b}" if element.kind is Kind.TRACK2 else f"{{{name}}}"
        side, _, nibble = element.odd.partition("-")
        padded = f"{nibble}{whole}" if side == "left" else f"{whole}{nibble}"
        source.add(f"b_{name} = {source.constant(bytes.fromhex)}(")
        source.add(f"    f'{padded}' if len({name}) & 1 else f'{whole}')")
        return f"b_{name}"
