"""A market for end-to-end tests: a switch process, counters with real cards, and the books' word.

Holders buy, some of them mistyping; whatever breaks meanwhile, in the end the terminals' journals
and the switch's disk must tell one story.
"""

import asyncio
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from ledger import open_ledger
from lumbung.composition import Offices, compose
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

SEED = 20_260_105
COUNTERS = 4
ANSWERS_BETWEEN_KILLS = (12, 30)
#: Each holder who mistypes does so twice: below the three that block a card.
WRONG_PER_CARD = 2
#: Places of the decree: those who type right, then those who mistype.
RIGHT, WRONG = range(40), range(40, 120)
SETTLED = {Status.COMPLETED, Status.REFUSED, Status.REVERSED}


class Switch:
    """The process, on one port for all its lives."""

    def __init__(self, root: Path, *arguments: str) -> None:
        self.root, self.port, self.lives = root, 0, 0
        self.arguments = arguments
        self.process: subprocess.Popen[str] | None = None

    async def start(self) -> None:
        """Start, and wait for its first line."""
        command = [sys.executable, "-m", "lumbung", "switch", "run",
                   "--data", str(self.root), "--port", str(self.port), *self.arguments]  # fmt: skip
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
    pause_seconds: float = 0.2
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
                await self.sell_once(counter, who, is_wrong=is_wrong)

    async def sell_once(self, counter: Counter, who: Holder, *, is_wrong: bool) -> None:
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
            await asyncio.sleep(self.pause_seconds)
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


def assert_slips_are_postings(
    offices: Offices, counters: list[Counter], sales_min: int, told: str
) -> None:
    """What stands in the journals stands in the ledger once, and nothing else does."""
    kept = [
        transaction
        for counter in counters
        for transaction in counter.terminal.journal.transactions.values()
        if transaction.intent.kind is Kind.PURCHASE
    ]
    assert {t.status for t in kept} <= SETTLED
    assert sum(t.status is Status.REVERSED for t in kept), f"nothing met a sale under way: {told}"
    slips = [slip for counter in counters for slip in standing_slips(counter)]
    assert len(slips) >= sales_min, told
    ledger = open_ledger(
        offices.data.ledger, now_ns=offices.clock.now_ns, random_bytes=system_random,
        create=False, read_only=True,
    )  # fmt: skip
    with closing(ledger):
        wrong = [e for e in check_equations(ledger, offices.registry, slips) if not e.holds]
        assert not wrong, told
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
