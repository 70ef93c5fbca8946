"""The first reports: figures are the ledger's to the rupiah, the same bytes twice, nobody named."""

import csv
import io
import re
from dataclasses import replace
from datetime import date

import pytest

from ledger.structures import Transfer
from programme.accounts import chart_of
from programme.chart import SaleData, TransferCode
from programme.disbursement import disburse
from programme.errors import NotFoundError, ReportError
from programme.policy import LeftOver, YearEndRule
from programme.registry_port import CardStatus
from programme.reports import REPORT_NAMES, as_csv, as_html, build_report
from programme.reports.table import layouts
from programme.sweep import sweep
from protocols.values import mask_free_text

MONTH_SEN = 30_000_000
DAY = date(2026, 1, 20)


@pytest.fixture
def city(ledger, registry, actors, determined, add_shop, card_request):
    """A small city: sales, a refund and its undoing, a sweep, a card that waits."""
    add_shop(designated=True, name="=Toko <Berkah> & Anak")
    add_shop("EWSMDPLR0000002", designated=True, name="E-Warong Sepi", village="Bantuas")
    decree, cards = determined(4, cards=3, kelurahan="Bantuas")
    registry.cards.issue([card_request(4)], actors.diskominfo)
    for period in ("2025-12", "2026-01"):
        disburse(ledger, registry, decree, period, None, actors.dinsos, actors.checker)
    shop = chart_of(registry, 1).payables[1]
    sale = Transfer(
        id=71, debit_account_id=cards[0].account_id, credit_account_id=shop, amount=12_345_600,
        ledger=1, code=TransferCode.PURCHASE, user_data_64=SaleData(1, DAY, 1).pack(),
    )  # fmt: skip
    undo = replace(
        sale, id=73, debit_account_id=shop, credit_account_id=cards[1].account_id,
        amount=2_000_000, code=TransferCode.REFUND, user_data_128=72,
    )  # fmt: skip
    posted = [
        sale,
        replace(sale, id=72, debit_account_id=cards[1].account_id, amount=5_000_000),
        undo,
        replace(sale, id=74, debit_account_id=cards[1].account_id, amount=500_000,
                code=TransferCode.RESTORATION, user_data_128=72),
    ]  # fmt: skip
    assert {r.status.name for r in ledger.create_transfers(posted)} == {"CREATED"}
    rule = LeftOver(months=1, year_end=YearEndRule.HOLD)
    sweep(ledger, registry, 1, date(2026, 2, 1), actors.dinsos, actors.checker, rule=rule)
    return decree, cards


def _sum(accounts):
    return sum(account.credit_balance for account in accounts)


def test_balances_are_the_ledgers_to_the_sen_in_every_village(ledger, registry, city):
    _decree, _cards = city
    report = build_report("balances", ledger, registry, DAY)
    chart = chart_of(registry, 1)
    assert report.total("left") == _sum(ledger.lookup_accounts(list(chart.cards)))
    for row in report.rows:
        _district, _village, _count, credited, released, spent, swept, left = row
        assert credited + released - spent - swept == left
    assert [row[:3] for row in report.rows] == [("Palaran", "Bantuas", 1), ("Palaran", "Bukuan", 3)]
    assert report.total("spent") == 12_345_600 + 5_000_000 - 2_000_000 + 500_000
    assert report.total("swept") > 0


def test_turnover_is_what_the_payables_hold(ledger, registry, city):
    report = build_report("turnover", ledger, registry, DAY)
    payables = chart_of(registry, 1).payables
    assert report.total("owed") == _sum(ledger.lookup_accounts(list(payables.values())))
    for row in report.rows:
        gross, back, net, paid_out, owed = row[6:]
        assert (gross - back, net - paid_out) == (net, owed)
    assert [row[2:3] + row[5:6] for row in report.rows] == [
        ("EWSMDPLR0000002", 0), ("EWSMDPLR0000001", 2),
    ]  # fmt: skip


def test_disbursement_is_what_cards_were_credited(ledger, registry, city):
    decree, _cards = city
    report = build_report("disbursement", ledger, registry, DAY)
    assert [(row[1], row[3], row[5]) for row in report.rows] == [
        ("2025-12", 4, 4), ("2026-01", 4, 4),
    ]  # fmt: skip
    credited = [
        entry.transfer.amount
        for entry in ledger.entries()
        if entry.transfer.code == TransferCode.DISBURSEMENT
    ]
    assert report.total("credited") == sum(credited) == report.total("total")
    assert report.total("held") == 0
    assert {row[8:] for row in report.rows} == {("Dinsos PM/staf-02", "Dinsos PM/staf-03")}
    assert report.rows[0][0] == registry.decrees.get(decree).name


def test_month_without_a_finished_run_has_no_signatures(ledger, registry, actors, determined):
    decree, _cards = determined(3)

    def die_after_two(transfers):
        if transfers[0].code == TransferCode.DISBURSEMENT:
            ledger.create_transfers(transfers[:2])
            raise KeyboardInterrupt
        return ledger.create_transfers(transfers)

    with pytest.raises(KeyboardInterrupt):
        disburse(ledger, registry, decree, "2026-01", None, actors.dinsos, actors.checker,
                 post=die_after_two)  # fmt: skip
    (row,) = build_report("disbursement", ledger, registry, DAY).rows
    assert row[3:] == (3, 3 * MONTH_SEN, 2, 2 * MONTH_SEN, MONTH_SEN, "", "")


