"""Outage sales on the whole terminal: vouchers, limits, lanes, dead letters, slips after a cut."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cardsim.channel import InProcessChannel
from terminal.device import Terminal
from terminal.host import lanes
from terminal.journal.records import Totals
from terminal.journal.transactions import Status
from terminal.purchase.outage import OutagePolicy

AMOUNT = 14_150_000
Open = Callable[..., Terminal]
PinPad = Callable[..., Callable[[], Awaitable[str]]]

pytestmark = pytest.mark.slow

CITY = OutagePolicy(enabled=True)


async def yes(_left_sen: int) -> bool:
    return True


async def cut(server: Any) -> None:
    await server.stop()


async def logged_on(open_terminal: Open, **changes: Any) -> Terminal:
    made = open_terminal(**changes)
    assert await made.log_on() == "00"
    return made


async def test_outage_sale_is_off_unless_the_city_allows_it(
    terminal: Terminal, server: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    await cut(server)
    result = await terminal.buy(2_500_000, slot, pin_of("123456"), voucher_question=yes)
    assert (result.outcome, result.voucher, result.approved) == ("91", "", False)
    await server.start()


async def test_outage_sale_is_signed_by_the_chip_and_cleared_when_the_line_is_back(
    open_terminal: Open, host: Any, server: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    terminal = await logged_on(open_terminal, outage=CITY)
    await cut(server)
    result = await terminal.buy(2_500_000, slot, pin_of("123456"), voucher_question=yes)
    assert result.approved
    assert result.voucher == f"V12400017N{result.stan:06d}"
    assert result.voucher in result.receipt_pembeli
    assert "Saldo dipotong setelah bank" in " ".join(result.receipt_pembeli.split())
    again = await terminal.buy(2_500_000, slot, pin_of("123456"), voucher_question=yes)
    assert (again.repeated, again.stan) == (True, result.stan)
    assert await terminal.settle_outstanding() == 1
    await terminal.close()
    await server.start()
    terminal = open_terminal(outage=CITY)
    server.lose = 1
    assert await terminal.settle_outstanding() == 0
    assert [m.mti for m in host.seen[-2:]] == ["0220", "0221"]
    assert host.standing_sen() == 2_500_000
    assert terminal.journal.transactions[result.stan].status is Status.COMPLETED
    assert (await terminal.settle()).totals == (Totals(sales=1, sales_sen=2_500_000),)
    assert host.settled == {"000001": "920000"}


async def test_outage_sales_end_at_the_city_limits_and_ask_first(
    open_terminal: Open, server: Any, slot: InProcessChannel, pin_of: PinPad, clock: Any
) -> None:
    terminal = await logged_on(open_terminal, outage=CITY)
    await cut(server)
    asked: list[int] = []

    async def no(left_sen: int) -> bool:
        asked.append(left_sen)
        return False

    declined = await terminal.buy(2_500_000, slot, pin_of("123456"), voucher_question=no)
    assert (declined.outcome, declined.voucher, asked) == ("91", "", [5_000_000])
    too_much = await terminal.buy(5_000_100, slot, pin_of("123456"), voucher_question=yes)
    assert too_much.outcome == "98"
    assert "Batas voucher" in too_much.detail
    assert (await terminal.buy(4_000_000, slot, pin_of("123456"), voucher_question=yes)).approved
    rest = await terminal.buy(2_000_000, slot, pin_of("123456"), voucher_question=yes)
    assert rest.outcome == "98"
    clock.pass_ms(24 * 60 * 60_000)
    assert (await terminal.buy(2_000_000, slot, pin_of("123456"), voucher_question=yes)).approved
    await server.start()


async def test_voucher_above_the_balance_is_recovered_in_part_or_goes_to_the_dead_letters(
    open_terminal: Open, host: Any, server: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    terminal = await logged_on(open_terminal, outage=CITY)
    host.balance_sen = 3_000_000
    await cut(server)
    first = await terminal.buy(2_000_000, slot, pin_of("123456"), voucher_question=yes)
    second = await terminal.buy(1_500_000, slot, pin_of("123456"), voucher_question=yes)
    third = await terminal.buy(1_400_000, slot, pin_of("123456"), voucher_question=yes)
    await server.start()
    assert await terminal.settle_outstanding() == 0
    amounts = [terminal.journal.transactions[r.stan].amount_sen for r in (first, second)]
    assert amounts == [2_000_000, 1_000_000]
    assert host.standing_sen() == 3_000_000
    (dead,) = terminal.journal.dead_letters()
    assert dead.intent.stan == third.stan
    printed = terminal.reprint(third.stan)
    assert printed is not None
    assert "belum dapat memotong" in " ".join(printed.receipt_toko.split())


async def test_voucher_that_the_host_puts_off_holds_up_no_other(
    open_terminal: Open, host: Any, server: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    terminal = await logged_on(open_terminal, outage=CITY)
    await cut(server)
    await terminal.buy(2_000_000, slot, pin_of("123456"), voucher_question=yes)
    await terminal.buy(1_500_000, slot, pin_of("123456"), voucher_question=yes)
    await server.start()
    host.refuse = "91"
    assert await terminal.settle_outstanding() == 2
    refused = await terminal.settle()
    assert (refused.outcome, refused.stan) == ("91", 0)
    host.refuse = ""
    assert await terminal.settle_outstanding() == 0
    assert host.standing_sen() == 3_500_000


async def test_stored_message_that_is_never_answered_goes_to_the_dead_letters(
    open_terminal: Open,
    host: Any,
    server: Any,
    slot: InProcessChannel,
    pin_of: PinPad,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lanes, "DELIVERY_TRANSMISSIONS_MAX", 3)
    terminal = await logged_on(open_terminal, outage=CITY)
    await cut(server)
    sold = await terminal.buy(2_500_000, slot, pin_of("123456"), voucher_question=yes)
    await server.start()
    host.refuse = "96"
    assert await terminal.settle_outstanding() == 1
    assert await terminal.settle_outstanding() == 0
    assert [t.intent.stan for t in terminal.journal.dead_letters()] == [sold.stan]
    assert terminal.journal.transactions[sold.stan].status is Status.DEAD
    assert len([m for m in host.seen if m.mti[:3] == "022"]) == 3
    assert terminal.dead_letters == 1


async def test_outage_sales_end_when_the_lane_is_full(
    open_terminal: Open,
    server: Any,
    slot: InProcessChannel,
    pin_of: PinPad,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("terminal.purchase.outage.VOUCHERS_QUEUED_MAX", 1)
    terminal = await logged_on(open_terminal, outage=CITY)
    await cut(server)
    assert (await terminal.buy(100, slot, pin_of("123456"), voucher_question=yes)).approved
    assert (await terminal.buy(200, slot, pin_of("123456"), voucher_question=yes)).outcome == "98"
    await server.start()


async def test_slips_printed_again_after_a_power_cut_differ_by_their_mark_only(
    open_terminal: Open, server: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    """Whatever line of a slip was the last on paper: what is printed again is the same slip."""
    terminal = await logged_on(open_terminal, outage=CITY)
    sale = await terminal.buy(AMOUNT, slot, pin_of("123456"))
    refund = await terminal.refund(sale.stan, 100_000, slot, pin_of("123456"))
    other = await terminal.buy(2 * AMOUNT, slot, pin_of("123456"))
    void = await terminal.void(other.stan)
    wrong = await terminal.buy(3 * AMOUNT, slot, pin_of("654321"))
    statement = await terminal.statement(slot)
    settled = await terminal.settle()
    await cut(server)
    voucher = await terminal.buy(2_500_000, slot, pin_of("123456"), voucher_question=yes)
    await server.start()
    terminal.release()
    again = open_terminal(outage=CITY)
    mark = "** SALINAN (CETAK ULANG) **"
    for told in (sale, refund, other, void, wrong, statement, settled, voucher):
        copy = again.reprint(told.stan)
        assert copy is not None
        for before, after in (
            (told.receipt_toko, copy.receipt_toko),
            (told.receipt_pembeli, copy.receipt_pembeli),
        ):
            lines = [line for line in after.splitlines() if line.strip() != mark]
            assert lines == before.splitlines()
