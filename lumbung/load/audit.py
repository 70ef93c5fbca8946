"""The ledger's word on a load run, read beside the running switch."""

from collections import Counter
from collections.abc import Iterable

from ledger.port import Ledger
from ledger.statuses import CreateTransferStatus
from lumbung.load.report import Invariant
from programme.chart import AccountCode, TransferCode
from programme.equations import check_equations
from programme.registry.registry import Registry


def audit(
    ledger: Ledger,
    registry: Registry,
    approved: Iterable[int],
    refused: Iterable[int],
    amount_sen: int,
    after_sequence: int,
) -> list[Invariant]:
    """Give the invariants of a run; `approved` and `refused` are transfer ids by their answers.

    A message without an answer is in neither: it may be posted or not, and is a fault by itself.
    """
    approved_ids, refused_ids = set(approved), set(refused)
    posted: Counter[int] = Counter()
    wrong_amount = 0
    for entry in ledger.entries(after_sequence):
        transfer = entry.transfer
        is_sale = transfer.code == TransferCode.PURCHASE
        if is_sale and entry.status == CreateTransferStatus.CREATED:
            posted[transfer.id] += 1
            if transfer.id in approved_ids and transfer.amount != amount_sen:
                wrong_amount += 1
    missing = sum(1 for transfer_id in approved_ids if posted[transfer_id] != 1)
    ghosts = sum(1 for transfer_id in refused_ids if posted[transfer_id])
    below = sum(
        1
        for account in ledger.accounts()
        if account.code == AccountCode.CARD and account.credit_balance < 0
    )
    equations = [equation for equation in check_equations(ledger, registry) if not equation.holds]
    return [
        _invariant("approved answers = postings, one to one", missing, "without exactly one"),
        _invariant("no refused answer has a posting", ghosts, "posted"),
        _invariant("postings have the amount of their message", wrong_amount, "differ"),
        _invariant("no card below zero", below, "cards"),
        Invariant("equations of the chart", not equations, ", ".join(e.name for e in equations)),
    ]


def _invariant(name: str, count: int, what: str) -> Invariant:
    return Invariant(name, count == 0, f"{count} {what}" if count else "")
