"""`lumbung programme import`: decree files, checked dry or taken in."""

import json
from contextlib import ExitStack
from pathlib import Path

import click

from lumbung.composition import open_offices
from lumbung.data_directory import DataDirectory, read_manifest
from lumbung.system import SystemClock, system_random
from programme.actors import Actor, Agency
from programme.decree import import_decree, read_decree, template


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--data", "directory", type=click.Path(path_type=Path),
              help="Take the file into this registry; a dry run without it.")  # fmt: skip
@click.option("--officer", default="kominfo-01", show_default=True, help="Who at Diskominfo.")
@click.option("--template", "show_template", is_flag=True, help="Print an empty file and end.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
def import_decree_file(
    file: Path | None, directory: Path | None, officer: str, show_template: bool, as_json: bool
) -> None:
    """Check decree FILE, every fault with file:line; with --data, take it in (whole or not at all).

    Exit code 1 when the file has a fault. The same file again changes nothing.
    """
    if show_template:
        click.echo(template(), nl=False)
        return
    if file is None:
        raise click.UsageError("give a FILE, or --template for an empty one")
    found = read_decree(file)
    values = {
        "decree": found.name, "lines": len(found.rows), "total_sen_per_month": found.total_sen,
        "period_first": found.period_first, "period_last": found.period_last, "applied": False,
    }  # fmt: skip
    if directory is not None:
        manifest = read_manifest(directory)
        with ExitStack() as stack:
            data = stack.enter_context(
                DataDirectory.open(
                    directory, kind=manifest.kind, seed=manifest.seed, created=manifest.created
                )
            )
            offices = stack.enter_context(
                open_offices(data, SystemClock(), lambda _part: system_random)
            )
            done = import_decree(offices.registry, found, Actor(Agency.DISKOMINFO, officer))
        values |= {"applied": True, "new_people": done.new_people, "changed": done.changed}
    if as_json:
        click.echo(json.dumps(values))
        return
    click.echo(f"{file}: decree {values['decree']}, {values['lines']} recipients, no fault")
    if directory is None:
        click.echo("dry run: nothing was taken in; --data DIRECTORY takes it in")
    else:
        change = f"{values['new_people']} new people" if values["changed"] else "known, no change"
        click.echo(f"taken in as stage integrasi: {change}")
