"""What stands on a piece of paper: glyphs and pictures at dot positions, 203 dots an inch."""

from dataclasses import dataclass, field

#: Dots of a millimetre of paper at 203 dots an inch.
DOTS_PER_MM = 8
#: Printable dots of 58 and 80 mm paper: 48 and 72 mm. Source: ESC/POS Command Reference, GS W.
WIDTH_DOTS = {32: 384, 48: 576}
#: Dots of a character of font A and B. Source: ESC/POS Command Reference, ESC M.
FONT_DOTS = {"A": (12, 24), "B": (9, 17)}


@dataclass(frozen=True, slots=True)
class Style:
    """How characters look: font A or B, multiples of their size, and strokes."""

    font: str = "A"
    wide: int = 1
    high: int = 1
    bold: bool = False
    underline: int = 0
    reverse: bool = False

    @property
    def cell(self) -> tuple[int, int]:
        """Give width and height of one character in dots."""
        width, height = FONT_DOTS[self.font]
        return width * self.wide, height * self.high


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Characters side by side, the upper left corner of the first at (x, y)."""

    x: int
    y: int
    text: str
    style: Style


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture at (x, y): rows of whole bytes, first dot in the highest bit, 1 is black."""

    x: int
    y: int
    width: int
    rows: tuple[bytes, ...]

    def is_black(self, column: int, row: int) -> bool:
        """Tell whether a dot is black."""
        return bool(self.rows[row][column // 8] & 0x80 >> column % 8)


Mark = Glyphs | Picture


@dataclass(slots=True)
class Paper:
    """One piece of paper between two cuts."""

    width: int
    height: int = 0
    marks: list[Mark] = field(default_factory=list)

    def as_text(self) -> str:
        """Give the text, line by line; a picture is named by its size.

        Characters of double width take two columns, as they do on the paper.
        """
        rows: dict[int, list[Mark]] = {}
        for mark in self.marks:
            base = mark.y + (mark.style.cell[1] if isinstance(mark, Glyphs) else 0)
            rows.setdefault(base, []).append(mark)
        lines = []
        for base in sorted(rows):
            line = ""
            for mark in sorted(rows[base], key=lambda one: one.x):
                line = line.ljust(mark.x // FONT_DOTS["A"][0])
                if isinstance(mark, Picture):
                    line += f"[{mark.width} x {len(mark.rows)}]"
                else:
                    line += "".join(one.ljust(mark.style.wide) for one in mark.text)
            lines.append(line.rstrip())
        return "".join(f"{line}\n" for line in lines)
