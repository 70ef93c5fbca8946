"""The columns and declarations of a file of people, from the `columns.toml` of its package."""

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


_DECREE = "programme.decree"


def declarations(package: str = _DECREE) -> tuple[Field, ...]:
    """Give what the lines `#name: value` above the header must say."""
    return _fields(package, "declaration")


def columns(package: str = _DECREE) -> tuple[Field, ...]:
    """Give the columns in the order of the header."""
    return _fields(package, "column")


@cache
def _fields(package: str, kind: str) -> tuple[Field, ...]:
    table = tomllib.loads(files(package).joinpath("columns.toml").read_text("utf-8"))
    return tuple(Field(**entry) for entry in table[kind])
