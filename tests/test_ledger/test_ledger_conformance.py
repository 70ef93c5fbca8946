"""Every engine gives TigerBeetle's documented status to each event, in its order of precedence.

Source: reference/ledger.md 1.2; the tables of docs/reference/transfer.md. Lines in a table violate
several rules at once where the order matters: the first rule must win.
"""

from pathlib import Path

import pytest

from tests.test_ledger.conftest import OpenEngine, SteppingClock
from tests.test_ledger.ledger_tables import read_tables, run_table

TABLES = read_tables(Path(__file__).with_name("conformance.txt"))


@pytest.mark.parametrize("name", TABLES)
def test_events_of_a_table_get_the_statuses_written_beside_them(
    name: str, open_engine: OpenEngine, clock: SteppingClock
) -> None:
    ledger = open_engine()
    run_table(ledger, TABLES[name], clock.advance)
    report = ledger.verify()
    assert report.sum_minor == 0
    assert report.records == ledger.last_sequence


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in TABLES if "chain" not in name])
def test_a_table_run_event_by_event_across_restarts_gives_the_same(
    name: str, open_engine: OpenEngine, clock: SteppingClock
) -> None:
    ledger = open_engine()
    for number, line in enumerate(TABLES[name].strip().splitlines()):
        run_table(ledger, line, clock.advance)
        if number % 6 == 5:
            ledger.close()
            ledger = open_engine()
    assert ledger.verify().sum_minor == 0


def test_a_timeout_beyond_the_calendar_overflows(
    open_engine: OpenEngine, clock: SteppingClock
) -> None:
    clock.now = (1 << 63) - 2_000_000_000
    run_table(
        open_engine(),
        """
account id=1 -> CREATED
account id=2 -> CREATED
transfer id=1 timeout=3 flags=pending -> OVERFLOWS_TIMEOUT
transfer id=1 timeout=1 flags=pending -> CREATED
""",
        clock.advance,
    )
