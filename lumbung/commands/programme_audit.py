"""`lumbung programme audit ACTION`: who changed what, and whether anybody altered that since."""

from pathlib import Path
from typing import Any

import click

from lumbung.commands.programme_desk import DATA_OPTION, JSON_OPTION, look_at_registry, say
from programme.registry.audit import AuditRecord
from protocols.business_time import wita


class Head(click.ParamType[tuple[int, bytes]]):
    """A head of the trail that was kept elsewhere: `version:64 hexadecimal digits`."""

    name = "version:hash"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, bytes]:
        """Give version and chain value; fail with what a head looks like."""
        if isinstance(value, tuple):
            return value
        version, _, text = str(value).partition(":")
        try:
            chain = bytes.fromhex(text)
        except ValueError:
            chain = b""
        if not version.isdigit() or len(chain) != 32:
            self.fail("write version:hash as `audit tail` shows it", param, ctx)
        return int(version), chain


@click.command()
@click.argument("action", type=click.Choice(("verify", "tail")))
@DATA_OPTION
@click.option("--count", type=click.IntRange(1, 100_000), default=20, show_default=True,
              help="tail: how many changes.")  # fmt: skip
@click.option("--expect", type=Head(), help="verify: a head of an earlier day, kept elsewhere.")
@JSON_OPTION
def audit(
    action: str,
    directory: Path,
    count: int,
    expect: tuple[int, bytes] | None,
    as_json: bool,
) -> None:
    """Show the newest changes with their head, or compute the whole chain of them again.

    Exit code 1 when a change was altered or taken out. A trail that was cut off, or written anew
    from the start, is found with --expect only: keep a head where the database's keeper cannot
    reach it. Works beside a running switch.
    """
    with look_at_registry(directory) as parts:
        trail = parts.registry.trail
        if action == "tail":
            rows = trail.tail(count)
            version, chain = trail.head()
            values = {"version": version, "chain": chain.hex(),
                      "changes": [_row(row) for row in rows]}  # fmt: skip
            say(values, [*map(_line, rows), f"head {version}:{chain.hex()}"], as_json=as_json)
            return
        check = trail.verify(expect)
    whole, head = check.broken_at is None, f"{check.version}:{check.chain.hex()}"
    values = {
        "version": check.version, "chain": check.chain.hex(), "whole": whole,
        "broken_at": check.broken_at, "why": check.why,
    }  # fmt: skip
    line = f"change {check.broken_at}: {check.why}"
    if whole:
        line = f"{check.version} changes, the chain is whole; head {head}"
    say(values, [line], as_json=as_json)
    if not whole:
        raise click.exceptions.Exit(1)


def _row(record: AuditRecord) -> dict[str, Any]:
    return {
        "version": record.version, "at": wita(record.at_ns).isoformat(timespec="seconds"),
        "by": f"{record.agency}/{record.person}", "subject": record.subject,
        "number": record.number, "action": record.action, "detail": record.detail,
        "before": record.before, "after": record.after, "chain": record.chain.hex(),
    }  # fmt: skip


def _line(record: AuditRecord) -> str:
    at = wita(record.at_ns).isoformat(sep=" ", timespec="seconds")
    change = f" {record.before} -> {record.after}" if record.after else ""
    detail = f" ({record.detail})" if record.detail else ""
    return (
        f"{record.version:>6}  {at}  {record.agency}/{record.person}: {record.subject} "
        f"{record.number} {record.action}{detail}{change}"
    )
