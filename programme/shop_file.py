"""Files of shops and terminals: two small CSV files, read strictly, applied whole or not at all."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from programme.actors import Actor
from programme.decree.cells import place, plain_text
from programme.decree.faults import DecreeFileError, FaultList
from programme.limits import SHOP_FILE_BYTES_MAX
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
    _check(faults, line, "merchant_id", _shop_id(merchant), "1 to 15 letters and digits")
    _check(faults, line, "nama", plain_text(name) is None, "1 to 120 characters")
    _check(faults, line, "jenis", kind in _KINDS, f"one of {', '.join(_KINDS)}")
    misplaced = place(village, district)
    if misplaced is not None:
        faults.add(line, misplaced[0], *misplaced[1])
    _check(faults, line, "kategori", _category(category), "4 digits (ISO 18245)")
    sound = all(map(_category, extra.split()))
    _check(faults, line, "kategori_bersyarat", sound, "categories of 4 digits, or nothing")
    _check(faults, line, "ditetapkan", designated in _YES_NO, "ya or tidak")
    _check(faults, line, "ditangguhkan", suspended in _YES_NO, "ya or tidak")


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
        _check(faults, line, "terminal_id", sound, "8 letters and digits")
        _check(faults, line, "merchant_id", _shop_id(merchant), "1 to 15 letters and digits")
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
    header = DELIMITER.join(columns)
    seen_header = False
    for number, line in enumerate(_text(path, faults).splitlines(), start=1):
        if faults.full:
            return
        if not seen_header:
            if line.startswith("#"):
                continue
            if line != header:
                faults.add(number, "file", "the header is not as it must be", f"write `{header}`")
                return
            seen_header = True
            continue
        cells = line.split(DELIMITER)
        if len(cells) == len(columns):
            yield number, cells
        else:
            faults.add(number, "file", f"{len(cells)} cells, not {len(columns)}", "give all")
    if not seen_header:
        faults.add(1, "file", "no header line", f"write `{header}`")


def _text(path: Path, faults: FaultList) -> str:
    try:
        if path.stat().st_size > SHOP_FILE_BYTES_MAX:
            faults.add(1, "file", f"more than {SHOP_FILE_BYTES_MAX} bytes", "divide the list")
            raise DecreeFileError(path, faults.faults)
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"byte {error.start + 1} is not UTF-8"
        faults.add(1, "file", what, "save it as CSV UTF-8")
        raise DecreeFileError(path, faults.faults) from error
    except OSError as error:
        faults.add(1, "file", f"cannot be read: {error.strerror}", "check the path")
        raise DecreeFileError(path, faults.faults) from error


def _check(faults: FaultList, line: int, column: str, sound: bool, wanted: str) -> None:
    if not sound:
        faults.add(line, column, "not as it must be", f"write {wanted}")


def _once(faults: FaultList, line: int, column: str, value: str, seen: dict[str, int]) -> None:
    other = seen.setdefault(value, line)
    if other != line:
        faults.add(line, column, f"the same as in line {other}", "keep one of the two lines")


def _shop_id(text: str) -> bool:
    return 1 <= len(text) <= 15 and text.isascii() and text.isalnum() and not text.isdigit()


def _category(text: str) -> bool:
    return len(text) == 4 and text.isascii() and text.isdigit()
