"""`make sim SUITE=ledger|system SEED=n [COUNT=m] [ROUNDS=r] [ENGINE=e]`: replay seeds.

One seed is one run, always the same. The first seed that fails is printed with the command that
replays it; the exit code is 1. `system` prints what its seeds met: faults, answers. A seed of the
ledger is run by the pure engine, by the native one, and by both in turn (`mixed`); one of the
system by the engine whose turn it is, or by the one that is asked for.
"""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUITES = ("ledger", "system")


def main() -> int:
    """Run the seeds; give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=6, help="ledger: lives with a fault")
    parser.add_argument("--engine", choices=("pure", "native", "mixed"), help="one of them")
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    run = run_system if given.suite == "system" else run_ledger
    started, seen = time.perf_counter(), Counter[str]()
    for seed in range(given.seed, given.seed + given.count):
        try:
            seen += run(seed, given)
        except BaseException:
            rounds = f" ROUNDS={given.rounds}" if given.suite == "ledger" else ""
            again = f"make sim SUITE={given.suite} SEED={seed}{rounds}"
            print(f"sim: seed {seed} FAILED; again: {again}", flush=True)
            raise
        if given.count > 100 and (seed - given.seed) % 100 == 99:
            print(f"sim: {seed - given.seed + 1} of {given.count}", flush=True)
    seconds = time.perf_counter() - started
    for name, count in sorted(seen.items()):
        print(f"{count:>8} {name}")
    print(f"sim: {given.count} seeds from {given.seed}: none failed ({seconds:.1f} s)")
    return 0


def run_ledger(seed: int, given: argparse.Namespace) -> Counter[str]:
    """Run a seed of the ledger's crashes, by every engine that is built or the one asked for."""
    from tests.test_ledger.ledger_simulation import WAYS, run_seed

    seen = Counter[str]()
    for way in [given.engine] if given.engine else WAYS:
        seen[f"ledger, {way}: damage refused"] = run_seed(seed, given.rounds, way).refusals
        seen[f"ledger, {way}: seeds"] = 1
    return seen


def run_system(seed: int, given: argparse.Namespace) -> Counter[str]:
    """Run a seed of the whole system."""
    from tests.sim_system.system_simulation import run_seed

    return run_seed(seed, given.engine or "").seen


if __name__ == "__main__":
    sys.exit(main())
