"""Parts that the programme's tests share: a clock that moves, a seeded generator, real stores."""

import itertools
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest

from ledger import open_ledger
from ledger.port import Ledger
from programme.actors import Actor, Agency
from programme.decree import DecreeFile, import_decree, read_decree
from programme.decree.columns import columns
from programme.decree.template import template
from programme.disbursement import DisbursementResult, disburse
from programme.registry import (
    CardRequest,
    DecreeState,
    MerchantKind,
    MerchantRequest,
    Registry,
    TerminalRequest,
)
from programme.registry_port import CardStatus, CardView, MerchantView, TerminalView
from protocols.values import Pan, SecretBytes
from tests.test_programme.disbursement_kit import MONTH_SEN

START_NS = 1_767_575_647 * 10**9


class StepClock:
    """UTC that moves one millisecond at each look."""

    def __init__(self) -> None:
        self._now_ns = START_NS

    def now_ns(self) -> int:
        self._now_ns += 1_000_000
        return self._now_ns

    def monotonic_ns(self) -> int:
        return self.now_ns()

    def move(self, *, days: int) -> None:
        """Let days go by."""
        self._now_ns += days * 86_400 * 10**9


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a directory in memory where the system has one: hundreds of syncs cost nothing there."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield tmp_path_factory.mktemp("programme")
        return
    with tempfile.TemporaryDirectory(prefix="lumbung-test-", dir=memory) as directory:
        yield Path(directory)


@pytest.fixture
def clock() -> StepClock:
    return StepClock()


@pytest.fixture
def random_bytes() -> Callable[[int], bytes]:
    return random.Random(20260105).randbytes


@pytest.fixture
def actors() -> SimpleNamespace:
    return SimpleNamespace(
        diskominfo=Actor(Agency.DISKOMINFO, "staf-01"),
        dinsos=Actor(Agency.DINSOS_PM, "staf-02"),
        checker=Actor(Agency.DINSOS_PM, "staf-03"),
        mayor=Actor(Agency.WALI_KOTA, "wali kota"),
        bank=Actor(Agency.BANK, "bank-01"),
        switch=Actor(Agency.SWITCH, "switch"),
        shop=Actor(Agency.E_WARONG, "operator-01"),
    )


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Give the bytes of a fresh registry: making tables anew for each test is what costs."""
    path = tmp_path_factory.mktemp("empty") / "registry.sqlite"
    Registry.open(
        path,
        hmac_key=SecretBytes(b"h" * 32),
        nik_key=SecretBytes(b"n" * 32),
        clock=StepClock(),
        random_bytes=random.Random(1).randbytes,
    ).close()
    return path.read_bytes()


#: Files whose tests run on PostgreSQL too: the same calls give the same results.
BOTH_DATABASES = frozenset(
    f"test_programme_{name}"
    for name in (
        "api", "api_schema", "audit", "decree_diff", "disbursement", "equations", "match",
        "proposals", "proxies", "registry", "refunds", "reports", "roles", "spelling", "sweep",
    )
)  # fmt: skip


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.module.__name__.rpartition(".")[2] not in BOTH_DATABASES:
        return
    if "database" in metafunc.fixturenames:
        second = pytest.param("postgresql", marks=[pytest.mark.slow, pytest.mark.service])
        metafunc.parametrize("database", ["sqlite", second], indirect=True)


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    return getattr(request, "param", "sqlite")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], AbstractContextManager[str]]]:
    """Give what makes an empty database on a private server, gives its URL, and drops it."""
    psycopg = pytest.importorskip("psycopg")
    from tests.bench.postgres_server import START_S, Server

    # Not under pytest's own folder, which the server's user may not enter. Without syncs: what
    # these tests ask is whether both databases say the same.
    folder = Path(tempfile.mkdtemp(prefix="lumbung-pg-"))
    folder.chmod(0o755)
    server = Server(folder, fsync="off")
    where = f"host={server.directory} user=bench"
    deadline = time.monotonic() + START_S
    while True:
        try:
            admin = psycopg.connect(f"{where} dbname=postgres", autocommit=True)
            break
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    numbers = itertools.count(1)

    @contextmanager
    def fresh() -> Iterator[str]:
        name = f"registry{next(numbers)}"
        admin.execute(f"CREATE DATABASE {name}")
        yield f"postgresql://bench@/{name}?host={server.directory}"
        # Hundreds of them would fill the disk, and the server's end would write them all out.
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")

    yield fresh
    admin.close()
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def registry_place(
    database: str, tmp_path: Path, empty_registry: bytes, request: pytest.FixtureRequest
) -> Iterator[Path | str]:
    """Give where the test's registry is: a file, or the address of a database of its own."""
    if database == "postgresql":
        request.getfixturevalue("need")("postgresql")
        with request.getfixturevalue("postgres")() as url:
            yield url
        return
    path = tmp_path / "registry.sqlite"
    path.write_bytes(empty_registry)
    path.chmod(0o600)
    yield path


