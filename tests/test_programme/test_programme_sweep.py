"""Sweeps by policy and releases by decree: right tranche, right day, never twice, resumable."""

import random
from dataclasses import replace
from datetime import date, timedelta
from types import SimpleNamespace

import pytest

from ledger.structures import Transfer
from programme.actors import Actor, Agency
from programme.chart import FundSource, SaleData, TransferCode
from programme.decree import import_decree, read_decree
from programme.disbursement import disburse
from programme.equations import check_equations
from programme.errors import DisbursementError, RuleError
from programme.left_over import SweepReason, due
from programme.policy import LeftOver, YearEndRule, policy
from programme.registry import DecreeState
from programme.registry_port import BlockReason
from programme.reports import build_report
from programme.sweep import held_amounts, plan_sweep, release, sweep
from programme.tranches import MonthLeft, Tranche, TrancheBook
from protocols.ids import compensation_id
from protocols.values import Pan

MONTH_SEN = 30_000_000
HOLD = LeftOver(months=0, year_end=YearEndRule.HOLD)
NEW_YEAR = date(2027, 1, 1)


class KilledError(Exception):
    """Stands for the process dying."""


@pytest.fixture
def paid(ledger, registry, actors, determined, add_shop):
    """Give cards of a decree of budget year 2026 with two months on them."""

    def maker(count, *, periods=("2025-12", "2026-01"), **changes):
        add_shop(designated=True)
        decree, cards = determined(count)
        for period in periods:
            disburse(
                ledger, registry, decree, period, None, actors.dinsos, actors.checker, **changes
            )
        return decree, cards

    return maker


@pytest.fixture
def run(ledger, registry, actors):
    def runner(day=NEW_YEAR, rule=HOLD, **changes):
        return sweep(ledger, registry, 1, day, actors.dinsos, actors.checker, rule=rule, **changes)

    return runner


@pytest.fixture
def buy(ledger, registry):
    def buyer(card, amount_sen, transfer_id):
        shop = next(iter(registry.all_merchants()))
        sale = Transfer(
            id=transfer_id, debit_account_id=card.account_id,
            credit_account_id=shop.payable_accounts[1], amount=amount_sen, ledger=1,
            code=TransferCode.PURCHASE,
            user_data_64=SaleData(1, date(2026, 1, 5), 1).pack(),
        )  # fmt: skip
        assert ledger.create_transfers([sale])[0].status.name == "CREATED"
        return sale

    return buyer


def _assert_equations(ledger, registry):
    assert [e for e in check_equations(ledger, registry) if not e.holds] == []


def _balances(ledger, cards):
    return [a.credit_balance for a in ledger.lookup_accounts([c.account_id for c in cards])]


def _tranche(**changes):
    given = {
        "tranche_id": 9, "period": "2026-01", "source": FundSource.APBD, "budget_year": 2026,
        "decree_number": 1, "expires_on": None, "sequence": 1, "amount_sen": 5, "left_sen": 5,
    }  # fmt: skip
    return Tranche(**{**given, **changes})


#: tranche, day, months, rule at year end -> reason
DUE = [
    ({}, "2026-12-31", 0, "hold", None),
    ({}, "2027-01-01", 0, "hold", SweepReason.YEAR_HELD),
    ({}, "2027-01-01", 0, "return", SweepReason.YEAR_RETURNED),
    ({}, "2027-01-01", 0, "carry over", None),
    ({}, "2026-04-30", 3, "hold", None),
    ({}, "2026-05-01", 3, "hold", SweepReason.MONTHS_PASSED),
    ({"period": "2025-12"}, "2026-02-01", 1, "hold", SweepReason.MONTHS_PASSED),
    ({"budget_year": 2025}, "2026-01-01", 0, "hold", SweepReason.YEAR_HELD),
    ({"expires_on": date(2026, 6, 30)}, "2026-06-30", 0, "hold", None),
    ({"expires_on": date(2026, 6, 30)}, "2026-07-01", 0, "carry over", SweepReason.END_DATE),
    ({"expires_on": date(2026, 6, 30)}, "2027-07-01", 0, "hold", SweepReason.END_DATE),
]


def test_due_follows_the_policy_on_the_day_and_not_the_day_before():
    wrong = []
    for changes, day, months, rule, reason in DUE:
        policy_ = LeftOver(months=months, year_end=YearEndRule(rule))
        found = due(_tranche(**changes), date.fromisoformat(day), policy_)
        if found is not reason:
            wrong.append((changes, day, months, rule, found))
    assert wrong == []


