"""One load run against a running switch, from the messages to the verdict."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ledger import open_ledger
from ledger.port import Ledger
from lumbung.composition import Offices
from lumbung.load.audit import audit
from lumbung.load.crew import cards_for, load_cards, log_on_all
from lumbung.load.driver import Driver
from lumbung.load.limits import CONNECTIONS_MAX
from lumbung.load.messages import Purchase, answer_code, purchases, read_key
from lumbung.load.report import LoadReport, make_report
from lumbung.load.schedule import LoadError, Profile, starts_ns
from lumbung.system import system_random


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What is asked of a run: where, how much, how spread."""

    host: str
    port: int
    rate: float
    seconds: float
    connections: int = 16
    profile: Profile = Profile.STEADY
    amount_sen: int = 100
    seed: int = 7

    def __post_init__(self) -> None:
        if not 1 <= self.connections <= CONNECTIONS_MAX:
            raise LoadError(f"a run has 1 to {CONNECTIONS_MAX} connections.")


async def run_load(
    offices: Offices, plan: LoadPlan, say: Callable[[str], None] = lambda _text: None
) -> LoadReport:
    """Log terminals on, prepare, send by the schedule, and have the ledger judge.

    The switch runs on the same data directory, which is only read here.
    """
    starts = starts_ns(plan.profile, plan.rate, plan.seconds, plan.seed)
    with ledger_beside(offices) as ledger:
        cards, before = load_cards(offices, ledger), ledger.last_sequence
    terminals = await log_on_all(offices, plan.host, plan.port, offices.clock.now_ns())
    cards = cards_for(cards, plan.connections)
    made = purchases(terminals, cards, plan.amount_sen, len(starts), offices.clock.now_ns())
    prepared = await asyncio.to_thread(list, made)
    say(f"{len(prepared)} purchases of {len(cards)} cards at {len(terminals)} terminals")
    async with Driver(
        plan.host, plan.port, prepared, read_key, connections=plan.connections
    ) as driver:
        tally = await driver.run_open(starts)
    codes, approved, refused = read_answers(prepared, tally.answers)
    report = make_report(plan.profile.value, plan.connections, plan.seconds, starts, tally, codes)
    with ledger_beside(offices) as ledger:
        report.invariants = audit(
            ledger, offices.registry, approved, refused, plan.amount_sen, before
        )
    return report


def read_answers(
    prepared: list[Purchase], answers: list[bytes]
) -> tuple[Counter[str], list[int], list[int]]:
    """Give counts by code, and the transfer ids that were approved and refused."""
    codes: Counter[str] = Counter()
    approved, refused = [], []
    for purchase, payload in zip(prepared, answers, strict=True):
        if not payload:
            continue
        code = answer_code(purchase, payload)
        codes[code] += 1
        if code == "00":
            approved.append(purchase.transfer_id)
        elif code.isdecimal():
            refused.append(purchase.transfer_id)
    return codes, approved, refused


@contextmanager
def ledger_beside(offices: Offices) -> Iterator[Ledger]:
    """Open the directory's ledger for reading, beside the switch that writes it."""
    ledger = open_ledger(
        offices.data.ledger, now_ns=offices.clock.now_ns, random_bytes=system_random,
        create=False, read_only=True,
    )  # fmt: skip
    try:
        yield ledger
    finally:
        ledger.close()
