"""The registry's file: restart, failed changes, secrets on disk, foreign and held files."""

import sqlite3

import pytest

from programme.actors import Actor, Agency
from programme.errors import (
    RegistryBusyError,
    RegistryForeignError,
    RegistryKeyError,
    RegistryVersionError,
)
from programme.registry_port import BlockReason, CardStatus


def _everything(registry):
    return (
        registry.all_cards(),
        registry.all_merchants(),
        registry.all_terminals(),
        registry.version,
        registry.decrees.all(),
        registry.accounts.system(1),
        registry.trail.records(),
    )


def test_restart_gives_the_same_registry(
    registry, open_registry, actors, active_cards, add_shop, add_terminal, replace_card
):
    active_cards(5)
    add_shop(designated=True, conditional_categories=frozenset({"0763"}))
    add_terminal(logged_on=True)
    registry.accounts.allot(1, actors.dinsos)
    registry.block_card(2, BlockReason.DECEASED, actors.dinsos)
    replace_card(3, "9360099999999990")
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
    registry, actors, active_cards, tmp_path, replace_card
):
    active_cards(3)
    replace_card(1, "9360099999999990")
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
    with pytest.raises(RegistryForeignError, match="mysql"):
        open_registry("mysql://city/registry")


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


def test_file_is_synced_in_full_before_a_call_returns(registry):
    connection = registry._context.storage._connection
    settings = {
        name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
        for name in ("journal_mode", "synchronous", "foreign_keys")
    }
    connection.rollback()
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_file_that_cannot_be_opened_is_told_as_such_and_not_as_foreign(open_registry, tmp_path):
    (tmp_path / "folder.sqlite").mkdir()
    with pytest.raises(RegistryBusyError, match=r"folder.sqlite: .* cannot be read"):
        open_registry(tmp_path / "folder.sqlite")
