"""What is stored and forwarded, and in which order: a pure look at the journal's state.

Two lanes. Vouchers come first, each on its own: one that the host puts off holds up no other
card's. Then the oldest batch that is not concluded: its 0500; after a mismatch (95) one 0320 for
each of its transactions, in order, and the 0500 that follows. Source: switch.md 4.4; domain.md 4.3.
"""

from dataclasses import dataclass
from enum import Enum

from terminal.journal.batches import Batch, BatchStatus
from terminal.journal.records import Kind
from terminal.journal.state import JournalState
from terminal.journal.transactions import Transaction
from terminal.limits import DELIVERY_TRANSMISSIONS_MAX


class TaskKind(Enum):
    """What is to be done for a stored message."""

    SEND_STORED = "send what is stored"
    UPLOAD = "store the upload of one transaction"
    SETTLE_AGAIN = "store the settlement that follows an upload"


SEND_STORED, UPLOAD = TaskKind.SEND_STORED, TaskKind.UPLOAD


@dataclass(frozen=True, slots=True)
class Task:
    """The next thing to do. `stan` names the stored message, or the transaction to upload."""

    what: TaskKind
    stan: int = 0
    batch: int = 0
    sequence: int = 0


def next_task(journal: JournalState, skip: frozenset[int] = frozenset()) -> Task | None:
    """Give what is to be sent next, looking past the messages in `skip`; None when nothing is."""
    queued = journal.queued()
    for transaction in queued:
        stan = transaction.intent.stan
        if transaction.intent.kind is Kind.VOUCHER and stan not in skip:
            return Task(TaskKind.SEND_STORED, stan)
    batch = journal.pending_batch()
    if batch is None:
        return None
    for transaction in queued:
        if transaction.intent.batch == batch.number and transaction.intent.kind is not Kind.VOUCHER:
            stan = transaction.intent.stan
            return None if stan in skip else Task(TaskKind.SEND_STORED, stan)
    assert batch.status is BatchStatus.MISMATCHED, "a closing batch has its settlement queued"
    return _after_mismatch(journal, batch)


def is_worn_out(transaction: Transaction) -> bool:
    """Tell whether a stored message was sent so often that people must take over."""
    return transaction.transmissions >= DELIVERY_TRANSMISSIONS_MAX


def _after_mismatch(journal: JournalState, batch: Batch) -> Task:
    for sequence, transaction in enumerate(journal.counted(batch.number), 1):
        stan = transaction.intent.stan
        if stan not in batch.uploaded:
            return Task(TaskKind.UPLOAD, stan, batch.number, sequence)
    return Task(TaskKind.SETTLE_AGAIN, 0, batch.number)
