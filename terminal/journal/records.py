"""What the terminal's journal remembers: one frozen record per durable step of a transaction.

The order is always: `Intent` before a request leaves; then `Answer`; then `Completed` (the chip
agreed, the sale stands), or `ReversalQueued` and its `ReversalSent`s until `ReversalAnswered`. What
is stored and forwarded (vouchers, settlements, uploads) has its `Intent`, a `Sent` before each
transmission, and ends with its `Answer` or, given up, with `DeadLettered`. No record holds a track,
a PIN block or a key; the codec seals card numbers (`Pan`) and chip data (`bytes`).
"""

from dataclasses import dataclass, field
from enum import StrEnum

from protocols.values import Pan

#: Version of the journal's format that is written. A field added since a version that is still
#: read has a default, which is what the older record means.
JOURNAL_VERSION = 2
READABLE_VERSIONS = frozenset({1, 2})


class Kind(StrEnum):
    """What a request asks for."""

    PURCHASE = "purchase"
    VOID = "void"
    REFUND = "refund"
    VOUCHER = "voucher"
    BALANCE = "balance"
    STATEMENT = "statement"
    PIN_CHANGE = "pin_change"
    SETTLEMENT = "settlement"
    UPLOAD = "upload"
    COMPLAINT = "complaint"
    NETWORK = "network"

    @property
    def moves_money(self) -> bool:
        """Tell whether an unanswered request must be reversed."""
        return self in (Kind.PURCHASE, Kind.VOID, Kind.REFUND)

    @property
    def is_forwarded(self) -> bool:
        """Tell whether it is stored and repeated until the host answers, and never reversed."""
        return self in (Kind.VOUCHER, Kind.SETTLEMENT, Kind.UPLOAD)

    @property
    def counts(self) -> bool:
        """Tell whether it is one of the transactions that a batch adds up."""
        return self.moves_money or self is Kind.VOUCHER


class ReversalCause(StrEnum):
    """Why a reversal was queued (switch.md 4.4)."""

    NO_ANSWER = "no answer"
    BAD_MAC = "bad MAC"
    UNREADABLE = "unreadable answer"
    CONNECTION_LOST = "connection lost"
    POWER_LOSS = "power loss"
    CARD_DECLINED = "card declined after approval"
    PART_ONLY = "only a part was handed over"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The first record: whose journal this is, and whether it is one of training (R37)."""

    version: int
    terminal_id: str
    created_ns: int
    training: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleItem:
    """One line of a basket. The price is the shop's market price (art. 12(4)), for all pieces."""

    code: str
    name: str
    quantity: int
    price_sen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthLeft:
    """What is left of one month's aid; `period` is `YYYY-MM`."""

    period: str
    amount_sen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LastPurchase:
    """What the card bought last, as a balance inquiry tells it; `date` is `YYYY-MM-DD`."""

    date: str
    amount_sen: int
    shop: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine:
    """One movement of a card; `date` is `YYYY-MM-DD`, a debit is negative."""

    date: str
    amount_sen: int
    shop: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What a batch comes to. Gross: a voided sale is among the sales, its void among the voids."""

    sales: int = 0
    sales_sen: int = 0
    voids: int = 0
    voids_sen: int = 0
    refunds: int = 0
    refunds_sen: int = 0

    @property
    def net_sen(self) -> int:
        """Give what the shop is owed for it."""
        return self.sales_sen - self.voids_sen - self.refunds_sen


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedOn:
    """The host took the terminal's log-on for this shop and gave the heading of its receipts."""

    merchant_id: str
    log_on: str
    shop_name: str
    shop_place: str
    logged_on_ns: int
    operator: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedOff:
    """The operator left the shop; nothing is sold until the next log-on."""

    logged_off_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A request that is about to leave: everything its reversal and its receipt will need.

    `started_ns` is UTC; `transmission_time` is DE7 and `rrn` DE37 as sent: a void names its
    original's RRN. The STAN is also the invoice number of DE60 and the trace on the slip, so that
    people meet one number only. `original_stan` names the sale that a void or refund undoes, or the
    transaction that an upload repeats. `entry` is how the card was read (`CHIP`, `TAP`). `totals`
    holds one entry in a settlement, none elsewhere; `chip` is DE55 of a voucher, as TLV.
    """

    kind: Kind
    stan: int
    rrn: str
    transmission_time: str
    started_ns: int
    mti: str
    processing_code: str
    amount_sen: int
    batch: int
    pan: Pan | None = None
    psn: str = ""
    entry: str = ""
    operator: str = ""
    items: tuple[SaleItem, ...] = ()
    pin_entered: bool = False
    original_stan: int = 0
    merchant_id: str = ""
    proxy: str = ""
    voucher: str = ""
    sequence: int = 0
    totals: tuple[Totals, ...] = ()
    chip: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An authentic answer to the request `stan`.

    `amount_sen` is what was approved (less than asked for with DE39 10); `planned_on` is the next
    payment, `paid_on` the day the shop is paid, both `YYYY-MM-DD`; `last_purchases` holds at most
    one; `totals` are the host's own in a settlement's answer, at most one.
    """

    stan: int
    response_code: str
    received_ns: int
    amount_sen: int = 0
    approval_code: str = ""
    reason: str = ""
    balance_sen: int | None = None
    months: tuple[MonthLeft, ...] = ()
    planned_on: str = ""
    last_purchases: tuple[LastPurchase, ...] = ()
    slip_code: str = ""
    statement: tuple[StatementLine, ...] = ()
    totals: tuple[Totals, ...] = ()
    planned_sen: int = 0
    paid_on: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """The approved transaction stands: the chip gave its TC, or no chip takes part (void)."""

    stan: int
    completed_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReversalQueued:
    """The transaction `stan` must be undone; `reversal_stan` and `transmission_time` are the
    reversal's own DE11 and DE7, the same in every repeat. `actual_sen` above 0 is the part that
    stands (DE95); the rest is undone.
    """

    stan: int
    reversal_stan: int
    transmission_time: str
    queued_ns: int
    cause: ReversalCause
    actual_sen: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReversalSent:
    """Transmission `transmission` (1, 2, ...) of the reversal of `stan` is about to leave."""

    stan: int
    transmission: int
    sent_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReversalAnswered:
    """The reversal of `stan` has its authentic, final answer."""

    stan: int
    response_code: str
    answered_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Transmission `transmission` (1, 2, ...) of the stored message `stan` is about to leave.

    `batch` is the batch that it names from its first transmission on.
    """

    stan: int
    transmission: int
    batch: int
    sent_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLettered:
    """The stored message `stan` is given up after too many transmissions: the bank settles it."""

    stan: int
    dead_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """A complaint taken at the counter, about transaction `stan` or (0) about none."""

    number: str
    stan: int
    category: str
    noted_ns: int


Record = (
    Header
    | LoggedOn
    | LoggedOff
    | Intent
    | Answer
    | Completed
    | ReversalQueued
    | ReversalSent
    | ReversalAnswered
    | Sent
    | DeadLettered
    | Complaint
)
