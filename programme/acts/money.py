"""Acts that need two people: proposals, and what they carry out."""

from typing import Annotated, Any

from pydantic import Field

from programme.actors import Actor, actor_of
from programme.acts.base import (
    Act,
    ActArguments,
    AmountSen,
    BankText,
    Day,
    DinsosText,
    MerchantId,
    Month,
    Number,
    Tell,
    TerminalId,
    Text,
)
from programme.chart import Purse
from programme.limits import RESULT_ROWS_MAX
from programme.offices import Office
from programme.rows import DisbursedRow, KeyRow, ProposalRow, ReleasedRow, SweptRows

_PURSE = Field(ge=1, le=max(Purse))


class MonthArguments(ActArguments):
    """A month of a decree; `amount_sen` is the maker's control figure for each person."""

    decree: Number
    period: Month
    amount_sen: AmountSen | None = None
    expires_on: Day | None = None


class SweepArguments(ActArguments):
    """The business day whose due money is taken back, and the purse."""

    day: Day
    purse: Annotated[int, _PURSE] = int(Purse.FOOD)


class ReleaseArguments(ActArguments):
    """By which decree, what the end of which budget year held is given back."""

    decree: Number
    year: Annotated[int, Field(ge=2000, le=2100)]


class RefundArguments(ActArguments):
    """Which purchase, by its ledger id, is given back how far, and why."""

    sale: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$", examples=["0" * 31 + "1"])]
    amount_sen: AmountSen
    reason: Text


class KeyArguments(ActArguments):
    """Which terminal gets a master key; a new one with its home shop."""

    terminal: TerminalId
    merchant: MerchantId


class ProposalArguments(ActArguments):
    """Which proposal is meant."""

    proposal: Number


class RejectArguments(ProposalArguments):
    """Which proposal is refused, and why."""

    reason: Text


class _DinsosSigned(ActArguments):
    maker: DinsosText
    checker: DinsosText


class SignedMonthArguments(MonthArguments, _DinsosSigned):
    """A month of a decree, maker and checker at one desk."""


class SignedSweepArguments(SweepArguments, _DinsosSigned):
    """A sweep, maker and checker at one desk."""


class SignedReleaseArguments(ReleaseArguments, _DinsosSigned):
    """A release, maker and checker at one desk."""


class SignedKeyArguments(KeyArguments):
    """A master key, maker and checker at one desk."""

    maker: BankText
    checker: BankText


def _propose_month(office: Office, actor: Actor, asked: MonthArguments, _: Tell) -> ProposalRow:
    made = office.two_people.propose_disbursement(
        asked.decree, asked.period, actor, amount_sen=asked.amount_sen, expires_on=asked.expires_on
    )
    return ProposalRow.of(made)


def _propose_sweep(office: Office, actor: Actor, asked: SweepArguments, _: Tell) -> ProposalRow:
    return ProposalRow.of(office.two_people.propose_sweep(asked.day, actor, asked.purse))


def _propose_release(office: Office, actor: Actor, asked: ReleaseArguments, _: Tell) -> ProposalRow:
    return ProposalRow.of(office.two_people.propose_release(asked.decree, asked.year, actor))


def _propose_refund(office: Office, actor: Actor, asked: RefundArguments, _: Tell) -> ProposalRow:
    sale = int(asked.sale, 16)
    made = office.two_people.propose_refund(sale, asked.amount_sen, asked.reason, actor)
    return ProposalRow.of(made)


def _propose_key(office: Office, actor: Actor, asked: KeyArguments, _: Tell) -> ProposalRow:
    return ProposalRow.of(office.two_people.propose_key(asked.terminal, asked.merchant, actor))


def _approve(office: Office, actor: Actor, asked: ProposalArguments, _: Tell) -> ProposalRow:
    return ProposalRow.of(office.two_people.approve(asked.proposal, actor))


def _reject(office: Office, actor: Actor, asked: RejectArguments, _: Tell) -> ProposalRow:
    return ProposalRow.of(office.two_people.reject(asked.proposal, actor, asked.reason))


def _withdraw(office: Office, actor: Actor, asked: ProposalArguments, _: Tell) -> ProposalRow:
    return ProposalRow.of(office.two_people.withdraw(asked.proposal, actor))


def _run(office: Office, actor: Actor, asked: ProposalArguments, tell: Tell) -> ProposalRow:
    return ProposalRow.of(office.run_proposal(asked.proposal, actor, on_group=tell))


def _disburse(
    office: Office, actor: Actor, asked: SignedMonthArguments, tell: Tell
) -> DisbursedRow:
    result = office.two_people.disburse_at_once(
        asked.decree, asked.period, actor, actor_of(asked.checker),
        amount_sen=asked.amount_sen, expires_on=asked.expires_on, on_group=tell,
    )  # fmt: skip
    return DisbursedRow.of(result, RESULT_ROWS_MAX)


def _sweep(office: Office, actor: Actor, asked: SignedSweepArguments, _: Tell) -> SweptRows:
    two = office.two_people
    result = two.sweep_at_once(asked.day, actor, actor_of(asked.checker), asked.purse)
    return SweptRows.of(result, RESULT_ROWS_MAX)


def _release(office: Office, actor: Actor, asked: SignedReleaseArguments, _: Tell) -> ReleasedRow:
    checker = actor_of(asked.checker)
    result = office.two_people.release_at_once(asked.decree, asked.year, actor, checker)
    return ReleasedRow.of(result)


def _key(office: Office, actor: Actor, asked: SignedKeyArguments, _: Tell) -> KeyRow:
    two = office.two_people
    return KeyRow.of(
        two.key_at_once(asked.terminal, asked.merchant, actor, actor_of(asked.checker))
    )


def _proposing(name: str, what: str, arguments: type[ActArguments], do: Any) -> Act:
    return Act(f"propose-{name}", f"propose {what}", arguments, ProposalRow, do)


def _bulk(name: str, what: str, arguments: type[ActArguments], result: Any, do: Any) -> Act:
    return Act(name, what, arguments, result, do, is_bulk=True, is_signed=True)


MONEY_ACTS = (
    _proposing("disbursement", "to pay a month of a decree", MonthArguments, _propose_month),
    _proposing("sweep", "to take back what is due", SweepArguments, _propose_sweep),
    _proposing("release", "to give held money back", ReleaseArguments, _propose_release),
    _proposing("refund", "to give a purchase back", RefundArguments, _propose_refund),
    _proposing("key", "a terminal's master key", KeyArguments, _propose_key),
    Act("approve", "approve as the second person", ProposalArguments, ProposalRow, _approve),
    Act("reject", "refuse as the second person", RejectArguments, ProposalRow, _reject),
    Act("withdraw", "take one's own proposal back", ProposalArguments, ProposalRow, _withdraw),
    Act("carry-out", "do what was approved, or finish it", ProposalArguments, ProposalRow, _run,
        is_bulk=True),
    _bulk("disburse", "credit a month of a decree to its cards", SignedMonthArguments,
          DisbursedRow, _disburse),
    _bulk("sweep", "take back what is due on a day", SignedSweepArguments, SweptRows, _sweep),
    _bulk("release", "give back by decree what a year's end held", SignedReleaseArguments,
          ReleasedRow, _release),
    _bulk("give-key", "give a terminal a master key", SignedKeyArguments, KeyRow, _key),
)  # fmt: skip