@pytest.fixture
def open_registry(registry_place: Path | str, clock: StepClock, random_bytes) -> Iterator[Callable]:
    opened = []

    def opener(path: Path | str | None = None, *, hmac: bytes = b"h" * 32, nik: bytes = b"n" * 32):
        registry = Registry.open(
            path or registry_place,
            hmac_key=SecretBytes(hmac),
            nik_key=SecretBytes(nik),
            clock=clock,
            random_bytes=random_bytes,
        )
        opened.append(registry)
        return registry

    yield opener
    for registry in opened:
        registry.close()


@pytest.fixture
def registry(open_registry) -> Registry:
    return open_registry()


@pytest.fixture
def ledger(tmp_path: Path, clock: StepClock, random_bytes) -> Iterator[Ledger]:
    opened = open_ledger(
        tmp_path / "ledger",
        now_ns=clock.now_ns,
        random_bytes=random_bytes,
        engine="pure",
        segment_size=1 << 20,
    )
    yield opened
    opened.close()


def _decree_text(count: int, *, first: int = 1, name: str = "460/0001/HK/2025", **changes) -> str:
    """Give a decree file of `count` people; `changes` override a cell of the last one."""
    lines = template().splitlines()[:-1]
    lines[0] = f"#nomor_sk: {name}"
    for index in range(first, first + count):
        cells = {
            "nik": f"99720101{index:08d}",
            "nama": f"Sari Melati{index} Rekaan",
            "tanggal_lahir": "1990-01-01",
            "nomor_kk": f"99720202{index:08d}",
            "alamat": f"Jalan Lumbung {index}",
            "kelurahan": "Bukuan",
            "kecamatan": "Palaran",
            "nominal": "300000",
            "hasil_verifikasi": "layak",
        }
        if index == first + count - 1:
            cells.update(changes)
        lines.append(";".join(cells[field.name] for field in columns()))
    return "\n".join(lines) + "\n"


@pytest.fixture
def decree_file(tmp_path: Path) -> Callable[..., DecreeFile]:
    def maker(count: int, **changes) -> DecreeFile:
        path = tmp_path / f"decree-{count}.csv"
        path.write_text(_decree_text(count, **changes), "utf-8")
        return read_decree(path)

    return maker


@pytest.fixture
def determined(registry: Registry, actors, decree_file) -> Callable[..., tuple[int, list]]:
    """Import a decree, walk it to `penetapan`, give every person an active card."""

    def maker(count: int, *, cards: int | None = None, **changes) -> tuple[int, list[CardView]]:
        before = registry.people.count()
        decree = import_decree(registry, decree_file(count, **changes), actors.diskominfo).decree
        number = decree.decree_number
        registry.decrees.move(number, DecreeState.VERIFICATION, actors.dinsos)
        registry.decrees.move(number, DecreeState.VALIDATION, actors.dinsos)
        registry.decrees.move(number, DecreeState.DETERMINATION, actors.mayor)
        wanted = range(before + 1, before + 1 + (count if cards is None else cards))
        return number, _issue_active(registry, actors, wanted)

    return maker


