"""`lumbung programme card ACTION`: cards in the field, masked to four digits, without holders."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
from programme.actors import Actor
from programme.limits import ACT_CARDS_MAX
from programme.registry_port import BlockReason, CardStatus
from programme.reports.table import shown_rupiah
from programme.rows import CardFileRow, CardRow

_STEPS = {
    "deliver": CardStatus.AT_BANK,
    "collect": CardStatus.COLLECTED,
    "activate": CardStatus.ACTIVE,
    "close": CardStatus.CLOSED,
}
#: From which state `--all` takes the cards of a step.
_BEFORE = {
    "deliver": CardStatus.PRINTED,
    "collect": CardStatus.AT_BANK,
    "activate": CardStatus.COLLECTED,
}
ACTIONS = ("list", "show", "issue", "block", "unblock", "replace", *_STEPS)
#: Printed cards between two words of progress.
PRINTED_TOLD = 200
REASONS = {reason.value: reason for reason in BlockReason}


@click.command()
@click.argument("action", type=click.Choice(ACTIONS))
@click.argument("numbers", type=click.IntRange(1), nargs=-1)
@DATA_OPTION
@click.option("--officer", type=Officer(), help="Who acts, as agency:name (dinsos:staf-02).")
@click.option(
    "--reason",
    type=click.Choice(list(REASONS)),
    help="Why a card is blocked: "
    + ", ".join(f"{r.value} {r.name.lower().replace('_', ' ')}" for r in BlockReason),
)
@click.option(
    "--decree",
    type=click.IntRange(1),
    help="issue: a card for each person of it; block: of people whose aid it ended.",
)
@click.option("--all", "every", is_flag=True, help="deliver, collect, activate: all that wait.")
@click.option(
    "--status", type=click.Choice([s.value for s in CardStatus]), help="list: this state."
)
@click.option("--district", default="", help="list: this district.")
@click.option("--after", type=click.IntRange(0), default=0, help="list: after this number.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@JSON_OPTION
def card(
    action: str,
    numbers: tuple[int, ...],
    directory: Path,
    officer: Actor | None,
    reason: str | None,
    decree: int | None,
    every: bool,
    as_json: bool,
    **wanted: Any,
) -> None:
    """Do ACTION on cards, by their registry NUMBERS.

    Actions: list, show, issue, block, unblock, replace, deliver, collect, activate, close. All
    cards of a call or none (of each 5,000). A block is in force when the command has ended. A
    virtual chip and a PIN letter of each printed card are written to DIR/cards/.
    """
    if action == "list":
        _list(directory, as_json=as_json, **wanted)
        return
    by_decree = action in ("block", "issue") and decree is not None
    if every and (numbers or action not in _BEFORE):
        raise click.UsageError("--all goes with deliver, collect or activate, without numbers")
    if not numbers and not by_decree and not every:
        raise click.UsageError(f"{action}: give the registry number of a card")
    if action == "show":
        _show(directory, numbers, as_json=as_json)
        return
    actor = officer_or_usage(officer, action)
    name, asked = _asked(action, numbers, reason, decree)
    if every:
        asked["cards"] = _waiting(directory, action)
    rows = _do(Carrier(directory), name, asked, actor)
    lines = (_told(action, row, actor) for row in rows)
    say({"action": action, "cards": rows}, lines, as_json=as_json)


def _asked(
    action: str, numbers: tuple[int, ...], reason: str | None, decree: int | None
) -> tuple[str, dict[str, Any]]:
    """Give the act's name and what it is asked."""
    if action == "issue":
        if numbers or decree is None:
            raise click.UsageError("issue: give --decree, and no numbers")
        return "card-issue", {"decree": decree}
    if action == "block" and decree is not None:
        if numbers or reason:
            raise click.UsageError("block: give either numbers with --reason, or --decree")
        return "card-block-ended", {"decree": decree}
    cards: dict[str, Any] = {"cards": list(dict.fromkeys(numbers))}
    if action == "block":
        if reason is None:
            raise click.UsageError(f"block: say why with --reason {'|'.join(REASONS)}")
        return "card-block", {**cards, "reason": reason}
    if action == "replace":
        if len(numbers) != 1:
            raise click.UsageError("replace: one card at a time")
        return "card-replace", {"card": numbers[0]}
    if action == "unblock":
        return "card-unblock", cards
    return "card-move", {**cards, "to": _STEPS[action].value}


