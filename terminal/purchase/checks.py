"""Checks of what people type, before anything is sent: refusals as values."""

from dataclasses import dataclass, field

from protocols.catalogue import text
from protocols.values import SEN_PER_RUPIAH, rupiah
from terminal.limits import AMOUNT_MAX_SEN, PIN_DIGITS, PROXY_NUMBER_MAX


@dataclass(frozen=True, slots=True)
class Refused:
    """Why an entry cannot be used: the DE39 that fits, and a text of the catalogue."""

    code: str
    key: str
    values: dict[str, str] = field(default_factory=dict)

    def sentence(self, lang: str = "id") -> str:
        """Give the sentence for people."""
        return text(self.key, lang, **self.values)


#: What was typed is no amount.
NOT_A_NUMBER = Refused("13", "refused.amount_not_number")


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


def check_rest(actual_sen: int, sold_sen: int) -> Refused | None:
    """Tell why this cannot be what is left of a sale, or None.

    >>> check_rest(5_000, 10_000) is None, check_rest(10_000, 10_000).code
    (True, '13')
    """
    if 0 < actual_sen < sold_sen and actual_sen % SEN_PER_RUPIAH == 0:
        return None
    return Refused("13", "refused.reduce_range", {"limit": rupiah(sold_sen)})


def check_pin(digits: str) -> Refused | None:
    """Tell why typed digits are no PIN, or None; says nothing of the digits.

    >>> check_pin("123").sentence("en"), check_pin("123456")
    ('An SSN PIN has 6 digits.', None)
    """
    if len(digits) != PIN_DIGITS or not (digits.isascii() and digits.isdigit()):
        return Refused("17", "refused.pin_length")
    return None


def check_offline_pin(digits: str) -> Refused | None:
    """Tell why typed digits cannot go to a chip, or None: 4 to 12. Source: EMV 4.4 Book 3, 6.5.12.

    >>> check_offline_pin("1234") is None, check_offline_pin("1234567890123") is None
    (True, False)
    """
    if 4 <= len(digits) <= 12 and digits.isascii() and digits.isdigit():
        return None
    return Refused("17", "refused.pin_length")


def check_proxy(number: str) -> Refused | None:
    """Tell why a typed number cannot be a proxy's, or None. Source: edc.toml, element 62.

    >>> check_proxy("W0000042") is None, check_proxy("").sentence("en")
    (True, 'The number of a proxy has 1 to 12 letters or digits.')
    """
    if 0 < len(number) <= PROXY_NUMBER_MAX and number.isascii() and number.isalnum():
        return None
    return Refused("12", "refused.proxy_number", {"limit": str(PROXY_NUMBER_MAX)})


def read_amount(typed: str) -> int | None:
    """Give typed whole rupiah in sen, None for anything else; above the limit for endless digits.

    >>> read_amount("141.500"), read_amount("25000"), read_amount("12,5"), read_amount("")
    (14150000, 2500000, None, None)
    >>> read_amount("7" * 300) > AMOUNT_MAX_SEN
    True
    """
    digits = typed.replace(".", "").strip()
    if not (digits.isascii() and digits.isdigit()):
        return None
    # One digit more than the limit has is enough to be above it.
    return int(digits[: len(str(AMOUNT_MAX_SEN))]) * SEN_PER_RUPIAH
