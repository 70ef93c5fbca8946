"""What the programme's commands share: who acts, what is opened, how a table is shown."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ledger import open_ledger
from lumbung.carrier import locked_parts, random_for
from lumbung.composition import Offices, open_offices
from lumbung.data_directory import DataDirectory, DataDirectoryError
from lumbung.system import SystemClock, system_random
from programme.actors import AGENCY_WORDS, Actor, Agency, actor_of
from programme.errors import RuleError
from programme.offices import Office
from programme.registry import Registry
from switch.control_client import ControlClient, is_switch_running

#: Agencies that have officers: a shop and the switch act by themselves.
_OFFICES = [word for word in AGENCY_WORDS if word not in ("e-warong", "switch")]
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
        word, colon, _person = str(value).partition(":")
        if (colon and word not in _OFFICES) or not (colon or self._default):
            self.fail(f"write agency:name with one of {', '.join(_OFFICES)}", param, ctx)
        try:
            return actor_of(str(value), self._default)
        except RuleError as error:
            self.fail(error.external, param, ctx)


@dataclass(frozen=True, slots=True)
class Desk:
    """An opened programme: the parts that commands need, and the service layer over them."""

    parts: Offices
    office: Office


@contextmanager
def write_registry(directory: Path) -> Iterator[Registry]:
    """Open a registry for a change that needs no ledger, also beside a running switch.

    The switch has taken the change over when this ends.
    """
    if is_switch_running(directory.absolute()):
        with look_at_registry(directory) as parts:
            yield parts.registry
        with ControlClient(directory.absolute()) as switch:
            switch.ask("refresh")
        return
    with locked_parts(directory) as parts:
        yield parts.registry


def look_at_registry(directory: Path) -> Offices:
    """Open keystore and registry for reading; makes neither. Use as a context manager."""
    data = DataDirectory.beside(directory)
    for path in (data.keystore, data.registry_place()):
        if isinstance(path, Path) and not path.exists():
            raise DataDirectoryError.of("directory.nothing_there", path=str(path))
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
