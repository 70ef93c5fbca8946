"""Account ids that the registry allots, and the results of disbursements (design decision 4).

The registry allots an id durably before the ledger opens the account, so that an interrupted
opening is finished with the same ids.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import distinct, func, insert, select

from programme.actors import Actor
from programme.chart import AccountCode
from programme.purses import purse_rules
from programme.registry import schema
from programme.registry.unit import Context
from programme.registry.views import MERCHANT
from programme.roles import require

#: Kinds of account that a purse has once.
SYSTEM_CODES = (
    AccountCode.FUNDING,
    AccountCode.PARENT_GIRO,
    AccountCode.SETTLEMENT_CLEARING,
    AccountCode.SUSPENSE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """The signed-off result of one disbursement run, in sen."""

    decree_number: int
    period: str
    total_sen: int
    credited_sen: int
    held_sen: int
    maker: str
    checker: str


class AccountBook:
    """Which account id stands for what."""

    def __init__(self, context: Context) -> None:
        """Work on one registry."""
        self._context = context

    def allot(self, purse: int, actor: Actor) -> None:
        """Allot the purse's own accounts and a payable for each shop it admits; idempotent."""
        require(actor, "account.open")
        rule = purse_rules()[purse]
        with self._context.change(actor) as unit:
            codes = schema.system_accounts.c.code
            query = select(codes).where(schema.system_accounts.c.purse == purse)
            there = {code for (code,) in unit.connection.execute(query)}
            missing = [code for code in SYSTEM_CODES if int(code) not in there]
            shops = [
                view
                for view in unit.views.merchants.values()
                if purse not in view.payable_accounts and rule.admits(view)
            ]
            fresh = self._context.new_account_ids(unit.connection, len(missing) + len(shops))
            rows = [
                {"purse": purse, "code": int(code), "account_id": account}
                for code, account in zip(missing, fresh, strict=False)
            ]
            unit.add(schema.system_accounts, rows)
            for code in missing:
                unit.record("purse", purse, "account allotted", code.name)
            payables = [
                {"merchant_number": view.merchant_number, "purse": purse, "account_id": account}
                for view, account in zip(shops, fresh[len(missing) :], strict=True)
            ]
            unit.add(schema.payable_accounts, payables)
            for view in shops:
                unit.record(MERCHANT, view.merchant_number, "payable allotted", f"purse {purse}")

    def system(self, purse: int) -> dict[AccountCode, int]:
        """Give the purse's own accounts by kind, empty before `allot`."""
        table = schema.system_accounts
        query = select(table.c.code, table.c.account_id).where(table.c.purse == purse)
        with self._context.storage.reading() as connection:
            return {
                AccountCode(code): int.from_bytes(account, "big")
                for code, account in connection.execute(query)
            }

    def purses(self) -> list[int]:
        """Give the purses that have accounts."""
        query = select(schema.system_accounts.c.purse).distinct().order_by("purse")
        with self._context.storage.reading() as connection:
            return [purse for (purse,) in connection.execute(query)]

    def newest_cards(self, purse: int) -> dict[int, int]:
        """Give the newest card number by recipient number."""
        table = schema.cards
        query = (
            select(table.c.recipient_number, func.max(table.c.card_number))
            .where(table.c.purse == purse)
            .group_by(table.c.recipient_number)
        )
        with self._context.storage.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def earlier_accounts(self, purse: int) -> dict[int, list[int]]:
        """Give the accounts of each recipient who has had more than one of this purse.

        A replacement keeps the account; only a card after a closed one has another.
        """
        table = schema.cards.c
        several = (
            select(table.recipient_number)
            .where(table.purse == purse)
            .group_by(table.recipient_number)
            .having(func.count(distinct(table.account_id)) > 1)
        )
        query = select(table.recipient_number, table.account_id).where(
            table.purse == purse, table.recipient_number.in_(several)
        )
        found: dict[int, list[int]] = {}
        with self._context.storage.reading() as connection:
            for row in connection.execute(query.order_by(table.card_number)):
                account = int.from_bytes(row.account_id, "big")
                accounts = found.setdefault(row.recipient_number, [])
                if account not in accounts:
                    accounts.append(account)
        return found

    def note_run(self, run: RunRecord, actor: Actor) -> None:
        """Keep the result of a disbursement run."""
        with self._context.change(actor) as unit:
            values: dict[str, Any] = {
                "decree_number": run.decree_number,
                "period": run.period,
                "total_sen": run.total_sen,
                "credited_sen": run.credited_sen,
                "held_sen": run.held_sen,
                "maker": run.maker,
                "checker": run.checker,
                "at_ns": unit.at_ns,
            }
            unit.connection.execute(insert(schema.disbursement_runs).values(values))
            detail = f"{run.period} {run.credited_sen} of {run.total_sen} sen"
            unit.record("decree", run.decree_number, "disbursed", detail)

    def note_sweep(self, purse: int, action: str, detail: str, actor: Actor) -> None:
        """Keep in the audit trail what a sweep or a release did, and who signed for it."""
        with self._context.change(actor) as unit:
            unit.record("purse", purse, action, detail)

    def runs(self) -> list[RunRecord]:
        """Give the last result of each decree and period."""
        table = schema.disbursement_runs
        with self._context.storage.reading() as connection:
            rows = connection.execute(select(table).order_by(table.c.run)).all()
        last = {(row.decree_number, row.period): row for row in rows}
        return [
            RunRecord(
                decree_number=row.decree_number,
                period=row.period,
                total_sen=row.total_sen,
                credited_sen=row.credited_sen,
                held_sen=row.held_sen,
                maker=row.maker,
                checker=row.checker,
            )
            for row in last.values()
        ]
