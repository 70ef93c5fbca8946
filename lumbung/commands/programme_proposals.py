"""`lumbung programme proposal ACTION`: what one person proposes and another approves."""

from pathlib import Path
from typing import Any

import click

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
from programme.registry.proposals import Proposal, ProposalState
from protocols.values import SEN_PER_RUPIAH

ACTIONS = ("list", "show", "approve", "reject", "withdraw", "run", "refund")


class SaleId(click.ParamType[int]):
    """A purchase's ledger id: 32 hexadecimal digits, as on reports and `ledger entries`."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Give the id; fail for what is no hexadecimal number."""
        if isinstance(value, int):
            return value
        try:
            return int(str(value), 16)
        except ValueError:
            self.fail("write the id in hexadecimal digits", param, ctx)


@click.command()
@click.argument("action", type=click.Choice(ACTIONS))
@click.argument("number", type=click.IntRange(1), required=False)
@DATA_OPTION
@click.option("--officer", type=Officer(), help="Who acts, as agency:name (dinsos:staf-02).")
@click.option("--reason", default="", help="reject, refund: why.")
@click.option("--state", type=click.Choice([s.value for s in ProposalState]), help="list: these.")
@click.option("--only", is_flag=True, help="approve: do not carry it out yet.")
@click.option("--sale", type=SaleId(), help="refund: the purchase's ledger id.")
@click.option("--amount", type=click.IntRange(1), help="refund: whole rupiah.")
@JSON_OPTION
def proposal(
    action: str,
    number: int | None,
    directory: Path,
    officer: Actor | None,
    state: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Do ACTION on proposals: list, show, approve, reject, withdraw, run, refund.

    Approving carries the proposal out at once, or later by `run`; stopped in the middle, `run`
    finishes it. `refund` proposes to give a purchase back to its card.
    """
    if action == "list":
        with look_at_desk(directory) as desk:
            found = desk.office.proposals(LOCAL, ProposalState(state) if state else None)
        _list(found, as_json=as_json)
        return
    if action == "refund":
        _propose_refund(directory, officer_or_usage(officer, action), as_json=as_json, **given)
        return
    if number is None:
        raise click.UsageError(f"{action}: give the number of a proposal")
    if action == "show":
        with look_at_desk(directory) as desk:
            done = desk.office.registry.proposals.get(number)
    else:
        actor = LOCAL if action == "run" else officer_or_usage(officer, action)
        with open_desk(directory) as desk:
            done = _act(desk, action, number, actor, given)
    say(proposal_row(done), proposal_lines(done), as_json=as_json)


def _act(desk: Desk, action: str, number: int, actor: Actor, given: dict[str, Any]) -> Proposal:
    two = desk.office.two_people
    if action == "reject":
        if not given["reason"]:
            raise click.UsageError("reject: say why with --reason")
        return two.reject(number, actor, given["reason"])
    if action == "withdraw":
        return two.withdraw(number, actor)
    if action == "approve":
        approved = two.approve(number, actor)
        if given["only"]:
            return approved
    done, _result = two.carry_out(number, on_group=tell_progress)
    return done


def _propose_refund(
    directory: Path,
    actor: Actor,
    *,
    sale: int | None,
    amount: int | None,
    reason: str,
    only: bool,
    as_json: bool,
) -> None:
    del only  # says something about approving alone
    if sale is None or amount is None or not reason:
        raise click.UsageError("refund: give --sale, --amount and --reason")
    with open_desk(directory) as desk:
        amount_sen = amount * SEN_PER_RUPIAH
        made = desk.office.two_people.propose_refund(sale, amount_sen, reason, actor)
    say(proposal_row(made), proposal_lines(made), as_json=as_json)


def tell_progress(done: int, of: int) -> None:
    """Say on standard error how far a run is."""
    click.echo(f"{done} of {of} cards", err=True)


def proposal_row(found: Proposal) -> dict[str, Any]:
    """Give a proposal as JSON has it."""
    return {
        "proposal": found.number,
        "kind": found.kind.value,
        "state": found.state.value,
        "terms": found.terms,
        "maker": _name(found.maker),
        "made_on": day_of(found.made_at_ns),
        "checker": _name(found.checker) if found.checker else None,
        "decided_on": day_of(found.decided_at_ns),
        "done_on": day_of(found.done_at_ns),
        "outcome": found.outcome,
    }


def proposal_lines(found: Proposal) -> list[str]:
    """Give a proposal as people read it."""
    terms = ", ".join(f"{name} {value}" for name, value in found.terms.items() if value != "")
    lines = [
        f"proposal {found.number}: {found.kind.value}, {found.state.value}",
        f"  {terms}",
        f"  {day_of(found.made_at_ns)}  proposed by {_name(found.maker)}",
    ]
    if found.checker:
        word = "rejected" if found.state is ProposalState.REJECTED else "approved"
        lines.append(f"  {day_of(found.decided_at_ns)}  {word} by {_name(found.checker)}")
    if found.outcome:
        lines.append("  " + ", ".join(f"{name} {value}" for name, value in found.outcome.items()))
    return lines


def _list(found: list[Proposal], *, as_json: bool) -> None:
    header = ("proposal", "kind", "state", "made", "by", "decided by")
    rows = [
        (p.number, p.kind.value, p.state.value, day_of(p.made_at_ns), _name(p.maker),
         _name(p.checker) if p.checker else "-")
        for p in found
    ]  # fmt: skip
    say({"proposals": [proposal_row(p) for p in found]}, table(header, rows), as_json=as_json)


def _name(actor: Actor) -> str:
    return f"{actor.agency.value}/{actor.person}"
