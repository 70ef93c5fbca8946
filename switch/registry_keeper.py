"""What the switch does with the registry beside reading it: takes over changes, notes first uses.

A collected card becomes active by the first chip and PIN that were approved (R21, R24). The sale's
record in the ledger comes first and is durable; the registry is told behind it, off the loop, with
the terminal as the acting person. What a kill leaves untold is found in the ledger at the next
start, or told again at the card's next use: telling twice changes nothing.
"""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, runtime_checkable

import structlog

from ledger.port import Ledger, StatementFilter
from ledger.statuses import CreateTransferStatus
from programme.chart import SaleData, TransferCode
from programme.registry_port import CardView, TerminalView
from protocols.errors import LumbungError
from switch.limits import FIRST_USE_ACCOUNTS_MAX, FIRST_USES_WAITING_MAX
from switch.memory import CARD_TAG_MASK
from switch.metrics import NodeMetrics
from switch.telling import FIRST_USE, Event

_log = structlog.get_logger("switch")


@runtime_checkable
class Refreshing(Protocol):
    """A registry that other processes may change."""

    def refresh(self) -> bool:
        """Take over what changed; tell whether there was anything."""


@runtime_checkable
class Activating(Protocol):
    """A registry that takes first uses."""

    def collected_cards(self) -> list[CardView]:
        """Give the cards that were collected and never used."""

    def all_terminals(self) -> list[TerminalView]:
        """Give all terminals."""

    def note_first_use(self, card_number: int, terminal_id: str) -> bool:
        """Make a collected card active, durably; tell whether it was not yet."""


class RegistryKeeper:
    """Keeps one node and its registry in step. All methods belong to the loop's thread."""

    def __init__(self, registry: object, metrics: NodeMetrics) -> None:
        """Take the registry; one that only reads has nothing done to it."""
        self._refreshing = registry if isinstance(registry, Refreshing) else None
        self._activating = registry if isinstance(registry, Activating) else None
        self._metrics = metrics
        self._looking: asyncio.Future[bool] | None = None
        self._noting: asyncio.Future[None] | None = None
        self._waiting: dict[int, str] = {}

    async def refresh(self) -> bool:
        """Take over what other processes changed; in force when this returns."""
        if self._refreshing is None:
            return False
        return await asyncio.get_running_loop().run_in_executor(None, self._refreshing.refresh)

    def tick(self) -> None:
        """Look for changes of others, and tell again what could not be told; once a second."""
        if self._refreshing is not None and self._looking is None:
            loop = asyncio.get_running_loop()
            self._looking = loop.run_in_executor(None, self._refreshing.refresh)
            self._looking.add_done_callback(self._looked)
        self._note()

    def catch_up(self, ledger: Ledger) -> None:
        """Tell of first uses that the ledger holds and the registry does not; in any thread."""
        if self._activating is None:
            return
        terminals = {
            one.terminal_number: one.terminal_id for one in self._activating.all_terminals()
        }
        for card, terminal in first_uses(ledger, self._activating.collected_cards()):
            self._activating.note_first_use(card.card_number, terminals[terminal])

    def hear(self, events: Iterable[Event]) -> None:
        """Take the first uses among a turn's events."""
        for name, fields in events:
            if name == FIRST_USE and self._activating is not None:
                self._take(fields)
        if self._waiting:
            self._note()

    async def end(self) -> None:
        """Wait until what was heard is told; what cannot be is found at the next start."""
        self._note()
        while self._noting is not None:
            await asyncio.wait([self._noting])
            await asyncio.sleep(0)

    def _take(self, fields: dict[str, Any]) -> None:
        # Above the bound the card's next use tells of it.
        if len(self._waiting) < FIRST_USES_WAITING_MAX:
            self._waiting.setdefault(fields["card_number"], fields["terminal"])

    def _note(self) -> None:
        if not self._waiting or self._noting is not None:
            return
        told, self._waiting = self._waiting, {}
        self._noting = asyncio.get_running_loop().run_in_executor(None, self._tell, told)
        self._noting.add_done_callback(lambda done: self._noted(told, done))

    def _tell(self, told: dict[int, str]) -> None:
        assert self._activating is not None, "nothing is taken for a registry that only reads"
        for card_number, terminal in told.items():
            self._activating.note_first_use(card_number, terminal)

    def _noted(self, told: dict[int, str], done: "asyncio.Future[None]") -> None:
        self._noting = None
        error = None if done.cancelled() else done.exception()
        if isinstance(error, LumbungError):
            # Another process holds the registry, or its disk refuses: again at the next tick.
            _log.warning("first uses not noted", code=error.code, cards=len(told))
            self._waiting = {**told, **self._waiting}
        elif error is not None:
            raise error
        elif self._waiting:
            self._note()

    def _looked(self, done: "asyncio.Future[bool]") -> None:
        self._looking = None
        error = None if done.cancelled() else done.exception()
        self._metrics.is_registry_stale = error is not None
        if isinstance(error, LumbungError):
            _log.error("registry not refreshed", code=error.code)
        elif error is not None:
            raise error


def first_uses(ledger: Ledger, collected: list[CardView]) -> Iterator[tuple[CardView, int]]:
    """Yield collected cards that paid already, with the number of the terminal that they paid at.

    A replacement shares its account with the card before it: only sales of its own chip count.
    """
    for start in range(0, len(collected), FIRST_USE_ACCOUNTS_MAX):
        cards = collected[start : start + FIRST_USE_ACCOUNTS_MAX]
        accounts = ledger.lookup_accounts([card.account_id for card in cards])
        for card, account in zip(cards, accounts, strict=True):
            if account is not None and account.debits_posted:
                terminal = _first_terminal(ledger, card)
                if terminal is not None:
                    yield card, terminal


def _first_terminal(ledger: Ledger, card: CardView) -> int | None:
    wanted = StatementFilter(account_id=card.account_id, credits=False, code=TransferCode.PURCHASE)
    tag = card.card_number & CARD_TAG_MASK
    for entry in ledger.statement(wanted):
        transfer = entry.transfer
        is_own = SaleData.unpack(transfer.user_data_64).card_tag == tag
        if entry.status is CreateTransferStatus.CREATED and is_own:
            return transfer.user_data_32
    return None