def test_policy_in_force_rolls_over_within_the_year_and_holds_at_its_end():
    assert policy().left_over == HOLD


def test_year_close_takes_what_is_left_and_lists_it_by_tranche(
    ledger, registry, actors, paid, run, buy
):
    _decree, cards = paid(3)
    buy(cards[0], MONTH_SEN + 5_000_000, 71)
    buy(cards[1], 2 * MONTH_SEN, 72)
    assert run(date(2026, 12, 31)).swept == ()
    planned = plan_sweep(ledger, registry, 1, NEW_YEAR, HOLD)
    result = run()
    assert list(result.swept) == planned
    assert [(s.period, s.amount_sen) for s in result.swept] == [
        ("2026-01", MONTH_SEN - 5_000_000), ("2025-12", MONTH_SEN), ("2026-01", MONTH_SEN),
    ]  # fmt: skip
    assert _balances(ledger, cards) == [0, 0, 0]
    held = held_amounts(ledger, 1)
    assert [h.amount_sen for h in held] == [s.amount_sen for s in result.swept]
    assert {(h.budget_year, h.swept_on) for h in held} == {(2026, NEW_YEAR)}
    (newest,) = registry.trail.tail(1)
    assert (newest.person, newest.subject, newest.number) == ("staf-02", "purse", 1)
    assert (newest.agency, newest.action) == (actors.dinsos.agency.value, "swept")
    _assert_equations(ledger, registry)


def test_sweep_again_takes_nothing_and_writes_nothing(ledger, registry, paid, run):
    paid(2)
    run()
    before = ledger.last_sequence, registry.version
    assert run().swept == ()
    assert run(date(2027, 2, 1)).swept == ()
    assert (ledger.last_sequence, registry.version) == before


def _posting(post):
    """Give a turn whose ledger posts by `post`."""
    return lambda _ledger, work: work(SimpleNamespace(create_transfers=post))


def test_sweep_killed_anywhere_and_resumed_takes_each_tranche_once(
    ledger, registry, paid, run, monkeypatch
):
    monkeypatch.setattr("programme.sweep.SWEEP_CARDS_MAX", 3)
    _decree, cards = paid(8)
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    deaths = [rng.random() < 0.5 for _ in range(5)]

    def dying(transfers):
        after = deaths.pop()
        if after:
            ledger.create_transfers(transfers)
        raise KilledError

    while deaths:
        try:
            run(turn=_posting(dying))
        except KilledError:
            continue
        break  # each group was posted before its death: nothing was left to die of
    run()
    assert _balances(ledger, cards) == [0] * 8, f"seed {seed}"
    held = held_amounts(ledger, 1)
    assert sum(item.amount_sen for item in held) == 16 * MONTH_SEN, f"seed {seed}"
    assert len({(item.account_id, item.period) for item in held}) == len(held) == 16, f"seed {seed}"
    _assert_equations(ledger, registry)


def test_groups_are_bounded(ledger, paid, run, monkeypatch):
    monkeypatch.setattr("programme.sweep.DISBURSEMENT_GROUP_MAX", 3)
    monkeypatch.setattr("programme.sweep.SWEEP_CARDS_MAX", 3)
    paid(4)
    sizes = []

    def post(transfers):
        sizes.append(len(transfers))
        return ledger.create_transfers(transfers)

    run(turn=_posting(post))
    assert sizes == [3, 3, 2]


def test_purchase_between_look_and_turn_is_not_swept_away(ledger, registry, paid, run, buy):
    _decree, cards = paid(2)
    spent = iter([(cards[0], 71), (cards[1], 72)])

    def turn(writer, work):
        for card, number in spent:
            buy(card, 10_000_000, number)
        return work(writer)

    result = run(turn=turn)
    assert result.swept_sen == 2 * (2 * MONTH_SEN - 10_000_000)
    assert _balances(ledger, cards) == [0, 0]
    _assert_equations(ledger, registry)


