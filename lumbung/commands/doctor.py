"""`lumbung doctor`."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from lumbung.cli import EXIT_ENVIRONMENT
from lumbung.doctor import examine

_MARKS = {"ok": "ok   ", "note": "note ", "fault": "FAULT"}


@click.command()
@click.option("--data", "directory", type=click.Path(path_type=Path), default=Path(),
              help="Measure the disk of this directory.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
def doctor(directory: Path, as_json: bool) -> None:
    """Say what this machine has, what it lacks, and how to mend each fault.

    A note is something lumbung does without; a fault stops it. Exit code 3 when there is a fault.
    """
    findings = examine(directory)
    faults = sum(finding.state == "fault" for finding in findings)
    if as_json:
        click.echo(
            json.dumps({"faults": faults, "findings": [asdict(f) for f in findings]}, indent=1)
        )
    else:
        for finding in findings:
            click.echo(f"{_MARKS[finding.state]} {finding.subject:<17} {finding.what}")
            if finding.fix:
                click.echo(f"      {'':<17} -> {finding.fix}")
        click.echo(f"{faults} faults")
    if faults:
        sys.exit(EXIT_ENVIRONMENT)
