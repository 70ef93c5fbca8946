"""One run of the story on a data directory: set up, play a day, close, reopen, verify.

Any run may be killed at any moment. The next one on the same directory recovers what was
acknowledged, settles what was open, and plays the next business day with other cards.
"""

import json
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from ledger import open_ledger
from lumbung.composition import Composition, RandomFor, compose
from lumbung.data_directory import DataDirectory, DataDirectoryError
from lumbung.event_loop import run_loop
from lumbung.story import cast
from lumbung.story.counter import Counter, transfer_id_of
from lumbung.story.outcome import Step, StoryOutcome
from lumbung.story.script import (
    CARDS_PER_DAY,
    FOOD_TERMINAL,
    PHONE_CREDIT_TERMINAL,
    SUSPENDED_TERMINAL,
    Stage,
    play,
)
from lumbung.system import STORY_START_NS, StoryClock, seeded_random
from programme.accounts import open_purse
from programme.chart import Purse
from programme.decree import ImportResult
from programme.disbursement import disburse
from programme.equations import Slip, check_equations
from protocols.business_time import wita
from protocols.clock import RandomBytes
from switch.config import SwitchConfig
from switch.server import SwitchServer
from terminal.journal.records import Kind

#: The launch paid three months at once (domain.md 1.2); so does the story.
PERIODS = ("2025-11", "2025-12", "2026-01")
MONTH_SEN = 300_000 * 100
DAY_NS = 86_400 * 1_000_000_000
TERMINALS = (FOOD_TERMINAL, PHONE_CREDIT_TERMINAL, SUSPENDED_TERMINAL)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class StoryDay:
    """Which day of the story this run plays: its clock and its streams of random bytes."""

    seed: int
    number: int

    @property
    def start_ns(self) -> int:
        """Give 09:00 WITA of the day, in nanoseconds UTC."""
        return STORY_START_NS + self.number * DAY_NS

    def random_for(self, stream: str) -> RandomBytes:
        """Give the day's random bytes for a part: never the same bytes on two days."""
        return seeded_random(self.seed, f"{self.number}/{stream}")


