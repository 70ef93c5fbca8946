"""Recipients and families: registered from decree lines, found again by HMAC (R26)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag
from sqlalchemy import select

from programme.errors import DuplicateError, NotFoundError, RegistryForeignError
from programme.registry import schema
from programme.registry.unit import Context, Unit, parts

RECIPIENT = "recipient"


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRecord:
    """A person as a decree names one. Its repr shows no name, number, birth date or address."""

    nik: str = field(repr=False)
    name: str = field(repr=False)
    birth_date: str = field(repr=False)
    family_card: str = field(repr=False)
    address: str = field(repr=False)
    village: str
    district: str


@dataclass(frozen=True, slots=True)
class Clash:
    """Why a person may not be registered: `index` in the list given, and the column to blame."""

    index: int
    column: str
    text: str


class ClashError(DuplicateError):
    """Some people may not be registered; nothing was."""

    def __init__(self, clashes: Sequence[Clash]) -> None:
        """Keep the clashes; the text names the first ten."""
        named = "; ".join(f"row {c.index + 1}: {c.text}" for c in clashes[:10])
        super().__init__(f"{len(clashes)} of the people may not be registered: {named}.")
        self.clashes = tuple(clashes)


class PeopleBook:
    """Everything about recipients."""

    def __init__(self, context: Context) -> None:
        """Work on one registry."""
        self._context = context

    def count(self) -> int:
        """Give how many recipients are registered."""
        with self._context.storage.reading() as connection:
            return len(connection.execute(select(schema.recipients.c.recipient_number)).all())

    def number_of(self, nik: str) -> int | None:
        """Give the recipient's number by NIK, None when not registered."""
        table = schema.recipients
        query = select(table.c.recipient_number).where(
            table.c.nik_hmac == self._context.sealer.nik(nik)
        )
        with self._context.storage.reading() as connection:
            return connection.execute(query).scalar()

    def open_identity(self, recipient_number: int) -> PersonRecord:
        """Give a person's data in clear: for the card bureau only. Raises: NotFoundError."""
        table = schema.recipients
        query = select(table).where(table.c.recipient_number == recipient_number)
        with self._context.storage.reading() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise NotFoundError(f"recipient {recipient_number} is not registered.")
        try:
            identity = self._context.sealer.open(row.sealed, row.nik_hmac)
        except InvalidTag as error:
            raise RegistryForeignError(
                f"recipient {recipient_number}: the sealed record was altered.",
                fix="Restore the registry from its last backup.",
            ) from error
        return PersonRecord(**identity, village=row.village, district=row.district)

    def register(self, unit: Unit, people: Sequence[PersonRecord]) -> tuple[list[int], int]:
        """Give (recipient numbers in order, how many are new), inside a change.

        A person who is registered already keeps the number. Raises ClashError, which undoes the
        change, for the same NIK twice, the same family twice, or the same name and birth date
        under two NIKs, within the list or against the registry.
        """
        faces = [self._face(person) for person in people]
        clashes = list(_clashes_within(faces))
        known = _known(unit, faces)
        clashes += _clashes_with_registry(unit, faces, known)
        if clashes:
            clashes.sort(key=lambda clash: clash.index)
            raise ClashError(clashes)
        return self._insert(unit, people, faces, known), len(faces) - len(known)

    def _face(self, person: PersonRecord) -> "_Face":
        sealer = self._context.sealer
        return _Face(
            nik=sealer.nik(person.nik),
            person=sealer.person(person.name, person.birth_date),
            family=sealer.family(person.family_card),
        )

    def _insert(
        self,
        unit: Unit,
        people: Sequence[PersonRecord],
        faces: Sequence["_Face"],
        known: dict[bytes, int],
    ) -> list[int]:
        families = _family_numbers(unit, faces)
        number = unit.next_number(schema.recipients, "recipient_number")
        rows: list[dict[str, Any]] = []
        numbers = []
        for person, face in zip(people, faces, strict=True):
            if face.nik in known:
                numbers.append(known[face.nik])
                continue
            rows.append(
                {
                    "recipient_number": number,
                    "nik_hmac": face.nik,
                    "person_hmac": face.person,
                    "family_number": families[face.family],
                    "sealed": self._context.sealer.seal(_identity(person), face.nik),
                    "district": person.district,
                    "village": person.village,
                }
            )
            numbers.append(number)
            number += 1
        unit.add(schema.recipients, rows)
        return numbers


@dataclass(frozen=True, slots=True)
class _Face:
    """The three look-up values of one person."""

    nik: bytes
    person: bytes
    family: bytes


def _identity(person: PersonRecord) -> dict[str, str]:
    return {
        "nik": person.nik,
        "name": person.name,
        "birth_date": person.birth_date,
        "family_card": person.family_card,
        "address": person.address,
    }


_TEXTS = {
    "nik": "the same NIK as in row {other} of this file",
    "nama": "the same name and birth date as in row {other} of this file, under another spelling",
    "nomor_kk": "the same family card as in row {other} of this file; one family has one card",
}


def _clashes_within(faces: Sequence[_Face]) -> list[Clash]:
    found = []
    seen: dict[bytes, int] = {}
    for index, face in enumerate(faces):
        for column, value in (("nik", face.nik), ("nama", face.person), ("nomor_kk", face.family)):
            other = seen.setdefault(value, index)
            if other != index:
                found.append(Clash(index, column, _TEXTS[column].format(other=other + 1)))
                break
    return found


def _known(unit: Unit, faces: Sequence[_Face]) -> dict[bytes, int]:
    """Give registered numbers by NIK look-up value."""
    table = schema.recipients
    query = select(table.c.nik_hmac, table.c.recipient_number)
    if unit.connection.execute(query.limit(1)).first() is None:
        return {}
    return {
        nik: number
        for part in parts(face.nik for face in faces)
        for nik, number in unit.connection.execute(query.where(table.c.nik_hmac.in_(part)))
    }


def _clashes_with_registry(
    unit: Unit, faces: Sequence[_Face], known: dict[bytes, int]
) -> list[Clash]:
    """Find people who are there under another NIK, or whose family has another recipient."""
    people, families = schema.recipients, schema.families
    fresh = {
        value: (index, column)
        for index, face in enumerate(faces)
        if face.nik not in known
        for column, value in (("nama", face.person), ("nomor_kk", face.family))
    }
    if unit.connection.execute(select(people.c.recipient_number).limit(1)).first() is None:
        return []
    same_person = select(people.c.person_hmac, people.c.recipient_number)
    same_family = select(families.c.family_hmac, people.c.recipient_number).join(
        people, people.c.family_number == families.c.family_number
    )
    found = []
    for part in parts(fresh):
        for query, column in (
            (same_person, people.c.person_hmac),
            (same_family, families.c.family_hmac),
        ):
            for value, number in unit.connection.execute(query.where(column.in_(part))):
                index, name = fresh[value]
                what = "the same person" if name == "nama" else "a person of the same family"
                found.append(
                    Clash(index, name, f"{what} is registered already as recipient {number}")
                )
    return found


def _family_numbers(unit: Unit, faces: Sequence[_Face]) -> dict[bytes, int]:
    table = schema.families
    query = select(table.c.family_hmac, table.c.family_number)
    found = {
        value: number
        for part in parts(face.family for face in faces)
        for value, number in unit.connection.execute(query.where(table.c.family_hmac.in_(part)))
    }
    number = unit.next_number(table, "family_number")
    rows = []
    for face in faces:
        if face.family not in found:
            found[face.family] = number
            rows.append({"family_number": number, "family_hmac": face.family})
            number += 1
    unit.add(table, rows)
    return found
