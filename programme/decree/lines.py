"""What every file of people has in common: its text, declarations, header and records of cells.

Strict, all faults listed up to a bound, nothing guessed. Which declarations and columns there are
is the caller's.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from programme.decree.columns import Field
from programme.decree.faults import DecreeFileError, FaultList
from programme.limits import DECREE_LINE_CHARACTERS_MAX, DECREE_LINES_MAX

#: How files begin that offices send instead of CSV in UTF-8. UTF-32 begins as UTF-16 does.
_NOT_TEXT = {
    b"PK\x03\x04": "decree.workbook",
    b"\xd0\xcf\x11\xe0": "decree.workbook",
    b"\xff\xfe": "decree.utf16",
    b"\xfe\xff": "decree.utf16",
}


def content(path: Path, bytes_max: int, faults: FaultList) -> bytes:
    """Give the bytes of a file; raise DecreeFileError for one that is too large or unreadable."""
    try:
        with path.open("rb") as file:
            # The size is not asked for: a pipe or a device has none, and a file may grow.
            raw = file.read(bytes_max + 1)
    except OSError as error:
        faults.add(1, "file", "decree.unreadable", why=error.strerror)
        raise DecreeFileError(path, faults.faults) from error
    if len(raw) > bytes_max:
        faults.add(1, "file", "decree.too_large", limit=bytes_max)
        raise DecreeFileError(path, faults.faults)
    return raw


def text_lines(path: Path, raw: bytes, faults: FaultList) -> list[str]:
    """Give the lines without their ends; UTF-8 with or without a mark, LF or CRLF.

    Raises: DecreeFileError for another encoding or kind of file, an empty one, too many lines.
    """
    key = next((key for start, key in _NOT_TEXT.items() if raw.startswith(start)), "")
    if key or not raw.strip():
        faults.add(1, "file", key or "decree.empty_file")
        raise DecreeFileError(path, faults.faults)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        faults.add(line, "file", "decree.not_utf8", byte=error.start + 1)
        raise DecreeFileError(path, faults.faults) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        faults.add(line, "file", "decree.zero_byte")
        raise DecreeFileError(path, faults.faults)
    if "\r" in text and "\n" not in text:
        faults.add(1, "file", "decree.cr_only")
        raise DecreeFileError(path, faults.faults)
    lines = text.replace("\r\n", "\n").split("\n")
    if lines[-1] == "":
        lines.pop()
    if len(lines) > DECREE_LINES_MAX:
        faults.add(DECREE_LINES_MAX, "file", "decree.too_many_lines", limit=DECREE_LINES_MAX)
        raise DecreeFileError(path, faults.faults)
    return lines


def declared(
    lines: list[str], fields: Sequence[Field], faults: FaultList
) -> tuple[dict[str, tuple[int, str]], int]:
    """Give (line, value) of each declaration, and the index of the header line."""
    known = {field.name: field for field in fields}
    found: dict[str, tuple[int, str]] = {}
    header_at = len(lines)
    for index, line in enumerate(lines):
        if line.startswith("# ") or line == "#":
            continue
        if not line.startswith("#"):
            header_at = index
            break
        name, colon, value = line[1:].partition(":")
        if not colon or name not in known:
            faults.add(index + 1, "file", "decree.unknown_declaration", names=", ".join(known))
        elif name in found:
            faults.add(index + 1, name, "decree.declared_twice")
        else:
            found[name] = (index + 1, value.strip())
    if not (found or faults.faults):
        faults.add(1, "file", "decree.no_declarations", first=fields[0].name)
        return found, header_at
    for field in known.values():
        if field.name not in found:
            example = f"#{field.name}: {field.example}"
            faults.add(1, field.name, "decree.not_declared", example=example)
    return found, header_at


def check_header(
    lines: list[str], at: int, names: Sequence[str], delimiter: str, faults: FaultList
) -> None:
    """Note a fault unless the header is exactly the columns, in their order."""
    wanted = delimiter.join(names)
    if at >= len(lines):
        faults.add(len(lines) + 1, "file", "decree.no_header", header=wanted)
    elif lines[at] != wanted:
        other = ";" if delimiter == "," else ","
        if lines[at] == wanted.replace(delimiter, other):
            values = {"declared": delimiter, "found": other}
            faults.add(at + 1, "file", "decree.other_delimiter", **values)
        else:
            faults.add(at + 1, "file", "decree.wrong_header", header=wanted)


def records(
    lines: list[str], header_at: int, width: int, delimiter: str, faults: FaultList
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells) of every line with the right number of cells."""
    for number, line in enumerate(lines[header_at + 1 :], start=header_at + 2):
        if len(line) > DECREE_LINE_CHARACTERS_MAX:
            faults.add(number, "file", "decree.line_too_long", characters=len(line))
            continue
        if '"' in line:
            try:
                parts = next(csv.reader([line], delimiter=delimiter, strict=True))
            except csv.Error:
                faults.add(number, "file", "decree.open_quote")
                continue
        else:
            parts = line.split(delimiter)
        if len(parts) == width:
            yield number, parts
        elif line.strip():
            values = {"found": len(parts), "wanted": width, "delimiter": delimiter}
            faults.add(number, "file", "decree.cell_count", **values)
        else:
            faults.add(number, "file", "decree.empty_line")
