"""Recipients and families: registered from decree lines, found again by HMAC (R26)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag
from sqlalchemy import Connection, Row, func, select, update

from programme.actors import Actor
from programme.errors import NotFoundError, RegistryForeignError
from programme.limits import PROGRESS_LINES
from programme.policy import CardHolder, policy
from programme.registry import schema
from programme.registry.survey import Clash, ClashError, Survey
from programme.registry.unit import Context, Unit, parts
from programme.roles import require

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


class PeopleBook:
    """Everything about recipients."""

    def __init__(self, context: Context) -> None:
        """Work on one registry."""
        self._context = context

    def count(self) -> int:
        """Give how many recipients are registered."""
        with self._context.storage.reading() as connection:
            return connection.execute(
                select(func.count()).select_from(schema.recipients)
            ).scalar_one()

    def number_of(self, nik: str) -> int | None:
        """Give the recipient's number by NIK, None when not registered."""
        table = schema.recipients
        query = select(table.c.recipient_number).where(
            table.c.nik_hmac == self._context.sealer.nik(nik)
        )
        with self._context.storage.reading() as connection:
            return connection.execute(query).scalar()

    def numbers_of(self, niks: Sequence[str]) -> dict[str, int]:
        """Give the recipients' numbers by NIK; whoever is not registered is missing."""
        by_hmac = {self._context.sealer.nik(nik): nik for nik in niks}
        table = schema.recipients.c
        query = select(table.nik_hmac, table.recipient_number)
        with self._context.storage.reading() as connection:
            return {
                by_hmac[row.nik_hmac]: row.recipient_number
                for part in parts(by_hmac)
                for row in connection.execute(query.where(table.nik_hmac.in_(part)))
            }

    def open_identity(self, recipient_number: int) -> PersonRecord:
        """Give a person's data in clear: for the card bureau only. Raises: NotFoundError."""
        table = schema.recipients
        query = select(table).where(table.c.recipient_number == recipient_number)
        with self._context.storage.reading() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise NotFoundError.of("programme.recipient_unknown", recipient=recipient_number)
        return self._opened(row)

    def _opened(self, row: Row[tuple[Any, ...]]) -> PersonRecord:
        try:
            identity = self._context.sealer.open(row.sealed, row.nik_hmac)
        except InvalidTag as error:
            raise RegistryForeignError.of(
                "registry.record_altered", recipient=row.recipient_number
            ) from error
        return PersonRecord(**identity, village=row.village, district=row.district)

    def is_distinct(self, nik: str) -> bool:
        """Give whether an office has seen that this person is not another of the same name."""
        table = schema.distinct_people
        query = select(table.c.nik_hmac).where(table.c.nik_hmac == self._context.sealer.nik(nik))
        with self._context.storage.reading() as connection:
            return connection.execute(query).first() is not None

    def attest_distinct(self, nik: str, actor: Actor) -> None:
        """Note that a person is not the other one of the same name and birth date; idempotent.

        Raises: RoleError. Give it before the import that names the person.
        """
        require(actor, "person.attest_distinct")
        table = schema.distinct_people
        with self._context.change(actor) as unit:
            value = self._context.sealer.nik(nik)
            known = select(table.c.nik_hmac).where(table.c.nik_hmac == value)
            if unit.connection.execute(known).first() is None:
                row = {"nik_hmac": value, "at_ns": unit.at_ns, "agency": actor.agency.value,
                       "person": actor.person}  # fmt: skip
                unit.add(table, [row])
                unit.record(RECIPIENT, 0, "attested distinct")

    def survey(self, people: Sequence[PersonRecord]) -> Survey:
        """Give who of a list is known, clashes with others, or changed; writes nothing."""
        with self._context.storage.reading() as connection:
            return self._survey(connection, people, self._faces(connection, people))

    def _survey(
        self, connection: Connection, people: Sequence[PersonRecord], faces: Sequence["_Face"]
    ) -> Survey:
        clashes = list(_clashes_within(faces))
        known = _known(connection, faces)
        clashes += _clashes_with_registry(connection, faces, known)
        clashes.sort(key=lambda clash: clash.index)
        numbers = tuple(known.get(face.nik) for face in faces)
        changed = {} if clashes else self._changed(connection, people, numbers)
        return Survey(numbers=numbers, clashes=tuple(clashes), changed=changed)

    def _changed(
        self,
        connection: Connection,
        people: Sequence[PersonRecord],
        numbers: Sequence[int | None],
    ) -> dict[int, tuple[str, ...]]:
        """Find the columns in which known people differ from what the registry keeps sealed."""
        index_of = {number: index for index, number in enumerate(numbers) if number is not None}
        table = schema.recipients
        found = {}
        for part in parts(index_of):
            query = select(table).where(table.c.recipient_number.in_(part))
            for row in connection.execute(query):
                index = index_of[row.recipient_number]
                before, now = self._opened(row), people[index]
                columns = tuple(
                    column
                    for column, field_ in _COLUMNS.items()
                    if getattr(before, field_) != getattr(now, field_)
                )
                if columns:
                    found[index] = columns
        return dict(sorted(found.items()))

    def register(
        self,
        unit: Unit,
        people: Sequence[PersonRecord],
        on_people: Callable[[int, int], None] | None = None,
    ) -> tuple[list[int], int, int]:
        """Give (recipient numbers in order, how many new, how many changed), inside a change.

        A person who is registered already keeps the number and takes what changed. Raises
        ClashError, which undoes the change, for the same NIK twice, the same family twice, or the
        same name and birth date under two NIKs, within the list or against the registry.
        """
        faces = self._faces(unit.connection, people)
        found = self._survey(unit.connection, people, faces)
        if found.clashes:
            raise ClashError(found.clashes)
        families = _family_numbers(unit, faces)
        self._update(unit, people, faces, families, found)
        numbers = self._insert(unit, people, faces, families, found.numbers, on_people)
        return numbers, found.numbers.count(None), len(found.changed)

    def _update(
        self,
        unit: Unit,
        people: Sequence[PersonRecord],
        faces: Sequence["_Face"],
        families: dict[bytes, int],
        found: Survey,
    ) -> None:
        table = schema.recipients
        for index, columns in found.changed.items():
            number, person, face = found.numbers[index], people[index], faces[index]
            assert number is not None, "only a known person can have changed"
            values = {
                "person_hmac": face.person,
                "likeness_hmac": face.likeness,
                "family_number": families[face.family],
                "sealed": self._context.sealer.seal(_identity(person), face.nik),
                "district": person.district,
                "village": person.village,
            }
            mine = table.c.recipient_number == number
            unit.connection.execute(update(table).where(mine).values(**values))
            unit.record(RECIPIENT, number, "changed", ", ".join(columns))

    def _faces(self, connection: Connection, people: Sequence[PersonRecord]) -> list["_Face"]:
        sealer = self._context.sealer
        rows = connection.execute(select(schema.distinct_people.c.nik_hmac)).scalars()
        apart = {bytes(value) for value in rows}
        found = []
        for person in people:
            nik = sealer.nik(person.nik)
            distinct = nik in apart
            found.append(
                _Face(
                    nik=nik,
                    person=sealer.person(
                        person.name, person.birth_date, apart=person.nik if distinct else ""
                    ),
                    likeness=sealer.likeness(person.name, person.birth_date),
                    family=sealer.family(person.family_card),
                    distinct=distinct,
                )
            )
        return found

    def _insert(
        self,
        unit: Unit,
        people: Sequence[PersonRecord],
        faces: Sequence["_Face"],
        families: dict[bytes, int],
        known: Sequence[int | None],
        on_people: Callable[[int, int], None] | None,
    ) -> list[int]:
        number = unit.next_number(schema.recipients, "recipient_number")
        rows: list[dict[str, Any]] = []
        numbers: list[int] = []
        for person, face, there in zip(people, faces, known, strict=True):
            if on_people is not None and len(numbers) % PROGRESS_LINES == PROGRESS_LINES - 1:
                on_people(len(numbers) + 1, len(people))
            if there is not None:
                numbers.append(there)
                continue
            rows.append(
                {
                    "recipient_number": number,
                    "nik_hmac": face.nik,
                    "person_hmac": face.person,
                    "likeness_hmac": face.likeness,
                    "family_number": families[face.family],
                    "sealed": self._context.sealer.seal(_identity(person), face.nik),
                    "district": person.district,
                    "village": person.village,
                }
            )
            numbers.append(number)
            number += 1
        unit.add(schema.recipients, rows)
        count = len(people)
        if on_people is not None and count > PROGRESS_LINES and count % PROGRESS_LINES:
            on_people(count, count)
        return numbers


