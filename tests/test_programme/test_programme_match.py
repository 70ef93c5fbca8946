"""The three-way match: decree = bank's list = ledger; every kind of difference, and wrong lists."""

from datetime import date

import pytest

from programme.bank_list import as_report, bank_template, match_month, read_bank_list
from programme.bank_list.match import Side
from programme.decree import DecreeFileError
from programme.disbursement import disburse
from programme.errors import NotFoundError
from programme.registry_port import BlockReason
from programme.reports import as_csv, as_html
from protocols.values import mask_free_text

pytestmark = pytest.mark.slow
DAY = date(2026, 1, 20)
MONTH_SEN = 30_000_000
HEAD = "#nomor_sk: 460/0001/HK/2025\n#periode: 2026-01\n#pemisah: ;\nnik;nominal;tanggal\n"


@pytest.fixture
def bank(tmp_path):
    """Give a list of the bank: amounts in rupiah by the person's number in the decree."""

    def maker(amounts, *, head=HEAD, day="2026-01-06"):
        path = tmp_path / "bank.csv"
        lines = [f"99720101{number:08d};{amount};{day}\n" for number, amount in amounts.items()]
        path.write_text(head + "".join(lines), "utf-8")
        return read_bank_list(path)

    return maker


@pytest.fixture
def paid(ledger, registry, actors, determined):
    """Pay January to whom it may be paid: of five people one has no card, one has died."""
    decree, cards = determined(5, cards=4)
    registry.block_card(cards[3].card_number, BlockReason.DECEASED, actors.dinsos)
    disburse(ledger, registry, decree, "2026-01", None, actors.dinsos, actors.checker)
    return decree


def test_template_is_accepted_as_it_is(tmp_path):
    for delimiter in ";,":
        path = tmp_path / "bank.csv"
        path.write_text(bank_template(delimiter), "utf-8")
        found = read_bank_list(path)
        assert (found.period, found.total_sen, len(found.lines)) == ("2026-01", MONTH_SEN, 1)
        assert "9972" not in repr(found)
        assert "9972" not in repr(found.lines)


def test_list_that_says_what_decree_and_ledger_say_agrees(
    ledger, registry, actors, determined, bank
):
    decree, _cards = determined(3)
    disburse(ledger, registry, decree, "2026-01", None, actors.dinsos, actors.checker)
    found = match_month(ledger, registry, bank(dict.fromkeys((1, 2, 3), 300_000)), DAY)
    assert found.agrees
    assert (found.decree_sen, found.bank_sen, found.ledger_sen) == (3 * MONTH_SEN,) * 3
    assert (found.agreeing, found.decree_number) == (3, decree)


def test_every_difference_is_named_with_its_age(ledger, registry, paid, bank):
    listed = bank({1: 300_000, 2: 250_000, 4: 300_000, 77: 300_000}, day="2026-01-02")
    found = match_month(ledger, registry, listed, DAY)
    told = [
        (d.line, d.recipient_number, d.decree_sen, d.bank_sen, d.ledger_sen, d.side, d.why,
         d.age_days)
        for d in found.differences
    ]  # fmt: skip
    whole, part = MONTH_SEN, 25_000_000
    assert told == [
        (8, 0, 0, whole, 0, Side.ONLY_BANK, "", 18),
        (6, 2, whole, part, whole, Side.AMOUNT, "", 18),
        (0, 3, whole, 0, whole, Side.NOT_AT_BANK, "", 15),
        (7, 4, whole, whole, 0, Side.NOT_IN_LEDGER, "aid ended B03", 18),
        (0, 5, whole, 0, 0, Side.ONLY_DECREE, "no card", 15),
    ]
    assert not found.agrees
    assert found.agreeing == 1
    report = as_report(found)
    assert report.total("decree") == 4 * whole
    for text in (as_csv(report), as_html(report)):
        assert mask_free_text(text) == text
        assert "Sari" not in text
    assert "hanya di bank / only at the bank" in as_csv(report)


