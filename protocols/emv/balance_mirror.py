"""The balance that a food card carries: tag DF71, a mirror with the time when it was true.

The ledger is the truth; the mirror says what it was when somebody last wrote it to the card.
Source: Perwali 70/2025 art. 1(15): the card holds the balance; docs/reference/card.md.
"""

from dataclasses import dataclass
from datetime import datetime

from protocols.business_time import WITA
from protocols.emv.errors import EmvDataError

TAG_DF71_BALANCE_MIRROR = "DF71"
BYTES = 12

_AMOUNT_DIGITS = 12
_STAMP = "%y%m%d%H%M%S"


@dataclass(frozen=True, slots=True)
class BalanceMirror:
    """An amount in sen and the instant (any zone) when it was the balance."""

    amount_sen: int
    at: datetime

    def encoded(self) -> bytes:
        """Give 12 digits of sen, then YYMMDDhhmmss in WITA; EmvDataError when it does not fit.

        >>> BalanceMirror(30000000, datetime(2026, 1, 5, 9, 14, 7, tzinfo=WITA)).encoded().hex()
        '000030000000260105091407'
        """
        assert self.at.tzinfo is not None, "a time without a zone is no instant"
        if not 0 <= self.amount_sen < 10**_AMOUNT_DIGITS:
            raise EmvDataError(TAG_DF71_BALANCE_MIRROR, 0, "an amount outside 0 to 12 digits")
        stamp = self.at.astimezone(WITA).strftime(_STAMP)
        return bytes.fromhex(f"{self.amount_sen:0{_AMOUNT_DIGITS}d}{stamp}")

    @classmethod
    def read(cls, data: bytes) -> "BalanceMirror":
        """Give the mirror of a tag's value; raise EmvDataError for anything else.

        >>> BalanceMirror.read(bytes.fromhex("000030000000260105091407")).at.isoformat()
        '2026-01-05T09:14:07+08:00'
        """
        digits = data.hex()
        if len(data) != BYTES or not digits.isdecimal():
            raise EmvDataError(TAG_DF71_BALANCE_MIRROR, 0, f"{len(data)} bytes, or no digits")
        try:
            at = datetime.strptime(digits[_AMOUNT_DIGITS:], _STAMP).replace(tzinfo=WITA)
        except ValueError:
            raise EmvDataError(TAG_DF71_BALANCE_MIRROR, BYTES // 2, "no date and time") from None
        return cls(int(digits[:_AMOUNT_DIGITS]), at)
