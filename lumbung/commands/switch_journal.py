"""`lumbung switch journal tail|describe|replay|export`: what a switch heard, said and decided."""

import json
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import click

from lumbung.composition import JOURNAL_KEY, open_keystore
from lumbung.data_directory import DataDirectory
from lumbung.event_loop import run_loop
from lumbung.journal_export import as_capture, as_json_lines, codecs_for, shown, told_time
from lumbung.journal_replay import ReplayReport, replay_on_copy, replay_over_tcp
from lumbung.system import system_random
from protocols.iso8583 import PureCodec, describe
from protocols.iso8583.errors import MessageError
from switch.config import SwitchConfig, load
from switch.journal import Entry, EntryKind, read_journal

#: Entries that one look shows at most; an export has no such bound.
SHOWN_MAX = 100_000
DATA = click.option("--data", "directory", type=click.Path(path_type=Path), required=True,
                    help="The data directory of the switch.")  # fmt: skip
CONFIG = click.option("--config", "file", type=click.Path(path_type=Path, dir_okay=False),
                      help="The switch.toml it ran with, for its links.")  # fmt: skip
FIRST = click.option("--from-segment", "first", type=click.IntRange(1), default=1,
                     show_default=True, help="The first segment to read.")  # fmt: skip
JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")


def _entries(directory: Path, first: int) -> Iterator[Entry]:
    data = DataDirectory.beside(directory)
    key = open_keystore(data, system_random).get(JOURNAL_KEY)
    return read_journal(data.journal, key, first_segment=first)


def _config(file: Path | None) -> SwitchConfig:
    return SwitchConfig() if file is None else load(file)


def _codecs(config: SwitchConfig) -> dict[str, PureCodec]:
    return codecs_for({link.link: link.spec for link in config.all_links})


@click.command()
@DATA
@CONFIG
@FIRST
@click.option("--lines", type=click.IntRange(1, SHOWN_MAX), default=20, show_default=True)
@JSON_OPTION
def tail(directory: Path, file: Path | None, first: int, lines: int, as_json: bool) -> None:
    """Show the last entries of a switch's journal, masked; works beside the running switch."""
    codecs = _codecs(_config(file))
    last = deque(_entries(directory, first), maxlen=lines)
    if as_json:
        click.echo("\n".join(as_json_lines(last, codecs)))
        return
    for entry in last:
        click.echo(_line(entry, codecs))


def _line(entry: Entry, codecs: dict[str, PureCodec]) -> str:
    head = f"{told_time(entry.time_ns)} {entry.kind.name.lower():<8}"
    if entry.kind is EntryKind.EVENT:
        fields = entry.event()
        name = fields.pop("event")
        told = " ".join(
            f"{key}={value}" for key, value in fields.items() if value not in ("", None)
        )
        return f"{head} {name} {told}".rstrip()
    where = f"{head} {entry.link}/{entry.connection}"
    return f"{where} {shown(entry, codecs)}" if entry.payload else where


@click.command("describe")
@click.argument("stan")
@DATA
@CONFIG
@FIRST
@click.option("--terminal", default="", help="Only messages of this terminal (DE41).")
@JSON_OPTION
def describe_messages(
    stan: str, directory: Path, file: Path | None, first: int, terminal: str, as_json: bool
) -> None:
    """Take apart every message with this trace number (DE11), element by element, masked.

    Exit code 1 when the journal has none.
    """
    config = _config(file)
    codecs = _codecs(config)
    found = list(islice(_with_stan(_entries(directory, first), codecs, stan, terminal), SHOWN_MAX))
    for entry in found:
        text = describe(entry.payload, codecs[entry.link].spec)
        if as_json:
            told = {"time": told_time(entry.time_ns), "kind": entry.kind.name.lower(), "text": text}
            click.echo(json.dumps(told, ensure_ascii=False))
        else:
            click.echo(
                f"{told_time(entry.time_ns)} {entry.kind.name.lower()} {entry.link}\n{text}\n"
            )
    if not found:
        raise click.exceptions.Exit(1)


def _with_stan(
    entries: Iterable[Entry], codecs: dict[str, PureCodec], stan: str, terminal: str
) -> Iterator[Entry]:
    wanted = stan.zfill(6)
    for entry in entries:
        if entry.kind is EntryKind.EVENT or not entry.payload:
            continue
        try:
            message = codecs[entry.link].decode(entry.payload)
        except MessageError:
            continue
        if message.get(11) == wanted and (not terminal or message.get(41) == terminal):
            yield entry


@click.command()
@DATA
@CONFIG
@FIRST
@click.option("--on", "copy", type=click.Path(path_type=Path, file_okay=False, exists=True),
              help="A data directory as it was before: a private copy of it decides.")  # fmt: skip
@click.option("--host", default="", metavar="ADDRESS:PORT", help="A running switch instead.")
@JSON_OPTION
def replay(
    directory: Path, file: Path | None, first: int, copy: Path | None, host: str, as_json: bool
) -> None:
    """Play a journal against this build (--on) or a running test switch (--host).

    Says which answers differ, by element path, masked. Messages are opened in memory only. Exit
    code 1 when an answer differs.
    """
    if (copy is None) == (not host):
        raise click.UsageError("give --on DIRECTORY or --host ADDRESS:PORT.")
    entries, config = _entries(directory, first), _config(file)
    if copy is not None:
        report = replay_on_copy(entries, copy, config)
    else:
        address, _, port = host.rpartition(":")
        if not (address and port.isdecimal()):
            raise click.BadParameter(f"{host!r} is not address:port", param_hint="--host")
        report = run_loop(replay_over_tcp(entries, address.strip("[]"), int(port), config))
    click.echo(json.dumps(report.as_json()) if as_json else "\n".join(_told(report)))
    if report.different:
        raise click.exceptions.Exit(1)


def _told(report: ReplayReport) -> list[str]:
    return [
        f"{report.played} messages played: {report.same} answers the same, "
        f"{report.different} differ; {report.adopted} key sets taken over",
        *(f"  {line}" for line in report.differences),
    ]


@click.command()
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
@DATA
@CONFIG
@FIRST
@click.option("--as", "form", type=click.Choice(["jsonl", "pcap"]), default="jsonl",
              show_default=True)  # fmt: skip
@JSON_OPTION
def export(
    target: Path, directory: Path, file: Path | None, first: int, form: str, as_json: bool
) -> None:
    """Write a journal to TARGET as JSON lines or as a capture, masked; mode 0600."""
    config = _config(file)
    codecs, entries = _codecs(config), _entries(directory, first)
    frames = {link.link: link.frames for link in config.all_links}
    count = 0
    with target.open("xb") as out:
        target.chmod(0o600)
        if form == "pcap":
            for piece in as_capture(entries, codecs, frames):
                out.write(piece)
                count += 1
            count -= 1
        else:
            for line in as_json_lines(entries, codecs):
                out.write(line.encode() + b"\n")
                count += 1
    told = {"target": str(target), "as": form, "entries": count}
    click.echo(json.dumps(told) if as_json else f"{target}: {count} entries as {form}")
