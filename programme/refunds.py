"""Giving a purchase back by decision of an office: same card, same tranche, never cash (R16).

The transfer is one of design decision 6: its id follows from (purchase, ordinal), and the
compensations of a purchase never exceed it. It names no terminal; where a terminal's refund has
its trace number it has the number of the proposal: one proposal refunds once, whatever stops it.
"""

from dataclasses import dataclass
from datetime import date

from ledger.port import Entry, Ledger
from ledger.statuses import CreateTransferStatus
from ledger.structures import Transfer
from programme.chart import SaleData, TransferCode
from programme.disbursement import Post
from programme.errors import DisbursementError, NotFoundError, RuleError
from programme.limits import REFUND_ATTEMPTS_MAX
from protocols.ids import compensation_id
from protocols.values import SEN_PER_RUPIAH

_SALES = frozenset({TransferCode.PURCHASE, TransferCode.OUTAGE_SALE})
#: What an office's refund names for its terminal: the registry's numbers begin with 1.
NO_TERMINAL = 0


@dataclass(frozen=True, slots=True)
class RefundResult:
    """A refund that stands: of which purchase, its own id, and how much, in sen."""

    sale_id: int
    refund_id: int
    amount_sen: int


def refundable_sen(ledger: Ledger, sale_id: int) -> int:
    """Give how much of a purchase may still be given back; raise NotFoundError for none."""
    sale = _sale(ledger, sale_id)
    return sale.amount - _undone(_corrections(ledger, sale_id))


def refund(
    ledger: Ledger,
    sale_id: int,
    amount_sen: int,
    day: date,
    reference: int,
    *,
    post: Post | None = None,
) -> RefundResult:
    """Give a part of a purchase back to its card; the same reference again posts nothing.

    `reference` is the proposal's number (1 to 999,999), `day` the business day. Raises, with
    nothing posted: NotFoundError, RuleError when less is left, DisbursementError when the ledger
    refuses.
    """
    assert 0 < reference < 1_000_000, "a reference takes the place of a trace number"
    sale = _sale(ledger, sale_id)
    mark = SaleData(atc=0, business_date=day, stan=reference)
    for _attempt in range(REFUND_ATTEMPTS_MAX):
        taken = _corrections(ledger, sale_id)
        for entry in taken:
            if _is_ours(entry, reference):
                return RefundResult(sale_id, entry.transfer.id, entry.transfer.amount)
        left = sale.amount - _undone(taken)
        if not 0 < amount_sen <= left:
            raise RuleError.of("programme.refund_too_much", limit=left // SEN_PER_RUPIAH)
        transfer = Transfer(
            id=compensation_id(sale_id, len(taken)),
            debit_account_id=sale.credit_account_id,
            credit_account_id=sale.debit_account_id,
            amount=amount_sen,
            ledger=sale.ledger,
            code=TransferCode.REFUND,
            user_data_128=sale_id,
            user_data_64=mark.pack(),
            user_data_32=NO_TERMINAL,
        )
        (result,) = (post or ledger.create_transfers)([transfer])
        if result.status == CreateTransferStatus.CREATED:
            return RefundResult(sale_id, transfer.id, amount_sen)
        if not result.status.name.startswith("EXISTS"):
            raise DisbursementError.of("programme.refund_refused", status=result.status.name)
        # A terminal's refund took the ordinal between our look and our posting: look again.
    raise DisbursementError.of("programme.refund_busy")


def _sale(ledger: Ledger, sale_id: int) -> Transfer:
    (entry,) = ledger.lookup_entries([sale_id])
    if (
        entry is None
        or entry.status != CreateTransferStatus.CREATED
        or entry.transfer.code not in _SALES
    ):
        raise NotFoundError.of("programme.refund_unknown")
    return entry.transfer


def _corrections(ledger: Ledger, sale_id: int) -> list[Entry]:
    """Give what corrected a purchase, in order: the ordinals are dense."""
    found: list[Entry] = []
    while True:
        (entry,) = ledger.lookup_entries([compensation_id(sale_id, len(found))])
        if entry is None:
            return found
        found.append(entry)


def _undone(corrections: list[Entry]) -> int:
    undone = 0
    for entry in corrections:
        if entry.status == CreateTransferStatus.CREATED:
            back = entry.transfer.code != TransferCode.RESTORATION
            undone += entry.transfer.amount if back else -entry.transfer.amount
    return undone


def _is_ours(entry: Entry, reference: int) -> bool:
    transfer = entry.transfer
    return (
        entry.status == CreateTransferStatus.CREATED
        and transfer.code == TransferCode.REFUND
        and transfer.user_data_32 == NO_TERMINAL
        and SaleData.unpack(transfer.user_data_64).stan == reference
    )