def next_day(data: DataDirectory) -> StoryDay:
    """Count the day durably before anything of it happens, so that no day is played twice."""
    path = data.root / "story.json"
    number = _last_day(path) + 1 if path.exists() else 0
    temporary = path.with_suffix(".new")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump({"day": number}, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    seed = data.manifest.seed
    assert seed is not None, "a story's directory has a seed"
    return StoryDay(seed, number)


def _last_day(path: Path) -> int:
    """Give the day that was counted last; raise DataDirectoryError when the file does not say."""
    try:
        number = json.loads(path.read_text("utf-8"))["day"]
    except (ValueError, KeyError, TypeError):
        number = None
    if not isinstance(number, int) or number < 0:
        raise DataDirectoryError(
            f"{path}: this is not the count of the story's days.",
            fix='Write {"day": N} with the last day played, or more: no day is played twice.',
        )
    return number


async def run_story(data: DataDirectory, say: Say, tell: Callable[[Step], None]) -> StoryOutcome:
    """Run one day on an opened directory and give everything about it."""
    day = next_day(data)
    clock = StoryClock(day.start_ns)
    outcome = StoryOutcome(day.seed, day.number, wita(day.start_ns).date().isoformat())
    with compose(data, clock, day.random_for) as parts:
        outcome.engine = parts.ledger.engine
        result = _set_up(parts, day.seed, say, outcome)
        await _day(parts, clock, result, day, say, tell, outcome)
    _verify(data, clock, day.random_for, outcome)
    return outcome


def _set_up(parts: Composition, seed: int, say: Say, outcome: StoryOutcome) -> ImportResult:
    result = cast.take_decree(parts)
    say(
        f"decree {result.decree.name}: {result.lines} recipients "
        f"({result.new_people} new), determined by the Mayor"
    )
    shops, terminals = cast.open_shops(parts)
    cards = cast.hand_out_cards(parts, result, seed)
    say(f"registry: {cards} cards, {shops} shops, {terminals} terminals with a key each")
    open_purse(parts.ledger, parts.registry, Purse.FOOD, cast.DINSOS_MAKER)
    for period in (*PERIODS, PERIODS[-1]):
        done = disburse(
            parts.ledger, parts.registry, result.decree.decree_number, period, MONTH_SEN,
            cast.DINSOS_MAKER, cast.DINSOS_CHECKER,
        )  # fmt: skip
        again = done.credited_before_count
        say(
            f"disbursed {period}: {done.credited_count} credits, {again} had it before"
            + ("" if done.balanced else ", NOT BALANCED")
        )
        outcome.steps.append(
            Step(
                name=f"disburse-{period}", what="every card has its month exactly once",
                expected="balanced", outcome="balanced" if done.balanced else "not balanced",
                amount_sen=done.total_sen,
            )
        )  # fmt: skip
    return result


async def _day(
    parts: Composition,
    clock: StoryClock,
    result: ImportResult,
    day: StoryDay,
    say: Say,
    tell: Callable[[Step], None],
    outcome: StoryOutcome,
) -> None:
    async with AsyncExitStack() as stack:
        server = SwitchServer(
            SwitchConfig(), parts.registry, parts.keystore, parts.ledger,
            parts.data.switch_state, clock, parts.random_for("switch"),
        )  # fmt: skip
        port = await server.start()
        stack.push_async_callback(server.stop)
        say(f"switch listens on 127.0.0.1:{port}, ledger engine {parts.ledger.engine}")
        counters = []
        for terminal_id in TERMINALS:
            counter = Counter(parts, terminal_id, "127.0.0.1", port)
            stack.push_async_callback(_close, counter)
            counters.append(counter)
        for counter in counters:
            if counter.terminal.owed_reversals:
                owed = counter.terminal.owed_reversals
                left = await counter.terminal.settle_outstanding()
                say(
                    f"terminal {counter.terminal_id} settled {owed - left} of {owed} open reversals"
                )
        places = [(day.number * CARDS_PER_DAY + n) % result.lines for n in range(CARDS_PER_DAY)]
        number = result.decree.decree_number
        holders = [cast.holder(parts, number, day.seed, place) for place in places]
        food, phone_credit, suspended = counters
        stage = Stage(parts, clock, food, phone_credit, suspended, holders, tell, outcome.steps)
        outcome.receipt = await play(stage)
        _keep_receipt(parts.data.receipts, day, outcome.receipt)
        slips = [slip for counter in counters for slip in standing_slips(counter)]
    outcome.equations = check_equations(parts.ledger, parts.registry, slips)


def standing_slips(counter: Counter) -> list[Slip]:
    """Give the sales that stand by the terminal's own journal: what its slips say.

    Of a sale that was refunded in part, or of which less was handed over, the rest stands.
    """
    terminal_id = counter.terminal_id
    return [
        Slip(transfer_id_of(terminal_id, sale), sale.amount_sen - sale.refunded_sen)
        for sale in counter.terminal.journal.transactions.values()
        if sale.intent.kind in (Kind.PURCHASE, Kind.VOUCHER) and sale.stands
    ]


async def _close(counter: Counter) -> None:
    await counter.terminal.close()


def _keep_receipt(folder: Path, day: StoryDay, text: str) -> None:
    folder.joinpath(f"day-{day.number:03d}-first-sale.txt").write_text(text, "utf-8")


def _verify(
    data: DataDirectory, clock: StoryClock, random_for: RandomFor, outcome: StoryOutcome
) -> None:
    """Open the ledger again from disk alone and replay it from genesis."""
    ledger = open_ledger(
        data.ledger, now_ns=clock.now_ns, random_bytes=random_for("verify"),
        create=False, read_only=True,
    )  # fmt: skip
    try:
        outcome.verified = ledger.verify()
    finally:
        ledger.close()


def run(data: DataDirectory, say: Say, tell: Callable[[Step], None]) -> StoryOutcome:
    """Run one day of the story to its end."""
    return run_loop(run_story(data, say, tell))


def story_created() -> str:
    """Give the moment the story begins, for the manifest."""
    return wita(STORY_START_NS).isoformat()
