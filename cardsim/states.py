"""The card's state table: which command is heard in which state. The data is `states.toml`."""

import tomllib
from collections.abc import Mapping
from enum import Enum
from importlib.resources import files
from typing import NamedTuple


class CardState(Enum):
    """Where a powered card stands. `FINISHED` and before follow EMV 4.4 Book 3, 6.3.3."""

    POWERED = "POWERED"
    DIRECTORY = "DIRECTORY"
    SELECTED = "SELECTED"
    INITIATED = "INITIATED"
    ONLINE = "ONLINE"
    ANSWERED = "ANSWERED"
    FINISHED = "FINISHED"
    TAPPED = "TAPPED"
    CARD_BLOCKED = "CARD_BLOCKED"


class CommandEntry(NamedTuple):
    """A command that the card knows: name, the CLA and INS bytes, its ISO case (2, 3, 4)."""

    name: str
    header: bytes
    case: int


_TABLE = tomllib.loads(files("cardsim").joinpath("states.toml").read_text("utf-8"))

#: Commands by CLA and INS.
COMMANDS: Mapping[bytes, CommandEntry] = {
    bytes.fromhex(entry["header"]): CommandEntry(
        name, bytes.fromhex(entry["header"]), entry["case"]
    )
    for name, entry in _TABLE["commands"].items()
}
#: Class bytes that any command has; the others are answered 6E00.
CLASSES = frozenset(header[0] for header in COMMANDS)
#: Instruction bytes that any command has, whatever its class.
INSTRUCTIONS = frozenset(header[1] for header in COMMANDS)


def decision(state: CardState, command: str) -> bytes | None:
    """Give the status bytes that refuse a command in a state, None when it runs.

    >>> decision(CardState.POWERED, "GENERATE_AC").hex(), decision(CardState.POWERED, "SELECT")
    ('6985', None)
    """
    answer: str = _TABLE["states"][state.value][command]
    return None if answer == "run" else bytes.fromhex(answer)


#: Refusals by state and command name; a pair that is not here runs.
REFUSALS: Mapping[CardState, Mapping[str, bytes]] = {
    state: {
        entry.name: refusal
        for entry in COMMANDS.values()
        if (refusal := decision(state, entry.name)) is not None
    }
    for state in CardState
}
