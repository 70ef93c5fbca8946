"""`lumbung ledger check-slip`: is the slip in somebody's hand the ledger's?"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click

from ledger.port import Entry, Ledger
from lumbung.commands.ledger import JSON_OPTION, open_for_reading
from programme.slip_code import slip_code
from protocols.business_time import wita
from protocols.values import rupiah
from terminal.printing.page import QR_HEAD

#: Entries read at once.
_PAGE = 8_192
_CODE = re.compile(r"[0-9A-F]{12}")


class SlipClaim(NamedTuple):
    """What a slip says of itself; `amount_sen` 0 where only its code was typed."""

    code: str
    amount_sen: int = 0


def read_claim(typed: str) -> SlipClaim | None:
    """Give what was typed or scanned, None for what is no slip's.

    >>> read_claim("lumbung1:0e82-2a36-365c:600509000003:12400001:14150000")
    SlipClaim(code='0E82-2A36-365C', amount_sen=14150000)
    >>> read_claim("0E822A36365C").code, read_claim("0E82")
    ('0E82-2A36-365C', None)
    """
    head, *fields = typed.strip().upper().split(":")
    if not fields:
        return _claim(head, "0")
    if head != QR_HEAD or len(fields) != 4:
        return None
    return _claim(fields[0], fields[3])


def _claim(code: str, amount: str) -> SlipClaim | None:
    digits = code.replace("-", "")
    if not _CODE.fullmatch(digits) or not (amount.isascii() and amount.isdigit()):
        return None
    return SlipClaim(f"{digits[:4]}-{digits[4:8]}-{digits[8:]}", int(amount))


@click.command("check-slip")
@click.argument("directory", type=click.Path(path_type=Path))
@click.argument("code")
@JSON_OPTION
def check_slip(directory: Path, code: str, as_json: bool) -> None:
    """Find the record in DIRECTORY's ledger that a slip's CODE was made from.

    CODE is what stands behind CEK on the slip, or what its QR says; the QR's amount must then be
    the record's. Reads the whole ledger. Exit code 1 when no record fits.
    """
    claim = read_claim(code)
    if claim is None:
        raise click.BadParameter(
            "no slip's code: twelve digits such as 0E82-2A36-365C, or the text of its QR",
            param_hint="CODE",
        )
    ledger = open_for_reading(directory)
    try:
        found = next((e for e in _entries(ledger) if slip_code(e) == claim.code), None)
    finally:
        ledger.close()
    fits = found is not None and claim.amount_sen in (0, found.transfer.amount)
    if as_json:
        click.echo(json.dumps(_values(claim, found, fits=fits)))
    else:
        click.echo(_sentence(claim, found, fits=fits))
    if not fits:
        raise click.exceptions.Exit(1)


def _entries(ledger: Ledger) -> Iterator[Entry]:
    after = 0
    while page := list(ledger.entries(after, _PAGE)):
        yield from page
        after = page[-1].sequence


def _values(claim: SlipClaim, found: Entry | None, *, fits: bool) -> dict[str, object]:
    if found is None:
        return {"code": claim.code, "genuine": False}
    return {
        "code": claim.code, "genuine": fits, "sequence": found.sequence,
        "id": f"{found.transfer.id:032x}", "amount_sen": found.transfer.amount,
        "timestamp_ns": found.transfer.timestamp,
    }  # fmt: skip


def _sentence(claim: SlipClaim, found: Entry | None, *, fits: bool) -> str:
    if found is None:
        return f"{claim.code}: no record of this ledger has this code; the slip is not its."
    record = f"record {found.sequence}, id {found.transfer.id:032x}"
    posted = f"Rp{rupiah(found.transfer.amount)}"
    if not fits:
        return f"{claim.code}: {record} is over {posted}; the slip says another amount."
    when = wita(found.transfer.timestamp)
    return f"{claim.code}: genuine, {posted}, {when:%d/%m/%Y %H:%M:%S} WITA, {record}"