def test_person_whom_a_later_decree_pays_is_none_of_this_decrees(
    ledger, registry, actors, paid, determined, bank
):
    later, _cards = determined(1, first=9, name="460/0002/HK/2026")
    disburse(ledger, registry, later, "2026-01", None, actors.dinsos, actors.checker)
    (number,) = registry.people.numbers_of(["9972010100000009"]).values()
    listed = bank({1: 300_000, 2: 300_000, 3: 300_000, 9: 300_000})
    found = {
        d.recipient_number: d.side for d in match_month(ledger, registry, listed, DAY).differences
    }
    assert found[number] is Side.ONLY_BANK
    assert match_month(ledger, registry, listed, DAY).ledger_sen == 3 * MONTH_SEN


def test_month_that_was_not_paid_is_only_in_the_decree_and_another_months_credits_do_not_count(
    ledger, registry, actors, determined, bank
):
    decree, _cards = determined(2)
    disburse(ledger, registry, decree, "2026-02", None, actors.dinsos, actors.checker)
    found = match_month(ledger, registry, bank({}), DAY)
    assert [d.side for d in found.differences] == [Side.ONLY_DECREE] * 2
    assert found.ledger_sen == 0


def test_credit_is_found_although_the_card_was_replaced(
    ledger, registry, actors, determined, bank, replace_card
):
    decree, _cards = determined(1)
    disburse(ledger, registry, decree, "2026-01", None, actors.dinsos, actors.checker)
    replace_card(1, "9360099999999990")
    assert match_month(ledger, registry, bank({1: 300_000}), DAY).agrees


def test_list_of_an_unknown_decree_is_refused_in_both_languages(ledger, registry, paid, bank):
    listed = bank({1: 300_000}, head=HEAD.replace("0001", "0009"))
    with pytest.raises(NotFoundError, match=r"tidak terdaftar .* is not registered"):
        match_month(ledger, registry, listed, DAY)


WRONG = [
    ("period", lambda t: t.replace("2026-01\n", "Januari\n"), (2, "periode")),
    ("no number", lambda t: t.replace("#nomor_sk: 460/0001/HK/2025\n", ""), (1, "nomor_sk")),
    ("delimiter", lambda t: t.replace("#pemisah: ;", "#pemisah: |"), (3, "pemisah")),
    ("other delimiter", lambda t: t.replace("pemisah: ;", "pemisah: ,"), (4, "file")),
    ("header", lambda t: t.replace("nik;nominal", "nominal;nik"), (4, "file")),
    ("NIK of 15", lambda t: t.replace("9972010100000001", "997201010000001"), (5, "nik")),
    ("NIK twice", lambda t: t.replace("9972010100000002", "9972010100000001"), (6, "nik")),
    ("amount", lambda t: t.replace(";300000;", ";300.000;", 1), (5, "nominal")),
    ("negative", lambda t: t.replace(";300000;", ";-300000;", 1), (5, "nominal")),
    ("date", lambda t: t.replace("2026-01-06", "06/01/2026", 1), (5, "tanggal")),
    ("no such day", lambda t: t.replace("2026-01-06", "2026-02-31", 1), (5, "tanggal")),
    ("cells", lambda t: t.replace(";2026-01-06", "", 1), (5, "file")),
    ("encoding", lambda t: t.encode("utf-16"), (1, "file")),
    ("empty", lambda t: "", (1, "file")),
]  # fmt: skip


@pytest.mark.parametrize(("change", "place"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_wrong_list_is_named_by_line_and_column(tmp_path, change, place):
    path = tmp_path / "bank.csv"
    lines = "".join(f"997201010000000{n};300000;2026-01-06\n" for n in (1, 2))
    changed = change(HEAD + lines)
    path.write_bytes(changed if isinstance(changed, bytes) else changed.encode())
    with pytest.raises(DecreeFileError) as wrong:
        read_bank_list(path)
    fault = wrong.value.faults[0]
    assert (fault.line, fault.column) == place
    assert "9972" not in str(wrong.value)
