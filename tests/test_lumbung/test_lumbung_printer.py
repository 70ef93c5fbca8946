"""The virtual printer: what it says of itself, what it draws, and its faults as data."""

import struct
import zlib
from pathlib import Path

import pytest

from lumbung.printer.device import VirtualPrinter
from lumbung.printer.drawing import png, svg
from lumbung.printer.faults import Happening, PrinterFault, read_faults
from lumbung.printer.paper import Glyphs, Paper, Style
from lumbung.printer.server import Tray
from protocols.errors import ConfigurationError
from terminal.printing.escpos import encode
from terminal.printing.page import Page, page_bytes
from terminal.printing.status import Ask

pytestmark = pytest.mark.slow
LINE = b"BERAS\n"


def ask(which: int) -> bytes:
    return encode("status_now", which)


def printed(printer: VirtualPrinter, data: bytes) -> str:
    printer.feed(data)
    return printer.tear_off().as_text()


def test_real_time_status_is_answered_at_once_while_the_cover_is_open() -> None:
    printer = VirtualPrinter(384)
    assert printer.feed(ask(Ask.PRINTER) + ask(Ask.PAPER)) == b"\x12\x12"
    printer.happen(Happening.COVER_OPEN)
    assert printer.feed(LINE + encode("status", 1) + ask(Ask.OFFLINE_CAUSE)) == b"\x16"
    assert printer.unfinished.height == 0
    # What waited comes out, and then the answer that waited behind it.
    assert printer.happen(Happening.COVER_CLOSED) == b"\x00"
    assert printer.unfinished.height > 0


def test_automatic_status_tells_each_change_once() -> None:
    printer = VirtualPrinter(384)
    assert printer.feed(encode("automatic_status", 0xFF)) == bytes.fromhex("10000000")
    assert printer.happen(Happening.PAPER_LOW) == bytes.fromhex("10000300")
    assert printer.happen(Happening.PAPER_LOW) == b""
    assert printer.happen(Happening.PAPER_OUT) == bytes.fromhex("18000f00")
    assert printer.feed(encode("automatic_status", 0)) == b""


def test_paper_is_used_up_by_printing_and_stops_it_where_it_ends() -> None:
    printer = VirtualPrinter(384)
    printer.paper_mm_left = 20
    printer.feed(LINE * 10)
    assert printer.paper_out
    left = printer.unfinished.height
    assert 20 * 8 <= left < 20 * 8 + 30
    printer.happen(Happening.PAPER)
    assert printer.tear_off().as_text().count("BERAS") == 10


def test_fault_strikes_after_its_line_and_unplugging_forgets_the_buffer() -> None:
    printer = VirtualPrinter(384, [PrinterFault(Happening.UNPLUG, 3)])
    assert printer.feed(LINE * 9 + ask(Ask.PRINTER)) == b""
    assert printer.unplugged
    printer.plug_in()
    assert printer.tear_off().as_text().count("BERAS") == 3
    assert printer.feed(ask(Ask.PRINTER)) == b"\x12"


def test_clear_request_empties_what_waits() -> None:
    printer = VirtualPrinter(384)
    printer.happen(Happening.PAPER_OUT)
    printer.feed(LINE * 3)
    assert printer.feed(encode("clear_now", 1, 3, 20, 1, 6, 2, 8)) == b"\x37\x25\x00"
    printer.happen(Happening.PAPER)
    assert "BERAS" not in printer.tear_off().as_text()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"A" + encode("tab") + b"B\n", "A       B\n"),
        (encode("tab_stops", data=b"\x04\x00") + b"A" + encode("tab") + b"B\n", "A   B\n"),
        (encode("align", 1) + b"AB\n", " " * 15 + "AB\n"),
        (encode("align", 50) + b"AB\n", " " * 30 + "AB\n"),
        (encode("position", 120, 0) + b"A\n", " " * 10 + "A\n"),
        (encode("left_margin", 24, 0) + b"A\n", "  A\n"),
        (encode("character_size", 0x10) + b"AB\n", "A B\n"),
        (encode("code_page", 16) + b"\xe9\n", "é\n"),
        (b"\x82\n", "é\n"),
        (encode("columns", data=b"\x21\x08\x00" + b"\xff" * 24), "[8 x 24]\n"),
    ],
)
def test_command_puts_the_text_where_it_says(data: bytes, text: str) -> None:
    assert printed(VirtualPrinter(384), data) == text


def test_what_has_no_effect_here_is_counted_by_name() -> None:
    printer = VirtualPrinter(384)
    printer.feed(encode("barcode", data=b"\x49\x02ab") + encode("page_mode"))
    assert printer.not_understood == {"barcode": 1, "page_mode": 1}


def test_svg_holds_each_text_escaped_and_each_black_run() -> None:
    paper = Paper(384, 30, [Glyphs(0, 0, "<A&B>", Style(bold=True, reverse=True, underline=1))])
    drawn = svg(paper)
    assert "&lt;A&amp;B&gt;" in drawn
    assert 'font-weight="bold"' in drawn
    printer = VirtualPrinter(384)
    printer.feed(page_bytes(Page(body="A\n", qr="LUMBUNG1:X")))
    (piece,) = printer.take_pieces()
    assert svg(piece).count("<path") == 1


def pixels(picture: bytes) -> tuple[int, int, set[int]]:
    """Give width, height and the palette indices used; a PNG of one byte a pixel, unfiltered."""
    width, height, depth, kind = struct.unpack(">IIBB", picture[16:26])
    assert kind == 3
    data, at = b"", 8
    while at < len(picture):
        size, name = struct.unpack(">I4s", picture[at : at + 8])
        if name == b"IDAT":
            data += picture[at + 8 : at + 8 + size]
        at += 12 + size
    return width, height, set(zlib.decompress(data)) if depth == 8 else set()


def test_png_is_as_large_as_its_papers_side_by_side_and_not_blank() -> None:
    one, two = Paper(384, 100), Paper(384, 300)
    one.marks.append(Glyphs(0, 0, "A", Style()))
    width, height, used = pixels(png([one, two]))
    assert (width, height) == (2 * (384 + 80) + 3 * 36, 300 + 80 + 2 * 36)
    assert png([one]) != png([Paper(384, 100)])
    assert len(used) != 1


def test_tray_goes_on_behind_what_lies_there(tmp_path: Path) -> None:
    paper = Paper(384, 30, [Glyphs(0, 0, "A", Style())])
    first = Tray(tmp_path / "out", pictures=False).put(paper)
    second = Tray(tmp_path / "out", pictures=True).put(paper)
    assert (first.name, second.name) == ("slip-0001.txt", "slip-0002.txt")
    assert not first.with_suffix(".png").exists()
    assert second.with_suffix(".png").exists()


def test_fault_plan_is_read_in_the_order_of_its_lines(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(
        '[[fault]]\nwhat = "paper"\nafter_lines = 9\n[[fault]]\nwhat = "mute"\nafter_lines = 0\n'
    )
    assert [fault.what for fault in read_faults(plan)] == [Happening.MUTE, Happening.PAPER]


WRONG = ["x = 1", "[", '[[fault]]\nwhat = "fire"\nafter_lines = 1', "fault = 3", "[[fault]]",
         '[[fault]]\nwhat = "mute"\nafter_lines = -1']  # fmt: skip


@pytest.mark.parametrize("content", WRONG)
def test_fault_plan_that_is_none_is_refused_with_the_words_that_are(
    content: str, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(content)
    with pytest.raises(ConfigurationError, match=r"plan\.toml") as caught:
        read_faults(plan)
    assert "paper-out" in caught.value.fix
