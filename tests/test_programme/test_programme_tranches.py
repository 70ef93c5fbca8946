"""The fold of tranches: named cases, and random histories against a slow oracle of single coins."""

import re
from dataclasses import dataclass, field
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.port import Entry
from ledger.statuses import CreateTransferStatus
from ledger.structures import Transfer, TransferFlags
from programme.chart import FundSource, TrancheData, TransferCode
from programme.errors import TrancheError
from programme.left_over import due_tranches
from programme.policy import LeftOver, YearEndRule
from programme.tranches import MonthLeft, Share, TrancheFold

CARD, GIRO, SHOP = 77, 1, 2


class History:
    """Writes ledger entries of one card, as the ledger would give them back."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def add(self, code, amount, *, credit=False, status=CreateTransferStatus.CREATED, **fields):
        sides = (GIRO, CARD) if credit else (CARD, SHOP)
        sequence = len(self.entries) + 1
        transfer = Transfer(
            id=fields.pop("transfer_id", 1000 + sequence),
            debit_account_id=sides[0],
            credit_account_id=sides[1],
            amount=amount,
            ledger=1,
            code=code,
            **fields,
        )
        entry = Entry(
            sequence=sequence,
            transfer=transfer,
            status=status,
            debit_balance_after=0,
            credit_balance_after=0,
        )
        self.entries.append(entry)
        return transfer.id

    def month(self, period, amount, expires_on=None):
        data = TrancheData(period, FundSource.APBD, 2026, expires_on).pack()
        return self.add(
            TransferCode.DISBURSEMENT, amount, credit=True, user_data_64=data, user_data_32=5
        )

    def sale(self, amount):
        return self.add(TransferCode.PURCHASE, amount)

    def undo(self, original, amount, code=TransferCode.REVERSAL):
        return self.add(code, amount, credit=True, user_data_128=original)

    def restore(self, sale, amount):
        return self.add(TransferCode.RESTORATION, amount, user_data_128=sale)

    def sweep(self, tranche, amount):
        return self.add(TransferCode.SWEEP, amount, user_data_128=tranche)

    def fold(self) -> TrancheFold:
        fold = TrancheFold(CARD)
        fold.apply_all(self.entries)
        return fold


def test_fold_months_paid_out_of_order_are_spent_oldest_first():
    history = History()
    history.month("2026-02", 300)
    january = history.month("2026-01", 300)
    sale = history.sale(400)
    fold = history.fold()
    assert fold.months_left() == [MonthLeft("2026-02", 200)]
    assert fold.allocation(sale)[0] == Share(january, 300)


def test_fold_tranche_with_an_end_date_is_spent_before_an_older_month_without_one():
    history = History()
    history.month("2026-01", 300)
    history.month("2026-03", 300, date(2026, 6, 30))
    history.sale(100)
    assert history.fold().months_left() == [MonthLeft("2026-01", 300), MonthLeft("2026-03", 200)]


def test_fold_reversal_after_later_sales_restores_what_its_original_took():
    history = History()
    history.month("2026-01", 300)
    history.month("2026-02", 300)
    first = history.sale(250)
    history.sale(200)
    history.undo(first, 250)
    assert history.fold().months_left() == [MonthLeft("2026-01", 250), MonthLeft("2026-02", 150)]


def test_fold_partial_refund_restores_the_month_taken_last():
    history = History()
    history.month("2026-01", 300)
    history.month("2026-02", 300)
    sale = history.sale(400)
    history.undo(sale, 150, TransferCode.REFUND)
    fold = history.fold()
    assert fold.months_left() == [MonthLeft("2026-01", 50), MonthLeft("2026-02", 300)]
    assert [share.amount_sen for share in fold.allocation(sale)] == [250]


def test_fold_undone_void_takes_again_and_can_be_voided_once_more():
    history = History()
    history.month("2026-01", 300)
    history.month("2026-02", 300)
    sale = history.sale(400)
    history.undo(sale, 400, TransferCode.VOID)
    history.restore(sale, 400)
    assert history.fold().months_left() == [MonthLeft("2026-02", 200)]
    history.undo(sale, 400, TransferCode.VOID)
    assert history.fold().left_sen == 600


def test_fold_sweep_takes_only_from_the_tranche_it_names():
    history = History()
    history.month("2026-01", 300)
    february = history.month("2026-02", 300)
    history.sweep(february, 300)
    assert history.fold().months_left() == [MonthLeft("2026-01", 300)]


def test_fold_refused_entries_and_holds_move_nothing_and_a_posted_hold_does():
    history = History()
    history.month("2026-01", 300)
    history.add(TransferCode.PURCHASE, 900, status=CreateTransferStatus.EXCEEDS_CREDITS)
    hold = history.add(TransferCode.PURCHASE, 200, flags=TransferFlags.PENDING)
    assert history.fold().left_sen == 300
    flags = TransferFlags.POST_PENDING_TRANSFER
    history.add(TransferCode.PURCHASE, 150, flags=flags, pending_id=hold)
    assert history.fold().left_sen == 150
    history.undo(hold, 150)
    assert history.fold().left_sen == 300


WITHOUT_A_RULE = [
    lambda h: h.sale(301),
    lambda h: h.undo(4711, 1),
    lambda h: h.undo(h.sale(100), 101),
    lambda h: h.restore(h.sale(100), 1),
    lambda h: h.restore(4711, 1),
    lambda h: h.sweep(4711, 1),
    lambda h: h.sweep(h.entries[0].transfer.id, 301),
    lambda h: h.add(TransferCode.MERCHANT_PAYOUT, 1),
    lambda h: h.add(TransferCode.FUNDING, 1, credit=True),
]


def test_fold_entry_without_a_rule_is_an_error():
    folded = []
    for number, write in enumerate(WITHOUT_A_RULE):
        history = History()
        history.month("2026-01", 300)
        write(history)
        try:
            history.fold()
        except TrancheError as error:
            if re.search(r"ledger entry \d+", str(error)):
                continue
        folded.append(number)
    assert folded == []


def test_fold_same_entry_twice_is_an_error():
    history = History()
    history.month("2026-01", 300)
    fold = history.fold()
    with pytest.raises(TrancheError):
        fold.apply(history.entries[0])
    assert fold.left_sen == 300


@dataclass
class CoinOracle:
    """The same rules told slowly: every sen is a coin with the rank of its month."""

    purse: list[tuple[date, str, int, int]] = field(default_factory=list)
    taken: dict[int, list[tuple[date, str, int, int]]] = field(default_factory=dict)

    def credit(self, tranche, period, expires_on, sequence, amount):
        self.purse += [(expires_on or date.max, period, sequence, tranche)] * amount

    def sale(self, transfer, amount):
        self.purse.sort()
        self.taken[transfer], self.purse = self.purse[:amount], self.purse[amount:]

    def undo(self, original, amount):
        for _coin in range(amount):
            self.purse.append(self.taken[original].pop())

    def restore(self, sale, amount):
        self.purse.sort()
        self.taken[sale] += self.purse[:amount]
        self.purse = self.purse[amount:]

    def sweep(self, tranche, amount):
        for _coin in range(amount):
            self.purse.remove(next(coin for coin in self.purse if coin[3] == tranche))

    def months(self):
        found: dict[str, int] = {}
        for _expiry, period, _sequence, _tranche in self.purse:
            found[period] = found.get(period, 0) + 1
        return [MonthLeft(period, found[period]) for period in sorted(found)]


STEPS = st.lists(
    st.tuples(st.sampled_from("ccsssuurw"), st.integers(0, 30), st.integers(0, 5)), max_size=25
)


@dataclass
class Played:
    """One random history, told to the ledger's entries and to the oracle alike."""

    history: History = field(default_factory=History)
    oracle: CoinOracle = field(default_factory=CoinOracle)
    tranches: list[int] = field(default_factory=list)
    sales: list[int] = field(default_factory=list)
    undone: dict[int, int] = field(default_factory=dict)
    paid_in: int = 0
    paid_out: int = 0

    def step(self, kind, amount, pick):
        if kind == "c" and amount:
            period, expires = f"2026-{pick + 1:02d}", date(2026, 12, 31) if pick % 2 else None
            tranche = self.history.month(period, amount, expires)
            self.oracle.credit(tranche, period, expires, len(self.history.entries), amount)
            self.tranches.append(tranche)
            self.paid_in += amount
        elif kind == "s" and self.oracle.purse:
            amount = min(amount + 1, len(self.oracle.purse))
            self.sales.append(self.history.sale(amount))
            self.oracle.sale(self.sales[-1], amount)
            self.paid_out += amount
        elif kind == "u" and self.sales:
            self._undo(self.sales[pick % len(self.sales)], amount)
        elif kind == "r" and self.undone:
            self._restore(list(self.undone)[pick % len(self.undone)], amount)
        elif kind == "w" and self.tranches:
            self.sweep(self.tranches[pick % len(self.tranches)])

    def _undo(self, sale, amount):
        amount = min(amount, len(self.oracle.taken[sale]))
        if amount:
            self.history.undo(sale, amount)
            self.oracle.undo(sale, amount)
            self.undone[sale] = self.undone.get(sale, 0) + amount
            self.paid_out -= amount

    def _restore(self, sale, amount):
        amount = min(amount, self.undone[sale], len(self.oracle.purse))
        if amount:
            self.history.restore(sale, amount)
            self.oracle.restore(sale, amount)
            self.undone[sale] -= amount
            self.paid_out += amount

    def sweep(self, tranche):
        left = sum(coin[3] == tranche for coin in self.oracle.purse)
        if left:
            self.history.sweep(tranche, left)
            self.oracle.sweep(tranche, left)
            self.paid_out += left

    def check(self):
        fold = self.history.fold()
        assert fold.months_left() == self.oracle.months()
        assert fold.left_sen == self.paid_in - self.paid_out
        assert all(0 <= t.left_sen <= t.amount_sen for t in fold.tranches())


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_fold_any_history_agrees_with_the_oracle_and_conserves_money(steps):
    played = Played()
    for step in steps:
        played.step(*step)
        played.check()


