"""`Message`: what a decoded message is, and how its answer is made.

A message is a message type and a dict of element numbers to values. Its repr names elements and
masks values by the spec it came with; without a spec it shows no value at all.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TypeAlias

from protocols.iso8583.errors import MessageError, Reason
from protocols.iso8583.model import MessageUse, Spec

#: str for text, digits and track 2; bytes for binary elements; a dict by sub-element name or tag
#: for composites; a list of such dicts for repeating groups (DE54, basket lines).
Value: TypeAlias = str | bytes | dict[str, "Value"] | list[dict[str, "Value"]]

#: Third digit of an MTI -> that of its answer. A repeat (odd origin) has its original's answer.
_ANSWER_FUNCTION = {"0": "1", "2": "3"}


class Message:
    """One ISO 8583 message: `mti` and `elements`, and the spec it was decoded by, if any."""

    __slots__ = ("elements", "mti", "spec")

    def __init__(
        self, mti: str, elements: dict[int, Value] | None = None, spec: Spec | None = None
    ) -> None:
        """Take the parts as they are; the codec checks them when it encodes."""
        self.mti = mti
        self.elements: dict[int, Value] = {} if elements is None else elements
        self.spec = spec

    def __getitem__(self, number: int) -> Value:
        """Give an element; raise MessageError (missing) when it is not there."""
        try:
            return self.elements[number]
        except KeyError:
            raise MessageError(str(number), None, Reason.MISSING) from None

    def __contains__(self, number: object) -> bool:
        return number in self.elements

    def __iter__(self) -> Iterator[int]:
        return iter(self.elements)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        return self.mti == other.mti and self.elements == other.elements

    __hash__ = None  # type: ignore[assignment]  # it holds a dict

    def get(self, number: int, default: Value | None = None) -> Value | None:
        """Give an element, or `default` when it is not there."""
        return self.elements.get(number, default)

    def text(self, number: int, key: str | None = None) -> str:
        """Give a text element, or the text sub-element `key` of a composite.

        Raises: MessageError when it is missing or no text.
        """
        found = self._part(number, key)
        if not isinstance(found, str):
            raise MessageError(_path(number, key), None, Reason.WRONG_TYPE, "str expected")
        return found

    def data(self, number: int, key: str | None = None) -> bytes:
        """Give a binary element, or the binary sub-element `key` (a tag of DE55, say)."""
        found = self._part(number, key)
        if not isinstance(found, bytes):
            raise MessageError(_path(number, key), None, Reason.WRONG_TYPE, "bytes expected")
        return found

    def parts(self, number: int) -> dict[str, Value]:
        """Give a composite's dict, empty when the element is not there."""
        found = self.elements.get(number, {})
        if not isinstance(found, dict):
            raise MessageError(str(number), None, Reason.WRONG_TYPE, "composite expected")
        return found

    def groups(self, number: int, key: str | None = None) -> list[dict[str, Value]]:
        """Give a repeating group (DE54, `groups(62, "basket")`), empty when it is not there."""
        found: Value = self.elements.get(number, [])
        if key is not None:
            found = found.get(key, []) if isinstance(found, dict) else []
        if not isinstance(found, list):
            raise MessageError(_path(number, key), None, Reason.WRONG_TYPE, "group expected")
        return found

    def replace(
        self, changes: Mapping[int, Value | None] | None = None, **named: Value | None
    ) -> "Message":
        """Give a message with some elements changed; None takes one away.

        >>> Message("0800", {11: "000001"}).replace(de11="000002", de70="301").elements
        {11: '000002', 70: '301'}
        """
        elements = dict(self.elements)
        _change(elements, changes, named)
        return Message(self.mti, elements, self.spec)

    def response(
        self,
        response_code: str,
        changes: Mapping[int, Value | None] | None = None,
        **named: Value | None,
    ) -> "Message":
        """Give the answer: its MTI, the elements that the spec echoes, DE39, then the changes.

        Changes are `{38: "7K2M9Q"}` or `de38="7K2M9Q"`; None takes an echoed element away. A
        repeat has its original's answer: 0401 -> 0410, 0421 -> 0430.

        >>> Message("0421", {3: "009800", 11: "000345", 35: "x"}).response("00").mti
        '0430'

        Raises: MessageError (mti) when the message is itself an answer.
        """
        mti, echoed = answer_mti(self.mti), self._echoed()
        elements = {number: v for number, v in self.elements.items() if number in echoed}
        elements[39] = response_code
        if changes or named:
            _change(elements, changes, named)
        return Message(mti, {n: elements[n] for n in sorted(elements)}, self.spec)

    def use(self) -> MessageUse | None:
        """Give the spec's use of this message (purchase, balance, ...), None when it has none."""
        if self.spec is None:
            return None
        return find_use(self.spec, self)

    def _echoed(self) -> frozenset[int]:
        use = self.use()
        return use.echoed if use is not None else ECHOED

    def _part(self, number: int, key: str | None) -> Value:
        found = self[number]
        if key is None:
            return found
        if not isinstance(found, dict) or key not in found:
            raise MessageError(_path(number, key), None, Reason.MISSING)
        return found[key]

    def __repr__(self) -> str:
        from protocols.iso8583.describe import one_line  # describe reads messages: a cycle on top

        return f"<Message {one_line(self)}>"


