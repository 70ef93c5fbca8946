"""Sweeping what is left over, and releasing by decree what the year's end held (R9, R27).

A sweep moves what is left of one tranche from the card to the parent giro and names the tranche.
Its id follows from (tranche, business date) and its amount from the card's fold, so whatever stops
a run, the next one takes nothing twice. A release gives a held amount back to the card as a tranche
of the releasing decree, once; its id follows from the sweep it releases.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Protocol, TypeVar

from ledger.port import Entry, Ledger
from ledger.statuses import CreateTransferStatus
from ledger.structures import Transfer
from programme.accounts import Chart, chart_of
from programme.actors import Actor
from programme.chart import TrancheData, TransferCode
from programme.disbursement import Post, check_signers, no_credit_reason
from programme.errors import DisbursementError
from programme.left_over import SweepData, SweepReason, due_tranches
from programme.limits import DISBURSEMENT_GROUP_MAX, SWEEP_CARDS_MAX
from programme.policy import LeftOver, policy
from programme.registry.decrees import DecreeRecord, LineOutcome
from programme.registry.registry import Registry
from programme.tranches import TrancheBook, sweep_transfer
from protocols.ids import compensation_id, sweep_id

_Result = TypeVar("_Result")


class Turn(Protocol):
    """Runs a piece of work on the ledger where no purchase comes between its parts."""

    def __call__(self, ledger: Ledger, work: Callable[[Ledger], _Result]) -> _Result:
        """Give what the work gives."""


def at_once(ledger: Ledger, work: Callable[[Ledger], _Result]) -> _Result:
    """Run the work now: the turn of a process that is alone with its ledger."""
    return work(ledger)


_DONE = frozenset({CreateTransferStatus.CREATED, CreateTransferStatus.EXISTS})


@dataclass(frozen=True, slots=True, kw_only=True)
class SweptTranche:
    """One tranche that is due: what is swept, in sen, and why."""

    account_id: int
    tranche_id: int
    period: str
    budget_year: int
    decree_number: int
    amount_sen: int
    reason: SweepReason


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResult:
    """What a run did. `refused` could not be taken today (status beside it); the next day takes it.

    A tranche swept earlier the same day, to which a late refund gave money back, is such a case.
    """

    purse: int
    business_date: date
    swept: tuple[SweptTranche, ...]
    refused: tuple[tuple[SweptTranche, str], ...]

    @property
    def swept_sen(self) -> int:
        """Give what was taken back in this run."""
        return sum(item.amount_sen for item in self.swept)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldAmount:
    """Money that a year's end took from a card and that no decree has released yet, in sen."""

    sweep_id: int
    account_id: int
    period: str
    budget_year: int
    decree_number: int
    amount_sen: int
    swept_on: date
    source_bits: int


def plan_sweep(
    ledger: Ledger, registry: Registry, purse: int, day: date, rule: LeftOver | None = None
) -> list[SweptTranche]:
    """Give what a sweep of a business day takes, by card account and tranche; posts nothing."""
    chart = chart_of(registry, purse)
    return list(_due(TrancheBook(ledger), chart.cards, day, rule or policy().left_over))


