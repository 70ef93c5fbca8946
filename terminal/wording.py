"""What an outcome says to people: the one place where DE39, DE44 and DE54 become sentences."""

from dataclasses import dataclass

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
