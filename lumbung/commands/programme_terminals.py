"""`lumbung programme terminal ACTION`: which EDC belongs to which shop, and its master key."""

from pathlib import Path

import click

from lumbung.carrier import Carrier
from lumbung.commands.programme_desk import (
    DATA_OPTION,
    JSON_OPTION,
    LOCAL,
    Officer,
    look_at_desk,
    look_at_registry,
    officer_or_usage,
    say,
    table,
)
from lumbung.commands.programme_proposals import proposal_lines
from programme.actors import Actor, Agency, actor_text
from programme.errors import DuplicateError, NotFoundError
from programme.rows import TerminalRow

ACTIONS = ("list", "add", "new-key", "on", "off", "log-off")
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
@click.option("--officer", type=Officer(), help="on, off, log-off: who acts, as agency:name.")
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
    """Do ACTION on terminals: list, add, new-key, on, off, log-off.

    A master key takes two people: without --checker it is proposed, and made when another person
    approves (`proposal approve`). Its value stays in the keystore; shown is its check value.
    """
    if action == "list":
        with look_at_desk(directory) as desk:
            found = desk.office.terminals(LOCAL)
        rows = [TerminalRow.of(view).model_dump(mode="json") for view in found]
        header = ("terminal", "home shop", "logged on", "state", "key")
        say({"terminals": rows}, table(header, [tuple(row.values()) for row in rows]),
            as_json=as_json)  # fmt: skip
        return
    if not terminal_id:
        raise click.UsageError(f"{action}: give the terminal's id")
    if action in ("on", "off"):
        actor = officer_or_usage(officer, action)
        asked = {"terminal": terminal_id, "on": action == "on"}
        row = Carrier(directory).do("terminal-switch", asked, actor)
        say(row, [f"terminal {terminal_id}: {row['state']}"], as_json=as_json)
        return
    if action == "log-off":
        actor = officer_or_usage(officer, action)
        row = Carrier(directory).do("terminal-log-off", {"terminal": terminal_id}, actor)
        say(row, [f"terminal {terminal_id}: logged off"], as_json=as_json)
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
    with look_at_registry(directory) as parts:
        view = parts.registry.terminal(terminal_id)
    if action == "new-key" and view is None:
        raise NotFoundError.of("programme.terminal_unknown", terminal=terminal_id)
    if action == "add" and view is not None:
        raise DuplicateError.of("programme.terminal_known", terminal=terminal_id)
    home = merchant_id if view is None else view.home_merchant_id
    asked = {"terminal": terminal_id, "merchant": home}
    carrier = Carrier(directory)
    if checker is None:
        row = carrier.do("propose-key", asked, maker)
        say(row, proposal_lines(row), as_json=as_json)
        return
    signed = {**asked, "maker": actor_text(maker), "checker": actor_text(checker)}
    row = carrier.do("give-key", signed, maker)
    line = (
        f"terminal {terminal_id} at {home}: key {row['key']}, check value "
        f"{row['check_value']}, generation {row['generation']}"
    )
    say(row, [line], as_json=as_json)
