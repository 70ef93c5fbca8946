"""What both plan compilers share: the text of a function being written, and its constants.

A plan is Python source written for one set of elements and compiled once: offsets, lengths and
tables are constants in it, so a message costs slices and look-ups instead of decisions. The source
is made only from the spec's numbers and from names given here; no byte of a message enters it.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

from protocols.iso8583.content import units_of_count, wire_size, write_count
from protocols.iso8583.errors import MessageError
from protocols.iso8583.model import Element, Kind, Prefix


class PlanRefused(Exception):  # noqa: N818  # it is no error: it hands the message to the walk
    """A compiled plan met something odd; the walk or the packer decides what it was."""


#: What odd input makes a plan raise; anything else is a bug and must show.
ODD = (PlanRefused, LookupError, ValueError, TypeError, AttributeError)


class Source:
    """A function under construction: lines, and constants by name."""

    __slots__ = ("constants", "lines")

    def __init__(self) -> None:
        """Start empty."""
        self.lines: list[str] = []
        self.constants: dict[str, object] = {"odd": PlanRefused}

    def add(self, line: str) -> None:
        """Append a line of the body."""
        self.lines.append(line)

    def refuse_unless(self, condition: str) -> None:
        """Append a check that hands the message over when it fails."""
        self.lines.append(f"if not ({condition}): raise odd")

    def constant(self, value: object, prefix: str = "k") -> str:
        """Give a name by which the function sees a value."""
        for name, known in self.constants.items():
            if known is value:
                return name
        name = f"{prefix}{len(self.constants)}"
        self.constants[name] = value
        return name

    def compile(self, signature: str, result: str) -> Callable[..., object]:
        """Give the function."""
        body = "".join(f"    {line}\n" for line in self.lines)
        text = f"def plan({signature}):\n{body}    return {result}\n"
        scope = dict(self.constants)
        exec(compile(text, "<plan>", "exec"), scope)  # noqa: S102  # see the module's paragraph
        plan = scope["plan"]
        assert callable(plan)
        return plan


#: Expression that is true when text `{x}` is inside a set; the text is ASCII already.
CHARSET_TESTS = {
    "n": "{x}.isdigit()",
    "a": "{x}.isalpha()",
    "ap": "({x}.replace(' ', '') or 'a').isalpha()",
    "an": "{x}.isalnum()",
    "anp": "{x}.isalnum() or ({x}.replace(' ', '') or 'a').isalnum()",
    "ans": "{x}.isprintable()",
    "hex": "not {x}.strip('0123456789ABCDEF')",
    "upper": "{x}.isalnum() and {x}.upper() == {x}",
    "x+n": "{x}[0] in 'CD' and {x}[1:].isdigit()",
}
_EMPTY_IS_FINE = {"n", "a", "an", "upper", "x+n"}


#: Whether a track 2 that was split at its separator, `a, s, b = ...`, has digits on both sides. The
#: digits of bytes are the ASCII ones, and looked at several times faster than those of a str.
TRACK2_TEST = "s and 0 < len(a) < 20 and (a + b).encode().isdigit()"


def charset_test(charset: str, name: str, *, may_be_empty: bool) -> str:
    """Give the expression that tests variable `name`."""
    test = CHARSET_TESTS[charset].replace("{x}", name)
    return f"{test} or not {name}" if may_be_empty and charset in _EMPTY_IS_FINE else test


@lru_cache(maxsize=256)
def size_table(
    prefix: Prefix, kind: Kind, encoding: str, low: int, high: int
) -> dict[bytes, int | tuple[int, int]]:
    """Give prefix bytes -> size of the content on the wire, for every length that is allowed.

    For packed values it gives (size, 1 when a padding nibble is there). A prefix that is not in
    the table is wrong in some way.
    """
    probe = Element("", "", "", kind, encoding, low, high, prefix)
    table: dict[bytes, int | tuple[int, int]] = {}
    for count in range(_count_limit(prefix)):
        try:
            field = write_count(prefix, count, "")
            units = units_of_count(probe, count, 0)
        except MessageError:
            continue
        if low <= units <= high:
            size = wire_size(probe, units)
            table[field] = (size, units % 2) if encoding == "bcd" else size
    return table


def _count_limit(prefix: Prefix) -> int:
    return 256**prefix.width if prefix.encoding == "binary" else int(10**prefix.width)


def has_small_prefix(prefix: Prefix) -> bool:
    """Tell whether a table of all lengths is small enough to keep (a thousand entries)."""
    return _count_limit(prefix) <= 1_000


def run_at(elements: Sequence[Element], index: int) -> Sequence[Element]:
    """Give the elements from `index` on that can be read as one run; empty when it cannot start."""
    first = elements[index]
    stop = index
    while (
        stop < len(elements)
        and _fits_run(elements[stop])
        and elements[stop].encoding == first.encoding
    ):
        stop += 1
    return elements[index:stop]


def _fits_run(element: Element) -> bool:
    if not element.is_fixed or element.kind not in (Kind.DIGITS, Kind.TEXT):
        return False
    return not (element.encoding == "bcd" and element.odd.endswith("f") and element.maximum % 2)


def digit_spans(run: Sequence[Element]) -> Sequence[tuple[int, int]]:
    """Give where neighbours of digits stand in a run of one byte a character, as one each."""
    spans: list[tuple[int, int]] = []
    at = 0
    for element in run:
        stop = at + element.maximum
        if element.kind is Kind.DIGITS or element.charset == "n":
            if spans and spans[-1][1] == at:
                spans[-1] = (spans[-1][0], stop)
            else:
                spans.append((at, stop))
        at = stop
    return spans
