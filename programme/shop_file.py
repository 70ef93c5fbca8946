"""Files of shops and terminals: two small CSV files, read strictly, applied whole or not at all."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from programme.actors import Actor
from programme.decree.cells import place, plain_text
from programme.decree.faults import DecreeFileError, FaultList
from programme.decree.lines import check_header, content, records, text_lines
from programme.limits import CELL_CHARACTERS_MAX, SHOP_FILE_BYTES_MAX
from programme.registry.registry import Registry
from programme.registry.shops import MerchantKind, MerchantRequest, TerminalRequest

DELIMITER = ";"
SHOP_COLUMNS = (
    "merchant_id",
    "nama",
    "jenis",
    "kecamatan",
    "kelurahan",
    "kategori",
    "kategori_bersyarat",
    "ditetapkan",
    "ditangguhkan",
)
TERMINAL_COLUMNS = ("terminal_id", "merchant_id")
_KINDS = {kind.value: kind for kind in MerchantKind}
_YES_NO = {"ya": True, "tidak": False}


@dataclass(frozen=True, slots=True)
class TerminalRow:
    """A terminal of the file and its home shop."""

    terminal_id: str
    merchant_id: str


def read_shops(path: str | Path) -> list[MerchantRequest]:
    """Give the shops of a file; raise DecreeFileError with every fault up to the bound.

    `kategori_bersyarat` holds categories registered by name, separated by spaces; `ditetapkan`
    and `ditangguhkan` are `ya` or `tidak`.
    """
    path = Path(path)
    faults = FaultList()
    shops = []
    seen: dict[str, int] = {}
    for line, cells in _records(path, SHOP_COLUMNS, faults):
        before = len(faults.faults)
        _check_shop(line, cells, faults)
        _once(faults, line, "merchant_id", cells[0], seen)
        if len(faults.faults) == before:
            shops.append(_shop(cells))
    if faults.faults:
        raise DecreeFileError(path, faults.faults, more=faults.full)
    return shops


def _check_shop(line: int, cells: list[str], faults: FaultList) -> None:
    merchant, name, kind, district, village, category, extra, designated, suspended = cells
    if not _shop_id(merchant):
        faults.add(line, "merchant_id", "decree.merchant_id")
    if plain_text(name) is not None:
        faults.add(line, "nama", "decree.shop_name", limit=CELL_CHARACTERS_MAX)
    misplaced = place(village, district)
    if misplaced is not None:
        faults.note(line, *misplaced)
    if not _category(category):
        faults.add(line, "kategori", "decree.category")
    if not all(map(_category, extra.split())):
        faults.add(line, "kategori_bersyarat", "decree.categories")
    for column, word, words in (
        ("jenis", kind, _KINDS),
        ("ditetapkan", designated, _YES_NO),
        ("ditangguhkan", suspended, _YES_NO),
    ):
        if word not in words:
            faults.add(line, column, "decree.one_of", words=", ".join(words))


def _shop(cells: list[str]) -> MerchantRequest:
    merchant, name, kind, district, village, category, extra, designated, suspended = cells
    return MerchantRequest(
        merchant_id=merchant,
        name=name,
        kind=_KINDS[kind],
        district=district,
        village=village,
        category=category,
        conditional_categories=frozenset(extra.split()),
        designated=_YES_NO[designated],
        suspended=_YES_NO[suspended],
    )


def read_terminals(path: str | Path) -> list[TerminalRow]:
    """Give the terminals of a file; raise DecreeFileError with every fault up to the bound."""
    path = Path(path)
    faults = FaultList()
    rows = []
    seen: dict[str, int] = {}
    for line, (terminal, merchant) in _records(path, TERMINAL_COLUMNS, faults):
        sound = len(terminal) == 8 and terminal.isascii() and terminal.isalnum()
        if not sound:
            faults.add(line, "terminal_id", "decree.terminal_id")
        if not _shop_id(merchant):
            faults.add(line, "merchant_id", "decree.merchant_id")
        _once(faults, line, "terminal_id", terminal, seen)
        rows.append(TerminalRow(terminal, merchant))
    if faults.faults:
        raise DecreeFileError(path, faults.faults, more=faults.full)
    return rows


def import_shops(
    registry: Registry,
    shops: list[MerchantRequest],
    terminals: list[TerminalRow],
    *,
    key_of: Callable[[str], tuple[str, str]],
    actor: Actor,
) -> None:
    """Register shops, then terminals logged on at home: one transaction each.

    `key_of` gives (key label, check value) of a terminal's master key. Raises: RuleError,
    DuplicateError, NotFoundError.
    """
    registry.shops.add_merchants(shops, actor)
    requests = []
    for row in terminals:
        label, check_value = key_of(row.terminal_id)
        requests.append(
            TerminalRequest(
                terminal_id=row.terminal_id,
                home_merchant_id=row.merchant_id,
                key_label=label,
                key_check_value=check_value,
                logged_on=True,
            )
        )
    registry.shops.add_terminals(requests, actor)


def _records(
    path: Path, columns: tuple[str, ...], faults: FaultList
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells); remarks begin with #, then comes the exact header."""
    lines = text_lines(path, content(path, SHOP_FILE_BYTES_MAX, faults), faults)
    at = next((at for at, line in enumerate(lines) if not line.startswith("#")), len(lines))
    check_header(lines, at, columns, DELIMITER, faults)
    if not faults.faults:
        for number, cells in records(lines, at, len(columns), DELIMITER, faults):
            if faults.full:
                return
            yield number, cells


def _once(faults: FaultList, line: int, column: str, value: str, seen: dict[str, int]) -> None:
    other = seen.setdefault(value, line)
    if other != line:
        faults.add(line, column, "decree.twice_id", other=other)


def _shop_id(text: str) -> bool:
    return 1 <= len(text) <= 15 and text.isascii() and text.isalnum() and not text.isdigit()


def _category(text: str) -> bool:
    return len(text) == 4 and text.isascii() and text.isdigit()
