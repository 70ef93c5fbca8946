"""`lumbung programme terminal ACTION`: which EDC belongs to which shop, and its master key."""

from pathlib import Path
from typing import Any

import click

from lumbung.commands.programme_desk import (
    DATA_OPTION,
    JSON_OPTION,
    LOCAL,
    Officer,
    look_at_desk,
    officer_or_usage,
    open_desk,
    say,
    table,
)
from lumbung.commands.programme_proposals import proposal_lines, proposal_row
from programme.actors import Actor, Agency
from programme.errors import DuplicateError, NotFoundError
from programme.registry_port import TerminalView

ACTIONS = ("list", "add", "new-key", "on", "off")
_BANK = Officer(Agency.BANK)


@click.command()
@click.argument("action", type=click.Choice(ACTIONS))
@click.argument("terminal_id", metavar="[TERMINAL]", required=False)
@DATA_OPTION
@click.option("--merchant", "merchant_id", default="", help="add: its home shop.")
@click.option(
    "--maker", type=_BANK, help="add, new-key: who asks; name of the bank, or agency:name."
)
@click.option("--checker", type=_BANK, help="add, new-key: another person, if here already.")
@click.option("--officer", type=Officer(), help="on, off: who acts, as agency:name.")
@JSON_OPTION
def terminal(
    action: str,
    terminal_id: str | None,
    directory: Path,
    merchant_id: str,
    maker: Actor | None,
    checker: Actor | None,
    officer: Actor | None,
    as_json: bool,
) -> None:
    """Do ACTION on terminals: list, add, new-key, on, off.

    A master key takes two people: without --checker it is proposed, and made when another person
    approves (`proposal approve`). Its value stays in the keystore; shown is its check value.
    """
    if action == "list":
        with look_at_desk(directory) as desk:
            rows = [_row(view) for view in desk.office.terminals(LOCAL)]
        header = ("terminal", "home shop", "logged on", "state", "key")
        say({"terminals": rows}, table(header, [tuple(row.values()) for row in rows]),
            as_json=as_json)  # fmt: skip
        return
    if not terminal_id:
        raise click.UsageError(f"{action}: give the terminal's id")
    if action in ("on", "off"):
        actor = officer_or_usage(officer, action)
        with open_desk(directory) as desk:
            shops = desk.office.registry.shops
            row = _row(shops.set_active(terminal_id, action == "on", actor))
        say(row, [f"terminal {terminal_id}: {row['state']}"], as_json=as_json)
        return
    if maker is None:
        raise click.UsageError(f"{action}: give --maker, and --checker if both are here")
    _give_key(directory, action, terminal_id, merchant_id, maker, checker, as_json=as_json)


def _give_key(
    directory: Path,
    action: str,
    terminal_id: str,
    merchant_id: str,
    maker: Actor,
    checker: Actor | None,
    *,
    as_json: bool,
) -> None:
    with open_desk(directory) as desk:
        view = desk.office.registry.terminal(terminal_id)
        if action == "new-key" and view is None:
            raise NotFoundError.of("programme.terminal_unknown", terminal=terminal_id)
        if action == "add" and view is not None:
            raise DuplicateError.of("programme.terminal_known", terminal=terminal_id)
        home = merchant_id if view is None else view.home_merchant_id
        two = desk.office.two_people
        if checker is None:
            made = two.propose_key(terminal_id, home, maker)
            say(proposal_row(made), proposal_lines(made), as_json=as_json)
            return
        result = two.key_at_once(terminal_id, home, maker, checker)
    values = {
        "terminal": terminal_id, "key": result.label, "check_value": result.check_value,
        "generation": result.generation,
    }  # fmt: skip
    line = (
        f"terminal {terminal_id} at {home}: key {result.label}, check value "
        f"{result.check_value}, generation {result.generation}"
    )
    say(values, [line], as_json=as_json)


def _row(view: TerminalView) -> dict[str, Any]:
    return {
        "terminal": view.terminal_id,
        "home": view.home_merchant_id,
        "logged_on": view.merchant_id or "-",
        "state": "on" if view.active else "off",
        "key": view.key_label,
    }
