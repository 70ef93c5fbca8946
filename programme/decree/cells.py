"""Checks of single cells: each gives None for a sound cell, else (what is wrong, how to mend)."""

from collections.abc import Callable
from datetime import date
from functools import cache

from programme.districts import districts
from programme.limits import CELL_CHARACTERS_MAX
from programme.policy import policy
from programme.registry.decrees import LineOutcome
from protocols.values import SEN_PER_RUPIAH, rupiah

Complaint = tuple[str, str]

_OUTCOMES = {outcome.value: outcome for outcome in LineOutcome}


def digits16(text: str) -> Complaint | None:
    """Check a NIK or family card number."""
    if len(text) == 16 and text.isascii() and text.isdigit():
        return None
    if text.isascii() and text.isdigit():
        return f"{len(text)} digits, not 16", "copy the number again from the family card"
    return (
        f"{len(text)} characters that are not all digits",
        "write 16 digits; format the column as text so that no program rounds them",
    )


def plain_text(text: str) -> Complaint | None:
    """Check a name or an address."""
    if 0 < len(text) <= CELL_CHARACTERS_MAX and text.isprintable() and not text.isspace():
        return None
    if not text.strip():
        return "empty", "fill it in"
    if len(text) > CELL_CHARACTERS_MAX:
        return f"{len(text)} characters", f"shorten it to at most {CELL_CHARACTERS_MAX}"
    return "a control character", "type the text again"


@cache
def parse_date(text: str) -> date | None:
    """Give a date written as YYYY-MM-DD, None for anything else."""
    if len(text) != 10 or text[4] != "-" or text[7] != "-":
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def parse_month(text: str) -> str | None:
    """Give a month written as YYYY-MM, None for anything else."""
    return text if len(text) == 7 and parse_date(f"{text}-01") else None


def birth_date(text: str, decreed_on: date) -> Complaint | None:
    """Check a birth date against the day of the decree."""
    day = parse_date(text)
    if day is None:
        return "not a date YYYY-MM-DD", "write it as 1990-01-31"
    if not date(1900, 1, 1) <= day <= decreed_on:
        return "before 1900 or after the decree", "check the year"
    return None


def amount_rupiah(text: str) -> Complaint | None:
    """Check an amount per month."""
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        return "not whole rupiah in digits", "write 300000: no points, no Rp, no decimals"
    ceiling_sen = policy().card_ceiling_sen
    if not 0 < int(text) * SEN_PER_RUPIAH <= ceiling_sen:
        return (
            "zero or above the ceiling of a card",
            f"write an amount from 1 to {rupiah(ceiling_sen)} without points",
        )
    return None


def outcome(text: str) -> Complaint | None:
    """Check a verification result."""
    if text in _OUTCOMES:
        return None
    return "unknown result", f"write one of {', '.join(_OUTCOMES)}"


def place(village: str, district: str) -> tuple[str, Complaint] | None:
    """Check that a village lies in its district; give (column, complaint) otherwise."""
    villages = districts().get(district)
    if villages is None:
        return "kecamatan", ("no district of Samarinda", f"write one of {', '.join(districts())}")
    if village not in villages:
        return "kelurahan", (f"not in {district}", f"write one of {', '.join(villages)}")
    return None


#: Checks by the `kind` of columns.toml; birth dates and places need more than their own cell.
CELL_CHECKS: dict[str, Callable[[str], Complaint | None]] = {
    "digits16": digits16,
    "text": plain_text,
    "rupiah": amount_rupiah,
    "outcome": outcome,
}
