"""What a request ends in, and what a flow asks of the ledger on its way there."""

from collections.abc import Generator
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from ledger.port import Entry
from ledger.structures import Account, CreateTransferResult, Transfer
from programme.tranches import MonthLeft
from switch.changes import BatchTotals

#: DE39 of an answer that says yes: whole, or a part. Source: ISO 8583:1987, data element 39.
_APPROVED = frozenset({"00", "10"})


@dataclass(frozen=True, slots=True)
class KeyBlocks:
    """A key set as the terminal receives it: TR-31 blocks under its master key."""

    number: int
    mac_block: str
    pin_block: str
    mac_check: str
    pin_check: str

    def __repr__(self) -> str:
        return f"KeyBlocks({self.number})"


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One line of a mini statement: business date, signed sen as the card sees it, what it was."""

    day: date
    amount_sen: int
    text: str


class Decision(NamedTuple):
    """The answer to one request, before it is written as a message. Made by names only.

    `approved_sen` is DE4 of the answer where it is less than was asked.

    `code` is DE39, `reason` DE44; `evidence` names the rule for the log. `remember` tells whether a
    repeat of a refused message may hear this answer from memory; answers about the node's own
    trouble (91, 96) are not remembered. `chip_proved` says that the card's cryptogram was right, so
    that the answer may carry the issuer's.
    """

    code: str
    reason: str = ""
    evidence: str = ""
    approval_code: str = ""
    balance_sen: int | None = None
    months: tuple[MonthLeft, ...] = ()
    key_blocks: KeyBlocks | None = None
    statement: tuple[StatementLine, ...] = ()
    log_on_number: int = 0
    shop_heading: tuple[str, str] | None = None
    business_date: date | None = None
    payout_date: date | None = None
    planned_date: date | None = None
    last_purchase: StatementLine | None = None
    approved_sen: int | None = None
    totals: BatchTotals | None = None
    batch: int = 0
    slip_code: str = ""
    remember: bool = True
    chip_proved: bool = False

    @property
    def approved(self) -> bool:
        """Tell whether the answer is yes."""
        return self.code in _APPROVED


class LedgerStep(NamedTuple):
    """What a flow asks of the ledger in the next batch: post, then read.

    Reads happen after the whole batch is durable. `months_account_id` asks for the card's open
    months as of record `months_at` (0: now), `last_sales_account_id` for its newest purchases.
    """

    transfers: tuple[Transfer, ...] = ()
    entry_ids: tuple[int, ...] = ()
    account_ids: tuple[int, ...] = ()
    months_account_id: int = 0
    months_of_id: int = 0
    statement_account_id: int = 0
    last_sales_account_id: int = 0


class StepResult(NamedTuple):
    """What the ledger answered to one step, in the order asked."""

    results: tuple[CreateTransferResult, ...] = ()
    entries: tuple[Entry | None, ...] = ()
    accounts: tuple[Account | None, ...] = ()
    months: tuple[MonthLeft, ...] = ()
    statement: tuple[Entry, ...] = ()
    last_sales: tuple[Entry, ...] = ()


#: A request under way: asks the ledger any number of times, then decides.
Flow = Generator[LedgerStep, StepResult, Decision]
