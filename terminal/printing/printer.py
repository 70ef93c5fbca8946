"""A receipt printer on a line: is it ready, print a page, did it come out.

A page has come out when the printer answers the GS r behind it: that one waits in the printer's
own buffer until everything before it is printed. Without the answer nobody knows, and the page is
printed again as a copy.
"""

from dataclasses import dataclass

from terminal.limits import (
    PRINTER_CHUNK_BYTES,
    PRINTER_FILL_BYTES,
    PRINTER_SLIP_MS,
    PRINTER_STATUS_MS,
)
from terminal.line import Line, LineDownError
from terminal.paper import NARROW
from terminal.printing.escpos import encode
from terminal.printing.page import Page, page_bytes
from terminal.printing.status import (
    Ask,
    PrinterState,
    StatusReader,
    Trouble,
    after,
    after_turn,
)

#: GS r parameter: paper sensors.
_PAPER = 1
#: Silence after which no answer to an earlier page is still under way.
_QUIET_MS = 300


@dataclass(frozen=True, slots=True)
class Printed:
    """What became of a page: `trouble` None when it has come out."""

    trouble: Trouble | None
    paper_low: bool = False
    begun: bool = True


class Printer:
    """One printer, for one task at a time. Connects when it is used; `close` lets the line go."""

    def __init__(self, line: Line, *, columns: int = NARROW) -> None:
        """Take the line; nothing is opened yet."""
        self._line = line
        self._columns = columns
        self._is_open = False
        self._in_doubt = False
        self._said = StatusReader()

    async def state(self) -> PrinterState | Trouble:
        """Ask the printer how it is; never raises."""
        try:
            return await self._ask_all()
        except LineDownError:
            await self.close()
            return Trouble.NOT_CONNECTED

    async def print_page(self, page: Page) -> Printed:
        """Print; give whether it came out. Never raises. `begun` False: nothing was sent of it."""
        state = await self.state()
        if state is Trouble.SILENT:
            state = await self._fill_up()
        trouble = state if isinstance(state, Trouble) else state.trouble
        if trouble is not None or isinstance(state, Trouble):
            return Printed(trouble, begun=False)
        try:
            if self._in_doubt:
                await self._settle_down()
            return await self._print(page, state)
        except LineDownError:
            await self.close()
            self._in_doubt = True
            return Printed(Trouble.LOST)

    async def _fill_up(self) -> PrinterState | Trouble:
        """Ask again behind bytes that end a half-sent picture, which had swallowed the question.

        Outside of a picture NUL prints nothing.
        """
        try:
            await self._line.send(bytes(PRINTER_FILL_BYTES) + encode("initialise"))
        except LineDownError:
            await self.close()
            return Trouble.NOT_CONNECTED
        return await self.state()

    async def close(self) -> None:
        """Let the line go. Idempotent."""
        self._is_open = False
        await self._line.close()

    async def _print(self, page: Page, state: PrinterState) -> Printed:
        self._said.turn.clear()
        data = page_bytes(page, columns=self._columns) + encode("status", _PAPER)
        for start in range(0, len(data), PRINTER_CHUNK_BYTES):
            await self._line.send(data[start : start + PRINTER_CHUNK_BYTES])
        for _ in range(PRINTER_SLIP_MS // PRINTER_STATUS_MS):
            if not await self._listen(PRINTER_STATUS_MS):
                now = await self._ask_all()
                if self._said.turn:
                    continue
                if isinstance(now, Trouble) or now.trouble is not None:
                    self._in_doubt = True
                    return Printed(now if isinstance(now, Trouble) else now.trouble)
            if self._said.turn:
                return Printed(None, after_turn(state, self._said.turn[0]).paper_low)
        self._in_doubt = True
        return Printed(Trouble.SILENT)

    async def _settle_down(self) -> None:
        """Let the printer finish what an earlier attempt left in its buffer."""
        await self._line.send(encode("status", _PAPER))
        waited_ms = PRINTER_SLIP_MS
        while await self._listen(waited_ms):
            waited_ms = _QUIET_MS if self._said.turn else PRINTER_SLIP_MS
        self._in_doubt = False

    async def _ask_all(self) -> PrinterState | Trouble:
        if not self._is_open:
            await self._line.connect()
            self._is_open = True
            self._said = StatusReader()
        state = PrinterState()
        for ask in Ask:
            self._said.now.clear()
            await self._line.send(encode("status_now", ask))
            while not self._said.now:
                if not await self._listen(PRINTER_STATUS_MS):
                    return Trouble.SILENT
            state = after(state, ask, self._said.now[0])
        return state

    async def _listen(self, timeout_ms: int) -> bool:
        """Take what the printer says; False after silence. Raises LineDownError at the end."""
        try:
            data = await self._line.receive(timeout_ms=timeout_ms)
        except TimeoutError:
            return False
        if not data:
            raise LineDownError("the printer closed the line.")
        self._said.feed(data)
        return True
