"""Months left on a card: a deterministic fold over its ledger entries (design decision 7).

In the order of the ledger: a disbursement opens a tranche; a debit takes open tranches by (expiry,
period, sequence); a compensation gives back what its original took, last taken first; a
restoration (an undone compensation) takes again for the sale it names; a sweep takes from the
tranche it names. Money of a tranche past its expiry is spendable until the sweep
posts, so the fold needs no clock.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from ledger.limits import STATEMENT_ROWS_MAX
from ledger.port import Entry, Ledger, StatementFilter
from ledger.statuses import CreateTransferStatus
from ledger.structures import Transfer, TransferFlags
from programme.chart import FundSource, TrancheData, TransferCode
from programme.errors import TrancheError
from programme.limits import TRANCHE_CACHE_CARDS_MAX

_COMPENSATIONS = frozenset({TransferCode.REVERSAL, TransferCode.VOID, TransferCode.REFUND})
_SALES = frozenset({TransferCode.PURCHASE, TransferCode.OUTAGE_SALE})
_NO_MONEY_MOVED = int(TransferFlags.PENDING | TransferFlags.VOID_PENDING_TRANSFER)
#: A month's disbursement says the same of every card; 4,096 of them are 340 years of months.
tranche_data = lru_cache(maxsize=4_096)(TrancheData.unpack)


class Share(NamedTuple):
    """How much one transfer took from one tranche, in sen."""

    tranche_id: int
    amount_sen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tranche:
    """One month's aid on one card. `tranche_id` is the transfer that opened it; money in sen."""

    tranche_id: int
    period: str
    source: FundSource
    budget_year: int
    decree_number: int
    expires_on: date | None
    sequence: int
    amount_sen: int
    left_sen: int


class MonthLeft(NamedTuple):
    """What is left of a month, over all its tranches, in sen."""

    period: str
    left_sen: int


class TrancheFold:
    """The tranches of one card after the entries applied so far."""

    __slots__ = (
        "_given_back",
        "_left",
        "_order",
        "_shares",
        "_tranches",
        "account_id",
        "sequence",
    )

    def __init__(self, account_id: int) -> None:
        """Start with no entry applied."""
        self.account_id = account_id
        self.sequence = 0
        self._tranches: dict[int, tuple[TrancheData, Entry]] = {}
        self._left: dict[int, int] = {}
        self._order: list[int] = []
        self._shares: dict[int, list[Share]] = {}
        #: By sale: what its compensations gave back and no restoration took again.
        self._given_back: dict[int, int] = {}

    @property
    def left_sen(self) -> int:
        """Give what is left in all tranches: equals the card's posted balance."""
        return sum(self._left.values())

    def months_left(self) -> list[MonthLeft]:
        """Give the months with money left, oldest first."""
        months: dict[str, int] = {}
        tranches, left = self._tranches, self._left
        for tranche_id in self._order:
            left_sen = left[tranche_id]
            if left_sen:
                period = tranches[tranche_id][0].period
                months[period] = months.get(period, 0) + left_sen
        if len(months) > 1:
            return [MonthLeft(period, months[period]) for period in sorted(months)]
        return [MonthLeft(period, left_sen) for period, left_sen in months.items()]

    def tranches(self) -> list[Tranche]:
        """Give every tranche, spent ones too, in the order in which they are taken."""
        return [self._tranche(tranche_id) for tranche_id in self._order]

    def allocation(self, transfer_id: int) -> tuple[Share, ...]:
        """Give what a debit still holds of each tranche after its compensations."""
        return tuple(self._shares.get(transfer_id, ()))

    def forget(self, keep: int) -> None:
        """Forget what all debits but the newest `keep` took, once there are twice as many.

        A compensation of a forgotten one then raises TrancheError: fold the card anew for it.
        """
        if len(self._shares) <= 2 * keep:
            return
        for transfer_id in list(self._shares)[:-keep]:
            del self._shares[transfer_id]
            self._given_back.pop(transfer_id, None)

    def apply(self, entry: Entry) -> None:
        """Apply the next entry of this card; raise TrancheError when it cannot be explained."""
        if entry.sequence <= self.sequence:
            raise _error(entry, "tranche.sequence")
        transfer = entry.transfer
        moved = entry.status == CreateTransferStatus.CREATED
        if moved and transfer.amount and not transfer.flags & _NO_MONEY_MOVED:
            if transfer.credit_account_id == self.account_id:
                self._credit(entry)
            elif transfer.debit_account_id == self.account_id:
                self._debit(entry)
            else:
                raise _error(entry, "tranche.account")
        self.sequence = entry.sequence

    def apply_all(self, entries: Iterable[Entry]) -> None:
        """Apply entries in order."""
        for entry in entries:
            self.apply(entry)

    def _credit(self, entry: Entry) -> None:
        transfer = entry.transfer
        if transfer.code == TransferCode.DISBURSEMENT:
            data = tranche_data(transfer.user_data_64)
            self._tranches[transfer.id] = (data, entry)
            self._left[transfer.id] = transfer.amount
            self._order.append(transfer.id)
            self._order.sort(key=self._rank)
        elif transfer.code in _COMPENSATIONS:
            self._restore(entry)
        else:
            raise _error(entry, "tranche.credit")

    def _debit(self, entry: Entry) -> None:
        transfer, code = entry.transfer, entry.transfer.code
        if code in _SALES:
            shares = self._take(entry)
        elif code == TransferCode.SWEEP:
            named = transfer.user_data_128
            if self._left.get(named, 0) < transfer.amount:
                raise _error(entry, "tranche.sweep")
            shares = [Share(named, transfer.amount)]
        elif code == TransferCode.RESTORATION:
            if self._given_back.get(transfer.user_data_128, 0) < transfer.amount:
                raise _error(entry, "tranche.restoration")
            shares = self._take(entry)
        else:
            raise _error(entry, "tranche.debit")
        for tranche_id, amount_sen in shares:
            self._left[tranche_id] -= amount_sen
        if code == TransferCode.RESTORATION:
            # The sale stands again: a later compensation names the sale, not this record.
            self._shares[transfer.user_data_128].extend(shares)
            self._given_back[transfer.user_data_128] -= transfer.amount
            return
        self._shares[transfer.id] = shares
        if transfer.flags & TransferFlags.POST_PENDING_TRANSFER:
            # A compensation may name the hold or its posting; both stand for one list.
            self._shares[transfer.pending_id] = shares

    def _take(self, entry: Entry) -> list[Share]:
        wanted, left = entry.transfer.amount, self._left
        shares = []
        for tranche_id in self._order:
            there = left[tranche_id]
            if there >= wanted:
                shares.append(Share(tranche_id, wanted))
                return shares
            if there:
                shares.append(Share(tranche_id, there))
                wanted -= there
        raise _error(entry, "tranche.short")

    def _restore(self, entry: Entry) -> None:
        """Give back to the tranches of the original, the last taken first."""
        shares = self._shares.get(entry.transfer.user_data_128)
        wanted = entry.transfer.amount
        if shares is None or sum(share.amount_sen for share in shares) < wanted:
            raise _error(entry, "tranche.original")
        original = entry.transfer.user_data_128
        self._given_back[original] = self._given_back.get(original, 0) + wanted
        while wanted:
            tranche_id, taken = shares.pop()
            part = min(wanted, taken)
            self._left[tranche_id] += part
            wanted -= part
            if taken > part:
                shares.append(Share(tranche_id, taken - part))

    def _rank(self, tranche_id: int) -> tuple[date, str, int]:
        data, entry = self._tranches[tranche_id]
        return data.expires_on or date.max, data.period, entry.sequence

    def _tranche(self, tranche_id: int) -> Tranche:
        data, entry = self._tranches[tranche_id]
        return Tranche(
            tranche_id=tranche_id,
            period=data.period,
            source=data.source,
            budget_year=data.budget_year,
            decree_number=entry.transfer.user_data_32,
            expires_on=data.expires_on,
            sequence=entry.sequence,
            amount_sen=entry.transfer.amount,
            left_sen=self._left[tranche_id],
        )


