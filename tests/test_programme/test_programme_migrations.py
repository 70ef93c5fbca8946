"""A registry of version 1 is led to this version, whole; a newer one is refused and left alone."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect

from programme.errors import RegistryVersionError
from programme.registry import schema
from programme.registry.migrations import STEPS
from programme.registry_port import BlockReason, CardStatus

FIXTURE = Path(__file__).resolve().parents[2] / "fixtures" / "programme" / "registry-v1.sql"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.sqlite"
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA journal_mode = WAL")
        raw.executescript(FIXTURE.read_text("utf-8"))
    raw.close()
    path.chmod(0o600)
    return path


def test_every_version_after_the_first_has_its_step():
    assert list(STEPS) == list(range(2, schema.SCHEMA_VERSION + 1))


def test_registry_of_version_1_keeps_everything_and_can_go_on(open_registry, old, actors):
    registry = open_registry(old)
    states = [(card.card_number, card.status.value) for card in registry.all_cards()]
    assert states == [(1, "active"), (2, "blocked"), (3, "replaced"), (4, "active"), (5, "printed")]
    assert registry.people.open_identity(4).name == "Sari Melati4 Rekaan"
    assert registry.decrees.get(1).state.creditable
    assert len(registry.accounts.system(1)) == 4
    assert registry.terminal("12400001").merchant_id == "EWSMDPLR0000001"
    assert registry.version == 33
    assert registry.trail.verify().broken_at is None
    steps = [(s.state, s.agency) for s in registry.shops.steps("EWSMDPLR0000002")]
    assert steps == [("registered", "Bank Penyalur"), ("suspended", "Dinsos PM")]
    registry.block_card(1, BlockReason.LOST, actors.diskominfo)
    assert registry.version == 34
    registry.close()
    again = open_registry(old)
    assert again.card(1).status is CardStatus.BLOCKED
    assert again.trail.verify().broken_at is None


def test_person_of_version_1_is_known_under_another_spelling(open_registry, old, decree_file):
    registry = open_registry(old)
    file = decree_file(1, first=9, nama="SARI MELATTI4 REKAAN", name="460/0009/HK/2026")
    (clash,) = registry.people.survey([row.person for row in file.rows]).clashes
    assert (clash.column, clash.other, clash.registered) == ("nama", 4, True)


def test_migrated_tables_are_those_of_a_new_registry(open_registry, old, tmp_path):
    open_registry(old).close()
    open_registry(tmp_path / "new.sqlite").close()
    found = []
    for path in (old, tmp_path / "new.sqlite"):
        engine = create_engine(f"sqlite:///{path}")
        look = inspect(engine)
        found.append(
            {
                table: (
                    sorted((c["name"], c["nullable"]) for c in look.get_columns(table)),
                    sorted(i["name"] for i in look.get_indexes(table)),
                )
                for table in look.get_table_names()
            }
        )
        engine.dispose()
    assert found[0] == found[1]


def test_migration_that_is_stopped_leaves_the_old_registry_whole(open_registry, old, monkeypatch):
    before = old.read_bytes()

    def power_cut(connection, sealer):
        STEPS[2](connection, sealer)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("programme.registry.migrations.STEPS", {2: power_cut})
        with pytest.raises(KeyboardInterrupt):
            open_registry(old)
    with sqlite3.connect(old) as raw:
        assert raw.execute("SELECT max(version) FROM lumbung_schema").fetchone() == (1,)
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()
    assert len(before) == old.stat().st_size
    assert open_registry(old).version == 33


def test_registry_of_a_newer_version_is_one_clear_error_and_left_alone(open_registry, old):
    newer = schema.SCHEMA_VERSION + 1
    with sqlite3.connect(old) as raw:
        raw.execute(f"INSERT INTO lumbung_schema SELECT {newer}, 0, key_check FROM lumbung_schema")
    raw.close()
    before = old.read_bytes()
    with pytest.raises(RegistryVersionError, match=f"schema version {newer}, this programme reads"):
        open_registry(old)
    assert old.read_bytes() == before
