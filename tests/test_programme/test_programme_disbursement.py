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
from programme.disbursement import HeldReason, disburse
from programme.equations import check_equations
from programme.errors import ChartError, DisbursementError, RuleError
from programme.registry import DecreeState
from programme.registry_port import BlockReason, CardStatus
from programme.tranches import MonthLeft, TrancheBook, sweep_transfer
from protocols.ids import disbursement_id, sweep_id
from protocols.values import Pan

MONTH_SEN = 30_000_000


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


@pytest.fixture
def pay(ledger, registry, actors):
    def payer(decree, period="2026-01", amount_sen=MONTH_SEN, *, on=None, **changes):
        given = {"actor": actors.dinsos, "checker": actors.checker, **changes}
        return disburse(on or ledger, registry, decree, period, amount_sen, **given)

    return payer


def _balances(ledger, cards):
    found = ledger.lookup_accounts([card.account_id for card in cards])
    return [account.credit_balance for account in found]


def _assert_equations(ledger, registry, slips=None):
    assert [e for e in check_equations(ledger, registry, slips) if not e.holds] == []


def test_month_is_credited_to_every_card_and_balances(ledger, registry, determined, pay):
    decree, cards = determined(5)
    result = pay(decree)
    assert (result.credited_count, result.credited_sen) == (5, 5 * MONTH_SEN)
    assert (result.total_sen, result.held, result.balanced) == (5 * MONTH_SEN, (), True)
    assert _balances(ledger, cards) == [MONTH_SEN] * 5
    assert registry.decrees.get(decree).state is DecreeState.EXECUTION
    _assert_equations(ledger, registry)


def test_rerun_credits_nobody_twice_and_changes_nothing(ledger, registry, determined, pay):
    decree, cards = determined(5)
    pay(decree)
    before = ledger.last_sequence, registry.version
    again = pay(decree)
    assert (again.credited_count, again.credited_before_count) == (0, 5)
    assert (ledger.last_sequence, registry.version) == before
    assert _balances(ledger, cards) == [MONTH_SEN] * 5


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
    assert _balances(ledger, cards) == [2 * MONTH_SEN] * 7 + [0], f"seed {seed}"
    _assert_equations(ledger, registry)


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


def test_people_without_card_are_held_and_paid_once_they_have_one(
    ledger, registry, actors, determined, pay, card_request
):
    decree, _cards = determined(3, cards=2)
    result = pay(decree)
    assert [(item.recipient_number, item.reason) for item in result.held] == [
        (3, HeldReason.NO_CARD)
    ]
    assert result.balanced
    giro = chart_of(registry, 1).parent_giro
    assert ledger.lookup_accounts([giro])[0].credit_balance == MONTH_SEN
    _assert_equations(ledger, registry)
    registry.cards.issue([card_request(3)], actors.diskominfo)
    result = pay(decree)
    assert (result.credited_count, result.credited_before_count, result.held) == (1, 2, ())
    assert ledger.lookup_accounts([giro])[0].credit_balance == 0
    _assert_equations(ledger, registry)


def test_blocked_card_is_credited_unless_the_aid_ended(registry, actors, determined, pay):
    ended = [BlockReason.DECEASED, BlockReason.DECREE_ENDED, BlockReason.DUPLICATE]
    reasons = [*ended, BlockReason.LOST, BlockReason.STOLEN, BlockReason.SUSPICION]
    decree, cards = determined(len(reasons))
    for card, reason in zip(cards, reasons, strict=True):
        registry.block_card(card.card_number, reason, actors.dinsos)
    result = pay(decree)
    held = [(item.reason, item.detail) for item in result.held]
    assert held == [(HeldReason.ENDED, reason.value) for reason in ended]


