"""Checks of single cells: each gives None for a sound cell, else the complaint."""

from collections.abc import Callable
from datetime import date
from functools import cache

from programme.decree.faults import Complaint, complaint
from programme.districts import districts
from programme.limits import CELL_CHARACTERS_MAX
from programme.policy import policy
from programme.registry.decrees import LineOutcome
from protocols.values import SEN_PER_RUPIAH, rupiah

_OUTCOMES = {outcome.value: outcome for outcome in LineOutcome}


def digits16(text: str) -> Complaint | None:
    """Check a NIK or family card number."""
    if len(text) == 16 and text.isascii() and text.isdigit():
        return None
    if text.isascii() and text.isdigit():
        return complaint("decree.digit_count", found=len(text))
    return complaint("decree.not_digits", found=len(text))


def plain_text(text: str) -> Complaint | None:
    """Check a name or an address."""
    if 0 < len(text) <= CELL_CHARACTERS_MAX and text.isprintable() and not text.isspace():
        return None
    if not text.strip():
        return complaint("decree.empty")
    if len(text) > CELL_CHARACTERS_MAX:
        return complaint("decree.too_long", found=len(text), limit=CELL_CHARACTERS_MAX)
    return complaint("decree.control_character")


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
        return complaint("decree.not_a_date")
    if not date(1900, 1, 1) <= day <= decreed_on:
        return complaint("decree.birth_out_of_range")
    return None


def amount_rupiah(text: str) -> Complaint | None:
    """Check an amount per month."""
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        return complaint("decree.not_rupiah")
    ceiling_sen = policy().card_ceiling_sen
    if not 0 < int(text) * SEN_PER_RUPIAH <= ceiling_sen:
        return complaint("decree.above_ceiling", limit=rupiah(ceiling_sen))
    return None


def outcome(text: str) -> Complaint | None:
    """Check a verification result."""
    if text in _OUTCOMES:
        return None
    return complaint("decree.unknown_outcome", words=", ".join(_OUTCOMES))


def place(village: str, district: str) -> tuple[str, Complaint] | None:
    """Check that a village lies in its district; give (column, complaint) otherwise."""
    villages = districts().get(district)
    if villages is None:
        return "kecamatan", complaint("decree.unknown_district", words=", ".join(districts()))
    if village not in villages:
        words = ", ".join(villages)
        return "kelurahan", complaint("decree.unknown_village", district=district, words=words)
    return None


#: Checks by the `kind` of columns.toml; birth dates and places need more than their own cell.
CELL_CHECKS: dict[str, Callable[[str], Complaint | None]] = {
    "digits16": digits16,
    "text": plain_text,
    "rupiah": amount_rupiah,
    "outcome": outcome,
}
