"""The registry: the read port, the life of a card, restart, other processes, secrets on disk."""

import itertools

import pytest

from programme.actors import Actor, Agency
from programme.errors import (
    DuplicateError,
    NotFoundError,
    RuleError,
)
from programme.registry_port import BlockReason, CardStatus
from protocols.values import Pan


def test_card_is_found_by_its_number_and_by_no_other(registry, active_cards):
    (card,) = active_cards(1)
    assert registry.card_by_pan(Pan("9360099900000001")) == card
    assert card.status is CardStatus.ACTIVE
    assert card.last_four == "0001"
    assert registry.card_by_pan(Pan("9360099900000002")) is None


def test_account_ids_are_random_and_unique(registry, active_cards):
    ids = {card.account_id for card in active_cards(30)}
    assert len(ids) == 30
    assert all(0 < account < 1 << 128 for account in ids)
    assert min(account.bit_length() for account in ids) > 100


def test_block_is_in_force_when_its_call_returned_and_names_its_reason(
    registry, actors, active_cards
):
    (card,) = active_cards(1)
    before = registry.version
    registry.block_card(card.card_number, BlockReason.LOST, actors.diskominfo)
    seen = registry.card_by_pan(Pan("9360099900000001"))
    assert (seen.status, seen.block_reason) == (CardStatus.BLOCKED, BlockReason.LOST)
    assert registry.version > before


def test_block_by_another_process_is_seen_at_the_next_refresh(
    registry, open_registry, actors, active_cards
):
    (card,) = active_cards(1)
    other = open_registry()
    other.block_card(card.card_number, BlockReason.STOLEN, actors.bank)
    assert registry.refresh()
    assert registry.card(card.card_number).status is CardStatus.BLOCKED
    assert not registry.refresh()


def test_change_is_checked_against_what_another_process_wrote(
    registry, open_registry, actors, active_cards
):
    (card,) = active_cards(1)
    open_registry().cards.move([card.card_number], CardStatus.CLOSED, actors.dinsos)
    with pytest.raises(RuleError, match="nothing to block"):
        registry.block_card(card.card_number, BlockReason.LOST, actors.diskominfo)


def test_unblock_gives_back_the_state_before_the_first_block(
    registry, actors, people, card_request
):
    people(1)
    card = registry.cards.issue([card_request(1)], actors.diskominfo)[0]
    registry.move_cards([card.card_number], CardStatus.AT_BANK, actors.diskominfo)
    registry.block_card(card.card_number, BlockReason.NOT_COLLECTED, actors.bank)
    registry.block_card(card.card_number, BlockReason.DECEASED, actors.dinsos)
    seen = registry.unblock_card(card.card_number, actors.dinsos)
    assert (seen.status, seen.block_reason) == (CardStatus.AT_BANK, None)


STEPS = {
    CardStatus.PRINTED: set(),
    CardStatus.AT_BANK: {CardStatus.PRINTED},
    CardStatus.COLLECTED: {CardStatus.AT_BANK},
    CardStatus.ACTIVE: {CardStatus.COLLECTED},
    CardStatus.CLOSED: set(CardStatus) - {CardStatus.REPLACED, CardStatus.CLOSED},
}


def _bring_to(registry, actors, replace_card, card_number, state):
    path = [CardStatus.AT_BANK, CardStatus.COLLECTED, CardStatus.ACTIVE]
    if state in path:
        for step in path[: path.index(state) + 1]:
            registry.move_cards([card_number], step, actors.diskominfo)
    elif state is CardStatus.BLOCKED:
        registry.block_card(card_number, BlockReason.LOST, actors.diskominfo)
    elif state is CardStatus.CLOSED:
        registry.move_cards([card_number], state, actors.diskominfo)
    elif state is CardStatus.REPLACED:
        replace_card(card_number, "9360099999999990")


