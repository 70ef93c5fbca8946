"""Carrying out the host session: its records to disk, its bytes to the line, in its order.

The disk runs one write after the other (`terminal.disk`); the next event is looked at only when the
write before it has ended.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from protocols.clock import Clock
from terminal.disk import Disk, ThreadDisk, Write
from terminal.errors import JournalWriteError
from terminal.host import events as out
from terminal.host.events import Event, Instant
from terminal.host.lanes import SEND_STORED, next_task
from terminal.host.session import HostSession
from terminal.host.table import State
from terminal.journal.store import Journal
from terminal.keystore import KeyStore
from terminal.limits import (
    DELIVERIES_PER_CALL_MAX,
    DELIVERY_TRANSMISSIONS_PER_CALL_MAX,
    REVERSAL_TRANSMISSIONS_PER_CALL_MAX,
)
from terminal.line import Line, LineDownError

_NS_PER_MS = 1_000_000
#: The switch could not check our MAC: our keys are not the ones it holds.
_WRONG_KEYS = "63"
EventKind = TypeVar("EventKind")
#: Called with a name before and after each durable write; what a test raises there, a power cut is.
Mark = Callable[[str], None]


def _unmarked(_name: str) -> None:
    """Do nothing: outside of tests nobody looks."""


class Exchange:
    """Drives one host session over one line. Not for use from two tasks at once."""

    def __init__(
        self,
        session: HostSession,
        journal: Journal,
        keys: KeyStore,
        line: Line,
        clock: Clock,
        *,
        persistent: bool,
        mark: Mark = _unmarked,
        disk: Disk | None = None,
    ) -> None:
        """Take the parts; `recover` comes first."""
        self._mark = mark
        self.session = session
        self._journal = journal
        self._keys = keys
        self._line = line
        self._clock = clock
        self._persistent = persistent
        self._is_open = False
        #: Whether the last attempt to connect succeeded, None before the first.
        self.is_online: bool | None = None
        self._disk = disk or ThreadDisk()

    def now(self) -> Instant:
        """Give this moment on both clocks."""
        return Instant(self._clock.now_ns(), self._clock.monotonic_ns())

    def recover(self) -> list[Event]:
        """Owe back what a power cut left open, durably; for the opening, before any loop runs."""
        self.session.recover(self.now())
        return self._write_at_once()

    async def open_line(self) -> None:
        """Connect unless connected; raise LineDownError. Nothing is journalled before this."""
        if self._is_open and self._persistent and await self._is_alive():
            return
        self.is_online = False
        await self._line.connect()
        self.is_online = self._is_open = True
        self.session.line_opened()

    async def request(self, ask: Callable[[Instant], object]) -> list[Event]:
        """Make one request and wait for its end; give what happened. The line must be open.

        When the caller is cancelled, what is uncertain is owed back before the cancellation goes
        on.
        """
        if not self._journal.has_room:
            raise JournalWriteError(
                f"{self._journal.path}: the journal is full.",
                fix="Move the directory away after settlement and enrol the terminal again.",
            )
        ask(self.now())
        events: list[Event] | None = None
        try:
            events = await self._pump()
        finally:
            if events is None:
                self.abandon()
            if not (events is not None and self._persistent and _is_clean(events)):
                await self.close_line()
        return events

    async def decide(self, *, card_confirmed: bool) -> list[Event]:
        """Tell the session what the chip decided; give what happened."""
        if card_confirmed:
            self.session.card_confirmed(self.now())
        else:
            self.session.card_declined(self.now())
        return await self.write_down()

    def abandon(self) -> None:
        """End whatever is in flight: what is uncertain is owed back, durably.

        It waits for the disk, because nothing may come between: its caller is being cancelled.
        """
        self.session.line_lost(self.now())
        if self.session.state is State.CARD:
            self.session.card_declined(self.now())
        self._write_at_once()

    async def change_keys(self) -> str:
        """Ask for new session keys; give DE39, empty without a good answer."""
        await self.open_line()
        return _network_code(await self.request(self.session.request_key_change))

    async def log_on(self, merchant_id: str = "", operator: str = "") -> str:
        """Log on under the current keys; give DE39, empty without a good answer."""
        await self.open_line()
        session = self.session
        return _network_code(
            await self.request(lambda now: session.request_log_on(now, merchant_id, operator))
        )

    async def log_off(self) -> str:
        """Leave the shop; give DE39, empty without a good answer."""
        await self.open_line()
        return _network_code(await self.request(self.session.request_log_off))

    async def deliver(self, *, until_mismatch: bool = False) -> int:
        """Send what is stored until it is answered or the tries of this call are used up.

        `until_mismatch` leaves the upload of a batch to the next call. Gives the number of messages
        still queued. Never raises for a line that is down.
        """
        tries: dict[int, int] = {}
        keys_are_new = False
        for _ in range(DELIVERIES_PER_CALL_MAX):
            worn = frozenset(
                stan for stan, n in tries.items() if n >= DELIVERY_TRANSMISSIONS_PER_CALL_MAX
            )
            task = next_task(self.session.journal, worn)
            if task is None or (until_mismatch and task.what is not SEND_STORED):
                break
            try:
                await self.open_line()
                events = await self.request(
                    lambda now, worn=worn: self.session.request_delivery(now, worn)  # type: ignore[misc]  # mypy knows no types of a lambda's defaults
                )
                for still in of(events, out.StillQueued):
                    stan = still.transaction.intent.stan
                    tries[stan] = tries.get(stan, 0) + 1
                    if still.claimed_code == _WRONG_KEYS and not keys_are_new:
                        keys_are_new = await self.change_keys() == "00"
            except LineDownError:
                break
        return len(self.session.journal.queued())

    async def settle(self) -> int:
        """Send what is owed until it is answered or the tries of this call are used up.

        Gives the number of reversals still owed. Never raises for a line that is down.
        """
        tries, keys_are_new = REVERSAL_TRANSMISSIONS_PER_CALL_MAX, False
        while self.session.journal.owed() and tries:
            tries -= 1
            try:
                await self.open_line()
                events = await self.request(self.session.request_reversal)
                still = of(events, out.ReversalStillOwed)
                if still and still[0].claimed_code == _WRONG_KEYS and not keys_are_new:
                    keys_are_new = await self.change_keys() == "00"
            except LineDownError:
                break
        return len(self.session.journal.owed())

    async def close_line(self) -> None:
        """Close the connection."""
        self._is_open = False
        await self._line.close()

    async def _is_alive(self) -> bool:
        """Tell whether an idle connection still stands: its end shows before anything is sent."""
        try:
            data = await self._line.receive(timeout_ms=0)
        except TimeoutError:
            return True
        except LineDownError:
            return False
        if data:
            self.session.receive_data(data, self.now())
        return bool(data)

    async def _pump(self) -> list[Event]:
        seen: list[Event] = []
        while True:
            while (event := self.session.next_event()) is not None:
                seen.append(event)
                await self._carry_out(event)
            deadline_ns = self.session.get_timer()
            if deadline_ns is None:
                return seen
            await self._receive(deadline_ns)

    async def _carry_out(self, event: Event) -> None:
        if not isinstance(event, out.Transmit):
            await self._keep(event)
            return
        try:
            await self._line.send(event.data)
        except LineDownError:
            self._line_is_lost()

    async def _receive(self, deadline_ns: int) -> None:
        left_ns = deadline_ns - self._clock.monotonic_ns()
        try:
            # Rounded up, so that a deadline less than a millisecond away is not polled for.
            timeout_ms = max(0, -(-left_ns // _NS_PER_MS))
            data = await self._line.receive(timeout_ms=timeout_ms)
        except TimeoutError:
            now = self.now()
            self.session.handle_timer(Instant(now.utc_ns, max(now.monotonic_ns, deadline_ns)))
        except LineDownError:
            self._line_is_lost()
        else:
            if data:
                self.session.receive_data(data, self.now())
            else:
                self._line_is_lost()

    def _line_is_lost(self) -> None:
        self._is_open = False
        self.session.line_lost(self.now())

    async def write_down(self) -> list[Event]:
        """Make durable what there is to keep; bytes that have not left stay here."""
        seen: list[Event] = []
        try:
            while (event := self.session.next_event()) is not None:
                seen.append(event)
                await self._keep(event)
        except asyncio.CancelledError:
            self._write_at_once()
            raise
        return seen

    def _write_at_once(self) -> list[Event]:
        seen: list[Event] = []
        while (event := self.session.next_event()) is not None:
            seen.append(event)
            write = self._write_of(event)
            if write is not None:
                self._disk.write_at_once(write)
        return seen

    async def _keep(self, event: Event) -> None:
        """Make an event durable; who is cancelled meanwhile waits for its end."""
        write = self._write_of(event)
        if write is not None:
            await self._disk.write(write)

    def _write_of(self, event: Event) -> Write | None:
        if isinstance(event, out.Persist):
            records = event.records
            return lambda: self._marked("journal", lambda: self._journal.append(*records))
        if isinstance(event, out.StoreKeys):
            keys = event.keys
            return lambda: self._marked("keys", lambda: self._keys.store_session(keys))
        return None

    def _marked(self, name: str, write: Write) -> None:
        self._mark(f"{name}: before")
        write()
        self._mark(f"{name}: after")

    async def aside(self, write: Write) -> None:
        """Carry out a write of another file than the journal in its turn."""
        await self._disk.write(write)

    def stop(self) -> None:
        """End the disk; nothing may be written afterwards. Idempotent."""
        self._disk.stop()


def of(events: list[Event], kind: type[EventKind]) -> list[EventKind]:
    """Give the events of one kind."""
    return [event for event in events if isinstance(event, kind)]


def _is_clean(events: list[Event]) -> bool:
    """Tell whether the connection may be used again: nothing was late, lost or unreadable."""
    return not any(
        isinstance(event, out.ReversalOwed | out.ReversalStillOwed | out.StillQueued | out.NoAnswer)
        for event in events
    )


def _network_code(events: list[Event]) -> str:
    for answer in of(events, out.NetworkAnswered):
        return answer.response_code
    for silence in of(events, out.NoAnswer):
        return silence.claimed_code if silence.claimed_code not in ("00", "10") else ""
    return ""
