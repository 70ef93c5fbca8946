"""Engines under test: every conformance test runs on each engine that is built."""

import importlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger import open_ledger
from ledger.port import Ledger

#: Small segments, so that ordinary tests rotate them.
SEGMENT_SIZE = 64 * 1024
OpenEngine = Callable[..., Ledger]


def engines() -> list[str]:
    """Give the engines that are built here."""
    try:
        native = importlib.import_module("ledger.native")
    except ModuleNotFoundError:
        return ["pure"]
    return ["pure", "native"] if native.NATIVE_AVAILABLE else ["pure"]


class SteppingClock:
    """A clock in nanoseconds that moves only when told."""

    def __init__(self, start: int = 1_700_000_000_000_000_000) -> None:
        self.now = start

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += round(seconds * 1_000_000_000)


def counting_bytes(start: int = 0) -> Callable[[int], bytes]:
    """Give a source of "random" bytes that is the same in every run."""
    counter = itertools.count(start)
    return lambda length: next(counter).to_bytes(length, "big")


@pytest.fixture(params=engines())
def engine(request: pytest.FixtureRequest) -> str:
    """Give the engine's name."""
    return str(request.param)


@pytest.fixture
def clock() -> SteppingClock:
    """Give the clock that the opened ledgers read."""
    return SteppingClock()


@pytest.fixture
def open_engine(engine: str, tmp_path: Path, clock: SteppingClock) -> Iterator[OpenEngine]:
    """Give a function that opens (or reopens) the test's ledger; what it opens is closed."""
    opened: list[Ledger] = []

    def open_it(path: Path | None = None, **options: Any) -> Ledger:
        options = {
            "now_ns": clock,
            "random_bytes": counting_bytes(),
            "engine": engine,
            "segment_size": SEGMENT_SIZE,
            **options,
        }
        opened.append(open_ledger(path or tmp_path / "ledger", **options))
        return opened[-1]

    yield open_it
    for ledger in opened:
        ledger.close()
