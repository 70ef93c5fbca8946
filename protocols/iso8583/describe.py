"""Messages for people: every element named and explained, secrets masked, failing closed.

Masking follows the spec's `sensitive`; what the spec does not know (unknown tags, a message
without a spec, bytes behind an error) is shown by its length alone. Free text still passes the net
for runs of 13 to 19 digits (design decision 19).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from protocols.iso8583.inspect import inspect_message
from protocols.iso8583.message import Message, Value, find_use
from protocols.iso8583.model import Element, Kind, Sensitivity, Spec
from protocols.iso8583.selfcheck import meaning_of
from protocols.values import mask_free_text


@dataclass(frozen=True, slots=True)
class Difference:
    """One element path that two messages do not share; values masked, `-` where absent."""

    path: str
    name: str
    left: str
    right: str

    def __str__(self) -> str:
        return f"{self.path:<14} {self.name}: {self.left} | {self.right}"


def describe(message: Message | bytes, spec: Spec) -> str:
    """Give the message as text, one line per element and sub-element, masked.

    Bytes are inspected: what can be read is shown, then where and why the reading ended.
    """
    if isinstance(message, Message):
        head = [_title(spec, message)]
        return "\n".join(head + [_line(*row) for row in _rows(spec, message)])
    found = inspect_message(spec, bytes(message))
    lines = [f"{found.size} bytes under {spec.name}"]
    for node in found.nodes:
        shown = "" if node.value is None and node.element else masked(node.element, node.value)
        if node.element is None and node.path == "mti":
            shown = str(node.value)
        if node.element is None and node.path == "bitmap":
            shown = f"{node.end - node.start} bytes"
        name = node.element.name if node.element else ""
        lines.append(f"{node.start:>5}  {_line(node.path, name, shown)}")
    if found.error is not None:
        lines.append(f"{found.error.offset or 0:>5}  stopped: {found.error}")
        lines.append(f"       {found.size - found.consumed} bytes not shown")
    return "\n".join(lines)


def diff(left: Message, right: Message, spec: Spec) -> list[Difference]:
    """Give every element path in which two messages differ, in order, values masked."""
    out = []
    if left.mti != right.mti:
        out.append(Difference("mti", "Message type", _mti(left.mti), _mti(right.mti)))
    values = {path: (e, v) for path, e, v in _leaves(spec, left)}
    others = {path: (e, v) for path, e, v in _leaves(spec, right)}
    for path in sorted(values.keys() | others.keys(), key=_order):
        one, two = values.get(path), others.get(path)
        if one is not None and two is not None and one[1] == two[1]:
            continue
        known = one or two
        assert known is not None
        name = known[0].name if known[0] else "unknown"
        out.append(Difference(path, name, _shown(one), _shown(two)))
    return out


def one_line(message: Message) -> str:
    """Give a message on one line for logs and repr: values masked, or absent without a spec."""
    if message.spec is None:
        numbers = " ".join(str(number) for number in message.elements if isinstance(number, int))
        return f"{_mti(message.mti)} elements {numbers}"
    rows = [f"{path}={shown}" for path, _, shown in _rows(message.spec, message) if shown]
    return " ".join([_mti(message.mti), *rows])


def masked(element: Element | None, value: Value | None) -> str:
    """Give a value as people may see it; without an element only its length.

    >>> masked(None, b"123")
    '<3 bytes>'
    """
    if element is None:
        return _length(value)
    sensitive = element.sensitive
    if sensitive is Sensitivity.PAN:
        return _masked_pan(value)
    if sensitive in (Sensitivity.NONE, Sensitivity.EMV) and isinstance(value, (str, bytes)):
        if isinstance(value, bytes):
            is_raw_chip_data = sensitive is Sensitivity.EMV
            return _length(value) if is_raw_chip_data else value.hex().upper()
        return mask_free_text(value).strip() if value.strip() else repr(value)
    if sensitive is Sensitivity.NONE or sensitive is Sensitivity.EMV:
        return ""
    return f"<{sensitive.value}, {_length(value)[1:-1]}>"


def _masked_pan(value: Value | None) -> str:
    digits = value.hex().rstrip("f") if isinstance(value, bytes) else value
    if isinstance(digits, str) and len(digits) >= 8 and digits.isdigit():
        return f"****{digits[-4:]}"
    return f"<pan, {_length(value)[1:-1]}>"


def _length(value: Value | None) -> str:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, str):
        return f"<{len(value)} characters>"
    return "<parts>"


def _mti(mti: object) -> str:
    is_plain = isinstance(mti, str) and len(mti) == 4 and mti.isascii() and mti.isdigit()
    return str(mti) if is_plain else "<no mti>"


def _title(spec: Spec, message: Message) -> str:
    use = find_use(spec, message)
    return f"{_mti(message.mti)} {use.title}" if use else _mti(message.mti)


def _line(path: str, name: str, shown: str) -> str:
    return f"{path:<14} {name:<44} {shown}".rstrip()


def _rows(spec: Spec, message: Message) -> Iterator[tuple[str, str, str]]:
    for path, element, value in _leaves(spec, message):
        shown = masked(element, value)
        if element is not None and isinstance(value, str):
            meaning = meaning_of(element, value) if element.codes else None
            shown = f"{shown} ({meaning})" if meaning else shown
        yield path, element.name if element else "", shown


def _leaves(spec: Spec, message: Message) -> Iterator[tuple[str, Element | None, Value]]:
    """Give every value that has no parts, with its path, in element order."""
    for number in sorted(n for n in message.elements if isinstance(n, int)):
        element = spec.elements.get(number)
        yield from _parts(str(number), element, message.elements[number])


def _parts(
    path: str, element: Element | None, value: Value
) -> Iterator[tuple[str, Element | None, Value]]:
    """Walk down a value; a part whose key is no plain name is shown under `?`."""
    stack: list[tuple[str, Element | None, Value]] = [(path, element, value)]
    while stack:
        at, known, one = stack.pop()
        if isinstance(one, dict):
            subs = {sub.key: sub for sub in known.sub} if known else {}
            stack.extend(
                (f"{at}.{_key(key)}", subs.get(key), part)
                for key, part in reversed(list(one.items()))
            )
        elif isinstance(one, list):
            stack.extend(
                (f"{at}.{index}", known, part)
                for index, part in reversed(list(enumerate(one, start=1)))
            )
        else:
            is_composite = known is not None and known.kind in _WITH_PARTS
            yield at, None if is_composite else known, one


def _key(key: object) -> str:
    plain = isinstance(key, str) and key.isascii() and key.replace("_", "").isalnum()
    return str(key) if plain and len(str(key)) <= 24 else "?"


_WITH_PARTS = {Kind.POSITIONAL, Kind.TLV, Kind.LTV, Kind.BER_TLV, Kind.BITMAPPED, Kind.DATASET}


def _shown(found: tuple[Element | None, Value] | None) -> str:
    return "-" if found is None else masked(*found)


def _order(path: str) -> tuple[tuple[int, str], ...]:
    return tuple((int(p) if p.isdigit() else 0, p) for p in path.split("."))
