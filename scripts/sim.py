"""`make sim SUITE=ledger SEED=n [COUNT=m] [ROUNDS=r]`: replay seeds of a simulation.

One seed is one run, always the same. The first seed that fails is printed with the command that
replays it; the exit code is 1.
"""

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUITES = ("ledger",)


def main() -> int:
    """Run the seeds; give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=6, help="lives with a fault, for each seed")
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from tests.test_ledger.ledger_simulation import run_seed

    started, refusals = time.perf_counter(), 0
    for seed in range(given.seed, given.seed + given.count):
        try:
            refusals += run_seed(seed, given.rounds).refusals
        except BaseException:
            again = f"make sim SUITE={given.suite} SEED={seed} ROUNDS={given.rounds}"
            print(f"sim: seed {seed} FAILED; again: {again}", flush=True)
            raise
        if given.count > 100 and (seed - given.seed) % 100 == 99:
            print(f"sim: {seed - given.seed + 1} of {given.count}", flush=True)
    seconds = time.perf_counter() - started
    print(
        f"sim: {given.count} seeds from {given.seed}: none failed; "
        f"damage refused {refusals} times ({seconds:.1f} s)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
