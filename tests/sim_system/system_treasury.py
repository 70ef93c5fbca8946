"""The offices' work with money through the running switch: months, refunds, what is left over.

Each piece is bulk work of the one writer. A switch that dies, or whose answer comes too late, is
asked again: what stands already must not be done twice.
"""

from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ledger.errors import LedgerError
from ledger.port import Ledger
from lumbung.testing.virtual_time import Moment
from programme.chart import Purse
from programme.disbursement import disburse
from programme.errors import RuleError
from programme.policy import LeftOver, YearEndRule
from programme.refunds import RefundResult, refund
from programme.sweep import plan_sweep, sweep
from switch.jobs import BulkError, Group
from tests.sim_system.system_city import CHECKER, MAKER, PERIODS
from tests.sim_system.system_network import MS, SECOND

if TYPE_CHECKING:
    from tests.sim_system.system_simulation import Simulation

_Result = TypeVar("_Result")
#: How long an office waits for the switch before it asks again.
_PATIENCE_NS = 30 * SECOND
#: The city of the simulation takes back what a month later is left; no decree waits for it.
_LEFT_OVER = LeftOver(months=1, year_end=YearEndRule.CARRY_OVER)
#: From the first instant of the day to the first midnight.
_MIDNIGHT_NS = 7 * 60 * SECOND


class Treasury:
    """Everything that an office does with money."""

    def __init__(self, simulation: "Simulation") -> None:
        """Begin with the month that everybody has."""
        self.simulation = simulation
        self.unpaid = list(PERIODS[1:])
        #: What the offices gave back of each sale, as the switch told them.
        self.refunded: Counter[int] = Counter()
        #: Sales that an office looks at, and that a shop reduced: nobody does both, because people
        #: would have to say what is left then. Reconciliation tells such a sale as a difference.
        self.claimed: set[int] = set()
        self.reduced: set[int] = set()
        #: Pieces of work that have not ended.
        self.under_way = 0
        self._reference = 0

    def plan(self, busy: float) -> None:
        """Draw what happens on this day."""
        simulation = self.simulation
        rng = simulation.rng
        for call, most in ((self._pay, 2), (self._refund, 4), (self._sweep, 1)):
            for _ in range(most):
                if rng.random() < busy:
                    self._at(simulation.sometime(), call)
        if rng.random() < busy:
            self._at(_MIDNIGHT_NS + rng.randrange(60) * SECOND, self._sweep)

    def _at(self, delay_ns: int, call: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.simulation.time.after(delay_ns, lambda: self._begin(call))

    def _begin(self, call: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if not self.simulation.is_closing:
            self.under_way += 1
            self.simulation.time.start(self._to_its_end(call))

    async def _to_its_end(self, call: Callable[[], Coroutine[Any, Any, None]]) -> None:
        await call()
        self.under_way -= 1

    async def _pay(self) -> None:
        """Have the next month paid."""
        if self.unpaid:
            decree, period = self.simulation.plan.decree, self.unpaid.pop(0)
            registry = self.simulation.registry
            await self._through(
                lambda ledger: disburse(ledger, registry, decree, period, None, MAKER, CHECKER)
            )
            self.simulation.seen["office: month paid"] += 1

    async def _refund(self) -> None:
        """Give a sale back, or a part of it, by decision of two people."""
        simulation = self.simulation
        rng, left = simulation.rng, simulation.follower.left
        stands = [sale for sale, left_sen in left.items() if left_sen and sale not in self.reduced]
        if not stands:
            return
        sale = rng.choice(stands)
        self.claimed.add(sale)
        amount_sen = rng.choice((left[sale], max(100, left[sale] // 300 * 100)))
        self._reference += 1
        try:
            done: RefundResult = await self._through(
                partial(
                    refund, sale_id=sale, amount_sen=amount_sen, day=date(2026, 1, 5),
                    reference=self._reference,
                )
            )  # fmt: skip
        except RuleError:
            simulation.seen["office: refund refused, less is left"] += 1
            return
        simulation.seen["office: sale refunded"] += 1
        self.refunded[sale] += done.amount_sen

    async def _sweep(self) -> None:
        """Take back what is left of months that have passed."""
        swept = await self._through(self._sweep_at_once)
        self.simulation.seen["office: month swept"] += swept > 0

    def _sweep_at_once(self, ledger: Ledger) -> int:
        """Sweep in one turn of the writer; nothing that was due may be left behind."""
        simulation = self.simulation
        day = simulation.node.node.core.desk.memory.business_date
        done = sweep(ledger, simulation.registry, Purse.FOOD, day, MAKER, CHECKER, rule=_LEFT_OVER)
        for item, status in done.refused:
            # Swept on this day already, and a refund gave back since: the next day takes it.
            assert status.startswith("EXISTS"), f"a sweep was refused: {status}"
            simulation.seen["office: sweep of a second amount waits"] += 1
            assert item.amount_sen
        left = plan_sweep(ledger, simulation.registry, Purse.FOOD, day, _LEFT_OVER)
        assert left == [item for item, _status in done.refused], "a sweep left something behind"
        return done.swept_sen

    async def _through(self, work: Callable[[Ledger], _Result]) -> _Result:
        """Have the switch do a piece of work between purchases; ask until it has been done."""
        simulation = self.simulation
        while True:
            pump = simulation.node.pump
            if pump is not None:
                done: Moment[_Result] = Moment()
                group = Group(work)
                group.outcome.add_done_callback(partial(_hand_over, done))
                try:
                    pump.bulk.put(group)
                    return await simulation.time.within(done, _PATIENCE_NS)
                except (BulkError, LedgerError, TimeoutError) as error:
                    simulation.seen[f"office: asked again after {type(error).__name__}"] += 1
            await simulation.time.sleep(simulation.rng.randrange(1_000, 20_000) * MS)


def _hand_over(done: Moment[Any], outcome: "Future[Any]") -> None:
    error = outcome.exception()
    if error is None:
        done.give(outcome.result())
    else:
        done.fail(error)
