"""The whole system under one clock from one seed: terminals, cards, network, switch, ledger.

More of them: `make sim SUITE=system SEED=1000 COUNT=5000`.
"""

from collections import Counter
from functools import cache

import pytest

from tests.sim_system.system_network import NetworkFault
from tests.sim_system.system_simulation import run_seed

pytestmark = pytest.mark.slow
SEEDS = range(1, 301)
#: What happens on days, beside the faults of the network: each on some day of SEEDS.
HAPPENS = (
    *(f"terminal: power cut at {step}" for step in (
        "journal: before", "journal: after", "message: before", "message: after",
        "command: before", "command: after", "answer: arrived", "print: before", "print: after",
        "slips: before", "slips: after",
    )),
    "terminal: power cut while it waits", "terminal: journal torn", "terminal: signal lost",
    *(f"switch: struck by {what}" for what in (
        "kill", "power", "disk", "disk error", "disk full", "before", "after", "error",
    )),
    "switch: became unfit", "switch: LedgerPoisonedError", "switch: StateError",
    "switch: LedgerFullError",
    "switch: turns of several", "switch: answer without a peer",
    "office: card blocked", "office: shop suspended", "office: month paid",
    "office: cut-over before its time", "office: PIN given anew", "office: PIN tries given back",
    "office: card replaced", "office: proxy ended", "office: rules changed",
    "office: sale refunded", "office: month swept",
    "office: sweep of a second amount waits",
    *(f"office: asked again after {error}" for error in (
        "TimeoutError", "BulkError", "LedgerPoisonedError", "LedgerFullError",
    )),
    "people: basket bought", "people: proxy bought",
    "people: PIN changed", "people: wrong PIN", "PIN: told wrong", "clock: jumped",
    *(f"card: {what}" for what in (
        "torn before at GENERATE_AC 1", "torn after at GENERATE_AC 1",
        "torn at write at GENERATE_AC 1", "torn before at GENERATE_AC 2",
        "torn after at GENERATE_AC 2", "torn at write at GENERATE_AC 2",
        "mute at GENERATE_AC 2", "wrong cryptogram at GENERATE_AC 1",
        "lower cryptogram at GENERATE_AC 2",
    )),
    *(f"request: {mti}" for mti in (
        "0100", "0200", "0220", "0320", "0400", "0401", "0500", "0501", "0800", "unreadable",
    )),
    *(f"answer: 02 {code}" for code in (
        "00", "03", "10", "12", "19", "41", "51", "55", "57", "62", "63", "75", "76", "77", "88",
        "96",
    )),
    "answer: 05 95", "answer: cut",
    *(f"card: tapped {what} at GET_PROCESSING_OPTIONS 1" for what in ("torn after", "mute")),
    *(f"printer: {what}" for what in (
        "paper-low", "paper-out", "cover-open", "mute", "unplug", "told lost", "told silent",
        "told paper_out", "told cover_open", "told not_connected",
    )),
    *(f"paper: {what}{mark}" for what in ("approved", "voucher", "other")
        for mark in ("", ", marked a copy")),
)  # fmt: skip


@cache
def seen_on(seed: int) -> Counter[str]:
    """Run a seed once, whichever test asks first."""
    return run_seed(seed).seen


@pytest.mark.parametrize("seed", SEEDS)
def test_system_day_with_faults_ends_with_slips_equal_to_postings(seed: int) -> None:
    seen_on(seed)


@pytest.mark.timeout(300)
def test_system_seeds_meet_every_kind_of_fault_and_answer() -> None:
    seen: Counter[str] = sum((seen_on(seed) for seed in SEEDS), Counter())
    wanted = [
        f"network: {way} {fault.value}" for way in ("request", "reply") for fault in NetworkFault
    ]
    assert [name for name in (*wanted, *HAPPENS) if not seen[name]] == []


def test_system_seed_run_twice_is_the_same_run() -> None:
    first, again = run_seed(7), run_seed(7)
    assert first.seen == again.seen
    assert first.time.passed_ns == again.time.passed_ns
    assert first.follower.facts == again.follower.facts
