"""What is left of a card's months, now or right after one of its records (R8, decision 7).

Used in the worker thread, beside the ledger. A stored answer lists the months as they stood after
its own record, whatever came later.
"""

import structlog

from ledger.port import Entry, Ledger, StatementFilter
from programme.errors import TrancheError
from programme.tranches import TrancheBook, TrancheFold
from switch.decision import MonthLeft
from switch.limits import CARD_ENTRIES_MAX, FOLDED_CARDS_MAX, STATEMENT_PAGE

_log = structlog.get_logger("switch")


class MonthBook:
    """The months of every card, folded as they are asked for."""

    def __init__(self, ledger: Ledger) -> None:
        """Work on an open ledger."""
        self._ledger = ledger
        self._book = TrancheBook(ledger, cards_max=FOLDED_CARDS_MAX)

    def months(self, account_id: int, at_sequence: int | None) -> tuple[MonthLeft, ...]:
        """Give the months with money left, oldest first, now or right after a record.

        Nothing when the entries cannot be explained: the sale stands, the fault is told loudly.
        """
        try:
            fold = self._book.fold(account_id)
            if at_sequence is not None and fold.sequence > at_sequence:
                fold = self._fold_until(account_id, at_sequence)
        except TrancheError as error:
            _log.error("months unknown", why=error.internal)
            return ()
        return tuple(MonthLeft(month.period, month.left_sen) for month in fold.months_left())

    def _fold_until(self, account_id: int, sequence: int) -> TrancheFold:
        fold = TrancheFold(account_id)
        for _page in range(CARD_ENTRIES_MAX // STATEMENT_PAGE):
            page = self._page(account_id, fold.sequence)
            fold.apply_all(entry for entry in page if entry.sequence <= sequence)
            if len(page) < STATEMENT_PAGE or page[-1].sequence >= sequence:
                break
        return fold

    def _page(self, account_id: int, cursor: int) -> list[Entry]:
        return self._ledger.statement(
            StatementFilter(account_id=account_id, cursor=cursor, limit=STATEMENT_PAGE)
        )
