"""Messages whose elements are found at once and read when somebody asks for one.

Theory of operation. The raw bytes are kept. One pass over MTI, bitmaps and length prefixes notes
where each element stands; nothing of a value is looked at. `message[11]` then reads element 11,
each time anew: keep the value where it is used twice. So what `decode` would refuse is seen in two
steps: lengths and what is left over at once, the content of an element when it is read.
`message()` reads everything and raises what `decode` raises. For routers, which need three
elements of twenty.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from protocols.iso8583.content import (
    check_units,
    read_count,
    units_of_count,
    units_of_size,
    wire_size,
)
from protocols.iso8583.errors import MessageError, Reason
from protocols.iso8583.limits import MESSAGE_BYTES_MAX
from protocols.iso8583.message import Message, Value
from protocols.iso8583.model import Element, Spec
from protocols.iso8583.walk import Walk


class LazyMessage(Protocol):
    """A message over its own bytes; `raw` and `mti` are there at once."""

    @property
    def raw(self) -> bytes:
        """Give the bytes of the message."""

    @property
    def mti(self) -> str:
        """Give the message type, four digits."""

    @property
    def spec(self) -> Spec:
        """Give the spec that it is read by."""

    def __getitem__(self, number: int, /) -> Value:
        """Give an element; raise MessageError when it is missing or not what the spec says."""

    def __contains__(self, number: object, /) -> bool: ...

    def __iter__(self) -> Iterator[int]: ...

    def __len__(self) -> int: ...

    def get(self, number: int, default: Value | None = None) -> Value | None:
        """Give an element, or `default` when it is not there."""

    def wire(self, number: int, /) -> bytes:
        """Give the bytes of an element as they came, with its length prefix."""

    def message(self) -> Message:
        """Give the whole message; raise what `decode` raises."""


class Place(NamedTuple):
    """Where an element stands: from its prefix on, from its content on, up to its end."""

    start: int
    begin: int
    end: int


class PureLazyMessage:
    """The lazy message in pure Python.

    A compiled plan reads a whole message in less time than its elements are found one by one, so a
    message that is right is read at once and its places are found when bytes are asked for.
    """

    __slots__ = ("_elements", "_known", "_walk", "mti", "raw", "spec")

    def __init__(
        self, spec: Spec, raw: bytes, decode: Callable[[bytes], Message] | None = None
    ) -> None:
        """Find every element. Raises: MessageError for lengths that the spec does not allow."""
        self.spec = spec
        self.raw = raw
        self._walk = Walk(spec, raw)
        self._known: dict[int, Place] | None = None
        try:
            whole = None if decode is None else decode(raw)
        except MessageError:
            whole = None
        if whole is None:
            self.mti, self._known = find(self._walk)
            self._elements: dict[int, Value] = {}
        else:
            self.mti, self._elements = whole.mti, whole.elements

    @property
    def _places(self) -> dict[int, Place]:
        if self._known is None:
            self._known = find(self._walk)[1]
        return self._known

    def __getitem__(self, number: int, /) -> Value:
        read = self._elements.get(number)
        if read is not None:
            return read
        place = self._place(number)
        element = self.spec.elements[number]
        return self._walk.element(element, place.start, len(self.raw), 0)[0]

    def __contains__(self, number: object, /) -> bool:
        return number in (self._elements or self._places)

    def __iter__(self) -> Iterator[int]:
        return iter(self._elements or self._places)

    def __len__(self) -> int:
        return len(self._elements or self._places)

    def get(self, number: int, default: Value | None = None) -> Value | None:
        """Give an element, or `default` when it is not there."""
        if number not in self:
            return default
        return self[number]

    def wire(self, number: int, /) -> bytes:
        """Give the bytes of an element as they came, with its length prefix."""
        place = self._place(number)
        return self.raw[place.start : place.end]

    def message(self) -> Message:
        """Give the whole message; raise what `decode` raises."""
        mti, elements, _ = Walk(self.spec, self.raw).message()
        return Message(mti, elements, self.spec)

    def __repr__(self) -> str:
        numbers = " ".join(str(number) for number in self)
        return f"<LazyMessage {self.mti} {numbers}>".replace(" >", ">")

    def _place(self, number: int) -> Place:
        place = self._places.get(number)
        if place is None:
            raise missing(number)
        return place


def find(walk: Walk) -> tuple[str, dict[int, Place]]:
    """Give MTI and where each element stands, reading prefixes only. Raises: MessageError."""
    raw, spec = walk.raw, walk.spec
    if len(raw) > MESSAGE_BYTES_MAX:
        raise MessageError("message", MESSAGE_BYTES_MAX, Reason.TOO_LONG)
    mti, position = walk.mti()
    numbers, position = walk.bitmap(position)
    places: dict[int, Place] = {}
    for number in numbers:
        element = spec.elements.get(number)
        if element is None:
            raise MessageError(str(number), position, Reason.UNKNOWN_ELEMENT)
        places[number] = place = locate(element, raw, position)
        position = place.end
    if position < len(raw):
        detail = f"{len(raw) - position} bytes"
        raise MessageError("message", position, Reason.LEFT_OVER, detail)
    return mti, places


def locate(element: Element, raw: bytes, start: int) -> Place:
    """Give where an element that begins at `start` ends. Raises: MessageError."""
    begin, end = start, len(raw)
    if element.prefix is not None:
        count = read_count(element.prefix, raw, start, end, element.path)
        begin += element.prefix.size
        units = units_of_count(element, count, start)
    elif element.minimum < element.maximum:
        units = units_of_size(element, raw, start, end)
    else:
        units = element.maximum
    check_units(element, units, start)
    stop = begin + wire_size(element, units)
    if stop > end:
        raise MessageError(element.path, end, Reason.TRUNCATED, f"{stop - end} bytes short")
    return Place(start, begin, stop)


def read_element(spec: Spec, raw: bytes, number: int, start: int | None) -> Value:
    """Give the element that begins at `start`, None standing for nowhere. Raises: MessageError."""
    if start is None:
        raise missing(number)
    return Walk(spec, raw).element(spec.elements[number], start, len(raw), 0)[0]


def missing(number: object) -> MessageError:
    """Give the error for an element that a message does not have."""
    return MessageError(str(number), None, Reason.MISSING)
