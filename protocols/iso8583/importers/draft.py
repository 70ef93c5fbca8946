"""What every importer fills: a specification in our words, still without examples and checks.

A `Draft` holds plain tables as the TOML file will have them. `finish` gives each field an example,
writes the text, lets the linter read it, and leaves out whatever the linter refuses: the text that
comes out always loads.
"""

import re
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from protocols.iso8583.errors import SpecError
from protocols.iso8583.importers.errors import SpecImportError
from protocols.iso8583.importers.examples import example_of
from protocols.iso8583.importers.limits import FIELDS_MAX, NAME_CHARACTERS_MAX, ROUNDS_MAX
from protocols.iso8583.importers.writer import toml_text
from protocols.iso8583.loader import parse_spec

#: One element's table, key by key as in TOML. `Any`: numbers, texts and tables stand in it.
Table: TypeAlias = dict[str, Any]

#: How elements that hold card data are masked, whatever the foreign file says (decision 19).
SENSITIVE = {
    2: "pan", 34: "pan", 35: "track", 36: "track", 45: "track", 52: "pin", 55: "emv",
    48: "wipe", 102: "wipe", 103: "wipe", 125: "wipe",
}  # fmt: skip

_PROBLEM = re.compile(r"[^:]*:\d+: (?P<path>[^:]+): (?P<why>.*)", re.S)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that was not taken over as it was: its path in the foreign file, and why."""

    path: str
    why: str

    def __str__(self) -> str:
        return f"{self.path}: {self.why}"


@dataclass(frozen=True, slots=True)
class Imported:
    """A specification of ours as TOML text that the linter accepts, and what is missing in it."""

    text: str
    left_out: tuple[LeftOut, ...]
    elements: int


@dataclass(slots=True)
class Draft:
    """A specification in the making. `elements` is keyed by number."""

    name: str
    origin: str
    mti: str = "ascii"
    bitmap: str = "binary"
    always_128: bool = False
    tertiary: bool = False
    elements: dict[int, Table] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    fields_seen: int = 0

    def leave_out(self, path: str, why: str) -> None:
        """Note what is not taken over."""
        self.left_out.append(LeftOut(path, why))

    def count(self) -> None:
        """Count one foreign field. Raises: SpecImportError above the limit."""
        self.fields_seen += 1
        if self.fields_seen > FIELDS_MAX:
            raise SpecImportError(f"the file has more than {FIELDS_MAX} fields.")

    def put(self, number: int, table: Table) -> None:
        """Take an element over, masked as its number asks."""
        if number in SENSITIVE:
            table["sensitive"] = SENSITIVE[number]
            _wipe_parts(table)
        self.elements[number] = table


def _wipe_parts(table: Table) -> None:
    """Mask every part of a sensitive composite: nobody says which of them is harmless."""
    for part in table.get("sub", {}).values():
        part["sensitive"] = "wipe"
        _wipe_parts(part)


def plain_name(text: object, fallback: str) -> str:
    """Give a field's name on one line, without control characters.

    >>> plain_name("Amount,\\n transaction", "Element 4")
    'Amount, transaction'
    """
    words = str(text or "").split()
    joined = "".join(c for c in " ".join(words) if c.isprintable())
    return joined[:NAME_CHARACTERS_MAX].strip() or fallback


def checked_name(name: str) -> str:
    """Give a specification's name. Raises: SpecImportError for what is no file name."""
    if not _NAME.fullmatch(name):
        raise SpecImportError(
            "a specification's name is at most 32 small letters, digits, - and _."
        )
    return name


def finish(draft: Draft) -> Imported:
    """Give the text of a draft, without the fields that the linter refuses.

    Raises: SpecImportError when nothing is left.
    """
    for number in sorted(draft.elements):
        _add_examples(draft.elements[number], number)
    for _ in range(ROUNDS_MAX):
        if not draft.elements:
            raise SpecImportError("none of its fields can be taken over.")
        text = toml_text(draft)
        try:
            parse_spec(text, "imported")
        except SpecError as error:
            _drop(draft, error)
            continue
        return Imported(text, tuple(draft.left_out), len(draft.elements))
    raise SpecImportError("the linter refuses too many of its fields.")


def _add_examples(table: Table, number: int) -> None:
    parts = table.get("sub")
    if not parts:
        table["example"] = example_of(table, number)
        return
    for part in parts.values():
        _add_examples(part, 0)


def _drop(draft: Draft, error: SpecError) -> None:
    """Leave out every element that the linter names, with its words."""
    dropped = False
    for problem in error.problems:
        found = _PROBLEM.fullmatch(problem)
        path = found["path"].split(".") if found else []
        if len(path) < 2 or path[0] != "elements" or not path[1].isdigit():
            raise SpecImportError(f"it gives no specification of ours: {problem}")
        table = draft.elements.pop(int(path[1]), None)
        if table is not None and found is not None:
            draft.leave_out(".".join(p for p in path[1:] if p != "sub"), found["why"])
            dropped = True
    assert dropped, "the linter named no element that is still there"
