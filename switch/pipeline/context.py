"""What the stages share: one message's context, and the desk with everything they may ask."""

from dataclasses import dataclass, field
from typing import Protocol

from ledger.port import Entry
from programme.registry_port import CardView, MerchantView, RegistryReader, TerminalView
from protocols.values import SecretBytes
from switch.chip import ChipKeys
from switch.key_sets import KeySets, SessionKeys
from switch.memory import CARD_TAG_MASK, Memory
from switch.request import Request
from switch.rules import RuleBook


class EntryReader(Protocol):
    """The part of the ledger that may be asked without waiting: records by id, from memory."""

    def lookup_entries(self, ids: list[int]) -> list[Entry | None]:
        """Give durable log entries by transfer id, None where the id is unused."""

    @property
    def last_sequence(self) -> int:
        """Give the sequence of the last durable record."""


@dataclass(slots=True)
class Desk:
    """The services of one switch node. `in_flight` holds the keys under way."""

    registry: RegistryReader
    rules: RuleBook
    memory: Memory
    key_sets: KeySets
    chip_keys: ChipKeys
    pin_verification_key: SecretBytes
    reader: EntryReader
    in_flight: set[int] = field(default_factory=set)
    now_ns: int = 0

    def entry(self, transfer_id: int) -> Entry | None:
        """Give the durable record of this id, None when it is unused."""
        return self.reader.lookup_entries([transfer_id])[0]


@dataclass(slots=True)
class Context:
    """One message on its way through the stages; each stage fills in what it found."""

    request: Request
    terminal: TerminalView
    keys: SessionKeys | None
    desk: Desk
    #: The message's own key; the key of the message that it undoes; all keys that must not be
    #: under way elsewhere while this one is.
    transfer_id: int = 0
    original_id: int = 0
    lock_ids: tuple[int, ...] = ()
    fingerprint: int = 0
    merchant: MerchantView | None = None
    card: CardView | None = None
    purse: int = 0
    payable_account_id: int = 0
    #: The chip's session key, once the cryptogram is proved (or a stored answer repeats it).
    cryptogram_key: SecretBytes | None = None

    @property
    def card_found(self) -> CardView:
        """Give the card; a bug when no stage found it."""
        assert self.card is not None
        return self.card

    @property
    def card_tag(self) -> int:
        """Give the eight bits that tell this card from its predecessors on the account."""
        return self.card_found.card_number & CARD_TAG_MASK