def _do(carrier: Carrier, name: str, asked: dict[str, Any], actor: Actor) -> list[dict[str, Any]]:
    """Do the act; more cards than one call takes are done in several, each of them whole."""
    if "cards" not in asked:
        done = carrier.do(name, asked, actor, tell=_tell_printed)
        rows: list[dict[str, Any]] = done.get("cards", [done])
        return rows
    rows = []
    for start in range(0, len(asked["cards"]), ACT_CARDS_MAX):
        part = asked["cards"][start : start + ACT_CARDS_MAX]
        rows += carrier.do(name, {**asked, "cards": part}, actor)["cards"]
    return rows


def _tell_printed(done: int, of: int) -> None:
    if done and done % PRINTED_TOLD == 0:
        click.echo(f"{done} of {of} cards printed", err=True)


def _waiting(directory: Path, action: str) -> list[int]:
    with look_at_registry(directory) as parts:
        cards = parts.registry.all_cards()
    return [card.card_number for card in cards if card.status is _BEFORE[action]]


def _list(
    directory: Path, *, status: str | None, district: str, after: int, limit: int, as_json: bool
) -> None:
    with look_at_desk(directory) as desk:
        found = desk.office.cards(
            LOCAL,
            status=CardStatus(status) if status else None,
            district=district, after=after, limit=limit,
        )  # fmt: skip
    rows = [CardRow.of(entry).model_dump(mode="json") for entry in found]
    header = ("card", "last four", "state", "reason", "district", "village", "since", "by")
    lines = [
        (row["card"], row["last_four"], row["status"], row["reason"] or "-", row["district"],
         row["village"], row["since"], row["by"])
        for row in rows
    ]  # fmt: skip
    say({"cards": rows}, table(header, lines), as_json=as_json)


def _show(directory: Path, numbers: tuple[int, ...], *, as_json: bool) -> None:
    with look_at_desk(directory) as desk:
        found = [desk.office.card(number, LOCAL) for number in numbers]
    rows = [CardFileRow.of_file(item).model_dump(mode="json") for item in found]
    say({"cards": rows}, (line for row in rows for line in _file_lines(row)), as_json=as_json)


def _told(action: str, row: dict[str, Any], actor: Actor) -> str:
    reason = f" ({row['reason']})" if row["reason"] else ""
    replaces = f", replaces card {row['replaces']}" if action == "replace" else ""
    return (
        f"card {row['card']} **** {row['last_four']}: {row['status']}{reason}{replaces}, "
        f"by {actor.agency.value}/{actor.person}"
    )


def _file_lines(row: dict[str, Any]) -> Iterator[str]:
    state = f"{row['status']} {row['reason'] or ''}".rstrip()
    yield f"card {row['card']} **** {row['last_four']}: {state}"
    yield f"  {row['village']}, {row['district']}"
    for month in row["months"]:
        yield (
            f"  {month['period']}  {month['source']:<6} decree {month['decree']}, "
            f"Rp{shown_rupiah(month['amount_sen'])}, left Rp{shown_rupiah(month['left_sen'])}"
        )
    why = f": {row['zero_reason']} {row['zero_since'] or ''}".rstrip() if row["zero_reason"] else ""
    yield f"  balance Rp{shown_rupiah(row['balance_sen'])}{why}"
    for step in row["steps"]:
        yield f"  {step['on']}  {step['status']} {step['reason'] or ''}  {step['by']}"
