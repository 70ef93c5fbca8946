"""A ledger written for other programs: hledger, beancount, CSV, JSON lines; amounts exact.

Every posting carries the balance it left behind, so the program that reads the export checks each
of them while it adds. A debit is positive and a credit negative, as in those programs. Refused
transfers and holds move nothing and are remarks in the journals, rows in CSV and JSON lines.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from hashlib import sha256

from ledger.files import LogFiles
from ledger.port import Entry, Ledger
from ledger.record import Kind, unpack_body
from ledger.statuses import CreateTransferStatus as Status
from ledger.structures import Account, Transfer, TransferFlags

#: Digits behind the point of the currency (ISO 4217: IDR has an exponent of 2).
EXPONENT = 2
_MOVES_NOTHING = TransferFlags.PENDING | TransferFlags.VOID_PENDING_TRANSFER
_COLUMNS = (
    "sequence", "timestamp_ns", "time", "status", "moved_minor", "id", "debit_account_id",
    "credit_account_id", "amount_minor", "pending_id", "user_data_128", "user_data_64",
    "user_data_32", "timeout_s", "ledger", "code", "flags", "debit_balance_after_minor",
    "credit_balance_after_minor",
)  # fmt: skip
Writer = Callable[[Ledger, tzinfo, str], Iterator[str]]


def decimal(minor: int) -> str:
    """Give an amount of minor units as a decimal number, exactly.

    >>> decimal(14_150_000), decimal(-5)
    ('141500.00', '-0.05')
    """
    whole, part = divmod(abs(minor), 10**EXPONENT)
    return f"{'-' if minor < 0 else ''}{whole}.{part:0{EXPONENT}d}"


def moved(entry: Entry) -> int:
    """Give the minor units that an entry moved: none for a hold, its end without a sale, a refusal.

    >>> transfer = Transfer(id=1, debit_account_id=1, credit_account_id=2, amount=5, ledger=1,
    ...     code=1, flags=2)
    >>> moved(Entry(sequence=1, transfer=transfer, status=Status.CREATED, debit_balance_after=0,
    ...     credit_balance_after=0))
    0
    """
    if entry.status != Status.CREATED or entry.transfer.flags & _MOVES_NOTHING:
        return 0
    return entry.transfer.amount


def hledger_journal(ledger: Ledger, zone: tzinfo, commodity: str) -> Iterator[str]:
    """Yield the lines of an hledger journal with an assertion at every posting."""
    names = {account.id: _name(account) for account in ledger.accounts()}
    yield f"commodity 1000.{'0' * EXPONENT} {commodity}"
    yield "decimal-mark ."
    yield from (f"account {name}" for name in names.values())
    for entry in ledger.entries():
        transfer = entry.transfer
        yield ""
        time = _time(transfer, zone)
        head = f"{time:%Y-%m-%d} transfer {transfer.id:032x}"
        tags = f"; sequence:{entry.sequence}, code:{transfer.code}, time:{time.isoformat()}"
        if not _is_posting(entry):
            yield f"; {head}  {_remark(entry)} {tags}"
            continue
        yield f"{head}  {tags}"
        for account_id, minor, after in _legs(entry):
            yield (
                f"    {names[account_id]}  {decimal(minor)} {commodity} "
                f"= {decimal(after)} {commodity}"
            )


def beancount_journal(ledger: Ledger, zone: tzinfo, commodity: str) -> Iterator[str]:
    """Yield the lines of a beancount file; balances are asserted where a day ends.

    Beancount asserts the balance at the beginning of a day, so each account that moved is asserted
    on the day after.
    """
    accounts = list(ledger.accounts())
    names = {account.id: _beancount_name(account) for account in accounts}
    for account in accounts:
        born = datetime.fromtimestamp(account.timestamp // 10**9, zone)
        yield f"{born:%Y-%m-%d} open {names[account.id]} {commodity}"
    day, touched = None, dict[int, int]()
    for entry in ledger.entries():
        time = _time(entry.transfer, zone)
        if day is not None and time.date() != day:
            yield from _beancount_balances(day, touched, names, commodity)
            touched = {}
        day = time.date()
        if not _is_posting(entry):
            yield f"; {day} transfer {entry.transfer.id:032x} {_remark(entry)}"
            continue
        yield f'{day} * "transfer {entry.transfer.id:032x}" ^t{entry.transfer.id:032x}'
        yield f"  sequence: {entry.sequence}"
        yield f"  code: {entry.transfer.code}"
        for account_id, minor, after in _legs(entry):
            touched[account_id] = after
            yield f"  {names[account_id]}  {decimal(minor)} {commodity}"
    if day is not None:
        yield from _beancount_balances(day, touched, names, commodity)


def csv_rows(ledger: Ledger, zone: tzinfo, _commodity: str) -> Iterator[str]:
    """Yield the lines of a CSV file: every entry, refusals included, amounts in minor units."""
    yield ",".join(_COLUMNS)
    for entry in ledger.entries():
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(_row(entry, zone).values())
        yield line.getvalue()


def json_lines(ledger: Ledger, zone: tzinfo, files: LogFiles, limit: int) -> Iterator[str]:
    """Yield one JSON object a record, each with its record body, then balances and the checkpoint.

    SHA-256 over a zero byte and `body` is the record's leaf in the Merkle tree, so the reader can
    add up the money and rebuild the root of the last line from the same file.
    """
    entries = ledger.entries()
    for body in files.bodies(limit):
        record = unpack_body(body)
        if record.kind == Kind.ACCOUNT:
            row = {
                "record": "account", "sequence": record.sequence, "id": f"{record.id:032x}",
                "ledger": record.ledger, "code": record.code, "flags": record.flags,
            }  # fmt: skip
        else:
            entry = next(entries)
            assert entry.sequence == record.sequence
            row = {"record": Kind(record.kind).name.lower(), **_row(entry, zone)}
        leaf = sha256(b"\0" + body).hexdigest()
        yield json.dumps({**row, "body": body.hex(), "leaf_hash": leaf})
    for account in ledger.accounts():
        yield json.dumps(
            {
                "record": "balance", "id": f"{account.id:032x}", "ledger": account.ledger,
                "code": account.code, "debits_posted_minor": account.debits_posted,
                "credits_posted_minor": account.credits_posted,
                "debits_pending_minor": account.debits_pending,
                "credits_pending_minor": account.credits_pending,
            }
        )  # fmt: skip
    yield json.dumps({"record": "checkpoint", **ledger.checkpoint()})


FORMATS: dict[str, Writer] = {
    "hledger": hledger_journal,
    "beancount": beancount_journal,
    "csv": csv_rows,
}


def _row(entry: Entry, zone: tzinfo) -> dict[str, int | str]:
    transfer = entry.transfer
    values = (
        entry.sequence,
        transfer.timestamp,
        _time(transfer, zone).isoformat(),
        Status(entry.status).name.lower(),
        moved(entry),
        f"{transfer.id:032x}",
        f"{transfer.debit_account_id:032x}",
        f"{transfer.credit_account_id:032x}",
        transfer.amount,
        f"{transfer.pending_id:032x}",
        f"{transfer.user_data_128:032x}",
        transfer.user_data_64,
        transfer.user_data_32,
        transfer.timeout,
        transfer.ledger,
        transfer.code,
        transfer.flags,
        entry.debit_balance_after,
        entry.credit_balance_after,
    )
    return dict(zip(_COLUMNS, values, strict=True))


def _is_posting(entry: Entry) -> bool:
    return entry.status == Status.CREATED and not entry.transfer.flags & _MOVES_NOTHING


def _legs(entry: Entry) -> Iterable[tuple[int, int, int]]:
    """Give account, signed amount and signed balance after of both sides; debits are positive."""
    transfer = entry.transfer
    return (
        (transfer.debit_account_id, transfer.amount, -entry.debit_balance_after),
        (transfer.credit_account_id, -transfer.amount, -entry.credit_balance_after),
    )


def _remark(entry: Entry) -> str:
    if entry.status != Status.CREATED:
        return f"refused: {Status(entry.status).name.lower()}"
    return (
        "hold" if entry.transfer.flags & TransferFlags.PENDING else "end of a hold, nothing moved"
    )


def _name(account: Account) -> str:
    return f"ledger{account.ledger}:code{account.code}:{account.id:032x}"


def _beancount_name(account: Account) -> str:
    # Beancount knows five kinds of account; which one is ours to choose, it only sorts reports.
    return f"Equity:L{account.ledger}:C{account.code}:X{account.id:032X}"


def _beancount_balances(
    day: object, touched: dict[int, int], names: dict[int, str], commodity: str
) -> Iterator[str]:
    next_day = datetime.fromisoformat(str(day)) + timedelta(days=1)
    for account_id, minor in touched.items():
        yield f"{next_day:%Y-%m-%d} balance {names[account_id]}  {decimal(minor)} {commodity}"


def _time(transfer: Transfer, zone: tzinfo = UTC) -> datetime:
    # Whole microseconds by integers: a float of nanoseconds would move an entry to another day.
    microseconds = transfer.timestamp // 1_000
    moment = datetime.fromtimestamp(microseconds // 10**6, zone)
    return moment.replace(microsecond=microseconds % 10**6)
