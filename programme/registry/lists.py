"""Lists for offices and reports: cards with their place and days, never who the holder is."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, func, select

from programme.registry import schema
from programme.registry.unit import Context, parts
from programme.registry_port import BlockReason, CardStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class CardEntry:
    """A card as offices see it. `since_ns` (UTC) is when it came to its state, and by whom."""

    card_number: int
    recipient_number: int
    account_id: int
    purse: int
    last_four: str
    status: CardStatus
    block_reason: BlockReason | None
    replaces_card_number: int | None
    district: str
    village: str
    since_ns: int
    agency: str
    person: str


@dataclass(frozen=True, slots=True)
class Print:
    """A card that was printed, where its holder lives, and when (UTC)."""

    purse: int
    district: str
    at_ns: int
    is_replacement: bool


class ListBook:
    """Reads that join what the read port keeps apart."""

    def __init__(self, context: Context) -> None:
        """Work on one registry."""
        self._context = context

    def cards(self, numbers: Iterable[int] | None = None) -> list[CardEntry]:
        """Give the cards with these numbers, or all, in the order of issue."""
        found: list[CardEntry] = []
        with self._context.storage.reading() as connection:
            for part in [None] if numbers is None else parts(sorted(set(numbers))):
                found += map(_entry, connection.execute(_query(part)))
        return found

    def prints(self) -> list[Print]:
        """Give every card that was ever printed, in the order of issue."""
        cards, people, steps = schema.cards.c, schema.recipients.c, schema.card_steps.c
        query = (
            select(cards.purse, cards.replaces_card_number, people.district, steps.at_ns)
            .join(schema.recipients, cards.recipient_number == people.recipient_number)
            .join(schema.card_steps, steps.card_number == cards.card_number)
            .where(steps.status == CardStatus.PRINTED.value)
            .order_by(cards.card_number)
        )
        with self._context.storage.reading() as connection:
            return [
                Print(row.purse, row.district, row.at_ns, row.replaces_card_number is not None)
                for row in connection.execute(query)
            ]

    def merchant_kinds(self) -> dict[int, str]:
        """Give the kind of each shop (micro, small, co-operative, KUBE) by its number."""
        table = schema.merchants.c
        with self._context.storage.reading() as connection:
            rows = connection.execute(select(table.merchant_number, table.kind))
            return {row.merchant_number: row.kind for row in rows}


def _query(numbers: list[int] | None) -> Select[tuple[Any, ...]]:
    cards, people, steps = schema.cards.c, schema.recipients.c, schema.card_steps.c
    newest = select(func.max(steps.step)).group_by(steps.card_number)
    query = (
        select(
            cards.card_number, cards.recipient_number, cards.account_id, cards.purse,
            cards.last_four, cards.status, cards.block_reason, cards.replaces_card_number,
            people.district, people.village, steps.at_ns, steps.agency, steps.person,
        )
        .join(schema.recipients, cards.recipient_number == people.recipient_number)
        .join(schema.card_steps, steps.card_number == cards.card_number)
        .order_by(cards.card_number)
    )  # fmt: skip
    if numbers is not None:
        newest = newest.where(steps.card_number.in_(numbers))
        query = query.where(cards.card_number.in_(numbers))
    return query.where(steps.step.in_(newest))


def _entry(row: Row[tuple[Any, ...]]) -> CardEntry:
    return CardEntry(
        card_number=row.card_number,
        recipient_number=row.recipient_number,
        account_id=int.from_bytes(row.account_id, "big"),
        purse=row.purse,
        last_four=row.last_four,
        status=CardStatus(row.status),
        block_reason=BlockReason(row.block_reason) if row.block_reason else None,
        replaces_card_number=row.replaces_card_number,
        district=row.district,
        village=row.village,
        since_ns=row.at_ns,
        agency=row.agency,
        person=row.person,
    )
