"""The printing of one terminal: results become slips, slips wait, slips come out.

Money never waits for paper: a result is settled before its slips are taken, and trouble with the
printer is a sentence for the operator, not an error.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from protocols.catalogue import text
from terminal.disk import Disk, ThreadDisk
from terminal.printing.page import Page, qr_text
from terminal.printing.printer import Printer
from terminal.printing.queue import SlipQueue, WaitingSlip
from terminal.printing.status import Trouble
from terminal.results import SaleResult


@dataclass(frozen=True, slots=True)
class PrintReport:
    """What came of printing: how many slips came out, how many wait, and why."""

    printed: int
    waiting: int
    trouble: Trouble | None = None
    paper_low: bool = False
    no_room: int = 0

    def sentence(self, lang: str = "id") -> str:
        """Give what the operator does next, empty when there is nothing to do.

        >>> PrintReport(0, 2, Trouble.PAPER_OUT).sentence("en")
        'The paper is out. Put in a new roll; waiting slips print by themselves.'
        """
        if self.no_room:
            return text("printer.queue_full", lang)
        if self.trouble is not None:
            return text(self.trouble.value, lang)
        return text("printer.paper_low", lang) if self.paper_low else ""


class PrintDesk:
    """One terminal's printer and its queue."""

    def __init__(
        self,
        queue: SlipQueue,
        printer: Printer,
        *,
        terminal_id: str,
        lang: str = "id",
        disk: Disk | None = None,
    ) -> None:
        """Take the parts; nothing is printed yet. `disk` says when writes are carried out."""
        self._disk = disk or ThreadDisk()
        self._queue = queue
        self._printer = printer
        self._terminal_id = terminal_id
        self._lang = lang
        self._turn = asyncio.Lock()

    async def catch_up(
        self, newest: SaleResult | None, unfinished: Iterable[int] = ()
    ) -> PrintReport:
        """Print what a power cut left: slips that wait, and those of the newest transaction when
        the power went before they were taken. `unfinished` are transactions without an end yet.
        """
        missing = set(unfinished) - set(self._queue.open_stans)
        if missing:
            async with self._turn:
                await self._add([], 0, opens=missing)
        if newest is None or _number(newest) == self._queue.newest_stan:
            return await self.work()
        return await self.take(newest)

    async def take(self, result: SaleResult) -> PrintReport:
        """Take a result's slips and print what waits; raise SlipQueueError when the disk fails."""
        bodies = dict.fromkeys((result.receipt_toko, result.receipt_pembeli))
        qr = self._qr(result)
        slips = [WaitingSlip(body, qr) for body in bodies if body]
        stans = (result.stan,) if result.stan else ()
        async with self._turn:
            no_room = await self._add(
                slips,
                0 if result.repeated else _number(result),
                opens=stans if result.is_open else (),
                ends=() if result.is_open else stans,
            )
            return await self._work(no_room)

    async def follow_up(self, now: Callable[[int], SaleResult | None]) -> PrintReport:
        """Print how what was uncertain has ended; `now` gives a transaction's result as it is.

        What stands as its first slip said needs no other: a voucher that the bank has paid in full,
        a sale of which it took no part back.
        """
        for stan in self._queue.open_stans:
            result = now(stan)
            if result is not None and result.is_open:
                continue
            if result is not None and not result.is_as_first_told:
                await self.take(result)
            else:
                async with self._turn:
                    await self._add([], 0, ends=(stan,))
        return await self.work()

    async def work(self) -> PrintReport:
        """Print what waits; for a timer, and for the operator who has mended the printer."""
        async with self._turn:
            return await self._work()

    async def close(self) -> None:
        """Let the printer's line go, and the disk."""
        await self._printer.close()
        self._disk.stop()

    async def _add(
        self,
        slips: list[WaitingSlip],
        stan: int,
        *,
        opens: Iterable[int] = (),
        ends: Iterable[int] = (),
    ) -> int:
        no_room = 0

        def add() -> None:
            nonlocal no_room
            no_room = self._queue.add(slips, stan, opens=opens, ends=ends)

        await self._disk.write(add)
        return no_room

    def _qr(self, result: SaleResult) -> str:
        if not result.slip_code:
            return ""
        return qr_text(
            slip_code=result.slip_code,
            rrn=result.rrn,
            terminal_id=self._terminal_id,
            amount_sen=result.amount_sen,
        )

    async def _work(self, no_room: int = 0) -> PrintReport:
        done, paper_low = 0, False
        while (slip := self._queue.first) is not None:
            copy = text("receipt.reprint", self._lang)
            mark = copy if slip.begun and copy not in slip.body else ""
            await self._disk.write(self._queue.begin)
            printed = await self._printer.print_page(Page(body=slip.body, qr=slip.qr, mark=mark))
            if printed.trouble is not None:
                if not printed.begun and not slip.begun:
                    await self._disk.write(self._queue.not_begun)
                await self._printer.close()
                return PrintReport(done, self._queue.waiting, printed.trouble, no_room=no_room)
            await self._disk.write(self._queue.printed)
            done, paper_low = done + 1, printed.paper_low
        await self._printer.close()
        return PrintReport(done, 0, None, paper_low, no_room)


def _number(result: SaleResult) -> int:
    """Give the number under which a result's slips go."""
    return result.slip_number or result.stan
