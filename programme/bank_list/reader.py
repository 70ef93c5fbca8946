"""Reading the bank's list: as strict as a decree file, every fault with line and column."""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from programme.bank_list.template import PACKAGE
from programme.decree.cells import amount_rupiah, digits16, parse_date, parse_month, plain_text
from programme.decree.columns import columns, declarations
from programme.decree.faults import DecreeFileError, FaultList
from programme.decree.lines import check_header, content, declared, records, text_lines
from programme.limits import DECREE_BYTES_MAX
from protocols.values import SEN_PER_RUPIAH


@dataclass(frozen=True, slots=True)
class BankLine:
    """What the bank credited to one person, and on which day. Its repr shows no person."""

    line: int
    nik: str = field(repr=False)
    amount_sen: int
    credited_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class BankList:
    """A sound list of one month of one decree."""

    path: Path
    decree_name: str
    period: str
    lines: tuple[BankLine, ...] = field(repr=False)

    @property
    def total_sen(self) -> int:
        """Give the sum of what the bank credited."""
        return sum(line.amount_sen for line in self.lines)


def read_bank_list(path: str | Path) -> BankList:
    """Give a sound list; raise DecreeFileError with every fault up to the bound.

    A list without a line is sound: the bank credited nobody.
    """
    path, faults = Path(path), FaultList()
    lines = text_lines(path, content(path, DECREE_BYTES_MAX, faults), faults)
    found, header_at = declared(lines, declarations(PACKAGE), faults)
    if faults.faults:
        raise DecreeFileError(path, faults.faults)
    values = {name: value for name, (_line, value) in found.items()}
    sound = {
        "nomor_sk": plain_text(values["nomor_sk"]) is None and values["nomor_sk"].isascii(),
        "periode": parse_month(values["periode"]) is not None,
        "pemisah": values["pemisah"] in (";", ","),
    }
    for one in declarations(PACKAGE):
        if not sound[one.name]:
            line = found[one.name][0]
            faults.add(line, one.name, "decree.wrong_declaration", example=one.example)
    if all(sound.values()):
        names = [one.name for one in columns(PACKAGE)]
        check_header(lines, header_at, names, values["pemisah"], faults)
    if faults.faults:
        raise DecreeFileError(path, faults.faults)
    rows = _rows(lines, header_at, values["pemisah"], faults)
    if faults.faults:
        raise DecreeFileError(path, faults.faults, more=faults.full)
    return BankList(
        path=path, decree_name=values["nomor_sk"], period=values["periode"], lines=tuple(rows)
    )


def _rows(lines: list[str], header_at: int, delimiter: str, faults: FaultList) -> list[BankLine]:
    rows: list[BankLine] = []
    seen: dict[str, int] = {}
    for number, (nik, amount, day_text) in records(
        lines, header_at, len(columns(PACKAGE)), delimiter, faults
    ):
        if faults.full:
            break
        before, day = len(faults.faults), parse_date(day_text)
        for column, complaint in (("nik", digits16(nik)), ("nominal", amount_rupiah(amount))):
            if complaint is not None:
                faults.note(number, column, complaint)
        if day is None:
            faults.add(number, "tanggal", "decree.not_a_date")
        if len(faults.faults) > before:
            continue
        assert day is not None
        other = seen.setdefault(nik, number)
        if other != number:
            faults.add(number, "nik", "decree.twice_nik", other=other)
            continue
        rows.append(BankLine(number, nik, int(amount) * SEN_PER_RUPIAH, day))
    return rows
