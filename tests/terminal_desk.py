"""A terminal without I/O for tests: session, a disk of records, a line to the scripted host."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from protocols.iso8583 import Codec, Message, load_spec
from terminal.host import events as out
from terminal.host.events import ChipRequest, Event, HostProfile
from terminal.host.session import HostSession
from terminal.host.table import State
from terminal.journal.records import (
    Kind,
    Record,
)
from terminal.journal.state import JournalState
from terminal.journal.transactions import Status
from terminal.keystore import TerminalKeys

AMOUNT = 14_150_000
CODEC = Codec(load_spec("edc"))
MakeRequest = Callable[..., ChipRequest]


class PowerCutError(Exception):
    """The terminal goes dark here."""


@dataclass
class Desk:
    """A terminal without I/O: session, disk (records and keys) and a line to the host."""

    host: Any
    clock: Any
    profile: HostProfile
    random_bytes: Any
    keys: TerminalKeys
    disk: list[Record] = field(default_factory=list)
    steps: int = 0
    cut_after: int = -1
    line_is_cut: bool = False
    answers_lost: bool = False
    byte_at_a_time: bool = False
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Power on: everything that is known comes from the disk."""
        state = JournalState()
        for record in self.disk:
            state.apply(record)
        self.session = HostSession(self.profile, state, self.keys, self.random_bytes)
        self.session.recover(self.clock.now())
        self.run()

    def run(self) -> list[Event]:
        """Carry out events until there are none; give those of this call."""
        seen: list[Event] = []
        while (event := self.session.next_event()) is not None:
            seen.append(event)
            self.carry_out(event)
        self.events += seen
        return seen

    def carry_out(self, event: Event) -> None:
        if isinstance(event, out.Persist):
            self.step()
            self.disk += event.records
            self.step()
        elif isinstance(event, out.StoreKeys):
            self.step()
            self.keys = TerminalKeys(self.keys.tmk, event.keys)
        elif isinstance(event, out.Transmit):
            self.step()
            if self.line_is_cut:
                return
            answer = self.host.answer(event.data)
            self.step()
            if not self.answers_lost:
                self.receive(answer)

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.cut_after:
            raise PowerCutError

    def receive(self, data: bytes) -> None:
        size = 1 if self.byte_at_a_time else len(data) or 1
        for i in range(0, len(data), size):
            self.session.receive_data(data[i : i + size], self.clock.now())

    def log_on(self) -> None:
        self.session.request_key_change(self.clock.now())
        self.run()
        self.session.request_log_on(self.clock.now())
        self.run()

    def buy(self, request: ChipRequest) -> list[Event]:
        self.session.request_purchase(request, self.clock.now())
        events = self.run()
        if self.session.state is State.CARD:
            self.session.card_confirmed(self.clock.now())
            events += self.run()
        return events

    def time_out(self) -> list[Event]:
        deadline = self.session.get_timer()
        assert deadline is not None
        self.clock.pass_ms(-(-(deadline - self.clock.monotonic) // 10**6))
        self.session.handle_timer(self.clock.now())
        return self.run()

    def settle(self) -> None:
        """Drive every owed reversal to its answer on a line that works."""
        self.line_is_cut = self.answers_lost = False
        for _ in range(20):
            if not self.session.request_reversal(self.clock.now()):
                return
            self.run()
            if self.session.state is not State.IDLE:
                self.time_out()
        raise AssertionError("a reversal is never answered")

    def completed_sen(self) -> int:
        """Give what the terminal's slips come to."""
        signs = {Kind.PURCHASE: 1, Kind.VOID: -1}
        return sum(
            signs[t.intent.kind] * t.intent.amount_sen
            for t in self.session.journal.transactions.values()
            if t.status is Status.COMPLETED and t.intent.kind in signs
        )


def of(events: list[Event], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def requests(host: Any, mti: str) -> list[Message]:
    return [message for message in host.seen if message.mti == mti]
