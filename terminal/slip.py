"""The facts of one slip: what `terminal.receipt` lays out and no more. No card number, no name."""

from dataclasses import dataclass
from enum import Enum, StrEnum

from terminal.journal.records import (
    Kind,
    LastPurchase,
    MonthLeft,
    SaleItem,
    StatementLine,
    Totals,
)


class Copy(StrEnum):
    """Whose slip it is; the value is the catalogue key of its last line."""

    MERCHANT = "receipt.copy_merchant"
    CUSTOMER = "receipt.copy_customer"


class SlipStatus(Enum):
    """What the slip may promise about the money."""

    APPROVED = "approved"
    FAILED = "failed, no money was taken"
    PENDING = "no answer yet, a reversal is owed"
    DISPUTED = "the host does not take the reversal"
    VOUCHER = "signed by the chip, not yet cleared by the bank"
    UNPAID = "the bank did not clear the voucher"
    WAITING = "the totals wait for the bank's word"


@dataclass(frozen=True, slots=True)
class Shop:
    """What stands in the head of every slip and its complaint line."""

    name: str
    place: str
    terminal_id: str
    merchant_id: str
    help_line: str
    training: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Slip:
    """The facts of one slip. `stan` 0 means that nothing was sent; no card number but its end.

    `asked_sen` above 0 is what was asked for where less was approved. `notice` is the terminal's
    own sentence, `own` its key where it is a refusal. `bank_totals` are the bank's where they
    differ from `totals`.
    """

    shop: Shop
    kind: Kind
    status: SlipStatus
    printed_ns: int
    response_code: str
    amount_sen: int
    batch: int = 0
    stan: int = 0
    rrn: str = ""
    approval_code: str = ""
    last_four: str = ""
    entry: str = ""
    items: tuple[SaleItem, ...] = ()
    balance_sen: int | None = None
    months: tuple[MonthLeft, ...] = ()
    planned_on: str = ""
    planned_sen: int = 0
    last_purchases: tuple[LastPurchase, ...] = ()
    reason: str = ""
    slip_code: str = ""
    pin_verified: bool = False
    original_stan: int = 0
    asked_sen: int = 0
    proxy: bool = False
    voucher: str = ""
    statement: tuple[StatementLine, ...] = ()
    totals: tuple[Totals, ...] = ()
    bank_totals: tuple[Totals, ...] = ()
    paid_on: str = ""
    notice: str = ""
    own: str = ""
