"""Follows the ledger record by record, and checks after every event what may never be, ever.

It has its own sums. A record that was once seen never changes and never goes.
"""

from collections import Counter

from ledger.port import Entry, Ledger
from ledger.statuses import CreateTransferStatus
from programme.chart import SaleData, TransferCode
from programme.tranches import TrancheFold

SALES = frozenset({TransferCode.PURCHASE, TransferCode.OUTAGE_SALE})
COMPENSATIONS = frozenset({TransferCode.REVERSAL, TransferCode.VOID, TransferCode.REFUND})


class Follower:
    """What the ledger has shown so far."""

    def __init__(self, cards: frozenset[int]) -> None:
        """Begin before the first record; `cards` are the accounts whose months are folded."""
        self.last_sequence = 0
        self.facts: dict[int, tuple[int, CreateTransferStatus]] = {}
        self.left: dict[int, int] = {}
        self.sold: dict[int, int] = {}
        self.reversals: Counter[int] = Counter()
        self._atcs: set[tuple[int, int, int]] = set()
        self._folds = {card: TrancheFold(card) for card in cards}
        self._balances: Counter[int] = Counter()

    def follow(self, ledger: Ledger) -> None:
        """Take the new records in; raise AssertionError for what may not be."""
        assert ledger.last_sequence >= self.last_sequence, "records that were seen are gone"
        if ledger.last_sequence == self.last_sequence:
            return
        touched = set()
        for entry in ledger.entries(self.last_sequence):
            self._take(entry)
            if entry.status == CreateTransferStatus.CREATED:
                self._balances[entry.transfer.debit_account_id] -= entry.transfer.amount
                self._balances[entry.transfer.credit_account_id] += entry.transfer.amount
                touched |= {entry.transfer.debit_account_id, entry.transfer.credit_account_id}
            for account in (entry.transfer.debit_account_id, entry.transfer.credit_account_id):
                if account in self._folds:
                    self._folds[account].apply(entry)
        self.last_sequence = ledger.last_sequence
        self._compare(ledger, sorted(touched))

    def _compare(self, ledger: Ledger, numbers: list[int]) -> None:
        """Compare the accounts that moved with sums of our own: no money is made or lost."""
        for number, account in zip(numbers, ledger.lookup_accounts(numbers), strict=True):
            assert account is not None, "money moved on an account that is none"
            assert account.credit_balance == self._balances[number], "the sum of its records"
            if number in self._folds:
                assert account.credit_balance >= 0, "a card paid what it had not"
                assert self._folds[number].left_sen == account.credit_balance, "months = balance"
        assert sum(self._balances.values()) == 0

    def check_again(self, ledger: Ledger) -> None:
        """Compare everything with what was seen: after a restart nothing is another."""
        found = {e.sequence: (e.transfer.id, e.status) for e in ledger.entries()}
        for sequence, fact in self.facts.items():
            assert found.get(sequence) == fact, f"record {sequence} is not what it was"

    def _take(self, entry: Entry) -> None:
        transfer = entry.transfer
        self.facts[entry.sequence] = (transfer.id, entry.status)
        if entry.status != CreateTransferStatus.CREATED:
            return
        if transfer.code in SALES:
            data = SaleData.unpack(transfer.user_data_64)
            key = (transfer.debit_account_id, data.card_tag, data.atc)
            assert key not in self._atcs, "a card's counter was taken twice"
            self._atcs.add(key)
            self.sold[transfer.id] = self.left[transfer.id] = transfer.amount
        elif transfer.code in COMPENSATIONS:
            sale = transfer.user_data_128
            self.left[sale] -= transfer.amount
            assert self.left[sale] >= 0, "more was given back than was sold"
            if transfer.code == TransferCode.REVERSAL:
                self.reversals[sale] += transfer.amount
                assert self.reversals[sale] <= self.sold[sale], "a sale was reversed twice"
        elif transfer.code == TransferCode.RESTORATION:
            sale = transfer.user_data_128
            self.left[sale] += transfer.amount
            assert self.left[sale] <= self.sold[sale], "more stands than was sold"
