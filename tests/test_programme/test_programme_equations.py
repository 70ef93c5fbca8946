"""The equations of the books: each holds after honest work, and each is broken once to see it."""

from dataclasses import replace

import pytest

from ledger.port import StatementFilter
from ledger.structures import Account, Transfer
from programme.accounts import chart_of
from programme.chart import TransferCode
from programme.disbursement import disburse
from programme.equations import Slip, check_equations
from programme.registry import MerchantKind, MerchantRequest
from protocols.ids import compensation_id

MONTH_SEN = 30_000_000


class Books:
    """A small programme with money on its cards and a shop to spend it at."""

    def __init__(self, ledger, registry, actors, decree, cards) -> None:
        request = MerchantRequest(
            merchant_id="EWSMDPLR0000001",
            name="E-Warong Berkah",
            kind=MerchantKind.MICRO,
            district="Palaran",
            village="Bukuan",
            category="5411",
            designated=True,
        )
        registry.shops.add_merchants([request], actors.bank)
        for period in ("2025-12", "2026-01"):
            disburse(ledger, registry, decree, period, MONTH_SEN, actors.dinsos, actors.checker)
        self.ledger, self.registry, self.decree = ledger, registry, decree
        self.cards = [card.account_id for card in cards]
        self.chart = chart_of(registry, 1)
        self.payable = self.chart.payables[1]
        self._next = 5000

    def post(self, code, debit, credit, amount, **fields):
        self._next += 1
        transfer_id = fields.pop("id", self._next)
        transfer = Transfer(
            id=transfer_id,
            debit_account_id=debit,
            credit_account_id=credit,
            amount=amount,
            ledger=1,
            code=code,
            **fields,
        )
        assert self.ledger.create_transfers([transfer])[0].status.name == "CREATED"
        return transfer_id

    def sale(self, card, amount):
        return self.post(TransferCode.PURCHASE, self.cards[card], self.payable, amount)

    def undo(self, card, original, ordinal, amount, code=TransferCode.REVERSAL):
        return self.post(
            code,
            self.payable,
            self.cards[card],
            amount,
            id=compensation_id(original, ordinal),
            user_data_128=original,
        )

    def broken(self, slips=None):
        found = check_equations(self.ledger, self.registry, slips)
        return [equation.name for equation in found if not equation.holds]


@pytest.fixture
def books(ledger, registry, actors, determined):
    decree, cards = determined(3)
    return Books(ledger, registry, actors, decree, cards)


def test_equations_hold_after_sales_voids_refunds_and_a_payout(books):
    kept = books.sale(0, 14_150_000)
    voided = books.sale(1, 50_000_000)
    part = books.sale(2, 20_000_000)
    books.undo(1, voided, 0, 50_000_000, TransferCode.VOID)
    books.undo(2, part, 0, 5_000_000, TransferCode.REFUND)
    books.post(TransferCode.MERCHANT_PAYOUT, books.payable, books.chart.clearing, 10_000_000)
    slips = [Slip(kept, 14_150_000), Slip(part, 15_000_000)]
    assert books.broken(slips) == []
    names = [equation.name for equation in check_equations(books.ledger, books.registry, slips)]
    assert names == [
        "all accounts: debits = credits",
        "purse 1: cards + payables + clearing + parent giro + suspense = funding",
        "purse 1: the ledger's accounts are the registry's",
        "purse 1: tranches left = card balance, each card",
        f"decree {books.decree}, 2025-12: total = credits + held",
        f"decree {books.decree}, 2026-01: total = credits + held",
        "slips = postings",
    ]


def test_equations_hold_when_a_void_was_itself_undone(books):
    sale = books.sale(0, 40_000_000)
    books.undo(0, sale, 0, 40_000_000, TransferCode.VOID)
    assert books.broken([]) == []
    books.post(
        TransferCode.RESTORATION, books.cards[0], books.payable, 40_000_000, user_data_128=sale
    )
    assert books.broken([Slip(sale, 40_000_000)]) == []
    assert books.broken([]) == ["slips = postings"]


def test_figures_are_those_of_the_ledger(books):
    books.sale(0, 14_150_000)
    by_name = {e.name: e for e in check_equations(books.ledger, books.registry)}
    tranches = by_name["purse 1: tranches left = card balance, each card"]
    assert tranches.left_sen == tranches.right_sen == 6 * MONTH_SEN - 14_150_000
    funding = by_name["purse 1: cards + payables + clearing + parent giro + suspense = funding"]
    assert funding.left_sen == 6 * MONTH_SEN
    assert "merchant payable 14150000" in funding.detail


def test_money_from_nowhere_on_a_card_breaks_the_tranches(books):
    books.post(TransferCode.REFUND, books.payable, books.cards[0], 100, user_data_128=4711)
    assert "purse 1: tranches left = card balance, each card" in books.broken()


def test_payout_straight_from_a_card_breaks_the_tranches(books):
    books.post(TransferCode.MERCHANT_PAYOUT, books.cards[0], books.chart.clearing, 100)
    assert books.broken() == ["purse 1: tranches left = card balance, each card"]


def test_credit_beside_the_decree_breaks_its_total(books):
    tranche = books.ledger.statement(_first_entry(books))[0].transfer
    books.post(
        TransferCode.DISBURSEMENT,
        books.chart.funding,
        books.cards[0],
        100,
        user_data_64=tranche.user_data_64,
        user_data_32=tranche.user_data_32,
    )
    assert books.broken() == [f"decree {books.decree}, 2025-12: total = credits + held"]


def _first_entry(books):

    return StatementFilter(account_id=books.cards[0], limit=1)


def test_account_that_the_registry_does_not_know_is_named(books):
    books.ledger.create_accounts([Account(id=99, ledger=1, code=4)])
    books.post(TransferCode.PURCHASE, books.cards[0], 99, 100)
    (broken,) = [e for e in check_equations(books.ledger, books.registry) if not e.holds]
    assert broken.name == "purse 1: the ledger's accounts are the registry's"
    assert broken.left_sen - broken.right_sen == 100
    assert broken.detail.startswith("1 accounts unknown")


class ForgetfulLedger:
    """The real ledger, except that one shop's account lost what it was credited."""

    def __init__(self, ledger, account_id) -> None:
        self._ledger, self._account_id = ledger, account_id

    def __getattr__(self, name):
        return getattr(self._ledger, name)

    def accounts(self):
        for account in self._ledger.accounts():
            lost = account.id == self._account_id
            yield replace(account, credits_posted=0) if lost else account


def test_balance_that_lost_a_posting_breaks_the_sums(books):
    books.sale(0, 100)
    forgetful = ForgetfulLedger(books.ledger, books.payable)
    found = check_equations(forgetful, books.registry)
    broken = {e.name: e.left_sen - e.right_sen for e in found if not e.holds}
    assert broken == {
        "all accounts: debits = credits": 100,
        "purse 1: cards + payables + clearing + parent giro + suspense = funding": -100,
    }


WRONG_SLIPS = [
    lambda sale: [],
    lambda sale: [Slip(sale, 99)],
    lambda sale: [Slip(sale, 100), Slip(4711, 5)],
    lambda sale: [Slip(sale, 100), Slip(sale, 100)],
    lambda sale: [Slip(4711, 100)],
]


def test_slips_that_differ_from_the_postings_are_named(books):
    sale = books.sale(0, 100)
    assert books.broken([Slip(sale, 100)]) == []
    told = [books.broken(slips(sale)) for slips in WRONG_SLIPS]
    assert told == [["slips = postings"]] * len(WRONG_SLIPS)
