"""The registry: the read port, the life of a card, restart, other processes, secrets on disk."""

import sqlite3
from dataclasses import replace
from datetime import date

import pytest

from programme.actors import Actor, Agency
from programme.errors import (
    DuplicateError,
    NotFoundError,
    RegistryBusyError,
    RegistryForeignError,
    RegistryKeyError,
    RegistryVersionError,
    RuleError,
)
from programme.registry import MerchantKind, MerchantRequest, TerminalRequest
from programme.registry_port import BlockReason, CardStatus
from protocols.values import Pan


def _shop(registry, actors, merchant_id="EWSMDPLR0000001", **changes):
    request = MerchantRequest(
        merchant_id=merchant_id,
        name="E-Warong Berkah",
        kind=MerchantKind.MICRO,
        district="Palaran",
        village="Bukuan",
        category="5411",
    )
    return registry.shops.add_merchants([replace(request, **changes)], actors.bank)[0]


def _terminal(registry, actors, terminal_id="12400001", home="EWSMDPLR0000001", **changes):
    request = TerminalRequest(
        terminal_id=terminal_id,
        home_merchant_id=home,
        key_label=f"tmk/{terminal_id}",
        key_check_value="08d7b4",
    )
    return registry.shops.add_terminals([replace(request, **changes)], actors.bank)[0]


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


def _bring_to(registry, actors, card_number, state):
    path = [CardStatus.AT_BANK, CardStatus.COLLECTED, CardStatus.ACTIVE]
    if state in path:
        for step in path[: path.index(state) + 1]:
            registry.move_cards([card_number], step, actors.diskominfo)
    elif state is CardStatus.BLOCKED:
        registry.block_card(card_number, BlockReason.LOST, actors.diskominfo)
    elif state is CardStatus.CLOSED:
        registry.move_cards([card_number], state, actors.diskominfo)
    elif state is CardStatus.REPLACED:
        _replace(registry, actors, card_number, "9360099999999990")


def _replace(registry, actors, card_number, pan):
    return registry.cards.replace(
        card_number,
        pan=Pan(pan),
        pan_sequence="02",
        expires_on=date(2031, 12, 31),
        pin_offset="000000",
        actor=actors.diskominfo,
    )


def test_card_moves_only_along_its_life_cycle(registry, actors, people, card_request):
    states = list(CardStatus)
    requests = [card_request(number) for number in people(len(states))]
    cards = registry.cards.issue(requests, actors.diskominfo)
    for card, state in zip(cards, states, strict=True):
        _bring_to(registry, actors, card.card_number, state)
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


def test_replacement_keeps_the_account_and_refuses_the_old_card(registry, actors, active_cards):
    (old,) = active_cards(1)
    registry.block_card(old.card_number, BlockReason.LOST, actors.diskominfo)
    new = _replace(registry, actors, old.card_number, "9360099999999990")
    assert new.account_id == old.account_id
    assert new.status is CardStatus.PRINTED
    seen = registry.card_by_pan(Pan("9360099900000001"))
    assert (seen.status, seen.block_reason) == (CardStatus.REPLACED, BlockReason.LOST)


def test_card_replaced_twice_is_refused(registry, actors, active_cards):
    (old,) = active_cards(1)
    _replace(registry, actors, old.card_number, "9360099999999990")
    with pytest.raises(RuleError, match="cannot be replaced again"):
        _replace(registry, actors, old.card_number, "9360099999999991")


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


@pytest.mark.parametrize("person", ["", "  ", "x" * 65, "a\nb", "198005092006041011"])
def test_actor_without_a_usable_name_is_refused(person):
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


def test_shop_with_a_wrong_field_is_refused(registry, actors):
    for change in WRONG_SHOPS:
        with pytest.raises(RuleError):
            _shop(registry, actors, **change)
    assert registry.all_merchants() == []


def test_shop_is_designated_suspended_and_resumed(registry, actors):
    assert not _shop(registry, actors).designated
    registry.designate("EWSMDPLR0000001  ", actors.dinsos)
    registry.suspend("EWSMDPLR0000001", actors.bank, "kunjungan")
    seen = registry.merchant("EWSMDPLR0000001  ")
    assert (seen.designated, seen.suspended) == (True, True)
    assert not registry.shops.resume("EWSMDPLR0000001", actors.bank).suspended


def test_terminal_moves_between_shops_and_keeps_its_home(registry, actors):
    _shop(registry, actors)
    _shop(registry, actors, "EWSMDPLR0000002")
    assert _terminal(registry, actors).merchant_id is None
    registry.log_on_terminal("12400001", "EWSMDPLR0000002", actors.shop)
    seen = registry.terminal("12400001")
    assert (seen.home_merchant_id, seen.merchant_id) == ("EWSMDPLR0000001", "EWSMDPLR0000002")
    assert registry.shops.log_off("12400001", actors.shop).merchant_id is None


def test_terminal_switched_off_cannot_log_on(registry, actors):
    _shop(registry, actors)
    _terminal(registry, actors, logged_on=True)
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


def test_payable_account_only_for_shops_that_the_food_purse_admits(registry, actors):
    for index, (category, named, designated, _admitted) in enumerate(ADMITTED):
        _shop(
            registry,
            actors,
            f"EW{index}",
            category=category,
            conditional_categories=frozenset(named),
            designated=designated,
        )
    registry.accounts.allot(1, actors.dinsos)
    given = [1 in shop.payable_accounts for shop in registry.all_merchants()]
    assert given == [row[3] for row in ADMITTED]


