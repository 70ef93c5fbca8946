"""The chart of accounts in the ledger: opened from the registry, idempotently (decision 4)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ledger.port import Ledger
from ledger.statuses import CreateAccountStatus
from ledger.structures import Account
from programme.actors import Actor
from programme.chart import ACCOUNT_FLAGS, AccountCode
from programme.errors import ChartError
from programme.limits import ACCOUNTS_GROUP_MAX
from programme.purses import purse_rules
from programme.registry.registry import Registry

_GOOD = frozenset({CreateAccountStatus.CREATED, CreateAccountStatus.EXISTS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The accounts of one purse. `payables` is by merchant number, `cards` by account id order."""

    purse: int
    funding: int
    parent_giro: int
    clearing: int
    suspense: int
    payables: dict[int, int]
    cards: tuple[int, ...]


def open_purse(ledger: Ledger, registry: Registry, purse: int, actor: Actor) -> Chart:
    """Open what is missing of a purse's accounts and give all of them; idempotent.

    Accounts: funding, parent giro (art. 4(2)a), clearing, suspense, one payable for each shop the
    purse admits, one virtual account for each card. Whatever interrupts it, running it again ends
    with the same ids. Raises: ChartError when the ledger holds an id with other properties.
    """
    if purse not in purse_rules():
        raise ChartError.of("programme.purse_unknown", purse=purse)
    registry.accounts.allot(purse, actor)
    chart = chart_of(registry, purse)
    _create(ledger, _accounts(chart))
    return chart


def chart_of(registry: Registry, purse: int) -> Chart:
    """Give the accounts of a purse as the registry has them; raise ChartError before opening."""
    system = registry.accounts.system(purse)
    if not system:
        raise ChartError.of("programme.purse_unopened", purse=purse)
    payables = {
        shop.merchant_number: shop.payable_accounts[purse]
        for shop in registry.all_merchants()
        if purse in shop.payable_accounts
    }
    # A replaced card shares its account with the card that replaced it.
    cards = dict.fromkeys(card.account_id for card in registry.all_cards() if card.purse == purse)
    return Chart(
        purse=purse,
        funding=system[AccountCode.FUNDING],
        parent_giro=system[AccountCode.PARENT_GIRO],
        clearing=system[AccountCode.SETTLEMENT_CLEARING],
        suspense=system[AccountCode.SUSPENSE],
        payables=payables,
        cards=tuple(cards),
    )


def _accounts(chart: Chart) -> Iterator[Account]:
    yield _account(chart, AccountCode.FUNDING, chart.funding)
    yield _account(chart, AccountCode.PARENT_GIRO, chart.parent_giro)
    yield _account(chart, AccountCode.SETTLEMENT_CLEARING, chart.clearing)
    yield _account(chart, AccountCode.SUSPENSE, chart.suspense)
    for merchant_number, payable in chart.payables.items():
        yield _account(chart, AccountCode.MERCHANT_PAYABLE, payable, merchant_number)
    for card in chart.cards:
        yield _account(chart, AccountCode.CARD, card)


def _account(chart: Chart, code: AccountCode, account_id: int, number: int = 0) -> Account:
    return Account(
        id=account_id,
        ledger=chart.purse,
        code=code,
        flags=ACCOUNT_FLAGS[code],
        user_data_32=number,
    )


def _create(ledger: Ledger, accounts: Iterable[Account]) -> None:
    wanted = list(accounts)
    for start in range(0, len(wanted), ACCOUNTS_GROUP_MAX):
        group = wanted[start : start + ACCOUNTS_GROUP_MAX]
        there = ledger.lookup_accounts([account.id for account in group])
        missing = []
        for account, found in zip(group, there, strict=True):
            if found is None:
                missing.append(account)
            elif (found.ledger, found.code) != (account.ledger, account.code):
                raise _refused(account, "another purse or kind")
        if not missing:
            continue
        for account, result in zip(missing, ledger.create_accounts(missing), strict=True):
            if result.status not in _GOOD:
                raise _refused(account, result.status.name)


def _refused(account: Account, why: str) -> ChartError:
    return ChartError.of(
        "programme.account_refused",
        internal=f"account {account.id:032x}: {why}",
        kind=AccountCode(account.code).name,
        purse=account.ledger,
        why=why,
    )
