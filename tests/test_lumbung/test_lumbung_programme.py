"""The programme's commands on a small city: lock, officers, masked output, exit codes, JSON."""

import json
import random
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ledger import open_ledger
from lumbung.cli import exit_code_of, root
from lumbung.composition import compose
from lumbung.data_directory import DataDirectory
from lumbung.system import SystemClock, system_random
from programme.accounts import open_purse
from programme.actors import Actor, Agency
from programme.decree.template import template
from programme.registry import CardRequest, MerchantKind, MerchantRequest
from programme.registry_port import CardStatus
from protocols.errors import LumbungError
from protocols.values import Pan, mask_free_text

OFFICER = ("--officer", "diskominfo:staf-01")
SIGNED = ("--maker", "dinsos-01", "--checker", "dinsos-02")
BANK = Actor(Agency.BANK, "bank-01")
DISKOMINFO = Actor(Agency.DISKOMINFO, "staf-01")


def decree_text(count: int, name: str) -> str:
    head, sample = template().splitlines()[:-1], template().splitlines()[-1].split(";")
    rows = []
    for index in range(1, count + 1):
        cells = [*sample]
        cells[0], cells[3] = f"99720101{index:08d}", f"99720202{index:08d}"
        cells[1] = f"Sari Melati{index} Rekaan"
        rows.append(";".join(cells))
    text = "\n".join([*head, *rows]) + "\n"
    return text.replace("460/0941/HK-KS/2025", name)


@dataclass(frozen=True)
class Ran:
    code: int
    text: str

    def json(self) -> Any:
        return json.loads(self.text)


