"""One request of a terminal and all that became of it; which record may follow in which status."""

from dataclasses import dataclass, replace
from enum import Enum

from terminal.journal.records import (
    Answer,
    Completed,
    DeadLettered,
    Intent,
    ReversalAnswered,
    ReversalQueued,
    ReversalSent,
    Sent,
)
from terminal.limits import STAN_MAX


class Status(Enum):
    """Where a transaction stands on disk."""

    OPEN = "open"
    APPROVED = "approved, the chip has not decided"
    REFUSED = "refused"
    COMPLETED = "completed"
    REVERSING = "reversal owed"
    REVERSED = "reversed"
    DISPUTED = "the host refuses to reverse"
    REDUCING = "partial reversal owed"
    QUEUED = "waits to be delivered"
    DEAD = "given up, the bank settles it"


_UNDER_WAY = frozenset(
    {Status.OPEN, Status.APPROVED, Status.REVERSING, Status.REDUCING, Status.QUEUED}
)


class OrderError(ValueError):
    """A record does not follow from the records before it; the text says how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One request and all that became of it. `voided_by` is the STAN of the void, or 0.

    `reversal` is the reversal of the whole, `reduction` a partial one; `actual_sen` above 0 is what
    a partial reversal left standing. `transmissions` counts the 0400s, or those of a message.
    """

    intent: Intent
    status: Status
    answer: Answer | None = None
    completed_ns: int = 0
    reversal: ReversalQueued | None = None
    reduction: ReversalQueued | None = None
    actual_sen: int = 0
    transmissions: int = 0
    reversal_code: str = ""
    voided_by: int = 0
    refunded_sen: int = 0

    @property
    def stands(self) -> bool:
        """Tell whether money moved and stayed moved."""
        return self.status in (Status.COMPLETED, Status.REDUCING) and not self.voided_by

    @property
    def is_counted(self) -> bool:
        """Tell whether its batch adds it up; a voided sale too, beside its void."""
        stands = self.status in (Status.COMPLETED, Status.REDUCING)
        return stands and self.intent.kind.counts

    @property
    def is_at_its_end(self) -> bool:
        """Tell whether no record of its own can follow, but for a partial reversal."""
        return self.status not in _UNDER_WAY

    @property
    def amount_sen(self) -> int:
        """Give what it is about: the part that stands, or was approved, or was asked for."""
        approved = self.answer.amount_sen if self.answer is not None else 0
        return self.actual_sen or approved or self.intent.amount_sen

    @property
    def owed(self) -> ReversalQueued | None:
        """Give the reversal that has no answer yet."""
        if self.status is Status.REVERSING:
            return self.reversal
        return self.reduction if self.status is Status.REDUCING else None


#: Which record may follow in which status, and the status after it. Anything else is damage.
FOLLOWS: dict[tuple[Status, type], Status] = {
    (Status.OPEN, ReversalQueued): Status.REVERSING,
    (Status.APPROVED, Completed): Status.COMPLETED,
    (Status.APPROVED, ReversalQueued): Status.REVERSING,
    (Status.REVERSING, ReversalSent): Status.REVERSING,
    (Status.REVERSING, ReversalAnswered): Status.REVERSED,
    (Status.COMPLETED, ReversalQueued): Status.REDUCING,
    (Status.REDUCING, ReversalSent): Status.REDUCING,
    (Status.REDUCING, ReversalAnswered): Status.COMPLETED,
    (Status.QUEUED, Sent): Status.QUEUED,
    (Status.QUEUED, DeadLettered): Status.DEAD,
}

#: Transactions that are never forgotten, and whose STAN is not given out again.
IN_USE = frozenset({Status.APPROVED, Status.REVERSING, Status.REDUCING, Status.QUEUED})

#: DE39 in a reversal's answer that mean: nothing is left to undo (done, never there, voided).
UNDONE = frozenset({"00", "25", "76"})

#: DE39 that mean: the amount asked for, or a part of it, was posted.
APPROVALS = frozenset({"00", "10"})


def is_later(stan: int, than: int) -> bool:
    """Tell whether a STAN was given out after another: they begin again after 999999.

    >>> is_later(7, 5), is_later(2, 999_998), is_later(5, 5), is_later(1, 0)
    (True, True, False, True)
    """
    return 0 < (stan - than) % (STAN_MAX + 1) < STAN_MAX // 2


def counted_up(transaction: Transaction, transmission: int) -> Transaction:
    """Give it with its next transmission counted; raise OrderError when one was left out."""
    if transmission != transaction.transmissions + 1:
        raise OrderError("its transmission number is out of order")
    return replace(transaction, transmissions=transmission)


def reversed_by(transaction: Transaction, response_code: str) -> Transaction:
    """Give what the host's word on a reversal leaves; a refused partial one leaves the whole."""
    transaction = replace(transaction, reversal_code=response_code)
    undone = response_code in UNDONE
    if transaction.status is Status.COMPLETED:
        assert transaction.reduction is not None, "a partial reversal was queued before its answer"
        return replace(transaction, actual_sen=transaction.reduction.actual_sen if undone else 0)
    return transaction if undone else replace(transaction, status=Status.DISPUTED)
