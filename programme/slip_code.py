"""The code on a slip that ties it to one record of the ledger (domain.md 4.5, "CEK").

Who has the slip and the ledger, or an export of it, can tell whether the slip is genuine: the code
is made from what only that record has, its place and time and the balances it left. Whoever alters
the record afterwards alters the code (and breaks the hash chain, which `ledger verify` shows).
"""

from hashlib import sha256

from ledger.port import Entry

_DOMAIN = "lumbung/slip/1"


def slip_code(entry: Entry) -> str:
    """Give twelve hex digits in three groups, such as `9F2C-71B0-44DA`.

    Construction: the first 6 bytes of SHA-256 over the ASCII text `lumbung/slip/1` and, each after
    0x1F: sequence, transfer id in 32 hex digits, timestamp, amount, balance after of the debited
    and of the credited account, all in decimal. 48 bits are no proof against who can try 2^48
    slips; the inclusion proof of the record is.
    """
    transfer = entry.transfer
    text = (
        f"{_DOMAIN}\x1f{entry.sequence}\x1f{transfer.id:032x}\x1f{transfer.timestamp}"
        f"\x1f{transfer.amount}\x1f{entry.debit_balance_after}\x1f{entry.credit_balance_after}"
    )
    digits = sha256(text.encode("ascii")).hexdigest()[:12].upper()
    return f"{digits[:4]}-{digits[4:8]}-{digits[8:]}"
