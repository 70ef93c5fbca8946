"""The reports themselves: lines from the ledger's sums and the registry's places."""

from collections.abc import Callable, Iterator
from datetime import date
from typing import TypeVar

from ledger.port import Ledger
from programme.accounts import chart_of
from programme.chart import Purse
from programme.errors import NotFoundError, ReportError
from programme.limits import REPORT_ATTEMPTS_MAX
from programme.policy import policy
from programme.registry.cards import LIVE
from programme.registry.decrees import LineOutcome
from programme.registry.registry import Registry
from programme.registry_port import CardStatus
from programme.reports.figures import CardFigures, ShopFigures, read_figures
from programme.reports.semester import printing_rows, semester_rows
from programme.reports.table import Basis, Cell, Report, layouts
from programme.statement import card_statement
from protocols.business_time import wita

_Made = TypeVar("_Made")

#: Cards that wait for their holder (R23).
_WAITING = {CardStatus.PRINTED: "dicetak", CardStatus.AT_BANK: "di bank"}


def build_report(
    name: str, ledger: Ledger, registry: Registry, day: date, purse: int = Purse.FOOD
) -> Report:
    """Give a report as of the ledger's and the registry's state now.

    `day` counts in reports of waiting days, and names the semester. Raises: NotFoundError for a
    name that is none, ChartError before the purse was opened, ReportError while another process
    posts all the time.
    """
    maker = _MAKERS.get(name)
    if maker is None:
        raise NotFoundError.of("programme.no_report", report=name, names=", ".join(_MAKERS))
    shown_day = day.isoformat() if name in _BY_DAY else ""
    found, basis = of_one_state(
        ledger, registry, shown_day, lambda: tuple(maker(ledger, registry, purse, day))
    )
    return Report(layout=layouts()[name], basis=basis, rows=found)


def of_one_state(
    ledger: Ledger, registry: Registry, day: str, make: Callable[[], _Made]
) -> tuple[_Made, Basis]:
    """Give what `make` reads of ledger and registry, and the one state that it is of.

    Raises: ReportError while another process posts all the time.
    """
    for _attempt in range(REPORT_ATTEMPTS_MAX):
        basis = _basis(ledger, registry, day)
        made = make()
        # Beside a running switch the ledger grows while it is read; then the sums are of no moment.
        if _basis(ledger, registry, day) == basis:
            return made, basis
    raise ReportError.of("programme.report_restless")


def _basis(ledger: Ledger, registry: Registry, day: str) -> Basis:
    point = ledger.checkpoint()
    version, chain = registry.trail.head()
    return Basis(
        ledger_sequence=point["sequence"],
        root_hash=str(point["root_hash"]),
        registry_version=version,
        registry_chain=chain.hex(),
        day=day,
    )


def _disbursement(
    ledger: Ledger, registry: Registry, purse: int, _day: date
) -> Iterator[tuple[Cell, ...]]:
    figures = read_figures(ledger, purse)
    runs = {(run.decree_number, run.period): run for run in registry.accounts.runs()}
    for decree in registry.decrees.all():
        if decree.purse != purse:
            continue
        number = decree.decree_number
        lines = [
            line for line in registry.decrees.lines(number) if line.outcome is LineOutcome.ELIGIBLE
        ]
        total = sum(line.amount_sen for line in lines)
        for key in sorted(key for key in figures.credits.keys() | runs.keys() if key[0] == number):
            month, run = figures.credits.get(key), runs.get(key)
            credited = month.credited if month else 0
            yield (
                decree.name, key[1], decree.source.name, len(lines), total,
                month.count if month else 0, credited, total - credited,
                run.maker if run else "", run.checker if run else "",
            )  # fmt: skip


def _balances(
    ledger: Ledger, registry: Registry, purse: int, _day: date
) -> Iterator[tuple[Cell, ...]]:
    figures = read_figures(ledger, purse)
    # The newest card of an account says where its holder lives; a replaced one shares the account.
    place = {
        card.account_id: (card.district, card.village)
        for card in registry.lists.cards()
        if card.purse == purse
    }
    balances = ledger.lookup_accounts(list(place))
    sums: dict[tuple[str, str], list[int]] = {}
    for (account, where), found in zip(place.items(), balances, strict=True):
        of_card = figures.cards.get(account, CardFigures())
        left = 0 if found is None else found.credit_balance
        line = (1, of_card.credited, of_card.released, of_card.spent, of_card.swept, left)
        before = sums.get(where, [0] * len(line))
        sums[where] = [one + other for one, other in zip(before, line, strict=True)]
    for (district, village), figures_of_place in sorted(sums.items()):
        yield (district, village, *figures_of_place)


