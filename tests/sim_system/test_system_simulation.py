"""The whole system under one clock from one seed: terminals, cards, network, switch, ledger."""

import pytest

from tests.sim_system.system_simulation import run_seed

pytestmark = pytest.mark.slow
SEEDS = range(1, 31)


@pytest.mark.parametrize("seed", SEEDS)
def test_system_day_with_faults_ends_with_slips_equal_to_postings(seed: int) -> None:
    run_seed(seed)


def test_system_seed_run_twice_is_the_same_run() -> None:
    first, again = run_seed(7), run_seed(7)
    assert first.seen == again.seen
    assert first.time.passed_ns == again.time.passed_ns
