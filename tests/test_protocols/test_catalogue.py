"""The catalogue: both languages hold the same keys and placeholders; nothing stays unfilled."""

from pathlib import Path

import pytest

from protocols.catalogue import LANGUAGES, keys, placeholders, template, text


def test_languages_hold_the_same_keys_in_the_same_order() -> None:
    assert keys("id") == keys("en")
    assert LANGUAGES[0] == "id"


def test_placeholders_agree_and_fill() -> None:
    wrong = []
    for key in keys("id"):
        wanted = placeholders(template(key, "id"))
        filled = [text(key, lang, **dict.fromkeys(wanted, "7")) for lang in LANGUAGES]
        if placeholders(template(key, "en")) != wanted or any(
            not said or said != said.strip() or "{" in said for said in filled
        ):
            wrong.append((key, filled))
    assert wrong == []


@pytest.mark.parametrize("lang", LANGUAGES)
def test_receipt_words_fit_the_paper(lang: str) -> None:
    for key in keys(lang):
        if key.startswith("receipt."):
            assert len(text(key, lang)) <= 32, key
            assert text(key, lang).isascii(), key


def test_missing_key_value_or_language_is_a_bug() -> None:
    for call in (
        lambda: text("flow.no_such_text"),
        lambda: text("flow.amount"),
        lambda: text("flow.amount", "nl"),
    ):
        with pytest.raises(KeyError):
            call()


def test_every_text_is_said_somewhere() -> None:
    """A text no program names is dead; months, transactions, complaints are named by value."""
    root = Path(__file__).parents[2]
    packages = ("protocols", "terminal", "switch", "programme", "lumbung")
    sources = "".join(
        path.read_text("utf-8") for name in packages for path in (root / name).rglob("*.py")
    )
    by_value = ("month.", "transaction.", "complaint.")
    said = [key for key in keys("id") if not key.startswith(by_value)]
    assert [key for key in said if f'"{key}"' not in sources and f"'{key}'" not in sources] == []
