"""One seed of the crash simulation: hostile work, a fault at a random operation, recovery, compare.

A fault that the disk confesses (power, error, no room) must leave the acknowledged state. One that
it hides (a misdirected or short write, a misdirected read, rot) must leave that state or a refusal
that names the damage; only what was answered after the last synced commit mark may be missing, as a
lone disk cannot tell.

Every life is led by an engine of its own. With both engines built, what a crash left is opened by
both of them on copies of the disk: same verdict, same state, same files.

`make sim SUITE=ledger SEED=n` runs one seed, `COUNT=m` so many from there, `ENGINE=native` one
engine.
"""

import random
from collections.abc import Sequence

import pytest

from ledger.errors import (
    LedgerCorruptError,
    LedgerError,
    LedgerForeignError,
    LedgerFullError,
    LedgerPoisonedError,
)
from tests.test_ledger.conftest import SteppingClock, engines
from tests.test_ledger.ledger_disk import SILENT_FAULTS, PowerCut, SimulatedDisk
from tests.test_ledger.ledger_lives import (
    AnyLedger,
    Nonces,
    Recovered,
    compare_reads,
    open_on,
    post_together,
)
from tests.test_ledger.ledger_oracle import Oracle
from tests.test_ledger.ledger_workload import Workload

CONFESSED_FAULTS = ("cut", "cut", "kill", "error", "read")
#: How the engines of a simulation are called: one of them for every life, or all in turn.
MIXED = "mixed"
WAYS = [*engines(), *([MIXED] if len(engines()) > 1 else [])]


