"""`lumbung switch run` as a process of its own, killed in the middle of its work again and again.

Real terminals with real cards sell all the while. In the end the terminals' own journals and the
switch's disk must tell one story.
"""

import asyncio
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ledger import open_ledger
from lumbung.composition import Offices, compose, open_offices
from lumbung.data_directory import DataDirectory
from lumbung.story import cast
from lumbung.story.cast import Holder
from lumbung.story.counter import Counter, transfer_id_of
from lumbung.story.run import MONTH_SEN, standing_slips, story_created
from lumbung.system import SystemClock, seeded_random, system_random
from programme.accounts import open_purse
from programme.chart import Purse
from programme.disbursement import disburse
from programme.equations import check_equations
from terminal.journal.records import Kind
from terminal.journal.transactions import Status

pytestmark = pytest.mark.slow

SEED = 20_260_105
KILLS = 3
COUNTERS = 4
ANSWERS_BETWEEN_KILLS = (12, 30)
#: Each holder who mistypes does so twice: below the three that block a card.
WRONG_PER_CARD = 2
#: Places of the decree: those who type right, then those who mistype.
RIGHT, WRONG = range(40), range(40, 120)
SETTLED = {Status.COMPLETED, Status.REFUSED, Status.REVERSED}


class Switch:
    """The process, on one port for all its lives."""

    def __init__(self, root: Path) -> None:
        self.root, self.port, self.lives = root, 0, 0
        self.process: subprocess.Popen[str] | None = None

    async def start(self) -> None:
        """Start, and wait for its first line."""
        command = [sys.executable, "-m", "lumbung", "switch", "run",
                   "--data", str(self.root), "--port", str(self.port)]  # fmt: skip
        line = await asyncio.to_thread(self._run, command)
        assert line.startswith("listening on 127.0.0.1:"), line
        self.port = int(line.split(",")[0].rpartition(":")[2])
        self.lives += 1

    def _run(self, command: list[str]) -> str:
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end."""
        assert self.process is not None
        self.process.send_signal(number)
        self.process.communicate(timeout=10)
        return self.process.returncode


@dataclass
class Market:
    """All counters; what they saw."""

    offices: Offices
    decree: int
    chance: random.Random
    answers: int = 0
    enough: int = 0
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    is_closing: bool = False
    mistyped: dict[int, list[int]] = field(default_factory=dict)
    told_wrong: set[int] = field(default_factory=set)

    def holder(self, place: int) -> Holder:
        return cast.holder(self.offices, self.decree, SEED, place)

    async def sell(self, counter: Counter, places: range, mistypers: list[int]) -> None:
        """Sell until closing time; now and then to one who types a wrong PIN."""
        while not self.is_closing:
            is_wrong = bool(mistypers) and self.chance.random() < 0.3
            who = self.holder(mistypers.pop() if is_wrong else self.chance.choice(places))
            for _ in range(WRONG_PER_CARD if is_wrong else 1):
                await self._sell_once(counter, who, is_wrong=is_wrong)

    async def _sell_once(self, counter: Counter, who: Holder, *, is_wrong: bool) -> None:
        pin = f"{(int(who.pin) + 1) % 1_000_000:06d}" if is_wrong else ""
        amount_sen = self.chance.randrange(1, 3_000) * 100
        result = await counter.sell(who, amount_sen, pin=pin)
        if result.stan and is_wrong:
            wanted = transfer_id_of(counter.terminal_id, counter.transaction(result))
            self.mistyped.setdefault(who.card.card_number, []).append(wanted)
            if result.outcome == "55":
                self.told_wrong.add(wanted)
        if result.outcome in ("00", "55"):
            self.answers += 1
            if self.answers >= self.enough:
                self.reached.set()
        else:
            # The switch is away: as at a counter, a moment later the line is tried again.
            await asyncio.sleep(0.2)
            await counter.terminal.settle_outstanding()

    async def more_answers(self) -> None:
        """Wait for some more answers from the host."""
        self.reached.clear()
        self.enough = self.answers + self.chance.randrange(*ANSWERS_BETWEEN_KILLS)
        await self.reached.wait()


def make_city(root: Path) -> int:
    """Make a programme with cards, shops, terminals and a month's money; give its decree."""
    created = story_created()
    with (
        DataDirectory.open(root, kind="story", seed=SEED, created=created) as data,
        compose(data, SystemClock(), lambda part: seeded_random(SEED, part)) as parts,
    ):
        result = cast.take_decree(parts)
        cast.open_shops(parts)
        cast.hand_out_cards(parts, result, SEED)
        open_purse(parts.ledger, parts.registry, Purse.FOOD, cast.DINSOS_MAKER)
        number: int = result.decree.decree_number
        done = disburse(
            parts.ledger, parts.registry, number, "2026-01", MONTH_SEN,
            cast.DINSOS_MAKER, cast.DINSOS_CHECKER,
        )  # fmt: skip
        assert done.balanced
        return number


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


def test_switch_killed_under_load_loses_and_doubles_nothing(tmp_path: Path) -> None:
    root = tmp_path / "data"
    decree = make_city(root)
    switch = Switch(root)
    with open_offices(
        DataDirectory.beside(root), SystemClock(), lambda _part: system_random
    ) as offices:
        market = Market(offices, decree, random.Random(SEED))
        try:
            counters = asyncio.run(play(market, switch))
        finally:
            if switch.process is not None:
                with suppress(ProcessLookupError):
                    switch.process.kill()
                switch.process.wait()
        assert switch.lives == KILLS + 1
        assert_slips_are_postings(offices, counters)
    assert_pin_tries_are_those_that_were_typed(root, market)


def assert_slips_are_postings(offices: Offices, counters: list[Counter]) -> None:
    """What stands in the journals stands in the ledger once, and nothing else does."""
    kept = [
        transaction
        for counter in counters
        for transaction in counter.terminal.journal.transactions.values()
        if transaction.intent.kind is Kind.PURCHASE
    ]
    assert {t.status for t in kept} <= SETTLED
    assert sum(t.status is Status.REVERSED for t in kept), "no kill met a sale under way"
    slips = [slip for counter in counters for slip in standing_slips(counter)]
    assert len(slips) > KILLS * 4
    ledger = open_ledger(
        offices.data.ledger, now_ns=offices.clock.now_ns, random_bytes=system_random,
        create=False, read_only=True,
    )  # fmt: skip
    with closing(ledger):
        wrong = [e for e in check_equations(ledger, offices.registry, slips) if not e.holds]
        assert not wrong
        assert ledger.verify().records


def assert_pin_tries_are_those_that_were_typed(root: Path, market: Market) -> None:
    """Each wrong PIN that was answered cost one try, one that was not answered at most one."""
    charged: dict[int, list[int]] = {}
    with closing(sqlite3.connect(root / "switch.sqlite")) as state:
        for card, transfer in state.execute("SELECT card_number, transfer_id FROM pin_try"):
            charged.setdefault(card, []).append(int.from_bytes(transfer, "big"))
    every = [transfer for transfers in charged.values() for transfer in transfers]
    assert len(every) == len(set(every)), "a message cost two tries"
    assert market.told_wrong <= set(every), "an answered try was lost"
    for card, transfers in charged.items():
        assert set(transfers) <= set(market.mistyped[card]), "a try that nobody typed"
    assert market.told_wrong
