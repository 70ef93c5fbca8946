"""Faults of a printer as data: what happens, and after how many printed lines.

    [[fault]]
    what = "paper-out"
    after_lines = 12

Words: paper-low, paper-out, paper (a new roll), cover-open, cover-closed, unplug, mute (answers
nothing any more), speaks.
"""

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from protocols.errors import ConfigurationError

#: Faults in one file; more is no printer's day.
FAULTS_MAX = 1_000


class Happening(StrEnum):
    """What can happen to a printer."""

    PAPER_LOW = "paper-low"
    PAPER_OUT = "paper-out"
    PAPER = "paper"
    COVER_OPEN = "cover-open"
    COVER_CLOSED = "cover-closed"
    UNPLUG = "unplug"
    MUTE = "mute"
    SPEAKS = "speaks"


@dataclass(frozen=True, slots=True)
class PrinterFault:
    """What happens once `after_lines` lines have been printed since the printer was switched on."""

    what: Happening
    after_lines: int


def read_faults(path: Path) -> tuple[PrinterFault, ...]:
    """Give the faults of a TOML file in the order of their lines; raise ConfigurationError."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        if set(table) - {"fault"} or len(table.get("fault", [])) > FAULTS_MAX:
            raise ValueError("give [[fault]] tables only, at most 1000")
        faults = [_fault(entry) for entry in table.get("fault", [])]
    except (OSError, ValueError, TypeError, AttributeError) as wrong:
        words = ", ".join(happening.value for happening in Happening)
        raise ConfigurationError(
            f"{path}: not a printer's fault plan: {wrong}",
            fix=f"[[fault]] what = one of {words}; after_lines = 0 or more.",
        ) from wrong
    return tuple(sorted(faults, key=lambda fault: fault.after_lines))


def _fault(entry: dict[str, object]) -> PrinterFault:
    if set(entry) != {"what", "after_lines"}:
        raise ValueError("a fault has `what` and `after_lines`, nothing else")
    lines = entry["after_lines"]
    if not isinstance(lines, int) or isinstance(lines, bool) or lines < 0:
        raise ValueError("after_lines is a whole number from 0")
    return PrinterFault(Happening(str(entry["what"])), lines)
