"""What a journal adds up to: numbers given out, transactions and reversals still owed.

A pure fold. The same `apply` runs at recovery and while the terminal works, so that what is known
after a power cut is what was known before it.
"""

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from enum import Enum

from protocols.values import Pan
from terminal.journal.records import (
    Answer,
    Completed,
    Header,
    Intent,
    Kind,
    LoggedOn,
    Record,
    ReversalAnswered,
    ReversalQueued,
    ReversalSent,
)
from terminal.limits import BATCH_MAX, REMEMBERED_TRANSACTIONS_MAX, STAN_MAX


class Status(Enum):
    """Where a transaction stands on disk."""

    OPEN = "open"
    APPROVED = "approved, the chip has not decided"
    REFUSED = "refused"
    COMPLETED = "completed"
    REVERSING = "reversal owed"
    REVERSED = "reversed"
    DISPUTED = "the host refuses to reverse"


class OrderError(ValueError):
    """A record does not follow from the records before it; the text says how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One request and all that became of it. `voided_by` is the STAN of the void, or 0."""

    intent: Intent
    status: Status
    answer: Answer | None = None
    completed_ns: int = 0
    reversal: ReversalQueued | None = None
    transmissions: int = 0
    reversal_code: str = ""
    voided_by: int = 0

    @property
    def stands(self) -> bool:
        """Tell whether money moved and stayed moved."""
        return self.status is Status.COMPLETED and not self.voided_by


#: Which record may follow in which status, and the status after it. Anything else is damage.
FOLLOWS: dict[tuple[Status, type], Status] = {
    (Status.OPEN, ReversalQueued): Status.REVERSING,
    (Status.APPROVED, Completed): Status.COMPLETED,
    (Status.APPROVED, ReversalQueued): Status.REVERSING,
    (Status.REVERSING, ReversalSent): Status.REVERSING,
    (Status.REVERSING, ReversalAnswered): Status.REVERSED,
}

#: Transactions that are never forgotten, and whose STAN is not given out again.
_IN_USE = frozenset({Status.APPROVED, Status.REVERSING})

#: DE39 in a reversal's answer that mean: nothing is left to undo (done, never there, voided).
UNDONE = frozenset({"00", "25", "76"})

#: DE39 that mean: the amount asked for, or a part of it, was posted.
APPROVALS = frozenset({"00", "10"})


@dataclass(slots=True)
class JournalState:
    """The fold. Transactions are kept by STAN, oldest first, bounded."""

    terminal_id: str = ""
    last_stan: int = 0
    batch: int = 1
    logged_on: LoggedOn | None = None
    transactions: "OrderedDict[int, Transaction]" = field(default_factory=OrderedDict)

    def next_stan(self) -> int:
        """Give the STAN after the last one given out: 1 to 999999, round, none still in use."""
        stan = self.last_stan % STAN_MAX + 1
        while stan in self.transactions and self.transactions[stan].status in _IN_USE:
            stan = stan % STAN_MAX + 1
        return stan

    def apply(self, record: Record) -> None:
        """Take one record in; raise OrderError when it cannot follow."""
        match record:
            case Header():
                self.terminal_id = record.terminal_id
            case LoggedOn():
                self.logged_on = record
            case Intent():
                self._open(record)
            case Answer():
                self._answer(record)
            case _:
                self._step(record)

    def owed(self) -> tuple[Transaction, ...]:
        """Give the transactions whose reversal has no answer yet, oldest first."""
        return tuple(t for t in self.transactions.values() if t.status is Status.REVERSING)

    def undecided(self) -> tuple[Transaction, ...]:
        """Give money requests that neither stand nor are being undone: a power cut hit them."""
        return tuple(
            t
            for t in self.transactions.values()
            if t.status in (Status.OPEN, Status.APPROVED) and t.intent.kind.moves_money
        )

    def sale_like(self, pan: Pan, amount_sen: int, since_ns: int) -> Transaction | None:
        """Give the newest purchase of this card and amount that stands, not older than given."""
        for transaction in reversed(self.transactions.values()):
            intent = transaction.intent
            if (
                intent.kind is Kind.PURCHASE
                and transaction.stands
                and intent.started_ns >= since_ns
                and intent.amount_sen == amount_sen
                and intent.pan == pan
            ):
                return transaction
        return None

    def _open(self, intent: Intent) -> None:
        known = self.transactions.get(intent.stan)
        if known is not None and known.status in _IN_USE:
            raise OrderError("its STAN is still in use")
        self.last_stan = intent.stan
        if not 0 < intent.batch <= BATCH_MAX:
            raise OrderError("its batch number is out of range")
        self.batch = intent.batch
        self.transactions.pop(intent.stan, None)
        self.transactions[intent.stan] = Transaction(intent=intent, status=Status.OPEN)
        self._forget()

    def _answer(self, answer: Answer) -> None:
        transaction = self._known(answer.stan)
        if transaction.status is not Status.OPEN:
            raise OrderError("its transaction has an answer already")
        approved = answer.response_code in APPROVALS
        status = Status.APPROVED if approved else Status.REFUSED
        if approved and not transaction.intent.kind.moves_money:
            status = Status.COMPLETED
        self._keep(replace(transaction, answer=answer, status=status))

    def _step(self, record: Completed | ReversalQueued | ReversalSent | ReversalAnswered) -> None:
        transaction = self._known(record.stan)
        status = FOLLOWS.get((transaction.status, type(record)))
        if status is None:
            raise OrderError(
                f"it cannot follow while its transaction is {transaction.status.value}"
            )
        transaction = replace(transaction, status=status)
        match record:
            case Completed():
                self._keep(replace(transaction, completed_ns=record.completed_ns))
                self._mark_voided(transaction.intent)
            case ReversalQueued():
                self.last_stan = record.reversal_stan
                self._keep(replace(transaction, reversal=record))
            case ReversalSent():
                if record.transmission != transaction.transmissions + 1:
                    raise OrderError("its transmission number is out of order")
                self._keep(replace(transaction, transmissions=record.transmission))
            case ReversalAnswered():
                if record.response_code not in UNDONE:
                    transaction = replace(transaction, status=Status.DISPUTED)
                self._keep(replace(transaction, reversal_code=record.response_code))

    def _mark_voided(self, intent: Intent) -> None:
        original = self.transactions.get(intent.original_stan)
        if intent.kind is Kind.VOID and original is not None:
            self._keep(replace(original, voided_by=intent.stan))

    def _known(self, stan: int) -> Transaction:
        transaction = self.transactions.get(stan)
        if transaction is None:
            raise OrderError("its transaction is not known")
        return transaction

    def _keep(self, transaction: Transaction) -> None:
        self.transactions[transaction.intent.stan] = transaction

    def _forget(self) -> None:
        while len(self.transactions) > REMEMBERED_TRANSACTIONS_MAX:
            for stan, transaction in self.transactions.items():
                if transaction.status not in _IN_USE:
                    del self.transactions[stan]
                    break
            else:
                return
