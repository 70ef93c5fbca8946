"""Where a key stands in a TOML text: the line number that a `file:line:` error needs.

`tomllib` gives values without positions. This module reads only the outline of a text (table
headers, keys, and where strings, arrays and inline tables end) and never judges values; call it
after `tomllib` accepted the text. It serves spec files and every configuration file of ours.
"""

import re
import tomllib
from collections.abc import Sequence

_KEY_PART = re.compile(r"""\s*(?:([A-Za-z0-9_-]+)|"((?:[^"\\]|\\.)*)"|'([^']*)')\s*""")
_OPEN = {"[": "]", "{": "}"}


def line_of(text: str, path: str | Sequence[str | int]) -> int:
    r"""Give the 1-based line on which the key `path` stands in `text`.

    `path` is dotted (`"elements.2.max"`) or a sequence of parts; an array of tables counts from 0.
    A key inside an inline table or array gives the line of the nearest key that has a line of its
    own; a path that is nowhere gives its nearest ancestor, and line 1 at last.

    >>> line_of('a = 1\n[b]\n# why\nc = [\n  2,\n]\nd = 3\n', "b.d")
    7
    >>> line_of('[[x]]\nk = 1\n[[x]]\nk = 2\n', ("x", 1, "k"))
    4
    """
    parts = path.split(".") if isinstance(path, str) else [str(part) for part in path]
    lines = key_lines(text)
    for depth in range(len(parts), 0, -1):
        found = lines.get(tuple(parts[:depth]))
        if found is not None:
            return found
    return 1


def line_of_error(error: tomllib.TOMLDecodeError) -> int:
    """Give the line that a TOML syntax error names, 1 when it names none."""
    found = re.search(r"line (\d+)", str(error))
    return int(found.group(1)) if found else 1


def key_lines(text: str) -> dict[tuple[str, ...], int]:
    """Give every key path of a valid TOML text with the line of its first mention."""
    lines: dict[tuple[str, ...], int] = {}
    counts: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    position = 0
    while position < len(text):
        position = _skip_blank(text, position)
        if position >= len(text):
            break
        line = text.count("\n", 0, position) + 1
        if text[position] == "[":
            is_array = text.startswith("[[", position)
            name, position = _dotted(text, position + (2 if is_array else 1))
            table = _resolve(name, counts)
            if is_array:
                counts[table] = counts.get(table, -1) + 1
                lines.setdefault(table, line)
                table = (*table, str(counts[table]))
            _note(lines, table, line)
            position = text.find("\n", position)
            position = len(text) if position < 0 else position
        else:
            name, position = _dotted(text, position)
            _note(lines, (*table, *name), line)
            position = _skip_value(text, position + 1)
    return lines


def _note(lines: dict[tuple[str, ...], int], path: tuple[str, ...], line: int) -> None:
    for depth in range(1, len(path) + 1):
        lines.setdefault(path[:depth], line)


def _resolve(name: tuple[str, ...], counts: dict[tuple[str, ...], int]) -> tuple[str, ...]:
    """Put the current index behind every array of tables that the header passes through."""
    path: tuple[str, ...] = ()
    for index, part in enumerate(name):
        path = (*path, part)
        if path in counts and index + 1 < len(name):
            path = (*path, str(counts[path]))
    return path


def _dotted(text: str, position: int) -> tuple[tuple[str, ...], int]:
    parts: list[str] = []
    while True:
        found = _KEY_PART.match(text, position)
        if not found:
            return tuple(parts), position + 1
        bare, basic, literal = found.groups()
        parts.append(bare or basic or literal or "")
        position = found.end()
        if not text.startswith(".", position):
            return tuple(parts), position
        position += 1


def _skip_blank(text: str, position: int) -> int:
    while position < len(text):
        if text[position] == "#":
            end = text.find("\n", position)
            position = len(text) if end < 0 else end
        elif text[position] in " \t\r\n":
            position += 1
        else:
            break
    return position


def _skip_value(text: str, position: int) -> int:
    """Give the position behind a value: the end of its line once all brackets are closed."""
    depth = 0
    while position < len(text):
        character = text[position]
        if character in "\"'":
            position = _skip_string(text, position)
            continue
        if character == "#":
            position = _skip_blank(text, position)
            if depth == 0:
                return position
            continue
        if character in _OPEN:
            depth += 1
        elif character in "]}":
            depth -= 1
        elif character == "\n" and depth == 0:
            return position
        position += 1
    return position


def _skip_string(text: str, position: int) -> int:
    quote = text[position]
    triple = quote * 3
    if text.startswith(triple, position):
        end = position + 3
        while not text.startswith(triple, end):
            end += 2 if quote == '"' and text[end] == "\\" else 1
        end += 3
        while text.startswith(quote, end):  # up to two quotes may stand before the closing three
            end += 1
        return end
    end = position + 1
    while text[end] != quote:
        end += 2 if quote == '"' and text[end] == "\\" else 1
    return end + 1
