"""Batches: what a terminal's transactions add up to, and where the settlement of each stands."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from terminal.journal.records import Kind, Totals


class BatchStatus(Enum):
    """Where a batch stands between its first sale and the bank's word on it."""

    OPEN = "open"
    CLOSING = "its totals are on the way to the bank"
    MISMATCHED = "the bank counts otherwise, it is being uploaded"
    CLOSED = "settled"
    DISPUTED = "the bank still counts otherwise after the upload"


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch. `settlement_stan` is the last 0500 of it, 0 before the first."""

    number: int
    status: BatchStatus = BatchStatus.OPEN
    settlement_stan: int = 0
    uploaded: frozenset[int] = frozenset()

    @property
    def is_pending(self) -> bool:
        """Tell whether the bank's word is still awaited."""
        return self.status in (BatchStatus.CLOSING, BatchStatus.MISMATCHED)

    @property
    def is_concluded(self) -> bool:
        """Tell whether nothing more is sent for it."""
        return self.status in (BatchStatus.CLOSED, BatchStatus.DISPUTED)


def add_up(counted: Iterable[tuple[Kind, int]]) -> Totals:
    """Give the totals of transactions that stand, each by kind and amount in sen.

    >>> add_up([(Kind.PURCHASE, 500), (Kind.VOID, 500), (Kind.VOUCHER, 200)]).net_sen
    200
    """
    found = {kind: [0, 0] for kind in (Kind.PURCHASE, Kind.VOID, Kind.REFUND)}
    for kind, amount_sen in counted:
        row = found[Kind.PURCHASE if kind is Kind.VOUCHER else kind]
        row[0] += 1
        row[1] += amount_sen
    sales, voids, refunds = found.values()
    return Totals(
        sales=sales[0], sales_sen=sales[1],
        voids=voids[0], voids_sen=voids[1],
        refunds=refunds[0], refunds_sen=refunds[1],
    )  # fmt: skip


def after_settlement(batch: Batch, response_code: str, *, is_last: bool) -> BatchStatus:
    """Give where a batch stands after the final answer to its 0500; `is_last` after an upload."""
    if response_code == "00":
        return BatchStatus.CLOSED
    if response_code == "95" and not is_last:
        return BatchStatus.MISMATCHED
    return BatchStatus.DISPUTED
