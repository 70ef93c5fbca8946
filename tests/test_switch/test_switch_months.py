"""The months of a card are kept up by what the switch posts, and by the ledger where others did."""

import pytest

from ledger.structures import Transfer
from programme.chart import TransferCode
from switch.limits import FOLDED_DEBITS_KEPT
from switch.months import MonthBook

CARD = 1_001


@pytest.fixture
def book(world) -> MonthBook:
    shop = world.add_shop(17)
    assert shop
    world.add_card(1, 30_000_000)
    return MonthBook(world.ledger)


def sell(world, number: int, amount_sen: int):
    sale = Transfer(
        id=number, debit_account_id=CARD, credit_account_id=5_017, amount=amount_sen, ledger=1,
        code=TransferCode.PURCHASE,
    )  # fmt: skip
    assert world.ledger.create_transfers([sale])[0].status.name == "CREATED"
    return world.ledger.lookup_entries([number])[0]


def left(months: MonthBook) -> int:
    return sum(month.left_sen for month in months.months(CARD, None))


def test_months_of_records_that_were_shown_need_no_statement(world, book, monkeypatch) -> None:
    assert left(book) == 30_000_000
    entry = sell(world, 77, 100_000)
    book.follow([entry])
    monkeypatch.setattr(type(world.ledger), "statement", lambda *_: pytest.fail("read again"))
    assert left(book) == 29_900_000
    book.follow([sell(world, 79, 1), sell(world, 78, 2), entry])
    assert left(book) == 29_899_997


def test_months_of_a_record_that_nobody_showed_are_read_from_the_ledger(world, book) -> None:
    assert left(book) == 30_000_000
    sell(world, 77, 100_000)
    book.follow([sell(world, 78, 1)])
    assert left(book) == 29_899_999
    world.fund(CARD, "2026-02", 500_000)
    book.follow([])
    assert left(book) == 30_399_999


def test_debits_of_long_ago_are_forgotten_and_still_undone_in_the_right_month(world, book) -> None:
    world.fund(CARD, "2026-02", 500_000)
    assert left(book) == 30_500_000
    book.follow([sell(world, 1_000, 30_000_000)])
    for number in range(1_001, 1_001 + 5 * FOLDED_DEBITS_KEPT):
        book.follow([sell(world, number, 100)])
    _, fold = book._folds[CARD]
    assert not fold.allocation(1_000)
    assert len(fold._shares) <= 2 * FOLDED_DEBITS_KEPT
    undone = Transfer(
        id=5_000, debit_account_id=5_017, credit_account_id=CARD, amount=30_000_000, ledger=1,
        code=TransferCode.REFUND, user_data_128=1_000,
    )  # fmt: skip
    for shown in (True, False):
        before = book if shown else MonthBook(world.ledger)
        if shown:
            assert world.ledger.create_transfers([undone])[0].status.name == "CREATED"
            before.follow(world.ledger.lookup_entries([5_000]))
        months = {month.period: month.left_sen for month in before.months(CARD, None)}
        assert months == {"2026-01": 30_000_000, "2026-02": 500_000 - 500 * FOLDED_DEBITS_KEPT}
