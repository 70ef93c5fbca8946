"""What must always add up, checked from the ledger and the registry (design decision 4).

Nothing here trusts a running total: every figure is summed again from accounts and entries.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ledger.port import Entry, Ledger
from ledger.statuses import CreateTransferStatus
from ledger.structures import Account, Transfer, TransferFlags
from programme.accounts import chart_of
from programme.chart import AccountCode, TransferCode
from programme.errors import TrancheError
from programme.registry.decrees import LineOutcome
from programme.registry.registry import Registry
from programme.tranches import TrancheFold, tranche_data

_SALES = frozenset({TransferCode.PURCHASE, TransferCode.OUTAGE_SALE})
_COMPENSATIONS = frozenset({TransferCode.REVERSAL, TransferCode.VOID, TransferCode.REFUND})
_NO_MONEY_MOVED = int(TransferFlags.PENDING | TransferFlags.VOID_PENDING_TRANSFER)


@dataclass(frozen=True, slots=True)
class Equation:
    """Two figures that must be equal, in sen. `detail` names the first thing that is not."""

    name: str
    left_sen: int
    right_sen: int
    holds: bool
    detail: str = ""


class Slip(NamedTuple):
    """An approved sale as a slip says it: the transfer and the amount in sen."""

    transfer_id: int
    amount_sen: int


@dataclass(slots=True)
class _Seen:
    """What one pass over the ledger's entries gave."""

    folds: dict[int, TrancheFold] = field(default_factory=dict)
    tranche_fault: str = ""
    credits: dict[tuple[int, str], int] = field(default_factory=dict)
    sold: dict[int, int] = field(default_factory=dict)
    swept: dict[int, int] = field(default_factory=dict)
    released: list[Transfer] = field(default_factory=list)


def check_equations(
    ledger: Ledger, registry: Registry, slips: Iterable[Slip] | None = None
) -> list[Equation]:
    """Give all equations of decision 4, each with its two sides.

    Per purse: cards + payables + clearing + parent giro + suspense = funding; tranches left = card
    balance for every card; decree total = credits + held; all accounts sum to 0; released = swept,
    where a decree released what a year's end held. With `slips`, the approved slips of the run that
    are still in force, also: slips = postings.
    """
    accounts = list(ledger.accounts())
    seen = _read(ledger, {account.id for account in accounts if account.code == AccountCode.CARD})
    equations = [_whole(accounts)]
    for purse in registry.accounts.purses():
        mine = [account for account in accounts if account.ledger == purse]
        equations += [
            _funding(purse, mine),
            _chart(purse, mine, registry),
            _tranches(purse, mine, seen),
        ]
    equations += _decrees(registry, seen)
    if seen.released:
        equations.append(_releases(seen))
    if slips is not None:
        equations.append(_slips(slips, seen))
    return equations


def _read(ledger: Ledger, cards: set[int]) -> _Seen:
    seen = _Seen(folds={card: TrancheFold(card) for card in cards})
    for entry in ledger.entries():
        transfer = entry.transfer
        for side in (transfer.debit_account_id, transfer.credit_account_id):
            fold = seen.folds.get(side)
            if fold is not None:
                try:
                    fold.apply(entry)
                except TrancheError as error:
                    seen.tranche_fault = seen.tranche_fault or error.external
        if entry.status == CreateTransferStatus.CREATED:
            _count(seen, entry)
    return seen


def _count(seen: _Seen, entry: Entry) -> None:
    transfer = entry.transfer
    if transfer.flags & _NO_MONEY_MOVED:
        return
    if transfer.code == TransferCode.SWEEP:
        seen.swept[transfer.id] = transfer.amount
    elif transfer.code == TransferCode.DISBURSEMENT and transfer.user_data_128 in seen.swept:
        # A release is money of an earlier credit that comes back, no credit of its decree.
        seen.released.append(transfer)
    elif transfer.code == TransferCode.DISBURSEMENT:
        key = (transfer.user_data_32, tranche_data(transfer.user_data_64).period)
        seen.credits[key] = seen.credits.get(key, 0) + transfer.amount
    elif transfer.code in _SALES:
        posted_as = transfer.pending_id or transfer.id
        seen.sold[posted_as] = transfer.amount
    elif transfer.code == TransferCode.RESTORATION:
        sale = transfer.user_data_128
        seen.sold[sale] = seen.sold.get(sale, 0) + transfer.amount
    elif transfer.code in _COMPENSATIONS:
        seen.sold[transfer.user_data_128] = (
            seen.sold.get(transfer.user_data_128, 0) - transfer.amount
        )


