"""Checks of what people type, before anything is sent: refusals as values."""

from dataclasses import dataclass, field

from protocols.catalogue import text
from protocols.values import SEN_PER_RUPIAH, rupiah
from terminal.limits import AMOUNT_MAX_SEN, PIN_DIGITS


@dataclass(frozen=True, slots=True)
class Refused:
    """Why an entry cannot be used: the DE39 that fits, and a text of the catalogue."""

    code: str
    key: str
    values: dict[str, str] = field(default_factory=dict)

    def sentence(self, lang: str = "id") -> str:
        """Give the sentence for people."""
        return text(self.key, lang, **self.values)


def check_amount(amount_sen: int) -> Refused | None:
    """Tell why an amount cannot be used, or None.

    >>> check_amount(0).sentence("en")
    'The amount must be more than zero.'
    >>> check_amount(14_150_000) is None
    True
    """
    if amount_sen <= 0:
        return Refused("13", "refused.amount_not_positive")
    if amount_sen % SEN_PER_RUPIAH:
        return Refused("13", "refused.amount_not_whole_rupiah")
    if amount_sen > AMOUNT_MAX_SEN:
        return Refused("13", "refused.amount_above_limit", {"limit": rupiah(AMOUNT_MAX_SEN)})
    return None


def check_pin(digits: str) -> Refused | None:
    """Tell why typed digits are no PIN, or None; says nothing of the digits.

    >>> check_pin("123").sentence("en"), check_pin("123456")
    ('An SSN PIN has 6 digits.', None)
    """
    if len(digits) != PIN_DIGITS or not (digits.isascii() and digits.isdigit()):
        return Refused("17", "refused.pin_length")
    return None
