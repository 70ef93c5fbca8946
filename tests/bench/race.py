"""Jobs of microseconds measured side by side: many short rounds, every subject in each of them.

A virtual machine has slow spells of a second and more. Timed one after the other, one subject
meets such a spell and its neighbour does not. Here every round times each subject for a fraction
of a millisecond, so that all of them see the same machine, and a subject's figure is the best of
its rounds: what the code costs when nothing else runs. The rule is the same for us and the peers.
"""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass

import figures

#: Rounds of a run; with some fifty subjects they take about ten seconds.
ROUNDS = 400
#: A subject's part of a round: short, so that some parts fall between two disturbances.
PART_NS = 250_000
#: Calls before a part's clock starts: the neighbour has left its own data in the caches.
WARM_SHARE = 8
#: What to print above the rows.
HEADING = f"figures in us are the minimum of {ROUNDS} short rounds that hold every subject"

Job = Callable[[], object]


@dataclass(slots=True)
class Runner:
    """One subject of one case: what it does, how often, the best so far in ns a call."""

    case: str
    subject: str
    job: Job
    shared_by: int
    before: Job
    loops: int = 1
    best_ns: float = float("inf")


class Race:
    """Collects jobs, runs them interleaved, gives their rows.

    `before` is called ahead of each part of the jobs added after it was set.
    """

    def __init__(self) -> None:
        """Start without runners."""
        self._runners: list[Runner] = []
        self.before: Job = object

    def add(self, case: str, subject: str, job: Job, shared_by: int = 1) -> None:
        """Take a job; its figure is divided by `shared_by`, the messages of one call."""
        self._runners.append(Runner(case, subject, job, shared_by, self.before))

    def rows(self) -> list[figures.Row]:
        """Run all rounds; give one row a runner, in the order they were added."""
        for runner in self._runners:
            runner.before()
            runner.job()
            one_ns = min(timed_ns(runner.job, 3) / 3 for _ in range(5))
            runner.loops = max(1, round(PART_NS / max(one_ns, 1)))
        was_enabled = gc.isenabled()
        gc.collect()
        gc.disable()
        try:
            for _ in range(ROUNDS):
                for runner in self._runners:
                    runner.before()
                    timed_ns(runner.job, runner.loops // WARM_SHARE)
                    taken_ns = timed_ns(runner.job, runner.loops) / runner.loops
                    runner.best_ns = min(runner.best_ns, taken_ns)
        finally:
            if was_enabled:
                gc.enable()
        return [
            figures.Row(
                suite="protocols",
                case=runner.case,
                subject=runner.subject,
                metric="us",
                value=round(runner.best_ns / runner.shared_by / 1_000, 3),
                unit="us",
            )
            for runner in self._runners
        ]


def timed_ns(job: Job, loops: int) -> int:
    """Give the nanoseconds of so many calls."""
    start = time.perf_counter_ns()
    for _ in range(loops):
        job()
    return time.perf_counter_ns() - start