class Simulation:
    """One seed: a disk, a ledger on it, and the oracle of what was acknowledged."""

    def __init__(self, seed: int, engine: str = "pure") -> None:
        self.rng = random.Random(seed)
        self.engines: Sequence[str] = engines() if engine == MIXED else [engine]
        self.clock = SteppingClock()
        self.nonces = Nonces()
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
            self.disk.fault = self.rng.choice(CONFESSED_FAULTS)
            self.live(self.rng.randint(0, 25))
            self.twins_agree()
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
        self.twins_agree()
        try:
            self.finish()
        except (LedgerCorruptError, LedgerForeignError) as error:
            if "offset" not in str(error):
                pytest.fail(f"a refusal names no offset: {error}")
            self.refusals += 1
        self.disk = backup

    def live_with_a_liar(self, batches: int) -> None:
        """Live on a disk that misplaces a block and says nothing: a refusal, or nothing lost."""
        self.before = None
        try:
            ledger = self.open()
            self.compare(ledger)
            self.post(ledger, batches)
            if self.rng.random() < 0.5:
                ledger.close()
                self.before = None  # Closing syncs the mark of the last frame.
            self.disk = self.disk.after_cut()
            self.twins_agree()
            self.finish()
        except (LedgerCorruptError, LedgerForeignError, LedgerPoisonedError) as error:
            # Poisoned: what it read back did not verify, or a file was shorter than it was made.
            told = not isinstance(error, LedgerPoisonedError) or any(
                reason in str(error) for reason in ("offset", "No space left")
            )
            if not (told and self.disk.lied):
                pytest.fail(f"a refusal without damage: {error}")
            self.refusals += 1

    def live(self, batches: int) -> bool:
        """Open, compare, post, end by a power cut or a kill; say whether a fault struck."""
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
        except (LedgerCorruptError, LedgerForeignError):
            raise  # A disk that says that it failed is no damage.
        except LedgerError:  # A disk that fails while opening, reading or closing promised nothing.
            if not self.disk.struck:
                raise
        is_cut = self.disk.fault == "cut" or (self.disk.fault != "kill" and self.rng.random() < 0.5)
        self.disk = self.disk.after_cut() if is_cut else self.disk.after_kill()
        return struck

    def finish(self) -> None:
        """Open what is left without a fault; it must be an allowed state and verify."""
        ledger = self.open()
        self.compare(ledger)
        assert ledger.verify().sum_minor == 0
        ledger.close()

    def open(self) -> AnyLedger:
        """Open with the engine that leads this life."""
        engine = self.rng.choice(self.engines)
        ledger = open_on(self.disk, engine, self.clock, self.nonces, self.segment_size)
        if ledger.torn_tail is not None and not self.disk.lied:
            assert self.under_way is not None, "a torn tail where nothing was under way"
        return ledger

    def twins_agree(self) -> None:
        """Both engines recover the same from this disk, and leave the same files."""
        if self.engines == ["pure"] or self.rng.random() < 0.5:
            return
        pure, native = [
            Recovered.of(self.disk.copy(), engine, self.clock, self.nonces.copy())
            for engine in ("pure", "native")
        ]
        if self.disk.lied and {pure.verdict, native.verdict} == {"opened", "LedgerCorruptError"}:
            return  # What a snapshot covers is looked at when it is used, each in its own time.
        assert pure == native, pure.difference(native)

    def compare(self, ledger: AnyLedger) -> None:
        """What was recovered is the acknowledged state, or that and the group under way."""
        states = (self.acked, self.under_way, self.before if self.disk.lied else None)
        allowed = [o.restarted() for o in states if o is not None]
        accounts = list(ledger.accounts())
        facts = [(entry.transfer, entry.status) for entry in ledger.entries()]
        for oracle in allowed:
            predicted = [(f.transfer, f.status) for f in oracle.facts]
            if predicted == facts and oracle.accounts() == accounts:
                self.acked, self.under_way = oracle, None
                compare_reads(ledger, oracle, self.rng)
                return
        pytest.fail(f"recovered {len(accounts)} accounts and {len(facts)} entries: no such state")

    def post(self, ledger: AnyLedger, batches: int) -> None:
        """Post so many batches, or until the disk fails."""
        if not self.acked.created:
            accounts = self.work.accounts()
            self.under_way = self.acked.copy()
            wanted = self.under_way.create_accounts(accounts, self.clock.now)
            assert ledger.create_accounts(accounts) == wanted
            self.acked, self.under_way = self.under_way, None
        filling = self.rng.randrange(batches + 1) if self.rng.random() < 0.3 else batches
        for number in range(batches):
            self.clock.now += self.rng.choice((0, 1, 700_000_000, 1_000_000_000, -2_000_000_000))
            if number == filling:
                self.disk.capacity = self.disk.used + self.rng.choice((0, self.segment_size))
            elif number == filling + 6:
                self.disk.capacity = 1 << 40
            self.post_group(ledger)

    def post_group(self, ledger: AnyLedger) -> None:
        """Post a batch, or several together from coroutines; compare the answers."""
        together = self.rng.choice((1, 1, 3, 12))
        most = self.rng.choice((1, 4, 40)) // together
        requests = [self.work.transfers(max(most, 1)) for _ in range(together)]
        self.under_way = self.acked.copy()
        wanted = self.under_way.create_group(requests, self.clock.now)
        try:
            if together == 1:
                assert [ledger.create_transfers(requests[0])] == wanted
            else:
                assert post_together(ledger, requests) == wanted
        except LedgerFullError:  # Nothing was submitted, and the next group is tried as ever.
            assert self.disk.capacity < 1 << 40 or self.disk.struck
            self.under_way = None
            return
        if self.under_way.facts != self.acked.facts:
            self.before = self.acked
        self.acked, self.under_way = self.under_way, None

    def check_poisoned(self, ledger: AnyLedger) -> None:
        """After a failed write nothing is answered any more, reads neither."""
        for call in (
            lambda: ledger.create_transfers([]),
            lambda: ledger.lookup_accounts([1]),
            ledger.verify,
        ):
            with pytest.raises(LedgerPoisonedError):
                call()
        ledger.close()


def run_seed(seed: int, rounds: int = 6, engine: str = "pure") -> Simulation:
    """Run one seed; a failure names the command that repeats it."""
    simulation = Simulation(seed, engine)
    try:
        simulation.run(rounds)
    except BaseException as error:
        again = f"make sim SUITE=ledger SEED={seed} ROUNDS={rounds} ENGINE={engine}"
        error.add_note(f"again: {again}")
        raise
    return simulation
