"""What an operator and the people at a counter do: sales and everything round them, by chance."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

from cardsim import Card
from cardsim.channel import InProcessChannel
from cardsim.faults import Fault, FaultAction
from terminal.journal.records import Kind, SaleItem, Totals
from terminal.journal.state import JournalState
from terminal.purchase.basket import choose
from terminal.purchase.table import FlowState
from terminal.results import SaleResult
from tests.sim_system.system_holder import Holder
from tests.sim_system.system_network import MS, SECOND
from tests.sim_system.system_office import NO_MORE_FOOD

if TYPE_CHECKING:
    from tests.sim_system.system_counter import Counter
    from tests.sim_system.system_simulation import Simulation

#: How often a basket is entered, somebody stands in for the holder, and it is who may.
BASKETS, PROXIES, OWN_PROXIES = 0.3, 0.2, 0.7
_BASKET = ("BERAS5KG", "MINYAK1L", "TELUR1KG", NO_MORE_FOOD)
#: Share of the cards that are tapped where that is possible.
TAPPED_SHARE = 0.25
#: A tap has one command that matters, and ends with it.
_TAP_FAULTS = tuple(
    (action, "GET_PROCESSING_OPTIONS", 1)
    for action in (
        FaultAction.TORN_BEFORE, FaultAction.TORN_AFTER, FaultAction.TORN_AT_WRITE,
        FaultAction.MUTE, FaultAction.SLOW, FaultAction.WRONG_CRYPTOGRAM,
    )
)  # fmt: skip


def draw_basket(rng: Random) -> list[SaleItem]:
    """Give one to three lines of food, at prices of the shop's own."""
    basket = []
    for code in rng.sample(_BASKET, rng.randint(1, 3)):
        line = choose(code, rng.randint(1, 3), rng.randrange(10, 90) * 100_000)
        assert isinstance(line, SaleItem), "the simulation's baskets hold food"
        basket.append(line)
    return basket


class MiscountingJournal:
    """A terminal's memory that adds a batch up wrong, once: when its totals are to be sent."""

    def __init__(self, journal: JournalState) -> None:
        """Stand before a sound one; the first totals are those on the screen."""
        self._journal = journal
        self._left = 2

    def totals(self, batch: int) -> Totals:
        """Add up, a rupiah too much the second time."""
        self._left -= 1
        sound = self._journal.totals(batch)
        return replace(sound, sales_sen=sound.sales_sen + 100) if self._left == 0 else sound

    def __getattr__(self, name: str) -> Any:
        """Give what else a memory has."""
        return getattr(self._journal, name)


