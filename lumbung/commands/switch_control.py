"""`lumbung switch status|ask`: a running switch, asked over its control channel."""

import json
from pathlib import Path
from typing import Any

import click

from switch.control_client import ControlClient

DATA_OPTION = click.option(
    "--data", "directory", type=click.Path(path_type=Path), required=True,
    help="The data directory that the switch runs on.",
)  # fmt: skip
JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")


@click.command()
@DATA_OPTION
@JSON_OPTION
def status(directory: Path, as_json: bool) -> None:
    """Say how a running switch is; exit code 0 when it is ready, else 1."""
    with ControlClient(directory.absolute()) as client:
        found = client.ask("status")
    if as_json:
        click.echo(json.dumps(found))
    else:
        click.echo("\n".join(_lines(found)))
    if not found["ready"]:
        raise click.exceptions.Exit(1)


def _lines(found: dict[str, Any]) -> list[str]:
    state = "ready" if found["ready"] else found["unfit"] or "draining"
    lines = [
        f"{found['node']}: {state}, business date {found['business_date']}, "
        f"rules {found['rules']}, {found['in_flight']} under way"
    ]
    lines += [
        f"  {link['link']:<12} {link['host']}:{link['port']} {link['spec']}"
        f"{' TLS' if link['tls'] else ''}, {link['connections']} connections"
        for link in found["links"]
    ]
    lines += [
        f"  host {host['host']:<12} {host['state']}, {host['pending']} under way"
        for host in found["hosts"]
    ]
    answers = ", ".join(f"{name} {count}" for name, count in sorted(found["answers"].items()))
    return [*lines, f"  answers: {answers or 'none yet'}"]


@click.command()
@click.argument("command")
@click.argument("arguments", nargs=-1, metavar="[NAME=VALUE]...")
@DATA_OPTION
@click.option("--detached", is_flag=True, help="Do not wait for a job; `ask job job=N` looks.")
@JSON_OPTION
def ask(
    command: str, arguments: tuple[str, ...], directory: Path, detached: bool, as_json: bool
) -> None:
    """Ask a running switch COMMAND; `ask commands` lists what there is.

    A value that is JSON (a number, true, a list) is taken as that, anything else as text. A job's
    progress goes to standard error.
    """

    def progress(told: Any) -> None:
        if told["of"]:
            click.echo(f"{told['name']}: {told['done']} of {told['of']}", err=True)

    asked = dict(_argument(text) for text in arguments)
    with ControlClient(directory.absolute()) as client:
        found = client.ask(command, asked, on_progress=progress, detached=detached)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
    elif command == "commands":
        for entry in found["commands"]:
            click.echo(f"{entry['name']:<14} {entry['kind']:<6} {entry['summary']}")
    else:
        for name, value in found.items():
            click.echo(f"{name}: {value if isinstance(value, str) else json.dumps(value)}")


def _argument(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="ARGUMENTS")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
