"""The terminal's end of the register's line: takes requests one by one, sells, answers."""

from collections.abc import Awaitable, Callable

from protocols.clock import Clock
from terminal.block_link import BlockLink
from terminal.device import Terminal
from terminal.disk import Disk, ThreadDisk
from terminal.line import Line
from terminal.purchase.checks import check_amount
from terminal.purchase.table import FlowState
from terminal.register.book import RegisterBook, RegisterSale, cut_off_sale, ended
from terminal.register.messages import TERMINAL_END, Answer, Code, Request, Verb, read_request
from terminal.results import SaleResult

#: Sells for an amount in sen: asks for the card and the PIN wherever people are.
Sell = Callable[[int], Awaitable[SaleResult]]
#: How long one look at the line takes; it is repeated for as long as the port serves.
_LOOK_MS = 60_000


class RegisterPort:
    """Serves one register on one line. Money is settled before a result is told."""

    def __init__(
        self,
        line: Line,
        terminal: Terminal,
        book: RegisterBook,
        sell: Sell,
        clock: Clock,
        *,
        disk: Disk | None = None,
    ) -> None:
        """Take the parts; nothing is opened yet."""
        self._link = BlockLink(line, TERMINAL_END, clock)
        self._terminal = terminal
        self._book = book
        self._sell = sell
        self._clock = clock
        self._disk = disk or ThreadDisk()

    async def serve(self) -> None:
        """Serve until the line ends: raises LineDownError then. Cancel it to stop."""
        await self._link.open()
        try:
            while True:
                await self._serve_one()
        finally:
            await self._link.close()

    def stop(self) -> None:
        """End the disk's thread. Idempotent."""
        self._disk.stop()

    async def _serve_one(self) -> None:
        try:
            request = read_request(await self._link.receive(timeout_ms=_LOOK_MS))
        except TimeoutError:
            return
        if request is None:
            return  # nobody can tell whose answer it would be
        answer = await self.answer(request)
        # A register that does not take it asks again, by its reference.
        await self._link.send(answer.encode())

    async def answer(self, request: Request) -> Answer:
        """Give the answer to a request; raise what the terminal raises when its disk fails."""
        known = self._book.sales.get(request.reference)
        if request.verb is Verb.ASK:
            if known is None:
                return _without_result(request, Code.UNKNOWN)
            settled = await self._settled(known)
            if settled is None:
                return _without_result(request, Code.UNKNOWN)
            return _answer(request, settled)
        if known is not None and known.amount_sen != request.amount_sen:
            return _without_result(request, Code.OTHER_AMOUNT)
        if check_amount(request.amount_sen) is not None:
            return _without_result(request, Code.BAD_REQUEST)
        settled = await self._settled(known) if known is not None else None
        if settled is None:
            if self._terminal.flow.state is not FlowState.MENU:
                return _without_result(request, Code.NOT_READY)
            settled = await self._sold(request)
        return _answer(request, settled)

    async def _settled(self, known: RegisterSale) -> RegisterSale | None:
        """Give a known sale with its end; None when it was cut off before anything was sent."""
        if known.outcome:
            return known
        stan = cut_off_sale(self._terminal.journal, known, self._book)
        result = self._terminal.reprint(stan) if stan else None
        return await self._keep(known, result) if result is not None else None

    async def _sold(self, request: Request) -> RegisterSale:
        sale = RegisterSale(request.reference, request.amount_sen, self._clock.now_ns())
        await self._disk.write(lambda: self._book.keep(sale))
        return await self._keep(sale, await self._sell(request.amount_sen))

    async def _keep(self, sale: RegisterSale, result: SaleResult) -> RegisterSale:
        done = ended(
            sale, outcome=result.outcome, stan=result.stan, rrn=result.rrn,
            approval_code=result.approval_code, slip_code=result.slip_code,
            sold_sen=result.amount_sen if result.approved else 0,
        )  # fmt: skip
        await self._disk.write(lambda: self._book.keep(done))
        return done


def _without_result(request: Request, code: Code) -> Answer:
    return Answer(request.number, request.verb, request.reference, code)


def _answer(request: Request, sale: RegisterSale) -> Answer:
    return Answer(
        request.number, request.verb, request.reference, Code.RESULT, sale.outcome,
        f"{sale.stan:06d}" if sale.stan else "", sale.rrn, sale.approval_code, sale.sold_sen,
        sale.slip_code,
    )  # fmt: skip
