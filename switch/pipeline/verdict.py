"""What a stage may say: go on, no, wait, or: this was answered before."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from ledger.port import Entry
from protocols.refusals import Refusal
from switch.decision import Decision
from switch.pipeline.context import Context


class Continue(Enum):
    """The next stage decides."""

    CONTINUE = "continue"


CONTINUE: Final = Continue.CONTINUE


@dataclass(frozen=True, slots=True)
class Park:
    """The same key is under way: wait until it is settled, then begin again."""

    key: int


@dataclass(frozen=True, slots=True)
class Answered:
    """This very message was refused before and hears the same answer."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class Stored:
    """The ledger has a record under this key: the answer is derived from it."""

    entry: Entry


Verdict = Continue | Refusal | Park | Answered | Stored
Stage = Callable[[Context], Verdict]
