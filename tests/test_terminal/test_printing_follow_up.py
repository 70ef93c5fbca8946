"""Slips after the first: how something uncertain has ended, and what a power cut left untold."""

import binascii
import json
from dataclasses import replace
from pathlib import Path

from terminal.limits import SLIPS_OPEN_MAX
from terminal.printing.page import Page, page_bytes
from terminal.printing.queue import SlipQueue, WaitingSlip
from tests.printer_kit import bench, result

OPEN = replace(result("OPEN", stan=7), outcome="68", is_open=True)
ENDED = replace(result("ENDED", stan=7), outcome="68", reversed=True)
STANDS = replace(result("STANDS", stan=7))


async def test_end_of_something_uncertain_is_printed_once_also_after_a_power_cut(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path) as there:
        desk = there.desk()
        await desk.take(OPEN)
        assert (await desk.follow_up(lambda _stan: OPEN)).printed == 0
        await desk.close()
        desk = there.desk()
        await desk.follow_up({7: ENDED}.get)
        assert there.texts()[2:] == ["ENDED 00 TOKO .. ENDED 29 TOKO",
                                     "ENDED 00 PEMBELI .. ENDED 29 PEMBELI"]  # fmt: skip
        await desk.follow_up({7: ENDED}.get)
        assert len(there.pieces) == 4
        await desk.close()


async def test_what_stands_as_it_was_told_needs_no_second_slip(tmp_path: Path) -> None:
    async with bench(tmp_path) as there:
        desk = there.desk()
        await desk.take(OPEN)
        await desk.follow_up({7: STANDS}.get)
        assert len(there.pieces) == 2
        await desk.close()
    assert SlipQueue.open(tmp_path / "slips").open_stans == ()


async def test_power_cut_before_the_very_first_slip_leaves_it_owed(tmp_path: Path) -> None:
    async with bench(tmp_path) as there:
        desk = there.desk()
        await desk.close()  # The terminal was switched on, sold, and went dark.
        desk = there.desk()
        await desk.catch_up(result("A", stan=1))
        assert len(there.pieces) == 2
        await desk.catch_up(result("A", stan=1))
        assert len(there.pieces) == 2
        await desk.close()


async def test_partial_reversal_has_a_slip_of_its_own_number(tmp_path: Path) -> None:
    reduced = replace(result("LESS", stan=7), slip_number=8)
    async with bench(tmp_path) as there:
        desk = there.desk()
        await desk.take(STANDS)
        await desk.catch_up(reduced, ())
        assert len(there.pieces) == 4
        await desk.catch_up(reduced, ())
        assert len(there.pieces) == 4
        await desk.close()


async def test_unfinished_transaction_is_known_after_a_cut_before_its_slip(tmp_path: Path) -> None:
    async with bench(tmp_path) as there:
        desk = there.desk()
        await desk.catch_up(None, [7])
        await desk.follow_up({7: ENDED}.get)
        assert len(there.pieces) == 2
        await desk.close()


async def test_slip_comes_out_after_one_that_was_cut_in_the_middle_of_its_picture(
    tmp_path: Path,
) -> None:
    whole = page_bytes(Page(body="CUT\n", qr="LUMBUNG1:0E82-2A36-365C:600509000345:12400017:1"))
    async with bench(tmp_path) as there:
        there.server.printer.feed(whole[: len(whole) // 2])
        desk = there.desk()
        report = await desk.take(result("A"))
        assert (report.printed, report.waiting) == (2, 0)
        assert there.texts()[-1] == "A 00 PEMBELI .. A 29 PEMBELI"
        await desk.close()


def test_older_news_does_not_make_the_newest_slip_old(tmp_path: Path) -> None:
    queue = SlipQueue.open(tmp_path / "slips")
    queue.add([], 999_999)
    queue.add([], 3)
    assert queue.newest_stan == 3
    queue.add([WaitingSlip("A\n")], 999_998)
    queue.add([], 0)
    assert queue.newest_stan == 3


def test_open_ones_are_bounded_and_the_oldest_go(tmp_path: Path) -> None:
    queue = SlipQueue.open(tmp_path / "slips")
    queue.add([], opens=range(1, SLIPS_OPEN_MAX + 3))
    assert queue.open_stans == tuple(range(3, SLIPS_OPEN_MAX + 3))


def test_file_of_version_1_is_read(tmp_path: Path) -> None:
    values = {"version": 1, "slips": [{"body": "A\n", "qr": "", "begun": False}],
              "newest_stan": 5, "lines_printed": 9}  # fmt: skip
    body = json.dumps(values).encode()
    (tmp_path / "slips").write_bytes(b"%08x " % binascii.crc32(body) + body)
    queue = SlipQueue.open(tmp_path / "slips")
    assert (queue.waiting, queue.newest_stan, queue.open_stans) == (1, 5, ())
