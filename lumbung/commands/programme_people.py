"""`lumbung programme proxy|recipient ACTION`: who may act for a card, and what a fund asks."""

from pathlib import Path
from typing import Any

import click

from lumbung.carrier import Carrier
from lumbung.commands.programme_desk import (
    DATA_OPTION,
    JSON_OPTION,
    Officer,
    look_at_registry,
    officer_or_usage,
    say,
    table,
)
from programme.actors import Actor
from programme.rows import ProxyRow

DAY = click.DateTime(formats=["%Y-%m-%d"])


@click.command()
@click.argument("action", type=click.Choice(("list", "add", "end")))
@click.argument("number", type=click.IntRange(1), required=False)
@DATA_OPTION
@click.option("--officer", type=Officer(), help="Who acts, as agency:name (dinsos:staf-02).")
@click.option("--card", "card_number", type=click.IntRange(1), help="add, list: the card.")
@click.option("--nik", default="", help="add: the proxy's NIK; kept sealed.")
@click.option("--name", default="", help="add: the proxy's name; kept sealed.")
@click.option("--reason", default="", help="add: why the holder does not come.")
@click.option("--until", "days", type=click.IntRange(1, 366), help="add: for how many days.")
@JSON_OPTION
def proxy(
    action: str,
    number: int | None,
    directory: Path,
    officer: Actor | None,
    card_number: int | None,
    days: int | None,
    as_json: bool,
    **person: str,
) -> None:
    """Do ACTION on proxies: list --card, add --card, end NUMBER.

    A proxy is registered for a card with reason and end date, and stays when the card is replaced.
    """
    if action == "list":
        if card_number is None:
            raise click.UsageError("list: give --card")
        with look_at_registry(directory) as parts:
            found = parts.registry.proxies.of_card(card_number)
        rows = [ProxyRow.of(view).model_dump(mode="json") for view in found]
        header = ("proxy", "from", "until")
        say({"proxies": rows}, table(header, [tuple(row.values()) for row in rows]),
            as_json=as_json)  # fmt: skip
        return
    actor = officer_or_usage(officer, action)
    if action == "end":
        if number is None:
            raise click.UsageError("end: give the number of a proxy")
        row = Carrier(directory).do("proxy-end", {"proxy": number}, actor)
    else:
        if card_number is None or days is None or not all(person.values()):
            raise click.UsageError("add: give --card, --nik, --name, --reason and --until")
        asked = {"card": card_number, "days": days, **person}
        row = Carrier(directory).do("proxy-add", asked, actor)
    say(row, [f"proxy {row['proxy']}: from {row['from']} until {row['until']}"], as_json=as_json)


@click.command()
@click.argument("action", type=click.Choice(("mark",)))
@click.argument("numbers", type=click.IntRange(1), nargs=-1, required=True)
@DATA_OPTION
@click.option("--officer", type=Officer(), help="Who acts, as agency:name (dinsos:staf-02).")
@click.option("--mark", required=True, help="What a fund asks for (programme/fund_sources.toml).")
@click.option("--until", "until", type=DAY, required=True, help="Its last day.")
@JSON_OPTION
def recipient(
    action: str,
    numbers: tuple[int, ...],
    directory: Path,
    officer: Actor | None,
    mark: str,
    until: Any,
    as_json: bool,
) -> None:
    """Attest for recipients, by their registry NUMBERS, what a fund asks: all of a call or none."""
    actor = officer_or_usage(officer, action)
    asked = {"recipients": list(numbers), "mark": mark, "until": until.date().isoformat()}
    row = Carrier(directory).do("recipient-mark", asked, actor)
    line = f"{len(row['recipients'])} recipients: {mark} until {row['until']}"
    say(row, [line], as_json=as_json)
