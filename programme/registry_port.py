"""What the switch may ask the registry: read only, in memory, never a query (decision 26).

Frozen in the foundation. The registry changes behind it without restart; a call sees one consistent
version. A block is in force when the call that made it has returned (R22).
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Protocol

from protocols.values import Pan


class CardStatus(StrEnum):
    """Life cycle of a card (R21)."""

    PRINTED = "printed"
    AT_BANK = "at bank"
    COLLECTED = "collected"
    ACTIVE = "active"
    BLOCKED = "blocked"
    REPLACED = "replaced"
    CLOSED = "closed"


class BlockReason(StrEnum):
    """Why a card is blocked: the DE44 reason of domain.md 7.2; the switch maps it to DE39."""

    LOST = "B01"
    DECREE_ENDED = "B02"
    DECEASED = "B03"
    DUPLICATE = "B04"
    NOT_COLLECTED = "B05"
    SUSPICION = "B06"
    STOLEN = "B07"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardView:
    """A card as the switch sees it. No name, no NIK. `pin_offset` is six digits (IBM 3624)."""

    card_number: int
    account_id: int
    purse: int
    status: CardStatus
    block_reason: BlockReason | None
    expires_on: date
    pan_sequence: str
    pin_offset: str
    last_four: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MerchantView:
    """A shop as the switch sees it. `payable_account_id` is None without an account in `purse`.

    `designated` is the Mayor's and the bank's designation as e-Warong (art. 1 no. 19, 12(3)).
    `conditional_categories` lists those the shop is registered with by name (decision 12).
    """

    merchant_number: int
    merchant_id: str
    name: str
    district: str
    village: str
    category: str
    designated: bool
    suspended: bool
    conditional_categories: frozenset[str]
    payable_accounts: dict[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalView:
    """A terminal; `merchant_id` is the shop it is logged on to, None before log-on (R39)."""

    terminal_number: int
    terminal_id: str
    active: bool
    home_merchant_id: str
    key_label: str
    merchant_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyView:
    """Who may act for the card of an account, both days included (R25). No name, no NIK."""

    proxy_number: int
    account_id: int
    valid_from: date
    valid_until: date

    def acts_for(self, card: "CardView", day: date) -> bool:
        """Give whether this proxy may act for a card on a business day."""
        return card.account_id == self.account_id and self.valid_from <= day <= self.valid_until


class RegistryReader(Protocol):
    """The read port of the registry."""

    def card_by_pan(self, pan: Pan) -> CardView | None:
        """Give the card with this number; look-up is by HMAC, never by the number itself."""

    def merchant(self, merchant_id: str) -> MerchantView | None:
        """Give the shop with this DE42 (15 characters, trailing spaces ignored)."""

    def merchant_by_account(self, account_id: int) -> MerchantView | None:
        """Give the shop that this payable account belongs to."""

    def terminal(self, terminal_id: str) -> TerminalView | None:
        """Give the terminal with this DE41 (8 characters)."""

    def proxy(self, proxy_number: int) -> ProxyView | None:
        """Give the proxy with this registry number (DE62, `W` and the number)."""

    @property
    def version(self) -> int:
        """Give a number that rises with every change."""
