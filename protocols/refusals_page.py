"""The reference page of the refusal table, made from the table itself (`make docs`)."""

from protocols.refusals import outcome_texts, reason_texts

_HEAD = """# What every outcome says

Made from `protocols/refusals.toml` by `make docs`; do not edit. One entry per DE39: the display's
two lines (Bahasa Indonesia, at most 21 characters), the sentence, who acts and what comes next.
Screen, receipt, log and this page read the same table. No sentence blames anybody (a test says so).

| DE39 | meaning | sent when | display | sentence | who acts | next step |
|---|---|---|---|---|---|---|
"""

_REASONS = """
## Reasons (DE44)

Machine readable, at most 25 characters; `N` and `L` carry a value (`N=2`, `L=900.000`).

| DE44 | Bahasa Indonesia | English |
|---|---|---|
"""


def page() -> str:
    """Give the whole page as Markdown."""
    outcomes = [
        f"| {code} | {entry.meaning} | {entry.sent_when} | {entry.line_1} / {entry.line_2} "
        f"| {entry.sentence_id}<br>{entry.sentence_en} | {entry.actor} "
        f"| {entry.next_step_id}<br>{entry.next_step_en} |\n"
        for code, entry in sorted(outcome_texts().items())
    ]
    reasons = [
        f"| {code} | {indonesian} | {english} |\n"
        for code, (indonesian, english) in reason_texts().items()
    ]
    return _HEAD + "".join(outcomes) + _REASONS + "".join(reasons)