def sweep(
    ledger: Ledger,
    registry: Registry,
    purse: int,
    day: date,
    maker: Actor,
    checker: Actor,
    *,
    rule: LeftOver | None = None,
    turn: Turn = at_once,
) -> SweepResult:
    """Take back every tranche of a purse that is due on a business day.

    `rule` None means `policy.toml`. Looking and posting are one piece of work in a `turn`: between
    the two a purchase would let the sweep take more than its tranche holds (decisions 7, 8).

    Raises, with nothing posted: DisbursementError (maker = checker, agencies), ChartError. Stopped
    in the middle: run it again, on the same or a later day.
    """
    check_signers(maker, checker, "sweep")
    rule = rule or policy().left_over
    chart = chart_of(registry, purse)
    book = TrancheBook(ledger)
    done: list[SweptTranche] = []
    refused: list[tuple[SweptTranche, str]] = []
    for start in range(0, len(chart.cards), SWEEP_CARDS_MAX):
        cards = chart.cards[start : start + SWEEP_CARDS_MAX]
        # Most of the reading is done beside the purchases: in the turn only what came since.
        if not any(due_tranches(book.fold(account), day, rule) for account in cards):
            continue
        for item, status in turn(ledger, partial(_sweep_cards, book, chart, cards, day, rule)):
            if status in _DONE:
                done.append(item)
            else:
                refused.append((item, status.name))
    result = SweepResult(purse=purse, business_date=day, swept=tuple(done), refused=tuple(refused))
    if done:
        detail = f"{day} {len(done)} tranches {result.swept_sen} sen, checked {_name(checker)}"
        registry.accounts.note_sweep(purse, "swept", detail, maker)
    return result


def _sweep_cards(
    book: TrancheBook, chart: Chart, cards: Sequence[int], day: date, rule: LeftOver, ledger: Ledger
) -> list[tuple[SweptTranche, CreateTransferStatus]]:
    """Look at some cards and take what is due of them, with nothing in between."""
    found: list[tuple[SweptTranche, CreateTransferStatus]] = []
    for group in _groups(list(_due(book, cards, day, rule))):
        answers = ledger.create_transfers([_sweep_of(book, chart, item, day) for item in group])
        found += [(item, answer.status) for item, answer in zip(group, answers, strict=True)]
    return found


def _due(
    book: TrancheBook, cards: Sequence[int], day: date, rule: LeftOver
) -> Iterator[SweptTranche]:
    for account in cards:
        for tranche, reason in due_tranches(book.fold(account), day, rule):
            yield SweptTranche(
                account_id=account,
                tranche_id=tranche.tranche_id,
                period=tranche.period,
                budget_year=tranche.budget_year,
                decree_number=tranche.decree_number,
                amount_sen=tranche.left_sen,
                reason=reason,
            )


def _groups(items: list[SweptTranche]) -> Iterator[list[SweptTranche]]:
    for start in range(0, len(items), DISBURSEMENT_GROUP_MAX):
        yield items[start : start + DISBURSEMENT_GROUP_MAX]


def _sweep_of(book: TrancheBook, chart: Chart, item: SweptTranche, day: date) -> Transfer:
    tranches = book.fold(item.account_id).tranches()
    tranche = next(t for t in tranches if t.tranche_id == item.tranche_id)
    return sweep_transfer(
        tranche,
        account_id=item.account_id,
        parent_giro=chart.parent_giro,
        purse=chart.purse,
        sweep_id=sweep_id(item.tranche_id, day.isoformat()),
        reason_bits=SweepData(item.reason, day, item.budget_year).pack(),
    )


def held_amounts(ledger: Ledger, purse: int) -> list[HeldAmount]:
    """Give what year ends hold in the parent giro, in the order of the ledger (domain.md 8 Q2)."""
    held: dict[int, HeldAmount] = {}
    opened: dict[int, int] = {}
    for entry in ledger.entries():
        transfer = entry.transfer
        if entry.status != CreateTransferStatus.CREATED or transfer.ledger != purse:
            continue
        if transfer.code == TransferCode.DISBURSEMENT:
            opened[transfer.id] = transfer.user_data_64
            held.pop(transfer.user_data_128, None)
        elif transfer.code == TransferCode.SWEEP and transfer.user_data_64:
            data = SweepData.unpack(transfer.user_data_64)
            if data.reason is SweepReason.YEAR_HELD:
                held[transfer.id] = _held(entry, data, opened[transfer.user_data_128])
    return list(held.values())