def run(*arguments: str) -> Ran:
    """Run a command in this process as `main` would: an operating error gives its exit code."""
    done = CliRunner().invoke(root, ["programme", *arguments])
    if isinstance(done.exception, LumbungError):
        return Ran(exit_code_of(done.exception), f"{done.output}{done.exception.external}")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Ran(done.exit_code, done.output)


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """Give a folder in memory where the system has one: syncs cost nothing there."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def made(memory: Path) -> Path:
    """Make a city of three people with cards, one shop, an empty small ledger."""
    path = memory / "made"
    file = memory / "decree.csv"
    file.write_text(decree_text(3, "460/0001/HK/2025"), "utf-8")
    with DataDirectory.open(path, kind="story", seed=3, created="2026-01-05") as data:
        random_bytes = random.Random(3).randbytes
        open_ledger(data.ledger, now_ns=SystemClock().now_ns, random_bytes=random_bytes,
                    segment_size=1 << 20).close()  # fmt: skip
        with compose(data, SystemClock(), lambda _part: system_random) as parts:
            shop = MerchantRequest(
                merchant_id="EWSMDPLR0000001", name="E-Warong Berkah", kind=MerchantKind.MICRO,
                district="Palaran", village="Bukuan", category="5411", designated=True,
            )  # fmt: skip
            parts.registry.shops.add_merchants([shop], BANK)
    assert run("import", str(file), "--data", str(path)).code == 0
    with (
        DataDirectory.open(path, kind="story", seed=3, created="") as data,
        compose(data, SystemClock(), lambda _part: system_random) as parts,
    ):
        requests = [
            CardRequest(
                recipient_number=number, pan=Pan(f"93600999{number:08d}"), pan_sequence="01",
                expires_on=date(2030, 12, 31), pin_offset="123456",
            )
            for number in (1, 2, 3)
        ]  # fmt: skip
        parts.registry.cards.issue(requests, DISKOMINFO)
        parts.registry.move_cards([1, 2], CardStatus.AT_BANK, BANK)
        parts.registry.move_cards([1, 2], CardStatus.COLLECTED, BANK)
        open_purse(parts.ledger, parts.registry, 1, BANK)
    return path


@pytest.fixture
def city(made: Path, memory: Path) -> Iterator[str]:
    copy = memory / "city"
    shutil.copytree(made, copy)
    yield str(copy)
    shutil.rmtree(copy)


@pytest.fixture
def determined(city: str) -> str:
    for stage, who in [("verifikasi", "dinsos:d-01"), ("validasi", "dinsos:d-01"),
                       ("penetapan", "wali-kota:wk")]:  # fmt: skip
        moved = run("import", "--data", city, "--decree", "1", "--stage", stage, "--officer", who)
        assert moved.code == 0
    return city


def test_decree_goes_from_file_to_money_to_report_at_the_command_line(
    determined: str, memory: Path
) -> None:
    city = determined
    stages = run("import", "--data", city, "--decree", "1", "--json").json()
    assert [row["stage"] for row in stages["stages"]] == [
        "integrasi", "verifikasi", "validasi", "penetapan",
    ]  # fmt: skip
    paid = run("disburse", city, "--decree", "1", "--period", "2026-01", *SIGNED,
               "--amount", "300000", "--json")  # fmt: skip
    values = json.loads(paid.text.splitlines()[-1])
    assert (paid.code, values["credited"], values["balanced"]) == (0, 3, True)
    assert (values["maker"], values["checker"]) == ("Dinsos PM/dinsos-01", "Dinsos PM/dinsos-02")
    again = run("disburse", city, "--decree", "1", "--period", "2026-01", *SIGNED)
    assert "had it before       3  Rp900.000" in again.text
    shown = run("card", "show", "1", "--data", city, "--json").json()["cards"][0]
    assert (shown["balance_sen"], shown["zero_reason"]) == (30_000_000, "not yet activated")
    assert [month["period"] for month in shown["months"]] == ["2026-01"]
    out = memory / "report.html"
    for name in ("disbursement", "balances", "uncollected", "turnover"):
        done = run("report", name, "--data", city, "--out", str(out), "--date", "2099-01-01")
        assert done.code == 0, done.text
        assert out.read_text("utf-8").startswith("<!doctype html>")
    rows = run("report", "balances", "--data", city, "--json").json()["rows"]
    assert [(row["accounts"], row["left"]) for row in rows] == [(3, 90_000_000)]
    planned = run("sweep", city, "--dry-run", "--date", "2027-01-01", "--json").json()
    assert (planned["total_sen"], len(planned["tranches"])) == (90_000_000, 3)
    swept = run("sweep", city, *SIGNED, "--date", "2026-01-31", "--json").json()
    assert swept["swept"] == []
    assert run("sweep", city, "--held", "--json").json()["total_sen"] == 0


@pytest.mark.slow
def test_card_lives_at_the_command_line_and_says_who_acted(city: str) -> None:
    data = ("--data", city)
    assert run("card", "activate", "1", "2", *data, "--officer", "bank:b-01").code == 0
    blocked = run("card", "block", "1", *data, "--reason", "B01", *OFFICER, "--json").json()
    assert (blocked["cards"][0]["status"], blocked["cards"][0]["reason"]) == ("blocked", "B01")
    assert blocked["cards"][0]["by"] == "Diskominfo/staf-01"
    assert "active, by Diskominfo/staf-01" in run("card", "unblock", "1", *data, *OFFICER).text
    listed = run("card", "list", *data, "--status", "active", "--json").json()["cards"]
    assert [card["card"] for card in listed] == [1, 2]
    table = run("card", "list", *data).text
    assert mask_free_text(table) == table
    assert "Melati" not in table


def test_replacement_keeps_the_account_and_leaves_chip_and_letter_unseen(city: str) -> None:
    done = run("card", "replace", "1", "--data", city, *OFFICER, "--json")
    (card,) = done.json()["cards"]
    assert (card["card"], card["replaces"], card["status"]) == (4, 1, "printed")
    folder = Path(city) / "cards"
    letter = folder / "pin-000004.txt"
    pin = letter.read_text("ascii").split()[-1]
    assert len(pin) == 6
    assert pin not in done.text
    for path in (letter, folder / "card-000004.json"):
        assert path.stat().st_mode & 0o777 == 0o600
    old = run("card", "show", "1", "--data", city, "--json").json()["cards"][0]
    assert (old["status"], old["zero_reason"]) == ("replaced", "replaced or closed")
    again = run("card", "replace", "1", "--data", city, *OFFICER)
    assert (again.code, "cannot be replaced again" in again.text) == (1, True)
    assert sorted(path.name for path in folder.iterdir()) == ["card-000004.json", "pin-000004.txt"]


@pytest.mark.slow
def test_shop_is_added_designated_suspended_and_resumed(city: str) -> None:
    data = ("--data", city)
    added = run("merchant", "add", "EWBARU1", *data, "--officer", "bank:b-01", "--name", "Toko",
                "--kind", "mikro", "--district", "Palaran", "--village", "Bantuas",
                "--category", "5499")  # fmt: skip
    assert added.code == 0, added.text
    states = []
    for action in ("designate", "suspend", "resume"):
        done = run("merchant", action, "EWBARU1", *data, "--officer", "dinsos:d-01", "--reason",
                   "audit", "--json")  # fmt: skip
        states.append(done.json()["state"])
    assert states == ["designated", "suspended", "designated"]
    listed = run("merchant", "list", *data, "--district", "Palaran", "--json").json()["merchants"]
    assert [shop["merchant"] for shop in listed] == ["EWSMDPLR0000001", "EWBARU1"]
    assert "Palaran" in run("merchant", "show", "EWBARU1", *data).text


@pytest.mark.slow
def test_later_decree_is_compared_dry_and_writes_nothing(city: str, memory: Path) -> None:
    file = memory / "later.csv"
    file.write_text(decree_text(5, "460/0002/HK/2026"), "utf-8")
    before = {path.name: path.read_bytes() for path in Path(city).glob("*.*")}
    values = run("import", str(file), "--data", city, "--dry-run", "--json").json()
    assert (values["applied"], values["diff"]["new_lines"]) == (False, [14, 15])
    assert values["diff"]["known"] == 3
    after = {path.name: path.read_bytes() for path in Path(city).glob("*.*")}
    assert {name for name in before if before[name] != after[name]} <= {"registry.sqlite-shm"}
    taken = run("import", str(file), "--data", city)
    assert "stage integrasi: 2 new people, 0 changed" in taken.text


@dataclass(frozen=True)
class Wrong:
    arguments: tuple[str, ...]
    code: int
    text: str


WRONG = [
    Wrong(("card", "block", "9", "--reason", "B01", *OFFICER), 1, "card 9 is not registered"),
    Wrong(("card", "block", "1", *OFFICER), 2, "say why with --reason"),
    Wrong(("card", "block", "1", "--reason", "B99", *OFFICER), 2, "B99"),
    Wrong(("card", "block", "1", "--reason", "B01"), 2, "say who acts with --officer"),
    Wrong(("card", "block", "1", "--reason", "B01", "--officer", "rw:x"), 2, "write agency:name"),
    Wrong(("card", "activate", "3", *OFFICER), 1, "cannot become `active`"),
    Wrong(("card", "unblock", "1", *OFFICER), 1, "nothing to unblock"),
    Wrong(("card", "replace", "1", "--officer", "dinsos:d-01"), 1, "may not do `card.replaced`"),
    Wrong(("card", "show"), 2, "give the registry number"),
    Wrong(("merchant", "suspend", "NONE", "--reason", "x", "--officer", "dinsos:d"), 1, "NONE is"),
    Wrong(
        ("merchant", "designate", "EWSMDPLR0000001", *OFFICER), 1, "may not do `merchant.designate`"
    ),
    Wrong(("merchant", "add", "EWX", *OFFICER), 2, "--name, --kind"),
    Wrong(("report", "umum"), 2, "umum"),
    Wrong(("report", "balances", "--out", "x.pdf"), 2, ".csv or .html"),
    Wrong(("import", "--decree", "7"), 1, "decree 7 is not registered"),
]
WRONG_IN_DIRECTORY = [
    Wrong(("disburse", "--decree", "1", "--period", "2026-01", *SIGNED), 1, "not determined"),
    Wrong(("disburse", "--decree", "1", "--period", "2026-01", "--maker", "a", "--checker", "A"),
          1, "same person"),
    Wrong(("disburse", "--decree", "5", "--period", "2026-01", *SIGNED), 1, "not registered"),
    Wrong(("sweep",), 2, "give --maker"),
    Wrong(("sweep", "--release", "1", *SIGNED), 2, "--year"),
    Wrong(("sweep", "--date", "2999-01-01", *SIGNED), 1, "has not come yet"),
    Wrong(("sweep", "--maker", "a", "--checker", "bank:A"), 1, "same person"),
]  # fmt: skip


@pytest.mark.slow
def test_every_wrong_call_has_its_exit_code_and_a_clear_word_and_changes_nothing(
    city: str,
) -> None:
    calls = [(wrong, (*wrong.arguments, "--data", city)) for wrong in WRONG]
    calls += [(w, (w.arguments[0], city, *w.arguments[1:])) for w in WRONG_IN_DIRECTORY]
    before = run("card", "list", "--data", city, "--json").text
    failed = []
    for wrong, arguments in calls:
        done = run(*arguments)
        if done.code != wrong.code or wrong.text not in " ".join(done.text.split()):
            failed.append((wrong, done))
    assert failed == []
    assert run("card", "list", "--data", city, "--json").text == before


def test_directory_in_use_is_refused_for_changes_and_open_for_looking(city: str) -> None:
    with DataDirectory.open(Path(city), kind="story", seed=3, created=""):
        done = run("card", "block", "1", "--reason", "B01", "--data", city, *OFFICER)
        assert (done.code, "in use by another lumbung process" in done.text) == (3, True)
        assert run("card", "list", "--data", city).code == 0
