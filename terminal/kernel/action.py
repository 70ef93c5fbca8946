"""Terminal action analysis: which cryptogram to ask for. Source: EMV 4.4 Book 3, 10.7."""

from collections.abc import Mapping

from protocols.emv.commands import AcType
from protocols.emv.flags import Tvr
from terminal.kernel.configuration import TerminalData

_NO_BITS = bytes(5)
_ALL_BITS = b"\xff" * 5


def analyse_action(tvr: Tvr, card: Mapping[str, bytes], data: TerminalData) -> AcType:
    """Give AAC when a denial bit meets the TVR, ARQC when an online bit does, else TC.

    The issuer's codes default to no denial and to online for everything. An online-only terminal
    asks for ARQC whatever the online codes say.

    >>> from terminal.kernel.configuration import default_terminal_data
    >>> data = default_terminal_data()
    >>> analyse_action(Tvr.FLOOR_LIMIT_EXCEEDED, {}, data).name
    'ARQC'
    >>> analyse_action(Tvr.SERVICE_NOT_ALLOWED, {}, data).name
    'AAC'
    """
    if meets(tvr, data.tac_denial, card.get("9F0E", _NO_BITS)):
        return AcType.AAC
    if data.online_only or meets(tvr, data.tac_online, card.get("9F0F", _ALL_BITS)):
        return AcType.ARQC
    return AcType.TC


def analyse_default(tvr: Tvr, card: Mapping[str, bytes], data: TerminalData) -> AcType:
    """Give the cryptogram to ask for when the host cannot be reached: AAC or TC.

    An online-only terminal asks for AAC. Source: EMV 4.4 Book 3, 10.7; Book 4, 6.3.6.
    """
    if data.online_only or meets(tvr, data.tac_default, card.get("9F0D", _ALL_BITS)):
        return AcType.AAC
    return AcType.TC


def meets(tvr: Tvr, terminal_code: bytes, issuer_code: bytes) -> bool:
    """Tell whether any TVR bit is set in one of the two action codes.

    >>> meets(Tvr.NEW_CARD, bytes(5), bytes.fromhex("0008000000"))
    True
    """
    codes = int.from_bytes(terminal_code, "big") | int.from_bytes(issuer_code, "big")
    return bool(int(tvr) & codes)
