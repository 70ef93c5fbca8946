"""Answers of the administration interface that are more than one row."""

from typing import Any, Self

from pydantic import Field

from programme.bank_list import Match, as_report
from programme.decree import ImportResult
from programme.limits import RESULT_ROWS_MAX
from programme.registry.audit import AuditCheck
from programme.reports import Report
from programme.rows.base import Row
from programme.rows.cards import CardRow
from programme.rows.money import HeldAmountRow, SweptRow
from programme.rows.trail import AuditRow, TokenRow


class CardPage(Row):
    """Cards in the order of issue; `next` is the number to ask after, null at the end."""

    cards: list[CardRow]
    next: int | None


class ImportRow(Row):
    """What taking a decree file in did; `changed` is false for a file that was taken in before."""

    decree: int
    name: str
    lines: int
    new_people: int
    changed_people: int
    changed: bool

    @classmethod
    def of(cls, done: ImportResult) -> Self:
        """Give the row of an import."""
        return cls(
            decree=done.decree.decree_number,
            name=done.decree.name,
            lines=done.lines,
            new_people=done.new_people,
            changed_people=done.changed_people,
            changed=done.changed,
        )


class ReportAnswer(Row):
    """A report: what it was made from, and its lines; amounts in sen."""

    report: str = Field(examples=["balances"])
    sequence: int
    root_hash: str
    registry_version: int
    rows: list[dict[str, Any]]

    @classmethod
    def of(cls, name: str, found: Report) -> Self:
        """Give the answer that is a report."""
        keys = [column.key for column in found.layout.columns]
        return cls(
            report=name,
            sequence=found.basis.ledger_sequence,
            root_hash=found.basis.root_hash,
            registry_version=found.basis.registry_version,
            rows=[dict(zip(keys, row, strict=True)) for row in found.rows],
        )


class MatchRow(Row):
    """What decree, bank and ledger say of a month, in sen, and every difference.

    `differences` are the lines of the report; `agrees` is true without any.
    """

    decree: int
    name: str
    period: str
    agrees: bool
    decree_sen: int
    bank_sen: int
    ledger_sen: int
    agreeing: int
    count: int
    differences: list[dict[str, Any]]

    @classmethod
    def of(cls, found: Match) -> Self:
        """Give the answer that is a match, the first of its differences."""
        rows = ReportAnswer.of("match", as_report(found)).rows
        return cls(
            decree=found.decree_number,
            name=found.decree_name,
            period=found.period,
            agrees=found.agrees,
            decree_sen=found.decree_sen,
            bank_sen=found.bank_sen,
            ledger_sen=found.ledger_sen,
            agreeing=found.agreeing,
            count=len(rows),
            differences=rows[:RESULT_ROWS_MAX],
        )


class SweepPlan(Row):
    """What a sweep of a day would take, the first of it."""

    date: str
    count: int
    total_sen: int
    tranches: list[SweptRow]


class HeldAmounts(Row):
    """What year ends hold, the first of it."""

    count: int
    total_sen: int
    amounts: list[HeldAmountRow]


class AuditRows(Row):
    """The newest changes, oldest first."""

    changes: list[AuditRow]


class AuditCheckRow(Row):
    """Whether the trail is whole, to which head."""

    version: int
    chain: str
    whole: bool
    broken_at: int | None
    why: str

    @classmethod
    def of(cls, check: AuditCheck) -> Self:
        """Give the row of a verification."""
        return cls(
            version=check.version,
            chain=check.chain.hex(),
            whole=check.broken_at is None,
            broken_at=check.broken_at,
            why=check.why,
        )


class TokenRows(Row):
    """Tokens in the order of issue."""

    tokens: list[TokenRow]


class Health(Row):
    """Whether the interface answers, and whether a switch runs on the directory."""

    ready: bool
    switch: bool