def _coin_is_due(coin, day, rule):
    """Tell the policy slowly, for one coin of budget year 2026."""
    expiry, period = coin[0], coin[1]
    if expiry != date.max and expiry < day:
        return True
    if day >= date(2027, 1, 1) and rule.year_end is not YearEndRule.CARRY_OVER:
        return True
    kept_until = int(period[5:]) + rule.months
    return rule.months > 0 and (day.year - 2026) * 12 + day.month > kept_until


@settings(max_examples=60, deadline=None)
@given(
    STEPS,
    st.lists(st.dates(date(2026, 1, 1), date(2027, 3, 1)), min_size=1, max_size=3),
    st.integers(0, 3),
    st.sampled_from(YearEndRule),
)
def test_sweep_of_any_history_takes_the_due_coins_and_no_other(steps, days, months, year_end):
    """Refunds after a sweep restore what they took; the next sweep takes that again."""
    played, rule = Played(), LeftOver(months=months, year_end=year_end)
    for number, day in enumerate(sorted(days)):
        for step in steps[number :: len(days)]:
            played.step(*step)
        kept = sorted(coin for coin in played.oracle.purse if not _coin_is_due(coin, day, rule))
        for tranche, _reason in due_tranches(played.history.fold(), day, rule):
            assert tranche.left_sen == sum(c[3] == tranche.tranche_id for c in played.oracle.purse)
            played.sweep(tranche.tranche_id)
        assert sorted(played.oracle.purse) == kept
        played.check()
        assert list(due_tranches(played.history.fold(), day, rule)) == []
