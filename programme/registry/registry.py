"""The registry's front: the read port for the switch, and the calls that change things."""

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Self

from programme.actors import Actor, Agency
from programme.chart import Purse
from programme.registry.accounts import AccountBook
from programme.registry.audit import AuditBook
from programme.registry.cards import CardBook, CardRequest
from programme.registry.decrees import DecreeBook
from programme.registry.lists import ListBook
from programme.registry.marks import MarkBook
from programme.registry.people import PeopleBook
from programme.registry.proposals import ProposalBook
from programme.registry.proxies import ProxyBook
from programme.registry.sealing import Sealer
from programme.registry.shops import MerchantKind, MerchantRequest, ShopBook, TerminalRequest
from programme.registry.storage import Storage
from programme.registry.tokens import TokenBook
from programme.registry.unit import Context
from programme.registry.views import Views
from programme.registry_port import (
    BlockReason,
    CardStatus,
    CardView,
    MerchantView,
    ProxyView,
    TerminalView,
)
from protocols.business_time import wita
from protocols.clock import Clock, RandomBytes
from protocols.values import Pan, SecretBytes


class Registry:
    """An open registry: `programme.registry_port.RegistryReader`, and the calls that write.

    `people`, `cards`, `shops`, `decrees`, `accounts`, `lists`, `proxies`, `marks`, `proposals`,
    `tokens` and `trail` hold everything; the
    methods here are the read port and the calls used most. Thread-safe. Every write is one durable
    transaction, dated, with its actor in the audit trail, and in force when the call returns.
    """

    def __init__(self, context: Context) -> None:
        """Keep what `open` made; callers use `Registry.open`."""
        self._context = context
        self.people = PeopleBook(context)
        self.cards = CardBook(context)
        self.shops = ShopBook(context)
        self.decrees = DecreeBook(context, self.people)
        self.accounts = AccountBook(context)
        self.lists = ListBook(context)
        self.proxies = ProxyBook(context)
        self.marks = MarkBook(context)
        self.proposals = ProposalBook(context)
        self.tokens = TokenBook(context)
        self.trail = AuditBook(context)

    @classmethod
    def open(
        cls,
        path_or_url: str | Path,
        *,
        hmac_key: SecretBytes,
        nik_key: SecretBytes,
        clock: Clock,
        random_bytes: RandomBytes,
    ) -> Self:
        """Open a registry file or make a new one (mode 0600); both keys are 32 bytes.

        Raises: RegistryForeignError, RegistryVersionError, RegistryKeyError, RegistryBusyError.
        """
        sealer = Sealer(hmac_key=hmac_key, nik_key=nik_key, random_bytes=random_bytes)
        storage = Storage(path_or_url, sealer=sealer, now_ns=clock.now_ns())
        context = Context(storage, Views(), sealer, clock, random_bytes)
        try:
            with storage.reading() as connection:
                context.views.load(connection)
        except BaseException:
            storage.close()
            raise
        return cls(context)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._context.storage.close()

    def card_by_pan(self, pan: Pan) -> CardView | None:
        """Give the card with this number; look-up is by HMAC, never by the number itself."""
        return self._context.views.cards_by_pan.get(self._context.sealer.pan(pan))

    def merchant(self, merchant_id: str) -> MerchantView | None:
        """Give the shop with this DE42 (trailing spaces ignored)."""
        return self._context.views.merchants.get(merchant_id.rstrip(" "))

    def merchant_by_account(self, account_id: int) -> MerchantView | None:
        """Give the shop that this payable account belongs to."""
        views = self._context.views
        return views.merchants.get(views.merchant_by_account.get(account_id, ""))

    def terminal(self, terminal_id: str) -> TerminalView | None:
        """Give the terminal with this DE41."""
        return self._context.views.terminals.get(terminal_id)

    def proxy(self, proxy_number: int) -> ProxyView | None:
        """Give the proxy with this number."""
        return self._context.views.proxies.get(proxy_number)

    @property
    def version(self) -> int:
        """Give a number that rises with every change."""
        return self._context.views.version

    @property
    def today(self) -> date:
        """Give today's date in Samarinda."""
        return wita(self._context.clock.now_ns()).date()

    def refresh(self) -> bool:
        """Take over what other processes changed; give whether there was anything.

        Costs one look at the newest change when there was nothing: call it once a second.
        """
        return self._context.refresh()

    def card(self, card_number: int) -> CardView | None:
        """Give a card by the registry's number."""
        return self._context.views.cards_by_number.get(card_number)

    def all_cards(self) -> list[CardView]:
        """Give all cards in the order of issue."""
        return list(self._context.views.cards_by_number.values())

    def all_merchants(self) -> list[MerchantView]:
        """Give all shops in the order of registration."""
        return list(self._context.views.merchants.values())

    def all_terminals(self) -> list[TerminalView]:
        """Give all terminals in the order of registration."""
        return list(self._context.views.terminals.values())

    def add_merchant(
        self,
        merchant_id: str,
        *,
        name: str,
        kind: MerchantKind,
        district: str,
        village: str,
        category: str,
        actor: Actor,
        conditional_categories: Iterable[str] = (),
    ) -> MerchantView:
        """Register one shop, not yet designated; `shops.add_merchants` takes many at once."""
        request = MerchantRequest(
            merchant_id=merchant_id,
            name=name,
            kind=kind,
            district=district,
            village=village,
            category=category,
            conditional_categories=frozenset(conditional_categories),
        )
        return self.shops.add_merchants([request], actor)[0]

    def designate(self, merchant_id: str, actor: Actor) -> MerchantView:
        """Designate a shop as E-Warong (art. 1 no. 19)."""
        return self.shops.designate(merchant_id, actor)

    def suspend(self, merchant_id: str, actor: Actor, reason: str = "") -> MerchantView:
        """Suspend a shop; in force when this returns."""
        return self.shops.suspend(merchant_id, actor, reason)

    def add_terminal(
        self,
        terminal_id: str,
        *,
        home_merchant_id: str,
        key_label: str,
        key_check_value: str,
        actor: Actor,
    ) -> TerminalView:
        """Register one terminal; `shops.add_terminals` takes many at once."""
        request = TerminalRequest(
            terminal_id=terminal_id,
            home_merchant_id=home_merchant_id,
            key_label=key_label,
            key_check_value=key_check_value,
        )
        return self.shops.add_terminals([request], actor)[0]

    def log_on_terminal(self, terminal_id: str, merchant_id: str, actor: Actor) -> TerminalView:
        """Note which shop a terminal sells for (R39)."""
        return self.shops.log_on(terminal_id, merchant_id, actor)

    def issue_card(
        self,
        recipient_number: int,
        pan: Pan,
        psn: str,
        expires_on: date,
        pin_offset: str,
        actor: Actor,
        purse: int = Purse.FOOD,
    ) -> CardView:
        """Register one printed card; `cards.issue` takes many at once."""
        request = CardRequest(
            recipient_number=recipient_number,
            pan=pan,
            pan_sequence=psn,
            expires_on=expires_on,
            pin_offset=pin_offset,
            purse=purse,
        )
        return self.cards.issue([request], actor)[0]

    def move_cards(self, card_numbers: Sequence[int], status: CardStatus, actor: Actor) -> None:
        """Move cards one step of their life cycle, all or none, in one transaction."""
        self.cards.move(card_numbers, status, actor)

    def activate_card(self, card_number: int, actor: Actor) -> CardView:
        """Make a collected card active (at first use, or by an office)."""
        self.cards.move([card_number], CardStatus.ACTIVE, actor)
        return self._context.views.cards_by_number[card_number]

    def collected_cards(self) -> list[CardView]:
        """Give the cards that were collected and never used, in the order of issue."""
        return [c for c in self.all_cards() if c.status is CardStatus.COLLECTED]

    def note_first_use(self, card_number: int, terminal_id: str) -> bool:
        """Make a collected card active by its first chip and PIN at a terminal (R24).

        The switch tells it; the step names the terminal. Give whether it was not active yet.
        """
        actor = Actor(Agency.SWITCH, f"terminal {terminal_id}")
        return self.cards.first_use(card_number, actor)

    def block_card(self, card_number: int, reason: BlockReason, actor: Actor) -> CardView:
        """Block a card; in force when this returns (R22)."""
        self.cards.block([card_number], reason, actor)
        return self._context.views.cards_by_number[card_number]

    def unblock_card(self, card_number: int, actor: Actor) -> CardView:
        """Give a blocked card its former state back."""
        self.cards.unblock([card_number], actor)
        return self._context.views.cards_by_number[card_number]
