"""The chart of accounts and what a transfer's free fields mean (design decisions 3, 4, 7).

One ledger number per purse; only that purse's approved shops have an account in it; no account in
it can take cash. So the food rule holds in the ledger by construction. Both the programme (which
credits) and the switch (which debits) write transfers, hence the packing stands here, once.
"""

from dataclasses import dataclass
from datetime import date
from enum import IntEnum

from ledger.structures import AccountFlags
from protocols.business_time import business_day, business_day_number


class Purse(IntEnum):
    """Ledger numbers. Education and health follow by configuration (R11)."""

    FOOD = 1
    EDUCATION = 2
    HEALTH = 3


class AccountCode(IntEnum):
    """Kinds of account within a purse."""

    FUNDING = 1
    PARENT_GIRO = 2
    CARD = 3
    MERCHANT_PAYABLE = 4
    SETTLEMENT_CLEARING = 5
    SUSPENSE = 6


#: Limit flags by kind. A payable has none: a reversal may come after a payout (decision 4).
ACCOUNT_FLAGS: dict[AccountCode, AccountFlags] = {
    AccountCode.FUNDING: AccountFlags.NONE,
    AccountCode.PARENT_GIRO: AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS,
    AccountCode.CARD: AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS,
    AccountCode.MERCHANT_PAYABLE: AccountFlags.NONE,
    AccountCode.SETTLEMENT_CLEARING: AccountFlags.NONE,
    AccountCode.SUSPENSE: AccountFlags.NONE,
}


class TransferCode(IntEnum):
    """Why money moved."""

    FUNDING = 1
    DISBURSEMENT = 2
    PURCHASE = 3
    REVERSAL = 4
    VOID = 5
    REFUND = 6
    SWEEP = 7
    MERCHANT_PAYOUT = 8
    OUTAGE_SALE = 9
    TOMBSTONE = 10
    #: A void or refund whose answer was lost is itself undone: the sale (named in `user_data_128`,
    #: as in a compensation) stands again, in whole or in part.
    RESTORATION = 11


#: No account has this id: a transfer that names it burns its own id (decision 6, tombstone).
TOMBSTONE_ACCOUNT_ID = (1 << 128) - 2


class FundSource(IntEnum):
    """Who pays (art. 14, R10)."""

    APBD = 1
    BAZNAS = 2
    CSR = 3
    OTHER = 4


@dataclass(frozen=True, slots=True)
class TrancheData:
    """What a disbursement's `user_data_64` says: the tranche it opens (decision 7).

    `period` is `YYYY-MM`; `expires_on` None means no end date. `decree_number` (the registry's
    dense number) goes to `user_data_32`, the import file's id to `user_data_128`.
    """

    period: str
    source: FundSource
    budget_year: int
    expires_on: date | None = None

    def pack(self) -> int:
        """Give 64 bits: period months 16, source 8, budget year 16, expiry day 16, zero 8."""
        year, month = map(int, self.period.split("-"))
        assert 1 <= month <= 12
        expiry = business_day_number(self.expires_on) if self.expires_on else 0
        return (
            (year * 12 + month - 1) << 48 | self.source << 40 | self.budget_year << 24 | expiry << 8
        )

    @classmethod
    def unpack(cls, value: int) -> "TrancheData":
        """Give what `pack` packed."""
        months, expiry = value >> 48, value >> 8 & 0xFFFF
        return cls(
            period=f"{months // 12:04d}-{months % 12 + 1:02d}",
            source=FundSource(value >> 40 & 0xFF),
            budget_year=value >> 24 & 0xFFFF,
            expires_on=business_day(expiry) if expiry else None,
        )


@dataclass(frozen=True, slots=True)
class SaleData:
    """What `user_data_64` of a sale or a compensation says.

    A purchase carries the fingerprint in `user_data_128`, a compensation the original's id; both
    the registry's terminal number in `user_data_32`. `atc` is 0 on compensations. `card_tag` is
    the low eight bits of the card's number: a replacement card has a new chip, hence a new counter,
    on the same account, and the switch rebuilds its ATC marks from these records. `batch_tag` is
    the low four bits of the terminal's batch number: of its open batches no two share one, so the
    switch rebuilds their totals as well.
    """

    atc: int
    business_date: date
    stan: int
    card_tag: int = 0
    batch_tag: int = 0

    def pack(self) -> int:
        """Give 64 bits: ATC 16, business day 16, card tag 8, batch tag 4, STAN 20."""
        assert 0 <= self.atc < 1 << 16
        assert 0 <= self.card_tag < 1 << 8
        assert 0 <= self.batch_tag < 1 << 4
        assert 0 <= self.stan < 1_000_000
        day = business_day_number(self.business_date)
        tags = self.card_tag << 24 | self.batch_tag << 20
        return self.atc << 48 | day << 32 | tags | self.stan

    @classmethod
    def unpack(cls, value: int) -> "SaleData":
        """Give what `pack` packed."""
        return cls(
            atc=value >> 48,
            business_date=business_day(value >> 32 & 0xFFFF),
            stan=value & 0xFFFFF,
            card_tag=value >> 24 & 0xFF,
            batch_tag=value >> 20 & 0xF,
        )