def test_card_moves_only_along_its_life_cycle(registry, actors, people, card_request, replace_card):
    states = list(CardStatus)
    requests = [card_request(number) for number in people(len(states))]
    cards = registry.cards.issue(requests, actors.diskominfo)
    for card, state in zip(cards, states, strict=True):
        _bring_to(registry, actors, replace_card, card.card_number, state)
        assert registry.card(card.card_number).status is state
        for target, sources in STEPS.items():
            if state in sources:
                continue
            with pytest.raises(RuleError):
                registry.move_cards([card.card_number], target, actors.diskominfo)
        assert registry.card(card.card_number).status is state


def test_card_steps_are_dated_with_their_actor(registry, actors, active_cards):
    (card,) = active_cards(1)
    steps = registry.cards.steps(card.card_number)
    assert [(step[0].value, step[3]) for step in steps] == [
        ("printed", "Diskominfo"),
        ("at bank", "Diskominfo"),
        ("collected", "Bank Penyalur"),
        ("active", "Bank Penyalur"),
    ]
    assert [step[2] for step in steps] == sorted(step[2] for step in steps)


def test_replacement_keeps_the_account_and_refuses_the_old_card(
    registry, actors, active_cards, replace_card
):
    (old,) = active_cards(1)
    registry.block_card(old.card_number, BlockReason.LOST, actors.diskominfo)
    new = replace_card(old.card_number, "9360099999999990")
    assert new.account_id == old.account_id
    assert new.status is CardStatus.PRINTED
    seen = registry.card_by_pan(Pan("9360099900000001"))
    assert (seen.status, seen.block_reason) == (CardStatus.REPLACED, BlockReason.LOST)


def test_card_replaced_twice_is_refused(registry, actors, active_cards, replace_card):
    (old,) = active_cards(1)
    replace_card(old.card_number, "9360099999999990")
    with pytest.raises(RuleError, match="cannot be replaced again"):
        replace_card(old.card_number, "9360099999999991")


@pytest.mark.parametrize(
    "change",
    [{"recipient": 1}, {"recipient": 2, "pan": "9360099900000001"}],
    ids=["second card for a person", "same card number"],
)
def test_issue_duplicate_is_refused_and_nothing_is_half_done(
    registry, actors, active_cards, card_request, change
):
    active_cards(3)
    registry.cards.move([2, 3], CardStatus.CLOSED, actors.dinsos)
    before = registry.version
    requests = [card_request(3, "9360099900000903"), card_request(**change)]
    with pytest.raises(DuplicateError):
        registry.cards.issue(requests, actors.diskominfo)
    assert registry.version == before
    assert len(registry.all_cards()) == 3


AGAINST_THE_RULES = [
    (lambda r, a, q: r.cards.issue([q(1)], a.bank), RuleError),
    (lambda r, a, q: r.cards.issue([q(99)], a.diskominfo), NotFoundError),
    (lambda r, a, q: r.cards.set_pin_offset(1, "12345", a.switch), RuleError),
    (lambda r, a, q: r.block_card(1, BlockReason.LOST, a.shop), RuleError),
    (lambda r, a, q: r.block_card(9, BlockReason.LOST, a.bank), NotFoundError),
    (lambda r, a, q: r.unblock_card(1, a.switch), RuleError),
    (lambda r, a, q: r.move_cards([1], CardStatus.BLOCKED, a.diskominfo), RuleError),
    (lambda r, a, q: r.designate("X1", a.diskominfo), RuleError),
    (lambda r, a, q: r.suspend("X1", a.bank), NotFoundError),
    (lambda r, a, q: r.log_on_terminal("12400001", "X1", a.shop), NotFoundError),
]


def test_change_against_the_rules_is_refused(registry, actors, active_cards, card_request):
    active_cards(1)
    before = registry.version
    for act, error in AGAINST_THE_RULES:
        with pytest.raises(error):
            act(registry, actors, card_request)
    assert registry.version == before


