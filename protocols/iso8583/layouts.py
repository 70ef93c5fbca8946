"""Remembered tag layouts: TLV elements read and written at the cost of one comparison.

Terminals of one kind send DE55 with the same tags and lengths message after message. The first
such message is read by the walk; its layout (which bytes are tags and lengths, and their values)
is kept as two big integers. A message whose bytes under the mask equal the kept ones has the same
layout, so its values stand at known places. Others go to the walk, which also words every error.
"""

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from protocols.iso8583.errors import MessageError
from protocols.iso8583.limits import LAYOUTS_MAX
from protocols.iso8583.message import Value
from protocols.iso8583.model import Element, Spec
from protocols.iso8583.pack import content_of, tagged_parts
from protocols.iso8583.plan_source import PlanRefused
from protocols.iso8583.walk import Walk

#: From a sub-element's bytes to its value, and back.
ToValue = Callable[[bytes], Value]
ToBytes = Callable[[Value], bytes]

#: Layouts of one length that are tried before the walk is asked.
SAME_LENGTH_MAX = 4


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the values of one sequence of tags and lengths stand."""

    mask: int
    fixed: int
    unpack: Callable[[bytes], tuple[bytes, ...]]
    keys: tuple[str, ...]
    converters: tuple[ToValue | None, ...] | None


class TlvReader:
    """Reads the content of one tagged element; learns the layouts it sees."""

    __slots__ = ("_compile", "_count", "_element", "_layouts", "_spec")

    def __init__(
        self, spec: Spec, element: Element, compile_value: Callable[[Element], ToValue | None]
    ) -> None:
        """Take the element and the maker of its sub-elements' converters."""
        self._spec = spec
        self._element = element
        self._compile = compile_value
        self._layouts: dict[int, list[Layout]] = {}
        self._count = 0

    def __call__(self, content: bytes) -> Value:
        """Give the dict of sub-elements. Raises: PlanRefused when the walk must word an error."""
        number = int.from_bytes(content, "big")
        for layout in self._layouts.get(len(content), ()):
            if number & layout.mask == layout.fixed:
                values = layout.unpack(content)
                if layout.converters is None:
                    return dict(zip(layout.keys, values, strict=True))
                return {
                    key: value if convert is None else convert(value)
                    for key, convert, value in zip(
                        layout.keys, layout.converters, values, strict=True
                    )
                }
        return self._slowly(content)

    def _slowly(self, content: bytes) -> Value:
        try:
            value = Walk(self._spec, content).sized(self._element, 0, len(content), 0)
        except MessageError:
            raise PlanRefused from None
        known = self._layouts.setdefault(len(content), [])
        if self._count < LAYOUTS_MAX and len(known) < SAME_LENGTH_MAX and isinstance(value, dict):
            layout = self._learn(value)
            if layout is not None:
                known.append(layout)
                self._count += 1
        return value

    def _learn(self, value: dict[str, Value]) -> Layout | None:
        mask, fixed, form = b"", b"", ">"
        converters: list[ToValue | None] = []
        subs = {sub.key: sub for sub in self._element.sub}
        for key, header, content in tagged_parts(self._element, value):
            mask += b"\xff" * len(header) + bytes(len(content))
            fixed += header + bytes(len(content))
            form += f"{len(header)}x{len(content)}s"
            sub = subs.get(key)
            if sub is not None and _has_loose_digits(sub):
                return None  # its padding decides how many digits there are
            converters.append(None if sub is None else self._compile(sub))
        return Layout(
            int.from_bytes(mask, "big"),
            int.from_bytes(fixed, "big"),
            struct.Struct(form).unpack,
            tuple(value),
            tuple(converters) if any(converters) else None,
        )


def _has_loose_digits(element: Element) -> bool:
    return element.encoding == "bcd" and element.minimum < element.maximum


class TlvWriter:
    """Writes one tagged element; remembers the headers of each sequence of keys and lengths."""

    __slots__ = ("_convert", "_element", "_known")

    def __init__(self, element: Element, to_bytes: Callable[[Element], ToBytes | None]) -> None:
        """Take the element and the maker of its sub-elements' converters."""
        self._element = element
        self._known: dict[object, tuple[list[bytes], tuple[ToBytes | None, ...] | None, int]] = {}
        self._convert = {sub.key: to_bytes(sub) for sub in element.sub}

    def __call__(self, value: dict[str, Value]) -> bytes:
        """Give the content. Raises: PlanRefused when the packer must word an error."""
        values: Iterable[Value] = value.values()
        key = (*value, *map(len, values))
        known = self._known.get(key)
        if known is None:
            return self._slowly(key, value)
        headers, converters, size = known
        parts = headers.copy()
        if converters is None:
            parts[1::2] = values  # type: ignore[assignment]
        else:
            parts[1::2] = [
                part if convert is None else convert(part)  # type: ignore[misc]
                for convert, part in zip(converters, values, strict=True)
            ]
        content = b"".join(parts)
        if len(content) != size:
            raise PlanRefused
        return content

    def _slowly(self, key: object, value: dict[str, Value]) -> bytes:
        try:
            content = content_of(self._element, value)
        except MessageError:
            raise PlanRefused from None
        if len(self._known) < LAYOUTS_MAX and not any(map(_has_loose_size, self._element.sub)):
            headers: list[bytes] = []
            for _, header, _ in tagged_parts(self._element, value):
                headers += (header, b"")
            converters = tuple(self._convert.get(name) for name in value)
            self._known[key] = (headers, converters if any(converters) else None, len(content))
        return content


def _has_loose_size(element: Element) -> bool:
    """Tell whether the value's length does not give the size on the wire."""
    return element.is_composite and not all(sub.is_fixed for sub in element.sub)
