"""`lumbung programme proposal ACTION`: what one person proposes and another approves."""

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
    officer_or_usage,
    say,
    table,
)
from lumbung.progress import progress
from programme.actors import Actor
from programme.registry.proposals import Proposal, ProposalState
from programme.rows import ProposalRow
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
        _list([proposal_row(p) for p in found], as_json=as_json)
        return
    carrier = Carrier(directory)
    if action == "refund":
        asked = _refund_arguments(**given)
        row = carrier.do("propose-refund", asked, officer_or_usage(officer, action))
    elif number is None:
        raise click.UsageError(f"{action}: give the number of a proposal")
    elif action == "show":
        with look_at_desk(directory) as desk:
            row = proposal_row(desk.office.proposal(number, LOCAL))
    elif action == "run":
        row = carrier.do("carry-out", {"proposal": number}, LOCAL, tell=tell_progress)
    else:
        row = _decide(carrier, action, number, officer_or_usage(officer, action), given)
    say(row, proposal_lines(row), as_json=as_json)


def _decide(
    carrier: Carrier, action: str, number: int, actor: Actor, given: dict[str, Any]
) -> dict[str, Any]:
    asked: dict[str, Any] = {"proposal": number}
    if action == "reject":
        if not given["reason"]:
            raise click.UsageError("reject: say why with --reason")
        asked["reason"] = given["reason"]
    row = carrier.do(action, asked, actor)
    if action == "approve" and not given["only"]:
        row = carrier.do("carry-out", asked, actor, tell=tell_progress)
    return row


def _refund_arguments(
    *, sale: int | None, amount: int | None, reason: str, only: bool
) -> dict[str, Any]:
    del only  # says something about approving alone
    if sale is None or amount is None or not reason:
        raise click.UsageError("refund: give --sale, --amount and --reason")
    return {"sale": f"{sale:032x}", "amount_sen": amount * SEN_PER_RUPIAH, "reason": reason}


def tell_progress(done: int, of: int) -> None:
    """Say on standard error how far a run is."""
    progress("cards")(done, of)


def proposal_row(found: Proposal) -> dict[str, Any]:
    """Give a proposal as JSON has it."""
    return ProposalRow.of(found).model_dump(mode="json")


def proposal_lines(row: dict[str, Any]) -> list[str]:
    """Give the row of a proposal as people read it."""
    terms = ", ".join(f"{name} {value}" for name, value in row["terms"].items() if value != "")
    lines = [
        f"proposal {row['proposal']}: {row['kind']}, {row['state']}",
        f"  {terms}",
        f"  {row['made_on']}  proposed by {row['maker']}",
    ]
    if row["checker"]:
        word = "rejected" if row["state"] == ProposalState.REJECTED.value else "approved"
        lines.append(f"  {row['decided_on']}  {word} by {row['checker']}")
    if row["outcome"]:
        lines.append("  " + ", ".join(f"{name} {value}" for name, value in row["outcome"].items()))
    return lines


def _list(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    header = ("proposal", "kind", "state", "made", "by", "decided by")
    shown = [
        (row["proposal"], row["kind"], row["state"], row["made_on"], row["maker"],
         row["checker"] or "-")
        for row in rows
    ]  # fmt: skip
    say({"proposals": rows}, table(header, shown), as_json=as_json)