class TrancheBook:
    """The folds of many cards, kept up with the ledger; the longest unused is forgotten first."""

    def __init__(self, ledger: Ledger, *, cards_max: int = TRANCHE_CACHE_CARDS_MAX) -> None:
        """Work on an open ledger."""
        self._ledger = ledger
        self._cards_max = cards_max
        self._folds: OrderedDict[int, TrancheFold] = OrderedDict()

    def fold(self, account_id: int) -> TrancheFold:
        """Give a card's fold as of the durable state; raise TrancheError."""
        fold = self._folds.pop(account_id, None) or TrancheFold(account_id)
        while True:
            page = self._ledger.statement(
                StatementFilter(
                    account_id=account_id, cursor=fold.sequence, limit=STATEMENT_ROWS_MAX
                )
            )
            fold.apply_all(page)
            if len(page) < STATEMENT_ROWS_MAX:
                break
        self._folds[account_id] = fold
        if len(self._folds) > self._cards_max:
            self._folds.popitem(last=False)
        return fold

    def months_left(self, account_id: int) -> list[MonthLeft]:
        """Give a card's months with money left, oldest first."""
        return self.fold(account_id).months_left()


def sweep_transfer(
    tranche: Tranche,
    *,
    account_id: int,
    parent_giro: int,
    purse: int,
    sweep_id: int,
    reason_bits: int = 0,
) -> Transfer:
    """Give the transfer that takes back what is left of a tranche; it names its tranche.

    `sweep_id` is `protocols.ids.sweep_id(tranche.tranche_id, business_date)`; `reason_bits` say
    why and on which day (`programme.left_over.SweepData`).
    """
    assert tranche.left_sen > 0
    return Transfer(
        id=sweep_id,
        debit_account_id=account_id,
        credit_account_id=parent_giro,
        amount=tranche.left_sen,
        ledger=purse,
        code=TransferCode.SWEEP,
        user_data_128=tranche.tranche_id,
        user_data_64=reason_bits,
        user_data_32=tranche.decree_number,
    )


def _error(entry: Entry, key: str) -> TrancheError:
    code = int(entry.transfer.code)
    inside = f"entry {entry.sequence}, transfer {entry.transfer.id:032x}, code {code}: {key}"
    return TrancheError.of(key, internal=inside, entry=entry.sequence, code=code)
