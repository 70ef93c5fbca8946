"""Spec files: TOML text to a checked `Spec`.

`load_spec` reads this package's own `protocols/specs/*.toml`; `parse_spec` takes a text, so that a
tool may read a file of the user's. A spec may extend another: tables of `[elements.N]` override
key by key, or as a whole when they state a `kind`. Every problem of a file is reported at once as
`file:line: path: problem - allowed - how to mend`.
"""

import tomllib
from collections.abc import Callable, Collection
from functools import cache
from importlib.resources import files

from protocols.iso8583.build import ElementBuilder, is_number
from protocols.iso8583.errors import SpecError
from protocols.iso8583.lint import Problems, Table, check_keys, check_text
from protocols.iso8583.model import Element, MessageUse, Spec
from protocols.iso8583.selfcheck import check_examples
from protocols.toml_lines import line_of_error

SPEC_KEYS = {
    "name",
    "title",
    "version",
    "extends",
    "source",
    "mti",
    "mti_version",
    "bitmap",
    "peek",
    "mac",
    "notes",
}
BITMAP_KEYS = {"encoding", "always_128", "tertiary"}
MESSAGE_KEYS = {
    "mti",
    "repeat",
    "title",
    "answer",
    "processing_codes",
    "network_codes",
    "mandatory",
    "optional",
    "echoed",
    "source",
}
BITMAP_ENCODINGS = ("binary", "hex", "ebcdic-hex")
MTI_ENCODINGS = ("ascii", "bcd", "cp037", "cp500", "cp1047", "cp1140")


@cache
def load_spec(name: str) -> Spec:
    """Give one of the shipped specs: `iso87`, `edc`, `bank`.

    Raises: SpecError with every problem of the file; FileNotFoundError for an unknown name.
    """
    return parse_spec(shipped_text(name), f"{name}.toml")


def shipped_text(name: str) -> str:
    """Give the text of a shipped spec file.

    Raises: FileNotFoundError for any other name: it may come from a foreign file and is no path.
    """
    if name not in shipped_names():
        raise FileNotFoundError(f"no shipped spec {name!r}")
    return files("protocols").joinpath("specs", f"{name}.toml").read_text("utf-8")


def shipped_names() -> list[str]:
    """Give the names of all shipped specs, sorted."""
    folder = files("protocols").joinpath("specs")
    return sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".toml"))


def parse_spec(text: str, filename: str, resolve: Callable[[str], str] = shipped_text) -> Spec:
    """Give the spec that a TOML text describes; `resolve` gives the text of what it extends.

    Raises: SpecError with every problem found.
    """
    table = merged_table(text, filename, resolve, set())
    problems = Problems(text, filename)
    spec = _build(table, problems)
    if not problems.lines:
        check_examples(spec, problems)
    if problems.lines:
        raise SpecError(problems.lines)
    return spec


def merged_table(
    text: str, filename: str, resolve: Callable[[str], str], seen: set[str]
) -> dict[str, Table]:
    """Give the tables of a text laid over those of the spec that it extends."""
    try:
        own = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = line_of_error(error)
        raise SpecError([f"{filename}:{line}: not TOML: {error}"]) from None
    except (ValueError, RecursionError):  # a number of thousands of digits, brackets without end
        raise SpecError(
            [f"{filename}:1: not TOML that can be read: too long or too deep"]
        ) from None
    parent = own.get("spec", {}).get("extends") if isinstance(own.get("spec"), dict) else None
    if parent is None:
        return own
    problems = Problems(text, filename)
    if not isinstance(parent, str) or parent in seen:
        problems.add(
            "spec.extends", "extends itself or is no name", "name a spec that stands alone"
        )
        raise SpecError(problems.lines)
    try:
        parent_text = resolve(parent)
    except FileNotFoundError:
        problems.add("spec.extends", f"no spec {parent!r}", f"use one of {shipped_names()}")
        raise SpecError(problems.lines) from None
    base = merged_table(parent_text, f"{parent}.toml", resolve, seen | {parent})
    return _overlay(base, own)


def _overlay(base: dict[str, Table], own: dict[str, Table]) -> dict[str, Table]:
    """Lay `own` over `base`: spec and defaults, elements and messages, each key by key."""
    out = dict(own)
    tables = ("spec", "defaults", "elements", "messages")
    if not all(isinstance(own.get(key, {}), dict) for key in tables):
        return out  # the linter says which of them is no table
    out["spec"] = {k: v for k, v in base["spec"].items() if k != "extends"} | own.get("spec", {})
    out["defaults"] = base.get("defaults", {}) | own.get("defaults", {})
    out["elements"] = _overlay_entries(base.get("elements", {}), own.get("elements", {}))
    out["messages"] = _overlay_entries(base.get("messages", {}), own.get("messages", {}))
    return out


def _overlay_entries(base: Table, own: Table) -> Table:
    """Lay elements, parts or messages over those of a base: one with a `kind` replaces its own."""
    out = dict(base)
    for name, entry in own.items():
        known = base.get(name)
        if not isinstance(entry, dict) or not isinstance(known, dict) or "kind" in entry:
            out[name] = entry
            continue
        out[name] = known | entry
        below, above = known.get("sub"), entry.get("sub")
        if isinstance(below, dict) and isinstance(above, dict):
            out[name]["sub"] = _overlay_entries(below, above)
    return out


