"""Run the tests and close with one plain line: `tests: N passed, N failed, N skipped`.

Takes pytest's own arguments. With LUMBUNG_REQUIRE=all a missing service is an error, with
LUMBUNG_REQUIRE_NATIVE=1 a missing native core is.
"""

import os
import sys
import time
from collections import Counter

import pytest


class Tally:
    """Counts outcomes as the person at the screen would: an error is a failure."""

    def __init__(self) -> None:
        """Start at zero."""
        self.counts: Counter[str] = Counter()
        self.started_s = time.monotonic()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count one report."""
        if report.failed:
            self.counts["failed"] += 1
        elif report.skipped:
            self.counts["skipped"] += 1
        elif report.when == "call":
            self.counts["passed"] += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Count a file that could not be collected."""
        if report.failed:
            self.counts["failed"] += 1


def main() -> int:
    """Run; print the line; give pytest's exit code."""
    tally = Tally()
    # One worker a core; a file stays in one worker, so that its shared fixtures are made once.
    spread = ["-n", str(min(4, len(os.sched_getaffinity(0)))), "--dist", "loadfile", "-q"]
    code = int(pytest.main([*spread, *sys.argv[1:]], plugins=[tally]))
    counts = tally.counts
    print(f"took {time.monotonic() - tally.started_s:.0f} s")
    print(
        f"tests: {counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped",
        flush=True,
    )
    return code


if __name__ == "__main__":
    sys.exit(main())
