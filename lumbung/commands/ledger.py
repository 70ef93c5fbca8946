"""`lumbung ledger ...`: read, verify, and keep a small ledger of your own offline.

Reading works beside the writer and sees the durable state. Ids are hexadecimal, as everywhere in
lumbung where people meet them.
"""

import dataclasses
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from ledger import open_ledger
from ledger.port import Entry, Ledger, Progress, StatementFilter
from ledger.statuses import CreateAccountStatus, CreateTransferStatus
from ledger.structures import Account, Transfer
from lumbung.data_directory import MANIFEST, DataDirectoryError
from lumbung.system import SystemClock, system_random
from protocols.business_time import wita

#: A shorter ledger is read before anybody wonders.
_PROGRESS_FROM_RECORDS = 100_000
_BAR_CELLS = 32
JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")


class HexId(click.ParamType[int]):
    """A 128-bit id in hexadecimal, with or without 0x and dashes."""

    name = "hex id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Give the integer; fail with what an id looks like."""
        if isinstance(value, int):
            return value
        try:
            number = int(str(value).replace("-", ""), 16)
        except ValueError:
            number = 0
        if not 0 < number < (1 << 128) - 1:
            self.fail(f"{value!r} is no id: 1 to 32 hexadecimal digits, not zero", param, ctx)
        return number


def ledger_path(directory: Path) -> Path:
    """Give the ledger's own folder for a data directory or for a bare ledger directory."""
    return directory / "ledger" if (directory / MANIFEST).exists() else directory


def open_for_reading(directory: Path) -> Ledger:
    """Open read-only, beside a writer if there is one."""
    return open_ledger(
        ledger_path(directory),
        now_ns=SystemClock().now_ns,
        random_bytes=system_random,
        read_only=True,
        create=False,
    )


