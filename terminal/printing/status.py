"""What a printer says about itself: its status bytes -> what is wrong, if anything.

Three kinds of status come over one line and are told apart by fixed bits (ESC/POS Command
Reference, "Transmission status identification"): real time (DLE EOT) 0xx1xx10, in turn (GS r)
0xx0xxxx, automatic (GS a, four bytes) 0xx1xx00 and then 0xx0xxxx; XON 11 and XOFF 13 in between.
"""

from dataclasses import dataclass, replace
from enum import Enum, IntEnum

#: Bytes of one automatic status. Source: ESC/POS Command Reference, GS a.
_AUTOMATIC_BYTES = 4
_XON, _XOFF = 0x11, 0x13
#: Each bit pair of the paper sensors means one thing. Source: GS r 1, DLE EOT 4, GS a byte 3.
_NEAR_END_TURN, _END_TURN = 0x03, 0x0C
_NEAR_END_NOW, _END_NOW = 0x0C, 0x60


class Ask(IntEnum):
    """Parameter of DLE EOT. Source: ESC/POS Command Reference, DLE EOT."""

    PRINTER = 1
    OFFLINE_CAUSE = 2
    ERROR_CAUSE = 3
    PAPER = 4


class Trouble(Enum):
    """Why no slip comes out; the value is the catalogue key of what to do now."""

    NOT_CONNECTED = "printer.not_connected"
    LOST = "printer.lost"
    SILENT = "printer.silent"
    PAPER_OUT = "printer.paper_out"
    COVER_OPEN = "printer.cover_open"
    CUTTER = "printer.cutter"
    OFFLINE = "printer.offline"


@dataclass(frozen=True, slots=True)
class PrinterState:
    """What is known of a printer. All False is a printer that prints."""

    paper_low: bool = False
    paper_out: bool = False
    cover_open: bool = False
    cutter_stuck: bool = False
    offline: bool = False

    @property
    def trouble(self) -> Trouble | None:
        """Give what keeps it from printing, the thing to mend first; None when it prints."""
        if self.cover_open:
            return Trouble.COVER_OPEN
        if self.paper_out:
            return Trouble.PAPER_OUT
        if self.cutter_stuck:
            return Trouble.CUTTER
        return Trouble.OFFLINE if self.offline else None


def after(state: PrinterState, ask: Ask, answer: int) -> PrinterState:
    """Give the state with what a real-time answer says.

    >>> after(PrinterState(), Ask.PAPER, 0x72).trouble
    <Trouble.PAPER_OUT: 'printer.paper_out'>
    """
    match ask:
        case Ask.PRINTER:
            return replace(state, offline=bool(answer & 0x08))
        case Ask.OFFLINE_CAUSE:
            out = state.paper_out or bool(answer & 0x20)
            return replace(state, cover_open=bool(answer & 0x04), paper_out=out)
        case Ask.ERROR_CAUSE:
            return replace(state, cutter_stuck=bool(answer & 0x08))
    return replace(
        state,
        paper_low=bool(answer & _NEAR_END_NOW),
        paper_out=bool(answer & _END_NOW),
    )


def after_turn(state: PrinterState, answer: int) -> PrinterState:
    """Give the state with what GS r 1 says: low, but what was sent before has been printed."""
    return replace(state, paper_low=bool(answer & _NEAR_END_TURN))


class StatusReader:
    """Sorts what a printer sends; whatever fits nothing is noise and counts for nothing."""

    def __init__(self) -> None:
        """Start with nothing read."""
        self.now: list[int] = []
        self.turn: list[int] = []
        self._automatic = 0

    def feed(self, data: bytes) -> None:
        """Take bytes: `now` gains answers to DLE EOT, `turn` those to GS r."""
        for byte in data:
            if byte in (_XON, _XOFF) or byte & 0x80:
                continue
            if self._automatic and not byte & 0x10:
                self._automatic -= 1
            elif byte & 0x13 == 0x12:
                self.now.append(byte)
            elif byte & 0x13 == 0x10:
                self._automatic = _AUTOMATIC_BYTES - 1
            elif not byte & 0x10:
                self.turn.append(byte)
