"""What the test bank answers: a TOML table, first fit decides, with faults.

spec = "bank"
[[answer]]
mti = "0200"
match = { 4 = "000000001300" }
code = "51"
[[answer]]
mti = "0200"
times = 1
fault = "late"
delay_ms = 2000
"""

import tomllib
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from protocols.errors import ConfigurationError
from protocols.iso8583 import Message, shipped_names

#: Bytes of a table; rules in it; milliseconds of a delay: above every time-out of a link.
TABLE_BYTES_MAX = 262_144
RULES_MAX = 1_000
DELAY_MS_MAX = 300_000


class BankFault(StrEnum):
    """What the bank does instead of a plain answer."""

    NONE = "none"
    #: No answer at all; the request was booked or not, nobody knows.
    SILENT = "silent"
    #: The answer comes after `delay_ms`, late for whoever gave up.
    LATE = "late"
    #: The answer comes twice.
    TWICE = "twice"
    #: The answer comes back with another trace number: it fits nothing.
    WRONG_KEY = "wrong-key"
    #: Bytes that are no message.
    GARBAGE = "garbage"
    #: The connection is closed instead of an answer.
    CLOSE = "close"


@dataclass(slots=True)
class AnswerRule:
    """When to answer what. `match` compares elements as texts; `times` counts down."""

    mti: str = ""
    match: dict[int, str] = field(default_factory=dict)
    code: str = "00"
    elements: dict[int, str] = field(default_factory=dict)
    fault: BankFault = BankFault.NONE
    delay_ms: int = 0
    times: int = 1 << 30

    def fits(self, request: Message) -> bool:
        """Tell whether this rule is for the request."""
        if self.times <= 0 or (self.mti and self.mti != request.mti):
            return False
        found = {number: str(request.get(number, "")).strip() for number in self.match}
        return found == self.match


@dataclass(slots=True)
class AnswerTable:
    """All rules; what no rule is for is answered 00."""

    spec: str = "bank"
    rules: list[AnswerRule] = field(default_factory=list)

    def choose(self, request: Message) -> AnswerRule:
        """Give the first rule that fits, used up once."""
        for rule in self.rules:
            if rule.fits(request):
                rule.times -= 1
                return rule
        return AnswerRule()


def load_table(path: Path) -> AnswerTable:
    """Give the table of a file; raise ConfigurationError that names file and rule."""
    try:
        with path.open("rb") as file:
            raw = file.read(TABLE_BYTES_MAX + 1)
    except OSError as error:
        raise _fault(f"{path}:1: file", error.strerror or "cannot be read") from error
    if len(raw) > TABLE_BYTES_MAX:
        raise _fault(f"{path}:1: file", f"above {TABLE_BYTES_MAX} bytes")
    try:
        return parse_table(raw.decode("utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise _fault(f"{path}:1: file", "not UTF-8") from error


def parse_table(text: str, name: str) -> AnswerTable:
    """Give the table of a text; raise ConfigurationError."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _fault(f"{name}:1: file", f"not TOML: {error}") from error
    except (RecursionError, ValueError) as error:  # a number of thousands of digits
        raise _fault(f"{name}:1: file", "not TOML that a person writes") from error
    unknown = content.keys() - {"spec", "answer"}
    if unknown:
        raise _fault(f"{name}:1: {min(unknown)}", "unknown key; there are spec and answer")
    spec = content.get("spec", "bank")
    if spec not in shipped_names():
        raise _fault(f"{name}:1: spec", f"there are {', '.join(shipped_names())}")
    rules = content.get("answer", [])
    if not isinstance(rules, list) or len(rules) > RULES_MAX:
        raise _fault(f"{name}:1: answer", f"up to {RULES_MAX} tables, each as [[answer]]")
    read = [_rule(entry, f"{name}: answer {place}") for place, entry in enumerate(rules, start=1)]
    return AnswerTable(str(spec), read)


def _rule(entry: Any, where: str) -> AnswerRule:
    if not isinstance(entry, dict):
        raise _fault(where, "not a table")
    rule = AnswerRule()
    for key, value in entry.items():
        match key:
            case "mti" | "code" if isinstance(value, str):
                setattr(rule, key, value)
            case "delay_ms" | "times" if isinstance(value, int) and 0 <= value <= DELAY_MS_MAX:
                setattr(rule, key, value)
            case "match" | "elements" if isinstance(value, dict):
                setattr(rule, key, _elements(value, f"{where}: {key}"))
            case "fault" if value in set(BankFault):
                rule.fault = BankFault(value)
            case _:
                raise _fault(f"{where}: {key}", "unknown key, or a value that it cannot have")
    return rule


def _elements(found: dict[str, Any], where: str) -> dict[int, str]:
    for number, text in found.items():
        if not (number.isdecimal() and 2 <= int(number) <= 128 and isinstance(text, str)):
            raise _fault(f"{where}: {number}", "an element's number from 2 to 128 and a text")
    return {int(number): text for number, text in found.items()}


def _fault(where: str, what: str) -> ConfigurationError:
    return ConfigurationError(f"{where}: {what}.", fix="Mend this entry of the answer table.")
