"""Receipts equal their golden files; domain.md 4.5 is the first of them."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.refusals import outcome_texts
from protocols.values import DIGIT_RUN
from terminal.journal.records import Kind, LastPurchase, MonthLeft, SaleItem
from terminal.paper import NARROW as COLUMNS
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
    assert render(slip, copy, reprint=reprint, lang=lang) == golden


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
    text = render(slip, copy, lang=lang)
    assert all(len(line) <= COLUMNS for line in text.splitlines())
    assert not DIGIT_RUN.search(text.replace(name.strip(), ""))