def _uncollected(
    _ledger: Ledger, registry: Registry, purse: int, day: date
) -> Iterator[tuple[Cell, ...]]:
    waiting = []
    for card in registry.lists.cards():
        if card.purse == purse and card.status in _WAITING:
            since = wita(card.since_ns).date()
            days = (day - since).days
            waiting.append((card.district, card.village, -days, card.card_number, since, card))
    for district, village, negative_days, number, since, card in sorted(
        waiting, key=lambda w: w[:4]
    ):
        late = "ya" if -negative_days > policy().late_after_days else ""
        yield (
            district, village, str(number), card.last_four, _WAITING[card.status],
            since.isoformat(), -negative_days, late,
        )  # fmt: skip


def _waiting(
    _ledger: Ledger, registry: Registry, purse: int, day: date
) -> Iterator[tuple[Cell, ...]]:
    sums: dict[str, list[int]] = {}
    for card in registry.lists.cards():
        if card.purse != purse or card.status not in LIVE:
            continue
        line = sums.setdefault(card.district, [0] * 5)
        line[0] += 1
        if card.status in _WAITING:
            days = (day - wita(card.since_ns).date()).days
            line[1 if card.status is CardStatus.PRINTED else 2] += 1
            line[3] += days > policy().late_after_days
            line[4] = max(line[4], days)
    for district, line in sorted(sums.items()):
        yield (district, *line)


def _zero(ledger: Ledger, registry: Registry, purse: int, _day: date) -> Iterator[tuple[Cell, ...]]:
    words = layouts()["zero"].words
    rows = []
    for card in registry.lists.cards():
        view = registry.card(card.card_number)
        assert view is not None, "lists and views show one registry"
        if card.purse != purse or card.status not in LIVE:
            continue
        (account,) = ledger.lookup_accounts([card.account_id])
        if account is not None and account.credit_balance:
            continue
        statement = card_statement(ledger, view)
        assert statement.zero_reason is not None, "a card without money has a reason"
        since = statement.zero_since_ns
        rows.append(
            (
                card.district, card.village, card.card_number, card.last_four,
                words[statement.zero_reason.value],
                wita(since).date().isoformat() if since else "",
            )
        )  # fmt: skip
    for district, village, number, *rest in sorted(rows):
        yield (district, village, str(number), *rest)


def _turnover(
    ledger: Ledger, registry: Registry, purse: int, _day: date
) -> Iterator[tuple[Cell, ...]]:
    figures = read_figures(ledger, purse)
    kinds = registry.lists.merchant_kinds()
    payables = chart_of(registry, purse).payables
    shops = {shop.merchant_number: shop for shop in registry.all_merchants()}
    rows = []
    for number, account in payables.items():
        shop, of_shop = shops[number], figures.shops.get(account, ShopFigures())
        (found,) = ledger.lookup_accounts([account])
        net = of_shop.gross - of_shop.back
        rows.append(
            (
                shop.district, shop.village, shop.merchant_id, shop.name, kinds[number],
                of_shop.sales, of_shop.gross, of_shop.back, net, of_shop.paid_out,
                0 if found is None else found.credit_balance,
            )
        )  # fmt: skip
    yield from sorted(rows)


_MAKERS: dict[str, Callable[[Ledger, Registry, int, date], Iterator[tuple[Cell, ...]]]] = {
    "disbursement": _disbursement,
    "balances": _balances,
    "uncollected": _uncollected,
    "waiting": _waiting,
    "zero": _zero,
    "turnover": _turnover,
    "semester": semester_rows,
    "printing": printing_rows,
}
_BY_DAY = frozenset({"uncollected", "waiting", "semester"})
REPORT_NAMES = tuple(_MAKERS)
