"""One seed of the whole system: terminals, cards, network, switch, ledger, registry, one clock.

`make sim SUITE=system SEED=n [COUNT=m]` runs seeds. Which faults there are and how often is drawn
from the seed, so that some days are quiet but for one of them.
"""

import tempfile
from collections import Counter as Tally
from functools import partial
from pathlib import Path
from random import Random

from cardsim import CardImage
from ledger.errors import LedgerPoisonedError
from ledger.native import NATIVE_AVAILABLE
from lumbung.testing.virtual_time import VirtualTime, WallClock
from protocols.iso8583 import Message
from protocols.values import Pan, Track2
from switch.config import SwitchConfig
from tests.sim_system import system_checks
from tests.sim_system.system_city import (
    SEGMENT_BYTES,
    SHOPS,
    START_NS,
    copy_registry,
    memory_folder,
    open_registry,
    plan,
)
from tests.sim_system.system_counter import Counter
from tests.sim_system.system_follower import Follower
from tests.sim_system.system_holder import Holder
from tests.sim_system.system_network import MS, SECOND, Network, NetworkFault
from tests.sim_system.system_node import SimulatedNode
from tests.sim_system.system_office import Office, city_rules
from tests.sim_system.system_witness import PinBook, Witness

#: How long the day is, and a bound of its events: a run that goes beyond is stuck.
DAY_SECONDS = 900
EVENTS_MAX = 200_000
#: A disk with room for more than any day.
ROOM_BYTES = 1 << 40
#: What may happen to the switch.
_STRIKES = (
    "kill", "power", "disk", "disk", "disk error", "disk full", "before", "after", "error",
)  # fmt: skip
#: How the ledger is opened in each life of the switch.
ENGINES = {"pure": ("pure",), "native": ("native",), "mixed": ("native", "pure")}


