"""Every flow beside the sale on the whole terminal: real socket, chip, files; scripted host."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cardsim.channel import InProcessChannel
from terminal.device import Terminal
from terminal.errors import JournalVersionError
from terminal.journal.batches import BatchStatus
from terminal.journal.records import Totals
from terminal.purchase.table import FlowState

AMOUNT = 14_150_000
Open = Callable[..., Terminal]
PinPad = Callable[..., Callable[[], Awaitable[str]]]

pytestmark = pytest.mark.slow


async def logged_on(open_terminal: Open, **changes: Any) -> Terminal:
    made = open_terminal(**changes)
    assert await made.log_on() == "00"
    return made


async def test_settlement_with_equal_totals_closes_the_batch_and_counts_on(
    terminal: Terminal, host: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    first = await terminal.buy(AMOUNT, slot, pin_of("123456"))
    await terminal.buy(2 * AMOUNT, slot, pin_of("123456"))
    await terminal.void(first.stan)
    result = await terminal.settle()
    assert (result.outcome, result.detail, result.paid_on) == ("00", "", "2026-01-06")
    assert result.totals == (Totals(sales=2, sales_sen=3 * AMOUNT, voids=1, voids_sen=AMOUNT),)
    assert "TOTAL SAMA DENGAN BANK" in result.receipt_toko
    assert "06/01/2026" in result.receipt_toko
    assert (terminal.journal.batch, terminal.flow.state) == (2, FlowState.MENU)
    assert host.settled == {"000001": "920000"}
    assert (await terminal.void(first.stan)).outcome == "76"
    empty = await terminal.settle()
    assert (empty.outcome, terminal.journal.batch) == ("12", 2)
    assert "kosong" in empty.detail


async def test_mismatch_uploads_every_transaction_and_settles_again(
    terminal: Terminal, host: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    first = await terminal.buy(AMOUNT, slot, pin_of("123456"))
    second = await terminal.buy(2 * AMOUNT, slot, pin_of("123456"))
    await terminal.void(first.stan)
    await terminal.refund(second.stan, AMOUNT, slot, pin_of("123456"))
    host.miscount_sen = 100
    result = await terminal.settle()
    assert (result.outcome, host.settled) == ("00", {"000001": "960000"})
    assert len(host.uploaded) == len(set(host.uploaded)) == 4
    assert not terminal.journal.queued()


async def test_totals_that_still_differ_after_the_upload_are_shown_beside_each_other(
    terminal: Terminal, host: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    await terminal.buy(AMOUNT, slot, pin_of("123456"))
    key = next(iter(host.kept))
    host.kept[key] = ("sales", "000001", AMOUNT + 100)
    result = await terminal.settle()
    assert result.outcome == "95"
    assert "MENURUT BANK" in result.receipt_toko
    assert "Hubungi bank" in " ".join(result.receipt_toko.split())
    assert terminal.journal.batches[1].status is BatchStatus.DISPUTED


async def test_unanswered_settlement_is_repeated_as_0501_while_sales_go_on(
    terminal: Terminal, host: Any, server: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    await terminal.buy(AMOUNT, slot, pin_of("123456"))
    server.lose = 2
    waiting = await terminal.settle()
    assert (waiting.outcome, len(terminal.journal.queued())) == ("91", 1)
    assert "dikirim lagi" in waiting.detail
    sale = await terminal.buy(2 * AMOUNT, slot, pin_of("123456"))
    assert sale.approved
    assert terminal.journal.transactions[sale.stan].intent.batch == 2
    assert await terminal.settle_outstanding() == 0
    sent = [m for m in host.seen if m.mti in ("0500", "0501")]
    assert [m.mti for m in sent] == ["0500", "0501", "0501"]
    assert len({(m.text(7), m.text(11), m.text(37)) for m in sent}) == 1
    assert terminal.journal.batches[1].status is BatchStatus.CLOSED


async def test_batch_of_the_day_before_is_settled_before_the_next_sale(
    terminal: Terminal, host: Any, clock: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    await terminal.buy(AMOUNT, slot, pin_of("123456"))
    assert await terminal.settle_if_due() is None
    clock.pass_ms(24 * 60 * 60_000)
    sale = await terminal.buy(2 * AMOUNT, slot, pin_of("123456"))
    assert terminal.journal.transactions[sale.stan].intent.batch == 2
    assert host.settled == {"000001": "920000"}


async def test_refund_needs_card_and_pin_and_never_exceeds_its_sale(
    terminal: Terminal, host: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    sale = await terminal.buy(AMOUNT, slot, pin_of("123456"))
    assert (await terminal.settle()).outcome == "00"
    part = await terminal.refund(sale.stan, 5_000_000, slot, pin_of("123456"))
    assert (part.outcome, part.amount_sen) == ("00", 5_000_000)
    assert "UANG KEMBALI KE KARTU" in part.receipt_pembeli
    assert host.standing_sen() == AMOUNT - 5_000_000
    request = host.seen[-1]
    assert (request.text(3), request.text(37)) == ("200098", sale.rrn)
    assert {2, 35, 52, 55, 90} & set(request.elements) == {35, 52, 55, 90}
    too_much = await terminal.refund(sale.stan, AMOUNT, slot, pin_of("123456"))
    assert (too_much.outcome, too_much.stan) == ("77", 0)
    assert "91.500" in too_much.detail
    assert (await terminal.refund(999, AMOUNT, slot, pin_of("123456"))).outcome == "25"
    for amount_sen in (0, -100, 150):
        refused = await terminal.refund(sale.stan, amount_sen, slot, pin_of("123456"))
        assert refused.outcome == "13"
    wrong = await terminal.refund(sale.stan, 100, slot, pin_of("654321"))
    assert (wrong.outcome, host.standing_sen()) == ("55", AMOUNT - 5_000_000)


async def test_mini_statement_lists_what_the_card_did(
    terminal: Terminal, slot: InProcessChannel, pin_of: PinPad
) -> None:
    sale = await terminal.buy(AMOUNT, slot, pin_of("123456"))
    await terminal.void(sale.stan)
    result = await terminal.statement(slot)
    assert [line.amount_sen for line in result.statement] == [-AMOUNT, AMOUNT]
    assert "05/01/2026 E-WARONG MAJU" in result.receipt_pembeli
    assert "-141.500" in result.receipt_pembeli


async def test_pin_change_asks_three_times_and_is_in_force(
    terminal: Terminal, host: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    result = await terminal.change_pin(slot, pin_of("123456", "778899", "778899"))
    assert (result.outcome, host.pin) == ("00", "778899")
    assert "PIN sudah diganti" in " ".join(result.receipt_pembeli.split())
    assert "778899" not in result.receipt_pembeli
    sent = host.seen[-1]
    assert (sent.mti, sent.text(3), 4 in sent) == ("0100", "720000", False)
    assert (await terminal.buy(AMOUNT, slot, pin_of("778899"))).approved


@pytest.mark.parametrize(
    ("typed", "outcome", "words"),
    [
        (("123456", "123", "1234567890123", "12345a"), "17", "6 angka"),
        (("123456", "778899", "778890", "778899", "778890", "778899", "1"), "17", "tidak sama"),
        (("123456", "123456", "123456", "123456"), "17", "PIN lama"),
        (("123456", "778899", ""), "17", "Dibatalkan"),
        (("000000", "778899", "778899"), "55", ""),
    ],
    ids=["no PIN", "differs", "the old one", "cancelled", "old one wrong"],
)
async def test_pin_change_that_cannot_be_leaves_the_old_pin(
    terminal: Terminal,
    host: Any,
    slot: InProcessChannel,
    pin_of: PinPad,
    typed: tuple[str, ...],
    outcome: str,
    words: str,
) -> None:
    result = await terminal.change_pin(slot, pin_of(*typed))
    assert (result.outcome, host.pin) == (outcome, "123456")
    assert words in result.detail
    assert terminal.flow.state is FlowState.MENU


async def test_pin_change_without_an_answer_says_what_to_do(
    terminal: Terminal, server: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    server.lose = 1
    result = await terminal.change_pin(slot, pin_of("123456", "778899", "778899"))
    assert result.outcome == "68"
    assert "PIN baru" in result.detail
    assert "PIN lama" in result.detail
    assert not terminal.owed_reversals


async def test_less_handed_over_goes_back_as_a_partial_reversal(
    terminal: Terminal, host: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    sale = await terminal.buy(AMOUNT, slot, pin_of("123456"))
    for actual_sen in (0, -100, 150, AMOUNT, 2 * AMOUNT):
        assert (await terminal.reduce(sale.stan, actual_sen)).outcome == "13"
    result = await terminal.reduce(sale.stan, 5_000_000)
    assert (result.outcome, result.amount_sen, result.approved) == ("00", 5_000_000, True)
    assert host.standing_sen() == 5_000_000
    assert host.seen[-1].mti == "0400"
    assert "selisihnya kembali ke kartu" in " ".join(result.receipt_pembeli.split())
    assert (await terminal.settle()).totals == (Totals(sales=1, sales_sen=5_000_000),)


async def test_partial_reversal_is_repeated_until_answered(
    terminal: Terminal, host: Any, server: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    sale = await terminal.buy(AMOUNT, slot, pin_of("123456"))
    server.lose = 3
    waiting = await terminal.reduce(sale.stan, 5_000_000)
    assert terminal.owed_reversals == 1
    assert "masih dibatalkan" in waiting.detail
    assert await terminal.settle_outstanding() == 0
    assert [m.mti for m in host.seen[-4:]] == ["0400", "0401", "0401", "0401"]
    assert host.standing_sen() == 5_000_000


# Around the sale


async def test_proxy_is_named_to_the_host_and_marked_on_the_slip(
    terminal: Terminal, host: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    result = await terminal.buy(AMOUNT, slot, pin_of("123456"), proxy="W0000042")
    assert result.approved
    assert host.seen[-1].text(62, "proxy") == "W0000042"
    assert "WAKIL" in result.receipt_toko
    assert "W0000042" not in result.receipt_toko
    assert (await terminal.buy(AMOUNT, slot, pin_of("123456"), proxy="W-1")).outcome == "12"


async def test_complaint_has_a_number_and_survives(
    terminal: Terminal, open_terminal: Open, slot: InProcessChannel, pin_of: PinPad
) -> None:
    sale = await terminal.buy(AMOUNT, slot, pin_of("123456"))
    result = await terminal.complain("1", sale.stan)
    assert result.complaint in result.receipt_pembeli
    assert f"ASAL {sale.stan:06d}" in result.receipt_pembeli
    assert (await terminal.complain("9")).outcome == "12"
    await terminal.close()
    kept = open_terminal().journal.complaints
    assert [(one.number, one.stan) for one in kept] == [(result.complaint, sale.stan)]


async def test_training_marks_every_slip_and_keeps_its_own_directory(
    open_terminal: Open, terminal: Terminal, slot: InProcessChannel, pin_of: PinPad, tmp_path: Any
) -> None:
    await terminal.close()
    with pytest.raises(JournalVersionError, match="training"):
        open_terminal(training=True)
    learner = await logged_on(open_terminal, training=True, data_directory=tmp_path / "latihan")
    result = await learner.buy(AMOUNT, slot, pin_of("123456"))
    assert "LATIHAN" in result.receipt_toko
    assert "LATIHAN" in result.receipt_pembeli
    await learner.close()
    with pytest.raises(JournalVersionError, match="training"):
        open_terminal(data_directory=tmp_path / "latihan")


async def test_terminal_moves_to_another_shop_only_with_an_empty_batch(
    terminal: Terminal, open_terminal: Open, host: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    await terminal.buy(AMOUNT, slot, pin_of("123456"))
    assert await terminal.log_on("EWSMR0000000018", "OP02") == "90"
    await terminal.log_on()
    await terminal.settle()
    assert await terminal.log_on("EWSMR0000000018", "OP02") == "00"
    await terminal.close()
    moved = open_terminal()
    result = await moved.buy(2 * AMOUNT, slot, pin_of("123456"))
    assert host.seen[-1].text(42) == "EWSMR0000000018"
    assert host.seen[-1].text(61, "operator") == "OP02"
    assert "MID EWSMR0000000018" in result.receipt_toko
    assert await moved.log_off() == "00"
    assert moved.flow.state is FlowState.OFF_DUTY


async def test_tap_signs_once_and_is_named_on_the_slip(
    terminal: Terminal, host: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    result = await terminal.buy(AMOUNT, slot, pin_of("123456"), tap=True)
    assert result.approved
    assert host.seen[-1].text(22) == "071"
    assert "(TAP)" in result.receipt_pembeli
    balance = await terminal.balance(slot, tap=True)
    assert balance.outcome == "00"


async def test_reprint_of_the_newest_and_of_a_settlement_is_a_copy(
    terminal: Terminal, slot: InProcessChannel, pin_of: PinPad
) -> None:
    assert terminal.reprint() is None
    sale = await terminal.buy(AMOUNT, slot, pin_of("123456"))
    copy = terminal.reprint()
    assert copy is not None
    assert copy.stan == sale.stan
    assert "CETAK ULANG" in copy.receipt_pembeli
    settled = await terminal.settle()
    again = terminal.reprint(settled.stan)
    assert again is not None
    assert "CETAK ULANG" in again.receipt_toko
    assert again.totals == settled.totals


async def test_full_batch_sells_no_more_until_it_is_settled(
    terminal: Terminal,
    slot: InProcessChannel,
    pin_of: PinPad,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("terminal.sale.UNSETTLED_TRANSACTIONS_MAX", 1)
    assert (await terminal.buy(AMOUNT, slot, pin_of("123456"))).approved
    full = await terminal.buy(2 * AMOUNT, slot, pin_of("123456"))
    assert (full.outcome, full.stan) == ("90", 0)
    assert "settlement dahulu" in full.detail
    assert (await terminal.balance(slot)).outcome == "00"
    assert (await terminal.settle()).outcome == "00"
    assert (await terminal.buy(2 * AMOUNT, slot, pin_of("123456"))).approved
