"""ESC/POS: the table both ways, cut up anywhere, and beside an encoder of another house."""

import pytest
from escpos.printer import Dummy
from hypothesis import given
from hypothesis import strategies as st

from lumbung.printer.device import VirtualPrinter
from lumbung.printer.paper import Glyphs, Picture
from terminal.limits import PRINT_COMMAND_MAX_BYTES, PRINT_LIST_MAX_BYTES
from terminal.printing.escpos import Reader, Said, commands, encode, missing


def everything(data: bytes) -> list[Said]:
    return list(Reader().feed(data))


def tail_of(form: int | str) -> bytes:
    tails = {
        "list": b"\x08\x10\x00", "function": b"k\x03\x00abc", "columns": b"\x21\x02\x00" + b"x" * 6,
        "raster": b"\x00\x02\x00\x03\x00" + b"x" * 6, "cut": b"\x42\x00", "barcode": b"\x49\x02ab",
    }  # fmt: skip
    return bytes(range(1, form + 1)) if isinstance(form, int) else tails[form]


@pytest.mark.parametrize("name", commands())
def test_command_of_the_table_is_read_as_it_was_written(name: str) -> None:
    tail = tail_of(commands()[name].form)
    data = b"A" + encode(name, data=tail) + b"B"
    wanted = [Said("", b"A"), Said(name, tail), Said("", b"B")]
    assert everything(data) == wanted
    reader = Reader()
    said: list[Said] = []
    for byte in data:
        said += reader.feed(bytes([byte]))
    assert said == wanted


def test_no_code_of_the_table_begins_another() -> None:
    codes = [command.code for command in commands().values()]
    assert not [(a, b) for a in codes for b in codes if a != b and b.startswith(a)]
    assert all(command.what and command.at for command in commands().values())


@given(st.binary(max_size=400), st.integers(1, 50))
def test_stream_of_anything_reads_the_same_however_it_is_cut(data: bytes, step: int) -> None:
    whole, parts = Reader(), Reader()
    one = [s for s in whole.feed(data) if s.name]
    two = [
        s for at in range(0, len(data), step) for s in parts.feed(data[at : at + step]) if s.name
    ]
    assert one == two


def test_command_larger_than_the_limit_is_dropped_whole() -> None:
    head = b"\x1dv0\x00" + bytes([0xFF, 0xFF, 0xFF, 0xFF])
    size = missing("raster", head[3:])
    assert size > PRINT_COMMAND_MAX_BYTES
    reader = Reader()
    assert not [s for s in reader.feed(head + b"\x10\x04\x01") if s.name]
    assert not reader.is_between
    stops = Reader()
    assert not list(stops.feed(b"\x1bD" + b"\x01" * (PRINT_LIST_MAX_BYTES + 1)))
    assert stops.is_between


def printed(data: bytes, width: int = 576) -> VirtualPrinter:
    printer = VirtualPrinter(width)
    printer.feed(data)
    return printer


def test_stream_of_another_houses_encoder_stands_on_paper_as_it_meant() -> None:
    other = Dummy(profile="TM-T88V")
    other.set(align="center", bold=True, custom_size=True, width=2, height=2)
    other.text("WARUNG\n")
    other.set(align="left", bold=False, normal_textsize=True, underline=1)
    other.text("BERAS 5KG\n")
    other.set(align="right", underline=0, invert=True)
    other.text("74.500\n")
    other.set(invert=False, font="b")
    other.text("kecil\n")
    other.cut()
    printer = printed(other.output)
    assert not printer.not_understood
    (piece,) = printer.take_pieces()
    title, item, price, small = (mark for mark in piece.marks if isinstance(mark, Glyphs))
    assert (title.text, title.style.wide, title.style.high, title.style.bold) == (
        "WARUNG",
        2,
        2,
        True,
    )
    assert title.x == (576 - 6 * 24) // 2
    assert (item.text, item.x, item.style.underline, item.style.bold) == ("BERAS 5KG", 0, 1, False)
    assert (price.text, price.x, price.style.reverse) == ("74.500", 576 - 6 * 12, True)
    assert (small.text, small.style.font, small.style.reverse) == ("kecil", "B", False)


@pytest.mark.parametrize("native", [True, False])
def test_qr_of_another_houses_encoder_is_drawn_whether_code_or_picture(native: bool) -> None:
    other = Dummy(profile="TM-T88V")
    other.qr("LUMBUNG1:0E82-2A36-365C", native=native, size=4, center=False)
    other.cut()
    printer = printed(other.output)
    assert not printer.not_understood
    (piece,) = printer.take_pieces()
    (picture,) = (mark for mark in piece.marks if isinstance(mark, Picture))
    rows = [
        [picture.is_black(x, y) for x in range(picture.width)] for y in range(len(picture.rows))
    ]
    first = next(y for y, row in enumerate(rows) if any(row))
    left = rows[first].index(True)
    # The finder pattern of a QR: seven modules of four dots, its ring one module thick.
    assert rows[first][left : left + 28] == [True] * 28
    assert rows[first + 4][left : left + 28] == [True] * 4 + [False] * 20 + [True] * 4


def test_text_beyond_the_paper_goes_on_in_the_next_line() -> None:
    printer = printed(b"x" * 40 + b"\n" + encode("cut", 0), 384)
    (piece,) = printer.take_pieces()
    assert piece.as_text() == "x" * 32 + "\n" + "x" * 8 + "\n"
