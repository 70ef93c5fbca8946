"""The whole terminal when the line, the card, the host or the power fails."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

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
from terminal.purchase.table import FlowState

AMOUNT = 14_150_000
PAN = "9360099912344821"
Open = Callable[..., Terminal]
PinPad = Callable[..., Callable[[], Awaitable[str]]]


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
    terminal.release()
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


@pytest.mark.parametrize("left", [None, b"", bytes(300), b'0123abcd {"record"'])
async def test_lost_journal_of_a_terminal_that_worked_is_refused_and_never_begun_anew(
    open_terminal: Open, config: TerminalConfig, left: bytes | None
) -> None:
    terminal = open_terminal()
    await terminal.log_on()
    await terminal.close()
    journal = config.data_directory / "journal"
    journal.unlink()
    if left is not None:
        journal.write_bytes(left)
    for _ in range(2):
        with pytest.raises(JournalDamagedError, match="nothing is left"):
            open_terminal()
        assert journal.read_bytes() == (left or b"")


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


async def test_failed_disk_stops_the_terminal_and_prints_no_slip(
    terminal: Terminal,
    open_terminal: Open,
    host: Any,
    slot: InProcessChannel,
    pin_of: PinPad,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The disk fails when the chip has confirmed: the sale was posted, nothing of it is kept."""
    writes = iter(range(1_000))

    def failing(descriptor: int) -> None:
        if next(writes) >= 2:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - 5)
            raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", failing)
        with pytest.raises(JournalWriteError, match="Input/output error"):
            await terminal.buy(AMOUNT, slot, pin_of("123456"))
    assert host.standing_sen() == AMOUNT
    with pytest.raises(JournalWriteError, match="closed"):
        await terminal.buy(AMOUNT, slot, pin_of("123456"))
    with pytest.raises(JournalWriteError, match="closed"):
        terminal.reprint(terminal.journal.last_stan)
    await terminal.close()
    after = open_terminal()
    assert await after.settle_outstanding() == 0
    assert host.standing_sen() == 0
