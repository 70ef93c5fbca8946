"""What a fund asks of a recipient, attested with an end date (R10)."""

import tomllib
from collections.abc import Sequence
from datetime import date
from functools import cache
from importlib.resources import files

from sqlalchemy import delete, select

from programme.actors import Actor
from programme.chart import FundSource
from programme.errors import NotFoundError, RuleError
from programme.registry import schema
from programme.registry.people import RECIPIENT
from programme.registry.unit import Context, parts
from programme.roles import require


@cache
def mark_of(source: FundSource) -> str:
    """Give the mark that a fund asks for, '' for none.

    >>> mark_of(FundSource.BAZNAS), mark_of(FundSource.APBD)
    ('mustahik', '')
    """
    path = files("programme").joinpath("fund_sources.toml")
    return str(tomllib.loads(path.read_text("utf-8"))[source.name]["mark"])


class MarkBook:
    """Everything about marks."""

    def __init__(self, context: Context) -> None:
        """Work on one registry."""
        self._context = context

    def attest(self, recipients: Sequence[int], mark: str, until: date, actor: Actor) -> None:
        """Give recipients a mark until a day, all or none; again, it takes the new day.

        Raises: RoleError, NotFoundError; RuleError for a mark that no fund asks, or a past day.
        """
        require(actor, "person.mark")
        known = sorted({mark_of(source) for source in FundSource} - {""})
        if mark not in known:
            raise RuleError.of("programme.mark_unknown", mark=mark, words=", ".join(known))
        wanted = sorted(set(recipients))
        table, people = schema.eligibility_marks, schema.recipients
        with self._context.change(actor) as unit:
            if until < unit.today:
                raise RuleError.of("programme.until_past", day=until.isoformat())
            there: set[int] = set()
            for part in parts(wanted):
                query = select(people.c.recipient_number).where(people.c.recipient_number.in_(part))
                there.update(unit.connection.execute(query).scalars())
                mine = table.c.recipient_number.in_(part) & (table.c.mark == mark)
                unit.connection.execute(delete(table).where(mine))
            for number in wanted:
                if number not in there:
                    raise NotFoundError.of("programme.recipient_unknown", recipient=number)
                after = {"mark": mark, "until": until.isoformat()}
                unit.record(RECIPIENT, number, "attested", mark, after=after)
            rows = [
                {"recipient_number": number, "mark": mark, "valid_until": until.isoformat()}
                for number in wanted
            ]
            unit.add(table, rows)

    def holders(self, mark: str, day: date) -> set[int]:
        """Give the recipients who have a mark on a day."""
        table = schema.eligibility_marks
        query = select(table.c.recipient_number).where(
            table.c.mark == mark, table.c.valid_until >= day.isoformat()
        )
        with self._context.storage.reading() as connection:
            return set(connection.execute(query).scalars())
