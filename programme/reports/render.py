"""A report as CSV for programs and as one HTML page for people: no outside asset, made to print."""

import csv
import io
from html import escape

from programme.reports.table import (
    Basis,
    Cell,
    CellKind,
    Column,
    Report,
    plain_rupiah,
    shown_rupiah,
)

DELIMITER = ";"
#: A spreadsheet takes a cell that begins so for a formula; an apostrophe in front makes it text.
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t")

#: Texts up to this length stay on one line.
_UNBROKEN_CHARACTERS = 20

_STYLE = """
body { font: 11pt/1.4 system-ui, sans-serif; color: #111; margin: 2rem auto; max-width: 84rem;
  padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } .en { color: #555; font-weight: normal; font-size: .85em; }
p { margin: .3rem 0; } .wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; width: 100%; font-size: 9.5pt; }
th, td { border-bottom: 1px solid #ccc; padding: .2rem .35rem; text-align: left;
  vertical-align: top; }
th { border-bottom: 2px solid #111; } th .en { display: block; }
.n { text-align: right; font-variant-numeric: tabular-nums; } td.n, .s { white-space: nowrap; }
tfoot td { border-top: 2px solid #111; border-bottom: 0; font-weight: bold; }
footer { color: #555; font-size: .8rem; overflow-wrap: anywhere; }
@media print { body { margin: 0; max-width: none; padding: 0; font-size: 9pt; }
  table { font-size: 7.5pt; } .wide { overflow: visible; }
  thead { display: table-header-group; } tr { break-inside: avoid; }
  @page { size: A4 landscape; margin: 12mm; } }
"""


def as_csv(report: Report) -> str:
    """Give the report as CSV: UTF-8 text, `;`, amounts in rupiah as plain digits, no totals."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=DELIMITER, lineterminator="\n")
    writer.writerow(f"{column.id} / {column.en}" for column in report.layout.columns)
    for row in report.rows:
        writer.writerow(
            _plain(column, cell) for column, cell in zip(report.layout.columns, row, strict=True)
        )
    return out.getvalue()


def _plain(column: Column, cell: Cell) -> str:
    if column.kind is CellKind.RUPIAH:
        return plain_rupiah(int(cell))
    if column.kind is CellKind.COUNT:
        return str(cell)
    text = str(cell)
    return f"'{text}" if text.startswith(_FORMULA_SIGNS) else text


def as_html(report: Report) -> str:
    """Give the report as one page: its own styles, no script, nothing fetched."""
    layout = report.layout
    head = "".join(
        f'<th scope="col"{_class(c)}>{escape(c.id)} <span class="en" lang="en">{escape(c.en)}'
        "</span></th>"
        for c in layout.columns
    )
    body = "\n".join(f"<tr>{_cells(layout.columns, row)}</tr>" for row in report.rows)
    totals = report.totals()
    foot = "" if totals is None else f"<tfoot><tr>{_totals(layout.columns, totals)}</tr></tfoot>"
    count = len(report.rows)
    unit = " Rupiah." if any(c.kind is CellKind.RUPIAH for c in layout.columns) else ""
    return f"""<!doctype html>
<html lang="id">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{escape(layout.title_id)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(layout.title_id)} <span class="en" lang="en">{escape(layout.title_en)}</span></h1>
<p>{escape(layout.note_id)} <span class="en" lang="en">{escape(layout.note_en)}</span></p>
<p>{count} baris <span class="en" lang="en">{count} lines</span>.{unit}</p>
<div class="wide">
<table>
<thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody>
{foot}
</table>
</div>
<footer>{_basis(report.basis)} {escape(layout.source)}</footer>
</body>
</html>
"""


def _basis(basis: Basis) -> str:
    day = f"Per tanggal {basis.day}. " if basis.day else ""
    return (
        f"{day}Buku besar sampai catatan {basis.ledger_sequence}, akar {basis.root_hash}; "
        f"registri versi {basis.registry_version}:{basis.registry_chain}."
    )


def _class(column: Column) -> str:
    return "" if column.kind is CellKind.TEXT else ' class="n"'


def _cells(columns: tuple[Column, ...], row: tuple[Cell, ...]) -> str:
    return "".join(
        f"<td{_cell_class(column, cell)}>{escape(_shown(column, cell))}</td>"
        for column, cell in zip(columns, row, strict=True)
    )


def _cell_class(column: Column, cell: Cell) -> str:
    # A month or a shop's id must not be broken at its hyphen; a long name may.
    short = column.kind is CellKind.TEXT and len(str(cell)) <= _UNBROKEN_CHARACTERS
    return ' class="s"' if short else _class(column)


def _totals(columns: tuple[Column, ...], totals: tuple[Cell, ...]) -> str:
    cells = []
    for at, (column, cell) in enumerate(zip(columns, totals, strict=True)):
        text = "Jumlah" if at == 0 else _shown(column, cell) if column.total else ""
        cells.append(f"<td{_class(column)}>{escape(text)}</td>")
    return "".join(cells)


def _shown(column: Column, cell: Cell) -> str:
    if column.kind is CellKind.RUPIAH:
        return shown_rupiah(int(cell))
    if column.kind is CellKind.COUNT:
        return f"{int(cell):,}".replace(",", ".")
    return str(cell)
