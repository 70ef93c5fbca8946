"""ESC/POS carried out: commands in, marks on paper out. No I/O, no clock.

What has no effect on paper that a simulator could show (drawer, panel buttons, smoothing) is read
and passed over; what is not understood is counted by name, so that nothing is lost unsaid.
"""

from collections import Counter
from dataclasses import replace

import segno

from lumbung.printer.paper import Glyphs, Paper, Picture, Style
from lumbung.printer.pictures import columns_picture, qr_picture, raster_picture, stretched
from terminal.printing.escpos import Said

#: Lines of default spacing: 30 dots. Source: ESC/POS Command Reference, ESC 2.
_LINE_DOTS = 30
_TAB_COLUMNS = 8
#: Code tables: ESC t n -> codec. Source: ESC/POS Command Reference, ESC t.
CODE_TABLES = {
    0: "cp437", 2: "cp850", 3: "cp860", 4: "cp863", 5: "cp865", 16: "cp1252", 17: "cp866",
    18: "cp852", 19: "cp858",
}  # fmt: skip
#: Functions of GS ( k for QR. Source: ESC/POS Command Reference, GS ( k, functions 165 to 181.
_QR_KIND, _QR_MODULE, _QR_LEVEL, _QR_STORE, _QR_PRINT = 49, 67, 69, 80, 81
_QR_LEVELS = {48: "l", 49: "m", 50: "q", 51: "h"}
_QR_MAX_BYTES = 7_089
_WITHOUT_EFFECT = frozenset(
    {
        "carriage_return", "cancel_page", "request_now", "pulse_now", "select_device",
        "user_characters", "paper_sensors_signal", "paper_sensors_stop", "panel_buttons", "pulse",
        "kanji_off", "smoothing", "barcode_text", "barcode_font", "barcode_height",
        "barcode_width", "automatic_status", "status", "identify", "standard_mode",
    }
)  # fmt: skip


