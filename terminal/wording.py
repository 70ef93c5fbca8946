"""What an outcome says to people: the one place where DE39, DE44 and DE54 become sentences."""

import tomllib
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

from protocols.catalogue import outcome_line_2, reason_sentence, reason_value
from protocols.refusals import OutcomeText, outcome_texts
from protocols.values import rupiah

#: The outcome that a terminal gives itself when no authentic answer came (DE39 68).
NO_ANSWER = "68"
#: The outcome that words a code which is not in the table: refused, call the help line.
_OTHER = "05"


@dataclass(frozen=True, slots=True)
class Wording:
    """An outcome in words; `line_1` and `line_2` fit a display of 21 columns (Indonesian)."""

    line_1: str
    line_2: str
    sentence: str
    reason: str
    next_step: str
    actor: str
    icon: str
    sound: str


@dataclass(frozen=True, slots=True)
class OwnText:
    """What a refusal of the terminal itself says beside its sentence in the catalogue."""

    line_1: str
    line_2: str
    actor: str
    icon: str
    next_step_id: str
    next_step_en: str
    source: str


@cache
def own_texts() -> dict[str, OwnText]:
    """Give them by the catalogue key of the sentence.

    >>> own_texts()["refused.batch_full"].line_1
    'BATCH PENUH'
    """
    raw = tomllib.loads(files("terminal").joinpath("own_refusals.toml").read_text("utf-8"))
    return {key: OwnText(**entry) for key, entry in raw.items()}


def own_word(key: str, sentence: str, wording: Wording, lang: str = "id") -> Wording:
    """Give the words of a refusal of the terminal's own; those of its DE39 where it has none."""
    own = own_texts().get(key)
    if own is None:
        return wording
    return replace(
        wording,
        line_1=own.line_1,
        line_2=own.line_2,
        sentence=sentence,
        actor=own.actor,
        icon=own.icon,
        next_step=own.next_step_id if lang == "id" else own.next_step_en,
    )


def outcome_text(response_code: str) -> OutcomeText:
    """Give the table's entry of a DE39; a code of a newer host is told as a plain refusal.

    >>> outcome_text("51").line_1, outcome_text("Z9").code
    ('SALDO TIDAK CUKUP', '05')
    """
    return outcome_texts().get(response_code) or outcome_texts()[_OTHER]


def word(
    response_code: str,
    *,
    reason: str = "",
    balance_sen: int | None = None,
    help_line: str = "",
    lang: str = "id",
) -> Wording:
    """Give an outcome in words, its placeholders filled from what the message brought.

    >>> word("51", balance_sen=5_850_000).line_2
    'Sisa Rp 58.500'
    >>> word("55", reason="N=2").reason
    'Masih ada 2 kali kesempatan mengetik PIN.'
    """
    outcome = outcome_text(response_code)
    values = {"help_line": help_line} if help_line else {}
    if balance_sen is not None:
        values["balance"] = rupiah(balance_sen)
    code, value = reason_value(reason)
    if code in ("N", "L") and value:
        values["tries" if code == "N" else "limit"] = value
    return Wording(
        line_1=outcome.line_1,
        line_2=outcome_line_2(outcome, **values),
        sentence=outcome.sentence_id if lang == "id" else outcome.sentence_en,
        reason=reason_sentence(reason, lang),
        next_step=outcome.next_step_id if lang == "id" else outcome.next_step_en,
        actor=outcome.actor,
        icon=outcome.icon,
        sound=outcome.sound,
    )
