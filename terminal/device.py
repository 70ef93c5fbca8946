"""`Terminal`: one EDC with its memory, its line and its keys. The adapter above all the cores.

Guarantees: a request's intent is on disk before a byte of it leaves; whatever is not certain is
reversed, across power cuts, until the host has answered; a slip says no more than is certain.
Opening an existing directory takes up what a power cut left behind; `settle_outstanding` drives it
to its end. One operation runs at a time, further calls wait.
"""

from collections.abc import Sequence

from terminal.card_channel import CardChannel
from terminal.hands import Hands, PinEntry, RepeatQuestion, VoucherQuestion
from terminal.journal.records import Kind, SaleItem
from terminal.line import LineDownError
from terminal.purchase.basket import check_basket
from terminal.purchase.checks import Refused, check_amount, check_proxy, check_rest
from terminal.purchase.originals import (
    left_to_refund,
    newest,
    newest_slip,
    why_not_refund,
    why_not_reprint,
    why_not_void,
)
from terminal.purchase.table import FlowEvent
from terminal.results import SaleResult
from terminal.settling import Settling


class Terminal(Settling):
    """One terminal on its directory. Close it, or use it as an async context manager."""

    async def log_on(self, merchant_id: str = "", operator: str = "") -> str:
        """Change the session keys, log on to the shop, settle what is owed; give DE39.

        Another `merchant_id` than before takes the terminal to that shop (R39); the batch of the
        one before must be settled. `91` without a connection, `68` without an answer that can be
        trusted, `90` while a batch of another shop is open.
        """
        async with self._operation(logged_on=False):
            self.flow.handle(FlowEvent.LOG_ON)
            code = await self._log_on(merchant_id, operator)
            done = code == "00"
            self.flow.handle(FlowEvent.LOGGED_ON if done else FlowEvent.LOG_ON_FAILED)
            if done:
                await self._exchange.settle()
                await self._exchange.deliver()
            return code

    async def log_off(self) -> str:
        """Leave the shop; give DE39. Nothing is sold until the next log-on."""
        async with self._operation():
            try:
                code = await self._exchange.log_off() or "68"
            except LineDownError:
                code = "91"
            if code == "00":
                self.flow.handle(FlowEvent.LOG_OFF)
            return code

    async def buy(
        self,
        amount_sen: int,
        channel: CardChannel,
        pin_entry: PinEntry,
        basket: Sequence[SaleItem] | None = None,
        *,
        repeat_question: RepeatQuestion | None = None,
        voucher_question: VoucherQuestion | None = None,
        proxy: str = "",
        tap: bool = False,
    ) -> SaleResult:
        """Sell for `amount_sen` (whole rupiah) to the card in the slot; give the result.

        `pin_entry` gives six digits, or an empty text to cancel. With a `basket` its sum must be
        the amount. The same card and amount again within minutes gives the earlier result, unless
        `repeat_question` says that it is another sale (R31). `voucher_question` decides about an
        outage sale where the city allows one; `proxy` is who stands in for the holder (R25);
        `tap` reads the card without contacts. Raises NotLoggedOnError, and JournalWriteError when
        the disk fails.
        """
        async with self._operation():
            refused = check_amount(amount_sen)
            if refused is None and basket is not None:
                refused = check_basket(basket, amount_sen)
            if refused is None and proxy:
                refused = check_proxy(proxy)
            if refused is not None:
                return self._unsent(Kind.PURCHASE, refused, amount_sen)
            await self._settle_if_due()
            if proxy:
                self.flow.handle(FlowEvent.PROXY)
                self.flow.enter_proxy(proxy)
            else:
                self.flow.handle(FlowEvent.BASKET if basket else FlowEvent.PURCHASE)
            if basket and not proxy:
                for item in basket:
                    self.flow.choose_item(item.code, item.quantity, item.price_sen)
                effect = self.flow.finish_basket()
            else:
                self.flow.items = tuple(basket or ())
                effect = self.flow.enter_amount(amount_sen)
            hands = Hands(pin_entry, repeat_question, voucher_question)
            return await self._sale(channel, hands, tap=tap).run(effect)

    async def balance(
        self, channel: CardChannel, pin_entry: PinEntry | None = None, *, tap: bool = False
    ) -> SaleResult:
        """Ask for the balance of the card in the slot; no PIN unless the card wants one."""
        async with self._operation():
            effect = self.flow.handle(FlowEvent.BALANCE)
            return await self._sale(channel, Hands(pin_entry), tap=tap).run(effect)

    async def statement(
        self, channel: CardChannel, pin_entry: PinEntry | None = None, *, tap: bool = False
    ) -> SaleResult:
        """Ask for the last movements of the card in the slot."""
        async with self._operation():
            effect = self.flow.handle(FlowEvent.STATEMENT)
            return await self._sale(channel, Hands(pin_entry), tap=tap).run(effect)

    async def change_pin(self, channel: CardChannel, pin_entry: PinEntry) -> SaleResult:
        """Change the PIN of the card in the slot: `pin_entry` gives the old one, the new one, and
        the new one again.
        """
        async with self._operation():
            effect = self.flow.handle(FlowEvent.PIN_CHANGE)
            return await self._sale(channel, Hands(pin_entry)).run(effect)

    async def void(self, stan: int) -> SaleResult:
        """Undo the sale with this trace number, back to the same card (R16); no card, no PIN."""
        async with self._operation():
            refused = why_not_void(self.journal, stan)
            if refused is not None:
                return self._unsent(Kind.VOID, refused)
            amount_sen = self.journal.transactions[stan].amount_sen
            if await self._exchange.settle():
                return self._unsent(Kind.VOID, self._pending_reversal(), amount_sen)
            self.flow.handle(FlowEvent.VOID)
            self.flow.amount_sen = amount_sen
            self.flow.facts |= {"trace": f"{stan:06d}"}
            self.flow.enter_trace(stan, None)
            return await self._sale(None, Hands()).run(self.flow.handle(FlowEvent.CONFIRMED))

    async def refund(
        self,
        stan: int,
        amount_sen: int,
        channel: CardChannel,
        pin_entry: PinEntry,
        *,
        supervisor: str = "",
    ) -> SaleResult:
        """Give `amount_sen` of the sale with this trace number back to its card, which is here.

        The holder types the PIN, `supervisor` is the code of who agrees to it (domain.md 4.3). It
        may be a part, and of an earlier batch (R16, domain.md 3.1).
        """
        async with self._operation():
            refused = why_not_refund(self.journal, stan) or check_amount(amount_sen)
            if refused is not None:
                return self._unsent(Kind.REFUND, refused, amount_sen)
            self.flow.handle(FlowEvent.REFUND)
            self.flow.enter_trace(stan, None)
            self.flow.enter_part(amount_sen, left_to_refund(self.journal, stan))
            refused = self.flow.refused
            if refused is not None:
                self.flow.handle(FlowEvent.CANCEL)
                return self._unsent(Kind.REFUND, refused, amount_sen)
            if self.config.refund_needs_supervisor:
                refused = await self._why_not_agreed(supervisor)
                if refused is not None:
                    self.flow.refuse(FlowEvent.SUPERVISOR_REFUSED, refused)
                    self.flow.handle(FlowEvent.CANCEL)
                    return self._unsent(Kind.REFUND, refused, amount_sen)
            effect = self.flow.handle(FlowEvent.SUPERVISOR_AGREED)
            return await self._sale(channel, Hands(pin_entry)).run(effect)

    async def reduce(self, stan: int, actual_sen: int) -> SaleResult:
        """Leave only `actual_sen` of a sale of this batch standing: less was handed over.

        A partial reversal (DE95); like every reversal it is repeated until the host has answered.
        """
        async with self._operation():
            refused = await self._why_not_reduce(stan)
            if refused is None:
                sold_sen = self.journal.transactions[stan].amount_sen
                refused = check_rest(actual_sen, sold_sen)
            if refused is not None:
                return self._unsent(Kind.PURCHASE, refused)
            self.flow.handle(FlowEvent.REDUCE)
            self.flow.enter_trace(stan, None)
            self.flow.enter_rest(actual_sen, sold_sen)
            return await self._reduce()

    async def _why_not_reduce(self, stan: int) -> Refused | None:
        refused = why_not_void(self.journal, stan)
        if refused is None and await self._exchange.settle():
            refused = self._pending_reversal()
        return refused

    async def _reduce(self) -> SaleResult:
        """Send the partial reversal that the flow has asked for; end with its result."""
        flow, stan = self.flow, self.flow.original_stan
        sale = self.journal.transactions[stan]
        self._exchange.session.reduce(sale, flow.amount_sen, self._exchange.now())
        await self._exchange.write_down()
        owed = await self._exchange.settle()
        flow.handle(FlowEvent.STILL_OWED if owed else FlowEvent.UNDONE)
        flow.handle(FlowEvent.DONE)
        reduced = self.journal.transactions[stan]
        # What still stands whole has its slip already: another one is a copy.
        return self._of(reduced, repeated=not reduced.actual_sen)

    async def settle_outstanding(self) -> int:
        """Drive reversals and stored messages to an answer; give how many are still open."""
        async with self._operation(logged_on=False):
            owed = await self._exchange.settle()
            return owed or await self._exchange.deliver()

    def reprint(self, stan: int = 0) -> SaleResult | None:
        """Give an earlier transaction's result with its slips marked SALINAN, None when unknown.

        0 is the newest one. Raises JournalWriteError after a write that failed: what is known then
        may not be on disk.
        """
        return self._earlier(stan or newest(self.journal), repeated=True)

    def result_now(self, stan: int) -> SaleResult | None:
        """Give a transaction's result as it stands now, its slips unmarked; None when unknown."""
        return self._earlier(stan, repeated=False)

    def newest_result(self) -> SaleResult | None:
        """Give the result whose slips are the newest, unmarked; None without one."""
        return self.result_now(newest_slip(self.journal))

    def _earlier(self, stan: int, *, repeated: bool) -> SaleResult | None:
        self._check_memory()
        if why_not_reprint(self.journal, stan) is not None:
            return None
        transaction = self.journal.transactions[stan]
        if transaction.intent.kind is Kind.SETTLEMENT:
            return self._of_batch(transaction.intent.batch, repeated=repeated)
        return self._of(transaction, repeated=repeated)

    @property
    def dead_letters(self) -> int:
        """Give how many messages people must settle with the bank."""
        return len(self.journal.dead_letters())

    async def _log_on(self, merchant_id: str, operator: str) -> str:
        shop = self._exchange.session.profile.merchant_id
        moves = bool(merchant_id) and merchant_id != shop
        if moves and self.journal.count(self.journal.batch):
            return "90"
        try:
            code = await self._exchange.change_keys()
            if code == "00":
                code = await self._exchange.log_on(merchant_id, operator)
        except LineDownError:
            return "91"
        return code or "68"