class Interpreter:
    """Carries commands out on one roll; pieces that were cut off are in `cut_off`."""

    def __init__(self, width: int) -> None:
        """Take the printable width in dots."""
        self.width = width
        self.paper = Paper(width)
        self.cut_off: list[Paper] = []
        self.not_understood: Counter[str] = Counter()
        self._initialise()

    def _initialise(self) -> None:
        self.style = Style()
        self._align, self._spacing = 0, _LINE_DOTS
        self._left, self._print_width = 0, self.width
        self._code_table = CODE_TABLES[0]
        self._line: list[Glyphs] = []
        self._x = 0
        self._space = 0
        self._tabs: tuple[int, ...] = ()
        self._qr_module, self._qr_level, self._qr_data = 3, "l", b""

    def carry_out(self, said: Said) -> int:
        """Do one thing; give the dots of paper that it fed."""
        before = self.paper.height
        cut = len(self.cut_off)
        if not said.name:
            self._write(said.data)
        else:
            self._do(said.name, said.data)
        if len(self.cut_off) > cut:
            return self.cut_off[-1].height - before
        return self.paper.height - before

    def _do(self, name: str, data: bytes) -> None:
        one = data[0] if data else 0
        pair = int.from_bytes(data[:2], "little")
        match name:
            case "initialise":
                self._initialise()
            case "line_feed" | "form_feed":
                self._feed()
            case "feed_dots":
                self._feed(one)
            case "feed_lines":
                self._feed(one * self._spacing)
            case "cut" | "cut_old" | "cut_old_three":
                self._cut(data)
            case "align":
                self._align = one & 0x03 if one < 3 else (one - 48) & 0x03
            case "default_line":
                self._spacing = _LINE_DOTS
            case "line_spacing":
                self._spacing = one
            case "character_space":
                self._space = one
            case "code_page":
                self._code_table = CODE_TABLES.get(one, CODE_TABLES[0])
            case "tab":
                self._tab()
            case "tab_stops":
                self._tabs = tuple(data.rstrip(b"\0"))
            case "position":
                self._x = min(pair, self._print_width)
            case "relative_position":
                self._x = max(0, min(self._x + pair, self._print_width))
            case "left_margin":
                self._left = min(pair, self.width - 1)
                self._print_width = min(self._print_width, self.width - self._left)
            case "print_width":
                self._print_width = max(1, min(pair, self.width - self._left))
            case "raster":
                self._picture(raster_picture(data))
            case "columns":
                self._picture(columns_picture(data))
            case "block":
                self._block(data)
            case _ if not self._restyle(name, one) and name not in _WITHOUT_EFFECT:
                self.not_understood[name] += 1

    def _restyle(self, name: str, one: int) -> bool:
        style = self.style
        match name:
            case "print_mode":
                style = replace(
                    style, font="B" if one & 0x01 else "A", bold=bool(one & 0x08),
                    high=2 if one & 0x10 else 1, wide=2 if one & 0x20 else 1,
                    underline=1 if one & 0x80 else 0,
                )  # fmt: skip
            case "font":
                style = replace(style, font="B" if one in (1, 49) else "A")
            case "emphasis" | "double_strike":
                style = replace(style, bold=bool(one & 1))
            case "underline":
                style = replace(style, underline=one & 0x03)
            case "reverse":
                style = replace(style, reverse=bool(one & 1))
            case "character_size":
                style = replace(style, wide=(one >> 4 & 0x07) + 1, high=(one & 0x07) + 1)
            case _:
                return False
        self.style = style
        return True

    # A line

    def _write(self, data: bytes) -> None:
        width = self.style.cell[0] + self._space
        text = "".join(one for one in data.decode(self._code_table, "replace") if one.isprintable())
        while text:
            room = (self._print_width - self._x) // width
            if room <= 0 and self._x:
                self._feed()
                continue
            # With space between the characters each stands for itself.
            fits = text[: 1 if self._space else max(1, room)]
            text = text[len(fits) :]
            last = self._line[-1] if self._line else None
            if last and last.style == self.style and not self._space and self._x == _end(last):
                self._line[-1] = replace(last, text=last.text + fits)
            else:
                self._line.append(Glyphs(self._x, 0, fits, self.style))
            self._x += width * len(fits)

    def _tab(self) -> None:
        cell = self.style.cell[0]
        column = self._x // cell
        stops = self._tabs or range(_TAB_COLUMNS, self._print_width // cell, _TAB_COLUMNS)
        self._x = next((stop * cell for stop in stops if stop > column), self._x)

    def _feed(self, least: int = -1) -> None:
        """Put the line on the paper and feed; `least` dots when the line is empty or lower."""
        height = max((glyphs.style.cell[1] for glyphs in self._line), default=0)
        used = max((_end(glyphs) for glyphs in self._line), default=0)
        shift = self._left + self._shift(used)
        for glyphs in self._line:
            y = self.paper.height + height - glyphs.style.cell[1]
            self.paper.marks.append(replace(glyphs, x=glyphs.x + shift, y=y))
        self.paper.height += max(height, self._spacing if least < 0 else least)
        self._line, self._x = [], 0

    def _shift(self, used: int) -> int:
        return max(0, self._print_width - used) * self._align // 2

    def _cut(self, data: bytes) -> None:
        if self._line:
            self._feed()
        if len(data) > 1:
            self.paper.height += data[1]
        self.cut_off.append(self.paper)
        self.paper = Paper(self.width)

    # Pictures

    def _picture(self, picture: Picture) -> None:
        if self._line:
            self._feed()
        shift = self._left + self._shift(min(picture.width, self._print_width))
        if picture.rows:
            self.paper.marks.append(replace(picture, x=shift, y=self.paper.height))
        self.paper.height += len(picture.rows)

    def _block(self, data: bytes) -> None:
        """Carry out GS ( k for QR; other kinds are counted and passed over."""
        is_qr = data[:1] == b"k" and len(data) >= 5 and data[3] == _QR_KIND
        if not is_qr:
            self.not_understood[f"block {data[:1].decode('latin-1')}"] += 1
            return
        function, rest = data[4], data[5:]
        if function == _QR_MODULE and rest:
            self._qr_module = min(max(rest[0], 1), 16)
        elif function == _QR_LEVEL and rest:
            self._qr_level = _QR_LEVELS.get(rest[0], "l")
        elif function == _QR_STORE:
            self._qr_data = rest[1:][:_QR_MAX_BYTES]
        elif function == _QR_PRINT and self._qr_data:
            try:
                picture = qr_picture(self._qr_data, self._qr_level)
            except segno.DataOverflowError:
                self.not_understood["block k: too much for a QR"] += 1
                return
            self._picture(stretched(picture, self._qr_module, self._qr_module))


def _end(glyphs: Glyphs) -> int:
    return glyphs.x + len(glyphs.text) * glyphs.style.cell[0]
