"""What the spec linter shares: the list of problems with their lines, and checks of keys."""

import difflib
from typing import Any, TypeAlias

from protocols.toml_lines import line_of

#: A table as TOML gives it. `Any` because a file may hold anything: that is what lint is for.
Table: TypeAlias = dict[str, Any]


class Problems:
    """Every problem of one file as `file:line: path: problem - how to mend`."""

    __slots__ = ("filename", "lines", "text")

    def __init__(self, text: str, filename: str) -> None:
        """Take the text that line numbers are looked up in."""
        self.text = text
        self.filename = filename
        self.lines: list[str] = []

    def add(self, path: str, problem: str, mend: str) -> None:
        """Note a problem at a dotted path."""
        line = line_of(self.text, path)
        self.lines.append(f"{self.filename}:{line}: {path}: {problem} - {mend}")


def check_keys(table: object, allowed: set[str], path: str, problems: Problems) -> bool:
    """Note every unknown key of a table; tell whether it is a table at all."""
    if not isinstance(table, dict):
        problems.add(path, "not a table", "write it as [table] or { key = value }")
        return False
    for key in table:
        if key not in allowed:
            near = difflib.get_close_matches(key, allowed, n=1)
            mend = (
                f"did you mean {near[0]!r}?" if near else f"allowed: {', '.join(sorted(allowed))}"
            )
            problems.add(f"{path}.{key}" if path else key, "unknown key", mend)
    return True


def check_text(table: Table, key: str, path: str, problems: Problems) -> None:
    """Note a missing or empty text."""
    if not (isinstance(table.get(key), str) and table[key].strip()):
        problems.add(path, "missing", f"add {key} = a text")