def test_refund_after_the_sweep_is_taken_the_next_day_and_not_twice(
    ledger, registry, paid, run, buy
):
    _decree, (card,) = paid(1, periods=("2026-01",))
    sale = buy(card, 10_000_000, 71)
    run()
    refund = replace(
        sale, id=72, debit_account_id=sale.credit_account_id, credit_account_id=card.account_id,
        code=TransferCode.REFUND, user_data_128=71,
    )  # fmt: skip
    assert ledger.create_transfers([refund])[0].status.name == "CREATED"
    assert TrancheBook(ledger).months_left(card.account_id) == [MonthLeft("2026-01", 10_000_000)]
    same_day = run()
    assert [name for _item, name in same_day.refused] == ["EXISTS_WITH_DIFFERENT_AMOUNT"]
    assert run(date(2027, 1, 2)).swept_sen == 10_000_000
    assert _balances(ledger, [card]) == [0]
    _assert_equations(ledger, registry)


def test_end_date_takes_only_its_own_tranche(ledger, registry, actors, paid, run):
    decree, (card,) = paid(1, periods=("2025-12",), expires_on=date(2026, 3, 31))
    disburse(ledger, registry, decree, "2026-01", None, actors.dinsos, actors.checker)
    assert run(date(2026, 3, 31)).swept == ()
    (taken,) = run(date(2026, 4, 1)).swept
    assert (taken.period, taken.reason) == ("2025-12", SweepReason.END_DATE)
    assert TrancheBook(ledger).months_left(card.account_id) == [MonthLeft("2026-01", MONTH_SEN)]
    assert held_amounts(ledger, 1) == []


@pytest.fixture
def next_decree(registry, actors, tmp_path, decree_text):
    """Determine a decree of budget year 2027 for the same people."""

    def maker(count):
        path = tmp_path / "next.csv"
        text = decree_text(count, name="460/0002/HK/2026")
        path.write_text(text.replace("anggaran: 2026", "anggaran: 2027"), "utf-8")
        number = import_decree(registry, read_decree(path), actors.diskominfo).decree.decree_number
        registry.decrees.move(number, DecreeState.VERIFICATION, actors.dinsos)
        registry.decrees.move(number, DecreeState.VALIDATION, actors.dinsos)
        registry.decrees.move(number, DecreeState.DETERMINATION, actors.mayor)
        return number

    return maker


def test_release_gives_held_money_back_once_as_money_of_the_new_year(
    ledger, registry, actors, paid, run, buy, next_decree
):
    _decree, cards = paid(4)
    buy(cards[0], 5_000_000, 71)
    run()
    registry.block_card(cards[1].card_number, BlockReason.DECEASED, actors.dinsos)
    number = next_decree(3)
    ids = [compensation_id(item.sweep_id, 0) for item in held_amounts(ledger, 1)]
    result = release(ledger, registry, number, 2026, actors.dinsos, actors.checker)
    assert (result.released_count, result.released_sen) == (4, 4 * MONTH_SEN - 5_000_000)
    assert {i.account_id for i in result.still_held} == {cards[n].account_id for n in (1, 3)}
    assert _balances(ledger, cards) == [2 * MONTH_SEN - 5_000_000, 0, 2 * MONTH_SEN, 0]
    first = TrancheBook(ledger).fold(cards[0].account_id).tranches()
    assert [(t.period, t.budget_year, t.left_sen) for t in first if t.left_sen] == [
        ("2025-12", 2027, MONTH_SEN - 5_000_000), ("2026-01", 2027, MONTH_SEN),
    ]  # fmt: skip
    assert sum(transfer is not None for transfer in ledger.lookup_transfers(ids)) == 4
    before = ledger.last_sequence
    again = release(ledger, registry, number, 2026, actors.dinsos, actors.checker)
    assert (again.released_count, ledger.last_sequence) == (0, before)
    assert run().swept == ()
    assert run(date(2028, 1, 1)).swept_sen == result.released_sen
    _assert_equations(ledger, registry)


def test_semester_report_counts_a_release_of_what_an_earlier_semester_swept(
    ledger, registry, actors, paid, next_decree, clock
):
    paid(1)
    clock.move(days=370)
    swept = sweep(ledger, registry, 1, NEW_YEAR, actors.dinsos, actors.checker, rule=HOLD)
    clock.move(days=190)
    release(ledger, registry, next_decree(1), 2026, actors.dinsos, actors.checker)
    report = build_report("semester", ledger, registry, date(2027, 12, 31))
    assert (report.total("released"), report.total("credited")) == (swept.swept_sen, 0)
    assert (report.total("opening"), report.total("closing")) == (0, swept.swept_sen)