def _card_request(recipient: int, pan: str | None = None, **changes) -> CardRequest:
    given = {
        "recipient_number": recipient,
        "pan": Pan(pan or f"93600999{recipient:08d}"),
        "pan_sequence": "01",
        "expires_on": date(2030, 12, 31),
        "pin_offset": "123456",
    }
    return CardRequest(**{**given, **changes})


def _issue_active(registry: Registry, actors, recipients) -> list[CardView]:
    issued = registry.cards.issue(
        [_card_request(number) for number in recipients], actors.diskominfo
    )
    numbers = [card.card_number for card in issued]
    registry.move_cards(numbers, CardStatus.AT_BANK, actors.diskominfo)
    registry.move_cards(numbers, CardStatus.COLLECTED, actors.bank)
    registry.move_cards(numbers, CardStatus.ACTIVE, actors.bank)
    return [registry.card(number) for number in numbers]


@pytest.fixture
def decree_text() -> Callable[..., str]:
    return _decree_text


@pytest.fixture
def card_request() -> Callable[..., CardRequest]:
    return _card_request


@pytest.fixture
def people(registry: Registry, actors, decree_file) -> Callable[[int], list[int]]:
    """Register people through a decree; give their numbers."""

    def maker(count: int) -> list[int]:
        import_decree(registry, decree_file(count), actors.diskominfo)
        return list(range(1, count + 1))

    return maker


@pytest.fixture
def active_cards(registry: Registry, actors, people) -> Callable[[int], list[CardView]]:
    def maker(count: int) -> list[CardView]:
        return _issue_active(registry, actors, people(count))

    return maker


@pytest.fixture
def add_shop(registry: Registry, actors) -> Callable[..., MerchantView]:
    """Register an E-Warong of Bukuan; `changes` override a field."""

    def adder(merchant_id: str = "EWSMDPLR0000001", **changes) -> MerchantView:
        request = MerchantRequest(
            merchant_id=merchant_id,
            name="E-Warong Berkah",
            kind=MerchantKind.MICRO,
            district="Palaran",
            village="Bukuan",
            category="5411",
        )
        return registry.shops.add_merchants([replace(request, **changes)], actors.bank)[0]

    return adder


@pytest.fixture
def add_terminal(registry: Registry, actors) -> Callable[..., TerminalView]:
    """Register terminal 12400001 at the shop of `add_shop`; `changes` override a field."""

    def adder(**changes) -> TerminalView:
        request = TerminalRequest(
            terminal_id="12400001",
            home_merchant_id="EWSMDPLR0000001",
            key_label="tmk/12400001",
            key_check_value="08d7b4",
        )
        return registry.shops.add_terminals([replace(request, **changes)], actors.bank)[0]

    return adder


@pytest.fixture
def replace_card(registry: Registry, actors) -> Callable[[int, str], CardView]:
    def replacer(card_number: int, pan: str) -> CardView:
        return registry.cards.replace(
            card_number,
            pan=Pan(pan),
            pan_sequence="02",
            expires_on=date(2031, 12, 31),
            pin_offset="000000",
            actor=actors.diskominfo,
        )

    return replacer


@pytest.fixture
def pay(ledger: Ledger, registry: Registry, actors) -> Callable[..., DisbursementResult]:
    """Give what pays a month of a decree."""

    def payer(decree, period="2026-01", amount_sen=MONTH_SEN, *, on=None, **changes):
        given = {"actor": actors.dinsos, "checker": actors.checker, **changes}
        return disburse(on or ledger, registry, decree, period, amount_sen, **given)

    return payer
