"""The semester report of art. 13(3), and what printing costs: by district, from the entries alone.

A semester's figures rest on the time of each entry, so a report of a past semester says the same
whatever came later.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta

from ledger.port import Ledger
from programme.accounts import chart_of
from programme.policy import policy
from programme.registry.registry import Registry
from programme.reports.figures import CardFigures, ShopFigures, read_figures
from programme.reports.table import Cell
from protocols.business_time import wita, wita_midnight_ns

#: Figures of one district, in the order of the columns behind it.
_WIDTH = 13


def semester_first(day: date) -> date:
    """Give the first day of the semester that holds a day.

    >>> semester_first(date(2026, 12, 31)), semester_first(date(2026, 6, 30))
    (datetime.date(2026, 7, 1), datetime.date(2026, 1, 1))
    """
    return date(day.year, 7 if day.month > 6 else 1, 1)


def semester_rows(
    ledger: Ledger, registry: Registry, purse: int, day: date
) -> Iterator[tuple[Cell, ...]]:
    """Yield a line a district: the semester that holds `day`, up to the end of that day."""
    since_ns, before_ns = wita_midnight_ns(semester_first(day)), wita_midnight_ns(day + _DAY)
    lines: dict[str, list[int]] = defaultdict(lambda: [0] * _WIDTH)
    _add_cards(lines, ledger, registry, purse, (since_ns, before_ns))
    for printed in registry.lists.prints():
        if printed.purse == purse and since_ns <= printed.at_ns < before_ns:
            line = lines[printed.district]
            line[11] += 1
            line[12] += policy().print_cost_sen
    for district, line in sorted(lines.items()):
        yield (district, *line)


def _add_cards(
    lines: dict[str, list[int]],
    ledger: Ledger,
    registry: Registry,
    purse: int,
    window: tuple[int, int],
) -> None:
    since_ns, before_ns = window
    opening = read_figures(ledger, purse, before_ns=since_ns)
    figures = read_figures(ledger, purse, since_ns=since_ns, before_ns=before_ns)
    # The newest card of an account says where its holder lives; a replaced one shares the account.
    place = {
        card.account_id: card.district for card in registry.lists.cards() if card.purse == purse
    }
    for account, district in place.items():
        moved, before = figures.cards.get(account, CardFigures()), opening.cards.get(account)
        start = before.left if before is not None else 0
        values = (
            bool(moved.credited), start, moved.credited, moved.released, moved.spent, moved.swept,
            start + moved.left, bool(moved.spent),
        )  # fmt: skip
        line = lines[district]
        for at, value in enumerate(values):
            line[at] += value
    shops = {shop.merchant_number: shop for shop in registry.all_merchants()}
    for number, account in chart_of(registry, purse).payables.items():
        sold, line = figures.shops.get(account, ShopFigures()), lines[shops[number].district]
        line[8] += bool(sold.sales)
        line[9] += sold.sales
        line[10] += sold.gross - sold.back


def printing_rows(
    _ledger: Ledger, registry: Registry, purse: int, _day: date
) -> Iterator[tuple[Cell, ...]]:
    """Yield a line a month and district: first cards, replacements, and what they cost (R22)."""
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for printed in registry.lists.prints():
        if printed.purse == purse:
            month = wita(printed.at_ns).date().isoformat()[:7]
            counts[month, printed.district][printed.is_replacement] += 1
    for (month, district), (first, replacements) in sorted(counts.items()):
        cost_sen = (first + replacements) * policy().print_cost_sen
        yield (month, district, first, replacements, cost_sen)


_DAY = timedelta(days=1)
