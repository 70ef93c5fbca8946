"""Disbursement: each card once per month, whatever interrupts it; maker is never checker."""

import random
from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import pytest

from ledger.structures import Transfer
from programme.accounts import chart_of, open_purse
from programme.actors import Actor, Agency
from programme.chart import AccountCode, FundSource, TrancheData, TransferCode
from programme.decree import import_decree
from programme.disbursement import HeldReason
from programme.equations import check_equations
from programme.errors import ChartError, DisbursementError, RuleError
from programme.registry import DecreeState
from programme.tranches import MonthLeft, TrancheBook, sweep_transfer
from protocols.ids import disbursement_id, sweep_id
from tests.test_programme.disbursement_kit import MONTH_SEN, assert_equations, balances


class KilledError(Exception):
    """Stands for the process dying."""


class DyingLedger:
    """The real ledger, until it dies: before or after the call numbered `dies_at` reached it."""

    def __init__(self, ledger, dies_at: int, *, after: bool) -> None:
        self._ledger, self._left, self._after = ledger, dies_at, after

    def __getattr__(self, name):
        return getattr(self._ledger, name)

    def _count(self, call, *arguments):
        self._left -= 1
        if self._left == 0 and not self._after:
            raise KilledError
        answer = call(*arguments)
        if self._left == 0:
            raise KilledError
        return answer

    def create_transfers(self, transfers):
        return self._count(self._ledger.create_transfers, transfers)

    def create_accounts(self, accounts):
        return self._count(self._ledger.create_accounts, accounts)


def test_month_is_credited_to_every_card_andbalances(ledger, registry, determined, pay):
    decree, cards = determined(5)
    result = pay(decree)
    assert (result.credited_count, result.credited_sen) == (5, 5 * MONTH_SEN)
    assert (result.total_sen, result.held, result.balanced) == (5 * MONTH_SEN, (), True)
    assert balances(ledger, cards) == [MONTH_SEN] * 5
    assert registry.decrees.get(decree).state is DecreeState.EXECUTION
    assert_equations(ledger, registry)


def test_rerun_credits_nobody_twice_and_changes_nothing(ledger, registry, determined, pay):
    decree, cards = determined(5)
    pay(decree)
    before = ledger.last_sequence, registry.version
    again = pay(decree)
    assert (again.credited_count, again.credited_before_count) == (0, 5)
    assert (ledger.last_sequence, registry.version) == before
    assert balances(ledger, cards) == [MONTH_SEN] * 5


def test_transfer_tells_its_tranche_and_its_file(ledger, registry, determined, pay):
    decree, (card,) = determined(1)
    pay(decree, "2025-12")
    (fold,) = TrancheBook(ledger).fold(card.account_id).tranches()
    transfer = ledger.lookup_transfers([fold.tranche_id])[0]
    assert transfer.code == TransferCode.DISBURSEMENT
    assert transfer.user_data_32 == decree
    assert transfer.user_data_128 == registry.decrees.get(decree).file_id
    tranche = TrancheData.unpack(transfer.user_data_64)
    assert (tranche.period, tranche.source, tranche.budget_year, tranche.expires_on) == (
        "2025-12",
        FundSource.APBD,
        2026,
        None,
    )


@pytest.mark.parametrize("seed", range(4))
def test_run_killed_anywhere_and_resumed_ends_with_equal_totals(
    ledger, registry, determined, pay, monkeypatch, seed
):
    monkeypatch.setattr("programme.disbursement.DISBURSEMENT_GROUP_MAX", 3)
    monkeypatch.setattr("programme.accounts.ACCOUNTS_GROUP_MAX", 4)
    rng = random.Random(seed)
    decree, cards = determined(8, hasil_verifikasi="pindah")
    for period in ("2025-11", "2025-12"):
        for _death in range(rng.randrange(1, 4)):
            dying = DyingLedger(ledger, rng.randrange(1, 6), after=rng.random() < 0.5)
            try:
                pay(decree, period, on=dying)
            except KilledError:
                continue
        result = pay(decree, period)
        assert result.balanced, f"seed {seed}"
        assert result.credited_sen + result.credited_before_sen == 7 * MONTH_SEN, f"seed {seed}"
    assert balances(ledger, cards) == [2 * MONTH_SEN] * 7 + [0], f"seed {seed}"
    assert_equations(ledger, registry)


