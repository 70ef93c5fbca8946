"""What a decree file would change: against the registry, and against the decree before it (R50).

A look only: nothing is written. `import_decree` then does exactly this. Numbers, lines and columns
come back, never a person's data.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from programme.decree.faults import DecreeFileError, Fault, complaint
from programme.decree.reader import DecreeFile
from programme.registry.decrees import DecreeLine, DecreeRecord, LineOutcome
from programme.registry.registry import Registry
from programme.registry.survey import Clash


@dataclass(frozen=True, slots=True)
class PersonChange:
    """A known person whose data differ: line of the file, recipient's number, columns."""

    line: int
    recipient_number: int
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TermChange:
    """A known person whose amount (sen) or verification result differs from the decree before."""

    line: int
    recipient_number: int
    amount_before_sen: int
    amount_now_sen: int
    outcome_before: LineOutcome
    outcome_now: LineOutcome


@dataclass(frozen=True, slots=True)
class Ended:
    """A person whom the decree before paid and this one does not; `outcome` None: not named."""

    recipient_number: int
    outcome: LineOutcome | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecreeDiff:
    """What a file means. `imported` is the decree it was imported as, `previous` the one before."""

    imported: DecreeRecord | None
    previous: DecreeRecord | None
    new_lines: tuple[int, ...]
    known: int
    joined: tuple[int, ...]
    changed_people: tuple[PersonChange, ...]
    changed_terms: tuple[TermChange, ...]
    ended: tuple[Ended, ...]
    total_before_sen: int
    total_now_sen: int


def compare_decree(registry: Registry, file: DecreeFile) -> DecreeDiff:
    """Give what importing a file would change.

    `new_lines` are lines of people who are not registered; `joined` are registered people whom the
    previous decree did not pay. Raises: DecreeFileError for people who may not be registered,
    DuplicateError for a known decree number with another content.
    """
    imported = registry.decrees.imported(file.name, file.sha256)
    survey = registry.people.survey([row.person for row in file.rows])
    if survey.clashes:
        raise clash_error(file, survey.clashes)
    below = None if imported is None else imported.decree_number
    previous = registry.decrees.before(file.purse, file.source, below=below)
    lines = [] if previous is None else registry.decrees.lines(previous.decree_number)
    before = {line.recipient_number: line for line in lines}
    paid = {number for number, line in before.items() if line.outcome is LineOutcome.ELIGIBLE}
    now = {
        number: row.outcome
        for number, row in zip(survey.numbers, file.rows, strict=True)
        if number is not None
    }
    eligible = {number for number, outcome in now.items() if outcome is LineOutcome.ELIGIBLE}
    return DecreeDiff(
        imported=imported,
        previous=previous,
        new_lines=tuple(
            row.line
            for number, row in zip(survey.numbers, file.rows, strict=True)
            if number is None
        ),
        known=len(now),
        joined=tuple(sorted(eligible - paid)),
        changed_people=tuple(_people(file, survey.numbers, survey.changed)),
        changed_terms=tuple(_terms(file, survey.numbers, before)),
        ended=tuple(Ended(number, now.get(number)) for number in sorted(paid - eligible)),
        total_before_sen=sum(before[number].amount_sen for number in paid),
        total_now_sen=file.total_sen,
    )


def _people(
    file: DecreeFile, numbers: tuple[int | None, ...], changed: dict[int, tuple[str, ...]]
) -> Iterator[PersonChange]:
    for index, columns in changed.items():
        number = numbers[index]
        assert number is not None, "only a known person can have changed"
        yield PersonChange(file.rows[index].line, number, columns)


def _terms(
    file: DecreeFile, numbers: tuple[int | None, ...], before: dict[int, DecreeLine]
) -> Iterator[TermChange]:
    for number, row in zip(numbers, file.rows, strict=True):
        old = None if number is None else before.get(number)
        if old is not None and (old.amount_sen, old.outcome) != (row.amount_sen, row.outcome):
            yield TermChange(
                row.line, old.recipient_number, old.amount_sen, row.amount_sen, old.outcome,
                row.outcome,
            )  # fmt: skip


_TWICE = {
    "nik": "decree.twice_nik",
    "nama": "decree.twice_person",
    "nomor_kk": "decree.twice_family",
}
_KNOWN = {"nama": "decree.known_person", "nomor_kk": "decree.known_family"}


def clash_error(file: DecreeFile, clashes: tuple[Clash, ...]) -> DecreeFileError:
    """Give the error that names each clash by line and column."""
    faults = []
    for clash in clashes:
        if clash.registered:
            found = complaint(_KNOWN[clash.column], number=clash.other)
        else:
            found = complaint(_TWICE[clash.column], other=file.rows[clash.other].line)
        faults.append(Fault(file.rows[clash.index].line, clash.column, found))
    return DecreeFileError(file.path, faults)
