"""The slip's code: a vector made with other tools, and that every part of the record counts."""

import dataclasses

from ledger.port import Entry
from ledger.structures import Transfer
from programme.slip_code import slip_code

ENTRY = Entry(
    sequence=3841,
    transfer=Transfer(
        id=0x7D1A3B5C9E0F1234567890ABCDEF0123, debit_account_id=5, credit_account_id=6,
        amount=14_150_000, ledger=1, code=3, timestamp=1_767_575_647_000_000_001,
    ),
    status=0xFFFFFFFF,
    debit_balance_after=75_850_000,
    credit_balance_after=14_150_000,
)  # fmt: skip


def test_slip_code_of_vector() -> None:
    # printf 'lumbung/slip/1\x1f3841\x1f7d1a...\x1f1767575647000000001\x1f14150000\x1f75850000
    # \x1f14150000' | sha256sum | cut -c1-12, upper case, in fours
    assert slip_code(ENTRY) == "048C-1875-DC86"


def test_slip_code_changes_with_every_part_of_the_record() -> None:
    transfer = ENTRY.transfer
    altered = [
        dataclasses.replace(ENTRY, sequence=3842),
        dataclasses.replace(ENTRY, debit_balance_after=75_850_001),
        dataclasses.replace(ENTRY, credit_balance_after=14_150_001),
        *(
            dataclasses.replace(ENTRY, transfer=dataclasses.replace(transfer, **{name: value}))
            for name, value in (("id", 9), ("amount", 1), ("timestamp", 1))
        ),
    ]
    codes = {slip_code(entry) for entry in (ENTRY, *altered)}
    assert len(codes) == len(altered) + 1
