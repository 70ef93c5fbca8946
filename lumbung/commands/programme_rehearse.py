"""`lumbung programme rehearse DIR`: the launch of November 2025 on made-up people."""

from pathlib import Path

import click

from lumbung.carrier import random_for
from lumbung.commands.programme_desk import DIRECTORY, JSON_OPTION, say
from lumbung.composition import compose
from lumbung.data_directory import DataDirectory
from lumbung.rehearsal import BUDGET_SEN, FAMILIES, rehearse
from lumbung.system import SystemClock
from programme.reports.table import shown_rupiah
from protocols.business_time import wita

SEED = 2_025


@click.command("rehearse")
@click.argument("directory", type=DIRECTORY, metavar="DIR")
@JSON_OPTION
def rehearse_launch(directory: Path, as_json: bool) -> None:
    """Import, determine and disburse the launch of 2025 in DIR: 1,688 families, Rp900,000 each.

    Kill it at any moment and run it again: it goes on, and credits nobody twice. Exit code 0 when
    every family has its money to the rupiah and every equation holds.
    """
    clock = SystemClock()
    created = wita(clock.now_ns()).date().isoformat()
    with (
        DataDirectory.open(directory, kind="story", seed=SEED, created=created) as data,
        compose(data, clock, random_for) as parts,
    ):
        done = rehearse(parts, lambda line: click.echo(line, err=True))
    values = {
        "families": FAMILIES, "budget_sen": BUDGET_SEN, "credited_sen": done.credited_sen,
        "cards_whole": done.cards_whole, "sound": done.sound,
        "months": [{"period": m, "credited_sen": c, "held_sen": h} for m, c, h in done.months],
        "equations": [{"name": e.name, "holds": e.holds} for e in done.equations],
    }  # fmt: skip
    lines = [
        *(f"{month}: Rp{shown_rupiah(credited)}, held Rp{shown_rupiah(held)}"
          for month, credited, held in done.months),
        f"budget Rp{shown_rupiah(BUDGET_SEN)}, on {done.cards_whole} cards "
        f"Rp{shown_rupiah(done.credited_sen)}",
        f"{sum(e.holds for e in done.equations)} of {len(done.equations)} equations hold",
    ]  # fmt: skip
    say(values, lines, as_json=as_json)
    if not done.sound:
        raise click.exceptions.Exit(1)
