"""The terminal's own refusals: whole, in both languages, on 21 columns, blaming nobody."""

import re
from pathlib import Path

import pytest

from protocols.catalogue import placeholders, template
from protocols.refusals import outcome_texts
from terminal.purchase.checks import Refused
from terminal.wording import own_texts, own_word, word
from tests.blame import BLAME

TERMINAL = Path(__file__).resolve().parents[2] / "terminal"
_MADE = re.compile(r'Refused\(\s*"(\d\d)",\s*"([a-z_.]+)"')


def made() -> dict[str, set[str]]:
    """Give the DE39s under which each refusal is made, read from the sources."""
    found: dict[str, set[str]] = {}
    for path in TERMINAL.rglob("*.py"):
        for code, key in _MADE.findall(path.read_text("utf-8")):
            found.setdefault(key, set()).add(code)
    return found


@pytest.mark.parametrize("key", own_texts())
def test_own_refusal_is_whole_short_plain_and_blames_nobody(key: str) -> None:
    own = own_texts()[key]
    assert 0 < len(own.line_1) <= 21
    assert 0 < len(own.line_2) <= 21
    assert own.line_1 == own.line_1.upper()
    assert own.actor in {entry.actor for entry in outcome_texts().values()}
    assert own.icon in {entry.icon for entry in outcome_texts().values()}
    assert own.source
    for sentence in (template(key, "id"), template(key, "en"), own.next_step_id, own.next_step_en):
        assert not BLAME.search(sentence), sentence
    assert own.next_step_id.endswith(".")
    assert own.next_step_id != own.next_step_en
    assert placeholders(template(key, "id")) == placeholders(template(key, "en"))


def test_every_own_entry_belongs_to_a_refusal_that_is_made() -> None:
    elsewhere = {"refused.reversal_pending", "refused.log_on", "refused.settle_first"}
    assert own_texts().keys() <= made().keys() | elsewhere


def test_own_words_replace_those_of_the_code_and_others_stay() -> None:
    plain = word("90")
    full = own_word("refused.batch_full", Refused("90", "refused.batch_full").sentence(), plain)
    assert (full.line_1, full.actor) == ("BATCH PENUH", "operator")
    assert "satu menit" not in full.sentence + full.next_step
    assert own_word("refused.amount_not_positive", "", plain) == plain


def test_every_error_of_the_terminal_has_a_code_of_its_own() -> None:
    codes = [
        code
        for path in TERMINAL.rglob("*.py")
        for code in re.findall(r'^    code = "(E-[A-Z]+-\d+)"', path.read_text("utf-8"), re.M)
    ]
    assert len(codes) > 10
    assert sorted(codes) == sorted(set(codes))
