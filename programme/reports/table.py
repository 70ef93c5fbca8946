"""A report as values: what it is called, what it was made from, its columns and lines."""

import tomllib
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib.resources import files

from protocols.values import SEN_PER_RUPIAH

Cell = str | int


class CellKind(StrEnum):
    """What a cell holds: text, a count, or an amount in sen that is shown in rupiah."""

    TEXT = "text"
    COUNT = "count"
    RUPIAH = "rupiah"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of reports.toml."""

    key: str
    id: str
    en: str
    kind: CellKind
    total: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One report of reports.toml."""

    name: str
    title_id: str
    title_en: str
    note_id: str
    note_en: str
    source: str
    columns: tuple[Column, ...]
    words: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What a report was made from. `day` is an ISO date where the report counts days, else ''."""

    ledger_sequence: int
    root_hash: str
    registry_version: int
    registry_chain: str
    day: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A finished report; amounts in sen, one value a column in every line."""

    layout: Layout
    basis: Basis
    rows: tuple[tuple[Cell, ...], ...]

    def totals(self) -> tuple[Cell, ...] | None:
        """Give the last line: sums where the column is summed, '' elsewhere; None without sums."""
        if not any(column.total for column in self.layout.columns):
            return None
        return tuple(
            sum(int(row[at]) for row in self.rows) if column.total else ""
            for at, column in enumerate(self.layout.columns)
        )

    def total(self, key: str) -> int:
        """Give the sum of a column, in sen or as a count."""
        at = [column.key for column in self.layout.columns].index(key)
        return sum(int(row[at]) for row in self.rows)


@cache
def layouts(package: str = "programme.reports") -> dict[str, Layout]:
    """Give the layouts of a package by report name, in the order of its table."""
    table = tomllib.loads(files(package).joinpath("reports.toml").read_text("utf-8"))
    found = {}
    for name, entry in table.items():
        columns = tuple(
            Column(**{**column, "kind": CellKind(column["kind"])})
            for column in entry.pop("columns")
        )
        found[name] = Layout(name=name, columns=columns, **entry)
    return found


def plain_rupiah(sen: int) -> str:
    """Give an amount for a program: digits, a point and two more only when there are sen.

    >>> plain_rupiah(14150000), plain_rupiah(-5), plain_rupiah(150)
    ('141500', '-0.05', '1.50')
    """
    sign = "-" if sen < 0 else ""
    whole, rest = divmod(abs(sen), SEN_PER_RUPIAH)
    return f"{sign}{whole}" + (f".{rest:02d}" if rest else "")


def shown_rupiah(sen: int) -> str:
    """Give an amount for people: points between thousands, a comma before sen.

    >>> shown_rupiah(151920000000), shown_rupiah(150)
    ('1.519.200.000', '1,50')
    """
    sign = "-" if sen < 0 else ""
    whole, rest = divmod(abs(sen), SEN_PER_RUPIAH)
    return sign + f"{whole:,}".replace(",", ".") + (f",{rest:02d}" if rest else "")
