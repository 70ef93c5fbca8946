"""Exports re-added by somebody else: an adder written here, and the real hledger."""

import csv
import json
import random
import subprocess
from collections import Counter
from collections.abc import Callable
from datetime import timedelta, timezone
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import pytest

from ledger import open_ledger
from ledger.export import FORMATS, decimal, json_lines
from ledger.files import open_files
from ledger.port import Ledger
from ledger.structures import Account
from tests.test_ledger.conftest import SteppingClock, counting_bytes, engines
from tests.test_ledger.ledger_workload import Workload

ZONE = timezone(timedelta(hours=8))


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ledger]:
    """Give a ledger with every kind of record over several days."""
    path, clock = tmp_path_factory.mktemp("export"), SteppingClock()
    work = Workload(random.Random(11))
    ledger = open_ledger(
        path,
        now_ns=clock,
        random_bytes=counting_bytes(),
        engine=engines()[-1],  # type: ignore[arg-type]
        segment_size=65_536,
    )
    ledger.create_accounts(work.accounts())
    ledger.create_accounts([Account(id=0xABC, ledger=1, code=9)])
    for _ in range(90):
        clock.advance(7_201.5)
        ledger.create_transfers(work.transfers(8))
    assert len({entry.transfer.flags for entry in ledger.entries()}) > 6
    return path, ledger


def balances(ledger: Ledger) -> dict[int, int]:
    """Give what each account must come to where that is not 0; debits are positive."""
    found = {account.id: -account.credit_balance for account in ledger.accounts()}
    return {account: minor for account, minor in found.items() if minor}


def lines_of(ledger: Ledger, form: str) -> list[str]:
    return list(FORMATS[form](ledger, ZONE, "IDR"))


def sen(number: str) -> int:
    """Read a decimal number as minor units, exactly."""
    minor = Fraction(number) * 100
    assert minor.denominator == 1
    return int(minor)


def test_hledger_journal_re_added_here_meets_every_assertion(book: tuple[Path, Ledger]) -> None:
    sums: Counter[int] = Counter()
    assertions, open_sum, dates = 0, 0, []
    for line in lines_of(book[1], "hledger"):
        if line.startswith("    "):
            name, amount, _, _, after, _ = line.split()
            account = int(name.rpartition(":")[2], 16)
            sums[account] += sen(amount)
            open_sum += sen(amount)
            assert sums[account] == sen(after), line
            assertions += 1
        else:
            assert open_sum == 0
            if line[:1].isdigit():
                dates.append(line[:10])
    assert assertions > 40
    assert dates == sorted(dates)
    assert len(set(dates)) >= 5
    assert {k: v for k, v in sums.items() if v} == balances(book[1])


def test_beancount_journal_re_added_here_meets_every_assertion(book: tuple[Path, Ledger]) -> None:
    sums: Counter[int] = Counter()
    opened, asserted, day = set(), {}, ""
    for line in lines_of(book[1], "beancount"):
        words = line.split()
        if " open " in line:
            opened.add(words[2])
        elif " balance " in line:
            assert words[0] > day, "beancount asserts the beginning of a day"
            assert sums[int(words[2].rpartition("X")[2], 16)] == sen(words[3])
            asserted[words[2]] = sen(words[3])
        elif " * " in line:
            assert words[0] >= day
            day = words[0]
        elif line.startswith("  Equity:"):
            assert words[0] in opened
            sums[int(words[0].rpartition("X")[2], 16)] += sen(words[1])
    found = {int(name.rpartition("X")[2], 16): minor for name, minor in asserted.items() if minor}
    assert found == balances(book[1])


def test_csv_re_added_here_meets_every_balance(book: tuple[Path, Ledger]) -> None:
    sums: Counter[int] = Counter()
    rows = list(csv.DictReader(lines_of(book[1], "csv")))
    for row in rows:
        debit, credit = int(row["debit_account_id"], 16), int(row["credit_account_id"], 16)
        sums[debit] += int(row["moved_minor"])
        sums[credit] -= int(row["moved_minor"])
        for account, side in ((debit, "debit"), (credit, "credit")):
            if row["status"] == "created":
                assert sums[account] == -int(row[f"{side}_balance_after_minor"])
    assert len(rows) == len(list(book[1].entries()))
    assert {row["status"] for row in rows} > {"created", "exceeds_credits"}
    assert {k: v for k, v in sums.items() if v} == balances(book[1])


def test_json_lines_rebuild_balances_and_the_merkle_root(book: tuple[Path, Ledger]) -> None:
    path, ledger = book
    files = open_files(path)
    rows = [json.loads(row) for row in json_lines(ledger, ZONE, files, ledger.last_sequence)]
    files.close()
    *records, checkpoint = [row for row in rows if row["record"] != "balance"]
    level = [sha256(b"\0" + bytes.fromhex(row["body"])).digest() for row in records]
    assert [row["leaf_hash"] for row in records] == [leaf.hex() for leaf in level]
    while len(level) > 1:  # A level at a time, the odd one out moves up: RFC 6962, 2.1.
        pairs = [level[n : n + 2] for n in range(0, len(level), 2)]
        level = [sha256(b"\1" + p[0] + p[1]).digest() if len(p) == 2 else p[0] for p in pairs]
    assert checkpoint["root_hash"] == level[0].hex()
    assert checkpoint["sequence"] == len(records)
    sums: Counter[str] = Counter()
    for row in records:
        if row["record"] in ("transfer", "post"):
            sums[row["debit_account_id"]] += row["moved_minor"]
            sums[row["credit_account_id"]] -= row["moved_minor"]
        elif row["record"] != "account":
            assert row["moved_minor"] == 0
    stated = {
        row["id"]: row["debits_posted_minor"] - row["credits_posted_minor"]
        for row in rows
        if row["record"] == "balance"
    }
    assert {account: sums[account] for account in stated} == stated


@pytest.mark.parametrize("minor", [0, 1, -1, 99, 100, -100, -101, (1 << 63) - 1, -(1 << 63)])
def test_decimal_is_exact(minor: int) -> None:
    assert sen(decimal(minor)) == minor


@pytest.mark.slow
@pytest.mark.service
def test_hledger_itself_accepts_every_assertion_and_agrees(
    book: tuple[Path, Ledger], tmp_path: Path, need: Callable[[str], None]
) -> None:
    need("hledger")
    journal = tmp_path / "book.journal"

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["hledger", "-f", str(journal), *arguments], capture_output=True, text=True
        )

    lines = lines_of(book[1], "hledger")
    journal.write_text("\n".join(lines) + "\n")
    shown = run(
        *("balance", "--strict", "--flat", "--empty", "--no-total"), "--format=%(account) %(total)"
    )
    assert shown.returncode == 0, shown.stderr
    found = {}
    for line in shown.stdout.splitlines():
        name, amount, *_ = line.split()
        found[int(name.rpartition(":")[2], 16)] = sen(amount)
    assert {account: minor for account, minor in found.items() if minor} == balances(book[1])
    place = next(n for n, line in enumerate(lines) if line.startswith("    "))
    name, amount, *rest = lines[place].split()
    lines[place] = "    " + "  ".join([name, decimal(sen(amount) + 1), *rest])
    journal.write_text("\n".join(lines) + "\n")
    refused = run("check")
    assert refused.returncode != 0
    assert "assert" in refused.stderr or "balanc" in refused.stderr
