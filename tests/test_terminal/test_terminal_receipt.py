"""Receipts equal their golden files; domain.md 4.5 is the first of them."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.catalogue import text
from protocols.refusals import outcome_texts
from protocols.values import DIGIT_RUN
from terminal.journal.records import (
    Kind,
    LastPurchase,
    MonthLeft,
    SaleItem,
    StatementLine,
    Totals,
)
from terminal.paper import NARROW, WIDE
from terminal.receipt import render
from terminal.slip import Copy, Shop, Slip, SlipStatus

GOLDEN = Path(__file__).parent / "golden"
SHOP = Shop(
    name="E-WARONG BERKAH SEMPAJA",
    place="KEL. SEMPAJA SELATAN",
    terminal_id="12400017",
    merchant_id="000124000000017",
    help_line="0541-xxxxxx",
)
SALE = Slip(
    shop=SHOP,
    kind=Kind.PURCHASE,
    status=SlipStatus.APPROVED,
    printed_ns=1_767_575_647 * 10**9,
    response_code="00",
    amount_sen=14_150_000,
    batch=12,
    stan=345,
    rrn="600509000345",
    approval_code="7K2M9Q",
    last_four="4821",
    entry="CHIP",
    items=(
        SaleItem(code="B5", name="BERAS MEDIUM 5KG", quantity=1, price_sen=7_450_000),
        SaleItem(code="M1", name="MINYAK GORENG 1L", quantity=2, price_sen=3_600_000),
        SaleItem(code="T1", name="TELUR 1KG", quantity=1, price_sen=3_100_000),
    ),
    balance_sen=75_850_000,
    months=(
        MonthLeft(period="2026-01", amount_sen=15_850_000),
        MonthLeft(period="2026-02", amount_sen=30_000_000),
        MonthLeft(period="2026-03", amount_sen=30_000_000),
    ),
    slip_code="9F2C71B044DA",
    pin_verified=True,
)
FAILED = replace(
    SALE,
    status=SlipStatus.FAILED,
    approval_code="",
    balance_sen=None,
    months=(),
    slip_code="",
)
SETTLED = replace(
    SALE,
    kind=Kind.SETTLEMENT,
    amount_sen=152_550_000,
    stan=360,
    rrn="600522000360",
    approval_code="",
    last_four="",
    items=(),
    balance_sen=None,
    months=(),
    slip_code="",
    pin_verified=False,
    totals=(
        Totals(
            sales=12,
            sales_sen=169_800_000,
            voids=1,
            voids_sen=14_150_000,
            refunds=1,
            refunds_sen=3_100_000,
        ),
    ),
    paid_on="2026-01-06",
)
CASES: dict[str, tuple[Slip, Copy, bool, str]] = {
    "sale_customer": (SALE, Copy.CUSTOMER, False, "id"),
    "sale_merchant": (SALE, Copy.MERCHANT, False, "id"),
    "sale_reprint": (SALE, Copy.CUSTOMER, True, "id"),
    "sale_english": (SALE, Copy.CUSTOMER, False, "en"),
    "sale_by_amount": (replace(SALE, items=()), Copy.CUSTOMER, False, "id"),
    "insufficient": (
        replace(FAILED, response_code="51", balance_sen=5_850_000, months=SALE.months[:0]),
        *(Copy.CUSTOMER, False, "id"),
    ),
    "wrong_pin": (
        replace(FAILED, response_code="55", reason="N=2"),
        *(Copy.CUSTOMER, False, "id"),
    ),
    "blocked": (
        replace(FAILED, response_code="62", reason="B05"),
        *(Copy.CUSTOMER, False, "en"),
    ),
    "no_answer_pending": (
        replace(FAILED, status=SlipStatus.PENDING, response_code="68"),
        *(Copy.CUSTOMER, False, "id"),
    ),
    "no_answer_undone": (replace(FAILED, response_code="68"), Copy.CUSTOMER, False, "id"),
    "not_sent": (
        replace(FAILED, response_code="91", stan=0, rrn="", batch=0),
        *(Copy.MERCHANT, False, "id"),
    ),
    "void": (
        replace(SALE, kind=Kind.VOID, stan=346, rrn="600509000346", original_stan=345, items=()),
        *(Copy.CUSTOMER, False, "id"),
    ),
    "sale_wide": (SALE, Copy.CUSTOMER, False, "id"),
    "sale_partial": (
        replace(SALE, items=(), amount_sen=10_000_000, asked_sen=14_150_000, response_code="10"),
        *(Copy.CUSTOMER, False, "id"),
    ),
    "sale_by_proxy": (replace(SALE, items=(), proxy=True), Copy.MERCHANT, False, "id"),
    "sale_training": (
        replace(SALE, items=(), shop=replace(SHOP, training=True)),
        *(Copy.CUSTOMER, False, "id"),
    ),
    "refund": (
        replace(
            SALE, kind=Kind.REFUND, stan=347, original_stan=345, items=(), amount_sen=3_100_000
        ),
        *(Copy.CUSTOMER, False, "id"),
    ),
    "voucher": (
        replace(
            FAILED,
            kind=Kind.VOUCHER,
            status=SlipStatus.VOUCHER,
            amount_sen=2_500_000,
            items=(),
            voucher="V12400017N000348",
            pin_verified=False,
        ),
        *(Copy.CUSTOMER, False, "id"),
    ),
    "voucher_unpaid": (
        replace(
            FAILED,
            kind=Kind.VOUCHER,
            status=SlipStatus.UNPAID,
            response_code="51",
            amount_sen=2_500_000,
            voucher="V12400017N000348",
        ),
        *(Copy.MERCHANT, True, "id"),
    ),
    "statement": (
        replace(
            SALE,
            kind=Kind.STATEMENT,
            amount_sen=0,
            months=(),
            slip_code="",
            pin_verified=False,
            statement=(
                StatementLine(date="2026-01-05", amount_sen=-14_150_000, shop="BERKAH SEMPAJA"),
                StatementLine(date="2026-01-02", amount_sen=30_000_000, shop="BANTUAN MASUK"),
            ),
        ),
        *(Copy.CUSTOMER, False, "id"),
    ),
    "pin_change": (
        replace(
            SALE,
            kind=Kind.PIN_CHANGE,
            amount_sen=0,
            balance_sen=None,
            months=(),
            slip_code="",
            approval_code="",
            notice=text("slip.pin_changed"),
        ),
        *(Copy.CUSTOMER, False, "id"),
    ),
    "settlement": (SETTLED, Copy.MERCHANT, False, "id"),
    "settlement_wide": (SETTLED, Copy.MERCHANT, False, "id"),
    "settlement_waiting": (
        replace(SETTLED, status=SlipStatus.WAITING, paid_on="", bank_totals=()),
        *(Copy.MERCHANT, False, "id"),
    ),
    "settlement_disputed": (
        replace(
            SETTLED,
            status=SlipStatus.DISPUTED,
            response_code="95",
            bank_totals=(Totals(sales=11, sales_sen=155_650_000),),
        ),
        *(Copy.MERCHANT, False, "en"),
    ),
    "balance_zero": (
        replace(
            SALE,
            kind=Kind.BALANCE,
            balance_sen=0,
            months=(),
            amount_sen=0,
            reason="Z01",
            planned_on="2026-02-10",
            last_purchases=(
                LastPurchase(date="2026-01-08", amount_sen=15_850_000, shop="E-Warong Berkah"),
            ),
            pin_verified=False,
            slip_code="",
        ),
        *(Copy.CUSTOMER, False, "id"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_receipt_equals_its_golden_file(name: str) -> None:
    slip, copy, reprint, lang = CASES[name]
    golden = (GOLDEN / f"{name}.txt").read_text("utf-8")
    columns = WIDE if name.endswith("_wide") else NARROW
    assert render(slip, copy, reprint=reprint, lang=lang, columns=columns) == golden
    assert not DIGIT_RUN.search(golden.replace(SHOP.merchant_id, ""))


def test_every_golden_file_has_its_case() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(CASES)


@pytest.mark.parametrize(
    "code", [code for code in outcome_texts() if code not in ("00", "10", "68")]
)
def test_every_failure_says_that_no_money_was_taken(code: str) -> None:
    slip = render(replace(FAILED, response_code=code), Copy.CUSTOMER)
    assert "GAGAL - SALDO TIDAK TERPOTONG" in slip
    assert "PIN BENAR" not in slip
    assert outcome_texts()[code].line_1 in slip


def test_undecided_sale_never_says_that_no_money_was_taken() -> None:
    slip = render(replace(FAILED, status=SlipStatus.PENDING, response_code="68"), Copy.CUSTOMER)
    assert "TIDAK TERPOTONG" not in slip
    assert "JANGAN GESEK ULANG" in " ".join(slip.split())


@settings(max_examples=25)
@given(
    amount=st.integers(1, 20_000_000).map(lambda rupiah: rupiah * 100),
    balance=st.integers(-9_999_999_999, 9_999_999_999).map(lambda rupiah: rupiah * 100),
    quantity=st.integers(1, 99),
    name=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40),
    months=st.lists(st.integers(0, 20_000_000).map(lambda rupiah: rupiah * 100), max_size=12),
    copy=st.sampled_from(Copy),
    lang=st.sampled_from(["id", "en"]),
    status=st.sampled_from(SlipStatus),
)
def test_no_line_is_wider_than_the_paper_and_no_long_number_shows(
    amount: int,
    balance: int,
    quantity: int,
    name: str,
    months: list[int],
    copy: Copy,
    lang: str,
    status: SlipStatus,
) -> None:
    slip = replace(
        SALE,
        shop=replace(SHOP, name=name, merchant_id="SMR000000000017"),
        amount_sen=amount,
        balance_sen=balance,
        status=status,
        response_code="00" if status is SlipStatus.APPROVED else "51",
        items=(SaleItem(code="X", name="BERAS", quantity=quantity, price_sen=amount),),
        months=tuple(
            MonthLeft(period=f"2026-{i + 1:02d}", amount_sen=sen) for i, sen in enumerate(months)
        ),
    )
    printed = render(slip, copy, lang=lang)
    assert all(len(line) <= NARROW for line in printed.splitlines())
    assert not DIGIT_RUN.search(printed.replace(name.strip(), ""))
