"""One seed of the crash simulation: hostile work, a fault at a random operation, recovery, compare.

A fault that the disk confesses (power, error) must leave the acknowledged state. One that it hides
(a misdirected or short write, rot) must leave that state or a refusal that names the damage; only
what was answered after the last synced commit mark may be missing, as a lone disk cannot tell.

`make sim SUITE=ledger SEED=n` runs one seed, `COUNT=m` so many from there.
"""

import random

import pytest

from ledger.errors import (
    LedgerCorruptError,
    LedgerError,
    LedgerForeignError,
    LedgerPoisonedError,
)
from ledger.pure import PureLedger, open_pure_on
from tests.test_ledger.conftest import SteppingClock, counting_bytes
from tests.test_ledger.ledger_disk import SILENT_FAULTS, PowerCut, SimulatedDisk
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
        #: The acknowledged state before the last group: what may be left when the disk has lied
        #: and no synced commit mark says more.
        self.before: Oracle | None = None
        self.refusals = 0

    def run(self, rounds: int) -> None:
        """Run so many lives of the ledger, each with its fault, and a last one without."""
        for _ in range(rounds):
            self.disk.fuse = self.rng.randint(1, 60)
            self.disk.fault = self.rng.choice(("cut", "cut", "error"))
            self.live(self.rng.randint(0, 25))
        self.finish()
        for _ in range(rounds):
            self.rot()
        self.disk.fuse = self.rng.randint(1, 60)
        self.disk.fault = self.rng.choice(SILENT_FAULTS)
        self.live_with_a_liar(self.rng.randint(1, 25))

    def rot(self) -> None:
        """Turn a bit over in a closed ledger: a refusal, or nothing lost. Then put it back."""
        backup = self.disk.copy()
        self.disk.rot()
        try:
            self.finish()
        except (LedgerCorruptError, LedgerForeignError) as error:
            if "offset" not in str(error):
                pytest.fail(f"a refusal names no offset: {error}")
            self.refusals += 1
        self.disk = backup

    def live_with_a_liar(self, batches: int) -> None:
        """Live on a disk that misplaces a write and says nothing: a refusal, or nothing lost."""
        self.before = None
        try:
            ledger = self.open()
            self.compare(ledger)
            self.post(ledger, batches)
            if self.rng.random() < 0.5:
                ledger.close()
                self.before = None  # Closing syncs the mark of the last frame.
            self.disk = self.disk.after_cut()
            self.finish()
        except (LedgerCorruptError, LedgerForeignError, LedgerPoisonedError) as error:
            # Poisoned: it read back what it needed to know, and that did not verify.
            read = not isinstance(error, LedgerPoisonedError) or "does not verify" in str(error)
            if not (read and self.disk.lied):
                pytest.fail(f"a refusal without damage: {error}")
            self.refusals += 1

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
        if ledger.torn_tail is not None and not self.disk.lied:
            assert self.under_way is not None, "a torn tail where nothing was under way"
        return ledger

    def compare(self, ledger: PureLedger) -> None:
        """What was recovered is the acknowledged state, or that and the group under way."""
        states = (self.acked, self.under_way, self.before if self.disk.lied else None)
        allowed = [o.restarted() for o in states if o is not None]
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
            if self.under_way.facts != self.acked.facts:
                self.before = self.acked
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


def run_seed(seed: int, rounds: int = 6) -> Simulation:
    """Run one seed; a failure names the command that repeats it."""
    simulation = Simulation(seed)
    try:
        simulation.run(rounds)
    except BaseException as error:
        error.add_note(f"again: make sim SUITE=ledger SEED={seed} ROUNDS={rounds}")
        raise
    return simulation
