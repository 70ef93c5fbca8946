"""The native and the pure engine are twins: same answers, same bytes, each continues the other.

Given the same batches, clock readings, ids and random bytes (docs/reference/ledger-format.md).
"""

import random
import re
from pathlib import Path

import pytest

from ledger import open_ledger
from ledger.port import Ledger
from ledger.structures import Account, Transfer
from tests.test_ledger.conftest import SteppingClock, counting_bytes, engines
from tests.test_ledger.ledger_workload import Workload

pytestmark = pytest.mark.skipif(
    "native" not in engines(), reason="the native engine is not built: pip install . with Rust"
)


class Twin:
    """One ledger that may change its engine at every restart."""

    def __init__(self, path: Path, segment_size: int) -> None:
        self.path = path
        self.segment_size = segment_size
        self.clock = SteppingClock()
        self.nonces = counting_bytes(5)
        self.ledger: Ledger

    def open(self, engine: str) -> None:
        self.ledger = open_ledger(
            self.path,
            now_ns=self.clock,
            random_bytes=self.nonces,
            engine=engine,  # type: ignore[arg-type]
            segment_size=self.segment_size,
        )

    def files(self) -> dict[str, bytes]:
        """Give the files that the format page lays down."""
        wanted = re.compile(r"\d{8}\.(seg|seal|snap)|superblock")
        return {p.name: p.read_bytes() for p in self.path.iterdir() if wanted.fullmatch(p.name)}


def run(seed: int, directory: Path, batches: int) -> None:
    """Run the same work on a pure, a native and an alternating ledger; compare all along."""
    rng = random.Random(seed)
    work = Workload(rng)
    size = 16_384 * rng.randint(1, 3)
    twins = [Twin(directory / name, size) for name in ("pure", "native", "both")]
    turns = {"both": 0}

    def reopen() -> None:
        turns["both"] += 1
        for twin, engine in zip(twins, ("pure", "native", "pure"), strict=True):
            alternating = twin.path.name == "both" and turns["both"] % 2
            twin.open("native" if alternating else engine)

    reopen()
    accounts = work.accounts()
    assert len({tuple(twin.ledger.create_accounts(accounts)) for twin in twins}) == 1
    for _ in range(batches):
        step = rng.choice((0, 1, 500_000_000, 1_000_000_000, -3_000_000_000))
        for twin in twins:
            twin.clock.now += step
        events = work.transfers(rng.choice((2, 8, 30)))
        answers = {tuple(twin.ledger.create_transfers(events)) for twin in twins}
        assert len(answers) == 1, f"seed {seed}: {events}"
        if rng.random() < 0.15:
            for twin in twins:
                twin.ledger.close()
            assert twins[0].files() == twins[1].files() == twins[2].files(), f"seed {seed}"
            reopen()
    reports = [twin.ledger.verify() for twin in twins]
    assert len({report.root_hash for report in reports}) == 1
    assert len({tuple(twin.ledger.accounts()) for twin in twins}) == 1
    assert len({tuple(twin.ledger.entries()) for twin in twins}) == 1
    for twin in twins:
        twin.ledger.close()
    assert twins[0].files() == twins[1].files() == twins[2].files(), f"seed {seed}"


@pytest.mark.parametrize("seed", range(1))
def test_engines_write_the_same_bytes_and_go_on_with_each_others(seed: int, tmp_path: Path) -> None:
    run(seed, tmp_path, batches=25)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 104))
def test_engines_write_the_same_bytes_over_long_runs(seed: int, tmp_path: Path) -> None:
    run(seed, tmp_path, batches=80)


@pytest.mark.slow
def test_engines_write_the_same_bytes_for_batches_that_two_threads_hash(tmp_path: Path) -> None:
    pure, native = Twin(tmp_path / "pure", 4 << 20), Twin(tmp_path / "native", 4 << 20)
    for twin, engine in ((pure, "pure"), (native, "native")):
        twin.open(engine)
        twin.ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
        first = 1
        for count in (2_047, 2_048, 8_189, 8_189, 1, 8_189):  # The last ones in a second segment.
            batch = [
                Transfer(
                    id=number, debit_account_id=1, credit_account_id=2, amount=7, ledger=1, code=1
                )
                for number in range(first, first + count)
            ]
            first += count
            assert {result.status.name for result in twin.ledger.create_transfers(batch)} == {
                "CREATED"
            }
        assert twin.ledger.verify().transfers == first - 1
        twin.ledger.close()
    assert pure.files() == native.files()
