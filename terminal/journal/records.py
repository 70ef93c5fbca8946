"""What the terminal's journal remembers: one frozen record per durable step of a transaction.

The order is always: `Intent` before a request leaves; then `Answer`; then `Completed` (the chip
agreed, the sale stands), or `ReversalQueued` and its `ReversalSent`s until `ReversalAnswered`. No
record holds a track, a PIN block or a key; the card number is a `Pan` that the codec seals.
"""

from dataclasses import dataclass
from enum import StrEnum

from protocols.values import Pan

#: Version of the journal's format; another one is refused.
JOURNAL_VERSION = 1


class Kind(StrEnum):
    """What a request asks for."""

    PURCHASE = "purchase"
    VOID = "void"
    BALANCE = "balance"
    NETWORK = "network"

    @property
    def moves_money(self) -> bool:
        """Tell whether an unanswered request must be reversed."""
        return self in (Kind.PURCHASE, Kind.VOID)


class ReversalCause(StrEnum):
    """Why a reversal was queued (switch.md 4.4)."""

    NO_ANSWER = "no answer"
    BAD_MAC = "bad MAC"
    UNREADABLE = "unreadable answer"
    CONNECTION_LOST = "connection lost"
    POWER_LOSS = "power loss"
    CARD_DECLINED = "card declined after approval"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The first record: whose journal this is."""

    version: int
    terminal_id: str
    created_ns: int


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
class LoggedOn:
    """The host took the terminal's log-on for this shop and gave the heading of its receipts."""

    merchant_id: str
    log_on: str
    shop_name: str
    shop_place: str
    logged_on_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A request that is about to leave: everything its reversal and its receipt will need.

    `started_ns` is UTC; `transmission_time` is DE7 and `rrn` DE37 as sent: a void names its
    original's RRN. The STAN is also the invoice number of DE60 and the trace on the slip, so that
    people meet one number only. `original_stan` names the sale that a void undoes. `entry` is how
    the card was read (`CHIP`).
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An authentic answer to the request `stan`.

    `amount_sen` is what was approved (less than asked for with DE39 10); `planned_on` is the next
    payment, `YYYY-MM-DD`; `last_purchases` holds at most one.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """The approved transaction stands: the chip gave its TC, or no chip takes part (void)."""

    stan: int
    completed_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReversalQueued:
    """The transaction `stan` must be undone; `reversal_stan` and `transmission_time` are the
    reversal's own DE11 and DE7, the same in every repeat.
    """

    stan: int
    reversal_stan: int
    transmission_time: str
    queued_ns: int
    cause: ReversalCause


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


Record = (
    Header
    | LoggedOn
    | Intent
    | Answer
    | Completed
    | ReversalQueued
    | ReversalSent
    | ReversalAnswered
)