class Operator:
    """The people at one counter."""

    def __init__(self, counter: "Counter") -> None:
        """Stand behind a counter."""
        self.counter = counter
        #: Whether the card that was taken last is tapped: one cryptogram, and it is gone.
        self._taps = False

    @property
    def _simulation(self) -> "Simulation":
        return self.counter.simulation

    async def one_thing(self) -> None:
        """Do one thing of the day; raises PowerCutError."""
        simulation, terminal = self._simulation, self.counter.up
        self.counter.plan_cut(0.3)
        if terminal.flow.state is not FlowState.MENU:
            await terminal.log_on()
            return
        things: list[tuple[int, Callable[[], Awaitable[object]]]] = [
            (40, self._buy),
            (6, self._balance),
            (3, self._statement),
            (8, self._void),
            (8, self._refund),
            (5, self._reduce),
            (6, self._settle),
            (4, terminal.log_on),
            (6, terminal.settle_outstanding),
            (6, terminal.tend),
            (2, self._change_pin),
            (2, self._reprint),
        ]
        (thing,) = simulation.rng.choices(
            [thing for _, thing in things], [weight for weight, _ in things]
        )
        try:
            await thing()
        finally:
            if not self.counter.mains.cut_at:
                self.counter.give_card_back()
        if self.counter.mains.cut_at and len(self.counter.mains.steps) < self.counter.mains.cut_at:
            self.counter.mains.cut_at = 0
        self.counter.give_card_back()

    async def _buy(self) -> None:
        rng, slot = self._simulation.rng, self._take_card(may_tap=True)
        if slot is None or self.counter.holder is None:
            return
        who = self.counter.holder
        amount_sen = rng.choice((1_000_000, 2_500_000, rng.randrange(1, 400) * 10_000, 12_000_000))
        basket = draw_basket(rng) if rng.random() < BASKETS else None
        if basket is not None:
            amount_sen = sum(line.price_sen for line in basket)
        proxy = self._draw_proxy(who) if rng.random() < PROXIES else ""
        wrong = rng.random() < self._simulation.wrong_pins
        before = set(self.counter.up.journal.transactions)

        async def again(_earlier: SaleResult) -> bool:
            return rng.random() < 0.5

        async def yes(_left_sen: int) -> bool:
            return True

        try:
            result = await self.counter.up.buy(
                amount_sen, slot, self._types(wrong=wrong), basket, repeat_question=again,
                voucher_question=yes, proxy=proxy, tap=self._taps,
            )  # fmt: skip
        finally:
            self._note_mistyped(who, before, wrong=wrong)
        await self._print(result)

    async def _balance(self) -> None:
        slot = self._take_card(may_tap=True)
        if slot is not None:
            await self._print(await self.counter.up.balance(slot, tap=self._taps))

    async def _statement(self) -> None:
        slot = self._take_card(may_tap=True)
        if slot is not None:
            await self._print(await self.counter.up.statement(slot, tap=self._taps))

    async def _void(self) -> None:
        stan = self._some_sale()
        if stan:
            await self._print(await self.counter.up.void(stan))

    async def _refund(self) -> None:
        stan = self._some_sale()
        if not stan:
            return
        sale = self.counter.up.journal.transactions[stan]
        slot = self._take_card(lambda who: who.pan == sale.intent.pan)
        if slot is None or self.counter.holder is None:
            return
        rng, who = self._simulation.rng, self.counter.holder
        amount_sen = rng.choice((sale.amount_sen, max(100, sale.amount_sen // 300 * 100)))
        wrong = rng.random() < self._simulation.wrong_pins
        before = set(self.counter.up.journal.transactions)
        try:
            result = await self.counter.up.refund(stan, amount_sen, slot, self._types(wrong=wrong))
        finally:
            self._note_mistyped(who, before, wrong=wrong)
        await self._print(result)

    async def _reduce(self) -> None:
        stan, treasury = self._some_sale(), self._simulation.office.treasury
        if not stan:
            return
        sale = self.counter.up.journal.transactions[stan]
        number = self.counter.id_of(sale)
        if number not in treasury.claimed:
            treasury.reduced.add(number)
            left_sen = max(100, sale.amount_sen // 200 * 100)
            await self._print(await self.counter.up.reduce(stan, left_sen))

    async def _settle(self) -> None:
        rng, terminal = self._simulation.rng, self.counter.up
        if rng.random() >= self._simulation.miscounts:
            await self._print(await terminal.settle())
            return
        session = terminal._exchange.session
        sound = session.journal
        session.journal = MiscountingJournal(sound)  # type: ignore[assignment]  # has all its parts
        try:
            await self._print(await terminal.settle())
        finally:
            session.journal = sound

    async def _reprint(self) -> None:
        result = self.counter.up.reprint()
        if result is not None:
            await self._print(result)

    async def _change_pin(self) -> None:
        slot = self._take_card()
        if slot is None or self.counter.holder is None:
            return
        who, new = self.counter.holder, f"{self._simulation.rng.randrange(1_000_000):06d}"
        entries = iter((who.pin, new, new))
        before = set(self.counter.up.journal.transactions)

        async def pad() -> str:
            return next(entries, "")

        outcome = ""
        try:
            result = await self.counter.up.change_pin(slot, pad)
            outcome = result.outcome
        finally:
            was_sent = bool(set(self.counter.up.journal.transactions) - before)
            who.has_new_pin = who.has_new_pin or was_sent
            if outcome == "00":
                self._simulation.seen["people: PIN changed"] += 1
                who.pin = new
            elif was_sent:
                # Nobody knows which PIN counts: the office gives another one.
                self._simulation.office.give_new_pin(who)
        await self._print(result)

    # Parts

    def _draw_proxy(self, who: Holder) -> str:
        """Give who stands in for the holder: one of the city's proxies, or nobody's."""
        registry, rng = self._simulation.registry, self._simulation.rng
        card = registry.card_by_pan(who.pan)
        assert card is not None, "every holder's card is registered"
        own = registry.proxies.of_card(card.card_number)
        if own and rng.random() < OWN_PROXIES:
            return f"W{own[0].proxy_number:07d}"
        return f"W{self._simulation.rng.choice((*self._simulation.plan.proxies, 99)):07d}"

    def _take_card(
        self, wanted: Callable[[Holder], bool] = lambda _who: True, *, may_tap: bool = False
    ) -> InProcessChannel | None:
        """Put the card of somebody who is free into the slot, or hold it to the reader."""
        simulation = self._simulation
        self._taps = may_tap and simulation.rng.random() < TAPPED_SHARE
        free = [who for who in simulation.holders if not who.is_away and wanted(who)]
        if not free:
            return None
        self.counter.holder = who = simulation.rng.choice(free)
        who.is_away = True
        self.counter.slot = InProcessChannel(
            Card(who.image, self.counter.clock, simulation.rng.randbytes),
            faults=self._card_faults(),
            contactless=self._taps,
            sleep=lambda seconds: simulation.time.sleep(int(seconds * SECOND)),
        )
        return self.counter.mains.slot(self.counter.slot)  # type: ignore[return-value]  # it keeps the same calls

    def _card_faults(self) -> tuple[Fault, ...]:
        simulation = self._simulation
        rng = simulation.rng
        if rng.random() >= simulation.card_faults:
            return ()
        action, command, ordinal = rng.choice(
            _TAP_FAULTS
            if self._taps
            else (
                (FaultAction.TORN_BEFORE, "GENERATE_AC", 1),
                (FaultAction.TORN_AFTER, "GENERATE_AC", 1),
                (FaultAction.TORN_AT_WRITE, "GENERATE_AC", 1),
                (FaultAction.TORN_BEFORE, "GENERATE_AC", 2),
                (FaultAction.TORN_AFTER, "GENERATE_AC", 2),
                (FaultAction.TORN_AT_WRITE, "GENERATE_AC", 2),
                (FaultAction.TORN_BEFORE, "EXTERNAL_AUTHENTICATE", 1),
                (FaultAction.MUTE, "GENERATE_AC", 2),
                (FaultAction.SLOW, "GENERATE_AC", 2),
                (FaultAction.WRONG_CRYPTOGRAM, "GENERATE_AC", 1),
                (FaultAction.LOWER_CRYPTOGRAM, "GENERATE_AC", 2),
                (FaultAction.TORN_AFTER, "READ_RECORD", 1),
            )
        )
        how = "tapped " if self._taps else ""
        simulation.seen[f"card: {how}{action.value} at {command} {ordinal}"] += 1
        return (Fault(action, command, ordinal, delay_ms=700, count=rng.randrange(2)),)

    def _types(self, *, wrong: bool) -> Callable[[], Awaitable[str]]:
        who = self.counter.holder
        assert who is not None, "somebody stands at the counter"
        digits = f"{(int(who.pin) + 1) % 1_000_000:06d}" if wrong else who.pin
        rng = self._simulation.rng
        cancels = rng.random() < 0.03

        async def pad() -> str:
            await self._simulation.time.sleep(rng.randrange(500, 8_000) * MS)
            return "" if cancels else digits

        return pad

    def _note_mistyped(self, who: Holder, before: set[int], *, wrong: bool) -> None:
        if not wrong or self.counter.terminal is None:
            return
        self._simulation.seen["people: wrong PIN"] += 1
        journal = self.counter.terminal.journal
        for stan in set(journal.transactions) - before:
            who.mistyped.add(self.counter.id_of(journal.transactions[stan]))

    def _some_sale(self) -> int:
        """Give the STAN of one of this batch's sales that stands, 0 without one."""
        stands = [
            stan
            for stan, sale in self.counter.up.journal.transactions.items()
            if sale.intent.kind is Kind.PURCHASE and sale.stands
        ]
        return self._simulation.rng.choice(stands) if stands else 0

    async def _print(self, result: SaleResult) -> None:
        """Take the slips off the printer."""
        await self.counter.print_slips(result)
