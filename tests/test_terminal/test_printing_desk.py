"""Slips on paper over real lines: what goes wrong with a printer, and that no slip is lost."""

from pathlib import Path

import pytest

from lumbung.printer.faults import Happening, PrinterFault
from protocols.catalogue import text
from terminal.limits import SLIPS_QUEUED_MAX
from terminal.line import LineDownError, TcpLine
from terminal.printing.escpos import encode
from terminal.printing.page import Page
from terminal.printing.printer import Printer
from terminal.printing.queue import SlipQueue, SlipQueueError, WaitingSlip
from terminal.printing.status import Ask, PrinterState, StatusReader, Trouble, after, after_turn
from terminal.serial_port import AddressError, SerialPort, line_to
from tests.printer_kit import bench, result

COPY = text("receipt.reprint")
WHOLE = ["A 00 TOKO .. A 29 TOKO", "A 00 PEMBELI .. A 29 PEMBELI"]


@pytest.mark.parametrize("pty", [False, True], ids=["tcp", "serial"])
async def test_slips_of_a_sale_come_out_whole_and_unmarked(tmp_path: Path, pty: bool) -> None:
    async with bench(tmp_path, pty=pty) as there:
        desk = there.desk()
        report = await desk.take(result("A"))
        assert (report.printed, report.waiting, report.sentence()) == (2, 0, "")
        assert there.texts() == WHOLE
        again = await desk.take(result("B", stan=2))
        assert again.printed == 2
        assert len(there.pieces) == 4
        await desk.close()
    assert SlipQueue.open(tmp_path / "slips").lines_printed == 120


async def test_paper_out_before_a_slip_keeps_it_waiting_and_then_prints_it_unmarked(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path) as there:
        desk = there.desk()
        await there.server.happen(Happening.PAPER_OUT)
        report = await desk.take(result("A"))
        assert (report.printed, report.waiting, report.trouble) == (0, 2, Trouble.PAPER_OUT)
        assert report.sentence() == text("printer.paper_out")
        await there.server.happen(Happening.PAPER)
        assert (await desk.work()).printed == 2
        assert there.texts() == WHOLE
        await desk.close()


async def test_paper_out_in_the_middle_prints_the_slip_again_as_a_copy(tmp_path: Path) -> None:
    async with bench(tmp_path, PrinterFault(Happening.PAPER_OUT, 10)) as there:
        desk = there.desk()
        report = await desk.take(result("A"))
        assert (report.printed, report.waiting, report.trouble) == (0, 2, Trouble.PAPER_OUT)
        await there.server.happen(Happening.PAPER)
        assert (await desk.work()).printed == 2
        # The printer finished its own buffer first; then the marked copy, then the other slip.
        assert there.texts() == [WHOLE[0], f"{COPY} .. A 29 TOKO", WHOLE[1]]
        await desk.close()


@pytest.mark.parametrize("pty", [False, True], ids=["tcp", "serial"])
async def test_printer_unplugged_in_the_middle_prints_a_copy_when_it_is_back(
    tmp_path: Path, pty: bool
) -> None:
    async with bench(tmp_path, PrinterFault(Happening.UNPLUG, 45), pty=pty) as there:
        desk = there.desk()
        report = await desk.take(result("A"))
        assert (report.printed, report.waiting, report.trouble) == (1, 1, Trouble.LOST)
        assert report.sentence() == text("printer.lost")
        assert (await desk.work()).trouble is Trouble.NOT_CONNECTED
        await there.server.plug_in()
        there.pieces.append(there.server.printer.tear_off())
        assert (await desk.work()).printed == 1
        assert there.texts()[0] == WHOLE[0]
        assert there.texts()[1].startswith("A 00 PEMBELI .. A 1")
        assert there.texts()[2] == f"{COPY} .. A 29 PEMBELI"
        await desk.close()


@pytest.mark.parametrize("begun", [False, True], ids=["before", "in the middle"])
async def test_power_cut_prints_after_the_restart_and_marks_only_what_was_begun(
    tmp_path: Path, begun: bool
) -> None:
    queue = SlipQueue.open(tmp_path / "slips")
    queue.add([WaitingSlip("A 00\nA 29\n"), WaitingSlip("B 00\nB 29\n")], stan=7)
    if begun:
        queue.begin()
    del queue  # the power went here
    async with bench(tmp_path) as there:
        desk = there.desk()
        assert (await desk.work()).printed == 2
        first = f"{COPY} .. A 29" if begun else "A 00 .. A 29"
        assert there.texts() == [first, "B 00 .. B 29"]
        await desk.close()
    assert SlipQueue.open(tmp_path / "slips").newest_stan == 7


async def test_slip_that_is_a_copy_already_gets_no_second_mark(tmp_path: Path) -> None:
    queue = SlipQueue.open(tmp_path / "slips")
    queue.add([WaitingSlip(f"A\n{COPY}\nB\n", begun=True)])
    async with bench(tmp_path) as there:
        desk = there.desk()
        await desk.work()
        assert there.pieces[0].as_text() == f"A\n{COPY}\nB\n"
        await desk.close()


async def test_cover_open_is_told_and_the_slips_come_out_when_it_is_shut(tmp_path: Path) -> None:
    async with bench(tmp_path) as there:
        desk = there.desk()
        await there.server.happen(Happening.COVER_OPEN)
        assert (await desk.take(result("A"))).trouble is Trouble.COVER_OPEN
        await there.server.happen(Happening.COVER_CLOSED)
        assert (await desk.work()).printed == 2
        await desk.close()


