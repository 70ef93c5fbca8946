"""Decrees in the registry: lines, stages, and what may be paid (R49; Perwali 70/2025 art. 7-10)."""

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from programme.actors import Actor
from programme.chart import FundSource
from programme.errors import DuplicateError, NotFoundError, RuleError
from programme.registry import schema
from programme.registry.people import PeopleBook, PersonRecord
from programme.registry.unit import Context, Unit
from programme.roles import require

DECREE = "decree"


class DecreeState(StrEnum):
    """The stages, in order. Source: Perwali 70/2025 art. 7."""

    INTEGRATION = "integrasi"
    VERIFICATION = "verifikasi"
    VALIDATION = "validasi"
    DETERMINATION = "penetapan"
    EXECUTION = "pelaksanaan"

    @property
    def creditable(self) -> bool:
        """Give whether the Mayor has determined it (`ditetapkan`): only then money may flow."""
        return self in (DecreeState.DETERMINATION, DecreeState.EXECUTION)


class LineOutcome(StrEnum):
    """What verification found about one person (R27)."""

    ELIGIBLE = "layak"
    PENDING = "belum"
    DECEASED = "meninggal"
    MOVED = "pindah"
    GRADUATED = "mampu"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecreeRecord:
    """A decree as the registry keeps it. `file_id` is the first 128 bits of its file's SHA-256."""

    decree_number: int
    name: str
    decreed_on: date
    file_id: int
    purse: int
    source: FundSource
    budget_year: int
    period_first: str
    period_last: str
    state: DecreeState


@dataclass(frozen=True, slots=True)
class DecreeLine:
    """One recipient of a decree and the amount per month in sen."""

    recipient_number: int
    amount_sen: int
    outcome: LineOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDecree:
    """What an import hands in: the head of the decree; `people` and `lines` stand beside it."""

    name: str
    decreed_on: date
    file_sha256: bytes
    purse: int
    source: FundSource
    budget_year: int
    period_first: str
    period_last: str


@cache
def _stages() -> dict[str, dict[str, Any]]:
    return tomllib.loads(
        files("programme.registry").joinpath("decree_states.toml").read_text("utf-8")
    )


class DecreeBook:
    """Everything about decrees."""

    def __init__(self, context: Context, people: PeopleBook) -> None:
        """Work on one registry."""
        self._context = context
        self._people = people

    def add(
        self,
        head: NewDecree,
        people: Sequence[PersonRecord],
        amounts: Sequence[tuple[int, LineOutcome]],
        actor: Actor,
        *,
        on_people: Callable[[int, int], None] | None = None,
    ) -> tuple[DecreeRecord, int, int]:
        """Give the decree, how many people are new, and how many changed; the same file again
        changes nothing.

        Raises, with nothing written: RuleError for the wrong agency, DuplicateError for the same
        decree name with another content, ClashError for people who may not be registered.
        """
        require(actor, f"decree.{DecreeState.INTEGRATION.value}")
        with self._context.change(actor) as unit:
            found = _same_file(unit.connection, head.name, head.file_sha256)
            if found is not None:
                return found, 0, 0
            numbers, fresh, changed = self._people.register(unit, people, on_people)
            decree = unit.next_number(schema.decrees, "decree_number")
            unit.connection.execute(insert(schema.decrees).values(_new_row(decree, head)))
            lines = [
                {
                    "decree_number": decree,
                    "recipient_number": number,
                    "amount_sen": amount,
                    "outcome": outcome.value,
                }
                for number, (amount, outcome) in zip(numbers, amounts, strict=True)
            ]
            unit.add(schema.decree_lines, lines)
            _note(
                unit,
                decree,
                DecreeState.INTEGRATION,
                f"{len(lines)} lines, {fresh} new, {changed} changed",
            )
        return self.get(decree), fresh, changed

    def move(self, decree_number: int, state: DecreeState, actor: Actor) -> DecreeRecord:
        """Move a decree one stage on; raise RuleError when stage or agency does not fit."""
        require(actor, f"decree.{state.value}")
        with self._context.change(actor) as unit:
            record = _record(_row(unit.connection, decree_number))
            if _stages()[state.value]["after"] != record.state.value:
                raise RuleError.of(
                    "programme.decree_step",
                    decree=decree_number,
                    state=record.state.value,
                    wanted=state.value,
                )
            if state is DecreeState.VALIDATION:
                self._refuse_pending(unit, decree_number)
            table = schema.decrees
            mine = table.c.decree_number == decree_number
            unit.connection.execute(update(table).where(mine).values(state=state.value))
            _note(unit, decree_number, state)
        return self.get(decree_number)

    def set_outcome(
        self, decree_number: int, recipient_number: int, outcome: LineOutcome, actor: Actor
    ) -> None:
        """Note what verification found about one person, before validation (art. 9)."""
        require(actor, f"decree.{DecreeState.VERIFICATION.value}")
        with self._context.change(actor) as unit:
            record = _record(_row(unit.connection, decree_number))
            if record.state not in (DecreeState.INTEGRATION, DecreeState.VERIFICATION):
                raise RuleError.of(
                    "programme.outcome_late", decree=decree_number, state=record.state.value
                )
            table = schema.decree_lines
            mine = (table.c.decree_number == decree_number) & (
                table.c.recipient_number == recipient_number
            )
            done = unit.connection.execute(update(table).where(mine).values(outcome=outcome.value))
            if done.rowcount != 1:
                raise NotFoundError.of(
                    "programme.not_named", decree=decree_number, recipient=recipient_number
                )
            unit.record(DECREE, decree_number, "outcome", f"{recipient_number} {outcome.value}")

    def get(self, decree_number: int) -> DecreeRecord:
        """Give a decree; raise NotFoundError."""
        with self._context.storage.reading() as connection:
            return _record(_row(connection, decree_number))

    def all(self) -> list[DecreeRecord]:
        """Give all decrees in the order of import."""
        query = select(schema.decrees).order_by(schema.decrees.c.decree_number)
        with self._context.storage.reading() as connection:
            return [_record(row) for row in connection.execute(query)]

    def before(
        self, purse: int, source: FundSource, *, below: int | None = None
    ) -> DecreeRecord | None:
        """Give the last determined decree that pays a purse from a fund, of those numbered below;
        None when there is none.
        """
        earlier = [
            other
            for other in self.all()
            if (below is None or other.decree_number < below)
            and (other.purse, other.source) == (purse, source)
            and other.state.creditable
        ]
        return earlier[-1] if earlier else None

    def imported(self, name: str, file_sha256: bytes) -> DecreeRecord | None:
        """Give the decree that a file was imported as; raise DuplicateError for the same name with
        another content.
        """
        with self._context.storage.reading() as connection:
            return _same_file(connection, name, file_sha256)

    def lines(self, decree_number: int) -> list[DecreeLine]:
        """Give the lines in the order of recipient numbers."""
        table = schema.decree_lines
        query = select(table.c.recipient_number, table.c.amount_sen, table.c.outcome)
        query = query.where(table.c.decree_number == decree_number)
        with self._context.storage.reading() as connection:
            rows = connection.execute(query.order_by(table.c.recipient_number))
            return [DecreeLine(number, amount, LineOutcome(word)) for number, amount, word in rows]

    def steps(self, decree_number: int) -> list[tuple[DecreeState, int, str, str]]:
        """Give (stage, UTC nanoseconds, agency, person) of each stage reached."""
        table = schema.decree_steps
        query = select(table).where(table.c.decree_number == decree_number).order_by(table.c.step)
        with self._context.storage.reading() as connection:
            rows = connection.execute(query)
            return [(DecreeState(r.state), r.at_ns, r.agency, r.person) for r in rows]

    def _refuse_pending(self, unit: Unit, decree_number: int) -> None:
        table = schema.decree_lines
        query = select(table.c.recipient_number).where(
            table.c.decree_number == decree_number, table.c.outcome == LineOutcome.PENDING.value
        )
        pending = unit.connection.execute(query).all()
        if pending:
            raise RuleError.of(
                "programme.pending_people",
                count=len(pending),
                decree=decree_number,
                recipient=pending[0][0],
            )


