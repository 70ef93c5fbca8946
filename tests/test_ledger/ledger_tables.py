"""Whitespace mini-tables: events and the statuses they must get, one line each.

A line is `account` or `transfer`, then `field=value` words, then `-> STATUS`. A blank line ends a
batch; `advance SECONDS` moves the clock; `balance ACCOUNT POSTED PENDING_OUT PENDING_IN` checks an
account: posted credits minus debits, debits pending, credits pending. Short names keep a line
short: dr, cr, amt, pid; flags are words joined by `+`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ledger.port import Ledger
from ledger.statuses import CreateAccountStatus, CreateTransferStatus
from ledger.structures import (
    AMOUNT_ALL,
    AMOUNT_MAX,
    ID_MAX,
    Account,
    AccountFlags,
    Transfer,
    TransferFlags,
)

_NAMES = {
    "dr": "debit_account_id",
    "cr": "credit_account_id",
    "amt": "amount",
    "pid": "pending_id",
    "ud128": "user_data_128",
    "ud64": "user_data_64",
    "ud32": "user_data_32",
}
_VALUES = {"ALL": AMOUNT_ALL, "MAX": AMOUNT_MAX, "IDMAX": ID_MAX}
_ACCOUNT_FLAGS = {
    "linked": AccountFlags.LINKED,
    "debits_limited": AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS,
    "credits_limited": AccountFlags.CREDITS_MUST_NOT_EXCEED_DEBITS,
    "history": AccountFlags.HISTORY,
    "imported": AccountFlags.IMPORTED,
    "closed": AccountFlags.CLOSED,
    "bit9": 1 << 9,
}
_TRANSFER_FLAGS = {
    "linked": TransferFlags.LINKED,
    "pending": TransferFlags.PENDING,
    "post": TransferFlags.POST_PENDING_TRANSFER,
    "void": TransferFlags.VOID_PENDING_TRANSFER,
    "bal_dr": TransferFlags.BALANCING_DEBIT,
    "bal_cr": TransferFlags.BALANCING_CREDIT,
    "close_dr": TransferFlags.CLOSING_DEBIT,
    "close_cr": TransferFlags.CLOSING_CREDIT,
    "imported": TransferFlags.IMPORTED,
    "bit9": 1 << 9,
}
#: What every event has unless its line says otherwise.
_ACCOUNT = {"ledger": 1, "code": 1}
_TRANSFER = {"debit_account_id": 1, "credit_account_id": 2, "amount": 10, "ledger": 1, "code": 1}
#: A post or void that names only the pending transfer.
_RESOLVING = {"debit_account_id": 0, "credit_account_id": 0, "ledger": 0, "code": 0}


def read_tables(path: Path) -> dict[str, str]:
    """Give the tables of a file by name."""
    tables: dict[str, str] = {}
    for part in path.read_text(encoding="ascii").split("\n== ")[1:]:
        name, _, table = part.partition("\n")
        tables[name.strip()] = table
    return tables


def run_table(ledger: Ledger, table: str, advance: Callable[[float], None]) -> None:
    """Run a table line by line; an unexpected status names its line."""
    batch: list[tuple[str, Any, str]] = []
    for line in [*table.strip().splitlines(), ""]:
        words = line.split("#")[0].split()
        if words and words[0] in ("account", "transfer"):
            if batch and words[0] != batch[0][0]:
                _flush(ledger, batch)
            batch.append((words[0], _event(words[0], words[1:-2]), line.strip()))
            continue
        _flush(ledger, batch)
        if words and words[0] == "advance":
            advance(float(words[1]))
        elif words:
            assert words[0] == "balance", line
            _check_balance(ledger, [int(word) for word in words[1:]], line)


def _flush(ledger: Ledger, batch: list[tuple[str, Any, str]]) -> None:
    if not batch:
        return
    events = [event for _, event, _ in batch]
    results: list[Any]
    if batch[0][0] == "account":
        results = list(ledger.create_accounts(events))
        names: Any = CreateAccountStatus
    else:
        results = list(ledger.create_transfers(events))
        names = CreateTransferStatus
    wrong = [
        f"{line}  GOT {result.status.name}"
        for result, (_, _, line) in zip(results, batch, strict=True)
        if result.status is not names[line.split("#")[0].split()[-1]]
    ]
    assert not wrong, "\n".join(wrong)
    batch.clear()


def _event(kind: str, words: list[str]) -> Account | Transfer:
    given = dict(word.split("=") for word in words)
    flags = 0
    for word in given.pop("flags", "").split("+"):
        if word:
            flags |= int((_ACCOUNT_FLAGS if kind == "account" else _TRANSFER_FLAGS)[word])
    values = {_NAMES.get(k, k): _VALUES[v] if v in _VALUES else int(v) for k, v in given.items()}
    if kind == "account":
        return Account(**{**_ACCOUNT, **values, "flags": flags})
    base = dict(_TRANSFER)
    if flags & (TransferFlags.POST_PENDING_TRANSFER | TransferFlags.VOID_PENDING_TRANSFER):
        base |= _RESOLVING
        base["amount"] = AMOUNT_ALL if flags & TransferFlags.POST_PENDING_TRANSFER else 0
    return Transfer(**{**base, **values, "flags": flags})


def _check_balance(ledger: Ledger, numbers: list[int], line: str) -> None:
    (account,) = ledger.lookup_accounts(numbers[:1])
    assert account is not None, line
    got = [account.credit_balance, account.debits_pending, account.credits_pending]
    assert got == numbers[1:], line
