"""Reading the balance that the card carries, without a transaction and without the host.

No counter moves: the mirror is read after selection, before GET PROCESSING OPTIONS.
Source: Perwali 70/2025 art. 1(15); docs/reference/card.md.
"""

from collections.abc import Generator

from protocols.emv import commands, tlv
from protocols.emv.apdu import CommandApdu, ResponseApdu
from protocols.emv.balance_mirror import TAG_DF71_BALANCE_MIRROR, BalanceMirror
from protocols.emv.errors import EmvDataError
from terminal.kernel.configuration import TerminalData
from terminal.kernel.selection import build_candidate_list, read_fci
from terminal.kernel.stop import KernelStop


def read_balance_mirror(
    data: TerminalData,
) -> Generator[CommandApdu, ResponseApdu, BalanceMirror | None]:
    """Give the mirror of the card's first application, None when the card offers none.

    What people see from it must say its date: the ledger may have moved on since.
    """
    try:
        found = yield from build_candidate_list(data)
    except KernelStop:
        return None
    if not found.candidates:
        return None
    answer = yield commands.select(found.candidates[0].aid)
    if not answer.ok:
        return None
    try:
        read_fci(answer.data)
        answer = yield commands.get_data(TAG_DF71_BALANCE_MIRROR)
        if not answer.ok:
            return None
        return BalanceMirror.read(tlv.parse_flat(answer.data).get(TAG_DF71_BALANCE_MIRROR, b""))
    except EmvDataError:
        return None