async def test_paper_low_prints_and_says_so(tmp_path: Path) -> None:
    async with bench(tmp_path) as there:
        desk = there.desk()
        await there.server.happen(Happening.PAPER_LOW)
        report = await desk.take(result("A"))
        assert (report.printed, report.paper_low) == (2, True)
        assert report.sentence("en") == text("printer.paper_low", "en")
        await desk.close()


async def test_printer_that_says_nothing_is_silent_and_loses_no_slip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("terminal.printing.printer.PRINTER_STATUS_MS", 30)
    async with bench(tmp_path) as there:
        desk = there.desk()
        await there.server.happen(Happening.MUTE)
        report = await desk.take(result("A"))
        assert (report.waiting, report.trouble) == (2, Trouble.SILENT)
        await there.server.happen(Happening.SPEAKS)
        assert (await desk.work()).printed == 2
        assert there.texts() == WHOLE
        await desk.close()


def test_queue_keeps_the_newest_out_when_it_is_full_and_says_how_many(tmp_path: Path) -> None:
    queue = SlipQueue.open(tmp_path / "slips")
    assert queue.add([WaitingSlip("A\n")] * (SLIPS_QUEUED_MAX - 1)) == 0
    assert queue.add([WaitingSlip("B\n"), WaitingSlip("C\n")]) == 1
    assert SlipQueue.open(tmp_path / "slips").waiting == SLIPS_QUEUED_MAX


def test_queue_that_was_damaged_at_any_byte_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "slips"
    SlipQueue.open(path).add([WaitingSlip("A\n")], stan=3)
    whole = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x01]) + whole[place + 1 :])
        if place == 8:
            continue  # the blank between checksum and text carries nothing
        with pytest.raises(SlipQueueError, match="slips"):
            SlipQueue.open(path)


STATES = [
    (Ask.PRINTER, 0x12, None), (Ask.PRINTER, 0x1A, Trouble.OFFLINE),
    (Ask.OFFLINE_CAUSE, 0x16, Trouble.COVER_OPEN), (Ask.OFFLINE_CAUSE, 0x32, Trouble.PAPER_OUT),
    (Ask.OFFLINE_CAUSE, 0x36, Trouble.COVER_OPEN), (Ask.ERROR_CAUSE, 0x1A, Trouble.CUTTER),
    (Ask.PAPER, 0x72, Trouble.PAPER_OUT), (Ask.PAPER, 0x1E, None),
]  # fmt: skip


@pytest.mark.parametrize(("ask", "answer", "trouble"), STATES)
def test_status_byte_means_what_the_command_reference_says(
    ask: Ask, answer: int, trouble: Trouble | None
) -> None:
    assert after(PrinterState(), ask, answer).trouble is trouble


def test_status_bytes_are_told_apart_by_their_fixed_bits_and_noise_counts_for_nothing() -> None:
    reader = StatusReader()
    for byte in bytes.fromhex("11 13 ff 80 12 10 00 03 00 03 72 1c 00 0c 00 0f"):
        reader.feed(bytes([byte]))
    assert reader.now == [0x12, 0x72]
    assert reader.turn == [0x03, 0x0F]
    assert after_turn(PrinterState(), reader.turn[0]).paper_low


async def test_printer_state_of_a_missing_device_is_a_value(tmp_path: Path) -> None:
    assert await Printer(SerialPort(str(tmp_path / "none"))).state() is Trouble.NOT_CONNECTED
    with pytest.raises(LineDownError, match="none"):
        await SerialPort(str(tmp_path / "none")).connect()


@pytest.mark.parametrize(
    "address", ["", "tcp:", "tcp:host", "tcp:host:99999", "tcp::1", "serial:", "serial:/dev/x@7"]
)
def test_address_of_no_device_is_refused_with_the_forms_that_are(address: str) -> None:
    with pytest.raises(AddressError) as caught:
        line_to(address)
    assert "serial:PATH" in caught.value.fix


def test_address_of_each_form_gives_its_line() -> None:
    assert isinstance(line_to("tcp:127.0.0.1:9100"), TcpLine)
    assert isinstance(line_to("serial:/dev/ttyUSB0@115200"), SerialPort)


class LateLine:
    """A printer whose answer to the first page comes only when the second one is under way."""

    def __init__(self) -> None:
        self.asked = 0
        self.says: list[bytes] = []

    async def connect(self) -> None:
        """Nothing is to be opened."""

    async def close(self) -> None:
        """Nothing is to be closed."""

    async def send(self, data: bytes) -> None:
        if data.startswith(b"\x10\x04"):
            self.says.append(b"\x12")
        if data.endswith(encode("status", 1)):
            self.asked += 1
            if self.asked == 2:
                self.says += [b"\x00", b"\x00"]

    async def receive(self, *, timeout_ms: int) -> bytes:
        if not self.says:
            raise TimeoutError
        return self.says.pop(0)


async def test_late_answer_to_an_earlier_page_is_not_taken_for_the_next_ones() -> None:
    line = LateLine()
    printer = Printer(line)
    assert (await printer.print_page(Page(body="A\n"))).trouble is Trouble.SILENT
    assert (await printer.print_page(Page(body="B\n"))).trouble is Trouble.SILENT
    assert line.asked == 3
