"""What the register asked for and what came of it, on disk: one reference is one sale.

A small file, replaced in one step before a sale begins and after it has ended. A sale whose end is
missing was cut off: the terminal's own journal says then what became of it.
"""

import binascii
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from terminal.errors import TerminalError
from terminal.journal.records import Kind
from terminal.journal.state import JournalState
from terminal.keystore import replace_durably
from terminal.limits import REGISTER_SALES_REMEMBERED_MAX

_VERSION = 1
_FILE_MAX_BYTES = REGISTER_SALES_REMEMBERED_MAX * 512


class RegisterBookError(TerminalError):
    """The file of the register's sales cannot be read or written."""

    code = "E-TM-0503"


@dataclass(frozen=True, slots=True)
class RegisterSale:
    """One reference: what was asked for and when; `outcome` is empty until it has ended."""

    reference: str
    amount_sen: int
    begun_ns: int
    outcome: str = ""
    stan: int = 0
    rrn: str = ""
    approval_code: str = ""
    sold_sen: int = 0
    slip_code: str = ""


@dataclass(slots=True)
class RegisterBook:
    """The file and what it holds, oldest first. Its writes take the disk's time."""

    path: Path
    sales: dict[str, RegisterSale] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path) -> "RegisterBook":
        """Open the book, or begin an empty one; raise RegisterBookError when it is damaged."""
        book = cls(path)
        if path.exists():
            book._read()
        return book

    def keep(self, sale: RegisterSale) -> None:
        """Keep a sale, durably, in the place of an earlier word on it; the oldest one goes."""
        sales = self.sales | {sale.reference: sale}
        while len(sales) > REGISTER_SALES_REMEMBERED_MAX:
            del sales[next(iter(sales))]
        entries = [asdict(one) for one in sales.values()]
        body = json.dumps({"version": _VERSION, "sales": entries}).encode("ascii")
        try:
            replace_durably(self.path, b"%08x " % binascii.crc32(body) + body)
        except OSError as failed:
            raise RegisterBookError(
                f"{self.path}: cannot write: {failed.strerror}.", fix="Free the disk."
            ) from failed
        self.sales = sales

    def _read(self) -> None:
        try:
            raw = self.path.read_bytes()
            if len(raw) > _FILE_MAX_BYTES or int(raw[:8], 16) != binascii.crc32(raw[9:]):
                raise ValueError("its checksum is wrong")
            values = json.loads(raw[9:])
            if values["version"] != _VERSION:
                raise ValueError("its version is not known")
            sales = [RegisterSale(**entry) for entry in values["sales"]]
        except (OSError, ValueError, TypeError, KeyError) as wrong:
            raise RegisterBookError(
                f"{self.path}: the register's sales do not read back: {wrong}.",
                fix="Compare the register's day with `lumbung terminal status`, then move it away.",
            ) from wrong
        self.sales = {sale.reference: sale for sale in sales}


def cut_off_sale(journal: JournalState, sale: RegisterSale, book: RegisterBook) -> int:
    """Give the trace number under which a sale that was cut off went out, 0 when nothing did.

    One thing at a time: what was sent for it is the newest purchase of its amount begun after it,
    unless another reference has it.
    """
    taken = {one.stan for one in book.sales.values()}
    for stan, found in reversed(journal.transactions.items()):
        intent = found.intent
        if intent.started_ns < sale.begun_ns:
            continue
        is_sale = intent.kind in (Kind.PURCHASE, Kind.VOUCHER)
        if is_sale and intent.amount_sen == sale.amount_sen and stan not in taken:
            return stan
    return 0


def ended(sale: RegisterSale, **result: object) -> RegisterSale:
    """Give the sale with its end."""
    return replace(sale, **result)  # type: ignore[arg-type]  # callers name its own fields
