"""What the offices do meanwhile: block cards, suspend shops, pay months, give PINs."""

from collections import Counter
from functools import cache, partial
from importlib.resources import files
from typing import TYPE_CHECKING

from ledger.port import Ledger
from lumbung.testing.virtual_time import Moment
from programme.disbursement import disburse
from programme.registry_port import BlockReason
from protocols.crypto.pin import ibm3624_offset
from switch.jobs import BulkError, Group
from switch.rules import RuleBook, parse_rules
from tests.sim_system.system_city import (
    BANK,
    CHECKER,
    DISKOMINFO,
    MAKER,
    PERIODS,
    PVK,
    merchant_id,
)
from tests.sim_system.system_holder import Holder
from tests.sim_system.system_network import MS, SECOND

if TYPE_CHECKING:
    from tests.sim_system.system_simulation import Simulation

_OUTAGE_OFF = "enabled = false\n# Vouchers of one day"


@cache
def city_rules() -> RuleBook:
    """Give the built-in rules with outage sales allowed."""
    text = files("switch").joinpath("data/rules.toml").read_text("utf-8")
    assert text.count(_OUTAGE_OFF) == 1, "the outage rule is where it was"
    return parse_rules(text.replace(_OUTAGE_OFF, _OUTAGE_OFF.replace("false", "true")), "rules")


class Office:
    """All offices. What they change in the registry is in force when the call returns."""

    def __init__(self, simulation: "Simulation") -> None:
        """Begin with the month that everybody has."""
        self.simulation = simulation
        #: Of each card that is blocked now: since when, in passed nanoseconds.
        self.blocked_since: dict[int, int] = {}
        self.suspended_since: dict[str, int] = {}
        self.unpaid = list(PERIODS[1:])

    @property
    def _seen(self) -> Counter[str]:
        return self.simulation.seen

    def plan(self) -> None:
        """Draw what happens on this day."""
        simulation = self.simulation
        rng = simulation.rng
        busy = rng.choice((0.0, 0.3, 1.0))
        for call, most in (
            (self.block_a_card, 3),
            (self.suspend_a_shop, 1),
            (self.pay_a_month, 2),
            (self.cut_over_early, 1),
            (self.let_a_clock_jump, 2),
            (self.unblock_pins, 2),
        ):
            for _ in range(most):
                if rng.random() < busy:
                    simulation.time.after(simulation.sometime(), call)

    def block_a_card(self) -> None:
        """Block a card, and give it back a little later."""
        simulation = self.simulation
        who = simulation.rng.choice(simulation.holders)
        card = self._card_number(who)
        if card in self.blocked_since or simulation.is_closing:
            return
        reason = simulation.rng.choice((BlockReason.LOST, BlockReason.SUSPICION))
        simulation.registry.block_card(card, reason, DISKOMINFO)
        self.blocked_since[card] = simulation.time.passed_ns
        self._seen["office: card blocked"] += 1
        later_ns = simulation.rng.randrange(5, 200) * SECOND
        simulation.time.after(later_ns, partial(self._unblock, card))

    def _unblock(self, card: int) -> None:
        if self.blocked_since.pop(card, None) is not None:
            self.simulation.registry.unblock_card(card, DISKOMINFO)

    def suspend_a_shop(self) -> None:
        """Suspend a shop for a while."""
        simulation = self.simulation
        shop = merchant_id(simulation.rng.choice(simulation.counters).place)
        if shop in self.suspended_since or simulation.is_closing:
            return
        simulation.registry.suspend(shop, MAKER)
        self.suspended_since[shop] = simulation.time.passed_ns
        self._seen["office: shop suspended"] += 1
        simulation.time.after(
            simulation.rng.randrange(5, 200) * SECOND, partial(self._resume, shop)
        )

    def _resume(self, shop: str) -> None:
        if self.suspended_since.pop(shop, None) is not None:
            self.simulation.registry.shops.resume(shop, MAKER)

    def pay_a_month(self) -> None:
        """Have the next month paid by the running switch; again, if it dies meanwhile."""
        if self.unpaid and not self.simulation.is_closing:
            self.simulation.time.start(self._pay(self.unpaid.pop(0)))

    async def _pay(self, period: str) -> None:
        simulation = self.simulation
        while True:
            pump = simulation.node.pump
            if pump is not None:
                paid: Moment[bool] = Moment()
                group = Group(partial(self._disburse, period, paid))
                try:
                    pump.bulk.put(group)
                    await simulation.time.within(paid, 30 * SECOND)
                except (BulkError, TimeoutError):
                    self._seen["office: disbursement begun again"] += 1
                else:
                    self._seen["office: month paid"] += 1
                    return
            await simulation.time.sleep(simulation.rng.randrange(1_000, 20_000) * MS)

    def _disburse(self, period: str, paid: Moment[bool], ledger: Ledger) -> None:
        simulation = self.simulation
        decree = simulation.plan.decree
        disburse(ledger, simulation.registry, decree, period, None, MAKER, CHECKER)
        paid.give(True)

    def cut_over_early(self) -> None:
        """Begin the next business date before its time."""
        simulation = self.simulation
        if simulation.node.pump is None or simulation.is_closing:
            return
        self._seen["office: cut-over before its time"] += 1
        simulation.node.node.core.cut_over("bank")
        simulation.node.pump.run()

    def let_a_clock_jump(self) -> None:
        """Let a clock be wrong: a terminal's, or the switch's."""
        simulation = self.simulation
        if simulation.is_closing:
            return
        rng = simulation.rng
        clocks = [simulation.clock, *(counter.clock for counter in simulation.counters)]
        rng.choice(clocks).jump(rng.choice((-3_600, -600, -5, 5, 600, 3_600)) * SECOND)
        self._seen["clock: jumped"] += 1

    def unblock_pins(self) -> None:
        """Give every card its PIN tries back (help desk)."""
        simulation = self.simulation
        if simulation.node.pump is None:
            return
        core = simulation.node.node.core
        for who in simulation.holders:
            card = self._card_number(who)
            if core.desk.memory.pin_tries.count(card):
                self._seen["office: PIN tries given back"] += 1
                simulation.pins.forgive(card)
                core.unblock_pin(card, "helpdesk")
        simulation.node.pump.run()

    def give_new_pin(self, who: Holder) -> None:
        """Give a holder a PIN after a change whose end nobody heard; the old one ends."""
        simulation = self.simulation
        card, pan = self._card_number(who), simulation.plan.pans[who.place]
        pin = f"{simulation.rng.randrange(1_000_000):06d}"
        simulation.registry.cards.set_pin_offset(card, ibm3624_offset(PVK, pan, pin), BANK)
        self._seen["office: PIN given anew"] += 1
        who.pin = pin

    def end_the_day(self) -> None:
        """Give everything back, so that the day can end."""
        for card in list(self.blocked_since):
            self._unblock(card)
        for shop in list(self.suspended_since):
            self._resume(shop)

    def _card_number(self, who: Holder) -> int:
        view = self.simulation.registry.card_by_pan(self.simulation.plan.pans[who.place])
        assert view is not None, "every holder's card is registered"
        return view.card_number
