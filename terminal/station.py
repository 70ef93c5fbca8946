"""What every operation of a terminal stands on: its directory, memory, keys, line and turn."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from types import TracebackType
from typing import Self

from protocols.clock import Clock, RandomBytes
from terminal.card_channel import CardChannel
from terminal.card_desk import CardDesk
from terminal.configuration import TerminalConfig
from terminal.directory import DirectoryLock
from terminal.disk import Disk
from terminal.errors import NotLoggedOnError
from terminal.exchange import Exchange, Mark
from terminal.hands import Hands
from terminal.host.events import HostProfile
from terminal.host.session import HostSession
from terminal.journal.records import Kind
from terminal.journal.state import JournalState
from terminal.journal.store import Journal
from terminal.journal.transactions import Transaction
from terminal.kernel import default_terminal_data, laboratory_terminal_data
from terminal.keystore import KeyStore
from terminal.line import Line, TcpLine
from terminal.pin_pad.pad import PinPad
from terminal.purchase.checks import Refused
from terminal.purchase.flow import OperatorFlow
from terminal.purchase.table import FlowState
from terminal.results import ResultMaker, SaleResult
from terminal.sale import Sale
from terminal.sealing import Sealer
from terminal.slip import Shop
from terminal.supervisor import SupervisorCode

_JOURNAL_FILE, _KEYS_FILE, _SUPERVISOR_FILE = "journal", "keys", "supervisor"
_TERMINAL_DATA = {"default": default_terminal_data, "laboratory": laboratory_terminal_data}


class Station:
    """One terminal on its directory, without its operations. An async context manager."""

    def __init__(
        self,
        config: TerminalConfig,
        *,
        clock: Clock,
        random_bytes: RandomBytes,
        line: Line | None = None,
        mark: Mark | None = None,
        disk: Disk | None = None,
        pin_pad: PinPad | None = None,
    ) -> None:
        """Lock the directory, recover the journal, owe back what a power cut left open.

        `line` replaces the TCP line, `mark` is called round each durable write, `disk` says when
        writes are carried out: all three for tests and simulations. With a `pin_pad` no PIN comes
        into the terminal.

        Raises DirectoryLockedError, JournalDamagedError, JournalVersionError, KeyStoreError,
        SealBrokenError, TerminalError; the directory is free again then.
        """
        self.config = config
        self._pin_pad = pin_pad
        self._random_bytes = random_bytes
        self._lock = DirectoryLock.take(config.data_directory)
        self._journal: Journal | None = None
        try:
            self._exchange = self._open(clock, line, mark, disk)
        except BaseException:
            self.release()
            raise
        self._turn = asyncio.Lock()
        self.flow = OperatorFlow(lang=config.lang)
        if self._exchange.session.has_session_keys and self.journal.logged_on is not None:
            self.flow.state = FlowState.MENU
        self._uncertain = self.unfinished()
        self._tell_batch()

    def _open(
        self, clock: Clock, line: Line | None, mark: Mark | None, disk: Disk | None
    ) -> Exchange:
        config = self.config
        sealer = Sealer(config.storage_key, self._random_bytes)
        directory = config.data_directory
        self._supervisor = SupervisorCode(directory / _SUPERVISOR_FILE, config.terminal_id, sealer)
        keys = KeyStore.open(directory / _KEYS_FILE, config.terminal_id, sealer, config.tmk)
        self._journal = Journal.open(
            directory / _JOURNAL_FILE, config.terminal_id, sealer, now_ns=clock.now_ns(),
            used=keys.keys.session is not None, training=config.training,
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
        marks = {"mark": mark} if mark is not None else {}
        exchange = Exchange(
            session, self._journal, keys, line or tcp, clock,
            persistent=config.persistent, disk=disk, **marks,
        )  # fmt: skip
        exchange.recover()
        return exchange

    @property
    def journal(self) -> JournalState:
        """Give what the terminal remembers."""
        return self._exchange.session.journal

    @property
    def owed_reversals(self) -> int:
        """Give how many reversals have no answer yet."""
        return len(self.journal.owed())

    def unfinished(self) -> list[int]:
        """Give the trace numbers of what has no end yet: undone later, or waiting for the bank."""
        open_ones = (*self.journal.owed(), *self.journal.queued())
        return [t.intent.stan for t in open_ones if t.intent.kind.counts]

    @property
    def is_online(self) -> bool | None:
        """Tell whether the host could be reached last time, None before the first time."""
        return self._exchange.is_online

    async def close(self) -> None:
        """Close line, journal and directory. Idempotent."""
        await self._exchange.close_line()
        self.release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    # Parts that operations are made of

    @asynccontextmanager
    async def _operation(self, *, logged_on: bool = True) -> AsyncIterator[None]:
        """Let one operation run; one that is cut short leaves the operator at the menu."""
        async with self._turn:
            self._check_memory()
            if logged_on and self.flow.state is not FlowState.MENU:
                raise NotLoggedOnError(
                    f"Terminal {self.config.terminal_id} is not logged on.", fix="Log on first."
                )
            try:
                yield
            except BaseException:
                self.flow.abandon()
                raise
            finally:
                self._tell_batch()

    def _sale(self, channel: CardChannel | None, hands: Hands, *, tap: bool = False) -> Sale:
        config, who = self.config, self._exchange.session.profile
        card = None
        if channel is not None:
            data = _TERMINAL_DATA[config.terminal_data](
                terminal_id=who.terminal_id, merchant_id=who.merchant_id
            )
            card = CardDesk(channel, data, self._random_bytes, tap=tap)
        return Sale(
            self.flow,
            self._exchange,
            self._results(),
            card=card,
            hands=replace(hands, pin_pad=self._pin_pad),
            same_sale_window_ns=config.same_sale_window_ns,
            outage=config.outage,
            original=self.journal.transactions.get(self.flow.original_stan),
        )

    def _results(self) -> ResultMaker:
        """Give the result maker with the heading of the shop that the terminal is logged on to."""
        config, logged_on = self.config, self.journal.logged_on
        shop = Shop(
            name=(logged_on.shop_name if logged_on else "") or config.shop_name,
            place=(logged_on.shop_place if logged_on else "") or config.shop_place,
            terminal_id=config.terminal_id,
            merchant_id=self._exchange.session.profile.merchant_id,
            help_line=config.help_line,
            training=config.training,
        )
        return ResultMaker(shop, config.lang, config.paper_columns)

    def _unsent(self, kind: Kind, refused: Refused, amount_sen: int = 0) -> SaleResult:
        now_ns = self._exchange.now().utc_ns
        return self._results().unsent(kind, refused, amount_sen=amount_sen, now_ns=now_ns)

    def _of(self, transaction: Transaction, *, repeated: bool = False) -> SaleResult:
        now_ns = self._exchange.now().utc_ns
        return self._results().of_transaction(transaction, now_ns=now_ns, repeated=repeated)

    def _pending_reversal(self) -> Refused:
        owed = self.journal.owed()[0].intent
        return Refused("91", "refused.reversal_pending", {"trace": f"{owed.stan:06d}"})

    async def _why_not_agreed(self, code: str) -> Refused | None:
        """Tell why this code does not let a refund begin, or None; a try counts on disk first."""
        found: list[Refused | None] = []
        await self._exchange.aside(lambda: found.append(self._supervisor.check(code)))
        return found[0]

    async def set_supervisor(self, code: str) -> Refused | None:
        """Keep a new supervisor's code, with all its tries; give why not."""
        found: list[Refused | None] = []
        await self._exchange.aside(
            lambda: found.append(self._supervisor.set(code, self._random_bytes))
        )
        return found[0]

    def _tell_batch(self) -> None:
        """Tell the ready screen which batch is open and what is in it."""
        batch = self.journal.batch
        self.flow.facts |= {
            "batch": f"{batch:06d}",
            "count": str(self.journal.count(batch)),
        }

    def _check_memory(self) -> None:
        assert self._journal is not None, "an open terminal has its journal"
        self._journal.check_open()

    def release(self) -> None:
        """Let journal and directory go, without the line. Idempotent."""
        if self._journal is not None:
            self._journal.close()
        self._lock.release()
