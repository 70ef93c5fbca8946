"""The same purchases for every ledger under test, drawn once from a seed.

10,000 cards that may not be overdrawn, 200 shops, 5,000 to 200,000 rupiah: a food card's day.
"""

import random
import time
import uuid
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import figures

from ledger.structures import Transfer

CARDS, SHOPS = 10_000, 200
GIRO, FIRST_SHOP, FIRST_CARD = 1, 10, 1_000
#: What each card is given: no purchase of the run may lack money.
FUNDS_SEN = 10**12
LEDGER, CODE = 1, 7


class Purchase(NamedTuple):
    """One transfer: a random id as a client would make it, two accounts, sen."""

    id: int
    debit: int
    credit: int
    amount: int


class Subject(Protocol):
    """A ledger under test."""

    name: str

    def prepare(self, batch: Sequence[Purchase]) -> object:
        """Give the batch in the form that `post` takes; not timed."""

    def post(self, prepared: object) -> None:
        """Post one batch durably; raise when a transfer was not made."""

    def close(self) -> None:
        """Stop it and release its files."""


class Drawer:
    """Draws purchases; two drawers of one seed draw the same."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def batches(self, size: int, total: int) -> list[list[Purchase]]:
        """Give `total` purchases in batches of `size`, one at least."""
        return [[self._purchase() for _ in range(size)] for _ in range(max(total // size, 1))]

    def funding(self) -> list[Purchase]:
        """Give the credits that fill every card."""
        return [Purchase(self._id(), GIRO, FIRST_CARD + card, FUNDS_SEN) for card in range(CARDS)]

    def _purchase(self) -> Purchase:
        draw = self._random.randrange
        return Purchase(
            self._id(),
            FIRST_CARD + draw(CARDS),
            FIRST_SHOP + draw(SHOPS),
            100 * draw(5_000, 200_000),
        )

    def _id(self) -> int:
        return self._random.getrandbits(127) + 1


def as_transfer(purchase: Purchase) -> Transfer:
    """Give the purchase as the ledger port's record."""
    return Transfer(
        id=purchase.id,
        debit_account_id=purchase.debit,
        credit_account_id=purchase.credit,
        amount=purchase.amount,
        ledger=LEDGER,
        code=CODE,
    )


def as_uuid(transfer_id: int) -> uuid.UUID:
    """Give an id as a database's uuid."""
    return uuid.UUID(int=transfer_id)


def latency_rows(
    case: str, subject: str, per_second: float, took_s: list[float]
) -> list[figures.Row]:
    """Give rate and percentiles of one case as rows."""
    took = sorted(took_s)
    values = {
        "per_s": per_second,
        "p50_us": took[len(took) // 2] * 1e6,
        "p99_us": took[min(int(len(took) * 0.99), len(took) - 1)] * 1e6,
        "max_us": took[-1] * 1e6,
    }
    return [row(case, subject, metric, value) for metric, value in values.items()]


def row(case: str, subject: str, metric: str, value: float, unit: str = "") -> figures.Row:
    """Give one row of this suite."""
    unit = unit or ("1/s" if metric == "per_s" else "us")
    return figures.Row(
        suite="ledger", case=case, subject=subject, metric=metric, value=round(value, 1), unit=unit
    )


def timed_batches(
    prepared: Sequence[object], post: Callable[[object], None], budget_s: float
) -> tuple[int, float, list[float]]:
    """Post until all are posted or the time is up; give batches, seconds, and each one's."""
    took: list[float] = []
    started = time.perf_counter()
    for batch in prepared:
        before = time.perf_counter()
        post(batch)
        now = time.perf_counter()
        took.append(now - before)
        if now - started > budget_s:
            break
    return len(took), time.perf_counter() - started, took
