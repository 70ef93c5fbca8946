"""What the stages share: one message's context, and the desk with everything they may ask."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from ledger.errors import LedgerError
from ledger.port import Entry
from programme.registry_port import CardView, MerchantView, RegistryReader, TerminalView
from protocols.crypto.online_pin import PinVerifier
from protocols.iso8583 import MessageUse
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

    @property
    def housekeeping_error(self) -> str:
        """Give what kept the ledger from its housekeeping; "" for nothing."""


class StageWatch(Protocol):
    """Takes the time of stages; whoever has a clock gives it to the desk."""

    def begin(self) -> None:
        """Begin a message's stages."""

    def lap(self, stage: str) -> None:
        """Count the time since the stage before."""


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
    pin_verifier: PinVerifier = field(init=False)
    in_flight: set[int] = field(default_factory=set)
    now_ns: int = 0
    watch: StageWatch | None = None
    #: What a stage wants people to know, for the log: name and fields without card data.
    alarms: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    #: Records by the keys of this turn's 0200, looked up together; valid during `receive` only.
    entries: dict[int, Entry | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pin_verifier = PinVerifier(self.pin_verification_key)

    def entry(self, transfer_id: int) -> Entry | None:
        """Give the durable record of this id, None when it is unused."""
        if transfer_id in self.entries:
            return self.entries[transfer_id]
        return self.reader.lookup_entries([transfer_id])[0]

    def look_up(self, ids: list[int]) -> dict[int, Entry | None]:
        """Ask the ledger once for all sales of a turn, by their keys; give what it says.

        Nothing becomes durable under a key that is not under way, so what is found holds until the
        turn ends. A ledger that cannot answer is found out by the first message that asks.
        """
        if len(ids) > 1:
            with suppress(LedgerError):
                self.entries = dict(zip(ids, self.reader.lookup_entries(ids), strict=True))
        return self.entries

    def forget_look_ups(self) -> None:
        """End the turn."""
        self.entries = {}


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
    #: Which of the spec's messages this is; the shape stage finds it.
    use: MessageUse | None = None
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
    def answer_account_type(self) -> str:
        """Give the account type that balances of the answer name: that of the card's purse."""
        purses = self.desk.rules.rules.food_only.purse_by_account_type
        purse = self.card.purse if self.card is not None else min(purses.values())
        for code, number in purses.items():
            if number == purse:
                return code
        return "00"

    @property
    def card_tag(self) -> int:
        """Give the eight bits that tell this card from its predecessors on the account."""
        return self.card_found.card_number & CARD_TAG_MASK
