"""What stands on paper in the end, read as an auditor reads it, against the ledger: one to one.

Only the paper is asked what was sold: its code ("CEK") names the record of the ledger.
"""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ledger.port import Entry
from ledger.statuses import CreateTransferStatus
from programme.chart import TransferCode
from programme.refunds import NO_TERMINAL
from programme.slip_code import slip_code
from protocols.catalogue import text
from tests.sim_system.system_follower import COMPENSATIONS

if TYPE_CHECKING:
    from tests.sim_system.system_simulation import Simulation

_TITLE, _REPRINT = text("receipt.title"), text("receipt.reprint")
_CODE = re.compile(re.escape(text("receipt.check")) + r" ([0-9A-F]{4}(?:-[0-9A-F]{4}){2})")
_TOTAL = re.compile(re.escape(text("receipt.total")) + r" +Rp *([0-9.]+)$", re.MULTILINE)
_NUMBER = re.compile(re.escape(text("receipt.number")) + r" (\S+)")
_COPIES = (text("receipt.copy_merchant"), text("receipt.copy_customer"))
_TO_SHOP = frozenset({TransferCode.PURCHASE, TransferCode.OUTAGE_SALE})
_BACK = frozenset({TransferCode.VOID, TransferCode.REFUND})


@dataclass(frozen=True, slots=True)
class PaperSlip:
    """One slip that is whole: whose copy it is, what it says, whether it is marked as a copy."""

    copy: str
    code: str
    total_sen: int
    voucher: str
    is_marked: bool


def slips_on(pieces: list[str]) -> list[PaperSlip]:
    """Give the whole slips on pieces of paper; one that was torn off in its middle is none."""
    slips = []
    for piece in pieces:
        before, *parts = piece.split(_TITLE)
        is_marked = _REPRINT in before
        for part in parts:
            copy = next((copy for copy in _COPIES if copy in part), "")
            if copy:
                code, total = _CODE.search(part), _TOTAL.search(part)
                number = _NUMBER.search(part)
                slips.append(
                    PaperSlip(
                        copy=copy,
                        code=code.group(1) if code else "",
                        total_sen=int(total.group(1).replace(".", "")) * 100 if total else 0,
                        voucher=number.group(1) if number else "",
                        is_marked=is_marked or _REPRINT in part,
                    )
                )
            # The mark of the next slip stands above its title, so below this one.
            is_marked = _REPRINT in part.rstrip().rpartition("\n")[2]
    return slips


def check_paper(simulation: "Simulation") -> None:
    """Raise AssertionError where paper and ledger differ: for shops' and customers' copies each."""
    ledger = simulation.node.ledger
    assert ledger is not None, "the node is up at the end"
    entries = [e for e in ledger.entries() if e.status == CreateTransferStatus.CREATED]
    slips = [slip for counter in simulation.counters for slip in slips_on(counter.printer.pieces)]
    _count(simulation, slips)
    for copy in _COPIES:
        _check_copies(simulation, [slip for slip in slips if slip.copy == copy], entries)


def _count(simulation: "Simulation", slips: list[PaperSlip]) -> None:
    for slip in slips:
        kind = "approved" if slip.code else "voucher" if slip.voucher else "other"
        simulation.seen[f"paper: {kind}{', marked a copy' if slip.is_marked else ''}"] += 1


def _check_copies(simulation: "Simulation", slips: list[PaperSlip], entries: list[Entry]) -> None:
    known = {slip_code(entry): entry for entry in entries}
    unmarked = Counter((s.code, s.total_sen) for s in slips if s.code and not s.is_marked)
    assert all(n == 1 for n in unmarked.values()), "a slip came out twice without a mark"
    sold: dict[int, int] = {}
    back: dict[int, dict[str, int]] = defaultdict(dict)
    for slip in slips:
        if not slip.code:
            continue
        entry = known.get(slip.code)
        assert entry is not None, "a slip says approved and no record is like it"
        transfer = entry.transfer
        if transfer.code in _TO_SHOP:
            sold[transfer.id] = slip.total_sen  # The newest slip of a sale counts.
        else:
            assert transfer.code in _BACK, "a slip of a transfer that has none"
            assert transfer.amount == slip.total_sen, "a slip says another amount than was posted"
            back[transfer.user_data_128][slip.code] = slip.total_sen
    vouchers = {slip.voucher for slip in slips if slip.voucher}
    for entry in entries:
        transfer = entry.transfer
        if transfer.code == TransferCode.OUTAGE_SALE and transfer.id not in sold:
            assert simulation.voucher_of(transfer.id) in vouchers, "a voucher's slip is missing"
            sold[transfer.id] = transfer.amount
    _compare(sold, back, entries)


def _compare(sold: dict[int, int], back: dict[int, dict[str, int]], entries: list[Entry]) -> None:
    """Compare what paper says of each sale with what the ledger holds of it."""
    left: dict[int, int] = {}
    given_back: Counter[int] = Counter()
    for entry in entries:
        transfer = entry.transfer
        if transfer.code == TransferCode.REFUND and transfer.user_data_32 == NO_TERMINAL:
            given_back[transfer.user_data_128] += transfer.amount  # No terminal prints of it.
        if transfer.code in _TO_SHOP:
            left[transfer.id] = transfer.amount
        elif transfer.code in COMPENSATIONS:
            left[transfer.user_data_128] -= transfer.amount
        elif transfer.code == TransferCode.RESTORATION:
            left[transfer.user_data_128] += transfer.amount
    for sale, left_sen in left.items():
        on_paper = sold.get(sale, 0) - sum(back[sale].values())
        if given_back[sale] and not left_sen and not on_paper:
            continue  # The office gave a part back, a reversal the rest.
        left_sen += given_back[sale]
        assert on_paper == left_sen, f"paper says {on_paper} of a sale, the ledger {left_sen}"
