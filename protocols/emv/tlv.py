"""BER-TLV: parsing and building, bounded in size, depth, tag length and number of objects.

Strict: definite lengths only, nothing left over, no duplicate in a flat reading unless asked for.
Source: EMV 4.4 Book 3, Annex B; ISO/IEC 8825-1; ISO/IEC 7816-4, 5.2.2.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from protocols.crypto.engine import current
from protocols.emv import limits
from protocols.emv.errors import EmvDataError, TlvError

_LOW_FIVE = 0x1F
_CONSTRUCTED = 0x20
_MORE = 0x80
_BOUNDS = (
    limits.TLV_INPUT_BYTES,
    limits.TLV_DEPTH,
    limits.TLV_TAG_BYTES,
    limits.TLV_OBJECTS,
)
_ONE_BYTE_TAGS = tuple(f"{byte:02X}" for byte in range(256))

__all__ = [
    "Tlv",
    "TlvError",
    "build",
    "encode_length",
    "is_constructed",
    "parse",
    "parse_flat",
    "tag_at",
]


@dataclass(frozen=True, slots=True)
class Tlv:
    """One data object: upper-case hex tag, value, and the objects inside when constructed.

    The repr gives the tag and the length only: any object may be a card number.

    >>> Tlv("5A", bytes(8))
    <Tlv 5A 8 bytes>
    """

    tag: str
    value: bytes
    children: tuple["Tlv", ...] = field(default=())

    def __repr__(self) -> str:
        return f"<Tlv {self.tag} {len(self.value)} bytes>"

    def find(self, tag: str) -> "Tlv | None":
        """Give the first object of this tag among the children and their children, or None."""
        for child in self.children:
            if child.tag == tag:
                return child
            if (found := child.find(tag)) is not None:
                return found
        return None


def is_constructed(tag: str) -> bool:
    """Tell whether this hex tag holds further objects (bit 6 of its first byte).

    >>> is_constructed("6F"), is_constructed("9F02")
    (True, False)
    """
    return bool(int(tag[:2], 16) & _CONSTRUCTED)


def parse(data: bytes, *, filler: bool = False) -> list[Tlv]:
    """Give the objects of `data` in order, constructed ones with their children.

    `filler` allows 00 bytes before, between and after objects, as files of cards may hold them.
    Raises TlvError. Source: EMV 4.4 Book 3, Annex B1.

    >>> [fci] = parse(bytes.fromhex("6F0A8408315041592E535953"))
    >>> fci, fci.children
    (<Tlv 6F 10 bytes>, (<Tlv 84 8 bytes>,))
    """
    return list(_Parser(data, filler=filler).objects(0, len(data), "", 0))


def parse_flat(
    data: bytes, *, duplicates: bool = False, filler: bool = False, leaves: bool = False
) -> dict[str, bytes]:
    """Give the top level of `data` as an ordered mapping of upper-case hex tag to value.

    `leaves` reads through templates and gives the primitive objects of all levels instead.
    A tag that comes twice is an error, unless `duplicates`: then the first one is kept, as a
    terminal must (EMV 4.4 Book 3, 7.3). Raises TlvError.

    >>> parse_flat(bytes.fromhex("9F36020001950500000000009A03260105"))["9F36"].hex()
    '0001'
    >>> list(parse_flat(bytes.fromhex("77079F2701809F3600"), leaves=True))
    ['9F27', '9F36']
    """
    if not (duplicates or filler):
        walked = current.engine.tlv_flat(data, leaves, _BOUNDS)
        if walked is not None:
            return walked
    found: dict[str, bytes] = {}
    _Parser(data, filler=filler).flat(0, len(data), "", 0, found, duplicates, leaves)
    return found


def tag_at(
    data: bytes, at: int, error: type[EmvDataError], *, end: int | None = None, path: str = ""
) -> tuple[str, int]:
    """Give the hex tag that stands at an offset, and the offset after it; raise `error` if none.

    >>> tag_at(bytes.fromhex("9F2608"), 0, TlvError)
    ('9F26', 2)
    """
    end = len(data) if end is None else end
    first = data[at]
    if first == 0x00:
        raise error(path, at, "00 where a tag must stand")
    if first & _LOW_FIVE != _LOW_FIVE:
        return _ONE_BYTE_TAGS[first], at + 1
    after = at + 1
    while after < end and after - at < limits.TLV_TAG_BYTES:
        after += 1
        if not data[after - 1] & _MORE:
            return data[at:after].hex().upper(), after
    if after - at >= limits.TLV_TAG_BYTES:
        raise error(path, at, f"a tag longer than {limits.TLV_TAG_BYTES} bytes")
    raise error(path, at, "the input ends inside a tag")


def encode_length(length: int) -> bytes:
    """Give the shortest definite length field.

    >>> encode_length(127).hex(), encode_length(128).hex(), encode_length(256).hex()
    ('7f', '8180', '820100')
    """
    assert 0 <= length <= limits.TLV_INPUT_BYTES
    if length < 0x80:
        return bytes((length,))
    if length < 0x100:
        return bytes((0x81, length))
    return bytes((0x82, length >> 8, length & 0xFF))


def build(objects: Mapping[str, bytes] | Iterable[Tlv | tuple[str, bytes]]) -> bytes:
    """Give the encoding of the objects in their order; a Tlv with children is built from them.

    Raises TlvError for a tag that is none, or a value too long.

    >>> build({"9F02": bytes(6), "9C": b"\\x00"}).hex()
    '9f02060000000000009c0100'
    """
    pairs = objects.items() if isinstance(objects, Mapping) else objects
    parts: list[bytes] = []
    for item in pairs:
        if isinstance(item, Tlv):
            tag, value = item.tag, build(item.children) if item.children else item.value
        else:
            tag, value = item
        encoded = _tag_bytes(tag)
        if len(value) > limits.TLV_INPUT_BYTES:
            raise TlvError(tag, 0, "the value is longer than two length bytes can say")
        parts += (encoded, encode_length(len(value)), value)
    return b"".join(parts)


def _tag_bytes(tag: str) -> bytes:
    """Give the bytes of a hex tag; TlvError when it is not exactly one well-formed tag."""
    try:
        encoded = bytes.fromhex(tag)
    except ValueError:
        encoded = b""
    if not encoded or len(tag) != 2 * len(encoded):
        raise TlvError("", 0, "a tag is one to three bytes in hex")
    if tag_at(encoded, 0, TlvError)[1] != len(encoded):
        raise TlvError("", 0, "the hex text holds more than one tag")
    return encoded


class _Parser:
    """One pass over one input, counting its objects."""

    __slots__ = ("_data", "_filler", "_left")

    def __init__(self, data: bytes, *, filler: bool = False) -> None:
        if len(data) > limits.TLV_INPUT_BYTES:
            raise TlvError("", 0, f"longer than {limits.TLV_INPUT_BYTES} bytes")
        self._data = data
        self._filler = filler
        self._left = limits.TLV_OBJECTS

    def objects(self, at: int, end: int, path: str, depth: int) -> Iterable[Tlv]:
        """Yield the objects between two offsets."""
        while (head := self._header(at, end, path)) is not None:
            tag, start, at = head
            children: tuple[Tlv, ...] = ()
            if is_constructed(tag):
                inside = self._descend(path, tag, start, depth)
                children = tuple(self.objects(start, at, inside, depth + 1))
            yield Tlv(tag, self._data[start:at], children)

    def flat(
        self,
        at: int,
        end: int,
        path: str,
        depth: int,
        found: dict[str, bytes],
        duplicates: bool,
        leaves: bool,
    ) -> None:
        """Collect tag and value pairs between two offsets."""
        while (head := self._header(at, end, path)) is not None:
            tag, start, after = head
            if leaves and is_constructed(tag):
                inside = self._descend(path, tag, start, depth)
                self.flat(start, after, inside, depth + 1, found, duplicates, leaves)
            elif tag not in found:
                found[tag] = self._data[start:after]
            elif not duplicates:
                raise TlvError(_join(path, tag), at, "the tag comes twice")
            at = after

    def _header(self, at: int, end: int, path: str) -> tuple[str, int, int] | None:
        """Give tag, first and last offset of the next object's value, or None at the end."""
        if self._filler:
            while at < end and self._data[at] == 0x00:
                at += 1
        if at == end:
            return None
        if not self._left:
            raise TlvError(path, at, f"more than {limits.TLV_OBJECTS} objects")
        self._left -= 1
        tag, after = tag_at(self._data, at, TlvError, end=end, path=path)
        start, length = self._length(after, end, path, tag)
        if start + length > end:
            raise TlvError(
                _join(path, tag), start, f"{length} bytes announced, {end - start} there"
            )
        return tag, start, start + length

    def _length(self, at: int, end: int, path: str, tag: str) -> tuple[int, int]:
        """Give the offset after the length field and the length."""
        if at >= end:
            raise TlvError(_join(path, tag), at, "the input ends where a length must stand")
        first = self._data[at]
        if first < 0x80:
            return at + 1, first
        count = first & 0x7F
        if count == 0:
            raise TlvError(_join(path, tag), at, "an indefinite length")
        if count > 2:
            raise TlvError(_join(path, tag), at, "a length field of more than three bytes")
        after = at + 1 + count
        if after > end:
            raise TlvError(_join(path, tag), at, "the input ends inside a length")
        return after, int.from_bytes(self._data[at + 1 : after], "big")

    @staticmethod
    def _descend(path: str, tag: str, at: int, depth: int) -> str:
        if depth + 1 >= limits.TLV_DEPTH:
            raise TlvError(_join(path, tag), at, f"nested deeper than {limits.TLV_DEPTH}")
        return _join(path, tag)


def _join(path: str, tag: str) -> str:
    return f"{path}.{tag}" if path else tag