def test_replacement_card_gets_the_release(
    ledger, registry, actors, paid, run, next_decree, replace_card
):
    _decree, (card,) = paid(1)
    run()
    replace_card(card.card_number, "9360099900000099")
    number = next_decree(1)
    result = release(ledger, registry, number, 2026, actors.dinsos, actors.checker)
    assert result.released_sen == 2 * MONTH_SEN
    assert registry.card_by_pan(Pan("9360099900000099")).account_id == card.account_id
    assert _balances(ledger, [card]) == [2 * MONTH_SEN]


def test_returned_money_is_not_on_the_list(ledger, paid, run):
    paid(1)
    run(rule=LeftOver(months=0, year_end=YearEndRule.RETURN))
    assert held_amounts(ledger, 1) == []


def test_release_and_sweep_against_the_rules_post_nothing(ledger, registry, actors, paid, run):
    decree, _cards = paid(1)
    before = ledger.last_sequence, registry.version
    same = Actor(Agency.BANK, "STAF-02")
    for maker, checker, text in [
        (actors.dinsos, same, "same person"),
        (actors.diskominfo, actors.checker, r"may not do `\w+.propose`"),
        (actors.dinsos, actors.shop, r"may not do `\w+.approve`"),
    ]:
        with pytest.raises(RuleError, match=text):
            sweep(ledger, registry, 1, NEW_YEAR, maker, checker, rule=HOLD)
        with pytest.raises(RuleError, match=text):
            release(ledger, registry, decree, 2025, maker, checker)
    with pytest.raises(DisbursementError, match="of a later year"):
        release(ledger, registry, decree, 2026, actors.dinsos, actors.checker)
    assert (ledger.last_sequence, registry.version) == before


@pytest.mark.slow
@pytest.mark.parametrize("run", range(3))
def test_random_year_of_sales_refunds_sweeps_and_releases_keeps_every_equation(
    ledger, registry, actors, paid, buy, next_decree, run
):
    """The fold, the ledger's balances and the equations agree after every day."""
    del run  # each run draws a seed of its own
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    decree, cards = paid(4, periods=("2025-11",), expires_on=date(2026, 2, 28))
    rule = LeftOver(months=rng.randrange(4), year_end=YearEndRule.HOLD)
    sales, day, taken = [], date(2026, 1, 1), 0
    for month in ("2025-12", "2026-01", "2026-02", "2026-03"):
        disburse(ledger, registry, decree, month, None, actors.dinsos, actors.checker)
        for number in range(12):
            card = rng.choice(cards)
            (account,) = ledger.lookup_accounts([card.account_id])
            if account.credit_balance and rng.random() < 0.7:
                amount = rng.randrange(1, account.credit_balance + 1)
                sales.append([buy(card, amount, 1000 + len(sales)), amount])
            elif sales:
                picked = rng.choice(sales)
                sale, left = picked
                back = rng.randrange(left + 1)
                undo = replace(
                    sale, id=rng.randrange(1 << 64, 1 << 100), amount=back,
                    debit_account_id=sale.credit_account_id,
                    credit_account_id=sale.debit_account_id,
                    code=TransferCode.REFUND, user_data_128=sale.id,
                )  # fmt: skip
                if back:
                    assert ledger.create_transfers([undo])[0].status.name == "CREATED", seed
                    picked[1] -= back
            if number % 5 == 0:
                day += timedelta(days=rng.randrange(1, 25))
                result = sweep(ledger, registry, 1, day, actors.dinsos, actors.checker, rule=rule)
                assert result.refused == (), seed
                taken += result.swept_sen
        broken = [e for e in check_equations(ledger, registry) if not e.holds]
        assert broken == [], f"seed {seed}"
    taken += sweep(
        ledger, registry, 1, NEW_YEAR, actors.dinsos, actors.checker, rule=rule
    ).swept_sen
    assert _balances(ledger, cards) == [0] * 4, f"seed {seed}"
    spent = sum(left for _sale, left in sales)
    assert taken + spent == 5 * 4 * MONTH_SEN, f"seed {seed}"
    held = sum(item.amount_sen for item in held_amounts(ledger, 1))
    number = next_decree(4)
    released = release(ledger, registry, number, 2026, actors.dinsos, actors.checker)
    assert (released.released_sen, released.still_held) == (held, ()), f"seed {seed}"
    assert sum(_balances(ledger, cards)) == held, f"seed {seed}"
    _assert_equations(ledger, registry)
