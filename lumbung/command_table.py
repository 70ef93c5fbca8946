"""The command table as values, and the click tree that is built from it.

A command's module is imported when it is called, not before: `lumbung --help` costs no more than
click itself.
"""

import importlib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, cast

import click


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """One command of the design. `at` is empty for a command that this release does not have."""

    path: tuple[str, ...]
    summary: str
    at: str = ""
    example: str = ""

    @property
    def name(self) -> str:
        """Give the command as typed after `lumbung`."""
        return " ".join(self.path)


@cache
def command_table() -> tuple[CommandEntry, ...]:
    """Give every command in the order of the table."""
    text = files("lumbung").joinpath("command_table.toml").read_text("utf-8")
    return tuple(
        CommandEntry(path=tuple(name.split()), **cast(dict[str, str], entry))
        for name, entry in tomllib.loads(text).items()
    )


class TableGroup(click.Group):
    """A group whose sub-commands come from the table."""

    def __init__(self, *args: Any, prefix: tuple[str, ...] = (), **kwargs: Any) -> None:
        """Serve the commands that begin with `prefix`."""
        super().__init__(*args, **kwargs)
        self.prefix = prefix

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the names one level below that this release has."""
        depth = len(self.prefix)
        names = [e.path[depth] for e in self._entries() if e.at and len(e.path) > depth]
        return list(dict.fromkeys(names))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Give a command, a deeper group, or None with a plain word for one that is to come."""
        path = (*self.prefix, cmd_name)
        below = [entry for entry in self._entries() if entry.path[: len(path)] == path]
        if not below:
            return None
        entry = below[0]
        if entry.path != path:
            return TableGroup(cmd_name, prefix=path, help=_group_help(len(path), below))
        if not entry.at:
            raise click.UsageError(
                f"lumbung {entry.name} ({entry.summary}) is not in this release. "
                "docs/reference/commands.md lists what is."
            )
        module, _, attribute = entry.at.partition(":")
        command = cast(click.Command, getattr(importlib.import_module(module), attribute))
        command.name = cmd_name
        command.epilog = f"Example: {entry.example}"
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list from the table, so that help imports no command."""
        depth = len(self.prefix)
        rows = []
        for name in self.list_commands(ctx):
            entry = next(e for e in self._entries() if e.path[depth] == name)
            below = [e for e in self._entries() if e.at and e.path[depth] == name]
            alone = len(entry.path) == depth + 1
            rows.append((name, entry.summary if alone else _group_help(depth + 1, below)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _entries(self) -> list[CommandEntry]:
        depth = len(self.prefix)
        return [e for e in command_table() if e.path[:depth] == self.prefix and len(e.path) > depth]


def _group_help(depth: int, below: list[CommandEntry]) -> str:
    names = [" ".join(entry.path[depth:]) for entry in below if entry.at]
    return ", ".join(names) or "not in this release"
