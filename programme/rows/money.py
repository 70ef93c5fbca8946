"""Decrees, proposals and what they moved, as they are shown; amounts in sen."""

from typing import Any, Self

from pydantic import Field

from programme.disbursement import DisbursementResult
from programme.registry import DecreeRecord
from programme.registry.proposals import Proposal, ProposalKind, ProposalState
from programme.rows.base import Row, day_of, named
from programme.sweep import HeldAmount, ReleaseResult, SweepResult, SweptTranche


class DecreeRow(Row):
    """A decree: its number in the registry, its name, how far it has come."""

    decree: int
    name: str = Field(examples=["460/0941/HK-KS/2025"])
    stage: str = Field(examples=["penetapan"])
    purse: int
    source: str
    budget_year: int
    period_first: str
    period_last: str

    @classmethod
    def of(cls, record: DecreeRecord) -> Self:
        """Give the row of a decree."""
        return cls(
            decree=record.decree_number,
            name=record.name,
            stage=record.state.value,
            purse=record.purse,
            source=record.source.name,
            budget_year=record.budget_year,
            period_first=record.period_first,
            period_last=record.period_last,
        )


class DecreeRows(Row):
    """Decrees in the order of import."""

    decrees: list[DecreeRow]


class ProposalRow(Row):
    """A proposal: what, who made it, who decided, what came of it."""

    proposal: int
    kind: ProposalKind
    state: ProposalState
    terms: dict[str, Any]
    maker: str
    made_on: str
    checker: str | None
    decided_on: str
    done_on: str
    outcome: dict[str, Any]

    @classmethod
    def of(cls, found: Proposal) -> Self:
        """Give the row of a proposal."""
        return cls(
            proposal=found.number,
            kind=found.kind,
            state=found.state,
            terms=found.terms,
            maker=named(found.maker),
            made_on=day_of(found.made_at_ns),
            checker=named(found.checker) if found.checker else None,
            decided_on=day_of(found.decided_at_ns),
            done_on=day_of(found.done_at_ns),
            outcome=found.outcome,
        )


class ProposalRows(Row):
    """Proposals in the order in which they were made."""

    proposals: list[ProposalRow]


class HeldRow(Row):
    """Who was not credited, and why; the money stays in the parent giro."""

    recipient: int
    amount_sen: int
    reason: str
    detail: str


class DisbursedRow(Row):
    """A month of a decree paid, in sen: total = credited + credited before + held."""

    decree: int
    period: str
    balanced: bool
    total_sen: int
    credited_sen: int
    credited: int
    credited_before: int
    credited_before_sen: int
    held_sen: int
    held_count: int
    held: list[HeldRow] = Field(description="the first of them; `held_count` says how many")

    @classmethod
    def of(cls, result: DisbursementResult, rows_max: int) -> Self:
        """Give the row of a disbursement, with at most so many who are held."""
        return cls(
            decree=result.decree_number,
            period=result.period,
            balanced=result.balanced,
            total_sen=result.total_sen,
            credited_sen=result.credited_sen,
            credited=result.credited_count,
            credited_before=result.credited_before_count,
            credited_before_sen=result.credited_before_sen,
            held_sen=result.held_sen,
            held_count=len(result.held),
            held=[
                HeldRow(
                    recipient=item.recipient_number,
                    amount_sen=item.amount_sen,
                    reason=item.reason.value,
                    detail=item.detail,
                )
                for item in result.held[:rows_max]
            ],
        )


class SweptRow(Row):
    """One tranche that is taken back, or would be."""

    period: str
    budget_year: int
    decree: int
    amount_sen: int
    reason: str
    tranche: str

    @classmethod
    def of(cls, item: SweptTranche) -> Self:
        """Give the row of a swept tranche."""
        return cls(
            period=item.period,
            budget_year=item.budget_year,
            decree=item.decree_number,
            amount_sen=item.amount_sen,
            reason=item.reason.name.lower().replace("_", " "),
            tranche=f"{item.tranche_id:032x}",
        )


class SweptRows(Row):
    """What a sweep took; `refused` could not be taken today, with the ledger's status."""

    date: str
    swept_sen: int
    swept_count: int
    swept: list[SweptRow]
    refused: list[dict[str, Any]]

    @classmethod
    def of(cls, result: SweepResult, rows_max: int) -> Self:
        """Give the rows of a sweep, at most so many of each."""
        return cls(
            date=result.business_date.isoformat(),
            swept_sen=result.swept_sen,
            swept_count=len(result.swept),
            swept=[SweptRow.of(item) for item in result.swept[:rows_max]],
            refused=[
                {**SweptRow.of(item).model_dump(), "status": status}
                for item, status in result.refused[:rows_max]
            ],
        )


class HeldAmountRow(Row):
    """What a year's end holds and no decree has released."""

    period: str
    budget_year: int
    decree: int
    amount_sen: int
    reason: str
    sweep: str

    @classmethod
    def of(cls, item: HeldAmount) -> Self:
        """Give the row of a held amount."""
        return cls(
            period=item.period,
            budget_year=item.budget_year,
            decree=item.decree_number,
            amount_sen=item.amount_sen,
            reason=f"swept {item.swept_on}",
            sweep=f"{item.sweep_id:032x}",
        )


class ReleasedRow(Row):
    """What a decree gave back of what a year's end held."""

    decree: int
    year: int
    released: int
    released_sen: int
    still_held: int
    still_held_sen: int

    @classmethod
    def of(cls, result: ReleaseResult) -> Self:
        """Give the row of a release."""
        return cls(
            decree=result.decree_number,
            year=result.budget_year,
            released=result.released_count,
            released_sen=result.released_sen,
            still_held=len(result.still_held),
            still_held_sen=sum(item.amount_sen for item in result.still_held),
        )