#: What an answer copies where no spec says otherwise. Source: ISO 8583:1987, 5 (note "echo").
ECHOED = frozenset({2, 3, 4, 7, 11, 12, 13, 24, 32, 37, 41, 42, 49, 70})


@lru_cache(maxsize=256)
def answer_mti(mti: str) -> str:
    """Give the MTI of the answer.

    >>> [answer_mti(mti) for mti in ("0200", "0220", "0401", "0421", "0320", "0800")]
    ['0210', '0230', '0410', '0430', '0330', '0810']
    """
    function = _ANSWER_FUNCTION.get(mti[2:3])
    if len(mti) != 4 or function is None:
        raise MessageError("mti", None, Reason.NOT_ALLOWED, "an answer has no answer")
    return f"{mti[:2]}{function}0"


def find_use(spec: Spec, message: Message) -> MessageUse | None:
    """Give the first use in the spec that fits MTI, DE3 and DE70, None when none does."""
    code, network = message.elements.get(3), message.elements.get(70)
    for use in spec.uses.get(message.mti, ()):
        if use.processing_codes and not _code_fits(use.processing_codes, code):
            continue
        if use.network_codes and network not in use.network_codes:
            continue
        return use
    return None


def _code_fits(codes: frozenset[str], code: object) -> bool:
    return isinstance(code, str) and (code in codes or code[:2] in codes)


def check_shape(spec: Spec, message: Message) -> MessageUse:
    """Give the use of a message; raise when an element is missing or does not belong in it.

    Source: the `[messages.*]` tables of the spec (domain.md 4.3).
    """
    use = find_use(spec, message)
    if use is None:
        raise MessageError("mti", None, Reason.NOT_ALLOWED, "the spec has no such message")
    present = message.elements.keys()
    if not use.mandatory <= present:
        raise MessageError(str(min(use.mandatory - present)), None, Reason.MISSING)
    more = present - use.mandatory
    if not more <= use.optional:
        raise MessageError(str(min(more - use.optional)), None, Reason.NOT_ALLOWED)
    return use


def _change(
    elements: dict[int, Value],
    changes: Mapping[int, Value | None] | None,
    named: Mapping[str, Value | None],
) -> None:
    every: Mapping[int, Value | None] = changes or {}
    if named:
        every = {**every, **{_number(name): value for name, value in named.items()}}
    for number, value in every.items():
        if value is None:
            elements.pop(number, None)
        else:
            elements[number] = value


def _number(name: str) -> int:
    if not (name.startswith("de") and name[2:].isdigit()):
        raise TypeError(f"changes are named de<number>, not {name}")
    return int(name[2:])


def _path(number: int, key: str | None) -> str:
    return str(number) if key is None else f"{number}.{key}"
