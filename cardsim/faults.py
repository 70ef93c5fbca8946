"""Faults as data: what goes wrong at which command. Pure; transports do the waiting."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from cardsim import alterations, field, key_faults, limits
from cardsim.card import Card
from cardsim.errors import FaultPlanError
from cardsim.fault import GET_RESPONSE, POWER, UNKNOWN, Fault, FaultAction
from cardsim.fault_plan import parse_faults
from cardsim.memory import PowerLost
from cardsim.misbehaviour import Misbehaviour
from cardsim.states import COMMANDS, CardState
from cardsim.trace import Trace

__all__ = [
    "Fault",
    "FaultAction",
    "FaultLayer",
    "Reaction",
    "ReactionKind",
    "command_name",
    "parse_faults",
]

_MISBEHAVIOURS = {item.value: item for item in Misbehaviour}
#: The published authority's certificates name these leading digits. EMV 4.4 Book 2, table 5.
_ISSUER_IDENTIFIER = "93600999"
_STATUS_BYTES = 2
_OF_A_KEY = (Misbehaviour.WEAK_KEY, Misbehaviour.FOREIGN_CERTIFICATE)

Alteration = Callable[[bytes, Fault], bytes | None]
_ALTERATIONS: dict[FaultAction, Alteration] = {
    FaultAction.BAD_LENGTH: lambda data, fault: alterations.bad_length(data, fault.tag),
    FaultAction.INDEFINITE_LENGTH: lambda data, f: alterations.indefinite_length(data, f.tag),
    FaultAction.DUPLICATE_OBJECT: lambda data, fault: alterations.duplicate(data, fault.tag),
    FaultAction.MISSING_OBJECT: lambda data, fault: alterations.missing(data, fault.tag),
    FaultAction.REPLACE_OBJECT: lambda data, f: alterations.replaced(data, f.tag, f.data),
    FaultAction.ADD_OBJECTS: lambda data, fault: alterations.added(data, fault.data),
    FaultAction.CORRUPT_OBJECT: lambda data, fault: alterations.corrupt(data, fault.tag),
    FaultAction.TRAILING_BYTES: lambda data, fault: alterations.trailing(data, fault.data),
    FaultAction.WRONG_TEMPLATE: lambda data, fault: alterations.wrong_template(data, fault.tag),
    FaultAction.AFL_BEYOND_RECORDS: lambda data, _fault: alterations.locator_beyond(data),
    FaultAction.EXPIRED_CERTIFICATE: lambda data, _fault: alterations.expired_certificate(
        data, _ISSUER_IDENTIFIER
    ),
}


class ReactionKind(Enum):
    """What the reader sees: an answer, silence, or an empty slot."""

    ANSWER = "answer"
    MUTE = "mute"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, repr=False)
class Reaction:
    """The card's reaction after `delay_ms`; `data` only with an answer."""

    kind: ReactionKind
    data: bytes = b""
    delay_ms: int = 0

    def __repr__(self) -> str:
        return f"<Reaction {self.kind.value} {len(self.data)} bytes after {self.delay_ms} ms>"


