"""From ledger status to DE39: a table, so that a bank can read it and a test can prove it whole."""

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

from ledger.statuses import CreateTransferStatus


class OutcomeKind(StrEnum):
    """What the switch does with a status."""

    ANSWER = "answer"
    LOOK = "look"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one ledger status means for the terminal."""

    code: str
    kind: OutcomeKind


@cache
def ledger_outcomes() -> dict[CreateTransferStatus, Outcome]:
    """Give the table by status; it names every status exactly once."""
    text = files("switch").joinpath("data/outcomes.toml").read_text("utf-8")
    table: dict[CreateTransferStatus, Outcome] = {}
    for entry in tomllib.loads(text).values():
        outcome = Outcome(entry["code"], OutcomeKind(entry["kind"]))
        for name in entry["statuses"]:
            status = CreateTransferStatus[name]
            assert status not in table, f"{name} stands twice in outcomes.toml"
            table[status] = outcome
    assert table.keys() == set(CreateTransferStatus), "outcomes.toml does not name every status"
    return table