def _same_file(connection: Connection, name: str, sha256: bytes) -> DecreeRecord | None:
    table = schema.decrees
    query = select(table).where((table.c.name == name) | (table.c.file_sha256 == sha256))
    row = connection.execute(query).first()
    if row is None:
        return None
    if row.file_sha256 == sha256:
        return _record(row)
    raise DuplicateError.of("programme.decree_other_content", name=name)


def _new_row(decree: int, head: NewDecree) -> dict[str, Any]:
    return {
        "decree_number": decree,
        "name": head.name,
        "decreed_on": head.decreed_on.isoformat(),
        "file_sha256": head.file_sha256,
        "purse": head.purse,
        "source": int(head.source),
        "budget_year": head.budget_year,
        "period_first": head.period_first,
        "period_last": head.period_last,
        "state": DecreeState.INTEGRATION.value,
    }


def _note(unit: Unit, decree: int, state: DecreeState, detail: str = "") -> None:
    row = {
        "decree_number": decree,
        "state": state.value,
        "at_ns": unit.at_ns,
        "agency": unit.actor.agency.value,
        "person": unit.actor.person,
    }
    unit.connection.execute(insert(schema.decree_steps).values(row))
    after = {"state": state.value}
    before = {"state": _stages()[state.value]["after"]} if _stages()[state.value]["after"] else None
    unit.record(DECREE, decree, state.value, detail, before=before, after=after)


def _row(connection: Connection, decree_number: int) -> Row[tuple[Any, ...]]:
    query = select(schema.decrees).where(schema.decrees.c.decree_number == decree_number)
    row = connection.execute(query).first()
    if row is None:
        raise NotFoundError.of("programme.decree_unknown", decree=decree_number)
    return row


def _record(row: Row[tuple[Any, ...]]) -> DecreeRecord:
    return DecreeRecord(
        decree_number=row.decree_number,
        name=row.name,
        decreed_on=date.fromisoformat(row.decreed_on),
        file_id=int.from_bytes(row.file_sha256[:16], "big"),
        purse=row.purse,
        source=FundSource(row.source),
        budget_year=row.budget_year,
        period_first=row.period_first,
        period_last=row.period_last,
        state=DecreeState(row.state),
    )
