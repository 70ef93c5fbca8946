"""One seed of the whole system: terminals, cards, network, switch, ledger, registry, one clock.

`make sim SUITE=system SEED=n [COUNT=m]` runs seeds. Which faults there are and how often is drawn
from the seed, so that some days are quiet but for one of them.
"""

import tempfile
from collections import Counter as Tally
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from cardsim import CardImage
from ledger.statuses import CreateTransferStatus
from lumbung.testing.virtual_time import VirtualTime, WallClock
from protocols.ids import MessageKey, transfer_id
from protocols.iso8583 import Codec, load_spec
from switch.config import SwitchConfig
from switch.session import Departure
from tests.sim_system import system_checks
from tests.sim_system.system_city import (
    SHOPS,
    START_NS,
    copy_registry,
    memory_folder,
    open_registry,
    plan,
)
from tests.sim_system.system_counter import Counter
from tests.sim_system.system_holder import Holder
from tests.sim_system.system_network import MS, SECOND, Network, NetworkFault
from tests.sim_system.system_node import SimulatedNode

#: How long the day is, and a bound of its events: a run that goes beyond is stuck.
DAY_SECONDS = 900
EVENTS_MAX = 200_000
_APPROVED = frozenset({"00", "10"})
_MONEY_BACK = frozenset({"02", "20"})
#: What may happen to the switch.
_STRIKES = ("kill", "power", "disk", "disk", "disk error", "before", "after", "error")
CODEC = Codec(load_spec("edc"))


@dataclass(slots=True)
class Acked:
    """Answers that left the switch and said yes to money."""

    sales: set[int] = field(default_factory=set)
    corrections: set[int] = field(default_factory=set)


class Simulation:
    """One seed's world."""

    def __init__(self, seed: int, folder: Path) -> None:
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
            folder / "switch.sqlite", SwitchConfig(), self.seen,
        )  # fmt: skip
        self.node.watch = self._answered
        self.network.peer = self.node
        self.acked = Acked()
        self.is_closing = False
        self.holders = [
            Holder(place, CardImage.from_json(image), pin)
            for place, (image, pin) in enumerate(zip(self.plan.images, self.plan.pins, strict=True))
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
        self.wrong_pins = rate(0.05, 0.2)
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

    def pin_may_be(self, who: Holder, new: str) -> None:
        """Note that a change of PIN is under way whose end the terminal may never hear."""
        self.seen["people: PIN change"] += 1
        del who, new

    def _plan_events(self) -> None:
        rng = self.rng
        for counter in self.counters:
            for _ in range(rng.randint(0, 3)):
                if rng.random() < self.power_cuts:
                    self.time.after(self._sometime(), counter.cut_power)
            if rng.random() < 0.3:
                self.time.after(self._sometime(), partial(self._signal, counter))
        for _ in range(rng.randint(0, 4)):
            if rng.random() < self.node_deaths:
                self.time.after(self._sometime(), self._strike_node)

    def _sometime(self) -> int:
        return self.rng.randrange(DAY_SECONDS * 1_000) * MS

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
        what = rng.choice(
            ("kill", "power", "disk", "disk", "disk error", "before", "after", "error")
        )
        self.seen[f"switch: struck by {what}"] += 1
        if what in ("kill", "power"):
            node.die(power=what == "power")
        elif what in ("disk", "disk error"):
            node.disk.fault = "cut" if what == "disk" else "error"
            node.disk.fuse = rng.randint(1, 8)
        else:
            node.state.plan = what

    def _close(self) -> None:
        """End the day: nothing breaks any more."""
        self.is_closing = True
        self.network.rates = {}
        self.node.disk.fuse = -1
        if self.node.state is not None:
            self.node.state.plan = ""
        for counter in self.counters:
            counter.line.is_down = False

    def _is_over(self) -> bool:
        assert self.time.events < EVENTS_MAX, "the day does not end"
        return all(counter.is_done for counter in self.counters)

    def _after_each(self) -> None:
        """Check what is cheap, after every event."""

    def _answered(self, departure: Departure) -> None:
        """Check an answer as it leaves: what it says yes to is durable."""
        if departure.payload is None:
            self.seen["answer: cut"] += 1
            return
        answer = CODEC.decode(departure.payload)
        code = answer.text(39)
        self.seen[f"answer: {answer.mti[:2]} {code}"] += 1
        if answer.mti[:2] != "02" or code not in _APPROVED:
            return
        if answer.text(3)[:2] not in ("00", *_MONEY_BACK):
            return
        key = MessageKey(
            "edc", answer.text(32) if 32 in answer else "", answer.text(41), answer.text(7),
            answer.text(11), answer.text(37), "02",
        )  # fmt: skip
        message = transfer_id(key)
        assert self.node.ledger is not None, "a node that answers is up"
        (entry,) = self.node.ledger.lookup_entries([message])
        assert entry is not None, f"an approval without its record: {message:032x}"
        if answer.text(3)[:2] == "00":
            assert entry.status == CreateTransferStatus.CREATED, "an approval that moved nothing"
            self.acked.sales.add(message)
        else:
            self.acked.corrections.add(message)


def run_seed(seed: int, **_settings: Any) -> Simulation:
    """Run one seed; a failure names the command that repeats it."""
    with tempfile.TemporaryDirectory(prefix="lumbung-sim-", dir=memory_folder()) as folder:
        simulation = Simulation(seed, Path(folder))
        try:
            simulation.run()
        except BaseException as error:
            error.add_note(f"again: make sim SUITE=system SEED={seed}")
            raise
        finally:
            simulation.close()
    return simulation
