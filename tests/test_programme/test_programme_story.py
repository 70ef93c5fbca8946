"""The story's files: the right people in the right places, none of whom can exist."""

import csv
import runpy
import sys
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from programme.decree import DecreeFileError, read_decree
from programme.districts import districts
from programme.purses import purse_rules
from programme.registry import MerchantKind
from programme.shop_file import import_shops, read_shops, read_terminals

ROOT = Path(__file__).resolve().parents[2]
STORY = Path(str(files("lumbung").joinpath("story")))

#: Fahriza & Nurrahman 2026, Table 3.
TABLE_3 = {
    "Palaran": 77,
    "Samarinda Seberang": 145,
    "Samarinda Ulu": 103,
    "Samarinda Ilir": 62,
    "Samarinda Utara": 55,
    "Sungai Kunjang": 73,
    "Sambutan": 86,
    "Sungai Pinang": 68,
    "Samarinda Kota": 184,
    "Loa Janan Ilir": 88,
}


def test_story_people_are_941_by_district_and_cannot_be_real():
    file = read_decree(STORY / "decree-2022.csv")
    people = [row.person for row in file.rows]
    assert Counter(person.district for person in people) == TABLE_3
    assert len(people) == 941
    assert all(person.nik.startswith("99") for person in people)
    assert all(person.family_card.startswith("99") for person in people)
    assert all(person.name.endswith(" Rekaan") for person in people)
    assert {row.amount_sen for row in file.rows} == {30_000_000}
    villages = {(person.district, person.village) for person in people}
    assert len(villages) > 50
    assert file.period_first <= "2025-11" < "2026-01" <= file.period_last


def test_story_nik_carries_the_birth_date_as_every_nik_does():
    for row in read_decree(STORY / "decree-2022.csv").rows:
        day, month, year = (int(row.person.nik[at : at + 2]) for at in (6, 8, 10))
        written = row.person.birth_date
        assert (day - 40 if day > 40 else day) == int(written[8:])
        assert (month, year) == (int(written[5:7]), int(written[2:4]))


def test_story_shops_are_51_over_all_districts_and_three_that_are_refused(registry, actors):
    shops = read_shops(STORY / "merchants.csv")
    terminals = read_terminals(STORY / "terminals.csv")
    import_shops(registry, shops, terminals, key_of=lambda t: (f"tmk/{t}", "08D7B4"),
                 actor=actors.bank)  # fmt: skip
    registry.accounts.allot(1, actors.dinsos)
    food = purse_rules()[1]
    sound = [s for s in registry.all_merchants() if food.admits(s) and not s.suspended]
    assert len(sound) == 51
    assert {shop.district for shop in sound} == set(districts())
    assert {shop.kind for shop in shops} == set(MerchantKind)
    refused = {s.category: s for s in registry.all_merchants() if s not in sound}
    assert set(refused) == {"4814", "5993", "5411"}
    assert refused["4814"].designated
    assert refused["4814"].payable_accounts == refused["5993"].payable_accounts == {}
    assert refused["5411"].suspended
    assert {t.merchant_id for t in registry.all_terminals()} == {s.merchant_id for s in shops}


def test_story_files_are_what_the_script_makes(monkeypatch, capsys):
    script = str(ROOT / "scripts" / "make_story_data.py")
    monkeypatch.setattr("sys.argv", [script, "--check"])
    monkeypatch.setattr("sys.path", [*sys.path])
    assert runpy.run_path(script)["main"]() == 0, capsys.readouterr().out


def test_purse_categories_agree_with_the_rules_of_the_switch():
    path = files("switch").joinpath("data", "categories.csv")
    with path.open(encoding="utf-8") as stream:
        food = {row["code"]: row["food"] for row in csv.DictReader(stream)}
    rule = purse_rules()[1]
    assert {code for code, word in food.items() if word == "yes"} == rule.always
    assert all(food[code] == "conditional" for code in rule.conditional)


@pytest.fixture
def altered(tmp_path):
    def alter(name, old, new):
        text = (STORY / name).read_text("utf-8")
        assert old in text
        path = tmp_path / name
        path.write_text(text.replace(old, new, 1), "utf-8")
        return path

    return alter


WRONG_SHOP_FILES = [
    ("merchants.csv", "merchant_id;nama", "id;nama", (4, "file")),
    ("merchants.csv", ";kecil;Palaran", ";makro;Palaran", (5, "jenis")),
    ("merchants.csv", "EWSMDPLR0000001", "123456789012345", (5, "merchant_id")),
    ("merchants.csv", "EWSMDPLR0000002", "EWSMDPLR0000001", (6, "merchant_id")),
    ("merchants.csv", "Palaran;Bantuas;5451", "Palaran;Bantuas;54", (5, "kategori")),
    ("merchants.csv", "Palaran;Bantuas", "Palaran;Baqa", (5, "kelurahan")),
    ("merchants.csv", "ya;tidak", "yes;no", (5, "ditetapkan")),
    ("merchants.csv", ";ya;tidak", "", (5, "file")),
    ("terminals.csv", "12400001", "1240001", (3, "terminal_id")),
    ("terminals.csv", "12400002", "12400001", (4, "terminal_id")),
]


def test_wrong_shop_file_is_named_by_line_and_column(altered):
    failed = []
    for name, old, new, place in WRONG_SHOP_FILES:
        read = read_shops if name == "merchants.csv" else read_terminals
        try:
            read(altered(name, old, new))
        except DecreeFileError as error:
            if place in [(fault.line, fault.column) for fault in error.faults]:
                continue
        failed.append((name, old, new, place))
    assert failed == []


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b""])
def test_shop_file_that_cannot_be_read_is_a_clear_error(tmp_path, content):
    path = tmp_path / "shops.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DecreeFileError, match=r"shops\.csv:1: file: "):
        read_shops(path)
