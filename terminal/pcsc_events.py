"""What happens at a PC/SC slot, by the daemon's status changes: card in, card out, reader gone.

A thread asks, because the question blocks; it hands each change to the loop and looks every
quarter of a second whether it is still wanted. pyscard's own monitor is not used: it is one for
the whole process, and two threads of it race (reference/emv.md 1.4).
"""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

from terminal.card_channel import CardEvent
from terminal.pcsc_system import PcscUnavailableError, open_context, scard

#: How long one question blocks, and how often a reader that has gone is looked for.
LOOK_MS = 250
#: Events that wait for whoever listens; the newest tells the state, so older ones may go.
EVENTS_MAX = 64


async def slot_events(reader: str) -> AsyncIterator[CardEvent]:
    """Yield what happens at a slot until the iterator is closed.

    A card that is there at the start is the first event. A reader that is unplugged, or whose
    daemon ends, gives READER_LOST once; it is watched again when it is back. Raises
    PcscUnavailableError when there is no PC/SC module at all.
    """
    watch = _Watch(reader, scard())
    watch.thread.start()
    try:
        while True:
            yield await watch.events.get()
    finally:
        watch.wanted.clear()


class _Watch:
    """The thread that asks, and the queue that it fills."""

    def __init__(self, reader: str, module: Any) -> None:
        self.events: asyncio.Queue[CardEvent] = asyncio.Queue(EVENTS_MAX)
        self.wanted = threading.Event()
        self.wanted.set()
        self.thread = threading.Thread(target=self._ask, name=f"slot {reader}", daemon=True)
        self._reader = reader
        self._module = module
        self._loop = asyncio.get_running_loop()
        self._there: bool | None = None

    def _ask(self) -> None:
        idle = threading.Event()
        while self.wanted.is_set():
            try:
                context = open_context(self._module)
            except PcscUnavailableError:
                self._note_lost()
                idle.wait(LOOK_MS / 1000)
                continue
            try:
                while self.wanted.is_set() and self._follow(context):
                    idle.wait(LOOK_MS / 1000)
            finally:
                self._module.SCardReleaseContext(context)

    def _follow(self, context: Any) -> bool:
        """Follow the slot until the reader goes; False when the context is of no more use."""
        module, known = self._module, self._module.SCARD_STATE_UNAWARE
        while self.wanted.is_set():
            result, states = module.SCardGetStatusChange(context, LOOK_MS, [(self._reader, known)])
            if result == module.SCARD_E_TIMEOUT:
                continue
            if result != module.SCARD_S_SUCCESS:
                self._note_lost()
                return bool(result == module.SCARD_E_UNKNOWN_READER)
            state = states[0][1]
            if state & (module.SCARD_STATE_UNKNOWN | module.SCARD_STATE_UNAVAILABLE):
                self._note_lost()
                return True
            self._note_card(bool(state & module.SCARD_STATE_PRESENT))
            known = state & ~module.SCARD_STATE_CHANGED
        return False

    def _note_card(self, present: bool) -> None:
        if present and self._there is not True:
            self._hand_over(CardEvent.INSERTED)
        elif not present and self._there is True:
            self._hand_over(CardEvent.REMOVED)
        self._there = present

    def _note_lost(self) -> None:
        if self._known:
            self._hand_over(CardEvent.READER_LOST)
        self._there = None

    @property
    def _known(self) -> bool:
        return self._there is not None

    def _hand_over(self, event: CardEvent) -> None:
        try:
            self._loop.call_soon_threadsafe(self._put, event)
        except RuntimeError:
            # The loop was closed: nobody listens any more.
            self.wanted.clear()

    def _put(self, event: CardEvent) -> None:
        if self.events.full():
            self.events.get_nowait()
        self.events.put_nowait(event)