def test_allotting_twice_changes_nothing(registry, actors):
    _shop(registry, actors, designated=True)
    registry.accounts.allot(1, actors.dinsos)
    before = registry.version, registry.accounts.system(1)
    registry.accounts.allot(1, actors.dinsos)
    assert (registry.version, registry.accounts.system(1)) == before


def _everything(registry):
    return (
        registry.all_cards(),
        registry.all_merchants(),
        registry.all_terminals(),
        registry.version,
        registry.decrees.all(),
        registry.accounts.system(1),
        list(registry.audit()),
    )


def test_restart_gives_the_same_registry(registry, open_registry, actors, active_cards):
    active_cards(5)
    _shop(registry, actors, designated=True, conditional_categories=frozenset({"0763"}))
    _terminal(registry, actors, logged_on=True)
    registry.accounts.allot(1, actors.dinsos)
    registry.block_card(2, BlockReason.DECEASED, actors.dinsos)
    _replace(registry, actors, 3, "9360099999999990")
    before = _everything(registry)
    registry.close()
    assert _everything(open_registry()) == before


def test_failed_change_leaves_file_and_views_as_they_were(registry, open_registry, active_cards):
    active_cards(2)
    before = _everything(registry)

    def fail_half_way():
        with registry._context.change(_ACTOR) as unit:
            unit.record("card", 1, "blocked")
            unit.connection.exec_driver_sql("UPDATE cards SET status = 'blocked'")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert _everything(registry) == before
    assert _everything(open_registry()) == before


_ACTOR = Actor(Agency.DINSOS_PM, "staf-09")


def test_no_person_and_no_card_number_stands_in_clear_in_the_file(
    registry, actors, active_cards, tmp_path
):
    active_cards(3)
    _replace(registry, actors, 1, "9360099999999990")
    files = {path: path.read_bytes() for path in tmp_path.glob("registry.sqlite*")}
    assert sum(map(len, files.values())) > 10_000
    secrets = ["9972010100000001", "9972020200000001", "9360099900000001", "9360099999999990"]
    secrets += ["Melati1", "MELATI1", "SARIMELATI", "Jalan Lumbung", "1990-01-01"]
    for content in files.values():
        assert [word for word in secrets if word.encode() in content] == []
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in files)


def test_identity_is_opened_with_the_key_and_its_repr_shows_nothing(registry, people):
    people(1)
    person = registry.people.open_identity(1)
    assert (person.nik, person.name) == ("9972010100000001", "Sari Melati1 Rekaan")
    assert "9972" not in repr(person)
    assert "Sari" not in repr(person)
    assert registry.people.number_of("9972010100000001") == 1
    assert registry.people.number_of("9972010100000009") is None


def test_altered_identity_is_one_clear_error(registry, people, tmp_path):
    people(1)
    with sqlite3.connect(tmp_path / "registry.sqlite") as raw:
        raw.execute("UPDATE recipients SET sealed = zeroblob(length(sealed))")
    raw.close()
    with pytest.raises(RegistryForeignError, match="altered"):
        registry.people.open_identity(1)


@pytest.mark.parametrize("keys", [{"hmac": b"x" * 32}, {"nik": b"x" * 32}])
def test_registry_of_other_keys_is_refused(registry, open_registry, keys):
    registry.close()
    with pytest.raises(RegistryKeyError, match="other keys"):
        open_registry(**keys)


def test_registry_of_another_version_is_refused(registry, open_registry, tmp_path):
    registry.close()
    with sqlite3.connect(tmp_path / "registry.sqlite") as raw:
        raw.execute("UPDATE lumbung_schema SET version = 99")
    raw.close()
    with pytest.raises(RegistryVersionError, match="version 99"):
        open_registry()


def _foreign_database(path):
    with sqlite3.connect(path) as raw:
        raw.execute("CREATE TABLE theirs (a)")
    raw.close()


@pytest.mark.parametrize(
    "make",
    [lambda path: path.write_bytes(b"not a database, certainly" * 50), _foreign_database],
    ids=["text", "other database"],
)
def test_foreign_file_is_refused_and_left_as_it_was(open_registry, tmp_path, make):
    path = tmp_path / "foreign.sqlite"
    make(path)
    before = path.read_bytes()
    with pytest.raises(RegistryForeignError, match="not a registry"):
        open_registry(path)
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.glob("foreign*")) == ["foreign.sqlite"]


def test_new_registry_is_private_and_empty(open_registry, tmp_path):
    fresh = open_registry(tmp_path / "fresh.sqlite")
    assert (fresh.all_cards(), fresh.version) == ([], 0)
    assert (tmp_path / "fresh.sqlite").stat().st_mode & 0o777 == 0o600


def test_registry_url_of_another_database_is_refused(open_registry):
    with pytest.raises(RegistryForeignError, match="postgresql"):
        open_registry("postgresql://city/registry")


def test_registry_in_a_directory_that_is_not_there_is_refused(open_registry, tmp_path):
    with pytest.raises(RegistryBusyError, match="cannot be created"):
        open_registry(tmp_path / "nowhere" / "registry.sqlite")


def test_registry_held_by_another_writer_is_a_clear_error(
    registry, actors, active_cards, tmp_path, monkeypatch
):
    (card,) = active_cards(1)
    registry._context.storage._connection.exec_driver_sql("PRAGMA busy_timeout = 20")
    registry._context.storage._connection.rollback()
    raw = sqlite3.connect(tmp_path / "registry.sqlite", isolation_level=None)
    raw.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(RegistryBusyError, match="just now"):
            registry.block_card(card.card_number, BlockReason.LOST, actors.diskominfo)
    finally:
        raw.close()
    assert registry.card(card.card_number).status is CardStatus.ACTIVE
    registry.block_card(card.card_number, BlockReason.LOST, actors.diskominfo)
