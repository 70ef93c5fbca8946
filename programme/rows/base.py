"""The base of every row, and how people and days are written in one."""

from pydantic import BaseModel, ConfigDict

from programme.actors import Actor
from protocols.business_time import wita


class Row(BaseModel):
    """The base of every row."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_enum_values=True)


def named(actor: Actor) -> str:
    """Give an actor as people read it.

    >>> from programme.actors import Agency
    >>> named(Actor(Agency.BANK, "bank-01"))
    'Bank Penyalur/bank-01'
    """
    return f"{actor.agency.value}/{actor.person}"


def day_of(now_ns: int) -> str:
    """Give the day in Samarinda of an instant in UTC nanoseconds, or a dash for none.

    >>> day_of(0)
    '-'
    """
    return wita(now_ns).date().isoformat() if now_ns else "-"
