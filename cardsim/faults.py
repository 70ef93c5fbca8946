"""Faults as data: what goes wrong at which command. Pure; transports do the waiting."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from cardsim import limits
from cardsim.card import Card
from cardsim.errors import FaultPlanError
from cardsim.memory import PowerLost
from cardsim.misbehaviour import Misbehaviour
from cardsim.states import COMMANDS
from cardsim.trace import Trace
from protocols.toml_lines import line_of, line_of_error

_POWER = "POWER"
_GET_RESPONSE = "GET_RESPONSE"
_UNKNOWN = "UNKNOWN"
#: What a fault may name as its command; empty means any command (not POWER).
COMMAND_NAMES = frozenset(
    (*(entry.name for entry in COMMANDS.values()), _GET_RESPONSE, _UNKNOWN, _POWER)
)


class FaultAction(Enum):
    """What a fault does to the exchange that it strikes."""

    MUTE = "mute"
    SLOW = "slow"
    TORN_BEFORE = "torn before"
    TORN_AFTER = "torn after"
    TORN_AT_WRITE = "torn at write"
    STATUS = "status"
    ANSWER = "answer"
    TRUNCATE = "truncate"
    ACCEPT_ANY_ARPC = "accept any arpc"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: at the `ordinal`-th command of this name since the plan began (and, with
    `every`, at all later ones).

    STATUS answers `status_word` without the card seeing the command; ANSWER gives `data` after the
    card ran it; TRUNCATE gives the first `count` bytes; SLOW waits `delay_ms`; TORN_AT_WRITE cuts
    power after `count` non-volatile writes of the command. On command POWER, ANSWER gives the ATR.
    """

    action: FaultAction
    command: str = ""
    ordinal: int = 1
    every: bool = False
    status_word: int = 0
    data: bytes = b""
    count: int = 0
    delay_ms: int = 0

    def __post_init__(self) -> None:
        """Check the ranges; raise FaultPlanError."""
        if self.command and self.command not in COMMAND_NAMES:
            raise FaultPlanError(f"fault: unknown command {self.command[:32]!r}.")
        if self.ordinal < 1 or self.count < 0 or not 0 <= self.delay_ms <= limits.DELAY_MS:
            raise FaultPlanError("fault: ordinal, count or delay_ms is out of range.")
        if not 0 <= self.status_word <= 0xFFFF:
            raise FaultPlanError("fault: a status word is four hex digits.")


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

    __slots__ = ("_counts", "_total", "card", "faults", "trace")

    def __init__(
        self, card: Card, faults: Iterable[Fault] = (), trace: Trace | None = None
    ) -> None:
        """Lay the plan over the card; raise FaultPlanError for a plan beyond its bound."""
        self.card = card
        self.faults = tuple(faults)
        if len(self.faults) > limits.FAULTS:
            raise FaultPlanError(f"fault plan: more than {limits.FAULTS} faults.")
        self.trace = trace if trace is not None else Trace()
        self._counts: dict[str, int] = {}
        self._total = 0

    def power(self) -> Reaction:
        """Power or reset the card and give the reaction with its ATR."""
        fault = self._match(_POWER)
        atr = self.card.power()
        if fault is None:
            return Reaction(ReactionKind.ANSWER, atr)
        return self._alter(fault, atr)

    def exchange(self, command: bytes) -> Reaction:
        """Give the reaction to a command."""
        name = command_name(command)
        fault = self._match(name)
        if fault is None and not self.card.powered:
            return Reaction(ReactionKind.REMOVED)
        reaction = self._struck(fault, command) if fault else self._answered(command)
        answered = reaction.kind is ReactionKind.ANSWER
        note = fault.action.value if fault else ""
        self.trace.note(command, reaction.data if answered else None, note)
        return reaction

    def _answered(self, command: bytes) -> Reaction:
        try:
            return Reaction(ReactionKind.ANSWER, self.card.apdu(command))
        except PowerLost:
            return Reaction(ReactionKind.REMOVED)

    def _struck(self, fault: Fault, command: bytes) -> Reaction:
        if fault.action is FaultAction.MUTE:
            return Reaction(ReactionKind.MUTE)
        if fault.action is FaultAction.STATUS:
            return Reaction(ReactionKind.ANSWER, fault.status_word.to_bytes(2, "big"))
        if fault.action is FaultAction.TORN_BEFORE:
            self.card.power_off()
            return Reaction(ReactionKind.REMOVED)
        if fault.action is FaultAction.TORN_AT_WRITE:
            self.card.writer.tear_after(fault.count)
        if fault.action is FaultAction.ACCEPT_ANY_ARPC and self.card.current is not None:
            self.card.current.misbehaves |= {Misbehaviour.ACCEPTS_ANY_ARPC}
        reaction = self._answered(command)
        self.card.writer.tear_after(None)
        if reaction.kind is not ReactionKind.ANSWER:
            return reaction
        return self._alter(fault, reaction.data)

    def _alter(self, fault: Fault, answer: bytes) -> Reaction:
        if fault.action is FaultAction.TORN_AFTER:
            self.card.power_off()
            return Reaction(ReactionKind.REMOVED)
        if fault.action is FaultAction.MUTE:
            return Reaction(ReactionKind.MUTE)
        if fault.action is FaultAction.ANSWER:
            answer = fault.data
        elif fault.action is FaultAction.TRUNCATE:
            answer = answer[: fault.count]
        delay_ms = fault.delay_ms if fault.action is FaultAction.SLOW else 0
        return Reaction(ReactionKind.ANSWER, answer, delay_ms)

    def _match(self, name: str) -> Fault | None:
        """Count the command and give the first fault that strikes it."""
        self._counts[name] = self._counts.get(name, 0) + 1
        if name != _POWER:
            self._total += 1
        for fault in self.faults:
            if fault.command:
                number = self._counts[name] if fault.command == name else 0
            else:
                number = 0 if name == _POWER else self._total
            if number == fault.ordinal or (fault.every and number > fault.ordinal):
                return fault
        return None