def test_unfinished_run_is_named_by_the_equations(ledger, registry, determined, pay, monkeypatch):
    monkeypatch.setattr("programme.disbursement.DISBURSEMENT_GROUP_MAX", 2)
    decree, _cards = determined(5)
    with pytest.raises(KilledError):
        pay(decree, on=DyingLedger(ledger, 4, after=True))
    broken = [e for e in check_equations(ledger, registry) if not e.holds]
    assert [e.name for e in broken] == [f"decree {decree}, 2026-01: total = credits + held"]
    assert "run it again" in broken[0].detail


def test_groups_are_bounded_and_progress_is_told(determined, pay, ledger, monkeypatch):
    monkeypatch.setattr("programme.disbursement.DISBURSEMENT_GROUP_MAX", 2)
    decree, _cards = determined(5)
    sizes, told = [], []

    def post(transfers):
        sizes.append(len(transfers))
        return ledger.create_transfers(transfers)

    pay(decree, post=post, on_group=lambda done, of: told.append((done, of)))
    assert sizes == [1, 2, 2, 1]
    assert told == [(2, 5), (4, 5), (5, 5)]


def test_ceiling_of_a_card_holds_the_amount_that_would_pass_it(ledger, registry, determined, pay):
    decree, cards = determined(2, nominal="20000000")
    first = pay(decree, "2025-11", None)
    assert (first.credited_count, first.held) == (2, ())
    second = pay(decree, "2025-12", None)
    assert [(item.recipient_number, item.reason) for item in second.held] == [
        (2, HeldReason.CEILING)
    ]
    assert balances(ledger, cards) == [2 * MONTH_SEN, 2_000_000_000]
    assert pay(decree, "2025-11", None).credited_before_count == 2
    assert_equations(ledger, registry)


def test_month_begun_with_other_data_is_refused_by_the_ledger(determined, pay):
    decree, _cards = determined(2)
    pay(decree)

    with pytest.raises(DisbursementError, match="EXISTS_WITH_DIFFERENT_USER_DATA_64"):
        pay(decree, expires_on=date(2026, 6, 30))


def test_account_that_another_hand_credited_first_is_held_with_the_status(
    ledger, registry, actors, determined, pay
):

    decree, cards = determined(2)
    chart = open_purse(ledger, registry, 1, actors.dinsos)
    name = registry.decrees.get(decree).name
    ledger.create_transfers(
        [
            Transfer(
                id=disbursement_id(name, cards[0].account_id, "2026-01"),
                debit_account_id=chart.funding,
                credit_account_id=cards[0].account_id,
                amount=5,
                ledger=1,
                code=TransferCode.DISBURSEMENT,
            )
        ]
    )
    (held,) = pay(decree).held
    assert (held.reason, held.detail[:22]) == (HeldReason.REFUSED, "EXISTS_WITH_DIFFERENT_")


AGAINST_THE_RULES = [
    ({"checker": Actor(Agency.DINSOS_PM, "staf-02")}, "same person"),
    ({"checker": Actor(Agency.BANK, " STAF-02 ")}, "same person"),
    ({"checker": Actor(Agency.E_WARONG, "operator")}, "may not do `disbursement.approve`"),
    ({"actor": Actor(Agency.DISKOMINFO, "staf-01")}, "may not do `disbursement.propose`"),
    ({"period": "2025-09"}, "not within 2025-10 to 2026-12"),
    ({"period": "2026-13"}, "not within"),
    ({"period": "januari"}, "not within"),
    ({"amount_sen": 1}, "control figure is 1 sen"),
]