def _build(table: dict[str, Table], problems: Problems) -> Spec:
    check_keys(table, {"spec", "defaults", "elements", "messages"}, "", problems)
    head = _table(table, "spec", "spec", SPEC_KEYS, problems)
    for key in ("name", "title", "version", "source"):
        check_text(head, key, f"spec.{key}", problems)
    bitmap = _table(head, "bitmap", "spec.bitmap", BITMAP_KEYS, problems)
    for key in ("always_128", "tertiary"):
        if not isinstance(bitmap.get(key, False), bool):
            problems.add(f"spec.bitmap.{key}", "neither true nor false", "write it without quotes")
    _one_of(bitmap.get("encoding", "binary"), BITMAP_ENCODINGS, "spec.bitmap.encoding", problems)
    _one_of(head.get("mti", "ascii"), MTI_ENCODINGS, "spec.mti", problems)
    version = head.get("mti_version", "")
    _one_of(version, ("", *"0123456789"), "spec.mti_version", problems)
    builder = ElementBuilder(table.get("defaults", {}), problems)
    elements: dict[int, Element] = {}
    given = _table(table, "elements", "elements", None, problems)
    for number, entry in given.items():
        element = builder.top_level(number, entry)
        if element is not None:
            elements[int(number)] = element
    if max(elements, default=0) > 128 and not bitmap.get("tertiary", False):
        mend = "say tertiary = true in spec.bitmap"
        problems.add(f"elements.{max(elements)}", "no bitmap announces it", mend)
    stated = {int(number) for number in given if is_number(number)}
    messages = _messages(_table(table, "messages", "messages", None, problems), stated, problems)
    peek = _check_numbers(head.get("peek", []), stated, "spec.peek", problems)
    return Spec(
        name=str(head.get("name", "")),
        title=str(head.get("title", "")),
        version=str(head.get("version", "")),
        source=str(head.get("source", "")),
        mti_encoding=head.get("mti", "ascii"),
        bitmap_encoding=bitmap.get("encoding", "binary"),
        bitmap_always_128=bool(bitmap.get("always_128", False)),
        bitmap_tertiary=bool(bitmap.get("tertiary", False)),
        elements=dict(sorted(elements.items())),
        messages=messages,
        peek=peek,
        uses=_uses_by_mti(messages),
        mac_note=str(head.get("mac", "")),
        mti_version=str(version),
        notes=tuple(_check_texts(head.get("notes", []), "spec.notes", problems)),
    )


def _messages(table: Table, elements: Collection[int], problems: Problems) -> dict[str, MessageUse]:
    uses: dict[str, MessageUse] = {}
    for name, entry in table.items():
        path = f"messages.{name}"
        if not check_keys(entry, MESSAGE_KEYS, path, problems):
            continue
        for key in ("title", "source"):
            check_text(entry, key, f"{path}.{key}", problems)
        for key in ("mti", "repeat"):
            mti = entry.get(key, "0200" if key == "repeat" else "")
            if not (isinstance(mti, str) and len(mti) == 4 and mti.isascii() and mti.isdigit()):
                problems.add(f"{path}.{key}", "no MTI", 'write four digits in quotes: "0200"')
        answer = entry.get("answer", "")
        if answer and (not isinstance(answer, str) or answer not in table):
            problems.add(f"{path}.answer", f"no message {answer!r}", "name a [messages.*] table")

        def numbers(key: str, entry: Table = entry, path: str = path) -> frozenset[int]:
            given = entry.get(key, [])
            return frozenset(_check_numbers(given, elements, f"{path}.{key}", problems))

        def codes(key: str, entry: Table = entry, path: str = path) -> frozenset[str]:
            return frozenset(_check_texts(entry.get(key, []), f"{path}.{key}", problems))

        uses[name] = MessageUse(
            name=name,
            mti=str(entry.get("mti", "")),
            repeat=str(entry.get("repeat", "")),
            title=str(entry.get("title", "")),
            answer=str(answer),
            processing_codes=codes("processing_codes"),
            network_codes=codes("network_codes"),
            mandatory=numbers("mandatory"),
            optional=numbers("optional"),
            echoed=numbers("echoed"),
            source=str(entry.get("source", "")),
        )
    return uses


def _uses_by_mti(messages: dict[str, MessageUse]) -> dict[str, tuple[MessageUse, ...]]:
    uses: dict[str, tuple[MessageUse, ...]] = {}
    for use in messages.values():
        for mti in filter(None, (use.mti, use.repeat)):
            uses[mti] = (*uses.get(mti, ()), use)
    return uses


def _table(
    parent: Table, key: str, path: str, allowed: set[str] | None, problems: Problems
) -> Table:
    """Give the table of a key, an empty one when it is absent or no table, which is noted."""
    given = parent.get(key, {})
    is_table = check_keys(
        given,
        allowed if allowed is not None else set(given) if isinstance(given, dict) else set(),
        path,
        problems,
    )
    return given if is_table else {}


def _check_numbers(
    numbers: object, elements: Collection[int], path: str, problems: Problems
) -> tuple[int, ...]:
    """Give the numbers of a list that are stated elements, right or not; note the others."""
    if not isinstance(numbers, list):
        problems.add(path, "not a list", "write element numbers: [2, 3, 4]")
        return ()
    known = [number for number in numbers if type(number) is int and number in elements]
    for number in numbers:
        if number not in known:
            problems.add(path, f"no element {number}", "use numbers of [elements.*]")
    return tuple(known)


def _check_texts(texts: object, path: str, problems: Problems) -> list[str]:
    """Give a list of texts; note what is none."""
    if isinstance(texts, list) and all(isinstance(text, str) for text in texts):
        return texts
    problems.add(path, "not a list of texts", 'write them in quotes: ["001", "301"]')
    return []


def _one_of(value: object, allowed: tuple[str, ...], path: str, problems: Problems) -> None:
    if value not in allowed:
        problems.add(path, f"{value!r} is not known", f"use one of {', '.join(allowed)}")