def command_name(command: bytes) -> str:
    """Give a command's name in fault plans and traces.

    >>> command_name(bytes.fromhex("80AE8000")), command_name(b"\\x00")
    ('GENERATE_AC', 'UNKNOWN')
    """
    if command[:2] == b"\x00\xc0":
        return _GET_RESPONSE
    entry = COMMANDS.get(command[:2])
    return entry.name if entry is not None else _UNKNOWN


_FAULT_KEYS = frozenset(
    ("action", "command", "ordinal", "every", "status_word", "data", "count", "delay_ms")
)
_ACTIONS = {action.value: action for action in FaultAction}


def parse_faults(text: str, where: str) -> tuple[Fault, ...]:
    """Give the faults of a TOML text with `[[fault]]` tables; FaultPlanError with `where:line:`.

    >>> parse_faults('[[fault]]\\naction = "mute"\\ncommand = "GENERATE_AC"\\n', "plan")[0].action
    <FaultAction.MUTE: 'mute'>
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FaultPlanError(f"{where}:{line_of_error(error)}: no TOML: {error}") from None
    entries = table.get("fault", [])
    if set(table) - {"fault"} or not isinstance(entries, list):
        raise FaultPlanError(f"{where}:1: only [[fault]] tables may stand here.")
    return tuple(
        _parse_fault(entry, f"{where}:{line_of(text, ('fault', index))}:")
        for index, entry in enumerate(entries)
    )


def _parse_fault(entry: dict[str, Any], place: str) -> Fault:
    if unknown := set(entry) - _FAULT_KEYS:
        raise FaultPlanError(f"{place} unknown key {min(unknown)!r}.")
    if entry.get("action") not in _ACTIONS:
        raise FaultPlanError(f"{place} action is one of {', '.join(_ACTIONS)}.")
    fields: dict[str, Any] = {**entry, "action": _ACTIONS[entry["action"]]}
    try:
        if "status_word" in fields:
            fields["status_word"] = int(fields["status_word"], 16)
        if "data" in fields:
            fields["data"] = bytes.fromhex(fields["data"])
        return Fault(**fields)
    except (TypeError, ValueError):
        raise FaultPlanError(f"{place} a value has the wrong form.") from None
    except FaultPlanError as error:
        raise FaultPlanError(f"{place} {error.external}") from None
