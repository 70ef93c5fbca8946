"""Requests under way, and what one turn's durable work will settle."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from switch.decision import Decision, Flow
from switch.pipeline.context import Context
from switch.reception import Accepted
from switch.session import Arrival

if TYPE_CHECKING:
    from switch._core import PlainSale


@dataclass(slots=True)
class Active:
    """One request under way."""

    arrival: Arrival
    accepted: Accepted
    context: Context
    changes_before: int
    flow: Flow | None = None
    decision: Decision | None = None
    locked: tuple[int, ...] = ()


@dataclass(slots=True)
class Turn:
    """What the outstanding work will settle: flows that wait for steps, answers that wait.

    `began_behind` is the last record of the ledger when the work was given out.
    """

    stepping: "list[Active | PlainSale]" = field(default_factory=list)
    settled: list[Active] = field(default_factory=list)
    began_behind: int = 0
