"""Applying a decree file to the registry: whole or not at all, once (R49, R50)."""

from collections.abc import Callable
from dataclasses import dataclass

from programme.actors import Actor
from programme.decree.diff import clash_error
from programme.decree.reader import DecreeFile
from programme.registry.decrees import DecreeRecord, NewDecree
from programme.registry.registry import Registry
from programme.registry.survey import ClashError


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did. `changed` is False when this file had been applied before.

    `changed_people` were known and took new data (name, birth date, family, address, place).
    """

    decree: DecreeRecord
    lines: int
    new_people: int
    changed_people: int
    changed: bool


def import_decree(
    registry: Registry,
    file: DecreeFile,
    actor: Actor,
    *,
    on_people: Callable[[int, int], None] | None = None,
) -> ImportResult:
    """Apply a file as stage `integrasi` (art. 8: Diskominfo); the same file again changes nothing.

    `on_people(done, all)` hears of progress; nothing is durable before this returns. Raises, with
    nothing applied: DecreeFileError listing people who are registered already under another NIK or
    whose family has another recipient; DuplicateError when the decree's number was imported with
    another content; RuleError for the wrong agency.
    """
    head = NewDecree(
        name=file.name,
        decreed_on=file.decreed_on,
        file_sha256=file.sha256,
        purse=file.purse,
        source=file.source,
        budget_year=file.budget_year,
        period_first=file.period_first,
        period_last=file.period_last,
    )
    before = registry.version
    people = [row.person for row in file.rows]
    amounts = [(row.amount_sen, row.outcome) for row in file.rows]
    try:
        decree, fresh, changed = registry.decrees.add(
            head, people, amounts, actor, on_people=on_people
        )
    except ClashError as error:
        raise clash_error(file, error.clashes) from error
    return ImportResult(decree, len(file.rows), fresh, changed, registry.version != before)
