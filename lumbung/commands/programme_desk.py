"""What the programme's commands share: who acts, what is opened, how a table is shown."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ledger import open_ledger
from lumbung.composition import Offices, compose, open_offices
from lumbung.data_directory import DataDirectory, DataDirectoryError, read_manifest
from lumbung.system import SystemClock, system_random
from programme.actors import Actor, Agency
from programme.errors import RuleError
from programme.offices import Office
from protocols.business_time import wita
from protocols.clock import RandomBytes

#: Agencies as typed before the colon of an officer.
AGENCIES = {
    "wali-kota": Agency.WALI_KOTA,
    "diskominfo": Agency.DISKOMINFO,
    "dinsos": Agency.DINSOS_PM,
    "bank": Agency.BANK,
    "auditor": Agency.AUDITOR,
    "operator": Agency.OPERATOR,
}
#: Who looks at a list on the machine itself: whoever may read its files.
LOCAL = Actor(Agency.OPERATOR, "setempat")
JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
DIRECTORY = click.Path(path_type=Path, file_okay=False)
DATA_OPTION = click.option(
    "--data", "directory", type=DIRECTORY, required=True, help="The programme's data directory."
)


class Officer(click.ParamType[Actor]):
    """An officer as `agency:name`, such as `dinsos:staf-02`."""

    name = "agency:name"

    def __init__(self, default: Agency | None = None) -> None:
        """Take a bare name for an officer of the default agency, if there is one."""
        self._default = default

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Actor:
        """Give the actor; fail with what an officer looks like."""
        if isinstance(value, Actor):
            return value
        word, colon, person = str(value).rpartition(":")
        agency = AGENCIES.get(word) if colon else self._default
        if agency is None:
            self.fail(f"write agency:name with one of {', '.join(AGENCIES)}", param, ctx)
        try:
            return Actor(agency, person)
        except RuleError as error:
            self.fail(error.external, param, ctx)


@dataclass(frozen=True, slots=True)
class Desk:
    """An opened programme: the parts that commands need, and the service layer over them."""

    parts: Offices
    office: Office


@contextmanager
def open_desk(directory: Path) -> Iterator[Desk]:
    """Open a programme for writing: takes the data directory's lock until the end."""
    manifest = read_manifest(directory)
    with ExitStack() as stack:
        data = stack.enter_context(
            DataDirectory.open(
                directory, kind=manifest.kind, seed=manifest.seed, created=manifest.created
            )
        )
        parts = stack.enter_context(compose(data, SystemClock(), random_for))
        yield Desk(parts, Office(parts.registry, parts.ledger, parts.keystore))


def look_at_registry(directory: Path) -> Offices:
    """Open keystore and registry for reading; makes neither. Use as a context manager."""
    data = DataDirectory.beside(directory)
    for path in (data.keystore, data.registry_place()):
        if isinstance(path, Path) and not path.exists():
            raise DataDirectoryError(
                f"{path}: is not there, so there is nothing to look at.",
                fix="Take a decree in first: lumbung programme import FILE --data DIRECTORY",
            )
    return open_offices(data, SystemClock(), random_for)


@contextmanager
def look_at_desk(directory: Path) -> Iterator[Desk]:
    """Open a programme for reading, also beside a running switch; takes no lock."""
    with ExitStack() as stack:
        parts = stack.enter_context(look_at_registry(directory))
        ledger = open_ledger(
            parts.data.ledger, now_ns=SystemClock().now_ns, random_bytes=system_random,
            read_only=True, create=False,
        )  # fmt: skip
        stack.callback(ledger.close)
        yield Desk(parts, Office(parts.registry, ledger))


def random_for(_part: str) -> RandomBytes:
    """Give the operating system's random bytes to every part."""
    return system_random


def officer_or_usage(officer: Actor | None, action: str) -> Actor:
    """Give the officer; raise the usage error of an action that changes something without one."""
    if officer is None:
        raise click.UsageError(f"{action} changes the registry: say who acts with --officer")
    return officer


def say(values: Mapping[str, Any], lines: Iterable[str], *, as_json: bool) -> None:
    """Print the object, or the lines for people."""
    if as_json:
        click.echo(json.dumps(values, ensure_ascii=False))
        return
    for line in lines:
        click.echo(line)


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """Yield the lines of a table: left-aligned text, right-aligned numbers."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *texts, strict=True)]
    yield "  ".join(
        title.ljust(width) for title, width in zip(header, widths, strict=True)
    ).rstrip()
    for row, text in zip(rows, texts, strict=True):
        cells = (
            shown.rjust(width) if isinstance(cell, int) else shown.ljust(width)
            for cell, shown, width in zip(row, text, widths, strict=True)
        )
        yield "  ".join(cells).rstrip()


def day_of(now_ns: int) -> str:
    """Give the day in Samarinda of an instant, or a dash for none."""
    return wita(now_ns).date().isoformat() if now_ns else "-"
