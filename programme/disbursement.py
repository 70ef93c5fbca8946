"""Paying a month of a decree: each card once, whatever interrupts it (R7, R8, R14).

The parent giro is funded with the whole month of the decree first; then every card is credited by
one transfer whose id follows from (decree, card account, month). A rerun meets its own ids and
credits nobody twice. Groups are small, so that purchases wait for one of them at most.
"""

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from ledger.port import Ledger
from ledger.statuses import CreateTransferStatus
from ledger.structures import Account, CreateTransferResult, Transfer
from programme.accounts import Chart, open_purse
from programme.actors import Actor, same_person
from programme.chart import TrancheData, TransferCode
from programme.errors import DisbursementError, ProposalError
from programme.limits import DISBURSEMENT_GROUP_MAX
from programme.policy import policy
from programme.registry.accounts import RunRecord
from programme.registry.decrees import DecreeLine, DecreeRecord, DecreeState, LineOutcome
from programme.registry.marks import mark_of
from programme.registry.registry import Registry
from programme.registry_port import BlockReason, CardStatus, CardView
from programme.roles import require
from protocols.ids import disbursement_id

#: Blocks that end the aid (R27); a lost or stolen card keeps its account and its aid (R22).
_ENDED = frozenset({BlockReason.DECREE_ENDED, BlockReason.DECEASED, BlockReason.DUPLICATE})

Post = Callable[[Sequence[Transfer]], list[CreateTransferResult]]


class HeldReason(StrEnum):
    """Why a person of the decree was not credited; the money stays in the parent giro."""

    NO_CARD = "no card"
    ENDED = "aid ended"
    CEILING = "ceiling"
    FUND = "not eligible for the fund"
    REFUSED = "refused by the ledger"


@dataclass(frozen=True, slots=True)
class Held:
    """One amount that was not credited. `detail` names the ledger's status or the block."""

    recipient_number: int
    amount_sen: int
    reason: HeldReason
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisbursementResult:
    """What a run did, in sen: total = credited now + credited before + held."""

    decree_number: int
    period: str
    total_sen: int
    credited_sen: int
    credited_count: int
    credited_before_sen: int
    credited_before_count: int
    held: tuple[Held, ...]

    @property
    def held_sen(self) -> int:
        """Give what was not credited."""
        return sum(item.amount_sen for item in self.held)

    @property
    def balanced(self) -> bool:
        """Give whether the decree's total is the credits plus what is named as held."""
        return self.total_sen == self.credited_sen + self.credited_before_sen + self.held_sen


@dataclass(slots=True)
class _Run:
    """A run under way. `marked` are the people with the mark that the fund asks, None for none."""

    ledger: Ledger
    registry: Registry
    post: Post
    chart: Chart
    decree: DecreeRecord
    period: str
    tranche_bits: int
    mark: str
    marked: Set[int] | None
    held: list[Held] = field(default_factory=list)
    credited: int = 0
    credited_sen: int = 0
    before: int = 0
    before_sen: int = 0


@dataclass(frozen=True, slots=True)
class _Due:
    """One card to credit."""

    recipient_number: int
    card_number: int
    account_id: int
    amount_sen: int
    #: Accounts of closed cards that the person had before.
    earlier: tuple[int, ...]


def disburse(
    ledger: Ledger,
    registry: Registry,
    decree: int,
    period: str,
    amount_sen: int | None,
    actor: Actor,
    checker: Actor,
    *,
    expires_on: date | None = None,
    post: Post | None = None,
    on_group: Callable[[int, int], None] | None = None,
) -> DisbursementResult:
    """Credit one month (`YYYY-MM`) of a decree to all its eligible cards.

    `decree` is the registry's number. `amount_sen` is the maker's control figure: when given,
    every eligible line must carry it. `post` replaces the ledger's own call where another process
    writes (decision 8). `on_group(done, all)` hears of progress. `expires_on` ends the tranche.

    Raises, with nothing posted: DisbursementError (maker = checker, not determined, month outside
    the decree, control figure), NotFoundError. Stopped in the middle: run it again.
    """
    check_signers(actor, checker, "disbursement")
    lines = check_month(registry, decree, period, amount_sen)
    record = registry.decrees.get(decree)
    chart = open_purse(ledger, registry, record.purse, actor)
    tranche = TrancheData(period, record.source, record.budget_year, expires_on).pack()
    mark = mark_of(record.source)
    marked = registry.marks.holders(mark, registry.today) if mark else None
    run = _Run(
        ledger, registry, post or ledger.create_transfers, chart, record, period, tranche, mark,
        marked,
    )  # fmt: skip
    total_sen = sum(line.amount_sen for line in lines)
    _fund(run, total_sen)
    if record.state is DecreeState.DETERMINATION:
        registry.decrees.move(decree, DecreeState.EXECUTION, actor)
    due = list(_due(run, lines))
    for start in range(0, len(due), DISBURSEMENT_GROUP_MAX):
        _credit(run, due[start : start + DISBURSEMENT_GROUP_MAX])
        if on_group is not None:
            on_group(min(start + DISBURSEMENT_GROUP_MAX, len(due)), len(due))
    result = _result(run, total_sen)
    assert result.balanced, "a line was neither credited nor held"
    _sign_off(registry, result, actor, checker)
    return result


