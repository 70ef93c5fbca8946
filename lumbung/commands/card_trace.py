"""`lumbung card trace`: one transaction between our terminal and a card, APDU by APDU, masked."""

import asyncio
import contextlib
import datetime
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from cardsim import Card, CardImage
from cardsim.channel import InProcessChannel
from cardsim.faults import Fault
from lumbung.cards import held_image, read_fault_plan
from lumbung.system import SystemClock, system_random
from lumbung.testing import CardIssuer, Purchase, buy, terminal_for
from protocols.business_time import WITA
from protocols.emv.status_words import meaning_of

_FILE = click.Path(path_type=Path, dir_okay=False)
_SEN = 100
_RUPIAH_MAX = 10**10 - 1
#: What the host answers, by the option's word: a response code, None when it is not reached.
_HOSTS = {"approve": "00", "decline": "51", "silent": None}
_STATUS_BYTES = 2


@click.command()
@click.argument("file", type=_FILE)
@click.option("--amount", type=click.IntRange(0, _RUPIAH_MAX), default=5000, show_default=True,
              help="In rupiah.")  # fmt: skip
@click.option("--host", type=click.Choice(list(_HOSTS)), default="approve", show_default=True,
              help="What the card's issuer answers.")  # fmt: skip
@click.option("--tap", is_flag=True, help="Contactless.")
@click.option("--faults", type=_FILE, help="A fault plan (docs/reference/card.md).")
@click.option("--dry-run", is_flag=True, help="Leave the card in FILE as it is.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
def trace(
    file: Path, amount: int, host: str, tap: bool, faults: Path | None, dry_run: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Buy with the card in FILE at a terminal in this process and show every exchange.

    The issuer is played with the card's own keys, so that no switch is needed. The card's counters
    move and are kept, unless it is a dry run. Card numbers, tracks, names and PINs are masked;
    a fault that struck stands beside its exchange. Exit code 0 whatever the card did.
    """
    plan = read_fault_plan(faults)
    # A dry run writes nothing, so it asks for no hold: it works in a folder that cannot be written.
    with contextlib.nullcontext(CardImage.load(file)) if dry_run else held_image(file) as image:
        channel = _slot(image, plan, None if dry_run else file)
        bought = asyncio.run(_bought(channel, image, amount * _SEN, _HOSTS[host], tap))
    if as_json:
        click.echo(json.dumps(_report(file, channel, bought)))
        return
    click.echo(channel.trace.text())
    click.echo(f"{bought.text}{_verdict(bought)}")


def _slot(image: CardImage, faults: tuple[Fault, ...], file: Path | None) -> InProcessChannel:
    card = Card(image, SystemClock(), system_random)
    persist = None if file is None else (lambda changed: changed.save(file))
    return InProcessChannel(card, persist=persist, faults=faults)


async def _bought(
    channel: InProcessChannel, image: CardImage, amount_sen: int, arc: str | None, tap: bool
) -> Purchase:
    now = datetime.datetime.now(WITA)
    return await buy(
        channel, CardIssuer.of(image), amount_sen, terminal=terminal_for(image.profile), arc=arc,
        tap=tap, date=now.date(), time=now.time(), random_bytes=system_random,
    )  # fmt: skip


def _verdict(bought: Purchase) -> str:
    if bought.is_genuine is None:
        return ""
    return ", cryptogram genuine" if bought.is_genuine else ", cryptogram FORGED"


def _report(file: Path, channel: InProcessChannel, bought: Purchase) -> dict[str, Any]:
    exchanges = [asdict(entry) for entry in channel.trace.entries]
    for exchange in exchanges:
        status = exchange["response"].rpartition(" ")[2]
        word = bytes.fromhex(status) if len(status) == 2 * _STATUS_BYTES else b""
        exchange["meaning"] = meaning_of(word) if word else ""
    last = bought.completion or bought.outcome
    return {
        "card": str(file),
        "exchanges": exchanges,
        "dropped": channel.trace.dropped,
        "outcome": last.kind.value,
        "reason": last.reason.code,
        "approved": bought.approved,
        "cryptogram_genuine": bought.is_genuine,
        "tvr": last.tvr.hex().upper(),
    }
