"""Compiled decoders: one function per bitmap, made of slices at constant offsets.

Theory of operation. `r` is what is left of the message, `o` (a number while compiling) the offset
in it. Fixed elements of one encoding form a run that is converted and checked at once and then
sliced. A variable element cuts `r` behind itself. A slice may silently be short, so each variable
value is checked for its length and the end of the message once at the end.
"""

from binascii import hexlify
from collections.abc import Callable, Sequence
from dataclasses import replace

from protocols.iso8583.bits import numbers_of
from protocols.iso8583.charsets import TEXT_CODECS
from protocols.iso8583.content import wire_size
from protocols.iso8583.errors import MessageError
from protocols.iso8583.layouts import TlvReader
from protocols.iso8583.limits import PLANS_MAX
from protocols.iso8583.message import Message, Value
from protocols.iso8583.model import COMPOSITES, Element, Kind, Spec
from protocols.iso8583.plan_source import (
    TRACK2_TEST,
    PlanRefused,
    Source,
    charset_test,
    digit_spans,
    has_small_prefix,
    run_at,
    size_table,
)
from protocols.iso8583.walk import Walk

#: Turns the bytes of a composite's content into its value.
Reader = Callable[[bytes], Value]
_TAGGED = (Kind.TLV, Kind.LTV, Kind.BER_TLV, Kind.DATASET)

#: MTIs that one codec remembers; there are not thousands of them.
MTIS_MAX = 256


class Mtis(dict[bytes, str]):
    """Bytes of an MTI -> its four digits; raises PlanRefused for anything else."""

    def __init__(self, encoding: str) -> None:
        """Take the encoding of the MTI."""
        super().__init__()
        self._encoding = encoding

    def __missing__(self, field: bytes) -> str:
        is_packed = self._encoding == "bcd"
        text = field.hex() if is_packed else field.decode(self._encoding)
        if not (len(text) == 4 and text.isascii() and text.isdigit()):
            raise PlanRefused
        if len(self) < MTIS_MAX:
            self[field] = text
        return text


class DecodePlans:
    """The decoders of one spec, compiled as bitmaps are seen.

    `by_bitmap[raw[short]]`, or `[raw[long]]` when the byte at `first` is at least `long_from`, is
    the plan of a message; the codec looks it up itself to save a call.
    """

    __slots__ = ("_mtis", "_readers", "_spec", "by_bitmap", "first", "long", "long_from", "short")

    def __init__(self, spec: Spec) -> None:
        """Take the spec."""
        self._spec = spec
        self._mtis = Mtis(spec.mti_encoding)
        self._readers: dict[str, Reader] = {}
        self.by_bitmap: dict[bytes, Callable[[bytes], Message]] = {}
        self.first = spec.mti_size
        # The first bit of a bitmap says that a second follows: in hex, digits from 8 on.
        self.long_from = 0x80 if spec.bitmap_encoding == "binary" else ord("8")
        self.short = slice(self.first, self.first + spec.bitmap_size)
        self.long = slice(self.first, self.first + spec.bitmap_size * 2)

    def decode_slowly(self, raw: bytes) -> Message:
        """Give the message by the walk, and learn its plan. Raises: MessageError."""
        mti, elements, _ = Walk(self._spec, raw).message()
        self._learn(raw, elements)
        return Message(mti, elements, self._spec)

    def _learn(self, raw: bytes, elements: dict[int, Value]) -> None:
        """Compile a plan for the bitmap of a message that the walk accepted."""
        key = raw[self.long if raw[self.first] >= self.long_from else self.short]
        has_third = self._spec.bitmap_tertiary and any(number > 128 for number in elements)
        if len(self.by_bitmap) >= PLANS_MAX or key in self.by_bitmap or has_third:
            return
        if self._spec.bitmap_encoding == "ebcdic-hex":
            return  # the walk serves it; no link of ours speaks it
        bits = int.from_bytes(key, "big") if self._spec.bitmap_size == 8 else int(key, 16)
        width = len(key) * 8 if self._spec.bitmap_size == 8 else len(key) * 4
        numbers = numbers_of(bits, width, self._spec)
        self.by_bitmap[key] = self._compile(numbers, len(key))

    def _compile(self, numbers: Sequence[int], bitmap_bytes: int) -> Callable[[bytes], Message]:
        source = Source()
        spec = self._spec
        mtis = source.constant(self._mtis)
        elements = [spec.elements[number] for number in numbers]
        body = BodyCompiler(source, self._reader)
        values = body.compile(elements, spec.mti_size + bitmap_bytes)
        pairs = zip(numbers, values, strict=True)
        items = ", ".join(f"{number}: {value}" for number, value in pairs)
        make = source.constant(Message)
        result = f"{make}({mtis}[r[:{spec.mti_size}]], {{{items}}}, {source.constant(spec)})"
        return source.compile("r", result)  # type: ignore[return-value]

    def _reader(self, element: Element) -> Reader:
        """Give the content reader of a composite, made once."""
        known = self._readers.get(element.path)
        if known is None:
            known = self._readers[element.path] = compile_reader(self._spec, element)
        return known


