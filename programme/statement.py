"""A card's money by month, and why there is none when there is none (R8, R34)."""

from dataclasses import dataclass
from enum import StrEnum

from ledger.port import Ledger, StatementFilter
from ledger.statuses import CreateTransferStatus
from programme.chart import TransferCode
from programme.registry_port import CardStatus, CardView
from programme.tranches import Tranche, TrancheBook


class ZeroReason(StrEnum):
    """Why a card has nothing to spend, the first that holds."""

    BLOCKED = "blocked"
    NOT_LIVE = "replaced or closed"
    NOT_PAID = "not yet paid"
    NOT_ACTIVE = "not yet activated"
    SWEPT = "swept"
    SPENT = "all spent"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardStatement:
    """Tranches in the order of spending, their sum, and the reason (with its UTC time) when 0."""

    tranches: tuple[Tranche, ...]
    left_sen: int
    zero_reason: ZeroReason | None
    zero_since_ns: int


def card_statement(ledger: Ledger, card: CardView) -> CardStatement:
    """Give a card's statement from the ledger; raise TrancheError for an entry without a rule."""
    fold = TrancheBook(ledger).fold(card.account_id)
    reason, since_ns = _why_zero(ledger, card, fold.left_sen, len(fold.tranches()))
    return CardStatement(
        tranches=tuple(fold.tranches()),
        left_sen=fold.left_sen,
        zero_reason=reason,
        zero_since_ns=since_ns,
    )


def _why_zero(
    ledger: Ledger, card: CardView, left_sen: int, tranches: int
) -> tuple[ZeroReason | None, int]:
    if card.status is CardStatus.BLOCKED:
        return ZeroReason.BLOCKED, 0
    if card.status in (CardStatus.REPLACED, CardStatus.CLOSED):
        return ZeroReason.NOT_LIVE, 0
    if not tranches:
        return ZeroReason.NOT_PAID, 0
    if left_sen:
        active = card.status is CardStatus.ACTIVE
        return (None if active else ZeroReason.NOT_ACTIVE), 0
    newest_first = ledger.statement(
        StatementFilter(account_id=card.account_id, credits=False, reverse=True)
    )
    for entry in newest_first:
        if entry.status == CreateTransferStatus.CREATED and entry.transfer.amount:
            swept = entry.transfer.code == TransferCode.SWEEP
            return (ZeroReason.SWEPT if swept else ZeroReason.SPENT), entry.transfer.timestamp
    return ZeroReason.SPENT, 0
