"""A fault as a value: what goes wrong, at which command, and how often. Source: emv.md 4.4."""

import re
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256

from cardsim import limits
from cardsim.errors import FaultPlanError
from cardsim.misbehaviour import Misbehaviour
from cardsim.states import COMMANDS, CardState

POWER = "POWER"
GET_RESPONSE = "GET_RESPONSE"
UNKNOWN = "UNKNOWN"
#: What a fault may name as its command; empty means any command (not POWER).
COMMAND_NAMES = frozenset(
    (*(entry.name for entry in COMMANDS.values()), GET_RESPONSE, UNKNOWN, POWER)
)
_TAG = re.compile(r"(?:[0-9A-F]{2}){1,4}")
_STATES = frozenset(("", *(state.value for state in CardState)))


class FaultAction(Enum):
    """What a fault does to the exchange that it strikes."""

    # Transport
    MUTE = "mute"
    SLOW = "slow"
    TORN_BEFORE = "torn before"
    TORN_AFTER = "torn after"
    TORN_AT_WRITE = "torn at write"
    # Status words and whole answers
    STATUS = "status"
    ANSWER = "answer"
    TRUNCATE = "truncate"
    # Data
    BAD_LENGTH = "bad length"
    INDEFINITE_LENGTH = "indefinite length"
    DUPLICATE_OBJECT = "duplicate object"
    MISSING_OBJECT = "missing object"
    REPLACE_OBJECT = "replace object"
    ADD_OBJECTS = "add objects"
    CORRUPT_OBJECT = "corrupt object"
    TRAILING_BYTES = "trailing bytes"
    WRONG_TEMPLATE = "wrong template"
    AFL_BEYOND_RECORDS = "afl beyond records"
    # Security
    EXPIRED_CERTIFICATE = "expired certificate"
    ACCEPT_ANY_ARPC = Misbehaviour.ACCEPTS_ANY_ARPC.value
    STUCK_ATC = Misbehaviour.STUCK_ATC.value
    WRONG_CRYPTOGRAM = Misbehaviour.WRONG_CRYPTOGRAM.value
    OTHER_AMOUNT = Misbehaviour.OTHER_AMOUNT.value
    WRONG_TRANSACTION_HASH = Misbehaviour.WRONG_TRANSACTION_HASH.value
    REPLAYED_NUMBER = Misbehaviour.REPLAYED_NUMBER.value
    KEEPS_PIN_TRIES = Misbehaviour.KEEPS_PIN_TRIES.value
    FOREIGN_CERTIFICATE = Misbehaviour.FOREIGN_CERTIFICATE.value
    WEAK_KEY = Misbehaviour.WEAK_KEY.value
    # Policy
    HIGHER_CRYPTOGRAM = Misbehaviour.HIGHER_CRYPTOGRAM.value
    LOWER_CRYPTOGRAM = Misbehaviour.LOWER_CRYPTOGRAM.value
    APPLICATION_BLOCKED = Misbehaviour.APPLICATION_BLOCKED.value
    CARD_BLOCKED = Misbehaviour.CARD_BLOCKED.value
    PIN_BLOCKED = Misbehaviour.PIN_BLOCKED.value
    OFFLINE_LIMITS_SPENT = Misbehaviour.OFFLINE_LIMITS_SPENT.value
    COUNTER_ADVANCED = "counter advanced"


