"""`lumbung programme card ACTION`: cards in the field, masked to four digits, without holders."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from lumbung.commands.programme_bureau import issue_cards, replace_card
from lumbung.commands.programme_desk import (
    DATA_OPTION,
    JSON_OPTION,
    LOCAL,
    Desk,
    Officer,
    day_of,
    look_at_desk,
    officer_or_usage,
    open_desk,
    say,
    table,
)
from programme.actors import Actor
from programme.offices import CardFile
from programme.registry.lists import CardEntry
from programme.registry_port import BlockReason, CardStatus
from programme.reports.table import shown_rupiah

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
    cards of a call or none. A block is in force when the command has ended. A virtual chip and a
    PIN letter of each printed card are written to DIR/cards/.
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
    with open_desk(directory) as desk:
        if action == "issue":
            changed = _issue(desk, numbers, decree, actor)
        elif action == "block":
            changed = _block(desk, numbers, reason, decree, actor)
        elif action == "replace":
            changed = _replace(desk, numbers, actor)
        else:
            changed = _waiting(desk, action) if every else list(numbers)
            _change(desk, action, changed, actor)
        rows = [_entry_row(entry) for entry in desk.office.registry.lists.cards(changed)]
    lines = (_told(action, row, actor) for row in rows)
    say({"action": action, "cards": rows}, lines, as_json=as_json)


def _issue(desk: Desk, numbers: tuple[int, ...], decree: int | None, actor: Actor) -> list[int]:
    if numbers or decree is None:
        raise click.UsageError("issue: give --decree, and no numbers")
    issued = issue_cards(desk.parts, desk.office, decree, actor, on_card=_tell_printed)
    return [card.card_number for card in issued]


def _tell_printed(done: int, of: int) -> None:
    if done % PRINTED_TOLD == 0:
        click.echo(f"{done} of {of} cards printed", err=True)


def _waiting(desk: Desk, action: str) -> list[int]:
    cards = desk.office.registry.all_cards()
    return [card.card_number for card in cards if card.status is _BEFORE[action]]


def _change(desk: Desk, action: str, numbers: Sequence[int], actor: Actor) -> None:
    if action == "unblock":
        desk.office.unblock(numbers, actor)
    else:
        desk.office.move(numbers, _STEPS[action], actor)


def _block(
    desk: Desk, numbers: tuple[int, ...], reason: str | None, decree: int | None, actor: Actor
) -> list[int]:
    if decree is not None:
        if numbers or reason:
            raise click.UsageError("block: give either numbers with --reason, or --decree")
        found = desk.office.block_ended(decree, actor)
        return sorted(number for group in found.values() for number in group)
    if reason is None:
        raise click.UsageError(f"block: say why with --reason {'|'.join(REASONS)}")
    desk.office.block(numbers, REASONS[reason], actor)
    return list(numbers)


def _replace(desk: Desk, numbers: tuple[int, ...], actor: Actor) -> list[int]:
    if len(numbers) != 1:
        raise click.UsageError("replace: one card at a time")
    return [replace_card(desk.parts, desk.office, numbers[0], actor).card_number]


def _list(
    directory: Path, *, status: str | None, district: str, after: int, limit: int, as_json: bool
) -> None:
    with look_at_desk(directory) as desk:
        found = desk.office.cards(
            LOCAL,
            status=CardStatus(status) if status else None,
            district=district, after=after, limit=limit,
        )  # fmt: skip
    rows = [_entry_row(entry) for entry in found]
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
    values = {"cards": [_file_row(item) for item in found]}
    say(values, (line for item in found for line in _file_lines(item)), as_json=as_json)


def _told(action: str, row: dict[str, Any], actor: Actor) -> str:
    reason = f" ({row['reason']})" if row["reason"] else ""
    replaces = f", replaces card {row['replaces']}" if action == "replace" else ""
    return (
        f"card {row['card']} **** {row['last_four']}: {row['status']}{reason}{replaces}, "
        f"by {actor.agency.value}/{actor.person}"
    )


def _entry_row(entry: CardEntry) -> dict[str, Any]:
    return {
        "card": entry.card_number,
        "last_four": entry.last_four,
        "status": entry.status.value,
        "reason": entry.block_reason.value if entry.block_reason else None,
        "district": entry.district,
        "village": entry.village,
        "since": day_of(entry.since_ns),
        "by": f"{entry.agency}/{entry.person}",
        "replaces": entry.replaces_card_number,
    }


def _file_row(item: CardFile) -> dict[str, Any]:
    statement = item.statement
    return {
        **_entry_row(item.entry),
        "balance_sen": statement.left_sen,
        "zero_reason": statement.zero_reason.value if statement.zero_reason else None,
        "zero_since": day_of(statement.zero_since_ns) if statement.zero_since_ns else None,
        "months": [
            {"period": t.period, "source": t.source.name, "budget_year": t.budget_year,
             "decree": t.decree_number, "amount_sen": t.amount_sen, "left_sen": t.left_sen,
             "expires_on": t.expires_on.isoformat() if t.expires_on else None}
            for t in statement.tranches
        ],
        "steps": [
            {"status": status.value, "reason": reason.value if reason else None,
             "on": day_of(at_ns), "by": f"{agency}/{person}"}
            for status, reason, at_ns, agency, person in item.steps
        ],
    }  # fmt: skip


def _file_lines(item: CardFile) -> Iterator[str]:
    row = _file_row(item)
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
