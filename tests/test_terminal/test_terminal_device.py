"""The whole terminal: real socket, real chip, real files; the host is scripted."""

import asyncio
import datetime
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cardsim import Card
from cardsim.channel import InProcessChannel
from protocols.framing import EDC_FRAMES, Framer, frame, swap_tpdu
from protocols.iso8583 import Codec, load_spec
from protocols.values import DIGIT_RUN, SecretBytes
from terminal.configuration import TerminalConfig
from terminal.device import Terminal
from terminal.errors import (
    DirectoryLockedError,
    JournalDamagedError,
    JournalWriteError,
    NotLoggedOnError,
)
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


async def test_lost_answer_is_reversed_and_the_slip_says_so(
    terminal: Terminal, host: Any, server: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    server.lose = 1
    result = await terminal.buy(AMOUNT, slot, pin_of("123456"))
    assert (result.outcome, result.reversed, result.reversal_settled) == ("68", True, True)
    assert not result.approved
    assert result.balance_sen is None
    assert "GAGAL - SALDO TIDAK TERPOTONG" in result.receipt_pembeli
    assert host.standing_sen() == 0


async def test_unanswered_reversal_is_told_as_pending_and_settled_later(
    terminal: Terminal, host: Any, server: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    server.lose = 100
    result = await terminal.buy(AMOUNT, slot, pin_of("123456"))
    assert (result.reversed, result.reversal_settled) == (True, False)
    assert "TIDAK TERPOTONG" not in result.receipt_pembeli
    assert terminal.owed_reversals == 1
    blocked = await terminal.buy(2 * AMOUNT, slot, pin_of())
    assert blocked.outcome == "91"
    assert f"{result.stan:06d}" in blocked.detail
    server.lose = 0
    assert await terminal.settle_outstanding() == 0
    assert host.standing_sen() == 0
    assert [m.mti for m in host.seen if m.mti[1] == "4"] == ["0400", *["0401"] * 6]
    again = terminal.reprint(result.stan)
    assert again is not None
    assert "GAGAL - SALDO TIDAK TERPOTONG" in again.receipt_pembeli
    assert "CETAK ULANG" in again.receipt_pembeli


async def test_no_connection_uses_no_number_and_no_cryptogram(
    terminal: Terminal, server: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    await server.stop()
    before = terminal.journal.last_stan
    result = await terminal.buy(AMOUNT, slot, pin_of("123456"))
    assert (result.outcome, result.stan, result.reversed) == ("91", 0, False)
    assert terminal.journal.last_stan == before
    await server.start()


async def test_forged_answer_of_the_issuer_makes_the_chip_decline_and_is_reversed(
    terminal: Terminal, host: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    host.forge_arpc = True
    result = await terminal.buy(AMOUNT, slot, pin_of("123456"))
    assert (result.outcome, result.reversed, result.reversal_settled) == ("88", True, True)
    assert (result.balance_sen, result.approval_code, result.slip_code) == (None, "", "")
    assert "SISA SALDO" not in result.receipt_pembeli
    assert host.standing_sen() == 0


async def test_card_taken_out_while_the_host_answers_is_reversed(
    terminal: Terminal, host: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    def take_out(reply: Any) -> Any:
        slot.remove()
        return reply

    host.change = take_out
    result = await terminal.buy(AMOUNT, slot, pin_of("123456"))
    assert (result.reversed, result.reversal_settled) == (True, True)
    assert host.standing_sen() == 0


async def test_empty_slot_is_refused_plainly(
    terminal: Terminal, slot: InProcessChannel, pin_of: PinPad
) -> None:
    slot.remove()
    result = await terminal.buy(AMOUNT, slot, pin_of())
    assert result.outcome == "17"
    assert result.detail == "Kartu dicabut sebelum selesai. Saldo tidak terpotong."


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


async def test_wrong_keys_are_changed_and_the_reversal_settles(
    terminal: Terminal, host: Any, server: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    """The host lost the key set: bare 63 to everything until the keys are changed."""
    whole = host.answer
    lost = dict(host.key_sets)

    def forgetful(data: bytes) -> bytes:
        (received,) = Framer(EDC_FRAMES).feed(data)
        codec = Codec(load_spec("edc"))
        request = codec.decode(received.payload)
        if request.parts(61).get("key_set") in lost and request.get(70) != "161":
            bare = codec.encode(request.response("63"))
            return frame(bare, swap_tpdu(received.tpdu), EDC_FRAMES)
        return bytes(whole(data))

    host.answer = forgetful
    result = await terminal.buy(AMOUNT, slot, pin_of("123456"))
    assert (result.outcome, result.texts.line_1) == ("63", "KUNCI EDC SALAH")
    assert result.reversal_settled
    assert (await terminal.buy(AMOUNT, slot, pin_of("123456"))).approved


async def test_persistent_line_is_used_again(
    open_terminal: Open, server: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    terminal = open_terminal(persistent=True)
    await terminal.log_on()
    for amount in (AMOUNT, 2 * AMOUNT):
        assert (await terminal.buy(amount, slot, pin_of("123456"))).approved
    assert server.connections == 1
    await server.stop()
    await server.start()
    assert (await terminal.buy(3 * AMOUNT, slot, pin_of("123456"))).approved
    assert not terminal.journal.owed()
    assert server.connections == 2


async def test_refused_reversal_tells_the_operator_to_call_the_bank(
    terminal: Terminal, host: Any, server: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    host.refuse_reversals = "12"
    server.lose = 1
    result = await terminal.buy(AMOUNT, slot, pin_of("123456"))
    assert (result.reversed, result.reversal_settled) == (True, False)
    assert "Hubungi bank" in result.detail
    assert "TERPOTONG" not in result.receipt_pembeli
    assert "Hubungi bank dengan" in " ".join(result.receipt_pembeli.split())


# Across power cuts and damage


async def test_power_cut_while_waiting_is_reversed_after_the_restart(
    open_terminal: Open, host: Any, server: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    terminal = open_terminal(line=None)
    await terminal.log_on()
    server.lose = 1
    sale = asyncio.create_task(terminal.buy(AMOUNT, slot, pin_of("123456")))
    await server.lost.wait()
    assert host.standing_sen() == AMOUNT
    # The power goes: nothing of the running program reaches the disk any more.
    terminal._release()
    sale.cancel()
    with pytest.raises((asyncio.CancelledError, JournalWriteError)):
        await sale
    after = open_terminal()
    assert after.owed_reversals == 1
    assert await after.settle_outstanding() == 0
    assert host.standing_sen() == 0
    result = await after.buy(AMOUNT, slot, pin_of("123456"))
    assert result.approved


async def test_cancelled_sale_is_owed_back_at_once_and_the_terminal_goes_on(
    open_terminal: Open, host: Any, server: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    terminal = open_terminal(line=None)
    await terminal.log_on()
    server.lose = 1
    sale = asyncio.create_task(terminal.buy(AMOUNT, slot, pin_of("123456")))
    await server.lost.wait()
    assert host.standing_sen() == AMOUNT
    sale.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sale
    assert terminal.owed_reversals == 1
    assert (await terminal.buy(AMOUNT, slot, pin_of("123456"))).approved
    assert host.standing_sen() == AMOUNT


async def test_restart_knows_earlier_sales_and_needs_no_new_log_on(
    open_terminal: Open, slot: InProcessChannel, pin_of: PinPad
) -> None:
    terminal = open_terminal()
    await terminal.log_on()
    first = await terminal.buy(AMOUNT, slot, pin_of("123456"))
    await terminal.close()
    after = open_terminal()
    again = after.reprint(first.stan)
    assert again is not None
    marked = again.receipt_pembeli.replace("  ** SALINAN (CETAK ULANG) **\n", "")
    assert marked == first.receipt_pembeli
    assert (await after.buy(AMOUNT, slot, pin_of())).repeated


async def test_damaged_journal_and_held_directory_are_refused_and_leave_no_lock(
    open_terminal: Open, config: TerminalConfig, slot: InProcessChannel
) -> None:
    terminal = open_terminal()
    with pytest.raises(DirectoryLockedError):
        open_terminal()
    await terminal.log_on()
    await terminal.close()
    journal = config.data_directory / "journal"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:40] + b"X" + whole[41:])
    for _ in range(2):
        with pytest.raises(Exception, match="journal:"):
            open_terminal()
    second_line = whole.index(b"\n") + 30
    journal.write_bytes(whole[:second_line] + b"X" + whole[second_line + 1 :])
    with pytest.raises(JournalDamagedError):
        open_terminal()


async def test_sale_without_log_on_is_refused(
    open_terminal: Open, slot: InProcessChannel, pin_of: PinPad
) -> None:
    with pytest.raises(NotLoggedOnError):
        await open_terminal().buy(AMOUNT, slot, pin_of("123456"))


@pytest.mark.parametrize(("refuse", "expected"), [("03", "03"), ("91", "91")])
async def test_log_on_tells_the_hosts_refusal(
    open_terminal: Open, host: Any, refuse: str, expected: str
) -> None:
    host.refuse = refuse
    terminal = open_terminal()
    assert await terminal.log_on() == expected
    assert terminal.flow.state is FlowState.OFF_DUTY


async def test_nothing_written_or_shown_holds_card_number_pin_or_key(
    terminal: Terminal,
    server: Any,
    slot: InProcessChannel,
    config: TerminalConfig,
    tmk: SecretBytes,
    host: Any,
    pin_of: PinPad,
) -> None:
    results = [
        await terminal.buy(AMOUNT, slot, pin_of("123456")),
        await terminal.buy(2 * AMOUNT, slot, pin_of("654321")),
        await terminal.balance(slot),
    ]
    server.lose = 1
    results.append(await terminal.buy(3 * AMOUNT, slot, pin_of("123456")))
    results.append(await terminal.void(results[0].stan))
    keys = [tmk, config.storage_key, *(key for pair in host.key_sets.values() for key in pair)]
    secrets = [PAN, PAN[:-4], "123456", "654321", "KARTU UJI", "30122200000000000"]
    secrets += [key.reveal().hex() for key in keys]
    shown = "".join(repr(result) + result.receipt_toko for result in results)
    shown += repr(terminal.journal.transactions) + repr(terminal.config)
    written = [p.read_bytes() for p in config.data_directory.rglob("*") if p.is_file()]
    assert len(written) == 3
    for secret in secrets:
        assert secret.lower() not in shown.lower(), secret[:2]
        assert not any(secret.lower().encode() in content.lower() for content in written)
    for key in keys:
        assert not any(key.reveal() in content for content in written)
    assert not DIGIT_RUN.search("".join(result.receipt_pembeli for result in results))
    for path in config.data_directory.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0


async def test_expired_card_is_told_as_expired(
    terminal: Terminal, host: Any, card_image: Any, clock: Any, random_bytes: Any, pin_of: PinPad
) -> None:
    image = card_image(expiry=datetime.date(2025, 12, 31))
    slot = InProcessChannel(Card(image, clock, random_bytes))
    result = await terminal.buy(AMOUNT, slot, pin_of("123456"))
    assert result.outcome in ("54", "00")


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
