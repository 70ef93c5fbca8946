"""The one message catalogue: every sentence that people read, in Indonesian and in English.

`texts/id.toml` and `texts/en.toml` hold the same keys with the same placeholders (a test says so).
Indonesian comes first; English is for developers and testers. What a DE39 or a DE44 reason says
stands in `refusals.toml`; `outcome_line_2` and `reason_sentence` fill its placeholders.
"""

import tomllib
from functools import cache
from importlib.resources import files
from string import Formatter
from typing import Any

from protocols.refusals import OutcomeText, reason_texts

#: Languages of the catalogue, the default first.
LANGUAGES = ("id", "en")

#: Columns of the smallest display in the field; `refusals.toml` is written for it.
DISPLAY_COLUMNS = 21


def text(key: str, lang: str = "id", **values: object) -> str:
    """Give the text of `key` in `lang` with its placeholders filled.

    A key, a language or a value that is missing is a bug of the caller: KeyError.

    >>> text("flow.amount", amount="141.500")
    'Total Rp141.500'
    >>> text("flow.amount", "en", amount="141.500")
    'Total Rp141.500'
    """
    return _texts(lang)[key].format(**values)


@cache
def keys(lang: str = "id") -> tuple[str, ...]:
    """Give every key of a language, in the order of its file."""
    return tuple(_texts(lang))


def placeholders(template: str) -> frozenset[str]:
    """Give the names that a template wants filled.

    >>> sorted(placeholders("Sisa {tries} kali"))
    ['tries']
    """
    return frozenset(name for _, name, _, _ in Formatter().parse(template) if name)


def template(key: str, lang: str = "id") -> str:
    """Give the text of `key` with its placeholders unfilled."""
    return _texts(lang)[key]


def outcome_line_2(outcome: OutcomeText, **values: str) -> str:
    """Give the second display line of an outcome, filled; without its value, `see the slip`.

    >>> from protocols.refusals import outcome_texts
    >>> outcome_line_2(outcome_texts()["55"], tries="2")
    'Sisa 2 kali'
    >>> outcome_line_2(outcome_texts()["51"])
    'Lihat struk'
    """
    if placeholders(outcome.line_2) <= values.keys():
        return outcome.line_2.format(**values)
    return text("outcome.line_2_without_value")


def reason_value(reason: str) -> tuple[str, str]:
    """Give a DE44 reason as its code and its value: `N=2` is N with value 2.

    >>> reason_value("N=2"), reason_value("P01")
    (('N', '2'), ('P01', ''))
    """
    code, _, value = reason.strip().partition("=")
    return code, value


def reason_sentence(reason: str, lang: str = "id") -> str:
    """Give the sentence of a DE44 reason, or an empty text for a reason that is not in the table.

    A reason comes over the wire from a host that may be newer than this table; the outcome's own
    sentence still stands then.

    >>> reason_sentence("N=2", "en")
    'The PIN may be typed 2 more times.'
    >>> reason_sentence("X99")
    ''
    """
    code, value = reason_value(reason)
    sentences = reason_texts().get(code)
    if sentences is None:
        return ""
    sentence = sentences[LANGUAGES.index(lang)]
    if placeholders(sentence) and not value:
        return ""
    return sentence.format(value=value)


@cache
def _texts(lang: str) -> dict[str, str]:
    if lang not in LANGUAGES:
        raise KeyError(f"the catalogue has no language {lang!r}")
    table = tomllib.loads(files("protocols").joinpath("texts", f"{lang}.toml").read_text("utf-8"))
    return dict(_flat(table, ""))


def _flat(table: dict[str, Any], prefix: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in table.items():
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{name}.")
        else:
            assert isinstance(value, str), f"{prefix}{name} is no text"
            found.append((f"{prefix}{name}", value))
    return found
