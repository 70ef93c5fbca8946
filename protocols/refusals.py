"""Refusals: the first of the three kinds of "no", and the one table that words them.

A refusal is a value. Its texts, icon, sound, who acts and what comes next stand in
`refusals.toml`, one entry per DE39, with its source; screen, receipt, log and docs read that table
(domain.md 7.2, design section 6).
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something was refused: DE39, a machine-readable reason (DE44), evidence for the log.

    `reason` is `P01`, `B03`, `N=2` ... (at most 25 characters). `evidence` names the rule and its
    version; never card data.
    """

    code: str
    reason: str = ""
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class OutcomeText:
    """How one DE39 is told to people. Display lines are at most 21 characters.

    `actor` is who must act: `operator`, `cardholder`, `help desk`, `bank` or `none`. `line_2` may
    hold one `{placeholder}` that the terminal fills from the message.
    """

    code: str
    meaning: str
    sent_when: str
    line_1: str
    line_2: str
    sentence_id: str
    sentence_en: str
    actor: str
    next_step_id: str
    next_step_en: str
    icon: str
    sound: str
    source: str


@cache
def outcome_texts() -> dict[str, OutcomeText]:
    """Give the whole table by DE39."""
    table = tomllib.loads(files("protocols").joinpath("refusals.toml").read_text("utf-8"))
    return {code: OutcomeText(code=code, **entry) for code, entry in table["outcome"].items()}


@cache
def reason_texts() -> dict[str, tuple[str, str]]:
    """Give DE44 reasons (`P01` ...) with their (Indonesian, English) sentences."""
    table = tomllib.loads(files("protocols").joinpath("refusals.toml").read_text("utf-8"))
    return {code: (entry["id"], entry["en"]) for code, entry in table["reason"].items()}