def _whole(accounts: Sequence[Account]) -> Equation:
    debits = sum(account.debits_posted for account in accounts)
    credited = sum(account.credits_posted for account in accounts)
    return Equation("all accounts: debits = credits", debits, credited, debits == credited)


def _funding(purse: int, accounts: Sequence[Account]) -> Equation:
    balances = dict.fromkeys(map(int, AccountCode), 0)
    for account in accounts:
        balances[account.code] = balances.get(account.code, 0) + account.credit_balance
    funded = -balances.pop(AccountCode.FUNDING)
    held = sum(balances.values())
    names = {int(code): code.name.lower().replace("_", " ") for code in AccountCode}
    detail = ", ".join(f"{names.get(code, code)} {sen}" for code, sen in balances.items())
    name = f"purse {purse}: cards + payables + clearing + parent giro + suspense = funding"
    return Equation(name, held, funded, held == funded, detail)


def _chart(purse: int, accounts: Sequence[Account], registry: Registry) -> Equation:
    """Compare the ledger's accounts with the registry's: same ids, by total of the balances."""
    chart = chart_of(registry, purse)
    system = {chart.funding, chart.parent_giro, chart.clearing, chart.suspense}
    wanted = system | set(chart.payables.values()) | set(chart.cards)
    there = {account.id: account for account in accounts}
    stray = [a for account_id, a in there.items() if account_id not in wanted]
    turnover = sum(account.credits_posted for account in accounts)
    known = turnover - sum(account.credits_posted for account in stray)
    missing = sorted(wanted - set(there))
    detail = ""
    if stray or missing:
        detail = f"{len(stray)} accounts unknown to the registry, {len(missing)} not yet opened"
    name = f"purse {purse}: the ledger's accounts are the registry's"
    return Equation(name, turnover, known, not stray, detail)


def _tranches(purse: int, accounts: Sequence[Account], seen: _Seen) -> Equation:
    left = balance = 0
    wrong = ""
    for account in accounts:
        if account.code != AccountCode.CARD:
            continue
        fold_left = seen.folds[account.id].left_sen
        left += fold_left
        balance += account.credit_balance
        if fold_left != account.credit_balance and not wrong:
            wrong = f"card account {account.id:032x}: {fold_left} against {account.credit_balance}"
    detail = seen.tranche_fault or wrong
    name = f"purse {purse}: tranches left = card balance, each card"
    return Equation(name, left, balance, not detail, detail)


def _decrees(registry: Registry, seen: _Seen) -> list[Equation]:
    found = []
    runs = {(run.decree_number, run.period): run for run in registry.accounts.runs()}
    for key in sorted(runs.keys() | seen.credits.keys()):
        credited = seen.credits.get(key, 0)
        run = runs.get(key)
        name = f"decree {key[0]}, {key[1]}: total = credits + held"
        if run is None:
            detail = "the disbursement has not ended yet: run it again"
            found.append(Equation(name, 0, credited, False, detail))
            continue
        lines = registry.decrees.lines(key[0])
        total = sum(line.amount_sen for line in lines if line.outcome is LineOutcome.ELIGIBLE)
        right = credited + run.held_sen
        detail = f"held {run.held_sen}" if run.held_sen else ""
        found.append(Equation(name, total, right, total == right, detail))
    return found


def _releases(seen: _Seen) -> Equation:
    """Compare what was released with what the named sweeps took: each whole, and once."""
    wrong = ""
    for transfer in seen.released:
        if transfer.amount != seen.swept[transfer.user_data_128]:
            wrong = wrong or f"release {transfer.id:032x} is not what its sweep took"
    named = {transfer.user_data_128 for transfer in seen.released}
    left = sum(transfer.amount for transfer in seen.released)
    right = sum(seen.swept[sweep] for sweep in named)
    return Equation("released = swept, each once", left, right, not wrong and left == right, wrong)


def _slips(slips: Iterable[Slip], seen: _Seen) -> Equation:
    told: dict[int, int] = {}
    wrong = ""
    for slip in slips:
        if slip.transfer_id in told:
            wrong = wrong or f"two slips for transfer {slip.transfer_id:032x}"
        told[slip.transfer_id] = slip.amount_sen
    in_force = {transfer: amount for transfer, amount in seen.sold.items() if amount}
    for transfer in sorted(told.keys() | in_force.keys()):
        if told.get(transfer, 0) != in_force.get(transfer, 0):
            wrong = wrong or f"transfer {transfer:032x} differs"
    left, right = sum(told.values()), sum(in_force.values())
    return Equation("slips = postings", left, right, not wrong and left == right, wrong)
