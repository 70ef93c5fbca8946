"""Run the tests and close with one plain line: `tests: N passed, N failed, N skipped`.

Takes pytest's own arguments. With LUMBUNG_REQUIRE=all a missing service is an error, with
LUMBUNG_REQUIRE_NATIVE=1 a missing native core is.
"""

import os
import sys
import time
from collections import Counter
from pathlib import Path

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


#: What the quick run leaves to the whole one: slow tests, services, examples in docstrings, and the
#: plug-in whose import alone is a second.
_QUICK = (
    "-m", "not slow and not service",
    "-o", "addopts=--import-mode=importlib --strict-markers --strict-config -ra",
    "-p", "no:schemathesis",
)  # fmt: skip


def arguments(given: list[str]) -> list[str]:
    """Give pytest's arguments: one worker a core, a file in one worker for its shared fixtures.

    `--quick` leaves out what is slow or needs a service and the docstrings, draws fewer examples,
    and keeps temporary files in memory where there is /dev/shm: what is about the disk itself is
    marked slow.
    """
    spread = ["-q", "-n", str(min(4, len(os.sched_getaffinity(0)))), "--dist", "loadfile"]
    if "--quick" not in given:
        return [*spread, *given]
    given = [each for each in given if each != "--quick"]
    os.environ.setdefault("LUMBUNG_PROFILE", "quick")  # Fewer drawn examples; tests/conftest.py.
    memory = Path("/dev/shm")  # noqa: S108 - a file system in memory, not a name to guess
    if memory.is_dir() and os.access(memory, os.W_OK):
        spread.append(f"--basetemp={memory}/lumbung-unit-{os.getuid()}")
    return [*spread, *_QUICK, *given]


def main() -> int:
    """Run; print the line; give pytest's exit code."""
    # Without cached bytecode every worker would compile the whole project anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    tally = Tally()
    code = int(pytest.main(arguments(sys.argv[1:]), plugins=[tally]))
    counts = tally.counts
    print(f"took {time.monotonic() - tally.started_s:.0f} s")
    print(
        f"tests: {counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped",
        flush=True,
    )
    return code


if __name__ == "__main__":
    sys.exit(main())