@dataclass(frozen=True, slots=True)
class _Face:
    """The look-up values of one person; `distinct` is one who only looks like another."""

    nik: bytes
    person: bytes
    likeness: bytes
    family: bytes
    distinct: bool

    def claims(self) -> Iterator[tuple[str, bytes]]:
        """Yield (column, value) that nobody else may have."""
        yield "nik", self.nik
        if not self.distinct:
            yield "nama", self.likeness
        if policy().one_card_per is CardHolder.FAMILY:
            yield "nomor_kk", self.family


def _identity(person: PersonRecord) -> dict[str, str]:
    return {
        "nik": person.nik,
        "name": person.name,
        "birth_date": person.birth_date,
        "family_card": person.family_card,
        "address": person.address,
    }


#: Columns of a decree file -> fields of a person; the NIK is who somebody is, and never changes.
_COLUMNS = {
    "nama": "name",
    "tanggal_lahir": "birth_date",
    "nomor_kk": "family_card",
    "alamat": "address",
    "kelurahan": "village",
    "kecamatan": "district",
}


def _clashes_within(faces: Sequence[_Face]) -> list[Clash]:
    found = []
    seen: dict[bytes, int] = {}
    for index, face in enumerate(faces):
        for column, value in face.claims():
            other = seen.setdefault(value, index)
            if other != index:
                found.append(Clash(index, column, other, False))
                break
    return found


