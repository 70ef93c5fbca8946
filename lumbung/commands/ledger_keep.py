"""`lumbung ledger verify|backup`: that a ledger is sound, and a second one in case it is not.

Both read beside the writer and change nothing in the ledger.
"""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import click

from ledger.backup import back_up
from ledger.errors import LedgerError, LedgerForeignError
from ledger.log import SUPERBLOCK_NAME
from ledger.recovery import list_segments
from ledger.scrubbing import scrub_storage
from ledger.storage import FileStorage
from lumbung.commands.ledger import JSON_OPTION, ledger_path, open_for_reading, reading_progress


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--full/--fast",
    "full",
    default=True,
    show_default=True,
    help="Replay everything, or check checksums and the hash chain only.",
)
@JSON_OPTION
def verify(directory: Path, full: bool, as_json: bool) -> None:
    """Replay DIRECTORY from genesis: checksums, chain, tree, every balance, index and snapshot.

    --fast reads the same bytes and checks checksums and the hash chain alone, segment by segment.
    Exit code 4 when anything does not verify, with file and offset.
    """
    values = _replayed(directory) if full else _scrubbed(ledger_path(directory))
    if as_json:
        click.echo(json.dumps({**values, "full": full, "verified": True}))
        return
    if not full:
        click.echo(
            f"checked: {values['records']} records in {values['frames']} frames of "
            f"{values['segments']} segments, {values['bytes_read']} bytes "
            f"({values['seconds']:.2f} s); --full replays them"
        )
        return
    click.echo(
        f"verified: {values['records']} records in {values['frames']} frames, "
        f"{values['accounts']} accounts, {values['transfers']} transfers, "
        f"{values['refusals']} refusals, sum {values['sum_minor']}"
    )
    click.echo(f"root {values['root_hash']}")
    click.echo(f"head {values['chain_head']}  ({values['seconds']:.2f} s)")


def _replayed(directory: Path) -> dict[str, Any]:
    ledger = open_for_reading(directory)
    try:
        report = ledger.verify(reading_progress())
    finally:
        ledger.close()
    hashes = {"root_hash": report.root_hash.hex(), "chain_head": report.chain_head.hex()}
    return {**dataclasses.asdict(report), **hashes}


def _scrubbed(path: Path) -> dict[str, Any]:
    storage = FileStorage(path, read_only=True, create=False)
    totals: dict[str, Any] = {}
    try:
        if SUPERBLOCK_NAME not in storage.names():
            raise LedgerForeignError(f"{path}: no ledger here; name a ledger's directory")
        following, last = 1, list_segments(storage).last
        while following:
            step = dataclasses.asdict(scrub_storage(storage, first_segment=following, segments=1))
            following = step.pop("next_segment")
            totals = {name: totals.get(name, 0) + value for name, value in step.items()}
            if sys.stderr.isatty():
                done = f"\rchecked {totals['segments']} of {last} segments"
                click.echo(done, err=True, nl=not following)
    finally:
        storage.close()
    return totals


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.argument("destination", type=click.Path(path_type=Path))
@click.option("--copy", is_flag=True, help="Copy every file, also where a link would do.")
@JSON_OPTION
def backup(directory: Path, destination: Path, copy: bool, as_json: bool) -> None:
    """Make a ledger in DESTINATION that holds all that is durable in DIRECTORY now.

    Runs beside the writer. Files that never change again are linked on the same file system, which
    guards against deletion and not against a failing disk: for that, name another disk or --copy.
    """
    try:
        report = back_up(ledger_path(directory), destination, link=not copy)
    except OSError as error:
        raise LedgerError(
            f"{destination}: {error.strerror or error}; the backup is not complete, remove what "
            "is there, mend the disk and begin again"
        ) from error
    values = {**dataclasses.asdict(report), "root_hash": report.root_hash.hex()}
    if as_json:
        click.echo(json.dumps({**values, "destination": str(destination)}))
        return
    click.echo(
        f"{report.last_sequence} records in {destination}: {report.files_linked} files linked, "
        f"{report.files_copied} copied ({report.bytes_copied} bytes)"
    )
    click.echo(f"root {values['root_hash']}")