class FaultLayer:
    """A card with its faults; every exchange is traced."""

    __slots__ = ("_card_blocked", "_counts", "_total", "card", "contactless", "faults", "trace")

    def __init__(
        self,
        card: Card,
        faults: Iterable[Fault] = (),
        trace: Trace | None = None,
        *,
        contactless: bool = False,
    ) -> None:
        """Lay the plan over the card; raise FaultPlanError for a plan beyond its bound.

        `contactless`: the card is in a reader's field, which has an ATR of its own and answers
        for its serial number. Raises FaultPlanError for a card that has no contactless form.
        """
        if contactless and not card.tap_directory:
            raise FaultPlanError("this card has no contactless form.")
        self.card = card
        self.contactless = contactless
        self.faults = tuple(faults)
        if len(self.faults) > limits.FAULTS:
            raise FaultPlanError(f"fault plan: more than {limits.FAULTS} faults.")
        self.trace = trace if trace is not None else Trace()
        self._counts: dict[str, int] = {}
        self._total = 0
        self._card_blocked = False

    def power(self) -> Reaction:
        """Power or reset the card and give the reaction with its ATR."""
        fault = next(iter(self._due(POWER)), None)
        if fault is not None and fault.action is FaultAction.COUNTER_ADVANCED:
            self._advance(fault.count or 1)
        reaction = Reaction(ReactionKind.ANSWER, self._powered())
        if fault is not None:
            reaction = self._alter(fault, reaction.data)
        answered = reaction.kind is ReactionKind.ANSWER
        self.trace.note_power(
            reaction.data if answered else None, fault.action.value if fault is not None else ""
        )
        return reaction

    @property
    def atr(self) -> bytes:
        """Give the ATR that a reader shows before power."""
        return field.CONTACTLESS_ATR if self.contactless else self.card.image.atr

    def _powered(self) -> bytes:
        own = self.card.power()
        return self.atr if self.contactless else own

    def exchange(self, command: bytes) -> Reaction:
        """Give the reaction to a command."""
        if self.contactless and self.card.powered:
            answer = field.reader_answer(command, self.card.image)
            if answer is not None:
                self.trace.note(command, answer)
                return Reaction(ReactionKind.ANSWER, answer)
        due = self._due(command_name(command))
        if not self.card.powered:
            return Reaction(ReactionKind.REMOVED)
        if due and due[0].action in _ALTERATIONS:
            reaction, fault = self._altered(due, self._answered(command))
        elif due:
            reaction, struck = self._struck(due[0], command)
            fault = due[0] if struck else None
        else:
            reaction, fault = self._answered(command), None
        answered = reaction.kind is ReactionKind.ANSWER
        note = fault.action.value if fault is not None else ""
        self.trace.note(command, reaction.data if answered else None, note)
        return reaction

    @staticmethod
    def _altered(due: list[Fault], reaction: Reaction) -> tuple[Reaction, Fault | None]:
        """Give an answer altered by the first data fault that finds its object, and that fault."""
        answer = reaction.data
        for fault in due:
            alter = _ALTERATIONS.get(fault.action)
            if alter is None or reaction.kind is not ReactionKind.ANSWER:
                continue
            altered = alter(answer[:-_STATUS_BYTES], fault)
            if altered is not None:
                return Reaction(ReactionKind.ANSWER, altered + answer[-_STATUS_BYTES:]), fault
        return reaction, None

    def _answered(self, command: bytes) -> Reaction:
        if self._card_blocked and self.card.powered:
            self.card.state = CardState.CARD_BLOCKED
        try:
            return Reaction(ReactionKind.ANSWER, self.card.apdu(command))
        except PowerLost:
            return Reaction(ReactionKind.REMOVED)

    def _struck(self, fault: Fault, command: bytes) -> tuple[Reaction, bool]:
        """Give the reaction to a command with its fault, and whether the fault struck."""
        action = fault.action
        if action is FaultAction.MUTE:
            return Reaction(ReactionKind.MUTE), True
        if action is FaultAction.STATUS:
            return Reaction(ReactionKind.ANSWER, fault.status_word.to_bytes(2, "big")), True
        if action is FaultAction.TORN_BEFORE:
            self.card.power_off()
            return Reaction(ReactionKind.REMOVED), True
        if action is FaultAction.TORN_AT_WRITE:
            self.card.writer.tear_after(fault.count)
        if (misbehaviour := _MISBEHAVIOURS.get(action.value)) is not None:
            if misbehaviour in _OF_A_KEY and not self._has_key(misbehaviour):
                return self._answered(command), False
            self._misbehave(misbehaviour)
        if action is FaultAction.COUNTER_ADVANCED:
            self._advance(fault.count or 1)
        reaction = self._answered(command)
        self.card.writer.tear_after(None)
        if reaction.kind is not ReactionKind.ANSWER:
            return reaction, True
        return self._alter(fault, reaction.data), True

    def _alter(self, fault: Fault, answer: bytes) -> Reaction:
        if fault.action in (FaultAction.TORN_BEFORE, FaultAction.TORN_AFTER):
            self.card.power_off()
            return Reaction(ReactionKind.REMOVED)
        if fault.action is FaultAction.MUTE:
            return Reaction(ReactionKind.MUTE)
        if fault.action is FaultAction.ANSWER:
            answer = fault.data
        elif fault.action is FaultAction.TRUNCATE:
            answer = answer[: fault.count]
        delay_ms = 0
        if fault.action is FaultAction.SLOW:
            delay_ms = fault.wait_ms(self.faults.index(fault), self._total)
        return Reaction(ReactionKind.ANSWER, answer, delay_ms)

    def _has_key(self, how: Misbehaviour) -> bool:
        """Tell whether any application has a key that can be wrong so."""
        images = [application.image for application in self.card.applications]
        if how is Misbehaviour.WEAK_KEY:
            return any(key_faults.weak_key(image) is not None for image in images)
        return any(image.icc_key and key_faults.authority_of(image) for image in images)

    def _misbehave(self, how: Misbehaviour) -> None:
        self._card_blocked = self._card_blocked or how is Misbehaviour.CARD_BLOCKED
        for application in self.card.applications:
            application.misbehave(how)

    def _advance(self, counters: int) -> None:
        """Use counters up, as purchases elsewhere do; none beyond the last."""
        for application in self.card.applications:
            application.write("atc", min(application.state.atc + counters, limits.ATC_MAXIMUM))

    def _due(self, name: str) -> list[Fault]:
        """Count the command and give the faults that are due at it, in the plan's order."""
        found = []
        self._counts[name] = self._counts.get(name, 0) + 1
        if name != POWER:
            self._total += 1
        for place, fault in enumerate(self.faults):
            if fault.command:
                number = self._counts[name] if fault.command == name else 0
            else:
                number = 0 if name == POWER else self._total
            if fault.state and fault.state != self.card.state.value:
                continue
            due = number == fault.ordinal or (fault.every and number > fault.ordinal)
            if due and fault.draw(place, number):
                found.append(fault)
        return found


def command_name(command: bytes) -> str:
    """Give a command's name in fault plans and traces.

    >>> command_name(bytes.fromhex("80AE8000")), command_name(b"\\x00")
    ('GENERATE_AC', 'UNKNOWN')
    """
    if command[:2] == b"\x00\xc0":
        return GET_RESPONSE
    entry = COMMANDS.get(command[:2])
    return entry.name if entry is not None else UNKNOWN
