"""`lumbung switch run` as a process of its own, killed in the middle of its work again and again.

`make kills KILLS=50 SEED=n` for many more; a failure names the seed.
"""

import asyncio
import os
import random
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from lumbung.composition import JOURNAL_KEY, Offices, open_offices
from lumbung.data_directory import DataDirectory
from lumbung.story.counter import Counter
from lumbung.system import SystemClock, system_random
from switch.control_client import ControlClient
from switch.journal import EntryKind, read_journal, segments_of
from tests.test_switch.switch_market import (
    COUNTERS,
    RIGHT,
    SEED,
    WRONG,
    Market,
    Switch,
    assert_pin_tries_are_those_that_were_typed,
    assert_slips_are_postings,
    make_city,
)

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("LUMBUNG_KILLS", "3"))
CHANCE_SEED = int(os.environ.get("LUMBUNG_SEED", str(SEED)))


async def play(market: Market, switch: Switch) -> list[Counter]:
    """Sell, kill, start again; close when all is settled."""
    await switch.start()
    counters = [
        Counter(market.offices, f"1240{number:04d}", "127.0.0.1", switch.port)
        for number in range(1, COUNTERS + 1)
    ]
    for counter in counters:
        assert await counter.terminal.log_on() == "00"
    async with asyncio.TaskGroup() as group:
        for number, counter in enumerate(counters):
            right, wrong = RIGHT[number::COUNTERS], list(WRONG[number::COUNTERS])
            group.create_task(market.sell(counter, right, wrong))
        for _ in range(KILLS):
            await market.more_answers()
            assert switch.end(signal.SIGKILL) == -signal.SIGKILL
            await switch.start()
        await market.more_answers()
        market.is_closing = True
    for counter in counters:
        assert await counter.terminal.settle_outstanding() == 0
    assert await asyncio.to_thread(drain, switch) == 0
    return counters


def drain(switch: Switch) -> int:
    """Stop the switch over its control channel; give its exit code."""
    assert switch.process is not None
    with ControlClient(switch.root) as client:
        assert client.ask("status")["ready"]
        assert client.ask("drain") == {"draining": True}
    switch.process.communicate(timeout=20)
    return switch.process.returncode


def assert_journal_survived_the_kills(offices: Offices, market: Market) -> None:
    """Every life has its segment; what a kill tore is left out, the rest is whole."""
    assert len(segments_of(offices.data.journal)) == KILLS + 1
    entries = list(read_journal(offices.data.journal, offices.keystore.get(JOURNAL_KEY)))
    answers = sum(1 for entry in entries if entry.kind is EntryKind.ANSWER)
    # What a kill takes with it is what the journal's thread had not written: a moment's answers.
    assert answers >= market.answers / 2


@pytest.mark.timeout(60 + 30 * KILLS)
def test_switch_killed_under_load_loses_and_doubles_nothing(tmp_path: Path) -> None:
    root = tmp_path / "data"
    decree = make_city(root)
    switch = Switch(root)
    with open_offices(
        DataDirectory.beside(root), SystemClock(), lambda _part: system_random
    ) as offices:
        market = Market(offices, decree, random.Random(CHANCE_SEED))
        try:
            counters = asyncio.run(play(market, switch))
        finally:
            if switch.process is not None:
                with suppress(ProcessLookupError):
                    switch.process.kill()
                switch.process.wait()
        assert switch.lives == KILLS + 1
        assert_journal_survived_the_kills(offices, market)
        assert_slips_are_postings(offices, counters, KILLS * 4, f"seed {CHANCE_SEED}")
    assert_pin_tries_are_those_that_were_typed(root, market)
