"""`lumbung ledger bench`: the ledger on this disk, beside the disk itself."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from ledger.choosing import choose_engine
from lumbung.commands.ledger import JSON_OPTION
from lumbung.ledger_bench import CASES, Engine, Figure, measure, report


@click.command()
@click.argument("place", type=click.Path(path_type=Path, exists=True, file_okay=False), default=".")
@click.option("--seconds", type=click.FloatRange(0.05, 600), default=2.0, show_default=True)
@click.option("--engine", type=click.Choice(["auto", "native", "pure"]), default="auto")
@JSON_OPTION
def bench(place: Path, seconds: float, engine: Engine, as_json: bool) -> None:
    """Measure durable posts on the disk of PLACE (a folder; a new one in it is used and removed).

    First the disk's own durable writes, then batches of 1 to 8,189 from one caller, then 16 and 256
    coroutines that await one transfer each. --seconds bounds each case.
    """
    name = "native" if choose_engine(engine).__module__.endswith("native") else "pure"
    found: list[Figure] = []
    with click.progressbar(
        measure(place, engine=engine, seconds=seconds),
        length=CASES,
        label="measuring",
        hidden=as_json,
    ) as cases:
        found.extend(cases)
    if as_json:
        click.echo(json.dumps({"engine": name, "figures": [asdict(one) for one in found]}))
        return
    click.echo(f"engine {name}, {place.resolve()}")
    report(found, click.echo)
