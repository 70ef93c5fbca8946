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

from lumbung.composition import open_offices
from lumbung.data_directory import DataDirectory
from lumbung.story.counter import Counter
from lumbung.system import SystemClock, system_random
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
    assert switch.end(signal.SIGTERM) == 0
    return counters


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
        assert_slips_are_postings(offices, counters, KILLS * 4, f"seed {CHANCE_SEED}")
    assert_pin_tries_are_those_that_were_typed(root, market)
