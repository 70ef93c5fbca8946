"""One pass over the ledger's entries: the sums that every report draws on, in sen."""

from dataclasses import dataclass, field

from ledger.port import Ledger
from ledger.statuses import CreateTransferStatus
from ledger.structures import Transfer, TransferFlags
from programme.chart import TransferCode
from programme.tranches import tranche_data

_NO_MONEY_MOVED = int(TransferFlags.PENDING | TransferFlags.VOID_PENDING_TRANSFER)
_FOREVER_NS = 1 << 63
_SALES = frozenset({TransferCode.PURCHASE, TransferCode.OUTAGE_SALE})
_BACK = frozenset({TransferCode.REVERSAL, TransferCode.VOID, TransferCode.REFUND})


@dataclass(slots=True)
class CardFigures:
    """What moved on one card account."""

    credited: int = 0
    released: int = 0
    spent: int = 0
    swept: int = 0

    @property
    def left(self) -> int:
        """Give what these movements left on the account."""
        return self.credited + self.released - self.spent - self.swept


@dataclass(slots=True)
class ShopFigures:
    """What moved on one shop's payable. A restored sale counts less as given back."""

    sales: int = 0
    gross: int = 0
    back: int = 0
    paid_out: int = 0


@dataclass(slots=True)
class CreditFigures:
    """What one month of one decree brought to cards."""

    count: int = 0
    credited: int = 0


@dataclass(slots=True)
class Figures:
    """All sums. Accounts without a movement are missing."""

    cards: dict[int, CardFigures] = field(default_factory=dict)
    shops: dict[int, ShopFigures] = field(default_factory=dict)
    credits: dict[tuple[int, str], CreditFigures] = field(default_factory=dict)
    sweeps: set[int] = field(default_factory=set)

    def card(self, account: int) -> CardFigures:
        """Give a card account's sums, zero before its first movement."""
        return self.cards.setdefault(account, CardFigures())

    def shop(self, account: int) -> ShopFigures:
        """Give a payable's sums, zero before its first movement."""
        return self.shops.setdefault(account, ShopFigures())


def read_figures(
    ledger: Ledger, purse: int, *, since_ns: int = 0, before_ns: int = _FOREVER_NS
) -> Figures:
    """Sum the ledger's posted entries of one purse, from an instant (UTC) until before another."""
    figures = Figures()
    for entry in ledger.entries():
        transfer = entry.transfer
        if (
            entry.status == CreateTransferStatus.CREATED
            and transfer.ledger == purse
            and not transfer.flags & _NO_MONEY_MOVED
        ):
            if transfer.code == TransferCode.SWEEP:
                # A release of the window may name a sweep before it.
                figures.sweeps.add(transfer.id)
            if since_ns <= transfer.timestamp < before_ns:
                _count(figures, transfer)
    return figures


def _count(figures: Figures, transfer: Transfer) -> None:
    debit, credit, amount = transfer.debit_account_id, transfer.credit_account_id, transfer.amount
    if transfer.code == TransferCode.DISBURSEMENT:
        _count_credit(figures, transfer)
    elif transfer.code in _SALES:
        figures.card(debit).spent += amount
        shop = figures.shop(credit)
        shop.sales += 1
        shop.gross += amount
    elif transfer.code in _BACK:
        figures.card(credit).spent -= amount
        figures.shop(debit).back += amount
    elif transfer.code == TransferCode.RESTORATION:
        figures.card(debit).spent += amount
        figures.shop(credit).back -= amount
    elif transfer.code == TransferCode.SWEEP:
        figures.card(debit).swept += amount
    elif transfer.code == TransferCode.MERCHANT_PAYOUT:
        figures.shop(debit).paid_out += amount


def _count_credit(figures: Figures, transfer: Transfer) -> None:
    card = figures.card(transfer.credit_account_id)
    if transfer.user_data_128 in figures.sweeps:
        card.released += transfer.amount
        return
    card.credited += transfer.amount
    key = (transfer.user_data_32, tranche_data(transfer.user_data_64).period)
    month = figures.credits.setdefault(key, CreditFigures())
    month.count += 1
    month.credited += transfer.amount
