"""`lumbung programme token ACTION`: who may use the administration interface, until when."""

from pathlib import Path
from typing import Any

import click

from lumbung.commands.programme_desk import (
    DATA_OPTION,
    JSON_OPTION,
    Officer,
    look_at_registry,
    officer_or_usage,
    say,
    table,
    write_registry,
)
from programme.actors import Actor
from programme.limits import TOKEN_DAYS_MAX
from programme.registry.tokens import TokenRecord
from programme.rows import TokenRow


@click.command()
@click.argument("action", type=click.Choice(("new", "list", "revoke")))
@click.argument("number", type=click.IntRange(1), required=False)
@DATA_OPTION
@click.option("--officer", type=Officer(), help="Who issues or revokes: operator or diskominfo.")
@click.option("--bearer", type=Officer(), help="new: whose token it is, as agency:name.")
@click.option("--days", type=click.IntRange(1, TOKEN_DAYS_MAX), default=30, show_default=True,
              help="new: for how many days.")  # fmt: skip
@JSON_OPTION
def token(
    action: str,
    number: int | None,
    directory: Path,
    officer: Actor | None,
    bearer: Actor | None,
    days: int,
    as_json: bool,
) -> None:
    """Do ACTION on tokens: new, list, revoke NUMBER.

    A new token is shown once and kept as a hash; a revoked one is refused from now on. Works beside
    a running switch and a running `programme serve`.
    """
    if action == "list":
        with look_at_registry(directory) as parts:
            found = parts.registry.tokens.all()
        rows = [_row(record) for record in found]
        header = ("token", "bearer", "issued", "expires", "revoked")
        say({"tokens": rows}, table(header, [tuple(row.values()) for row in rows]), as_json=as_json)
        return
    actor = officer_or_usage(officer, action)
    if action == "revoke":
        if number is None:
            raise click.UsageError("revoke: give the number of a token")
        with write_registry(directory) as registry:
            row = _row(registry.tokens.revoke(number, actor))
        say(row, [f"token {number}: revoked"], as_json=as_json)
        return
    if bearer is None:
        raise click.UsageError("new: say whose it is with --bearer")
    with write_registry(directory) as registry:
        record, secret = registry.tokens.issue(bearer, days, actor)
    row = _row(record)
    shown = secret.reveal().hex()
    lines = [f"token {record.number} of {row['bearer']}, until {row['expires_on']}", shown]
    say({**row, "secret": shown}, lines, as_json=as_json)


def _row(record: TokenRecord) -> dict[str, Any]:
    return TokenRow.of(record).model_dump(mode="json")
