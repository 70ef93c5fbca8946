"""The core of a switch node: messages in, answers and durable work out. No socket, no clock.

One turn: `receive` takes the messages that came in, answers at once what changes nothing, and holds
the rest. `next_work` gives everything that must become durable, as one piece; `complete` takes its
result and gives the answers that may leave now. While work is under way `receive` goes on: what it
decides is visible at once (decision 10) and becomes the next piece.
"""

from collections import Counter, deque
from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from ledger.errors import LedgerError
from protocols.business_time import wita_date
from protocols.errors import LumbungError
from protocols.iso8583 import Message, MessageUse, Value
from switch.answers import changes_for
from switch.buckets import TokenBuckets
from switch.decision import Decision, LedgerStep, StepResult
from switch.flows.router import begin
from switch.key_sets import SessionKeys
from switch.limits import BATCH_TRANSFERS_MAX
from switch.parked import Parked
from switch.pipeline.context import Context, Desk
from switch.pipeline.verdict import Park
from switch.plain import PlainSales, Ways
from switch.reception import Accepted, Door, Received, Rejected, Unreadable, asks_ledger
from switch.rules import RuleBook
from switch.session import Arrival, Departure
from switch.strangers import Strangers
from switch.telling import Event, told_of
from switch.turn import Active, Turn
from switch.under_way import UnderWay
from switch.work import Work

if TYPE_CHECKING:
    from switch._core import PlainSale

_NO_CHANGES: Mapping[int, Value | None] = {}
_UNFIT_CODE = "96"
_BUSY_CODE = "91"


