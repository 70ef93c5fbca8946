"""What is left of a card's months, now or right after one of its records (R8, decision 7).

Read when a turn is durable, from the ledger's memory. A stored answer lists the months as they
stood after its own record, whatever came later.
"""

from collections import OrderedDict
from collections.abc import Iterable

import structlog

from ledger.port import Entry, Ledger, StatementFilter
from programme.errors import TrancheError
from programme.tranches import MonthLeft, TrancheFold
from switch.limits import (
    CARD_ENTRIES_MAX,
    FOLDED_CARDS_MAX,
    FOLDED_DEBITS_KEPT,
    STATEMENT_PAGE,
)

_log = structlog.get_logger("switch")
_NO_FOLD: tuple[int, TrancheFold | None] = (-1, None)


class MonthBook:
    """The months of every card, folded as they are asked for and kept up with the ledger.

    Whoever posts shows the records (`follow`), so that a sale costs no statement. What was not
    shown, because another part posted it, is noticed by its sequence: the folds then catch up from
    the ledger when they are next asked for.
    """

    def __init__(self, ledger: Ledger) -> None:
        """Work on an open ledger."""
        self._ledger = ledger
        self._folds: OrderedDict[int, tuple[int, TrancheFold]] = OrderedDict()
        self._seen = ledger.last_sequence
        #: Folds of an earlier generation may have missed records.
        self._generation = 0

    def follow(self, entries: Iterable[Entry | None]) -> None:
        """Take in the records of a batch that is durable; any order, older ones may be among them.

        The count decides: every record since the last batch is here, or the folds must catch up.
        """
        seen, last = self._seen, self._ledger.last_sequence
        new = {e.sequence: e for e in entries if e is not None and seen < e.sequence <= last}
        complete = len(new) == last - seen
        self._seen = last
        if not complete:
            self._generation += 1
            return
        folds = self._folds
        for sequence in sorted(new):
            entry = new[sequence]
            transfer = entry.transfer
            for account_id in (transfer.debit_account_id, transfer.credit_account_id):
                if account_id in folds:
                    self._apply(account_id, entry)

    def months(self, account_id: int, at_sequence: int | None) -> tuple[MonthLeft, ...]:
        """Give the months with money left, oldest first, now or right after a record.

        Nothing when the entries cannot be explained: the sale stands, the fault is told loudly.
        """
        try:
            fold = self._fold(account_id)
            if at_sequence is not None and fold.sequence > at_sequence:
                fold = self._fold_until(account_id, at_sequence)
        except TrancheError as error:
            _log.error("months unknown", why=error.internal)
            return ()
        return tuple(fold.months_left())

    def _apply(self, account_id: int, entry: Entry) -> None:
        generation, fold = self._folds.get(account_id, _NO_FOLD)
        if fold is None or generation != self._generation or entry.sequence <= fold.sequence:
            return
        try:
            fold.apply(entry)
        except TrancheError:
            # Whoever asks for this card reads it anew, all of it, and tells the fault.
            del self._folds[account_id]
        else:
            fold.forget(FOLDED_DEBITS_KEPT)

    def _fold(self, account_id: int) -> TrancheFold:
        """Give a card's fold as of now; raise TrancheError."""
        generation, fold = self._folds.get(account_id, _NO_FOLD)
        if fold is not None and generation == self._generation:
            self._folds.move_to_end(account_id)
            return fold
        self._folds.pop(account_id, None)
        try:
            fold = self._caught_up(fold or TrancheFold(account_id))
        except TrancheError:
            # It may be a debit that was forgotten: all of the card says.
            fold = self._caught_up(TrancheFold(account_id))
        fold.forget(FOLDED_DEBITS_KEPT)
        self._folds[account_id] = (self._generation, fold)
        if len(self._folds) > FOLDED_CARDS_MAX:
            self._folds.popitem(last=False)
        return fold

    def _caught_up(self, fold: TrancheFold) -> TrancheFold:
        while True:
            page = self._page(fold.account_id, fold.sequence)
            fold.apply_all(page)
            if len(page) < STATEMENT_PAGE:
                return fold

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
