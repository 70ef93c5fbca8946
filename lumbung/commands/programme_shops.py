"""`lumbung programme merchant ACTION`: who may be an E-Warong, and who is suspended."""

from pathlib import Path
from typing import Any

import click

from lumbung.commands.programme_desk import (
    DATA_OPTION,
    JSON_OPTION,
    LOCAL,
    Desk,
    Officer,
    look_at_desk,
    officer_or_usage,
    open_desk,
    say,
    table,
)
from programme.actors import Actor
from programme.offices import Office
from programme.registry import MerchantKind, MerchantRequest
from programme.registry_port import MerchantView
from programme.reports.table import shown_rupiah

ACTIONS = ("list", "show", "add", "designate", "suspend", "resume")


@click.command()
@click.argument("action", type=click.Choice(ACTIONS))
@click.argument("merchant_ids", metavar="[MERCHANT]...", nargs=-1)
@DATA_OPTION
@click.option("--officer", type=Officer(), help="Who acts, as agency:name (dinsos:staf-02).")
@click.option("--reason", default="", help="suspend: why.")
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
    as_json: bool,
    **fields: Any,
) -> None:
    """Do ACTION on shops: list, show, add, designate, suspend, resume.

    A shop sells once it is designated, has a category of the purse, and is not suspended.
    """
    if action == "list":
        _list(directory, fields["district"], as_json=as_json)
        return
    if len(merchant_ids) != 1:
        raise click.UsageError(f"{action}: give one merchant id")
    if action == "show":
        with look_at_desk(directory) as desk:
            row = _row(desk.office, desk.office.merchant(merchant_ids[0], LOCAL))
        say(row, (f"{name:<14} {value}" for name, value in row.items()), as_json=as_json)
        return
    actor = officer_or_usage(officer, action)
    with open_desk(directory) as desk:
        changed = _change(desk, action, merchant_ids[0], actor, reason, fields)
        row = _row(desk.office, changed)
    line = f"{changed.merchant_id}: {action}, by {actor.agency.value}/{actor.person}"
    say({"action": action, **row}, [line], as_json=as_json)


def _change(
    desk: Desk, action: str, merchant_id: str, actor: Actor, reason: str, fields: dict[str, Any]
) -> MerchantView:
    if action == "add":
        missing = [n for n in ("name", "kind", "district", "village", "category") if not fields[n]]
        if missing:
            raise click.UsageError("add: give " + ", ".join(f"--{name}" for name in missing))
        also = frozenset(fields.pop("also"))
        kind = MerchantKind(fields.pop("kind"))
        request = MerchantRequest(
            merchant_id=merchant_id, kind=kind, conditional_categories=also, **fields
        )
        return desk.office.add_merchant(request, actor)
    if action == "designate":
        return desk.office.designate(merchant_id, actor)
    if action == "suspend":
        return desk.office.registry.suspend(merchant_id, actor, reason)
    return desk.office.registry.shops.resume(merchant_id, actor)


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
    state = "suspended" if shop.suspended else "designated" if shop.designated else "registered"
    accounts = office.ledger.lookup_accounts(list(shop.payable_accounts.values()))
    return {
        "merchant": shop.merchant_id,
        "name": shop.name,
        "kind": office.registry.lists.merchant_kinds()[shop.merchant_number],
        "category": shop.category,
        "also": sorted(shop.conditional_categories),
        "district": shop.district,
        "village": shop.village,
        "state": state,
        "owed_sen": sum(account.credit_balance for account in accounts if account is not None),
        "terminals": [
            t.terminal_id
            for t in office.registry.all_terminals()
            if shop.merchant_id in (t.merchant_id, t.home_merchant_id)
        ],
    }
