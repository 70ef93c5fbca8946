"""Paper to SVG and PNG. SVG needs nothing; PNG needs Pillow (the extra `printer`)."""

import importlib
import importlib.util
from collections.abc import Sequence
from functools import cache
from html import escape
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lumbung.printer.paper import Glyphs, Paper, Picture, Style
from protocols.errors import LumbungError

if TYPE_CHECKING:
    from PIL.Image import Image

#: Blank paper beside and above the print, in dots: 5 mm, as on 58 mm paper.
_MARGIN = 40
_PAPER, _INK, _TABLE = "#fdfcf8", "#1c1c1e", "#e4e2dc"
#: Height and width of the teeth that a cutter leaves.
_TOOTH = 6
_GAP = 36
#: A monospaced font that many systems have; without it Pillow's own, a character in each cell.
_FONTS = {
    False: "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf",
    True: "/usr/share/fonts/truetype/dejavu/DejaVuSansMono-Bold.ttf",
}


class NoPillowError(LumbungError):
    """PNG pictures need Pillow, which is not installed."""

    code = "E-PR-0001"


def has_pillow() -> bool:
    """Tell whether PNG pictures can be drawn here."""
    return importlib.util.find_spec("PIL") is not None


def has_font() -> bool:
    """Tell whether the monospaced font is here; without it Pillow's own is used."""
    return all(Path(path).exists() for path in _FONTS.values())


def svg(paper: Paper) -> str:
    """Give the paper as an SVG picture, one unit a dot."""
    width, height = paper.width + 2 * _MARGIN, paper.height + 2 * _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        f' width="{width}" height="{height}">',
        f'<rect width="{width}" height="{height}" fill="{_PAPER}"/>',
        f'<g transform="translate({_MARGIN} {_MARGIN})" fill="{_INK}"'
        ' font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" xml:space="preserve">',
    ]
    for mark in paper.marks:
        parts += _svg_glyphs(mark) if isinstance(mark, Glyphs) else [_svg_picture(mark)]
    return "\n".join([*parts, "</g>", "</svg>", ""])


def _svg_glyphs(mark: Glyphs) -> list[str]:
    style = mark.style
    width, height = style.cell
    across = len(mark.text) * width
    parts = []
    if style.reverse:
        parts.append(f'<rect x="{mark.x}" y="{mark.y}" width="{across}" height="{height}"/>')
    # The cell is stretched as the printer stretches it: drawn at its own size, then scaled.
    across_plain, size = len(mark.text) * width // style.wide, height // style.high
    baseline = round(size * 0.78)
    look = f' fill="{_PAPER}"' if style.reverse else ""
    look += ' font-weight="bold"' if style.bold else ""
    parts.append(
        f'<text transform="translate({mark.x} {mark.y}) scale({style.wide} {style.high})"'
        f' y="{baseline}" font-size="{round(size * 0.82)}" textLength="{across_plain}"'
        f' lengthAdjust="spacingAndGlyphs"{look}>{escape(mark.text)}</text>'
    )
    if style.underline:
        parts.append(
            f'<rect x="{mark.x}" y="{mark.y + height - style.underline}" width="{across}"'
            f' height="{style.underline}"/>'
        )
    return parts


def _svg_picture(mark: Picture) -> str:
    """Give the black runs of each row as one path."""
    runs = []
    for number in range(len(mark.rows)):
        start = -1
        for column in range(mark.width + 1):
            black = column < mark.width and mark.is_black(column, number)
            if black and start < 0:
                start = column
            elif not black and start >= 0:
                runs.append(
                    f"M{mark.x + start} {mark.y + number}h{column - start}v1H{mark.x + start}z"
                )
                start = -1
    return f'<path d="{"".join(runs)}"/>'


