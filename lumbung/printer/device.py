"""The virtual printer as a device: bytes in, status bytes out, paper that runs out. No I/O.

Real-time requests are answered as they arrive, everything else in its turn; while the paper is out
or the cover open, what is to be printed waits in the buffer and comes out when that is mended, as
on the paper printers that it stands for. One thing differs on purpose: a real printer may see
`DLE EOT` inside picture data, this one reads command by command.
"""

from collections import deque
from collections.abc import Iterable

from lumbung.printer.faults import Happening, PrinterFault
from lumbung.printer.interpreter import Interpreter
from lumbung.printer.paper import DOTS_PER_MM, Paper
from terminal.printing.escpos import Reader, Said
from terminal.printing.status import Ask

#: Paper of a new roll, and what is left when the near-end sensor says so.
ROLL_MM, NEAR_END_MM = 30_000, 2_000
#: Receive buffer; a printer that is full takes no more, and what comes is lost.
BUFFER_BYTES_MAX = 1024 * 1024
#: Pieces of paper kept until they are taken.
PIECES_MAX = 1_000
#: What GS I answers. Source: ESC/POS Command Reference, GS I (model, type, version).
_IDENTITY = {1: 0x20, 49: 0x20, 2: 0x02, 50: 0x02, 3: 0x01, 51: 0x01}
_ASK_PAPER_TURN = (1, 49)
_FEEDS = frozenset({"line_feed", "form_feed", "feed_dots", "feed_lines", "raster", "columns"})


class VirtualPrinter:
    """One printer. `feed` gives what it says back; `take_pieces` what it has cut off."""

    def __init__(self, width: int, faults: Iterable[PrinterFault] = ()) -> None:
        """Switch on, with a new roll."""
        self._interpreter = Interpreter(width)
        self._reader = Reader()
        self._waiting: deque[Said] = deque()
        self._waiting_bytes = 0
        self._faults = deque(faults)
        self._automatic = 0
        self._told = b""
        self.paper_mm_left = float(ROLL_MM)
        self.cover_open = False
        self.unplugged = False
        self.mute = False
        self.lines = 0
        self._meet_faults()

    @property
    def paper_out(self) -> bool:
        """Tell whether there is no paper."""
        return self.paper_mm_left <= 0

    @property
    def paper_low(self) -> bool:
        """Tell whether the roll is nearly used up."""
        return self.paper_mm_left <= NEAR_END_MM

    @property
    def not_understood(self) -> dict[str, int]:
        """Give what was asked for and has no effect here, counted by name."""
        return dict(self._interpreter.not_understood)

    @property
    def unfinished(self) -> Paper:
        """Give the paper that hangs out of the printer, not cut off yet."""
        return self._interpreter.paper

    def feed(self, data: bytes) -> bytes:
        """Take bytes from the line; give what the printer says."""
        out = bytearray()
        for said in self._reader.feed(data):
            if self.unplugged:
                break
            if said.name in ("status_now", "clear_now", "request_now", "pulse_now"):
                out += self._at_once(said)
            elif self._waiting_bytes + len(said.data) <= BUFFER_BYTES_MAX:
                self._waiting.append(said)
                self._waiting_bytes += len(said.data) + 1
            out += self._work()
        return b"" if self.mute or self.unplugged else bytes(out)

    def happen(self, what: Happening) -> bytes:
        """Let something happen to it; give what it says of itself then."""
        match what:
            case Happening.PAPER_LOW:
                self.paper_mm_left = min(self.paper_mm_left, NEAR_END_MM)
            case Happening.PAPER_OUT:
                self.paper_mm_left = 0
            case Happening.PAPER:
                self.paper_mm_left = ROLL_MM
            case Happening.COVER_OPEN | Happening.COVER_CLOSED:
                self.cover_open = what is Happening.COVER_OPEN
            case Happening.UNPLUG:
                self.unplugged = True
                self._forget()
            case Happening.MUTE | Happening.SPEAKS:
                self.mute = what is Happening.MUTE
        said = self._change() + self._work()
        return b"" if self.mute or self.unplugged else said

    def plug_in(self) -> None:
        """Switch on again after `unplug`: paper and cover are as they were, the rest is new."""
        self.unplugged = False
        self._reader = Reader()
        self._interpreter.carry_out(Said("initialise"))

    def take_pieces(self) -> list[Paper]:
        """Give what was cut off since the last call."""
        pieces, self._interpreter.cut_off = self._interpreter.cut_off, []
        return pieces

    def tear_off(self) -> Paper:
        """Give what hangs out without a cut: a slip that ended in the middle."""
        self._interpreter.carry_out(Said("cut", b"\0"))
        return self._interpreter.cut_off.pop()

    # What it does

    def _work(self) -> bytes:
        out = bytearray()
        while self._waiting and not self._stopped:
            said = self._waiting.popleft()
            self._waiting_bytes -= len(said.data) + 1
            if said.name == "status":
                out += self._in_turn(said.data[0])
            elif said.name == "identify":
                out.append(_IDENTITY.get(said.data[0], 0))
            elif said.name == "automatic_status":
                self._automatic = said.data[0]
                self._told = b""
                out += self._change()
            else:
                out += self._carry_out(said)
        return bytes(out)

    @property
    def _stopped(self) -> bool:
        full = len(self._interpreter.cut_off) >= PIECES_MAX
        return self.paper_out or self.cover_open or self.unplugged or full

    def _carry_out(self, said: Said) -> bytes:
        self.paper_mm_left -= self._interpreter.carry_out(said) / DOTS_PER_MM
        if said.name in _FEEDS:
            self.lines += 1
            self._meet_faults()
        return self._change()

    def _meet_faults(self) -> None:
        while self._faults and self._faults[0].after_lines <= self.lines:
            self.happen(self._faults.popleft().what)

    def _forget(self) -> None:
        self._waiting.clear()
        self._waiting_bytes = 0

    # What it says

    def _at_once(self, said: Said) -> bytes:
        if said.name == "clear_now":
            self._forget()
            return b"\x37\x25\x00"
        if said.name != "status_now":
            return b""
        answer = 0x12
        match said.data[0]:
            case Ask.PRINTER:
                answer |= 0x08 if self._stopped else 0
            case Ask.OFFLINE_CAUSE:
                answer |= (0x04 if self.cover_open else 0) | (0x20 if self.paper_out else 0)
            case Ask.ERROR_CAUSE:
                pass
            case Ask.PAPER:
                answer |= (0x0C if self.paper_low else 0) | (0x60 if self.paper_out else 0)
            case _:
                return b""
        return bytes([answer])

    def _in_turn(self, which: int) -> bytes:
        if which not in _ASK_PAPER_TURN:
            return b"\0"
        return bytes([(0x03 if self.paper_low else 0) | (0x0C if self.paper_out else 0)])

    def _change(self) -> bytes:
        """Give the automatic status when it is on and has changed."""
        if not self._automatic:
            return b""
        first = 0x10 | (0x08 if self._stopped else 0) | (0x20 if self.cover_open else 0)
        third = (0x03 if self.paper_low else 0) | (0x0C if self.paper_out else 0)
        status = bytes([first, 0, third, 0])
        if status == self._told:
            return b""
        self._told = status
        return status
