"""Baskets: what can be chosen, and what a basket comes to (R38)."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from terminal.journal.records import SaleItem
from terminal.limits import BASKET_ITEMS_MAX, ITEM_QUANTITY_MAX
from terminal.purchase.checks import Refused, check_amount


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of the list; only food can be chosen."""

    code: str
    name: str
    food: bool
    source: str


@cache
def items() -> dict[str, Item]:
    """Give the list by code.

    >>> items()["ROKOK"].food
    False
    """
    table = tomllib.loads(files("terminal.purchase").joinpath("items.toml").read_text("utf-8"))
    return {code: Item(code=code, **entry) for code, entry in table["item"].items()}


def choose(code: str, quantity: int, price_sen: int) -> SaleItem | Refused:
    """Give the basket line of an item, or why it cannot be chosen.

    `price_sen` is for all pieces, whole rupiah, as the shop asks (art. 12(4)).
    """
    item = items().get(code)
    if item is None:
        return Refused("12", "flow.item_unknown")
    if not item.food:
        return Refused("57", "flow.item_forbidden", {"item": item.name})
    if not 0 < quantity <= ITEM_QUANTITY_MAX:
        return Refused("12", "refused.quantity", {"limit": str(ITEM_QUANTITY_MAX)})
    return check_amount(price_sen) or SaleItem(
        code=item.code, name=item.name, quantity=quantity, price_sen=price_sen
    )


def check_basket(basket: Iterable[SaleItem], amount_sen: int) -> Refused | None:
    """Tell why a basket cannot be sold for this amount, or None: each line anew, then the sum."""
    lines = tuple(basket)
    if not lines:
        return Refused("13", "flow.basket.empty")
    if len(lines) > BASKET_ITEMS_MAX:
        return Refused("13", "refused.basket_full", {"limit": str(BASKET_ITEMS_MAX)})
    for line in lines:
        again = choose(line.code, line.quantity, line.price_sen)
        if isinstance(again, Refused):
            return again
    if sum(line.price_sen for line in lines) != amount_sen:
        return Refused("13", "refused.amount_not_basket")
    return None