def check_month(
    registry: Registry, decree: int, period: str, amount_sen: int | None
) -> list[DecreeLine]:
    """Give the lines that a month of a decree pays; raise DisbursementError, NotFoundError."""
    record = registry.decrees.get(decree)
    lines = [x for x in registry.decrees.lines(decree) if x.outcome is LineOutcome.ELIGIBLE]
    _check(record, lines, period, amount_sen)
    return lines


def check_signers(maker: Actor, checker: Actor, kind: str) -> None:
    """Raise unless two people of the right agencies sign a proposal's kind (decision 20).

    Raises: RoleError, ProposalError for one person as both.
    """
    require(maker, f"{kind}.propose")
    require(checker, f"{kind}.approve")
    if same_person(maker, checker):
        raise ProposalError.of("programme.same_person")


def _check(
    record: DecreeRecord,
    lines: Sequence[DecreeLine],
    period: str,
    amount_sen: int | None,
) -> None:
    number = record.decree_number
    if not record.state.creditable:
        raise DisbursementError.of(
            "programme.not_determined", decree=number, state=record.state.value
        )
    if not (_is_month(period) and record.period_first <= period <= record.period_last):
        raise DisbursementError.of(
            "programme.month_outside",
            decree=number,
            first=record.period_first,
            last=record.period_last,
        )
    if not lines:
        raise DisbursementError.of("programme.nobody_eligible", decree=number)
    if amount_sen is not None and any(line.amount_sen != amount_sen for line in lines):
        raise DisbursementError.of("programme.control_figure", decree=number, amount=amount_sen)


def _is_month(text: str) -> bool:
    return len(text) == 7 and text[4] == "-" and "01" <= text[5:] <= "12" and text[:4].isdigit()


def _fund(run: _Run, total_sen: int) -> None:
    """Move the decree's whole month into the parent giro, once."""
    giro = run.chart.parent_giro
    transfer = _transfer(
        run,
        disbursement_id(run.decree.name, giro, run.period),
        (run.chart.funding, giro),
        total_sen,
        TransferCode.FUNDING,
    )
    status = run.post([transfer])[0].status
    if status not in (CreateTransferStatus.CREATED, CreateTransferStatus.EXISTS):
        raise DisbursementError.of(
            "programme.month_begun_otherwise", period=run.period, status=status.name
        )


def _due(run: _Run, lines: Sequence[DecreeLine]) -> Iterator[_Due]:
    """Yield the people who have an account; note those who have none."""
    newest = run.registry.accounts.newest_cards(run.chart.purse)
    older = run.registry.accounts.earlier_accounts(run.chart.purse)
    for line in lines:
        number = newest.get(line.recipient_number)
        card = None if number is None else run.registry.card(number)
        if card is None:
            run.held.append(Held(line.recipient_number, line.amount_sen, HeldReason.NO_CARD))
            continue
        earlier = tuple(
            account
            for account in older.get(line.recipient_number, ())
            if account != card.account_id
        )
        yield _Due(
            line.recipient_number, card.card_number, card.account_id, line.amount_sen, earlier
        )


def no_credit_reason(card: CardView | None) -> tuple[HeldReason, str] | None:
    """Give why a card may not be credited, with its block; None when it may (R27)."""
    if card is None or card.status is CardStatus.CLOSED:
        return HeldReason.NO_CARD, ""
    if card.status is CardStatus.BLOCKED and card.block_reason in _ENDED:
        return HeldReason.ENDED, card.block_reason.value
    return None


