"""What the offices do meanwhile: cards, shops, PINs, proxies, rules, the business date."""

from collections import Counter
from functools import cache, partial
from importlib.resources import files
from typing import TYPE_CHECKING

from cardsim import CardImage
from programme.registry_port import BlockReason, CardStatus
from protocols.crypto.pin import ibm3624_offset
from switch.rules import RuleBook, parse_rules
from tests.sim_system.system_city import (
    BANK,
    DISKOMINFO,
    EXPIRES_ON,
    MAKER,
    PVK,
    SPARES,
    merchant_id,
)
from tests.sim_system.system_holder import Holder
from tests.sim_system.system_network import SECOND
from tests.sim_system.system_treasury import Treasury

if TYPE_CHECKING:
    from tests.sim_system.system_simulation import Simulation

_OUTAGE_OFF = "enabled = false\n# Vouchers of one day"
_PARTIAL_OFF = "where the terminal says it can tell so.\nenabled = false"
_FORBIDDEN = 'forbidden_items = ["ROKOK", '
#: What terminals offer in baskets and other rules of the city may forbid.
NO_MORE_FOOD = "GULA1KG"


@cache
def city_rules(*, partial_approval: bool = False, forbidden: str = "") -> RuleBook:
    """Give the built-in rules with outage sales allowed, and more where it is asked for."""
    text = files("switch").joinpath("data/rules.toml").read_text("utf-8")
    changes = [(_OUTAGE_OFF, _OUTAGE_OFF.replace("false", "true"))]
    if partial_approval:
        changes.append((_PARTIAL_OFF, _PARTIAL_OFF.replace("false", "true")))
    if forbidden:
        changes.append((_FORBIDDEN, f'{_FORBIDDEN}"{forbidden}", '))
    for before, after in changes:
        assert text.count(before) == 1, f"{before!r} is where it was"
        text = text.replace(before, after)
    return parse_rules(text, "rules")


class Office:
    """All offices. What they change in the registry is in force when the call returns."""

    def __init__(self, simulation: "Simulation") -> None:
        """Begin with everything as it was given out."""
        self.simulation = simulation
        #: Of each card that is blocked now: since when, in passed nanoseconds.
        self.blocked_since: dict[int, int] = {}
        self.suspended_since: dict[str, int] = {}
        self.replaced_since: dict[int, int] = {}
        self.proxy_ended_since: dict[int, int] = {}
        self.forbidden_since: dict[str, int] = {}
        self.treasury = Treasury(simulation)
        self._replaced: set[int] = set()

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
            (self.replace_a_card, 2),
            (self.end_a_proxy, 1),
            (self.change_rules, 3),
            (self.cut_over_early, 1),
            (self.let_a_clock_jump, 2),
            (self.unblock_pins, 2),
        ):
            for _ in range(most):
                if rng.random() < busy:
                    simulation.time.after(simulation.sometime(), call)
        self.treasury.plan(busy)

    def block_a_card(self) -> None:
        """Block a card, and give it back a little later."""
        simulation = self.simulation
        who = simulation.rng.choice(simulation.holders)
        card = self._card_number(who)
        is_over = card in self.blocked_since or card in self.replaced_since
        if is_over or simulation.is_closing:
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

    def replace_a_card(self) -> None:
        """Replace a card: the old one ends at once, wherever it is, and somebody may find it."""
        simulation = self.simulation
        free = [place for place in range(SPARES) if place not in self._replaced]
        if not free or simulation.is_closing:
            return
        place = simulation.rng.choice(free)
        plan, cards = simulation.plan, simulation.registry.cards
        old = self._card_number(simulation.holders[place])
        if old in self.blocked_since:
            return
        pan, pin = plan.spare_pans[place], plan.spare_pins[place]
        new = cards.replace(
            old,
            pan=pan,
            pan_sequence="01",
            expires_on=EXPIRES_ON,
            pin_offset=ibm3624_offset(PVK, pan, pin),
            actor=DISKOMINFO,
        )
        self._replaced.add(place)
        self.replaced_since[old] = simulation.time.passed_ns
        cards.move([new.card_number], CardStatus.AT_BANK, DISKOMINFO)
        cards.move([new.card_number], CardStatus.COLLECTED, BANK)
        cards.move([new.card_number], CardStatus.ACTIVE, BANK)
        simulation.holders.append(Holder(pan, CardImage.from_json(plan.spare_images[place]), pin))
        self._seen["office: card replaced"] += 1

    def end_a_proxy(self) -> None:
        """End what somebody may do for another's card."""
        simulation = self.simulation
        number = simulation.rng.choice(simulation.plan.proxies)
        if number not in self.proxy_ended_since and not simulation.is_closing:
            simulation.registry.proxies.end(number, MAKER)
            self.proxy_ended_since[number] = simulation.time.passed_ns
            self._seen["office: proxy ended"] += 1

    def change_rules(self) -> None:
        """Put other rules in force: partial approval, and an item that the card no longer pays."""
        simulation = self.simulation
        if simulation.is_closing:
            return
        partial_approval = simulation.rng.random() < 0.5
        forbidden = simulation.rng.choice(("", NO_MORE_FOOD))
        simulation.node.use_rules(
            city_rules(partial_approval=partial_approval, forbidden=forbidden)
        )
        if not forbidden:
            self.forbidden_since.clear()
        else:
            self.forbidden_since.setdefault(forbidden, simulation.time.passed_ns)
        self._seen["office: rules changed"] += 1

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
        card, pan = self._card_number(who), who.pan
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
        view = self.simulation.registry.card_by_pan(who.pan)
        assert view is not None, "every holder's card is registered"
        return view.card_number
