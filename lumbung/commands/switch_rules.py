"""`lumbung switch rules check|explain`."""

import json
from contextlib import ExitStack
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import click

from lumbung.composition import open_offices
from lumbung.data_directory import DataDirectory
from lumbung.system import SystemClock, system_random
from programme.registry import Registry
from protocols.business_time import WITA
from protocols.errors import LumbungError
from switch.explain import Sale, explain
from switch.rules import RuleBook, load_rules

JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
FILE = click.Path(path_type=Path, dir_okay=False)
_NOON = 12
_NANOSECONDS = 1_000_000_000


class NotInRegistryError(LumbungError):
    """The shop or card that a question names is not in the registry."""

    code = "E-SW-0108"


@click.command()
@click.argument("file", type=FILE)
@JSON_OPTION
def rules_check(file: Path, as_json: bool) -> None:
    """Check a rule file: every fault with file:line; then list what is in force when."""
    book = load_rules(file)
    versions = {
        rule_id.replace("_", "-"): [
            {"version": one.version, "starts_on": one.starts_on.isoformat(),
             "ends_on": one.ends_on.isoformat() if one.ends_on else None}
            for one in found
        ]
        for rule_id, found in book.versions.items()
    }  # fmt: skip
    if as_json:
        click.echo(json.dumps({"valid": True, "version": book.version, "rules": versions}))
        return
    click.echo(f"{file}: valid, version {book.version}")
    for rule_id, found in versions.items():
        if len(found) > 1:
            told = ", ".join(f"version {one['version']} from {one['starts_on']}" for one in found)
            click.echo(f"  {rule_id}: {told}")


@click.command()
@click.option("--category", default="", help="Merchant category as registered (ISO 18245).")
@click.option("--registered", is_flag=True, help="The shop is registered with it by name.")
@click.option("--shop", "merchant_id", default="", help="A shop of the registry (DE42).")
@click.option("--card", "card_number", type=int, help="A card of the registry, by its number.")
@click.option("--data", "directory", type=click.Path(path_type=Path),
              help="The data directory of that shop and card.")  # fmt: skip
@click.option("--item", "items", multiple=True, help="An item code of the basket; repeatable.")
@click.option("--processing-code", default="009800", show_default=True, help="DE3, six digits.")
@click.option("--amount", type=int, default=25_000, show_default=True, help="Whole rupiah.")
@click.option("--at", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]),
              help="The moment in WITA; now without it, a day means its noon.")  # fmt: skip
@click.option("--rules", "file", type=FILE, help="A rule file; the built-in rules without it.")
@JSON_OPTION
def rules_explain(
    category: str, registered: bool, merchant_id: str, card_number: int | None,
    directory: Path | None, items: tuple[str, ...], processing_code: str, amount: int,
    at: datetime | None, file: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Say which rule decides: this shop (or kind of shop), this card, this amount, this moment.

    Limits that are used up, PIN and balance are not looked at. Exit code 1 when it is refused.
    """
    if not category and not merchant_id:
        raise click.UsageError("Give --category, or --shop with --data.")
    if (merchant_id or card_number is not None) and directory is None:
        raise click.UsageError("--shop and --card are looked up in --data.")
    now_ns = SystemClock().now_ns() if at is None else _instant_ns(at)
    sale = Sale(processing_code, amount * 100, now_ns, category, registered, items=items)
    if directory is not None:
        sale = _with_registry(sale, directory, merchant_id, card_number)
    book: RuleBook = load_rules(file).on(_day(now_ns))
    told = explain(book, sale)
    if as_json:
        click.echo(json.dumps(told.as_json(), ensure_ascii=False))
    else:
        click.echo("\n".join(told.lines()))
    if told.code != "00":
        raise click.exceptions.Exit(1)


def _instant_ns(at: datetime) -> int:
    is_day = (at.hour, at.minute) == (0, 0)
    return int((at.replace(hour=_NOON) if is_day else at).replace(tzinfo=WITA).timestamp()) * (
        _NANOSECONDS
    )


def _day(now_ns: int) -> date:
    return datetime.fromtimestamp(now_ns // _NANOSECONDS, WITA).date()


def _with_registry(sale: Sale, directory: Path, merchant_id: str, card_number: int | None) -> Sale:
    with ExitStack() as stack:
        offices = stack.enter_context(
            open_offices(
                DataDirectory.beside(directory), SystemClock(), lambda _part: system_random
            )
        )
        registry: Registry = offices.registry
        shop = registry.merchant(merchant_id) if merchant_id else None
        card = registry.card(card_number) if card_number is not None else None
    if merchant_id and shop is None:
        raise NotInRegistryError(
            f"there is no shop {merchant_id}.", fix="`lumbung programme merchant list` shows them."
        )
    if card_number is not None and card is None:
        raise NotInRegistryError(
            f"there is no card {card_number}.", fix="`lumbung programme card list` shows them."
        )
    return replace(sale, shop=shop, card=card)