def _held(entry: Entry, data: SweepData, tranche_bits: int) -> HeldAmount:
    transfer = entry.transfer
    return HeldAmount(
        sweep_id=transfer.id,
        account_id=transfer.debit_account_id,
        period=TrancheData.unpack(tranche_bits).period,
        budget_year=data.budget_year,
        decree_number=transfer.user_data_32,
        amount_sen=transfer.amount,
        swept_on=data.business_date,
        source_bits=tranche_bits,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseResult:
    """What a release did, in sen: held of the year = released + left held."""

    decree_number: int
    budget_year: int
    released_sen: int
    released_count: int
    still_held: tuple[HeldAmount, ...]


def release(
    ledger: Ledger,
    registry: Registry,
    decree: int,
    budget_year: int,
    maker: Actor,
    checker: Actor,
    *,
    post: Post | None = None,
) -> ReleaseResult:
    """Give the people of a determined decree back what the end of a budget year held of theirs.

    Each amount becomes a tranche of its old month and source in the decree's budget year. Who is
    not in the decree, or whose aid ended, stays on the list. Raises, with nothing posted:
    DisbursementError, NotFoundError. A rerun gives nothing twice.
    """
    check_signers(maker, checker, "release")
    record = check_release(registry, decree, budget_year)
    held = [x for x in held_amounts(ledger, record.purse) if x.budget_year == budget_year]
    entitled = _entitled(registry, record)
    wanted = [x for x in held if x.account_id in entitled]
    giro = chart_of(registry, record.purse).parent_giro
    given: set[int] = set()
    for start in range(0, len(wanted), DISBURSEMENT_GROUP_MAX):
        group = wanted[start : start + DISBURSEMENT_GROUP_MAX]
        transfers = [_release_of(item, record, giro) for item in group]
        results = (post or ledger.create_transfers)(transfers)
        done = [x for x, r in zip(group, results, strict=True) if r.status in _DONE]
        given |= {item.sweep_id for item in done}
    released_sen = sum(item.amount_sen for item in held if item.sweep_id in given)
    if given:
        detail = f"{budget_year} by decree {decree}, {released_sen} sen, checked {_name(checker)}"
        registry.accounts.note_sweep(record.purse, "released", detail, maker)
    return ReleaseResult(
        decree_number=decree,
        budget_year=budget_year,
        released_sen=released_sen,
        released_count=len(given),
        still_held=tuple(item for item in held if item.sweep_id not in given),
    )


def check_release(registry: Registry, decree: int, budget_year: int) -> DecreeRecord:
    """Give the decree that may release what a year's end held; raise DisbursementError."""
    record = registry.decrees.get(decree)
    if not record.state.creditable:
        raise DisbursementError.of(
            "programme.not_determined", decree=decree, state=record.state.value
        )
    if record.budget_year <= budget_year:
        raise DisbursementError.of(
            "programme.release_year", decree=decree, year=record.budget_year, held=budget_year
        )
    return record


def _entitled(registry: Registry, record: DecreeRecord) -> set[int]:
    """Give the card accounts of the people whom the decree pays."""
    newest = registry.accounts.newest_cards(record.purse)
    accounts = set()
    for line in registry.decrees.lines(record.decree_number):
        number = newest.get(line.recipient_number)
        card = None if number is None else registry.card(number)
        if line.outcome is LineOutcome.ELIGIBLE and no_credit_reason(card) is None:
            assert card is not None, "no_credit_reason gives a reason for no card"
            accounts.add(card.account_id)
    return accounts


def _release_of(item: HeldAmount, decree: DecreeRecord, giro: int) -> Transfer:
    before = TrancheData.unpack(item.source_bits)
    return Transfer(
        id=compensation_id(item.sweep_id, 0),
        debit_account_id=giro,
        credit_account_id=item.account_id,
        amount=item.amount_sen,
        ledger=decree.purse,
        code=TransferCode.DISBURSEMENT,
        # The sweep stands where an ordinary credit has its file: receipt -> tranche -> sweep -> ...
        user_data_128=item.sweep_id,
        user_data_64=TrancheData(before.period, before.source, decree.budget_year).pack(),
        user_data_32=decree.decree_number,
    )


def _name(actor: Actor) -> str:
    return f"{actor.agency.value}/{actor.person}"