class SwitchCore:
    """One node's decisions."""

    def __init__(
        self,
        doors: Mapping[str, Door],
        desk: Desk,
        *,
        buckets: TokenBuckets,
        cut_over_shift_ns: int,
        in_flight_maximum: int,
        in_flight_per_connection: int,
    ) -> None:
        """Take the parts; the shift makes WITA's date the business date; a door for each link."""
        self._doors = doors
        self._buckets = buckets
        self.strangers = Strangers()
        self.desk = self._desk = desk
        self._shift_ns = cut_over_shift_ns
        self._under_way = UnderWay(in_flight_maximum, in_flight_per_connection)
        self._parked = Parked()
        self._queue: deque[tuple[Active | PlainSale, LedgerStep]] = deque()
        self._settled: list[Active] = []
        self._turn: Turn | None = None
        self._departures: list[Departure] = []
        self.events: list[Event] = []
        self.counters: Counter[str] = Counter()
        self.unfit_reason = ""
        calls = self._let_in, self._receive_one, self._start, self._advance, self._wake
        ways = Ways(*calls, lambda: self.is_draining or bool(self.unfit_reason))
        self._plain = PlainSales(
            desk, doors, self.strangers, buckets, self._under_way, self.counters, ways
        )
        #: Set while the node stops: what is under way is finished, what comes is answered 91.
        self.is_draining = False

    @property
    def under_way(self) -> int:
        """Give how many requests have not been answered yet."""
        return self._under_way.count

    def waiting_of(self, connection: int) -> int:
        """Give how many of them came over one connection."""
        return self._under_way.of(connection)

    @property
    def has_undurable(self) -> bool:
        """Tell whether something that was decided is not durable yet."""
        return self._turn is not None or bool(self._desk.memory.changes)

    def receive(self, arrivals: list[Arrival], now_ns: int) -> list[Departure]:
        """Take messages in order; give the answers that may leave at once."""
        self._desk.now_ns = now_ns
        self._follow_calendar()
        if not self._plain.receive(arrivals, self._queue):
            waiting = [(arrival, *self._let_in(arrival)) for arrival in arrivals]
            self._desk.look_up([a.request.transfer_id for _, a, _ in waiting if asks_ledger(a)])
            for arrival, received, did_change in waiting:
                self._receive_one(arrival, received, did_change)
        self._desk.forget_look_ups()
        if self._desk.alarms:
            self.events += self._desk.alarms
            self._desk.alarms.clear()
        return self._take_departures()

    def next_work(self) -> Work | None:
        """Give what must become durable next; None while work is under way or nothing waits.

        None for an unfit node too: its memory holds what a failed write lost, and counters kept
        now would say that they know of it.
        """
        changes = self._desk.memory.changes
        waits = changes or self._queue or self._settled
        if self._turn is not None or self.unfit_reason or not waits:
            return None
        turn = Turn(settled=self._settled, began_behind=self._desk.reader.last_sequence)
        steps, transfers = [], 0
        while self._queue and transfers < BATCH_TRANSFERS_MAX:
            active, step = self._queue.popleft()
            turn.stepping.append(active)
            steps.append(step)
            transfers += max(1, len(step.transfers))
        work = Work(tuple(changes), tuple(steps))
        changes.clear()
        self._settled, self._turn = [], turn
        return work

    def complete(self, results: list[StepResult], now_ns: int) -> list[Departure]:
        """Take the result of the work under way; give the answers that rest on it."""
        assert self._turn is not None, "work was given out"
        self._desk.now_ns = now_ns
        # The turn counts as under way until every flow has taken its result in.
        turn = self._turn
        for active in turn.settled:
            self._depart(active)
        self._plain.complete(turn.stepping, results, self._departures, self._parked)
        self._turn = None
        return self._take_departures()

    def refuse_work(self, code: str, why: str) -> list[Departure]:
        """Answer work that certainly did not happen (the ledger was busy or full)."""
        assert self._turn is not None, "work was given out"
        turn, self._turn = self._turn, None
        self._event("work-refused", code=code, why=why)
        for active in turn.settled:
            self._depart(active)
        for one in turn.stepping:
            active = one if isinstance(one, Active) else self._plain.abandon(one)
            if active.flow is not None:
                active.flow.close()
            active.decision = Decision(code=code, evidence=why, remember=False)
            self._depart(active)
        return self._take_departures()

    def become_unfit(self, why: str) -> list[Departure]:
        """Stop deciding: what is under way has an unknown outcome and is cut, not answered.

        A terminal that hears nothing reverses; one that heard 96 would believe nothing was posted.
        """
        self.unfit_reason = why
        self._event("unfit", why=why)
        turn, self._turn = self._turn or Turn(), None
        waiting = [active for active, _step in self._queue]
        parked = self._parked.clear()
        for active in (*turn.stepping, *turn.settled, *waiting, *self._settled, *parked):
            self._departures.append(Departure(active.arrival.connection, active.arrival.tpdu, None))
        self._queue.clear()
        self._settled.clear()
        self._under_way.clear()
        return self._take_departures()

    def keep_marks(self) -> None:
        """Have the transaction counters kept, so that the next start has little to replay."""
        self._desk.memory.keep_marks(self._settled_sequence)

    @property
    def _settled_sequence(self) -> int:
        """Give the last record up to which everything is taken into account in memory.

        While work is under way the ledger may hold records that no flow has seen yet.
        """
        return self._desk.reader.last_sequence if self._turn is None else self._turn.began_behind

    def use_rules(self, rules: RuleBook) -> None:
        """Decide by these rules from the next message on; what is under way keeps its verdict."""
        before = self._desk.rules.version
        self._desk.rules = rules.on(self._desk.memory.business_date)
        self._event("rules", before=before, now=rules.version)

    def cut_over(self, actor: str) -> date:
        """Begin the next business date before its time; the calendar never sets it back."""
        memory = self._desk.memory
        day = memory.business_date + timedelta(days=1)
        self._begin_day(day, actor=actor)
        return day

    def unblock_pin(self, card_number: int, actor: str) -> None:
        """Give a card its PIN tries back (help desk); durable with the next work."""
        self._desk.memory.pin_tries.clear(card_number, actor)
        self._event("pin-unblocked", card_number=card_number, actor=actor)

    def _let_in(self, arrival: Arrival) -> tuple[Received, bool]:
        """Give what the door says, and whether that changed something (a key set's first use)."""
        changes_before = len(self._desk.memory.changes)
        received = self._doors[arrival.link].reception.receive(arrival.payload)
        return received, len(self._desk.memory.changes) > changes_before

    def _receive_one(self, arrival: Arrival, received: Received, did_change: bool) -> None:
        changes_before = len(self._desk.memory.changes) - did_change
        if isinstance(received, Unreadable):
            self._cut(arrival, received.why)
        elif not self.strangers.admit(arrival.connection, received.keys, self._desk.now_ns):
            self._cut(arrival, "too many messages that no key vouches for")
        elif isinstance(received, Rejected):
            self._reject(arrival, received)
        elif self.unfit_reason:
            self._turn_away(arrival, received, _UNFIT_CODE)
        elif self._is_full(arrival.connection) or self._speaks_too_often(received):
            self._turn_away(arrival, received, _BUSY_CODE)
        else:
            self._under_way.begin(arrival.connection)
            self._start(arrival, received, changes_before)

    def _speaks_too_often(self, accepted: Accepted) -> bool:
        """Take from a terminal's share; what its key has not proved costs it nothing."""
        name = accepted.request.terminal_id
        return accepted.keys is not None and not self._buckets.take(name, self._desk.now_ns)

    def _is_full(self, connection: int) -> bool:
        return self.is_draining or self._under_way.is_full(connection)

    def _start(self, arrival: Arrival, accepted: Accepted, changes_before: int) -> None:
        context = Context(accepted.request, accepted.terminal, accepted.keys, self._desk)
        active = Active(arrival, accepted, context, changes_before)
        try:
            beginning = begin(context)
        except LumbungError as error:
            self._event("fault", why=error.internal, mti=accepted.request.mti)
            beginning = Decision(code=_UNFIT_CODE, evidence=error.code, remember=False)
        except LedgerError as error:
            self._lose_ledger(error)
            beginning = Decision(code=_UNFIT_CODE, evidence=error.code, remember=False)
        if isinstance(beginning, Park):
            self._park(active, beginning.key)
        elif isinstance(beginning, Decision):
            self._settle(active, beginning)
        else:
            active.flow = beginning
            self._lock(active)
            self._advance(active, None)

    def _park(self, active: Active, key: int) -> None:
        if self._parked.join(key, active):
            self.counters["parked"] += 1
        else:
            self._settle(active, Decision(code=_BUSY_CODE, evidence="too many wait for this key"))

    def _advance(self, active: Active, result: StepResult | None) -> None:
        """Run a flow to its next step or its end."""
        assert active.flow is not None
        changes = self._desk.memory.changes
        changes_before = active.changes_before if result is None else len(changes)
        try:
            step = next(active.flow) if result is None else active.flow.send(result)
        except LedgerError as error:
            # Something of this request may be posted: silence makes the terminal reverse it.
            self._lose_ledger(error)
            self._under_way.end(active.arrival.connection)
            self._cut(active.arrival, "the ledger was lost in the middle")
        except StopIteration as stop:
            # What it changed before its last step was durable with that step or before it.
            active.decision = stop.value
            if len(changes) > changes_before:
                self._settled.append(active)
            else:
                self._depart(active)
        else:
            self._queue.append((active, step))

    def _settle(self, active: Active, decision: Decision) -> None:
        """Answer now, or when the changes that this message made are durable."""
        active.decision = decision
        if len(self._desk.memory.changes) > active.changes_before:
            self._lock(active)
            self._settled.append(active)
        else:
            self._depart(active)

    def _lock(self, active: Active) -> None:
        if active.locked:
            return
        active.locked = active.context.lock_ids
        assert self._desk.in_flight.isdisjoint(active.locked), "a key under way parks"
        self._desk.in_flight.update(active.locked)

    def _depart(self, active: Active) -> None:
        """Send the answer, and let those who waited for this key begin again."""
        assert active.decision is not None
        self._under_way.end(active.arrival.connection)
        self._answer(active, active.decision)
        self._desk.in_flight.difference_update(active.locked)
        for key in active.locked:
            self._wake(key)

    def _wake(self, key: int) -> None:
        """Let those who waited for a key begin again, in order, until one of them holds it."""
        line = self._parked.leave(key)
        while line:
            waiting = line.popleft()
            before = len(self._desk.memory.changes)
            self._start(waiting.arrival, waiting.accepted, before)
            if key in self._desk.in_flight:
                self._parked.rejoin(key, line)
                return

    def _lose_ledger(self, error: LedgerError) -> None:
        self.unfit_reason = self.unfit_reason or f"{error.code}: {error}"
        self._event("unfit", why=self.unfit_reason)

    def _answer(self, active: Active, decision: Decision) -> None:
        context, request, code = active.context, active.context.request, decision.code
        changes = changes_for(context, decision)
        self._send(active.arrival, request.message, code, context.keys, changes, context.use)
        self.counters[f"{request.mti}/{code}"] += 1
        self.events += told_of(request, decision, context.card, self._desk.rules.version)

    def _reject(self, arrival: Arrival, rejected: Rejected) -> None:
        mti, code = rejected.message.mti, rejected.code
        if code != "00":
            self._event("rejected", code=code, why=rejected.why, mti=mti)
        self.counters[f"{mti}/{code}"] += 1
        self._send(arrival, rejected.message, code, rejected.keys)

    def _turn_away(self, arrival: Arrival, accepted: Accepted, code: str) -> None:
        """Answer a message that is not looked at: nothing of it happened, it may come again."""
        request = accepted.request
        self.counters[f"{request.mti}/{code}"] += 1
        self._event("turned-away", code=code, mti=request.mti, terminal=request.terminal_id)
        self._send(arrival, request.message, code, accepted.keys)

    def _send(
        self,
        arrival: Arrival,
        request: Message,
        code: str,
        keys: SessionKeys | None,
        changes: Mapping[int, Value | None] = _NO_CHANGES,
        use: MessageUse | None = None,
    ) -> None:
        mac = keys.mac if keys is not None else None
        payload = self._doors[arrival.link].codec.encode_answer(request, code, changes, mac, use)
        self._departures.append(Departure(arrival.connection, arrival.tpdu, payload))

    def _cut(self, arrival: Arrival, why: str) -> None:
        self.counters["cut"] += 1
        self._event("cut", why=why, connection=arrival.connection)
        self._departures.append(Departure(arrival.connection, arrival.tpdu, None))

    def _follow_calendar(self) -> None:
        """Move the business date when the clock has passed the cut-over; it never goes back."""
        day = wita_date(self._desk.now_ns + self._shift_ns)
        if day > self._desk.memory.business_date:
            self._begin_day(day)

    def _begin_day(self, day: date, **told: str) -> None:
        """Move the business date, and with it the rules in force."""
        self._desk.memory.move_business_date(day, self._settled_sequence)
        self._desk.rules = self._desk.rules.on(day)
        self._event("business-date", day=day.isoformat(), **told)

    def _event(self, name: str, **fields: Any) -> None:
        self.events.append((name, fields))

    def _take_departures(self) -> list[Departure]:
        departures, self._departures = self._departures, []
        return departures
