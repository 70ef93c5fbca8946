"""`lumbung card new|list|show|apdu`: the virtual chip on your desk.

A card made here has keys of its own from its seed, so that it works alone; the story's cards are
made by `lumbung demo` under its programme's keys. Test numbers only, files 0600, output masked.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from cardsim import ApplicationState, Card, CardImage, CardImageError, profile_names
from cardsim.application import LOG_TAGS
from lumbung.cards import held_image
from lumbung.system import SystemClock, system_random
from lumbung.testing.cards import make_image
from protocols.emv.balance_mirror import BalanceMirror
from protocols.emv.commands import AcType
from protocols.emv.status_words import meaning_of
from protocols.emv.trace import masked_command, masked_response

JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
_CRYPTOGRAMS = {f"{int(kind):02x}": kind.name for kind in AcType}
FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("file", type=FILE)
@click.option("--profile", "profiles", multiple=True, default=("ssn",), show_default=True,
              help=f"{', '.join(profile_names())}, or a TOML file of your own. "
              "Once per application on the card.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True,
              help="The same seed gives the same card.")  # fmt: skip
@click.option("--name", default="PENERIMA CONTOH", show_default=True, help="Name on the chip.")
@JSON_OPTION
def new(file: Path, profiles: tuple[str, ...], seed: int, name: str, as_json: bool) -> None:
    """Personalise a virtual card into FILE; refuses to overwrite one."""
    if file.exists():
        raise click.BadParameter(f"{file}: a file is there already", param_hint="FILE")
    image = make_image(profiles, seed, name=name)
    image.save(file)
    _say({"file": str(file), **_summary(image)}, as_json=as_json)


@click.command("list")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@JSON_OPTION
def list_cards(folder: Path, as_json: bool) -> None:
    """List the virtual cards of FOLDER; a damaged one is named and the rest still shown."""
    damaged = False
    paths = sorted(folder.glob("*.json"))
    for path in paths:
        try:
            _say({"file": path.name, **_summary(CardImage.load(path))}, as_json=as_json)
        except CardImageError as error:
            damaged = True
            click.echo(f"{error.code} {error}", err=True)
    if not paths:
        click.echo(f"{folder}: no card images (*.json) here", err=True)
    if damaged:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("file", type=FILE)
@JSON_OPTION
def show(file: Path, as_json: bool) -> None:
    """Show the card in FILE: applications, counters, balance mirror, transaction log; masked."""
    image = CardImage.load(file)
    details = [_details(item.state) for item in image.applications]
    summary = _summary(image)
    if as_json:
        applications = [
            {**item, **detail}
            for item, detail in zip(summary["applications"], details, strict=True)
        ]
        click.echo(json.dumps({**summary, "applications": applications}))
        return
    _say(summary, as_json=False)
    for item, detail in zip(image.applications, details, strict=True):
        for line in _lines(detail):
            click.echo(f"  {item.label:<16} {line}")


@click.command()
@click.argument("file", type=FILE)
@click.argument("commands", nargs=-1, required=True)
@JSON_OPTION
def apdu(file: Path, commands: tuple[str, ...], as_json: bool) -> None:
    """Power the card in FILE and send it APDUs (hexadecimal); its state is kept afterwards.

    Card numbers, tracks and names in the answers are masked.
    """
    sent = [_octets(text) for text in commands]
    with held_image(file) as image:
        card = Card(image, SystemClock(), system_random, on_write=lambda _: image.save(file))
        atr = card.power()
        rows = [_row(command, card.apdu(command)) for command in sent]
    if as_json:
        click.echo(json.dumps({"atr": atr.hex().upper(), "exchanges": rows}))
        return
    click.echo(f"ATR  {atr.hex().upper()}")
    for row in rows:
        click.echo(f"-> {row['command']}\n<- {row['answer']}  {row['meaning']}")


def _octets(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not hexadecimal", param_hint="APDU") from None


def _row(command: bytes, answer: bytes) -> dict[str, str]:
    return {
        "command": masked_command(command),
        "answer": masked_response(answer, command),
        "status": answer[-2:].hex().upper(),
        "meaning": meaning_of(answer[-2:]),
    }


def _summary(image: CardImage) -> dict[str, Any]:
    return {
        "profile": image.profile,
        "protocol": image.protocol,
        "blocked": image.blocked,
        "applications": [
            {"aid": item.aid.hex().upper(), "label": item.label, "atc": item.state.atc,
             "blocked": item.state.blocked}
            for item in image.applications
        ],
    }  # fmt: skip


def _details(state: ApplicationState) -> dict[str, Any]:
    balance = BalanceMirror.read(state.balance_mirror) if state.balance_mirror else None
    return {
        "last_online_atc": state.last_online_atc,
        "unfinished": state.online_pending,
        "offline_approvals": state.offline_count,
        "pin_tries": state.pin_tries if state.pin else None,
        "balance_sen": None if balance is None else balance.amount_sen,
        "balance_at": None if balance is None else balance.at.isoformat(),
        "log": [_logged(entry) for entry in state.log],
    }


def _logged(entry: bytes) -> dict[str, Any]:
    """Give a log entry by the card's log format; newest entries come first in a card.

    What a terminal sent as its amount may be no number: None then.
    """
    objects, at = {}, 0
    for tag, size in LOG_TAGS:
        objects[tag] = entry[at : at + size].hex()
        at += size
    return {
        "atc": int(objects["9F36"], 16),
        "cryptogram": _CRYPTOGRAMS.get(objects["9F27"], objects["9F27"]),
        "amount_sen": int(objects["9F02"]) if objects["9F02"].isdecimal() else None,
        "date": objects["9A"],
        "type_code": objects["9C"],
    }


def _lines(detail: dict[str, Any]) -> Iterator[str]:
    tries = "none on the card" if detail["pin_tries"] is None else detail["pin_tries"]
    pending = ", the last one unfinished" if detail["unfinished"] else ""
    yield f"last online ATC {detail['last_online_atc']}{pending}; offline PIN tries: {tries}"
    if detail["balance_sen"] is not None:
        yield f"balance mirror {detail['balance_sen'] / 100:,.2f} of {detail['balance_at']}"
    for entry in detail["log"]:
        sen = entry["amount_sen"]
        amount = "no number" if sen is None else f"{sen / 100:,.2f}"
        yield f"log: ATC {entry['atc']} {entry['cryptogram']} {amount} on {entry['date']}"


def _say(values: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(values))
        return
    for name, value in values.items():
        if name == "applications":
            for item in value:
                state = "blocked" if item["blocked"] else "open"
                click.echo(f"  {item['aid']:<22} {item['label']:<16} ATC {item['atc']:<5} {state}")
        else:
            click.echo(f"{name:<10} {value}")
