"""`lumbung card new|list|show|apdu`: the virtual chip on your desk.

A card made here has keys of its own from its seed, so that it works alone; the story's cards are
made by `lumbung demo` under its programme's keys. Test numbers only, files 0600, output masked.
"""

import json
from pathlib import Path
from typing import Any

import click

from cardsim import Card, CardImage, CardImageError, profile_names
from lumbung.cards import held_image
from lumbung.system import SystemClock, system_random
from lumbung.testing.cards import make_image
from protocols.emv.status_words import meaning_of
from protocols.emv.trace import masked_command, masked_response

JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
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
    for path in sorted(folder.glob("*.json")):
        try:
            _say({"file": path.name, **_summary(CardImage.load(path))}, as_json=as_json)
        except CardImageError as error:
            damaged = True
            click.echo(str(error), err=True)
    if damaged:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("file", type=FILE)
@JSON_OPTION
def show(file: Path, as_json: bool) -> None:
    """Show the card in FILE: applications, counters, state; masked."""
    _say(_summary(CardImage.load(file)), as_json=as_json)


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
        "applications": [
            {"aid": item.aid.hex().upper(), "label": item.label, "atc": item.state.atc,
             "blocked": item.state.blocked}
            for item in image.applications
        ],
    }  # fmt: skip


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
