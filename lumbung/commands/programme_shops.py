"""`lumbung programme merchant ACTION`: who may be an E-Warong, and who is suspended."""

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
from programme.actors import Actor
from programme.offices import Office
from programme.registry import MerchantKind
from programme.registry_port import MerchantView
from programme.reports.table import shown_rupiah
from programme.rows import MerchantRow, named

DAY = click.DateTime(formats=["%Y-%m-%d"])
ACTIONS = ("list", "show", "add", "designate", "suspend", "resume", "resume-due")


@click.command()
@click.argument("action", type=click.Choice(ACTIONS))
@click.argument("merchant_ids", metavar="[MERCHANT]...", nargs=-1)
@DATA_OPTION
@click.option("--officer", type=Officer(), help="Who acts, as agency:name (dinsos:staf-02).")
@click.option("--reason", default="", help="suspend: why.")
@click.option("--until", type=DAY, help="suspend: the last day that is meant.")
@click.option("--district", default="", help="list, add: the district.")
@click.option("--village", default="", help="add: the village.")
@click.option("--name", default="", help="add: the shop's name.")
@click.option("--kind", type=click.Choice([k.value for k in MerchantKind]), help="add: its kind.")
@click.option("--category", default="", help="add: its category (ISO 18245).")
@click.option("--also", multiple=True, help="add: a conditional category registered by name.")
@JSON_OPTION
def merchant(
    action: str,
    merchant_ids: tuple[str, ...],
    directory: Path,
    officer: Actor | None,
    reason: str,
    until: Any,
    as_json: bool,
    **fields: Any,
) -> None:
    """Do ACTION on shops: list, show, add, designate, suspend, resume, resume-due.

    A shop sells once it is designated, has a category of the purse, and is not suspended.
    `resume-due` ends the suspensions whose --until has passed: run it each morning.
    """
    if action == "list":
        _list(directory, fields["district"], as_json=as_json)
        return
    if action == "resume-due":
        _resume_due(directory, officer_or_usage(officer, action), as_json=as_json)
        return
    if len(merchant_ids) != 1:
        raise click.UsageError(f"{action}: give one merchant id")
    if action == "show":
        with look_at_desk(directory) as desk:
            row = _row(desk.office, desk.office.merchant(merchant_ids[0], LOCAL))
        say(row, (f"{name:<14} {value}" for name, value in row.items()), as_json=as_json)
        return
    actor = officer_or_usage(officer, action)
    asked = _asked(action, merchant_ids[0], reason, until, fields)
    row = Carrier(directory).do(f"merchant-{action}", asked, actor)
    line = f"{row['merchant']}: {action}, by {named(actor)}"
    say({"action": action, **row}, [line], as_json=as_json)


def _asked(
    action: str, merchant_id: str, reason: str, until: Any, fields: dict[str, Any]
) -> dict[str, Any]:
    if action == "add":
        missing = [n for n in ("name", "kind", "district", "village", "category") if not fields[n]]
        if missing:
            raise click.UsageError("add: give " + ", ".join(f"--{name}" for name in missing))
        return {"merchant": merchant_id, **fields, "also": list(fields["also"])}
    if action != "suspend":
        return {"merchant": merchant_id}
    if not reason:
        raise click.UsageError("suspend: say why with --reason")
    last_day = {"until": until.date().isoformat()} if until else {}
    return {"merchant": merchant_id, "reason": reason, **last_day}


def _resume_due(directory: Path, actor: Actor, *, as_json: bool) -> None:
    done = Carrier(directory).do("merchant-resume-due", {}, actor)
    lines = [f"{row['merchant']}: resume, by {named(actor)}" for row in done["merchants"]]
    say(done, lines or ["no suspension has ended"], as_json=as_json)


def _list(directory: Path, district: str, *, as_json: bool) -> None:
    with look_at_desk(directory) as desk:
        shops = desk.office.merchants(LOCAL, district=district)
        rows = [_row(desk.office, shop) for shop in shops]
    header = ("merchant", "name", "kind", "category", "district", "village", "state", "owed Rp")
    lines = [
        (row["merchant"], row["name"], row["kind"], row["category"], row["district"],
         row["village"], row["state"], shown_rupiah(row["owed_sen"]))
        for row in rows
    ]  # fmt: skip
    say({"merchants": rows}, table(header, lines), as_json=as_json)


def _row(office: Office, shop: MerchantView) -> dict[str, Any]:
    accounts = office.ledger.lookup_accounts(list(shop.payable_accounts.values()))
    owed_sen = sum(account.credit_balance for account in accounts if account is not None)
    return {**MerchantRow.of(office, shop).model_dump(mode="json"), "owed_sen": owed_sen}
