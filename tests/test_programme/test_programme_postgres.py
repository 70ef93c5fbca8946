"""PostgreSQL behind the registry: what differs from a file, and that the results do not."""

import random
from datetime import date

import pytest

from programme.decree import import_decree, read_decree
from programme.errors import RegistryBusyError, RegistryForeignError, RegistryVersionError
from programme.registry import (
    CardRequest,
    DecreeState,
    MerchantKind,
    MerchantRequest,
    Registry,
    TerminalRequest,
)
from programme.registry.backends import backend_of
from programme.registry_port import BlockReason, CardStatus
from protocols.values import Pan, SecretBytes

pytestmark = [pytest.mark.slow, pytest.mark.service]


class StillClock:
    """A clock that two registries read alike."""

    @staticmethod
    def now_ns() -> int:
        return 1_767_575_647 * 10**9

    monotonic_ns = now_ns


@pytest.fixture
def fresh(need, postgres):
    need("postgresql")
    with postgres() as url:
        yield url


def _open(place):
    return Registry.open(
        place, hmac_key=SecretBytes(b"h" * 32), nik_key=SecretBytes(b"n" * 32), clock=StillClock,
        random_bytes=random.Random(7).randbytes,
    )  # fmt: skip


def _life(registry, actors, path):
    """Do some of everything, and give what can be read of it."""
    import_decree(registry, read_decree(path), actors.diskominfo)
    for state, actor in [("verifikasi", actors.dinsos), ("validasi", actors.dinsos),
                         ("penetapan", actors.mayor)]:  # fmt: skip
        registry.decrees.move(1, DecreeState(state), actor)
    requests = [
        CardRequest(recipient_number=number, pan=Pan(f"93600999{number:08d}"), pan_sequence="01",
                    expires_on=date(2030, 12, 31), pin_offset="123456")
        for number in range(1, 41)
    ]  # fmt: skip
    registry.cards.issue(requests, actors.diskominfo)
    registry.move_cards(range(1, 30), CardStatus.AT_BANK, actors.bank)
    registry.cards.block([3, 35], BlockReason.DECEASED, actors.dinsos)
    shop = MerchantRequest(
        merchant_id="EWSMDPLR0000001", name="E-Warong", kind=MerchantKind.KUBE,
        district="Palaran", village="Bukuan", category="0763", designated=True,
        conditional_categories=frozenset({"0763", "5300"}),
    )  # fmt: skip
    registry.shops.add_merchants([shop], actors.bank)
    terminal = TerminalRequest(
        terminal_id="12400001", home_merchant_id="EWSMDPLR0000001", key_label="tmk/1",
        key_check_value="08D7B4", logged_on=True,
    )  # fmt: skip
    registry.shops.add_terminals([terminal], actors.bank)
    registry.accounts.allot(1, actors.dinsos)
    registry.suspend("EWSMDPLR0000001", actors.dinsos, "audit")
    registry.marks.attest([2, 1], "mustahik", date(2026, 12, 31), actors.dinsos)
    return _seen(registry)


def _seen(registry):
    return (
        registry.all_cards(), registry.all_merchants(), registry.all_terminals(),
        registry.lists.cards(), registry.decrees.all(), registry.decrees.lines(1),
        registry.decrees.steps(1), registry.accounts.system(1), registry.trail.records(),
        registry.shops.steps("EWSMDPLR0000001"), [registry.cards.steps(n) for n in (1, 3, 40)],
        registry.people.open_identity(17), registry.trail.verify(),
    )  # fmt: skip


def test_both_databases_give_the_same_results_down_to_the_head_of_the_trail(
    fresh, actors, tmp_path, decree_text
):
    path = tmp_path / "decree.csv"
    path.write_text(decree_text(40), "utf-8")
    with _open(tmp_path / "one.sqlite") as one, _open(fresh) as two:
        assert _life(one, actors, path) == _life(two, actors, path)
        head = one.trail.head()
        assert head == two.trail.head()
    with _open(fresh) as again:
        assert again.trail.head() == head
        assert again.people.open_identity(40).name == "Sari Melati40 Rekaan"


def test_change_of_another_process_waits_its_turn_and_is_seen(fresh, actors, add_people):
    with _open(fresh) as one, _open(fresh) as two:
        add_people(one)
        with one._context.change(actors.bank) as unit:
            assert two.version == 0, "a reader goes on while a writer works"
            two.refresh()
            unit.record("purse", 1, "looked at")
        before = two.version
        assert two.refresh()
        assert two.version > before


@pytest.fixture
def add_people(actors, tmp_path, decree_text):
    def adder(registry):
        path = tmp_path / "few.csv"
        path.write_text(decree_text(2), "utf-8")
        import_decree(registry, read_decree(path), actors.diskominfo)

    return adder


def test_held_database_is_a_clear_error_and_nothing_changes(fresh, actors, add_people):
    with _open(fresh) as one, _open(fresh) as two:
        add_people(one)
        two.refresh()
        with two._context.storage.reading() as connection:
            connection.exec_driver_sql("SET lock_timeout = 50")
        with (
            one._context.change(actors.bank),
            pytest.raises(RegistryBusyError, match="just now"),
        ):
            two.people.attest_distinct("9972010100000001", actors.dinsos)
        two.people.attest_distinct("9972010100000001", actors.dinsos)


def test_lost_connection_is_told_and_the_next_call_goes_on(fresh, actors, add_people):
    with _open(fresh) as one, _open(fresh) as other:
        add_people(one)
        version = one.version
        with other._context.storage.transaction() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        with pytest.raises(RegistryBusyError, match="just now"):
            one.people.attest_distinct("9972010100000001", actors.dinsos)
        assert one.version == version
        one.people.attest_distinct("9972010100000001", actors.dinsos)
        assert one.version == version + 1
        assert one.trail.verify().broken_at is None


def test_foreign_database_is_refused_and_left_as_it_is(fresh):
    import psycopg

    with psycopg.connect(fresh) as raw:
        raw.execute("CREATE TABLE theirs (a integer)")
    with pytest.raises(RegistryForeignError, match="not a registry"):
        _open(fresh)
    with psycopg.connect(fresh) as raw:
        tables = raw.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert tables.fetchall() == [("theirs",)]


def test_newer_database_and_missing_database_are_refused(fresh):
    _open(fresh).close()
    import psycopg

    with psycopg.connect(fresh) as raw:
        raw.execute("INSERT INTO lumbung_schema SELECT 99, 0, key_check FROM lumbung_schema")
    with pytest.raises(RegistryVersionError, match="version 99"):
        _open(fresh)
    with pytest.raises(RegistryBusyError, match="just now"):
        _open(fresh.replace("/registry", "/nowhere"))


def test_password_of_an_address_is_in_no_text():
    address = "postgresql://city:rahasia@127.0.0.1:1/registry"
    assert "rahasia" not in backend_of(address).name
    with pytest.raises(RegistryBusyError) as refused:
        _open(address)
    assert "rahasia" not in f"{refused.value} {refused.value.internal}"
