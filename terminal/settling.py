"""Settlement at the terminal: by the operator or at cut-off, and complaints (R15, R36)."""

from protocols.business_time import wita
from protocols.values import rupiah
from terminal.journal.batches import BatchStatus
from terminal.journal.records import Complaint, Kind
from terminal.purchase.checks import Refused
from terminal.purchase.table import Effect, FlowEvent, FlowState
from terminal.results import SaleResult
from terminal.station import Station

#: Kinds of complaint, as the catalogue words them.
COMPLAINT_CATEGORIES = ("1", "2", "3", "4", "5")
_MINUTE_NS = 60 * 1_000_000_000
_DAY_NS = 24 * 60 * _MINUTE_NS


class Settling(Station):
    """A station that closes batches and takes complaints."""

    async def settle(self) -> SaleResult:
        """Close the batch and send its totals; after a mismatch upload it and send them again.

        Without an answer the batch is closed all the same: its totals go out until the bank has
        answered, and sales go to the next one.
        """
        async with self._operation():
            waiting = self.journal.pending_batch()
            if waiting is not None:
                await self._exchange.settle()
                await self._exchange.deliver()
                if not self.journal.count(self.journal.batch):
                    return self._of_batch(waiting.number)
            refused = await self._why_not_settle()
            if refused is not None:
                return self._unsent(Kind.SETTLEMENT, refused)
            self.flow.handle(FlowEvent.SETTLE)
            self.flow.facts |= self._batch_facts()
            return await self._run_settlement(self.flow.handle(FlowEvent.CONFIRMED))

    async def settle_if_due(self) -> SaleResult | None:
        """Settle the batch when the day's cut-off has passed since it began; None otherwise."""
        async with self._operation():
            return await self._settle_if_due()

    async def complain(self, category: str, stan: int = 0) -> SaleResult:
        """Keep a complaint and give its number and slip (R36)."""
        async with self._operation():
            self.flow.handle(FlowEvent.COMPLAINT)
            if category not in COMPLAINT_CATEGORIES:
                refused = Refused("12", "refused.choice")
                self.flow.refuse(FlowEvent.CATEGORY_REFUSED, refused)
                self.flow.handle(FlowEvent.CANCEL)
                return self._unsent(Kind.COMPLAINT, refused)
            self.flow.handle(FlowEvent.CATEGORY_TAKEN)
            return await self._keep_complaint(category, stan)

    async def _keep_complaint(self, category: str, stan: int) -> SaleResult:
        now = self._exchange.now()
        count = len(self.journal.complaints) + 1
        day = f"{wita(now.utc_ns):%y%m%d}"
        number = f"P{self.config.terminal_id}-{day}-{count % 1000:03d}"
        complaint = Complaint(number=number, stan=stan, category=category, noted_ns=now.utc_ns)
        self._exchange.session.note_complaint(complaint)
        await self._exchange.write_down()
        self.flow.handle(FlowEvent.DONE)
        return self._results().of_complaint(complaint, now.utc_ns)

    async def _settle_if_due(self) -> SaleResult | None:
        if not self._is_due() or await self._why_not_settle() is not None:
            return None
        return await self._run_settlement(self.flow.handle(FlowEvent.CUT_OFF))

    def _is_due(self) -> bool:
        """Tell whether a cut-off lies between the open batch's first transaction and now."""
        minute = self.config.cut_off_minute
        began_ns = self.journal.began_ns(self.journal.batch)
        if minute < 0 or not began_ns:
            return False
        now_ns = self._exchange.now().utc_ns
        local = wita(now_ns)
        since_ns = (local.hour * 60 + local.minute - minute) * _MINUTE_NS
        since_ns += local.second * 1_000_000_000
        if since_ns < 0:
            since_ns += _DAY_NS
        return began_ns < now_ns - since_ns

    async def _why_not_settle(self) -> Refused | None:
        """Drive what must be certain before totals can be: reversals, and vouchers under way."""
        journal = self.journal
        if await self._exchange.settle():
            return self._pending_reversal()
        await self._exchange.deliver()
        for stored in journal.queued():
            if stored.intent.kind is Kind.VOUCHER and stored.transmissions:
                trace = {"trace": f"{stored.intent.stan:06d}"}
                return Refused("91", "refused.voucher_waits", trace)
        if not journal.count(journal.batch):
            return Refused("12", "refused.batch_empty")
        return None

    async def _run_settlement(self, effect: Effect | None) -> SaleResult:
        """Carry out the effects of the settlement's flow until it shows its result."""
        number = self.journal.batch
        while effect is not None and effect is not Effect.RELEASE:
            if effect is Effect.SEND_TOTALS:
                self._exchange.session.begin_settlement(self._exchange.now())
                await self._exchange.write_down()
                await self._exchange.deliver(until_mismatch=True)
            else:
                await self._exchange.deliver()
            effect = self.flow.handle(self._where(number))
        assert self.flow.state is FlowState.RESULT, "a flow ends with its result"
        self.flow.handle(FlowEvent.DONE)
        return self._of_batch(number)

    def _where(self, number: int) -> FlowEvent:
        batch = self.journal.batches[number]
        if batch.is_concluded:
            return FlowEvent.SETTLED
        mismatched = batch.status is BatchStatus.MISMATCHED
        if mismatched and self.flow.state is FlowState.SETTLING:
            return FlowEvent.MISMATCH
        return FlowEvent.STILL_OWED

    def _batch_facts(self) -> dict[str, str]:
        totals = self.journal.totals(self.journal.batch)
        return {"total": rupiah(totals.net_sen)}

    def _of_batch(self, number: int, *, repeated: bool = False) -> SaleResult:
        batch = self.journal.batches[number]
        settlement = self.journal.transactions[batch.settlement_stan]
        return self._results().of_batch(
            batch,
            settlement.intent,
            settlement.answer,
            now_ns=self._exchange.now().utc_ns,
            repeated=repeated,
        )