class Simulation:
    """One seed's world."""

    def __init__(self, seed: int, folder: Path, engine: str) -> None:
        """Draw the day and set everything up."""
        self.seed = seed
        self.rng = rng = Random(seed)
        self.time = VirtualTime()
        self.seen: Tally[str] = Tally()
        self.plan = plan()
        self.keys = self.plan.keys
        self.clock = WallClock(self.time, START_NS)
        self.registry = open_registry(copy_registry(folder), self.clock, rng.randbytes)
        self.network = Network(self.time, rng, self.seen)
        disk = self.plan.ledger.copy()
        disk.rng = rng
        self.node = SimulatedNode(
            self.time, rng, self.clock, self.registry, self.keys, disk,
            folder / "switch.sqlite", SwitchConfig(), city_rules(), self.seen, ENGINES[engine],
        )  # fmt: skip
        self.witness = Witness(self)
        self.node.watch_request, self.node.watch_answer = self.witness.came, self.witness.left
        self.network.peer = self.node
        self.pins, self.office = PinBook(), Office(self)
        cards = frozenset(card.account_id for card in self.registry.all_cards())
        self.follower = Follower(cards)
        self.is_closing = False
        self.holders = [
            Holder(pan, CardImage.from_json(image), pin)
            for pan, image, pin in zip(
                self.plan.pans, self.plan.images, self.plan.pins, strict=True
            )
        ]
        self._draw_faults()
        self.counters = [Counter(self, place, folder) for place in range(rng.randint(2, SHOPS))]

    def _draw_faults(self) -> None:
        """Draw the mix: each kind is absent half of the time."""
        rng = self.rng

        def rate(*often: float) -> float:
            return rng.choice((0.0, *often)) if rng.random() < 0.7 else 0.0

        self.network.rates = {fault: rate(0.01, 0.05, 0.1) for fault in NetworkFault}
        self.power_cuts = rate(0.3, 1.0)
        self.card_faults = rate(0.1, 0.3)
        self.wrong_pins = rate(0.1, 0.6)
        self.miscounts = rate(0.3)
        self.printer_faults = rate(0.3, 1.0)
        self.node_deaths = rate(0.5, 1.0)
        self.settles_by_itself = rng.random() < 0.5

    def run(self) -> None:
        """Run the day to its end and check everything."""
        self.node.start()
        for counter in self.counters:
            counter.begin()
        self._plan_events()
        self.time.after(DAY_SECONDS * SECOND, self._close)
        self.time.run(self._is_over, self._after_each)
        system_checks.check_end(self)

    def close(self) -> None:
        """Let files go."""
        for counter in self.counters:
            if counter.terminal is not None:
                counter.terminal.release()
        if self.node.state is not None:
            self.node.state.close()
        self.registry.close()

    def card_of(self, message: Message) -> int:
        """Give the registry's number of a message's card, 0 for an unknown one."""
        pan = Track2(message.text(35)).pan if 35 in message else Pan(message.text(2))
        view = self.registry.card_by_pan(pan)
        return view.card_number if view is not None else 0

    def voucher_of(self, transfer_id: int) -> str:
        """Give the number of the voucher that was posted under an id, empty without one."""
        for counter in self.counters:
            assert counter.terminal is not None, "every terminal is up at the end"
            for transaction in counter.terminal.journal.transactions.values():
                if counter.id_of(transaction) == transfer_id:
                    return transaction.intent.voucher
        return ""

    def sometime(self) -> int:
        """Give an instant of the day."""
        return self.rng.randrange(DAY_SECONDS * 1_000) * MS

    def _plan_events(self) -> None:
        rng = self.rng
        for counter in self.counters:
            for _ in range(rng.randint(0, 3)):
                if rng.random() < self.power_cuts:
                    self.time.after(self.sometime(), counter.cut_power)
            if rng.random() < 0.3:
                self.time.after(self.sometime(), partial(self._signal, counter))
            for _ in range(rng.randint(0, 6)):
                if rng.random() < self.printer_faults:
                    self.time.after(self.sometime(), counter.printer.break_down)
        self.office.plan()
        for _ in range(rng.randint(0, 4)):
            if rng.random() < self.node_deaths:
                self.time.after(self.sometime(), self._strike_node)

    def _signal(self, counter: Counter) -> None:
        """Let a terminal lose its signal for a while."""
        if self.is_closing:
            return
        self.seen["terminal: signal lost"] += 1
        counter.line.is_down = True
        counter.line.lose()
        self.time.after(
            self.rng.randrange(5, 120) * SECOND, lambda: setattr(counter.line, "is_down", False)
        )

    def _strike_node(self) -> None:
        """Let something happen to the switch."""
        node, rng = self.node, self.rng
        if not node.is_up or self.is_closing or node.state is None:
            return
        what = rng.choice(_STRIKES)
        self.seen[f"switch: struck by {what}"] += 1
        if what in ("kill", "power"):
            node.die(power=what == "power")
        elif what == "disk full":
            node.disk.capacity = node.disk.used + rng.choice((0, SEGMENT_BYTES))
            self.time.after(rng.randrange(20, 300) * SECOND, self._make_room)
        elif what in ("disk", "disk error"):
            node.disk.fault = "cut" if what == "disk" else "error"
            node.disk.fuse = rng.randint(1, 8)
        else:
            node.state.plan = what

    def _make_room(self) -> None:
        self.node.disk.capacity = ROOM_BYTES

    def _close(self) -> None:
        """End the day: nothing breaks any more."""
        self.is_closing = True
        self._make_room()
        self.network.rates = {}
        self.office.end_the_day()
        for clock in (self.clock, *(counter.clock for counter in self.counters)):
            clock.jump(START_NS + self.time.passed_ns - clock.now_ns())
        self.node.disk.fuse = -1
        if self.node.state is not None:
            self.node.state.plan = ""
        for counter in self.counters:
            counter.line.is_down = False

    def _is_over(self) -> bool:
        assert self.time.events < EVENTS_MAX, "the day does not end"
        is_quiet = not self.office.treasury.under_way
        return is_quiet and all(counter.is_done for counter in self.counters)

    def _after_each(self) -> None:
        """Check what may never be, after every event."""
        ledger = self.node.ledger
        if ledger is None or not self.node.is_up:
            return
        try:
            self.follower.follow(ledger)
        except LedgerPoisonedError:
            struck = self.seen["switch: struck by disk error"]
            assert struck, "a ledger fell silent without a fault"


def engine_of(seed: int) -> str:
    """Give which engine has a seed's ledger: each in turn, where both are built."""
    return (*ENGINES,)[seed % len(ENGINES)] if NATIVE_AVAILABLE else "pure"


def run_seed(seed: int, engine: str = "") -> Simulation:
    """Run one seed; a failure names the command that repeats it."""
    engine = engine or engine_of(seed)
    with tempfile.TemporaryDirectory(prefix="lumbung-sim-", dir=memory_folder()) as folder:
        simulation = Simulation(seed, Path(folder), engine)
        try:
            simulation.run()
        except BaseException as error:
            error.add_note(f"again: make sim SUITE=system SEED={seed} ENGINE={engine}")
            raise
        finally:
            simulation.close()
    return simulation
