"""What undid an original, read from its correction ids (design decision 6)."""

from collections.abc import Callable, Iterable

from ledger.port import Entry
from ledger.statuses import CreateTransferStatus
from programme.chart import SaleData, TransferCode
from protocols.ids import compensation_id
from switch.limits import COMPENSATIONS_MAX

#: Gives the durable record of an id, None when it is unused.
FindEntry = Callable[[int], Entry | None]


def find_corrections(find: FindEntry, original_id: int) -> list[Entry]:
    """Give the records under an original's correction ids in order, refused ones too."""
    found: list[Entry] = []
    for ordinal in range(COMPENSATIONS_MAX):
        entry = find(compensation_id(original_id, ordinal))
        if entry is None:
            break
        found.append(entry)
    return found


def undone_sen(corrections: Iterable[Entry]) -> int:
    """Give how much of an original its corrections undo, in sen; refused ones moved nothing."""
    total = 0
    for entry in corrections:
        if entry.status == CreateTransferStatus.CREATED:
            restores = entry.transfer.code == TransferCode.RESTORATION
            total += -entry.transfer.amount if restores else entry.transfer.amount
    return total


def reversed_sen(corrections: Iterable[Entry]) -> int:
    """Give how much of an original was reversed, voids and refunds not counted, in sen."""
    return sum(
        entry.transfer.amount
        for entry in corrections
        if entry.status == CreateTransferStatus.CREATED
        and entry.transfer.code == TransferCode.REVERSAL
    )


def made_by(entry: Entry, stan: int, terminal_number: int) -> bool:
    """Tell whether a correction stands and was asked for by this terminal under this STAN."""
    transfer = entry.transfer
    return (
        entry.status == CreateTransferStatus.CREATED
        and transfer.user_data_32 == terminal_number
        and SaleData.unpack(transfer.user_data_64).stan == stan
    )