def _known(connection: Connection, faces: Sequence[_Face]) -> dict[bytes, int]:
    """Give registered numbers by NIK look-up value."""
    table = schema.recipients
    query = select(table.c.nik_hmac, table.c.recipient_number)
    if connection.execute(query.limit(1)).first() is None:
        return {}
    return {
        nik: number
        for part in parts(face.nik for face in faces)
        for nik, number in connection.execute(query.where(table.c.nik_hmac.in_(part)))
    }


def _clashes_with_registry(
    connection: Connection, faces: Sequence[_Face], known: dict[bytes, int]
) -> list[Clash]:
    """Find people who are there under another NIK, or whose family has another recipient."""
    people, families = schema.recipients, schema.families
    wanted = {
        value: (index, column)
        for index, face in enumerate(faces)
        for column, value in face.claims()
        if column != "nik"
    }
    if connection.execute(select(people.c.recipient_number).limit(1)).first() is None:
        return []
    apart = select(schema.distinct_people.c.nik_hmac)
    same_person = select(people.c.likeness_hmac, people.c.recipient_number).where(
        people.c.nik_hmac.not_in(apart)
    )
    same_family = select(families.c.family_hmac, people.c.recipient_number).join(
        people, people.c.family_number == families.c.family_number
    )
    found = []
    for part in parts(wanted):
        for query, column in (
            (same_person, people.c.likeness_hmac),
            (same_family, families.c.family_hmac),
        ):
            for value, number in connection.execute(query.where(column.in_(part))):
                index, name = wanted[bytes(value)]
                if known.get(faces[index].nik) == number:
                    continue
                found.append(Clash(index, name, number, True))
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
