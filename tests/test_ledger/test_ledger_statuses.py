"""The tables of docs/reference/transfer.md and the enumerations say the same, in the same order."""

import doctest
import re
from enum import IntEnum
from pathlib import Path

import pytest

from ledger.statuses import TRANSIENT_STATUSES, CreateAccountStatus, CreateTransferStatus

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "transfer.md"
CONFORMANCE = Path(__file__).with_name("conformance.txt")
#: Reached by a test of its own, since the clock must stand near the end of time.
ELSEWHERE = {"OVERFLOWS_TIMEOUT"}


def rows(section: int) -> list[tuple[str, int, str]]:
    """Give name, number and scope of each row of a section's table."""
    text = PAGE.read_text(encoding="utf-8").split(f"\n## {section} ")[1].split("\n## ")[0]
    found = re.findall(r"^\| ([A-Z_0-9]+) \| (\d+) \| (given|burns|out of scope) \|", text, re.M)
    return [(name, int(number), scope) for name, number, scope in found]


@pytest.mark.parametrize(
    ("section", "names"), [(4, CreateTransferStatus), (5, CreateAccountStatus)]
)
def test_the_page_names_every_status_in_its_order(section: int, names: type[IntEnum]) -> None:
    assert [row[:2] for row in rows(section)] == [(member.name, member.value) for member in names]


def test_the_page_marks_exactly_the_transient_statuses_as_burning() -> None:
    burning = {name for name, _, scope in rows(4) if scope == "burns"}
    assert burning == {status.name for status in TRANSIENT_STATUSES}


def test_every_status_that_is_given_has_a_line_in_a_conformance_table() -> None:
    lines = CONFORMANCE.read_text(encoding="ascii")
    for kind, section in (("transfer", 4), ("account", 5)):
        reached = set(re.findall(rf"^{kind}.*-> ([A-Z_0-9]+)", lines, re.M)) | ELSEWHERE
        given = {name for name, _, scope in rows(section) if scope != "out of scope"}
        assert given - reached == set()
        assert not {n for n, _, scope in rows(section) if scope == "out of scope"} & reached


def test_the_example_of_the_page_runs() -> None:
    failed, ran = doctest.testfile(str(PAGE), module_relative=False)
    assert (failed, ran > 5) == (0, True)
