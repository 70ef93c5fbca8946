"""One seed of the crash simulation: hostile work, a fault at a random operation, recovery, compare.

`python -m tests.test_ledger.ledger_simulation SEED [COUNT]` runs one seed, or so many from there.
"""

import random
import sys

import pytest

from ledger.errors import LedgerError, LedgerPoisonedError
from ledger.pure import PureLedger, open_pure_on
from tests.test_ledger.conftest import SteppingClock, counting_bytes
from tests.test_ledger.ledger_disk import PowerCut, SimulatedDisk
from tests.test_ledger.ledger_oracle import Oracle
from tests.test_ledger.ledger_workload import Workload


class Simulation:
    """One seed: a disk, a ledger on it, and the oracle of what was acknowledged."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.clock = SteppingClock()
        self.nonces = counting_bytes()
        self.work = Workload(self.rng)
        self.disk = SimulatedDisk(self.rng)
        self.segment_size = 16_384 * self.rng.choice((1, 1, 2))
        self.acked = Oracle()
        #: What would stand if the group under way became durable; None when there is none.
        self.under_way: Oracle | None = None

    def run(self, rounds: int) -> None:
        """Run so many lives of the ledger, each with its fault, and a last one without."""
        for _ in range(rounds):
            self.disk.fuse = self.rng.randint(1, 60)
            self.disk.fault = self.rng.choice(("cut", "cut", "error"))
            self.live(self.rng.randint(0, 25))
        self.finish()

    def live(self, batches: int) -> bool:
        """Open, compare, post, and come up again after a power cut; say whether a fault struck."""
        ledger = None
        struck = True
        try:
            ledger = self.open()
            self.compare(ledger)
            self.post(ledger, batches)
            ledger.close()
            struck = False
        except PowerCut:
            pass
        except LedgerPoisonedError:
            assert ledger is not None
            self.check_poisoned(ledger)
        except LedgerError as error:  # A disk that fails while opening promised nothing.
            if not isinstance(error.__cause__, OSError):
                raise
        self.disk = self.disk.after_cut()
        return struck

    def finish(self) -> None:
        """Open what is left without a fault; it must be an allowed state and verify."""
        ledger = self.open()
        self.compare(ledger)
        assert ledger.verify().sum_minor == 0
        ledger.close()

    def open(self) -> PureLedger:
        ledger = open_pure_on(
            self.disk,
            now_ns=self.clock,
            random_bytes=self.nonces,
            segment_size=self.segment_size,
        )
        if ledger.torn_tail is not None:
            assert self.under_way is not None, "a torn tail where nothing was under way"
        return ledger

    def compare(self, ledger: PureLedger) -> None:
        """What was recovered is the acknowledged state, or that and the group under way."""
        allowed = [o.restarted() for o in (self.acked, self.under_way) if o is not None]
        accounts = list(ledger.accounts())
        facts = [(entry.transfer, entry.status) for entry in ledger.entries()]
        for oracle in allowed:
            predicted = [(f.transfer, f.status) for f in oracle.facts]
            if predicted == facts and oracle.accounts() == accounts:
                self.acked, self.under_way = oracle, None
                return
        pytest.fail(f"recovered {len(accounts)} accounts and {len(facts)} entries: no such state")

    def post(self, ledger: PureLedger, batches: int) -> None:
        """Post so many batches, or until the disk fails."""
        if not self.acked.created:
            accounts = self.work.accounts()
            self.under_way = self.acked.copy()
            wanted = self.under_way.create_accounts(accounts, self.clock.now)
            assert ledger.create_accounts(accounts) == wanted
            self.acked, self.under_way = self.under_way, None
        for _ in range(batches):
            self.clock.now += self.rng.choice((0, 1, 700_000_000, 1_000_000_000, -2_000_000_000))
            events = self.work.transfers(self.rng.choice((1, 4, 40)))
            self.under_way = self.acked.copy()
            wanted = self.under_way.create_transfers(events, self.clock.now)
            assert ledger.create_transfers(events) == wanted
            self.acked, self.under_way = self.under_way, None

    def check_poisoned(self, ledger: PureLedger) -> None:
        """After a failed write nothing is answered any more, reads neither."""
        for call in (
            lambda: ledger.create_transfers([]),
            lambda: ledger.lookup_accounts([1]),
            ledger.verify,
        ):
            with pytest.raises(LedgerPoisonedError):
                call()
        ledger.close()


def run_seed(seed: int, rounds: int = 6) -> None:
    """Run one seed; a failure names the command that repeats it."""
    try:
        Simulation(seed).run(rounds)
    except BaseException as error:
        error.add_note(f"again: python -m tests.test_ledger.ledger_simulation {seed}")
        raise


if __name__ == "__main__":
    first, count = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    for number in range(first, first + count):
        run_seed(number)
    sys.stdout.write(f"{count} seeds from {first}: none failed\n")
