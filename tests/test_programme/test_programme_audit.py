"""The audit trail: chained, verified, and every way to tamper with it found."""

import json
from dataclasses import replace

import pytest

from programme.registry.audit import GENESIS, chained
from programme.registry_port import BlockReason


def _raw(registry, statement):
    """Change a row behind the programme's back, as a database's keeper could."""
    with registry._context.storage.transaction() as connection:
        connection.exec_driver_sql(statement)


def test_trail_names_actor_time_and_both_states_without_a_person(registry, actors, active_cards):
    active_cards(2)
    registry.block_card(2, BlockReason.LOST, actors.diskominfo)
    (newest,) = registry.trail.tail(1)
    assert (newest.agency, newest.person, newest.subject) == ("Diskominfo", "staf-01", "card")
    assert (newest.number, newest.action, newest.detail) == (2, "blocked", "B01")
    assert json.loads(newest.before) == {"status": "active", "reason": None}
    assert json.loads(newest.after) == {"status": "blocked", "reason": "B01"}
    everything = repr(registry.trail.records())
    assert "Melati" not in everything
    assert "99720101" not in everything
    assert "93600999" not in everything


def test_versions_are_dense_and_each_row_is_chained_to_the_one_before(registry, active_cards):
    active_cards(3)
    chain = GENESIS
    for number, row in enumerate(registry.trail.records(), start=1):
        assert row.version == number
        values = [getattr(row, name) for name in row.__slots__[:-1]]
        chain = chained(chain, values)
        assert row.chain == chain
    assert registry.trail.head() == (registry.version, chain)


def test_whole_trail_verifies_also_against_a_head_kept_earlier(registry, actors, active_cards):
    (card,) = active_cards(1)
    kept = registry.trail.head()
    registry.block_card(card.card_number, BlockReason.LOST, actors.bank)
    check = registry.trail.verify(kept)
    assert (check.broken_at, check.version) == (None, registry.version)
    assert check.chain == registry.trail.head()[1]


TAMPERED = [
    ("UPDATE changes SET detail = 'B06' WHERE version = 5", 5),
    ("UPDATE changes SET person = 'staf-99' WHERE version = 3", 3),
    ("UPDATE changes SET at_ns = at_ns + 1 WHERE version = 1", 1),
    ("UPDATE changes SET after = '' WHERE version = 7", 7),
    ("UPDATE changes SET number = 3 WHERE version = 6", 6),
    ("DELETE FROM changes WHERE version = 4", 4),
    ("UPDATE changes SET version = 100 WHERE version = 2", 2),
]


@pytest.mark.parametrize(("statement", "broken_at"), TAMPERED)
def test_altered_or_missing_change_is_found_at_its_place(
    registry, active_cards, statement, broken_at
):
    active_cards(3)
    assert registry.version > 7
    _raw(registry, statement)
    assert registry.trail.verify().broken_at == broken_at


def test_trail_cut_off_at_its_end_is_found_with_a_kept_head_only(registry, active_cards):
    active_cards(2)
    kept = registry.trail.head()
    _raw(registry, f"DELETE FROM changes WHERE version > {kept[0] - 2}")
    assert registry.trail.verify().broken_at is None
    check = registry.trail.verify(kept)
    assert (check.broken_at, check.why) == (kept[0] - 1, f"cut off before version {kept[0]}")


def test_trail_written_anew_is_found_with_a_kept_head_only(registry, active_cards):
    active_cards(2)
    kept = registry.trail.head()
    chain = GENESIS
    for row in registry.trail.records():
        forged = replace(row, person="staf-99") if row.version == 2 else row
        chain = chained(chain, [getattr(forged, name) for name in row.__slots__[:-1]])
        values = f"person = '{forged.person}'"
        with registry._context.storage.transaction() as connection:
            table = registry._context.storage._engine.dialect.name
            literal = f"'\\x{chain.hex()}'" if table == "postgresql" else f"X'{chain.hex()}'"
            connection.exec_driver_sql(
                f"UPDATE changes SET {values}, chain = {literal} WHERE version = {row.version}"
            )
    assert registry.trail.verify().broken_at is None
    check = registry.trail.verify(kept)
    assert check.broken_at == kept[0]
    assert "written anew" in check.why


def test_refused_change_leaves_no_row(registry, actors, active_cards):
    active_cards(1)
    before = registry.trail.head()
    with pytest.raises(Exception, match="not registered"):
        registry.block_card(99, BlockReason.LOST, actors.bank)
    assert registry.trail.head() == before
