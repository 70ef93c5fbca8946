"""Bulk jobs of the running switch: what a programme's office does on the one writer (decision 8).

Each is a function of `JobContext` and its arguments: it gets a ledger that posts in groups behind
purchases, and the switch's own registry, so that what it changes is in force when it returns.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

from pydantic import Field

from lumbung.composition import Composition
from programme.actors import Actor, Agency
from programme.disbursement import disburse
from switch.control import Arguments, Command, CommandTable
from switch.job_runner import JobContext

_PERSON = Field(min_length=1, max_length=64)


class DisburseArguments(Arguments):
    """A month of a decree; `amount_sen` is the maker's control figure."""

    decree: int = Field(ge=1)
    period: str = Field(pattern=r"^\d{4}-\d{2}$")
    maker: str = _PERSON
    checker: str = _PERSON
    checker_agency: Agency = Field(default=Agency.DINSOS_PM, strict=False)
    amount_sen: int | None = Field(default=None, ge=1)
    expires_on: date | None = Field(default=None, strict=False)


def add_jobs(table: CommandTable, parts: Composition) -> None:
    """Add every bulk job to a node's table."""

    def run_disburse(context: JobContext, asked: DisburseArguments) -> Mapping[str, Any]:
        result = disburse(
            context.ledger, parts.registry, asked.decree, asked.period, asked.amount_sen,
            Actor(Agency.DINSOS_PM, asked.maker), Actor(asked.checker_agency, asked.checker),
            expires_on=asked.expires_on, on_group=context.progress,
        )  # fmt: skip
        return {
            "decree": result.decree_number, "period": result.period, "balanced": result.balanced,
            "total_sen": result.total_sen, "credited_sen": result.credited_sen,
            "credited": result.credited_count, "credited_before": result.credited_before_count,
            "credited_before_sen": result.credited_before_sen, "held_sen": result.held_sen,
            "held": [
                {"recipient": item.recipient_number, "amount_sen": item.amount_sen,
                 "reason": item.reason.value, "detail": item.detail}
                for item in result.held
            ],
        }  # fmt: skip

    table.add(
        Command("disburse", "credit a month of a decree to its cards", DisburseArguments,
                job=run_disburse)
    )  # fmt: skip
