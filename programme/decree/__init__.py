"""Decree files: who is to be paid, strictly read, applied whole or not at all (R49, R50)."""

from programme.decree.diff import DecreeDiff, compare_decree
from programme.decree.faults import DecreeFileError, Fault
from programme.decree.importing import ImportResult, import_decree
from programme.decree.reader import DecreeFile, DecreeRow, nik_at, read_decree
from programme.decree.template import template

__all__ = [
    "DecreeDiff",
    "DecreeFile",
    "DecreeFileError",
    "DecreeRow",
    "Fault",
    "ImportResult",
    "compare_decree",
    "import_decree",
    "nik_at",
    "read_decree",
    "template",
]