def test_actor_without_a_usable_name_is_refused():
    for person in ("", "  ", "x" * 65, "a\nb", "198005092006041011"):
        with pytest.raises(RuleError):
            Actor(Agency.DINSOS_PM, person)


WRONG_SHOPS = [
    {"merchant_id": "1234567890"},
    {"merchant_id": "EW-1"},
    {"merchant_id": "E" * 16},
    {"category": "541"},
    {"name": ""},
    {"village": "x" * 121},
]


def test_shop_with_a_wrong_field_is_refused(registry, actors, add_shop):
    for change in WRONG_SHOPS:
        with pytest.raises(RuleError):
            add_shop(**change)
    assert registry.all_merchants() == []


def test_shop_is_designated_suspended_and_resumed(registry, actors, add_shop):
    assert not add_shop().designated
    registry.designate("EWSMDPLR0000001  ", actors.dinsos)
    registry.suspend("EWSMDPLR0000001", actors.bank, "kunjungan")
    seen = registry.merchant("EWSMDPLR0000001  ")
    assert (seen.designated, seen.suspended) == (True, True)
    assert not registry.shops.resume("EWSMDPLR0000001", actors.bank).suspended


def test_terminal_moves_between_shops_and_keeps_its_home(registry, actors, add_shop, add_terminal):
    add_shop()
    add_shop("EWSMDPLR0000002")
    assert add_terminal().merchant_id is None
    registry.log_on_terminal("12400001", "EWSMDPLR0000002", actors.shop)
    seen = registry.terminal("12400001")
    assert (seen.home_merchant_id, seen.merchant_id) == ("EWSMDPLR0000001", "EWSMDPLR0000002")
    assert registry.shops.log_off("12400001", actors.shop).merchant_id is None


def test_terminal_switched_off_cannot_log_on(registry, actors, add_shop, add_terminal):
    add_shop()
    add_terminal(logged_on=True)
    assert not registry.shops.set_active("12400001", False, actors.bank).active
    with pytest.raises(RuleError, match="switched off"):
        registry.log_on_terminal("12400001", "EWSMDPLR0000001", actors.shop)


ADMITTED = [
    ("5411", (), True, True),
    ("5411", (), False, False),
    ("0763", (), True, False),
    ("0763", ("0763",), True, True),
    ("4814", ("4814",), True, False),
    ("5942", ("5942",), True, False),
]


def test_payable_account_only_for_shops_that_the_food_purse_admits(registry, actors, add_shop):
    for index, (category, named, designated, _admitted) in enumerate(ADMITTED):
        add_shop(
            f"EW{index}",
            category=category,
            conditional_categories=frozenset(named),
            designated=designated,
        )
    registry.accounts.allot(1, actors.dinsos)
    given = [1 in shop.payable_accounts for shop in registry.all_merchants()]
    assert given == [row[3] for row in ADMITTED]


def test_allotting_twice_changes_nothing(registry, actors, add_shop):
    add_shop(designated=True)
    registry.accounts.allot(1, actors.dinsos)
    before = registry.version, registry.accounts.system(1)
    registry.accounts.allot(1, actors.dinsos)
    assert (registry.version, registry.accounts.system(1)) == before


def test_account_id_that_the_generator_repeats_stops_the_change(
    registry, actors, people, card_request, monkeypatch
):
    people(2)
    repeats = itertools.cycle([b"\x07" * 16, b"\x08" * 16])
    monkeypatch.setattr(registry._context, "random_bytes", lambda _count: next(repeats))
    registry.cards.issue([card_request(1)], actors.diskominfo)
    next(repeats)
    with pytest.raises(AssertionError, match="repeats itself"):
        registry.cards.issue([card_request(2)], actors.diskominfo)
    monkeypatch.setattr("programme.registry.unit.STATEMENT_VALUES_MAX", 0)
    next(repeats)
    with pytest.raises(AssertionError, match="repeats itself"):
        registry.cards.issue([card_request(2)], actors.diskominfo)
    assert len(registry.all_cards()) == 1
