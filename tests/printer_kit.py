"""A printer desk on a virtual printer, for tests: results are slips of plain text."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lumbung.printer.device import VirtualPrinter
from lumbung.printer.faults import PrinterFault
from lumbung.printer.paper import Paper
from lumbung.printer.server import PrinterServer
from terminal.journal.records import Kind
from terminal.printing.desk import PrintDesk
from terminal.printing.printer import Printer
from terminal.printing.queue import SlipQueue
from terminal.results import SaleResult
from terminal.serial_port import line_to
from terminal.wording import word


def result(name: str, *, stan: int = 1, slip_code: str = "0E82-2A36-365C") -> SaleResult:
    """Give a result whose slips say `name` on thirty lines."""
    lines = [f"{name} {number:02d}" for number in range(30)]
    toko, pembeli = ("".join(f"{line} {who}\n" for line in lines) for who in ("TOKO", "PEMBELI"))
    return SaleResult(
        kind=Kind.PURCHASE, outcome="00", texts=word("00"), stan=stan, rrn="600509000345",
        amount_sen=14_150_000, slip_code=slip_code, receipt_toko=toko, receipt_pembeli=pembeli,
    )  # fmt: skip


@dataclass(slots=True)
class Bench:
    """A virtual printer, what it has cut off, and a desk that prints on it."""

    server: PrinterServer
    address: str
    directory: Path
    pieces: list[Paper] = field(default_factory=list)

    def desk(self) -> PrintDesk:
        """Open the desk on its queue, as after power came back."""
        queue = SlipQueue.open(self.directory / "slips")
        return PrintDesk(queue, Printer(line_to(self.address)), terminal_id="12400017")

    def texts(self) -> list[str]:
        """Give what stands on the pieces, first and last line of text of each."""
        found = []
        for piece in self.pieces:
            lines = [line for line in piece.as_text().splitlines() if line and "[" not in line]
            found.append(f"{lines[0].strip()} .. {lines[-1].strip()}")
        return found


@asynccontextmanager
async def bench(directory: Path, *faults: PrinterFault, pty: bool = False) -> AsyncIterator[Bench]:
    """Give a bench; `pty` puts a serial cable instead of TCP between."""
    made: list[Paper] = []
    server = PrinterServer(VirtualPrinter(384, faults), made.append)
    if pty:
        address = f"serial:{server.open_pty(directory / 'ttyPRN')}"
    else:
        address = f"tcp:127.0.0.1:{await server.listen('127.0.0.1', 0)}"
    try:
        yield Bench(server, address, directory, made)
    finally:
        await server.close()