#: Actions that need the tag of an object.
_TAGGED = frozenset(
    (
        FaultAction.DUPLICATE_OBJECT, FaultAction.MISSING_OBJECT, FaultAction.REPLACE_OBJECT,
        FaultAction.CORRUPT_OBJECT, FaultAction.WRONG_TEMPLATE,
    )
)  # fmt: skip
#: Actions that the answer to reset knows.
_OF_POWER = frozenset(
    (
        FaultAction.MUTE, FaultAction.SLOW, FaultAction.TORN_BEFORE, FaultAction.TORN_AFTER,
        FaultAction.ANSWER, FaultAction.TRUNCATE, FaultAction.COUNTER_ADVANCED,
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: at the `ordinal`-th command of this name since the plan began (and, with
    `every`, at all later ones), in card state `state` when that is given.

    STATUS answers `status_word` without the card seeing the command; ANSWER gives `data` after the
    card ran it; TRUNCATE gives the first `count` bytes; SLOW waits `delay_ms` and up to
    `jitter_ms` more; TORN_AT_WRITE cuts power after `count` non-volatile writes of the command;
    COUNTER_ADVANCED uses `count` counters (1 for 0) up, as purchases elsewhere do. On command
    POWER, ANSWER gives the ATR.
    Data faults act on the object `tag` of the answer, with `data` as its new content; an answer
    without that object is not struck. `probability` below 1 lets the fault strike by chance: by
    the draw of `seed`, `stream`, its place in the plan and the number of the command.
    """

    action: FaultAction
    command: str = ""
    ordinal: int = 1
    every: bool = False
    status_word: int = 0
    data: bytes = b""
    count: int = 0
    delay_ms: int = 0
    jitter_ms: int = 0
    tag: str = ""
    state: str = ""
    probability: float = 1.0
    seed: int = 0
    stream: str = ""

    def __post_init__(self) -> None:
        """Check the ranges; raise FaultPlanError."""
        if self.command and self.command not in COMMAND_NAMES:
            raise FaultPlanError(f"fault: unknown command {self.command[:32]!r}.")
        if self.ordinal < 1 or self.count < 0 or min(self.delay_ms, self.jitter_ms) < 0:
            raise FaultPlanError("fault: ordinal, count, delay_ms or jitter_ms is out of range.")
        if self.delay_ms + self.jitter_ms > limits.DELAY_MS:
            raise FaultPlanError(f"fault: a delay is at most {limits.DELAY_MS} ms.")
        if not 0 <= self.status_word <= 0xFFFF:
            raise FaultPlanError("fault: a status word is four hex digits.")
        if self.state not in _STATES:
            raise FaultPlanError(f"fault: unknown card state {self.state[:32]!r}.")
        if not 0 <= self.probability <= 1 or self.seed < 0:
            raise FaultPlanError("fault: a probability is 0 to 1, a seed 0 or more.")
        if self.command == POWER and self.action not in _OF_POWER:
            raise FaultPlanError(f"fault: {self.action.value!r} is none of POWER's.")
        if self.tag and not _TAG.fullmatch(self.tag):
            raise FaultPlanError("fault: a tag is two to eight capital hex digits.")
        if self.action in _TAGGED and not self.tag:
            raise FaultPlanError(f"fault: {self.action.value!r} needs a tag.")

    def draw(self, place: int, number: int) -> bool:
        """Tell whether chance lets the fault strike; equal arguments give equal answers.

        >>> fault = Fault(FaultAction.MUTE, probability=0.5, seed=7, stream="card-1")
        >>> [fault.draw(0, number) for number in range(1, 7)]
        [True, False, True, True, False, True]
        """
        return self.probability >= 1 or self._drawn("", place, number) < self.probability * 2**64

    def wait_ms(self, place: int, number: int) -> int:
        """Give the delay of one strike, by the same kind of draw.

        >>> fault = Fault(FaultAction.SLOW, delay_ms=20, jitter_ms=10, seed=7)
        >>> [fault.wait_ms(0, number) for number in range(1, 7)]
        [26, 20, 28, 30, 20, 29]
        """
        return self.delay_ms + self._drawn("wait", place, number) % (self.jitter_ms + 1)

    def _drawn(self, purpose: str, place: int, number: int) -> int:
        text = f"{self.seed}/{self.stream}/{place}/{number}{purpose}"
        return int.from_bytes(sha256(text.encode("utf-8")).digest()[:8], "big")
