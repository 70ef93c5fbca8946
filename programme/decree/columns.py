"""The columns and declarations of a decree file, from `columns.toml`."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A declaration or a column: its name, meaning, example, source; `kind` names its check."""

    name: str
    text: str
    example: str
    source: str
    kind: str = ""


@cache
def declarations() -> tuple[Field, ...]:
    """Give what the lines `#name: value` above the header must say."""
    return tuple(Field(**entry) for entry in _table()["declaration"])


@cache
def columns() -> tuple[Field, ...]:
    """Give the columns in the order of the header."""
    return tuple(Field(**entry) for entry in _table()["column"])


@cache
def _table() -> dict[str, list[dict[str, str]]]:
    return tomllib.loads(files("programme.decree").joinpath("columns.toml").read_text("utf-8"))