def test_uncollected_cards_wait_since_their_last_step(ledger, registry, actors, city):
    before = build_report("uncollected", ledger, registry, DAY)
    assert [(r[1], r[2], r[4], r[5], r[6]) for r in before.rows] == [
        ("Bantuas", "4", "dicetak", "2026-01-05", 15),
    ]  # fmt: skip
    registry.move_cards([4], CardStatus.AT_BANK, actors.bank)
    assert build_report("uncollected", ledger, registry, DAY).rows[0][4] == "di bank"
    registry.move_cards([4], CardStatus.COLLECTED, actors.bank)
    assert build_report("uncollected", ledger, registry, DAY).rows == ()


def test_semester_opens_with_what_the_one_before_closed_and_sums_to_the_ledger(
    ledger, registry, actors, city, clock, replace_card
):
    clock.move(days=200)
    disburse(ledger, registry, 1, "2026-07", None, actors.dinsos, actors.checker)
    replace_card(1, "9360099999999990")
    chart = chart_of(registry, 1)
    shop = chart.payables[1]
    sale = Transfer(
        id=81, debit_account_id=registry.card(2).account_id, credit_account_id=shop,
        amount=700_000, ledger=1, code=TransferCode.PURCHASE,
        user_data_64=SaleData(2, DAY, 2).pack(),
    )  # fmt: skip
    assert ledger.create_transfers([sale])[0].status.name == "CREATED"
    first = build_report("semester", ledger, registry, date(2026, 6, 30))
    second = build_report("semester", ledger, registry, date(2026, 12, 31))
    for report in (first, second):
        for row in report.rows:
            _district, _paid, opening, credited, released, spent, swept, closing, *_ = row
            assert opening + credited + released - spent - swept == closing
        assert report.total("spent") == report.total("turnover")
    assert first.total("opening") == 0
    assert first.total("closing") == second.total("opening") > 0
    assert second.total("closing") == _sum(ledger.lookup_accounts(list(chart.cards)))
    assert [(r.total("paid"), r.total("sales"), r.total("printed")) for r in (first, second)] == [
        (4, 2, 4), (4, 1, 1),
    ]  # fmt: skip
    assert second.total("print_cost") == 25_000 * 100
    early = build_report("semester", ledger, registry, date(2026, 1, 4))
    assert (early.total("credited"), early.total("printed")) == (0, 0)


def test_printing_counts_first_cards_and_replacements_with_their_cost(
    ledger, registry, actors, city, replace_card, clock
):
    clock.move(days=40)
    replace_card(2, "9360099999999981")
    replace_card(5, "9360099999999973")
    rows = build_report("printing", ledger, registry, DAY).rows
    assert rows == (
        ("2026-01", "Palaran", 4, 0, 4 * 25_000 * 100),
        ("2026-02", "Palaran", 0, 2, 2 * 25_000 * 100),
    )


def test_every_report_twice_is_the_same_and_names_nobody(ledger, registry, city):
    people = [registry.people.open_identity(number) for number in range(1, 5)]
    for name in REPORT_NAMES:
        report = build_report(name, ledger, registry, DAY)
        again = build_report(name, ledger, registry, DAY)
        text = as_csv(report)
        assert (text, as_html(report)) == (as_csv(again), as_html(again)), name
        assert mask_free_text(text) == text, name
        for person in people:
            assert person.name not in as_html(report), name
            assert person.nik not in as_html(report), name


def test_csv_is_read_back_with_both_languages_and_no_formula(ledger, registry, city):
    report = build_report("turnover", ledger, registry, DAY)
    header, *rows = csv.reader(io.StringIO(as_csv(report)), delimiter=";")
    assert header[0] == "Kecamatan / District"
    assert rows[1][3] == "'=Toko <Berkah> & Anak"
    net = [column.key for column in report.layout.columns].index("net")
    assert rows[1][net] == str((12_345_600 + 5_000_000 - 1_500_000) // 100)


def test_html_stands_alone_escapes_and_prints(ledger, registry, city):
    for name in REPORT_NAMES:
        report = build_report(name, ledger, registry, DAY)
        page = as_html(report)
        assert "default-src 'none'" in page
        assert not re.search(r"<script|src=|href=|url\(|@import|https?:", page), name
        assert "@media print" in page
        assert page.count("<tr>") == len(report.rows) + 1 + (report.totals() is not None)
    page = as_html(build_report("turnover", ledger, registry, DAY))
    assert "=Toko &lt;Berkah&gt; &amp; Anak" in page
    assert "<Berkah>" not in page


def test_layouts_say_both_languages_and_a_source():
    for name, layout in layouts().items():
        assert layout.title_id != layout.title_en, name
        assert layout.source
        assert all(column.id and column.en for column in layout.columns), name
    assert tuple(layouts()) == REPORT_NAMES


def test_report_over_a_ledger_that_never_rests_is_refused(ledger, registry, city):
    class Restless:
        def __init__(self):
            self.looked = 0

        def __getattr__(self, name):
            return getattr(ledger, name)

        def checkpoint(self):
            self.looked += 1
            return {**ledger.checkpoint(), "sequence": self.looked}

    with pytest.raises(ReportError, match="grew"):
        build_report("balances", Restless(), registry, DAY)
    with pytest.raises(NotFoundError, match="no report umum"):
        build_report("umum", ledger, registry, DAY)
