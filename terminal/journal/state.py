"""What a journal adds up to: numbers given out, transactions, batches, and what is still owed.

A pure fold. The same `apply` runs at recovery and while the terminal works, so that what is known
after a power cut is what was known before it.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from protocols.values import Pan
from terminal.journal.batches import Batch, BatchStatus, add_up, after_settlement
from terminal.journal.records import (
    Answer,
    Complaint,
    Completed,
    DeadLettered,
    Header,
    Intent,
    Kind,
    LoggedOff,
    LoggedOn,
    Record,
    ReversalAnswered,
    ReversalQueued,
    ReversalSent,
    Sent,
    Totals,
)
from terminal.journal.transactions import (
    APPROVALS,
    FOLLOWS,
    IN_USE,
    OrderError,
    Status,
    Transaction,
    counted_up,
    reversed_by,
)
from terminal.limits import (
    BATCH_MAX,
    BATCHES_REMEMBERED_MAX,
    COMPLAINTS_REMEMBERED_MAX,
    REMEMBERED_TRANSACTIONS_MAX,
    STAN_MAX,
)

#: DE3 of a settlement that follows its batch's upload. Source: edc.toml, element 3.
AFTER_UPLOAD = "960000"


_Step = Completed | ReversalQueued | ReversalSent | ReversalAnswered | Sent | DeadLettered


@dataclass(slots=True)
class JournalState:
    """The fold. Transactions are kept by STAN, oldest first; all bounded."""

    terminal_id: str = ""
    training: bool = False
    last_stan: int = 0
    batch: int = 1
    logged_on: LoggedOn | None = None
    transactions: "OrderedDict[int, Transaction]" = field(default_factory=OrderedDict)
    batches: "OrderedDict[int, Batch]" = field(default_factory=OrderedDict)
    complaints: list[Complaint] = field(default_factory=list)
    #: STANs of what is not at its end, oldest first: all that is ever looked for in a hurry.
    _live: dict[int, None] = field(default_factory=dict)
    #: Of each batch: how many transactions stand in it, and when the first one began.
    _counts: dict[int, int] = field(default_factory=dict)
    _began_ns: dict[int, int] = field(default_factory=dict)

    def next_stan(self) -> int:
        """Give the STAN after the last one given out: 1 to 999999, round, none still in use."""
        stan = self.last_stan % STAN_MAX + 1
        while stan in self.transactions and self._is_needed(self.transactions[stan]):
            stan = stan % STAN_MAX + 1
        return stan

    def apply(self, record: Record) -> None:
        """Take one record in; raise OrderError when it cannot follow."""
        match record:
            case Header():
                self.terminal_id, self.training = record.terminal_id, record.training
            case LoggedOn():
                self.logged_on = record
            case LoggedOff():
                self.logged_on = None
            case Complaint():
                self.complaints = [*self.complaints, record][-COMPLAINTS_REMEMBERED_MAX:]
            case Intent():
                self._open(record)
            case Answer():
                self._answer(record)
            case _:
                self._step(record)

    # What is still to do

    def owed(self) -> tuple[Transaction, ...]:
        """Give the transactions whose reversal has no answer yet, oldest first."""
        return tuple(t for t in self._alive() if t.owed is not None)

    def queued(self) -> tuple[Transaction, ...]:
        """Give the stored messages that have no final answer yet, oldest first."""
        return tuple(t for t in self._alive() if t.status is Status.QUEUED)

    def dead_letters(self) -> tuple[Transaction, ...]:
        """Give what the bank must settle by hand: given up, refused vouchers, refused reversals."""
        return tuple(
            t
            for t in self.transactions.values()
            if t.status in (Status.DEAD, Status.DISPUTED)
            or (t.intent.kind is Kind.VOUCHER and t.status is Status.REFUSED)
        )

    def undecided(self) -> tuple[Transaction, ...]:
        """Give money requests that neither stand nor are being undone: a power cut hit them."""
        return tuple(
            t
            for t in self._alive()
            if t.status in (Status.OPEN, Status.APPROVED) and t.intent.kind.moves_money
        )

    def _alive(self) -> list[Transaction]:
        return [self.transactions[stan] for stan in self._live]

    # Batches

    def counted(self, batch: int) -> tuple[Transaction, ...]:
        """Give the transactions that stand in a batch, oldest first; a voided sale among them."""
        return tuple(
            t for t in self.transactions.values() if t.intent.batch == batch and t.is_counted
        )

    def count(self, batch: int) -> int:
        """Give how many transactions stand in a batch."""
        return self._counts.get(batch, 0)

    def began_ns(self, batch: int) -> int:
        """Give when the first transaction that stands in a batch began, 0 for an empty one."""
        return self._began_ns.get(batch, 0) if self.count(batch) else 0

    def totals(self, batch: int) -> Totals:
        """Give what a batch comes to."""
        return add_up((t.intent.kind, t.amount_sen) for t in self.counted(batch))

    def pending_batch(self) -> Batch | None:
        """Give the oldest batch whose settlement has not ended."""
        return next((batch for batch in self.batches.values() if batch.is_pending), None)

    @property
    def unsettled(self) -> int:
        """Give how many transactions wait for their batch to be settled."""
        waiting = [batch.number for batch in self.batches.values() if batch.is_pending]
        return sum(self.count(number) for number in (self.batch, *waiting))

    def sale_like(self, pan: Pan, amount_sen: int, since_ns: int) -> Transaction | None:
        """Give the newest sale of this card and amount that stands, not older than given."""
        for transaction in reversed(self.transactions.values()):
            intent = transaction.intent
            if intent.started_ns < since_ns:
                return None
            is_sale = intent.kind is Kind.PURCHASE and transaction.stands
            is_voucher = intent.kind is Kind.VOUCHER and (
                transaction.stands or transaction.status is Status.QUEUED
            )
            if (is_sale or is_voucher) and intent.amount_sen == amount_sen and intent.pan == pan:
                return transaction
        return None

    def vouchers_since(self, since_ns: int) -> tuple[Transaction, ...]:
        """Give the outage sales made since then, cleared or not."""
        return tuple(
            t
            for t in self.transactions.values()
            if t.intent.kind is Kind.VOUCHER and t.intent.started_ns >= since_ns
        )

    # Records

    def _open(self, intent: Intent) -> None:
        known = self.transactions.get(intent.stan)
        if known is not None and known.status in IN_USE:
            raise OrderError("its STAN is still in use")
        self.last_stan = intent.stan
        if not 0 < intent.batch <= BATCH_MAX:
            raise OrderError("its batch number is out of range")
        if intent.kind is Kind.SETTLEMENT:
            self._begin_settlement(intent)
        elif intent.kind is not Kind.UPLOAD:
            self.batch = intent.batch
        status = Status.QUEUED if intent.kind.is_forwarded else Status.OPEN
        self._drop(intent.stan)
        self._keep(Transaction(intent=intent, status=status))
        self._forget()

    def _begin_settlement(self, intent: Intent) -> None:
        batch = self.batches.get(intent.batch, Batch(intent.batch))
        if intent.processing_code != AFTER_UPLOAD:
            self.batches.pop(intent.batch, None)
            batch = Batch(intent.batch, BatchStatus.CLOSING)
            self.batch = intent.batch % BATCH_MAX + 1
        elif batch.status is not BatchStatus.MISMATCHED:
            raise OrderError("its batch is not being uploaded")
        self.batches[intent.batch] = replace(batch, settlement_stan=intent.stan)
        while len(self.batches) > BATCHES_REMEMBERED_MAX:
            oldest = next(iter(self.batches.values()))
            if not oldest.is_concluded:
                return
            del self.batches[oldest.number]
            self._counts.pop(oldest.number, None)
            self._began_ns.pop(oldest.number, None)

    def _answer(self, answer: Answer) -> None:
        transaction = self._known(answer.stan)
        if transaction.status not in (Status.OPEN, Status.QUEUED):
            raise OrderError("its transaction has an answer already")
        intent = transaction.intent
        approved = answer.response_code in APPROVALS
        status = Status.APPROVED if approved else Status.REFUSED
        if approved and not intent.kind.moves_money:
            status = Status.COMPLETED
        self._keep(replace(transaction, answer=answer, status=status))
        if intent.kind is Kind.SETTLEMENT:
            is_last = intent.processing_code == AFTER_UPLOAD
            self._move(
                intent.batch,
                lambda batch: after_settlement(batch, answer.response_code, is_last=is_last),
            )
        elif intent.kind is Kind.UPLOAD:
            self._note_upload(intent)

    def _note_upload(self, intent: Intent) -> None:
        batch = self.batches.get(intent.batch)
        if batch is None or batch.status is not BatchStatus.MISMATCHED:
            raise OrderError("its batch is not being uploaded")
        uploaded = batch.uploaded | {intent.original_stan}
        self.batches[intent.batch] = replace(batch, uploaded=uploaded)

    def _move(self, number: int, status_of: Callable[[Batch], BatchStatus]) -> None:
        batch = self.batches.get(number)
        if batch is None:
            raise OrderError("its batch is not known")
        self.batches[number] = replace(batch, status=status_of(batch))

    def _step(self, record: _Step) -> None:
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
                self._mark_original(transaction)
            case ReversalQueued():
                self._queue_reversal(transaction, record)
            case ReversalSent():
                self._keep(counted_up(transaction, record.transmission))
            case ReversalAnswered():
                self._keep(reversed_by(transaction, record.response_code))
            case Sent():
                intent = replace(transaction.intent, batch=record.batch)
                self._keep(replace(counted_up(transaction, record.transmission), intent=intent))
            case DeadLettered():
                self._keep(transaction)
                self._give_up(transaction.intent)

    def _queue_reversal(self, transaction: Transaction, record: ReversalQueued) -> None:
        is_part = record.actual_sen > 0
        if is_part != (transaction.status is Status.REDUCING):
            raise OrderError("it cannot undo a part before the whole stands, nor the whole after")
        self.last_stan = record.reversal_stan
        if is_part:
            self._keep(replace(transaction, reduction=record, transmissions=0))
        else:
            self._keep(replace(transaction, reversal=record))

    def _give_up(self, intent: Intent) -> None:
        if intent.kind is Kind.SETTLEMENT:
            self._move(intent.batch, lambda _: BatchStatus.DISPUTED)
        elif intent.kind is Kind.UPLOAD:
            self._note_upload(intent)

    def _mark_original(self, transaction: Transaction) -> None:
        intent = transaction.intent
        original = self.transactions.get(intent.original_stan)
        if original is None:
            return
        if intent.kind is Kind.VOID:
            self._keep(replace(original, voided_by=intent.stan))
        elif intent.kind is Kind.REFUND:
            refunded_sen = original.refunded_sen + transaction.amount_sen
            self._keep(replace(original, refunded_sen=refunded_sen))

    # Keeping and forgetting

    def _known(self, stan: int) -> Transaction:
        transaction = self.transactions.get(stan)
        if transaction is None:
            raise OrderError("its transaction is not known")
        return transaction

    def _keep(self, transaction: Transaction) -> None:
        stan = transaction.intent.stan
        before = self.transactions.get(stan)
        if before is not None and before.is_counted:
            self._counts[before.intent.batch] = self.count(before.intent.batch) - 1
        self.transactions[stan] = transaction
        if transaction.is_counted:
            batch = transaction.intent.batch
            self._counts[batch] = self._counts.get(batch, 0) + 1
            self._began_ns.setdefault(batch, transaction.intent.started_ns)
        if transaction.is_at_its_end:
            self._live.pop(stan, None)
        else:
            self._live[stan] = None

    def _drop(self, stan: int) -> None:
        self.transactions.pop(stan, None)
        self._live.pop(stan, None)

    def _is_unsettled(self, transaction: Transaction) -> bool:
        batch = transaction.intent.batch
        return batch == self.batch or (batch in self.batches and self.batches[batch].is_pending)

    def _is_needed(self, transaction: Transaction) -> bool:
        if transaction.status in IN_USE:
            return True
        kind = transaction.intent.kind
        stands = kind.counts and transaction.status is Status.COMPLETED
        return (stands or kind is Kind.SETTLEMENT) and self._is_unsettled(transaction)

    def _forget(self) -> None:
        while len(self.transactions) > REMEMBERED_TRANSACTIONS_MAX:
            for stan, transaction in self.transactions.items():
                if not self._is_needed(transaction):
                    self._drop(stan)
                    break
            else:
                return