def compile_reader(spec: Spec, element: Element) -> Reader:
    """Give the function that reads a composite's content."""
    if element.encoding == "hex":
        return _hex_reader(compile_reader(spec, replace(element, encoding="ascii")))
    if element.kind in _TAGGED:
        return TlvReader(spec, element, lambda sub: compile_value(spec, sub))
    if element.kind is Kind.POSITIONAL and element.encoding == "bcd":
        return _packed_reader(element)
    if element.kind is Kind.POSITIONAL:
        group = _group_reader(spec, element)
        if element.repeats == 1:
            return group
        if all(sub.is_fixed for sub in element.sub):
            return _repeating_reader(element, group)
    return lambda content: _walked(spec, element, content)


def _hex_reader(read: Reader) -> Reader:
    def unhex(content: bytes) -> Value:
        if content.translate(None, b"0123456789ABCDEF"):
            raise PlanRefused
        return read(bytes.fromhex(content.decode("ascii")))

    return unhex


def compile_value(spec: Spec, element: Element) -> Reader | None:
    """Give the function from a sub-element's bytes to its value; None for plain bytes."""
    if element.is_composite:
        return compile_reader(spec, element)
    if element.kind in (Kind.BYTES, Kind.BITMAP) and element.encoding == "binary":
        return None
    if element.kind is Kind.DIGITS and element.encoding == "bcd" and element.maximum % 2 == 0:
        return _packed_digits
    if element.kind is Kind.TEXT and element.encoding == "ascii":
        return _text_reader(element)
    return lambda content: _walked(spec, element, content)


def _packed_digits(content: bytes) -> str:
    digits = content.hex()
    if not digits.isdigit():
        raise PlanRefused
    return digits


def _text_reader(element: Element) -> Reader:
    source = Source()
    source.add("x = r.decode('ascii')")
    source.refuse_unless(charset_test(element.charset, "x", may_be_empty=element.minimum == 0))
    return source.compile("r", "x")  # type: ignore[return-value]


def _walked(spec: Spec, element: Element, content: bytes) -> Value:
    try:
        return Walk(spec, content).sized(element, 0, len(content), 1)
    except MessageError:
        raise PlanRefused from None  # the walk over the whole message words it


def _packed_reader(element: Element) -> Reader:
    source = Source()
    source.add("d = r.hex()")
    source.refuse_unless(f"len(d) == {element.maximum} and d.isdigit()")
    items, at = [], 0
    for sub in element.sub:
        items.append(f"{sub.key!r}: d[{at}:{at + sub.maximum}]")
        at += sub.maximum
    return source.compile("r", f"{{{', '.join(items)}}}")  # type: ignore[return-value]


def _group_reader(spec: Spec, element: Element) -> Reader:
    source = Source()
    body = BodyCompiler(source, lambda sub: compile_reader(spec, sub))
    names = body.compile(element.sub, 0)
    pairs = zip(element.sub, names, strict=True)
    items = ", ".join(f"{sub.key!r}: {name}" for sub, name in pairs)
    return source.compile("r", f"{{{items}}}")  # type: ignore[return-value]