def reading_progress() -> Progress | None:
    """Give what says on a terminal how far the reading is; nothing for short ones and pipes."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        if total >= _PROGRESS_FROM_RECORDS:
            share = done * _BAR_CELLS // total
            bar = "#" * share + "-" * (_BAR_CELLS - share)
            text = f"\r[{bar}] {done} of {total} records"
            click.echo(text, err=True, nl=done == total)

    return show


def _open_for_writing(directory: Path) -> Ledger:
    for folder in (directory.absolute(), directory.absolute().parent):
        if (folder / MANIFEST).exists():
            raise DataDirectoryError(
                f"{directory}: belongs to a programme; only its switch may post to it.",
                fix="Use a ledger directory of your own.",
            )
    return open_ledger(directory, now_ns=SystemClock().now_ns, random_bytes=system_random)


def _unknown(account: int, directory: Path) -> click.BadParameter:
    return click.BadParameter(f"no account {account:032x} in {directory}", param_hint="--account")


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--account", type=HexId(), required=True, help="Account id.")
@JSON_OPTION
def balance(directory: Path, account: int, as_json: bool) -> None:
    """Show the balances of an account."""
    ledger = open_for_reading(directory)
    try:
        found = ledger.lookup_accounts([account])[0]
    finally:
        ledger.close()
    if found is None:
        raise _unknown(account, directory)
    if as_json:
        click.echo(json.dumps({**dataclasses.asdict(found), "id": f"{found.id:032x}"}))
        return
    click.echo(
        f"account {found.id:032x}  ledger {found.ledger}  code {found.code}\n"
        f"posted: credits {found.credits_posted}  debits {found.debits_posted}  "
        f"balance {found.credit_balance} minor units"
    )


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--account", type=HexId(), required=True, help="Account id.")
@click.option("--limit", type=click.IntRange(1, 8189), default=100, show_default=True)
@click.option("--newest-first", is_flag=True)
@JSON_OPTION
def statement(directory: Path, account: int, limit: int, newest_first: bool, as_json: bool) -> None:
    """Show the entries of an account."""
    ledger = open_for_reading(directory)
    try:
        if ledger.lookup_accounts([account])[0] is None:
            raise _unknown(account, directory)
        wanted = StatementFilter(account_id=account, limit=limit, reverse=newest_first)
        show_entries(ledger.statement(wanted), as_json=as_json)
    finally:
        ledger.close()


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--after", type=click.IntRange(0), default=0, help="Begin after this record.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@JSON_OPTION
def entries(directory: Path, after: int, limit: int, as_json: bool) -> None:
    """List transfers in order, refusals included."""
    ledger = open_for_reading(directory)
    try:
        show_entries(ledger.entries(after, limit), as_json=as_json)
    finally:
        ledger.close()


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--id", "account_id", type=HexId(), required=True)
@click.option("--ledger", "ledger_number", type=click.IntRange(1, (1 << 32) - 1), required=True)
@click.option("--code", type=click.IntRange(1, 65535), required=True)
@click.option("--flags", type=click.IntRange(0, 65535), default=0)
@JSON_OPTION
def create(
    directory: Path, account_id: int, ledger_number: int, code: int, flags: int, as_json: bool
) -> None:
    """Create an account in a ledger of your own; makes the directory when it is missing."""
    ledger = _open_for_writing(directory)
    try:
        account = Account(id=account_id, ledger=ledger_number, code=code, flags=flags)
        result = ledger.create_accounts([account])[0]
    finally:
        ledger.close()
    _answer(result.status, result.timestamp, as_json=as_json)


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--id", "transfer_id", type=HexId(), required=True)
@click.option("--debit", type=HexId(), required=True, help="Account to debit.")
@click.option("--credit", type=HexId(), required=True, help="Account to credit.")
@click.option("--amount", type=click.IntRange(0, (1 << 63) - 1), required=True, help="Minor units.")
@click.option("--ledger", "ledger_number", type=click.IntRange(1, (1 << 32) - 1), required=True)
@click.option("--code", type=click.IntRange(1, 65535), required=True)
@JSON_OPTION
def post(
    directory: Path,
    transfer_id: int,
    debit: int,
    credit: int,
    amount: int,
    ledger_number: int,
    code: int,
    as_json: bool,
) -> None:
    """Post one transfer to a ledger of your own; refused on a programme's ledger."""
    ledger = _open_for_writing(directory)
    try:
        transfer = Transfer(
            id=transfer_id, debit_account_id=debit, credit_account_id=credit, amount=amount,
            ledger=ledger_number, code=code,
        )  # fmt: skip
        result = ledger.create_transfers([transfer])[0]
    finally:
        ledger.close()
    _answer(result.status, result.timestamp, as_json=as_json)


def _answer(
    status: CreateAccountStatus | CreateTransferStatus, timestamp: int, *, as_json: bool
) -> None:
    if as_json:
        click.echo(json.dumps({"status": status.name.lower(), "timestamp": timestamp}))
    else:
        click.echo(status.name.lower())
    if status.name not in ("CREATED", "EXISTS"):
        raise click.exceptions.Exit(1)


def show_entries(found: Iterable[Entry], *, as_json: bool) -> None:
    """Write entries, a line each."""
    for entry in found:
        transfer = entry.transfer
        status = CreateTransferStatus(entry.status).name.lower()
        if as_json:
            values = {
                "sequence": entry.sequence, "status": status, "id": f"{transfer.id:032x}",
                "debit": f"{transfer.debit_account_id:032x}",
                "credit": f"{transfer.credit_account_id:032x}",
                "amount": transfer.amount, "ledger": transfer.ledger, "code": transfer.code,
                "timestamp": transfer.timestamp,
                "debit_balance_after": entry.debit_balance_after,
                "credit_balance_after": entry.credit_balance_after,
            }  # fmt: skip
            click.echo(json.dumps(values))
        else:
            click.echo(
                f"{entry.sequence:>9}  {wita(transfer.timestamp):%Y-%m-%d %H:%M:%S}  "
                f"{transfer.debit_account_id:032x} -> {transfer.credit_account_id:032x}  "
                f"{transfer.amount:>14}  code {transfer.code:<3} {status}"
            )
