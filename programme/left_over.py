"""Money left on a card: which tranche is due to be swept on a day, and why (R9, art. 5).

Pure: the day and the policy are arguments, the fold is the card's. A sweep's `user_data_64` keeps
reason and day, so that the ledger alone can list what is held.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import IntEnum

from programme.policy import LeftOver, YearEndRule
from programme.tranches import Tranche, TrancheFold
from protocols.business_time import business_day, business_day_number


class SweepReason(IntEnum):
    """Why a tranche is swept; the numbers stand in the ledger."""

    END_DATE = 1
    MONTHS_PASSED = 2
    YEAR_HELD = 3
    YEAR_RETURNED = 4


@dataclass(frozen=True, slots=True)
class SweepData:
    """What `user_data_64` of a sweep says: its reason, its business date, the budget year.

    >>> data = SweepData(SweepReason.YEAR_HELD, date(2026, 1, 1), 2025)
    >>> SweepData.unpack(data.pack()) == data
    True
    """

    reason: SweepReason
    business_date: date
    budget_year: int

    def pack(self) -> int:
        """Give 64 bits: zero 24, reason 8, business day 16, budget year 16."""
        day = business_day_number(self.business_date)
        return self.reason << 32 | day << 16 | self.budget_year

    @classmethod
    def unpack(cls, value: int) -> "SweepData":
        """Give what `pack` packed."""
        return cls(
            reason=SweepReason(value >> 32 & 0xFF),
            business_date=business_day(value >> 16 & 0xFFFF),
            budget_year=value & 0xFFFF,
        )


def months_between(period: str, day: date) -> int:
    """Give how many months lie between the end of a month and a day; 0 within the next month.

    >>> months_between("2026-01", date(2026, 2, 28)), months_between("2025-12", date(2026, 3, 1))
    (0, 2)
    """
    year, month = map(int, period.split("-"))
    return (day.year - year) * 12 + day.month - month - 1


def due(tranche: Tranche, day: date, rule: LeftOver) -> SweepReason | None:
    """Give why a tranche is swept on a business day, None while its money may stay.

    The end date is the last day on which the money is meant to be spent. A budget year ends on 31
    December (art. 5).
    """
    if tranche.expires_on is not None and tranche.expires_on < day:
        return SweepReason.END_DATE
    if tranche.budget_year < day.year:
        if rule.year_end is YearEndRule.HOLD:
            return SweepReason.YEAR_HELD
        if rule.year_end is YearEndRule.RETURN:
            return SweepReason.YEAR_RETURNED
    if rule.months and months_between(tranche.period, day) >= rule.months:
        return SweepReason.MONTHS_PASSED
    return None


def due_tranches(
    fold: TrancheFold, day: date, rule: LeftOver
) -> Iterator[tuple[Tranche, SweepReason]]:
    """Yield the tranches of a card that still hold money and are due, in the order of spending."""
    for tranche in fold.tranches():
        reason = due(tranche, day, rule) if tranche.left_sen else None
        if reason is not None:
            yield tranche, reason
