"""Which earlier transaction may be voided, refunded or printed again: refusals as values."""

from terminal.journal.records import Kind
from terminal.journal.state import JournalState
from terminal.journal.transactions import Status, is_later
from terminal.purchase.checks import Refused

_SALES = (Kind.PURCHASE, Kind.VOUCHER)


def why_not_void(journal: JournalState, stan: int) -> Refused | None:
    """Tell why a sale cannot be voided, or None: it stands, in the batch that is open."""
    found = journal.transactions.get(stan)
    trace = {"trace": f"{stan:06d}"}
    if found is None or found.intent.kind not in _SALES:
        return Refused("25", "refused.void_unknown", trace)
    if found.voided_by:
        return Refused("76", "refused.void_not_approved", trace)
    is_open = found.status is Status.COMPLETED and found.intent.batch == journal.batch
    if not is_open or found.refunded_sen or found.actual_sen:
        return Refused("25", "refused.void_not_approved", trace)
    return None


def why_not_refund(journal: JournalState, stan: int) -> Refused | None:
    """Tell why a sale cannot be refunded, or None: it stands, in whichever batch."""
    found = journal.transactions.get(stan)
    trace = {"trace": f"{stan:06d}"}
    if found is None or found.intent.kind not in _SALES:
        return Refused("25", "refused.trace_unknown", trace)
    if found.voided_by:
        return Refused("76", "refused.void_not_approved", trace)
    if found.status is not Status.COMPLETED:
        return Refused("25", "refused.void_not_approved", trace)
    return None


def left_to_refund(journal: JournalState, stan: int) -> int:
    """Give what of a sale is not refunded yet, in sen."""
    sale = journal.transactions[stan]
    return sale.amount_sen - sale.refunded_sen


def why_not_reprint(journal: JournalState, stan: int) -> Refused | None:
    """Tell why a slip cannot be printed again, or None: this terminal still knows it."""
    found = journal.transactions.get(stan)
    hidden = (Kind.NETWORK, Kind.UPLOAD)
    if found is None or found.intent.kind in hidden:
        return Refused("25", "refused.trace_unknown", {"trace": f"{stan:06d}"})
    return None


def newest(journal: JournalState) -> int:
    """Give the trace number of the newest slip, 0 without one."""
    return next(
        (s for s in reversed(journal.transactions) if why_not_reprint(journal, s) is None), 0
    )


def newest_slip(journal: JournalState) -> int:
    """Give the trace number of the transaction whose slip is the newest, 0 without one.

    A partial reversal that was done has a slip, under the trace number of its sale.
    """
    latest = found = newest(journal)
    for stan, transaction in journal.transactions.items():
        reduction = transaction.reduction if transaction.actual_sen else None
        if reduction is not None and is_later(reduction.reversal_stan, latest):
            latest, found = reduction.reversal_stan, stan
    return found
