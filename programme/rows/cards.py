"""Cards as they are shown: masked to four digits, without holders."""

from collections.abc import Iterable
from datetime import date
from typing import Self

from pydantic import Field

from programme.limits import RESULT_ROWS_MAX
from programme.offices import CardFile, Office
from programme.registry.lists import CardEntry
from programme.registry_port import BlockReason, CardStatus
from programme.rows.base import Row, day_of
from programme.statement import ZeroReason
from programme.tranches import Tranche


class CardRow(Row):
    """A card: its registry number, state, place, and since when by whom it is in that state."""

    card: int = Field(examples=[17])
    last_four: str = Field(examples=["4821"])
    status: CardStatus
    reason: BlockReason | None = Field(description="why it is blocked: B01 lost ... B07 stolen")
    district: str = Field(examples=["Palaran"])
    village: str = Field(examples=["Bukuan"])
    since: str = Field(examples=["2026-01-05"])
    by: str = Field(examples=["Diskominfo/staf-01"])
    replaces: int | None = Field(description="the card that it replaces")

    @classmethod
    def of(cls, entry: CardEntry) -> Self:
        """Give the row of a card."""
        return cls(
            card=entry.card_number,
            last_four=entry.last_four,
            status=entry.status,
            reason=entry.block_reason,
            district=entry.district,
            village=entry.village,
            since=day_of(entry.since_ns),
            by=f"{entry.agency}/{entry.person}",
            replaces=entry.replaces_card_number,
        )


class CardRows(Row):
    """Cards in the order of issue: how many, and the first of them."""

    count: int
    cards: list[CardRow]

    @classmethod
    def of(cls, office: Office, numbers: Iterable[int]) -> Self:
        """Give the rows of cards by number, as they stand now."""
        found = list(numbers)
        first = office.registry.lists.cards(found[:RESULT_ROWS_MAX])
        return cls(count=len(found), cards=[CardRow.of(entry) for entry in first])


class MonthRow(Row):
    """One month's money on a card, in sen."""

    period: str = Field(examples=["2026-01"])
    source: str = Field(examples=["APBD"])
    budget_year: int
    decree: int
    amount_sen: int
    left_sen: int
    expires_on: date | None

    @classmethod
    def of(cls, tranche: Tranche) -> Self:
        """Give the row of a tranche."""
        return cls(
            period=tranche.period,
            source=tranche.source.name,
            budget_year=tranche.budget_year,
            decree=tranche.decree_number,
            amount_sen=tranche.amount_sen,
            left_sen=tranche.left_sen,
            expires_on=tranche.expires_on,
        )


class CardStepRow(Row):
    """One step of a card's life."""

    status: CardStatus
    reason: BlockReason | None
    on: str
    by: str


class CardFileRow(CardRow):
    """A card with its money by month and its life so far."""

    balance_sen: int
    zero_reason: ZeroReason | None = Field(description="why there is nothing to spend")
    zero_since: str | None
    months: list[MonthRow]
    steps: list[CardStepRow]

    @classmethod
    def of_file(cls, item: CardFile) -> Self:
        """Give the row of a card's file."""
        statement = item.statement
        return cls(
            **CardRow.of(item.entry).model_dump(),
            balance_sen=statement.left_sen,
            zero_reason=statement.zero_reason,
            zero_since=day_of(statement.zero_since_ns) if statement.zero_since_ns else None,
            months=[MonthRow.of(tranche) for tranche in statement.tranches],
            steps=[
                CardStepRow(status=status, reason=reason, on=day_of(at_ns), by=f"{agency}/{person}")
                for status, reason, at_ns, agency, person in item.steps
            ],
        )
