"""Pictures out of ESC/POS: raster, bit image by columns, QR."""

import segno

from lumbung.printer.paper import Picture

_THREE_BYTE_MODES = (32, 33)
_DOUBLE_WIDTH, _DOUBLE_HEIGHT = 0x01, 0x02


def raster_picture(data: bytes) -> Picture:
    """Give the picture of GS v 0: m, bytes a row, rows, and the rows.

    >>> raster_picture(bytes.fromhex("00 01 00 02 00 ff 81")).rows
    (b'\\xff', b'\\x81')
    """
    width = int.from_bytes(data[1:3], "little")
    rows = tuple(data[start : start + width] for start in range(5, len(data), width or 1))
    picture = Picture(0, 0, width * 8, rows)
    mode = data[0] & 0x03
    return stretched(picture, 2 if mode & _DOUBLE_WIDTH else 1, 2 if mode & _DOUBLE_HEIGHT else 1)


def columns_picture(data: bytes) -> Picture:
    """Give the picture of ESC *: m, columns, then 1 or 3 bytes a column, top dot highest.

    >>> columns_picture(bytes.fromhex("01 0200 80 01")).rows[0].hex()
    '80'
    """
    size = 3 if data[0] in _THREE_BYTE_MODES else 1
    count = int.from_bytes(data[1:3], "little")
    columns = [int.from_bytes(data[3 + n * size : 3 + (n + 1) * size], "big") for n in range(count)]
    height = size * 8
    rows = []
    for row in range(height):
        bits = "".join(str(column >> (height - 1 - row) & 1) for column in columns)
        rows.append(_packed(bits))
    picture = Picture(0, 0, count, tuple(rows))
    # The coarse modes have half the dots across; eight-dot modes a third of them down.
    return stretched(picture, 1 if data[0] in (1, 33) else 2, 1 if size > 1 else 3)


def qr_picture(content: bytes, level: str) -> Picture:
    """Give a QR of `content`, one dot a module; raise segno.DataOverflowError for too much."""
    code = segno.make(content, error=level, boost_error=False, micro=False)
    rows = tuple(_packed("".join(str(int(bool(one))) for one in row)) for row in code.matrix)
    return Picture(0, 0, len(code.matrix), rows)


def stretched(picture: Picture, wide: int, high: int) -> Picture:
    """Give the picture with each dot `wide` times `high` dots large."""
    if (wide, high) == (1, 1):
        return picture
    rows: list[bytes] = []
    for row in picture.rows:
        bits = f"{int.from_bytes(row, 'big'):0{len(row) * 8}b}"[: picture.width]
        rows += [_packed("".join(bit * wide for bit in bits))] * high
    return Picture(picture.x, picture.y, picture.width * wide, tuple(rows))


def _packed(bits: str) -> bytes:
    width = -(-len(bits) // 8)
    return int(bits.ljust(width * 8, "0") or "0", 2).to_bytes(width, "big")
