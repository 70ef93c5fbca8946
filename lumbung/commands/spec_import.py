"""`lumbung spec import`: a jPOS, moov or pyiso8583 specification as a TOML file of ours."""

import json
import re
from pathlib import Path

import click

from protocols.iso8583.importers import FORMS, Imported, SpecImportError, import_spec
from protocols.iso8583.importers.limits import FILE_BYTES_MAX


def _read(path: Path) -> str:
    """Give a file's text, bounded. Raises: SpecImportError for what is no UTF-8 text."""
    with path.open("rb") as file:
        raw = file.read(FILE_BYTES_MAX + 1)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SpecImportError(f"no UTF-8 text (byte {error.start}).") from None


def _name_of(path: Path) -> str:
    """Give a specification name made of a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")[:32] or "imported"


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--from", "form", type=click.Choice(list(FORMS)), help="Its form; guessed if absent.")
@click.option("--name", help="Name of the specification; made of the file's name if absent.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
def spec_import(file: Path, form: str | None, name: str | None, as_json: bool) -> None:
    """Write FILE (jPOS GenericPackager XML, moov JSON, pyiso8583 dictionary) as our TOML.

    The TOML goes to standard output and loads as it is; what could not be taken over goes to
    standard error with its reason, and stands on top of the TOML as well. Nothing of the file is
    run or fetched. Exit code 1 when nothing can be taken over.
    """
    try:
        found = import_spec(_read(file), name or _name_of(file), form or "")
    except SpecImportError as error:
        raise SpecImportError(f"{file}: {error.external}") from None
    if as_json:
        click.echo(json.dumps(_as_values(found), ensure_ascii=False))
        return
    click.echo(found.text, nl=False)
    for one in found.left_out:
        click.echo(f"not taken over as it was: {one}", err=True)
    click.echo(f"{found.elements} elements taken over", err=True)


def _as_values(found: Imported) -> dict[str, object]:
    rows = [{"path": one.path, "why": one.why} for one in found.left_out]
    return {"elements": found.elements, "toml": found.text, "left_out": rows}
