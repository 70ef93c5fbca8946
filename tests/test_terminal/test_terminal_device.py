"""The whole terminal: real socket, real chip, real files; the host is scripted."""

import datetime
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cardsim import Card
from cardsim.channel import InProcessChannel
from terminal.device import Terminal
from terminal.journal.records import SaleItem
from terminal.line import LineDownError, TcpLine
from terminal.purchase.table import FlowState

AMOUNT = 14_150_000
PAN = "9360099912344821"
Open = Callable[..., Terminal]
PinPad = Callable[..., Callable[[], Awaitable[str]]]


async def test_purchase_goes_from_card_to_host_to_chip_to_slips(
    terminal: Terminal, host: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    result = await terminal.buy(AMOUNT, slot, pin_of("123456"))
    assert result.approved
    assert (result.outcome, result.texts.line_1) == ("00", "BERHASIL")
    assert result.balance_sen == 90_000_000 - AMOUNT
    assert host.standing_sen() == AMOUNT
    assert "E-WARONG MAJU" in result.receipt_toko
    assert "SALINAN TOKO" in result.receipt_toko
    assert "SALINAN PEMBELI" in result.receipt_pembeli
    assert "** PIN BENAR, TANPA TTD **" in result.receipt_pembeli
    assert f"TRACE {result.stan:06d}" in result.receipt_pembeli
    assert result.rrn[-6:] == f"{result.stan:06d}"
    assert terminal.flow.state is FlowState.MENU


async def test_basket_is_priced_by_the_shop_and_sent_line_by_line(
    terminal: Terminal, host: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    basket = [
        SaleItem(code="BERAS5KG", name="BERAS MEDIUM 5KG", quantity=1, price_sen=7_450_000),
        SaleItem(code="MINYAK1L", name="MINYAK GORENG 1L", quantity=2, price_sen=3_600_000),
    ]
    result = await terminal.buy(11_050_000, slot, pin_of("123456"), basket)
    assert result.approved
    assert "MINYAK GORENG 1L   2 x    36.000" in result.receipt_pembeli
    sent = host.seen[-1].groups(62, "basket")
    assert [(line["item"].rstrip(), line["quantity"]) for line in sent] == [
        ("BERAS5KG", "00001000"),
        ("MINYAK1L", "00002000"),
    ]


async def test_entries_that_cannot_be_sold_never_reach_the_card(
    terminal: Terminal, host: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    for code, amount_sen, outcome in (
        ("ROKOK", 2_500_000, "57"),
        ("PULSA", 2_500_000, "57"),
        ("BERAS5KG", 2_600_000, "13"),
    ):
        basket = [SaleItem(code=code, name=code, quantity=1, price_sen=2_500_000)]
        assert (await terminal.buy(amount_sen, slot, pin_of(), basket)).outcome == outcome
    assert (await terminal.buy(2_500_000, slot, pin_of(), [])).outcome == "13"
    for amount_sen in (0, -100, 150, 2_000_000_100):
        result = await terminal.buy(amount_sen, slot, pin_of())
        assert (result.outcome, result.stan) == ("13", 0)
        assert result.detail
        assert "GAGAL - SALDO TIDAK TERPOTONG" in result.receipt_pembeli
    assert not any(message.mti == "0200" for message in host.seen)
    assert not slot.card.image.applications[0].state.atc


async def test_pin_of_wrong_length_is_asked_again_and_never_sent(
    terminal: Terminal, host: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    assert (await terminal.buy(AMOUNT, slot, pin_of("123", "123456"))).approved
    for digits in ("123", "1234567890123", "12345a", "１２３４５６"):
        result = await terminal.buy(2 * AMOUNT, slot, pin_of(digits, digits, digits))
        assert result.outcome == "17"
        assert "6 angka" in result.detail
        assert digits not in repr(result)
    assert host.standing_sen() == AMOUNT


async def test_cancelled_pin_changes_nothing(
    terminal: Terminal, host: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    result = await terminal.buy(AMOUNT, slot, pin_of(""))
    assert (result.outcome, result.texts.line_1) == ("17", "DIBATALKAN")
    assert host.standing_sen() == 0


async def test_wrong_pin_tells_the_tries_left(
    terminal: Terminal, slot: InProcessChannel, pin_of: PinPad
) -> None:
    result = await terminal.buy(AMOUNT, slot, pin_of("654321"))
    assert (result.outcome, result.texts.line_2) == ("55", "Sisa 2 kali")
    assert "Sisa 2 kali" in result.receipt_pembeli


async def test_code_of_a_newer_host_is_told_as_a_plain_refusal(
    terminal: Terminal, host: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    host.change = lambda reply: reply.replace(de39="Z9", de44="Q7", de54=None, de38=None)
    result = await terminal.buy(AMOUNT, slot, pin_of("123456"))
    assert (result.outcome, result.texts.line_1) == ("Z9", "DITOLAK")
    assert "Hubungi 0541-7777777" in result.receipt_pembeli
    host.book.clear()  # a host that says no has posted nothing


async def test_balance_needs_no_pin_and_shows_months_and_the_next_date(
    terminal: Terminal, host: Any, slot: InProcessChannel
) -> None:
    result = await terminal.balance(slot)
    assert (result.outcome, result.balance_sen) == ("00", 90_000_000)
    assert "SISA SALDO          Rp   900.000" in result.receipt_pembeli
    assert "10/02/2026" in result.receipt_pembeli
    assert 52 not in host.seen[-1]


async def test_void_gives_the_money_back_once(
    terminal: Terminal, host: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    sale = await terminal.buy(AMOUNT, slot, pin_of("123456"))
    result = await terminal.void(sale.stan)
    assert result.approved
    assert "UANG KEMBALI KE KARTU" in result.receipt_pembeli
    assert f"ASAL {sale.stan:06d}" in result.receipt_pembeli
    assert host.standing_sen() == 0
    assert (await terminal.void(sale.stan)).outcome == "76"
    assert (await terminal.void(999_999)).outcome == "25"
    assert (await terminal.void(result.stan)).outcome == "25"


async def test_same_card_and_amount_again_shows_the_earlier_result(
    terminal: Terminal, host: Any, slot: InProcessChannel, clock: Any, pin_of: PinPad
) -> None:
    first = await terminal.buy(AMOUNT, slot, pin_of("123456"))
    again = await terminal.buy(AMOUNT, slot, pin_of())
    assert again.repeated
    assert (again.stan, again.outcome) == (first.stan, "00")
    assert host.standing_sen() == AMOUNT
    asked = []

    async def another_sale(earlier: Any) -> bool:
        asked.append(earlier.stan)
        return True

    wanted = await terminal.buy(AMOUNT, slot, pin_of("123456"), repeat_question=another_sale)
    assert wanted.approved
    assert not wanted.repeated
    assert asked == [first.stan]
    clock.pass_ms(11 * 60_000)
    later = await terminal.buy(AMOUNT, slot, pin_of("123456"))
    assert not later.repeated
    assert host.standing_sen() == 3 * AMOUNT


async def test_expired_card_is_left_to_the_host_which_sees_it_in_the_tvr(
    terminal: Terminal,
    host: Any,
    card_image: Any,
    clock: Any,
    random_bytes: Any,
    pin_of: PinPad,
) -> None:
    image = card_image(expiry=datetime.date(2025, 12, 31))
    slot = InProcessChannel(Card(image, clock, random_bytes))
    host.refuse = "54"
    result = await terminal.buy(AMOUNT, slot, pin_of("123456"))
    assert (result.outcome, result.texts.line_1) == ("54", "KARTU KEDALUWARSA")
    assert host.seen[-1].data(55, "95")[1] & 0x40


async def test_tcp_line_reports_a_missing_host_in_one_sentence() -> None:
    line = TcpLine("127.0.0.1", 1, connect_timeout_ms=1_000)
    with pytest.raises(LineDownError, match="no connection to the host"):
        await line.connect()
    with pytest.raises(LineDownError):
        await line.send(b"x")
    with pytest.raises(LineDownError):
        await line.receive(timeout_ms=1)
    await line.close()


async def test_silence_on_a_real_line_ends_at_the_deadline(
    open_terminal: Open, host: Any, server: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    first = open_terminal()
    await first.log_on()
    await first.close()
    terminal = open_terminal(line=None, timeout_ms=30)
    server.hold = 4
    result = await terminal.buy(AMOUNT, slot, pin_of("123456"))
    assert (result.outcome, result.reversed, result.reversal_settled) == ("68", True, False)
    assert host.standing_sen() == 0
