"""Refunds by an office: same card, same tranche, once, and never more than the purchase."""

from datetime import date

import pytest

from ledger.structures import Transfer
from programme.accounts import open_purse
from programme.actors import Actor, Agency
from programme.chart import SaleData, TransferCode
from programme.equations import check_equations
from programme.errors import DisbursementError, NotFoundError, ProposalError, RuleError
from programme.refunds import refund, refundable_sen
from programme.tranches import TrancheBook
from programme.two_people import TwoPeople
from protocols.ids import compensation_id

DAY = date(2026, 1, 5)
SECOND = Actor(Agency.BANK, "bank-02")


@pytest.fixture
def two(registry, ledger) -> TwoPeople:
    return TwoPeople(registry, ledger)


@pytest.fixture
def sale(registry, ledger, actors, determined, add_shop, two) -> Transfer:
    """Pay two months to one card and buy for more than the first of them."""
    add_shop(designated=True)
    decree, (card,) = determined(1)
    open_purse(ledger, registry, 1, actors.dinsos)
    for month in ("2025-12", "2026-01"):
        two.disburse_at_once(decree, month, actors.dinsos, actors.checker)
    bought = Transfer(
        id=4711, debit_account_id=card.account_id,
        credit_account_id=registry.merchant("EWSMDPLR0000001").payable_accounts[1],
        amount=35_000_000, ledger=1, code=TransferCode.PURCHASE, user_data_128=9,
        user_data_64=SaleData(1, DAY, 17).pack(), user_data_32=1,
    )  # fmt: skip
    assert ledger.create_transfers([bought])[0].status.name == "CREATED"
    return bought


def _left(ledger, sale):
    fold = TrancheBook(ledger).fold(sale.debit_account_id)
    return {tranche.period: tranche.left_sen for tranche in fold.tranches()}


def test_refund_of_two_people_goes_back_to_the_tranche_that_was_taken_last(
    registry, ledger, actors, sale, two
):
    assert _left(ledger, sale) == {"2025-12": 0, "2026-01": 25_000_000}
    made = two.propose_refund(sale.id, 10_000_000, "barang rusak", actors.bank)
    assert made.terms["sale"] == f"{4711:032x}"
    two.approve(made.number, SECOND)
    done, result = two.carry_out(made.number)
    assert done.outcome == {"refund": f"{result.refund_id:032x}", "amount_sen": 10_000_000}
    assert _left(ledger, sale) == {"2025-12": 5_000_000, "2026-01": 30_000_000}
    assert refundable_sen(ledger, sale.id) == 25_000_000
    assert all(equation.holds for equation in check_equations(ledger, registry))


def test_same_reference_again_posts_nothing_and_another_takes_the_next_ordinal(ledger, sale):
    first = refund(ledger, sale.id, 5_000_000, DAY, 1)
    sequence = ledger.last_sequence
    assert refund(ledger, sale.id, 5_000_000, DAY, 1) == first
    assert ledger.last_sequence == sequence
    second = refund(ledger, sale.id, 5_000_000, DAY, 2)
    assert (first.refund_id, second.refund_id) == (
        compensation_id(sale.id, 0), compensation_id(sale.id, 1),
    )  # fmt: skip


def test_lost_race_for_an_ordinal_is_looked_at_again(ledger, sale):
    raced = []

    def post(transfers):
        if not raced:
            (ours,) = transfers
            theirs = Transfer(
                id=ours.id, debit_account_id=ours.debit_account_id,
                credit_account_id=ours.credit_account_id, amount=1_000_000, ledger=1,
                code=TransferCode.REFUND, user_data_128=sale.id,
                user_data_64=SaleData(0, DAY, 18).pack(), user_data_32=1,
            )  # fmt: skip
            raced.append(ledger.create_transfers([theirs]))
        return ledger.create_transfers(transfers)

    result = refund(ledger, sale.id, 34_000_000, DAY, 1, post=post)
    assert result.refund_id == compensation_id(sale.id, 1)
    assert refundable_sen(ledger, sale.id) == 0


def test_more_than_is_left_no_purchase_and_one_person_post_nothing(
    registry, ledger, actors, sale, two
):
    before = ledger.last_sequence, registry.version
    for amount in (0, -1, sale.amount + 1):
        with pytest.raises(RuleError, match="at most Rp350000"):
            refund(ledger, sale.id, amount, DAY, 1)
        with pytest.raises(ProposalError, match="at most Rp350000"):
            two.propose_refund(sale.id, amount, "x", actors.bank)
    for wrong in (1, compensation_id(sale.id, 0)):
        with pytest.raises(NotFoundError):
            refund(ledger, wrong, 100, DAY, 1)
    assert (ledger.last_sequence, registry.version) == before
    made = two.propose_refund(sale.id, 100, "x", actors.bank)
    with pytest.raises(ProposalError, match="same person"):
        two.approve(made.number, actors.bank)
    assert ledger.last_sequence == before[0]


def test_credit_is_no_purchase_and_a_refusing_ledger_is_named(ledger, actors, sale):
    paid = [e.transfer.id for e in ledger.entries() if e.transfer.code == 2]
    with pytest.raises(NotFoundError, match="no purchase"):
        refund(ledger, paid[0], 100, DAY, 1)

    class Refusing:
        class Answer:
            class status:  # noqa: N801 - stands for an enum's member
                name = "CREDIT_ACCOUNT_CLOSED"

    with pytest.raises(DisbursementError, match="CREDIT_ACCOUNT_CLOSED"):
        refund(ledger, sale.id, 100, DAY, 1, post=lambda _transfers: [Refusing.Answer])
