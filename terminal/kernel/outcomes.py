"""What a card transaction comes to: values that the terminal's flows act on."""

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from protocols.values import Pan, Track2
from terminal.kernel.reasons import Reason

if TYPE_CHECKING:
    from terminal.kernel.context import KernelContext


class OutcomeKind(Enum):
    """How the first half of a card transaction ended."""

    ONLINE = "online"
    APPROVED_OFFLINE = "approved offline"
    DECLINED_OFFLINE = "declined offline"
    NOT_ACCEPTED = "not accepted"
    CARD_BLOCKED = "card blocked"
    CARD_ERROR = "card error"
    CARD_REMOVED = "card removed"
    CARD_MUTE = "card mute"


@dataclass(frozen=True, slots=True)
class KernelOutcome:
    """The outcome of everything up to the first GENERATE AC.

    `context` is what `complete_online` continues from; it is None when there is nothing to
    continue. `de55` holds the chip data for DE55 (upper-case hex tag to value) and never card
    number, track or name. `pan_sequence` is two digits ("01"), "" without tag 5F34. `tvr` is 5
    bytes, `tsi` 2, `cvm_results` (9F34) 3. The cardholder's name is read and never given on.
    """

    kind: OutcomeKind
    reason: Reason
    context: "KernelContext | None" = None
    de55: dict[str, bytes] = field(default_factory=dict)
    pan: Pan | None = None
    track2: Track2 | None = None
    pan_sequence: str = ""
    expiry_yymm: str = ""
    needs_online_pin: bool = False
    tvr: bytes = bytes(5)
    tsi: bytes = bytes(2)
    cvm_results: bytes = b""
    aid: bytes = b""
    application_label: str = ""


class CompletionKind(Enum):
    """How the second half of a card transaction ended."""

    APPROVED = "approved"
    DECLINED = "declined"
    REFUSED_AFTER_APPROVAL = "card refused after approval"
    CARD_ERROR = "card error"
    CARD_REMOVED = "card removed"
    CARD_MUTE = "card mute"


@dataclass(frozen=True, slots=True)
class CompletionOutcome:
    """The outcome after the host's answer (or its absence).

    `cryptogram` is the TC or AAC, `cid` its 9F27 (None without a valid answer). `arc` is the
    authorisation response code used (`00`, `51`, `Y3`, `Z3` ...). `script_results` holds 5 bytes
    per issuer script (9F5B). `host_approved` is what the host said.
    """

    kind: CompletionKind
    reason: Reason
    host_approved: bool
    arc: str
    cryptogram: bytes = b""
    cid: int | None = None
    issuer_application_data: bytes = b""
    tvr: bytes = bytes(5)
    tsi: bytes = bytes(2)
    script_results: tuple[bytes, ...] = ()

    @property
    def must_reverse(self) -> bool:
        """Tell whether the host booked what the card did not confirm. EMV 4.4 Book 4, 6.3.7."""
        return self.host_approved and self.kind is not CompletionKind.APPROVED