def _repeating_reader(element: Element, group: Reader) -> Reader:
    size = sum(wire_size(sub, sub.maximum) for sub in element.sub)

    def read(content: bytes) -> Value:
        count, rest = divmod(len(content), size)
        if rest or not 1 <= count <= element.repeats:
            raise PlanRefused
        starts = range(0, len(content), size)
        return [group(content[start : start + size]) for start in starts]  # type: ignore[misc]

    return read


class BodyCompiler:
    """Writes the statements that read a list of elements one after the other."""

    __slots__ = ("_is_moving", "_offset", "_reader", "_source")

    def __init__(self, source: Source, reader: Callable[[Element], Reader]) -> None:
        """Take the function under construction and the maker of composite readers."""
        self._source = source
        self._reader = reader
        self._offset = 0
        self._is_moving = False

    def _at(self, ahead: int = 0) -> str:
        """Give the expression of the position `ahead` bytes from here."""
        offset = self._offset + ahead
        if not self._is_moving:
            return str(offset)
        return f"p + {offset}" if offset else "p"

    def compile(self, elements: Sequence[Element], offset: int) -> list[str]:
        """Write the statements; give the expression of each element's value, in order."""
        self._offset = offset
        values: list[str] = []
        index = 0
        while index < len(elements):
            run = run_at(elements, index)
            if len(run) > 0:
                values += self._fixed_run(run)
                index += len(run)
            else:
                values.append(self._single(elements[index], len(values)))
                index += 1
        # Slices may be short silently, but never move the position: it shows a cut message.
        self._source.refuse_unless(f"len(r) == {self._at()}")
        return values

    def _fixed_run(self, run: Sequence[Element]) -> list[str]:
        """Read neighbours of fixed length and one encoding at once, then slice them."""
        source, encoding = self._source, run[0].encoding
        size = sum(wire_size(element, element.maximum) for element in run)
        name = f"t{len(source.lines)}"
        part = f"r[{self._at()}:{self._at(size)}]"
        self._offset += size
        if encoding == "bcd":
            self._digits(name, part, may_be_empty=False)
            return self._packed_slices(run, name)
        if encoding == "ascii" and (spans := digit_spans(run)):
            source.add(f"{name} = {part}")
            for start, stop in spans:
                source.refuse_unless(f"{name}[{start}:{stop}].isdigit()")
            part = name
        source.add(f"{name} = {part}.decode({TEXT_CODECS[encoding]!r})")
        if encoding != "ascii":
            source.refuse_unless(f"{name}.isascii()")
        source.refuse_unless(f"{name}.isprintable()")
        return self._text_slices(run, name)

    def _digits(self, name: str, packed: str, *, may_be_empty: bool) -> None:
        """Write the statements that unpack digits, proved as bytes, which is quicker."""
        source = self._source
        source.add(f"{name} = {source.constant(hexlify)}({packed})")
        source.refuse_unless(f"{name}.isdigit()" + (f" or not {name}" if may_be_empty else ""))
        source.add(f"{name} = {name}.decode()")

    def _packed_slices(self, run: Sequence[Element], name: str) -> list[str]:
        values, pads, at = [], [], 0
        for element in run:
            units = element.maximum
            start = at
            if units % 2 and element.odd.startswith("left"):
                pads.append(f"{name}[{at}]")
                start += 1
            elif units % 2:
                pads.append(f"{name}[{at + units}]")
            values.append(f"{name}[{start}:{start + units}]")
            at += units + units % 2
        if pads:
            self._source.refuse_unless(" == ".join([*pads, "'0'"]))
        return values

    def _text_slices(self, run: Sequence[Element], name: str) -> list[str]:
        values, at = [], 0
        for index, element in enumerate(run):
            stop = at + element.maximum
            charset = "n" if element.kind is Kind.DIGITS else element.charset
            if charset == "ans" or (charset == "n" and element.encoding == "ascii"):
                values.append(f"{name}[{at}:{stop}]")
            else:
                value = f"{name}_{index}"
                self._source.add(f"{value} = {name}[{at}:{stop}]")
                self._source.refuse_unless(charset_test(charset, value, may_be_empty=False))
                values.append(value)
            at = stop
        return values

    def _single(self, element: Element, index: int) -> str:
        source = self._source
        name = f"v{index}_{len(source.lines)}"
        if element.prefix is not None:
            if not has_small_prefix(element.prefix):
                source.add("raise odd")  # no table of ten thousand lengths for a rare form
                return "r"
            self._prefixed(element, name)
            self._convert(element, name, is_odd="odd_digits")
            return name
        if element.is_fixed:
            size = wire_size(element, element.maximum)
            source.add(f"{name} = r[{self._at()}:{self._at(size)}]")
            self._offset += size
        else:  # the last part of a group takes the rest
            source.add(f"{name} = r[{self._at()}:]")
            source.refuse_unless(f"{element.minimum} <= len({name}) <= {element.maximum}")
            source.add("p = len(r)")
            self._offset, self._is_moving = 0, True
        self._convert(element, name, is_odd=str(element.maximum % 2))
        return name

    def _prefixed(self, element: Element, name: str) -> None:
        source, prefix = self._source, element.prefix
        assert prefix is not None
        table = source.constant(
            size_table(prefix, element.kind, element.encoding, element.minimum, element.maximum)
        )
        target = "n, odd_digits" if element.encoding == "bcd" else "n"
        source.add(f"{target} = {table}[r[{self._at()}:{self._at(prefix.size)}]]")
        source.add(f"q = {self._at(prefix.size)}")
        source.add("p = q + n")
        source.add(f"{name} = r[q:p]")
        self._offset, self._is_moving = 0, True

    def _convert(self, element: Element, name: str, is_odd: str) -> None:
        """Write the statements that turn the bytes `name` into the value `name`."""
        source = self._source
        if element.kind in COMPOSITES:
            reader = source.constant(self._reader(element))
            source.add(f"{name} = {reader}({name})")
        elif element.kind in (Kind.BYTES, Kind.BITMAP):
            self._convert_bytes(element, name)
        elif element.kind is Kind.TRACK2:
            self._convert_track2(element, name, is_odd)
        elif element.encoding == "bcd" and not element.odd.endswith("f"):
            # A padding 0 is a digit too.
            self._digits(name, name, may_be_empty=element.minimum == 0)
            self._strip_pad(element, name, is_odd)
        elif element.encoding == "bcd":
            source.add(f"{name} = {name}.hex()")
            self._strip_pad(element, name, is_odd)
            source.refuse_unless(charset_test("n", name, may_be_empty=element.minimum == 0))
        else:
            self._decode_text(element, name)
            charset = "n" if element.kind is Kind.DIGITS else element.charset
            test = charset_test(charset, name, may_be_empty=element.minimum == 0)
            source.refuse_unless(test)

    def _decode_text(self, element: Element, name: str) -> None:
        self._source.add(f"{name} = {name}.decode({TEXT_CODECS[element.encoding]!r})")
        if element.encoding != "ascii":
            self._source.refuse_unless(f"{name}.isascii()")

    def _strip_pad(self, element: Element, name: str, is_odd: str) -> None:
        if is_odd == "0":
            return
        side, _, nibble = element.odd.partition("-")
        index, kept = ("0", "1:") if side == "left" else ("-1", ":-1")
        self._source.add(f"if {is_odd}:")
        self._source.add(f"    if {name}[{index}] != {nibble!r}: raise odd")
        self._source.add(f"    {name} = {name}[{kept}]")

    def _convert_track2(self, element: Element, name: str, is_odd: str) -> None:
        source, separator = self._source, "="
        if element.encoding == "bcd":
            separator = "d"
            source.add(f"{name} = {name}.hex()")
            self._strip_pad(element, name, is_odd)
        else:
            self._decode_text(element, name)
        source.add(f"a, s, b = {name}.partition({separator!r})")
        source.refuse_unless(TRACK2_TEST)
        if element.encoding == "bcd":
            source.add(f"{name} = f'{{a}}={{b}}'")

    def _convert_bytes(self, element: Element, name: str) -> None:
        if element.encoding == "binary":
            return
        page = "ascii" if element.encoding == "hex" else "cp500"
        digits = self._source.constant("0123456789ABCDEF".encode(page))
        self._source.refuse_unless(f"not {name}.translate(None, {digits})")
        self._source.add(f"{name} = bytes.fromhex({name}.decode({page!r}))")
