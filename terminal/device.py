"""`Terminal`: one EDC with its memory, its line and its keys. The adapter above all the cores.

Guarantees: a request's intent is on disk before a byte of it leaves; whatever is not certain is
reversed, across power cuts, until the host has answered; a slip says no more than is certain.
Opening an existing directory takes up what a power cut left behind; `settle_outstanding` drives it
to its end. One operation runs at a time, further calls wait.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import TracebackType

from protocols.clock import Clock, RandomBytes
from terminal.card_channel import CardChannel
from terminal.card_desk import CardDesk
from terminal.configuration import TerminalConfig
from terminal.directory import DirectoryLock
from terminal.errors import NotLoggedOnError
from terminal.exchange import Exchange
from terminal.host.events import HostProfile
from terminal.host.session import HostSession
from terminal.journal.records import Kind, SaleItem
from terminal.journal.state import JournalState
from terminal.journal.store import Journal
from terminal.journal.transactions import Status
from terminal.kernel import default_terminal_data
from terminal.keystore import KeyStore
from terminal.line import Line, LineDownError, TcpLine
from terminal.purchase.basket import check_basket
from terminal.purchase.checks import Refused, check_amount
from terminal.purchase.flow import OperatorFlow
from terminal.purchase.table import FlowEvent, FlowState
from terminal.receipt import Shop
from terminal.results import ResultMaker, SaleResult
from terminal.sale import PinEntry, RepeatQuestion, Sale
from terminal.sealing import Sealer

_JOURNAL_FILE, _KEYS_FILE = "journal", "keys"


class Terminal:
    """One terminal on its directory. Close it, or use it as an async context manager."""

    def __init__(
        self,
        config: TerminalConfig,
        *,
        clock: Clock,
        random_bytes: RandomBytes,
        line: Line | None = None,
    ) -> None:
        """Lock the directory, recover the journal, owe back what a power cut left open.

        Raises DirectoryLockedError, JournalDamagedError, JournalVersionError, KeyStoreError,
        SealBrokenError, TerminalError; the directory is free again then.
        """
        self.config = config
        self._random_bytes = random_bytes
        self._lock = DirectoryLock.take(config.data_directory)
        self._journal: Journal | None = None
        try:
            self._exchange = self._open(clock, line)
        except BaseException:
            self._release()
            raise
        self._turn = asyncio.Lock()
        self.flow = OperatorFlow(lang=config.lang)
        if self._exchange.session.has_session_keys and self.journal.logged_on is not None:
            self.flow.state = FlowState.MENU

    def _open(self, clock: Clock, line: Line | None) -> Exchange:
        config = self.config
        sealer = Sealer(config.storage_key, self._random_bytes)
        directory = config.data_directory
        keys = KeyStore.open(directory / _KEYS_FILE, config.terminal_id, sealer, config.tmk)
        self._journal = Journal.open(
            directory / _JOURNAL_FILE, config.terminal_id, sealer, now_ns=clock.now_ns(),
            used=keys.keys.session is not None,
        )  # fmt: skip
        profile = HostProfile(
            terminal_id=config.terminal_id,
            merchant_id=config.merchant_id,
            nii=config.nii.zfill(3),
            timeout_ms=config.timeout_ms,
            operator=config.operator,
        )
        session = HostSession(profile, self._journal.state, keys.keys, self._random_bytes)
        tcp = TcpLine(config.host, config.port, connect_timeout_ms=config.connect_timeout_ms)
        exchange = Exchange(
            session, self._journal, keys, line or tcp, clock, persistent=config.persistent
        )
        exchange.recover()
        return exchange

    # Operations

    async def log_on(self) -> str:
        """Change the session keys, log on to the shop, settle what is owed; give DE39.

        `91` without a connection, `68` without an answer that can be trusted.
        """
        async with self._operation():
            self.flow.handle(FlowEvent.LOG_ON)
            code = await self._log_on()
            done = code == "00"
            self.flow.handle(FlowEvent.LOGGED_ON if done else FlowEvent.LOG_ON_FAILED)
            if done:
                await self._exchange.settle()
            return code

    async def buy(
        self,
        amount_sen: int,
        channel: CardChannel,
        pin_entry: PinEntry,
        basket: Sequence[SaleItem] | None = None,
        *,
        repeat_question: RepeatQuestion | None = None,
    ) -> SaleResult:
        """Sell for `amount_sen` (whole rupiah) to the card in the slot; give the result.

        `pin_entry` gives six digits, or an empty text to cancel. With a `basket` its sum must be
        the amount. The same card and amount again within minutes gives the earlier result, unless
        `repeat_question` says that it is another sale (R31). Raises NotLoggedOnError, and
        JournalWriteError when the disk fails.
        """
        async with self._operation():
            self._need_log_on()
            refused = check_amount(amount_sen)
            if refused is None and basket is not None:
                refused = check_basket(basket, amount_sen)
            if refused is not None:
                return self._unsent(Kind.PURCHASE, refused, amount_sen)
            self.flow.handle(FlowEvent.BASKET if basket else FlowEvent.PURCHASE)
            if basket:
                for item in basket:
                    self.flow.choose_item(item.code, item.quantity, item.price_sen)
                effect = self.flow.finish_basket()
            else:
                effect = self.flow.enter_amount(amount_sen)
            sale = self._sale(channel)
            sale.pin_entry = pin_entry
            sale.repeat_question = repeat_question
            return await sale.run(effect)

    async def balance(self, channel: CardChannel, pin_entry: PinEntry | None = None) -> SaleResult:
        """Ask for the balance of the card in the slot; no PIN unless the card wants one."""
        async with self._operation():
            self._need_log_on()
            sale = self._sale(channel)
            sale.pin_entry = pin_entry
            return await sale.run(self.flow.handle(FlowEvent.BALANCE))

    async def void(self, stan: int) -> SaleResult:
        """Undo the sale with this trace number, back to the same card (R16); no card, no PIN."""
        async with self._operation():
            self._need_log_on()
            refused = self._why_not_void(stan)
            if refused is not None:
                return self._unsent(Kind.VOID, refused, 0)
            original = self.journal.transactions[stan]
            self.flow.handle(FlowEvent.VOID)
            self.flow.amount_sen = original.intent.amount_sen
            self.flow.handle(FlowEvent.TRACE_TAKEN)
            sale = self._sale(None)
            sale.original = original
            if await self._exchange.settle():
                self.flow.handle(FlowEvent.CANCEL)
                owed = self.journal.owed()[0].intent.stan
                pending = Refused("91", "refused.reversal_pending", {"trace": f"{owed:06d}"})
                return self._unsent(Kind.VOID, pending, original.intent.amount_sen)
            return await sale.run(self.flow.handle(FlowEvent.CONFIRMED))

    async def settle_outstanding(self) -> int:
        """Drive owed reversals to an answer; give how many are still owed."""
        async with self._operation():
            return await self._exchange.settle()

    def reprint(self, stan: int) -> SaleResult | None:
        """Give an earlier transaction's result with its slips marked SALINAN, None when unknown.

        Raises JournalWriteError after a write that failed: what is known then may not be on disk.
        """
        self._check_memory()
        transaction = self.journal.transactions.get(stan)
        if transaction is None or transaction.intent.kind is Kind.NETWORK:
            return None
        now_ns = self._exchange.now().utc_ns
        return self._results().of_transaction(transaction, now_ns=now_ns, repeated=True)

    @property
    def journal(self) -> JournalState:
        """Give what the terminal remembers."""
        return self._exchange.session.journal

    @property
    def owed_reversals(self) -> int:
        """Give how many reversals have no answer yet."""
        return len(self.journal.owed())

    async def close(self) -> None:
        """Close line, journal and directory. Idempotent."""
        await self._exchange.close_line()
        self._release()

    async def __aenter__(self) -> "Terminal":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    # Parts

    @asynccontextmanager
    async def _operation(self) -> AsyncIterator[None]:
        """Let one operation run; one that is cut short leaves the operator at the menu."""
        async with self._turn:
            self._check_memory()
            try:
                yield
            except BaseException:
                self.flow.abandon()
                raise

    async def _log_on(self) -> str:
        try:
            code = await self._exchange.change_keys()
            if code == "00":
                code = await self._exchange.log_on()
        except LineDownError:
            return "91"
        return code or "68"

    def _sale(self, channel: CardChannel | None) -> Sale:
        config = self.config
        card = None
        if channel is not None:
            data = default_terminal_data(
                terminal_id=config.terminal_id, merchant_id=config.merchant_id
            )
            card = CardDesk(channel, data, self._random_bytes)
        return Sale(
            self.flow,
            self._exchange,
            self._results(),
            card=card,
            same_sale_window_ns=config.same_sale_window_ns,
        )

    def _results(self) -> ResultMaker:
        """Give the result maker with the heading of the shop that the terminal is logged on to."""
        config, logged_on = self.config, self.journal.logged_on
        shop = Shop(
            name=(logged_on.shop_name if logged_on else "") or config.shop_name,
            place=(logged_on.shop_place if logged_on else "") or config.shop_place,
            terminal_id=config.terminal_id,
            merchant_id=config.merchant_id,
            help_line=config.help_line,
        )
        return ResultMaker(shop, config.lang)

    def _unsent(self, kind: Kind, refused: Refused, amount_sen: int) -> SaleResult:
        now_ns = self._exchange.now().utc_ns
        return self._results().unsent(kind, refused, amount_sen=amount_sen, now_ns=now_ns)

    def _why_not_void(self, stan: int) -> Refused | None:
        found = self.journal.transactions.get(stan)
        trace = {"trace": f"{stan:06d}"}
        if found is None or found.intent.kind is not Kind.PURCHASE:
            return Refused("25", "refused.void_unknown", trace)
        if found.voided_by:
            return Refused("76", "refused.void_not_approved", trace)
        if found.status is not Status.COMPLETED or found.intent.batch != self.journal.batch:
            return Refused("25", "refused.void_not_approved", trace)
        return None

    def _check_memory(self) -> None:
        assert self._journal is not None, "an open terminal has its journal"
        self._journal.check_open()

    def _need_log_on(self) -> None:
        if self.flow.state is not FlowState.MENU:
            raise NotLoggedOnError(
                f"Terminal {self.config.terminal_id} is not logged on.", fix="Log on first."
            )

    def _release(self) -> None:
        if self._journal is not None:
            self._journal.close()
        self._lock.release()