def test_replacement_keeps_the_balance_and_gets_the_next_month(
    ledger, registry, actors, determined, pay
):
    decree, (card,) = determined(1)
    pay(decree, "2025-11")
    registry.cards.replace(
        card.card_number,
        pan=Pan("9360099999999990"),
        pan_sequence="02",
        expires_on=card.expires_on,
        pin_offset="000000",
        actor=actors.diskominfo,
    )
    assert pay(decree, "2025-11").credited_before_count == 1
    pay(decree, "2025-12")
    assert _balances(ledger, [card]) == [2 * MONTH_SEN]
    _assert_equations(ledger, registry)


def test_rerun_counts_a_credit_although_the_aid_ended_after_it(
    ledger, registry, actors, determined, pay
):
    decree, cards = determined(3)
    pay(decree)
    registry.block_card(cards[0].card_number, BlockReason.DECEASED, actors.dinsos)
    registry.move_cards([cards[1].card_number], CardStatus.CLOSED, actors.dinsos)
    again = pay(decree)
    assert (again.credited_count, again.credited_before_count, again.held) == (0, 3, ())
    _assert_equations(ledger, registry)


def test_new_account_after_a_closed_card_is_not_paid_the_same_month_again(
    ledger, registry, actors, determined, pay, card_request
):
    decree, cards = determined(2)
    pay(decree)
    registry.move_cards([cards[0].card_number], CardStatus.CLOSED, actors.dinsos)
    pan = "9360099900000077"
    (fresh,) = registry.cards.issue([card_request(1, pan)], actors.diskominfo)
    assert fresh.account_id != cards[0].account_id
    again = pay(decree)
    assert (again.credited_count, again.credited_before_count, again.held) == (0, 2, ())
    _assert_equations(ledger, registry)
    assert pay(decree, "2026-02").credited_count == 2
    assert _balances(ledger, [cards[0], fresh]) == [MONTH_SEN, MONTH_SEN]


def test_aid_that_ends_while_the_run_goes_on_is_held_and_a_lost_card_is_credited(
    ledger, registry, actors, determined, pay, monkeypatch
):
    monkeypatch.setattr("programme.disbursement.DISBURSEMENT_GROUP_MAX", 2)
    decree, cards = determined(6)

    def block(done, _of):
        if done == 2:
            registry.block_card(cards[0].card_number, BlockReason.DECEASED, actors.dinsos)
            registry.block_card(cards[3].card_number, BlockReason.DECREE_ENDED, actors.dinsos)
            registry.block_card(cards[4].card_number, BlockReason.LOST, actors.dinsos)

    result = pay(decree, on_group=block)
    assert [(h.recipient_number, h.detail) for h in result.held] == [(4, "B02")]
    assert _balances(ledger, cards) == [MONTH_SEN] * 3 + [0] + [MONTH_SEN] * 2
    assert result.balanced
    _assert_equations(ledger, registry)
    registry.unblock_card(cards[3].card_number, actors.dinsos)
    assert (pay(decree).credited_count, _balances(ledger, cards)) == (1, [MONTH_SEN] * 6)


def test_closed_card_is_held(registry, actors, determined, pay):
    decree, cards = determined(2)
    registry.move_cards([cards[0].card_number], CardStatus.CLOSED, actors.dinsos)
    assert [item.reason for item in pay(decree).held] == [HeldReason.NO_CARD]


def test_ceiling_of_a_card_holds_the_amount_that_would_pass_it(ledger, registry, determined, pay):
    decree, cards = determined(2, nominal="20000000")
    first = pay(decree, "2025-11", None)
    assert (first.credited_count, first.held) == (2, ())
    second = pay(decree, "2025-12", None)
    assert [(item.recipient_number, item.reason) for item in second.held] == [
        (2, HeldReason.CEILING)
    ]
    assert _balances(ledger, cards) == [2 * MONTH_SEN, 2_000_000_000]
    assert pay(decree, "2025-11", None).credited_before_count == 2
    _assert_equations(ledger, registry)


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
    _assert_equations(ledger, registry)
