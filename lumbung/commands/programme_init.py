"""`lumbung programme init DIR`: an empty city that offices fill, with its keys."""

import os
from pathlib import Path

import click

from lumbung.carrier import random_for
from lumbung.commands.programme_desk import DIRECTORY, JSON_OPTION, Officer, say
from lumbung.composition import compose
from lumbung.data_directory import REGISTRY_ADDRESS, DataDirectory, DataDirectoryError
from lumbung.system import SystemClock
from programme.accounts import open_purse
from programme.actors import Actor, Agency
from programme.chart import Purse
from protocols.business_time import wita

KIND = "city"


@click.command()
@click.argument("directory", type=DIRECTORY, metavar="DIR")
@click.option(
    "--officer",
    type=Officer(Agency.DINSOS_PM),
    required=True,
    help="Who opens the parent account: a name at Dinsos PM, or agency:name.",
)
@click.option(
    "--registry",
    "address",
    default="",
    metavar="URL",
    help="postgresql://...: keep the registry there, not in a file.",
)
@JSON_OPTION
def init(directory: Path, officer: Actor, address: str, as_json: bool) -> None:
    """Make a programme's data directory in DIR: keys, chart of accounts, an empty registry.

    The master key comes from LUMBUNG_MASTER_KEY (64 hexadecimal digits) here and in every later
    command; keep it elsewhere than the directory. Run again, it makes only what is missing.
    """
    clock = SystemClock()
    created = wita(clock.now_ns()).date().isoformat()
    with DataDirectory.open(directory, kind=KIND, seed=None, created=created) as data:
        if address:
            _keep_address(data, address)
        with compose(data, clock, random_for) as parts:
            chart = open_purse(parts.ledger, parts.registry, Purse.FOOD, officer)
            version, chain = parts.registry.trail.head()
    values = {
        "directory": str(directory), "kind": KIND, "fresh": data.fresh, "purse": chart.purse,
        "registry": "postgresql" if address else str(data.registry), "version": version,
        "chain": chain.hex(),
    }  # fmt: skip
    word = "made" if data.fresh else "was there, whole"
    lines = [
        f"{directory}: {word}; purse {chart.purse} has its accounts, by {officer.agency.value}/"
        f"{officer.person}",
        "next: a shop (programme merchant add), a terminal (programme terminal add), a decree "
        "(programme import)",
    ]
    say(values, lines, as_json=as_json)


def _keep_address(data: DataDirectory, address: str) -> None:
    """Write the registry's address durably; a password may stand in it, hence mode 0600.

    Raises DataDirectoryError where the directory has a registry elsewhere already.
    """
    path = data.root / REGISTRY_ADDRESS
    if data.registry.exists() or data.registry_place() not in (data.registry, address):
        raise DataDirectoryError.of("directory.registry_elsewhere", path=str(data.root))
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(address + "\n")
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
