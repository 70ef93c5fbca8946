"""Reports from ledger and registry alone: the same state gives the same bytes (R23, R54, R55).

No name, NIK or full card number of a person; figures equal the ledger's to the rupiah.
"""

from programme.reports.build import REPORT_NAMES, build_report
from programme.reports.render import as_csv, as_html
from programme.reports.table import Report

__all__ = ["REPORT_NAMES", "Report", "as_csv", "as_html", "build_report"]
