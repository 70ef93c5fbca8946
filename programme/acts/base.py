"""What an act is: its name, what it takes, what it gives, and the call that does it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from programme.actors import Actor, Agency, actor_of, actor_text
from programme.errors import RuleError
from programme.limits import ACT_CARDS_MAX, PERSON_CHARACTERS_MAX
from programme.offices import Office

#: Hears how far a bulk act is: (done, of).
Tell = Callable[[int, int], None]


class ActArguments(BaseModel):
    """What an act takes; the base of every act's own model. Unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class NoActArguments(ActArguments):
    """For an act that takes none."""


_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def _day(value: object) -> object:
    """Give the date of an ISO text; anything else is left for the model to refuse."""
    if isinstance(value, str) and _DAY.fullmatch(value):
        return date.fromisoformat(value)
    return value


def _actor(value: object, default: Agency | None = None) -> str:
    if not isinstance(value, str):
        raise ValueError("write agency:name")  # noqa: TRY004 - pydantic's way to say no
    try:
        return actor_text(actor_of(value, default))
    except RuleError as error:
        raise ValueError(error.external) from None


def _dinsos(value: object) -> str:
    return _actor(value, Agency.DINSOS_PM)


def _bank(value: object) -> str:
    return _actor(value, Agency.BANK)


#: A registry number: of a card, a decree, a proposal.
Number = Annotated[int, Field(ge=1, le=2**31 - 1)]
#: Cards of one call: all or none.
Cards = Annotated[list[Number], Field(min_length=1, max_length=ACT_CARDS_MAX, examples=[[17, 18]])]
#: A day, as `2026-01-31`.
Day = Annotated[date, BeforeValidator(_day), Field(examples=["2026-12-31"])]
#: A short reason or word that people wrote.
Text = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]+$")]
#: An amount of money in sen (1 rupiah is 100).
AmountSen = Annotated[int, Field(ge=1, le=10**15, examples=[30_000_000])]
#: A month, as `2026-01`.
Month = Annotated[str, Field(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$", examples=["2026-01"])]
#: DE42 of a shop.
MerchantId = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,15}$", examples=["EWSMDPLR0000001"])]
#: DE41 of a terminal.
TerminalId = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{8}$", examples=["12400001"])]
#: Who acts, as `agency:name`.
_Long = Field(min_length=1, max_length=PERSON_CHARACTERS_MAX + 16)
ActorText = Annotated[str, BeforeValidator(_actor), _Long]
DinsosText = Annotated[str, BeforeValidator(_dinsos), _Long]
BankText = Annotated[str, BeforeValidator(_bank), _Long]

Do = Callable[[Office, Actor, Any, Tell], BaseModel]


@dataclass(frozen=True, slots=True)
class Act:
    """One act. A bulk one takes long: it runs as a job, tells how far it is, and can be run again.

    A signed one names its maker and checker among its arguments; every other has one actor.
    """

    name: str
    summary: str
    arguments: type[ActArguments]
    result: type[BaseModel]
    do: Do
    is_bulk: bool = False
    is_signed: bool = False

    @property
    def asked(self) -> type[ActArguments]:
        """Give the arguments with their actor: what a channel carries."""
        return self.arguments if self.is_signed else _with_actor(self.arguments)

    def run(self, office: Office, asked: ActArguments, tell: Tell) -> BaseModel:
        """Do what was asked, and give its result."""
        named = asked.maker if self.is_signed else asked.actor  # type: ignore[attr-defined]
        return self.do(office, actor_of(named), asked, tell)

    def packed(self, arguments: ActArguments, actor: Actor) -> dict[str, Any]:
        """Give the arguments as JSON values, with their actor where the act is not signed."""
        values = arguments.model_dump(mode="json", exclude_none=True)
        return values if self.is_signed else {**values, "actor": actor_text(actor)}


@cache
def _with_actor(arguments: type[ActArguments]) -> type[ActArguments]:
    return create_model(f"Asked{arguments.__name__}", __base__=arguments, actor=(ActorText, ...))


def no_progress(_done: int, _of: int) -> None:
    """Hear of progress and say nothing."""
