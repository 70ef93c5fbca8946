"""Reading a decree file: strict, all faults listed up to a bound, nothing guessed."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from programme.chart import FundSource, Purse
from programme.decree import cells
from programme.decree.columns import columns, declarations
from programme.decree.faults import DecreeFileError, FaultList
from programme.decree.lines import check_header, content, declared, records, text_lines
from programme.limits import DECREE_BYTES_MAX, PROGRESS_LINES
from programme.policy import CardHolder, policy
from programme.registry.decrees import LineOutcome
from programme.registry.names import spelling_key
from programme.registry.people import PersonRecord
from protocols.values import SEN_PER_RUPIAH

_PURSES = {"pangan": Purse.FOOD, "pendidikan": Purse.EDUCATION, "kesehatan": Purse.HEALTH}
_SOURCES = {
    "APBD": FundSource.APBD,
    "BAZNAS": FundSource.BAZNAS,
    "CSR": FundSource.CSR,
    "LAIN": FundSource.OTHER,
}


@dataclass(frozen=True, slots=True)
class DecreeRow:
    """One person of the file: where it stands, who, how much per month, what was verified."""

    line: int
    person: PersonRecord
    amount_sen: int
    outcome: LineOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class DecreeFile:
    """A sound decree file. Its repr shows no person."""

    path: Path
    sha256: bytes
    name: str
    decreed_on: date
    purse: Purse
    source: FundSource
    budget_year: int
    period_first: str
    period_last: str
    rows: tuple[DecreeRow, ...] = field(repr=False)

    @property
    def total_sen(self) -> int:
        """Give what one month costs: the sum over all eligible people."""
        eligible = (row for row in self.rows if row.outcome is LineOutcome.ELIGIBLE)
        return sum(row.amount_sen for row in eligible)


@dataclass(frozen=True, slots=True)
class _Head:
    """The declarations, read."""

    name: str
    decreed_on: date
    delimiter: str
    purse: Purse
    source: FundSource
    budget_year: int
    period_first: str
    period_last: str


#: Hears of progress: lines done, lines in all.
Progress = Callable[[int, int], None]


def read_decree(
    path: str | Path,
    *,
    on_lines: Progress | None = None,
    distinct: Callable[[str], bool] | None = None,
) -> DecreeFile:
    """Give a sound decree file; raise DecreeFileError with every fault up to the bound.

    `on_lines` is told every `PROGRESS_LINES` lines. `distinct(nik)` tells whom an office has seen
    to be another than the person of the same name and birth date (`PeopleBook.is_distinct`).
    """
    path = Path(path)
    faults = FaultList()
    raw = content(path, DECREE_BYTES_MAX, faults)
    lines = text_lines(path, raw, faults)
    head, header_at = _head(lines, faults)
    if head is None:
        raise DecreeFileError(path, faults.faults)
    twice = _Twice(faults, distinct or (lambda _nik: False))
    rows = _rows(lines, header_at, head, twice, on_lines)
    if not rows and not faults.faults:
        faults.add(header_at + 1, "file", "decree.no_people")
    if faults.faults:
        raise DecreeFileError(path, faults.faults, more=faults.full)
    return DecreeFile(
        path=path,
        sha256=hashlib.sha256(raw).digest(),
        name=head.name,
        decreed_on=head.decreed_on,
        purse=head.purse,
        source=head.source,
        budget_year=head.budget_year,
        period_first=head.period_first,
        period_last=head.period_last,
        rows=tuple(rows),
    )


def nik_at(path: str | Path, line: int) -> str:
    """Give the NIK of a line of a file whose head is sound; raise DecreeFileError for no person.

    For who attests that the person of a line is not another of the same name.
    """
    path, faults = Path(path), FaultList()
    lines = text_lines(path, content(path, DECREE_BYTES_MAX, faults), faults)
    head, header_at = _head(lines, faults)
    if head is not None:
        for number, parts in records(lines, header_at, len(columns()), head.delimiter, faults):
            if number == line and cells.digits16(parts[0]) is None:
                return parts[0]
    if not faults.faults:
        faults.add(line, "file", "decree.no_people")
    raise DecreeFileError(path, faults.faults)


def _head(lines: list[str], faults: FaultList) -> tuple[_Head | None, int]:
    """Read declarations and header; give the head and the index of the header line."""
    found, header_at = declared(lines, declarations(), faults)
    head = _declared(found, faults) if len(found) == len(declarations()) else None
    if head is not None:
        names = [field.name for field in columns()]
        check_header(lines, header_at, names, head.delimiter, faults)
    return (None if faults.faults else head), header_at


def _declared(found: dict[str, tuple[int, str]], faults: FaultList) -> _Head | None:
    values = {name: value for name, (_line, value) in found.items()}
    year = values["tahun_anggaran"]
    first, last = (cells.parse_month(values[n]) for n in ("periode_awal", "periode_akhir"))
    decreed_on = cells.parse_date(values["tanggal_sk"])
    sound = {
        "nomor_sk": cells.plain_text(values["nomor_sk"]) is None and values["nomor_sk"].isascii(),
        "tanggal_sk": decreed_on is not None,
        "pemisah": values["pemisah"] in (";", ","),
        "dompet": values["dompet"] in _PURSES,
        "sumber_dana": values["sumber_dana"] in _SOURCES,
        "tahun_anggaran": len(year) == 4 and year.isdigit() and "2020" <= year <= "2199",
        "periode_awal": first is not None,
        "periode_akhir": last is not None and (first is None or first <= last),
    }
    for field_ in declarations():
        if not sound[field_.name]:
            line, example = found[field_.name][0], field_.example
            if field_.name == "periode_akhir" and last is not None:
                faults.add(line, field_.name, "decree.period_order")
            else:
                faults.add(line, field_.name, "decree.wrong_declaration", example=example)
    if not all(sound.values()):
        return None
    assert decreed_on is not None
    assert first is not None
    assert last is not None
    return _Head(
        name=values["nomor_sk"],
        decreed_on=decreed_on,
        delimiter=values["pemisah"],
        purse=_PURSES[values["dompet"]],
        source=_SOURCES[values["sumber_dana"]],
        budget_year=int(year),
        period_first=first,
        period_last=last,
    )


def _rows(
    lines: list[str], header_at: int, head: _Head, twice: "_Twice", on_lines: Progress | None
) -> list[DecreeRow]:
    rows = []
    faults = twice.faults
    for number, parts in records(lines, header_at, len(columns()), head.delimiter, faults):
        if faults.full:
            break
        if on_lines is not None and number % PROGRESS_LINES == 0:
            on_lines(number, len(lines))
        if not _sound(number, parts, head, faults):
            continue
        nik, name, born, family, address, village, district, amount, outcome = parts
        twice.check(number, nik, f"{spelling_key(name)} {born}", family)
        person = PersonRecord(
            nik=nik,
            name=name,
            birth_date=born,
            family_card=family,
            address=address,
            village=village,
            district=district,
        )
        sen = int(amount) * SEN_PER_RUPIAH
        rows.append(DecreeRow(number, person, sen, LineOutcome(outcome)))
    if on_lines is not None and len(lines) > PROGRESS_LINES and len(lines) % PROGRESS_LINES:
        on_lines(len(lines), len(lines))
    return rows


def _sound(number: int, parts: list[str], head: _Head, faults: FaultList) -> bool:
    before = len(faults.faults)
    for field_, text in zip(columns(), parts, strict=True):
        check = cells.CELL_CHECKS.get(field_.kind)
        if check is not None:
            complaint = check(text)
        elif field_.kind == "birth_date":
            complaint = cells.birth_date(text, head.decreed_on)
        else:
            continue
        if complaint is not None:
            faults.note(number, field_.name, complaint)
    misplaced = cells.place(parts[5], parts[6])
    if misplaced is not None:
        faults.note(number, *misplaced)
    return len(faults.faults) == before


_TWICE = (
    ("nik", "decree.twice_nik"),
    ("nama", "decree.twice_person"),
    ("nomor_kk", "decree.twice_family"),
)


class _Twice:
    """Finds people who stand in the file twice: by NIK, by name and birth date, by family."""

    def __init__(self, faults: FaultList, distinct: Callable[[str], bool]) -> None:
        self.faults = faults
        self._distinct = distinct
        self._lines: tuple[dict[str, int], ...] = ({}, {}, {})
        self._nik_of: dict[int, str] = {}
        self._by_family = policy().one_card_per is CardHolder.FAMILY

    def check(self, number: int, nik: str, person: str, family: str) -> None:
        """Note the first way in which the person of a line was met before."""
        self._nik_of[number] = nik
        told = False
        for value, known, (column, key) in zip(
            (nik, person, family), self._lines, _TWICE, strict=True
        ):
            if column == "nomor_kk" and not self._by_family:
                continue
            other = known.setdefault(value, number)
            if other == number or told:
                continue
            if column == "nama" and self._seen_apart(number, other):
                known[value] = other if self._distinct(nik) else number
                continue
            self.faults.add(number, column, key, other=other)
            told = True

    def _seen_apart(self, one: int, other: int) -> bool:
        """Give whether an office has seen that one of two lines only looks like the other."""
        return self._distinct(self._nik_of[one]) or self._distinct(self._nik_of[other])
