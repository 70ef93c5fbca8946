"""Disbursement and the card: blocked, lost, closed, replaced, or not there yet."""

from programme.accounts import chart_of
from programme.disbursement import HeldReason
from programme.registry_port import BlockReason, CardStatus
from protocols.values import Pan
from tests.test_programme.disbursement_kit import MONTH_SEN, assert_equations, balances


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
    assert_equations(ledger, registry)
    registry.cards.issue([card_request(3)], actors.diskominfo)
    result = pay(decree)
    assert (result.credited_count, result.credited_before_count, result.held) == (1, 2, ())
    assert ledger.lookup_accounts([giro])[0].credit_balance == 0
    assert_equations(ledger, registry)


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
    assert balances(ledger, [card]) == [2 * MONTH_SEN]
    assert_equations(ledger, registry)


def test_rerun_counts_a_credit_although_the_aid_ended_after_it(
    ledger, registry, actors, determined, pay
):
    decree, cards = determined(3)
    pay(decree)
    registry.block_card(cards[0].card_number, BlockReason.DECEASED, actors.dinsos)
    registry.move_cards([cards[1].card_number], CardStatus.CLOSED, actors.dinsos)
    again = pay(decree)
    assert (again.credited_count, again.credited_before_count, again.held) == (0, 3, ())
    assert_equations(ledger, registry)


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
    assert_equations(ledger, registry)
    assert pay(decree, "2026-02").credited_count == 2
    assert balances(ledger, [cards[0], fresh]) == [MONTH_SEN, MONTH_SEN]


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
    assert balances(ledger, cards) == [MONTH_SEN] * 3 + [0] + [MONTH_SEN] * 2
    assert result.balanced
    assert_equations(ledger, registry)
    registry.unblock_card(cards[3].card_number, actors.dinsos)
    assert (pay(decree).credited_count, balances(ledger, cards)) == (1, [MONTH_SEN] * 6)


def test_closed_card_is_held(registry, actors, determined, pay):
    decree, cards = determined(2)
    registry.move_cards([cards[0].card_number], CardStatus.CLOSED, actors.dinsos)
    assert [item.reason for item in pay(decree).held] == [HeldReason.NO_CARD]