def test_disbursement_against_the_rules_posts_nothing(ledger, registry, determined, pay):
    decree, _cards = determined(2)
    before = ledger.last_sequence, registry.version
    for changes, text in AGAINST_THE_RULES:
        with pytest.raises((DisbursementError, RuleError), match=text):
            pay(decree, **changes)
    assert (ledger.last_sequence, registry.version) == before


def test_decree_that_the_mayor_has_not_determined_pays_nothing(
    ledger, registry, actors, decree_file, pay
):
    number = import_decree(registry, decree_file(2), actors.diskominfo).decree.decree_number
    for state in (DecreeState.VERIFICATION, DecreeState.VALIDATION, None):
        with pytest.raises(DisbursementError, match="not determined"):
            pay(number)
        if state is not None:
            registry.decrees.move(number, state, actors.dinsos)
    assert ledger.last_sequence == 0


def test_decree_without_eligible_people_pays_nothing(determined, pay):
    decree, _cards = determined(1, hasil_verifikasi="mampu")
    with pytest.raises(DisbursementError, match="no eligible person"):
        pay(decree)


def test_opening_a_purse_again_keeps_every_account(ledger, registry, actors, active_cards):
    active_cards(3)
    chart = open_purse(ledger, registry, 1, actors.dinsos)
    before = ledger.last_sequence
    assert open_purse(ledger, registry, 1, actors.dinsos) == chart
    assert ledger.last_sequence == before
    flags = {a.code: a.flags for a in ledger.accounts()}
    assert flags[AccountCode.CARD] == flags[AccountCode.PARENT_GIRO] == 2
    assert flags[AccountCode.FUNDING] == 0


def test_registry_of_another_ledger_is_refused(ledger, registry, actors):

    chart = open_purse(ledger, registry, 1, actors.dinsos)
    system = registry.accounts.system(1)
    swapped = {AccountCode.FUNDING: chart.suspense, AccountCode.SUSPENSE: chart.funding}
    stand_in = SimpleNamespace(
        accounts=SimpleNamespace(allot=lambda *_: None, system=lambda _: {**system, **swapped}),
        all_merchants=list,
        all_cards=list,
    )
    assert replace(chart, funding=chart.suspense) != chart
    with pytest.raises(ChartError, match="do not belong together"):
        open_purse(ledger, stand_in, 1, actors.dinsos)


def test_purse_that_does_not_exist_is_refused(ledger, registry, actors):
    with pytest.raises(ChartError, match="no purse 9"):
        open_purse(ledger, registry, 9, actors.dinsos)
    with pytest.raises(ChartError, match="no accounts yet"):
        chart_of(registry, 1)


def test_book_follows_the_ledger_and_forgets_only_what_it_can_rebuild(
    ledger, registry, determined, pay
):
    decree, cards = determined(3)
    pay(decree, "2025-11")
    book = TrancheBook(ledger, cards_max=2)
    for card in cards:
        assert book.months_left(card.account_id) == [MonthLeft("2025-11", MONTH_SEN)]
    pay(decree, "2025-12")
    for card in cards:
        left = [MonthLeft("2025-11", MONTH_SEN), MonthLeft("2025-12", MONTH_SEN)]
        assert book.months_left(card.account_id) == left
    assert len(book._folds) == 2


def test_sweep_takes_back_what_is_left_of_its_tranche(ledger, registry, determined, pay):
    decree, (card,) = determined(1)
    pay(decree, "2025-11")
    pay(decree, "2025-12")
    first = TrancheBook(ledger).fold(card.account_id).tranches()[0]
    transfer = sweep_transfer(
        first,
        account_id=card.account_id,
        parent_giro=chart_of(registry, 1).parent_giro,
        purse=1,
        sweep_id=sweep_id(first.tranche_id, "2026-01-05"),
    )
    assert ledger.create_transfers([transfer])[0].status.name == "CREATED"
    assert TrancheBook(ledger).months_left(card.account_id) == [MonthLeft("2025-12", MONTH_SEN)]
    assert_equations(ledger, registry)