def _credit(run: _Run, group: Sequence[_Due]) -> None:
    """Post one group; what it met before is counted, not posted again.

    Whoever has the month already has it whatever came after: a block, a new account.
    """
    ids = [disbursement_id(run.decree.name, due.account_id, run.period) for due in group]
    posted = run.ledger.lookup_transfers(ids)
    accounts = run.ledger.lookup_accounts([due.account_id for due in group])
    fresh: list[tuple[_Due, Transfer]] = []
    for due, transfer_id, before, account in zip(group, ids, posted, accounts, strict=True):
        assert account is not None, "open_purse opened every card's account"
        if before is None and _was_credited(run, due):
            run.before += 1
            run.before_sen += due.amount_sen
            continue
        why = None if before is not None else _why_held(run, due, account)
        if why is not None:
            run.held.append(Held(due.recipient_number, due.amount_sen, *why))
            continue
        sides = (run.chart.parent_giro, due.account_id)
        code = TransferCode.DISBURSEMENT
        fresh.append((due, _transfer(run, transfer_id, sides, due.amount_sen, code)))
    if not fresh:
        return
    results = run.post([transfer for _due, transfer in fresh])
    for (due, _), result in zip(fresh, results, strict=True):
        if result.status == CreateTransferStatus.CREATED:
            run.credited += 1
            run.credited_sen += due.amount_sen
        elif result.status == CreateTransferStatus.EXISTS:
            run.before += 1
            run.before_sen += due.amount_sen
        else:
            reason = HeldReason.REFUSED
            detail = result.status.name
            run.held.append(Held(due.recipient_number, due.amount_sen, reason, detail))


def _was_credited(run: _Run, due: _Due) -> bool:
    """Give whether the month came to an account that the person had before this one."""
    if not due.earlier:  # Nearly everybody: nothing to ask the ledger.
        return False
    ids = [disbursement_id(run.decree.name, account, run.period) for account in due.earlier]
    return any(found is not None for found in run.ledger.lookup_transfers(ids))


def _why_held(run: _Run, due: _Due, account: Account) -> tuple[HeldReason, str] | None:
    """Give why a person is not credited now: asked as the group is posted, not as the run began."""
    if run.marked is not None and due.recipient_number not in run.marked:
        return HeldReason.FUND, run.mark
    reason = no_credit_reason(run.registry.card(due.card_number))
    if reason is None and account.credit_balance + due.amount_sen > policy().card_ceiling_sen:
        return HeldReason.CEILING, ""
    return reason


def _transfer(
    run: _Run, transfer_id: int, sides: tuple[int, int], amount_sen: int, code: TransferCode
) -> Transfer:
    return Transfer(
        id=transfer_id,
        debit_account_id=sides[0],
        credit_account_id=sides[1],
        amount=amount_sen,
        ledger=run.chart.purse,
        code=code,
        user_data_128=run.decree.file_id,
        user_data_64=run.tranche_bits,
        user_data_32=run.decree.decree_number,
    )


def _result(run: _Run, total_sen: int) -> DisbursementResult:
    return DisbursementResult(
        decree_number=run.decree.decree_number,
        period=run.period,
        total_sen=total_sen,
        credited_sen=run.credited_sen,
        credited_count=run.credited,
        credited_before_sen=run.before_sen,
        credited_before_count=run.before,
        held=tuple(run.held),
    )


def _sign_off(registry: Registry, result: DisbursementResult, maker: Actor, checker: Actor) -> None:
    """Keep the result; a rerun that found everything done changes nothing."""
    run = RunRecord(
        decree_number=result.decree_number,
        period=result.period,
        total_sen=result.total_sen,
        credited_sen=result.credited_sen + result.credited_before_sen,
        held_sen=result.held_sen,
        maker=f"{maker.agency.value}/{maker.person}",
        checker=f"{checker.agency.value}/{checker.person}",
    )
    same = [
        old
        for old in registry.accounts.runs()
        if (old.decree_number, old.period) == (run.decree_number, run.period)
        and (old.credited_sen, old.held_sen) == (run.credited_sen, run.held_sen)
    ]
    if result.credited_count or not same:
        registry.accounts.note_run(run, maker)