def png(pieces: Sequence[Paper]) -> bytes:
    """Give pieces of paper side by side as one PNG; raise NoPillowError."""
    pil = _pillow()
    drawn = [_draw(pil, paper) for paper in pieces]
    assert drawn, "there is something to draw"
    width = sum(one.width for one in drawn) + _GAP * (len(drawn) + 1)
    height = max(one.height for one in drawn) + 2 * _GAP
    table = pil["Image"].new("RGB", (width, height), _TABLE)
    x = _GAP
    for one in drawn:
        table.paste(one, (x, _GAP), _outline(pil, one))
        x += one.width + _GAP
    out = BytesIO()
    table.quantize(64).save(out, "PNG", optimize=True)
    return out.getvalue()


def _pillow() -> dict[str, Any]:
    try:
        return {
            name: importlib.import_module(f"PIL.{name}")
            for name in ("Image", "ImageDraw", "ImageFont")
        }
    except ImportError as missing:
        raise NoPillowError(
            "PNG pictures need Pillow; text and SVG work without.",
            fix="pip install 'lumbung[printer]'",
        ) from missing


def _draw(pil: dict[str, Any], paper: Paper) -> "Image":
    size = (paper.width + 2 * _MARGIN, paper.height + 2 * _MARGIN)
    image: Image = pil["Image"].new("RGB", size, _PAPER)
    canvas = pil["ImageDraw"].Draw(image)
    for mark in paper.marks:
        if isinstance(mark, Picture):
            bits = pil["Image"].frombytes("1", (len(mark.rows[0]) * 8, len(mark.rows)),
                                          b"".join(mark.rows))  # fmt: skip
            bits = bits.crop((0, 0, mark.width, len(mark.rows)))
            canvas.bitmap((mark.x + _MARGIN, mark.y + _MARGIN), bits, fill=_INK)
        else:
            _draw_glyphs(pil, image, canvas, mark)
    return image


def _draw_glyphs(pil: dict[str, Any], image: "Image", canvas: Any, mark: Glyphs) -> None:
    width, height = mark.style.cell
    x, y = mark.x + _MARGIN, mark.y + _MARGIN
    ink = _INK
    if mark.style.reverse:
        across = len(mark.text) * width
        canvas.rectangle((x, y, x + across - 1, y + height - 1), fill=_INK)
        ink = _PAPER
    for number, character in enumerate(mark.text):
        if character != " ":
            canvas.bitmap((x + number * width, y), _cell(character, mark.style), fill=ink)
    if mark.style.underline:
        bottom = y + height - 1
        across = len(mark.text) * width
        canvas.rectangle((x, bottom - mark.style.underline + 1, x + across - 1, bottom), fill=ink)


@cache
def _cell(character: str, style: Style) -> "Image":
    """Give one character as a mask of its cell, stretched as a printer stretches it."""
    pil = _pillow()
    width, height = style.cell
    plain_width, plain_height = width // style.wide, height // style.high
    font = _font(round(plain_height * 0.82), style.bold)
    # Drawn large and made smaller, so that strokes keep their weight on the grid of dots.
    mask: Image = pil["Image"].new("L", (plain_width, plain_height), 0)
    canvas = pil["ImageDraw"].Draw(mask)
    across = font.getlength(character)
    canvas.text(
        ((plain_width - across) / 2, plain_height * 0.78), character, 255, font, anchor="ls"
    )
    return mask if (width, height) == mask.size else mask.resize((width, height))


@cache
def _font(size: int, bold: bool) -> Any:
    fonts = _pillow()["ImageFont"]
    path = Path(_FONTS[bold])
    return fonts.truetype(str(path), size) if path.exists() else fonts.load_default(size)


def _outline(pil: dict[str, Any], image: "Image") -> "Image":
    """Give the mask of the paper: its lower edge has the teeth of the cutter."""
    mask: Image = pil["Image"].new("L", image.size, 255)
    canvas = pil["ImageDraw"].Draw(mask)
    bottom = image.height
    for x in range(0, image.width + _TOOTH, 2 * _TOOTH):
        canvas.polygon([(x, bottom), (x + _TOOTH, bottom - _TOOTH), (x + 2 * _TOOTH, bottom)], 0)
    return mask
