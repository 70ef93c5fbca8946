"""Why a card transaction ended, each with its clause: the table is `reasons.toml`."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason's stable code, its sentence and the clause that defines it."""

    code: str
    text: str
    clause: str


def _read() -> Mapping[str, Reason]:
    text = files("terminal.kernel").joinpath("reasons.toml").read_text("utf-8")
    table = tomllib.loads(text)
    return MappingProxyType(
        {code: Reason(code, entry["text"], entry["clause"]) for code, entry in table.items()}
    )


#: Every reason by its code.
REASONS: Mapping[str, Reason] = _read()


def reason(code: str) -> Reason:
    """Give a reason by its code; an unknown code is a bug.

    >>> reason("card-blocked").clause
    'EMV 4.4 Book 1, 12.3.2'
    """
    return REASONS[code]
