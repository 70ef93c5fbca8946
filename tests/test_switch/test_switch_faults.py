"""Every fault of the line with whole purchases: terminals settle by themselves, the books hold.

`make kills FAULT_SALES=40 SEED=n` for many more; a failure names the seed.
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
from lumbung.proxy import Fault, FaultProxy, Rule, Side
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

SALES = int(os.environ.get("LUMBUNG_FAULT_SALES", "2"))
CHANCE_SEED = int(os.environ.get("LUMBUNG_SEED", str(SEED)))
#: Each fault on each side that it can happen to.
CASES = [
    (fault, side)
    for fault in Fault
    for side in Side
    if side is Side.REPLY or fault is not Fault.CUT_AFTER_REPLY
]


async def sell_through(market: Market, counter: Counter, number: int, mistypers: list[int]) -> None:
    """Sell so often; the last one to a holder who mistypes."""
    for sale in range(SALES):
        is_wrong = sale == SALES - 1 and bool(mistypers)
        place = mistypers.pop() if is_wrong else market.chance.choice(RIGHT[number::COUNTERS])
        await market.sell_once(counter, market.holder(place), is_wrong=is_wrong)


async def play(market: Market, switch: Switch, met: dict[tuple[Fault, Side], int]) -> list[Counter]:
    await switch.start()
    async with FaultProxy("127.0.0.1", switch.port, seed=CHANCE_SEED) as proxy:
        counters = [
            Counter(market.offices, f"1240{number:04d}", "127.0.0.1", proxy.listen_port)
            for number in range(1, COUNTERS + 1)
        ]
        for counter in counters:
            assert await counter.terminal.log_on() == "00"
        mistypers = [list(WRONG[number::COUNTERS]) for number in range(COUNTERS)]
        for fault, side in CASES:
            before = proxy.counts[fault]
            proxy.rules = [Rule(fault, side=side, chance=0.5, seconds=0.5)]
            async with asyncio.TaskGroup() as group:
                for number, counter in enumerate(counters):
                    group.create_task(sell_through(market, counter, number, mistypers[number]))
            met[fault, side] = proxy.counts[fault] - before
        proxy.rules = []
        for counter in counters:
            assert await counter.terminal.settle_outstanding() == 0
        assert switch.end(signal.SIGTERM) == 0
    return counters


@pytest.mark.timeout(120 + 120 * SALES)
def test_every_fault_of_the_line_ends_in_one_story(tmp_path: Path, monkeypatch) -> None:
    # A lost message must not cost the field's seconds; a delay of 0.5 s is above it: late answers.
    monkeypatch.setattr("lumbung.story.counter.TIMEOUT_MS", 300)
    root = tmp_path / "data"
    decree = make_city(root)
    switch = Switch(root)
    met: dict[tuple[Fault, Side], int] = {}
    with open_offices(
        DataDirectory.beside(root), SystemClock(), lambda _part: system_random
    ) as offices:
        market = Market(offices, decree, random.Random(CHANCE_SEED), pause_seconds=0.0)
        try:
            counters = asyncio.run(play(market, switch, met))
        finally:
            if switch.process is not None:
                with suppress(ProcessLookupError):
                    switch.process.kill()
                switch.process.wait()
        told = f"seed {CHANCE_SEED}, faults {met}"
        assert set(met) == set(CASES)
        assert all(met.values()), told
        assert_slips_are_postings(offices, counters, len(CASES), told)
    assert_pin_tries_are_those_that_were_typed(root, market)
