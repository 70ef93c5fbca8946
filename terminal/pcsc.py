"""A card channel over PC/SC: any reader that the system's PC/SC daemon serves.

Uses the low-level calls only. What the daemon does not do is done here: a deadline for each call
(in `terminal.pcsc_thread`), a check that an answer has a status (a torn card gives *success with
no bytes*), and the ATR of a card that the daemon refuses, so that the kernel's own ATR rules
decide. Source: reference/emv.md 1.4.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any, TypeVar, cast

from terminal.card_channel import CardEvent, CardMuteError, CardRemovedError
from terminal.pcsc_events import slot_events
from terminal.pcsc_system import PcscUnavailableError, find_reader, open_context, scard
from terminal.pcsc_thread import Deadline, ReaderThread

#: Longest wait for power, reset and ATR: a reader may need a second reset and negotiation.
POWER_TIMEOUT_MS = 5_000
_SHORTEST_ANSWER = 2
#: A daemon looks at its slots every 0.4 s and powers what it finds: within this it has let go.
_CONNECT_TRIES = 6
_CONNECT_PAUSE_S = 0.1

Result = TypeVar("Result")


class PcscChannel:
    """One slot of a PC/SC reader, held alone from `connect` to `disconnect`.

    Keeps the CardChannel interface; `close` ends it, and `events` with it.
    """

    def __init__(self, reader: str, *, power_timeout_ms: int = POWER_TIMEOUT_MS) -> None:
        """Take the reader's full name; nothing is asked of the system yet."""
        self.reader = reader
        self._power_timeout_ms = power_timeout_ms
        self._thread: ReaderThread | None = None
        self._slot: _Slot | None = None

    @classmethod
    def open(cls, wanted: str) -> "PcscChannel":
        """Give the channel of a reader by its name or the beginning of it.

        Raises PcscUnavailableError, ReaderUnknownError.
        """
        return cls(find_reader(wanted))

    async def connect(self) -> bytes:
        """Power the card from cold and give its ATR.

        Raises CardRemovedError without a card or a reader, CardMuteError while the reader still
        waits for a card that was given up.
        """
        if self._thread is None:
            self._slot = _Slot(self.reader)
            self._thread = ReaderThread(self.reader, self._slot.release)
        return await self._power(self._slot_here().connect)

    async def reset(self) -> bytes:
        """Reset the card warm and give its ATR; raise as `connect`."""
        if self._thread is None:
            return await self.connect()
        return await self._power(self._slot_here().reset)

    def _slot_here(self) -> "_Slot":
        assert self._slot is not None
        return self._slot

    async def _power(self, task: Callable[[], bytes]) -> bytes:
        try:
            atr = await self._call(lambda _: task(), self._power_timeout_ms)
        except TimeoutError:
            raise CardRemovedError("no answer to reset") from None
        except PcscUnavailableError as error:
            # The daemon has gone since the reader was found: to a sale, an empty slot.
            raise CardRemovedError(error.external) from error
        if len(atr) < _SHORTEST_ANSWER:
            raise CardRemovedError("no answer to reset")
        return atr

    async def transmit(self, command: bytes, *, timeout_ms: int) -> bytes:
        """Send one command and give the response of at least 2 bytes.

        Raises CardMuteError after `timeout_ms`, CardRemovedError for a card or a reader that has
        gone, or an answer of fewer than 2 bytes.
        """
        slot = self._slot
        if slot is None:
            raise CardRemovedError
        try:
            return await self._call(lambda _: slot.transmit(command), timeout_ms)
        except TimeoutError:
            raise CardMuteError from None

    async def converse(
        self, commands: Generator[bytes, bytes, Result], *, timeout_ms: int
    ) -> Result:
        """Drive a generator of commands in the reader's thread and give what it returns.

        One hand-over there and one back for all of them; the deadline is each command's own. The
        generator is closed in the thread. Raises as `transmit`, and what the generator raises.
        """
        slot = self._slot
        if slot is None:
            commands.close()
            raise CardRemovedError
        try:
            return await self._call(lambda deadline: slot.drive(commands, deadline), timeout_ms)
        except TimeoutError:
            raise CardMuteError from None

    async def disconnect(self) -> None:
        """Power the card down; idempotent, never raises for a card that has gone."""
        slot = self._slot
        if slot is None:
            return
        with contextlib.suppress(TimeoutError):  # the thread is abandoned with the card
            await self._call(lambda _: slot.disconnect(), self._power_timeout_ms)

    async def close(self) -> None:
        """Power the card down, hand everything back and end `events`. Idempotent."""
        await self.disconnect()
        if self._thread is not None:
            self._thread.end()
        self._forget()

    async def _call(self, task: Callable[[Deadline], Result], timeout_ms: int) -> Result:
        """Run a task in the reader's thread; one that is given up is not ours any more."""
        assert self._thread is not None
        try:
            return await self._thread.call(task, timeout_ms)
        except (TimeoutError, asyncio.CancelledError):
            self._forget()
            raise

    def _forget(self) -> None:
        self._thread = self._slot = None

    def events(self) -> AsyncIterator[CardEvent]:
        """Yield insertions, removals and the loss of the reader until the iterator is closed."""
        return slot_events(self.reader)


class _Slot:
    """The PC/SC handles of one reader. Used in its thread only."""

    def __init__(self, reader: str) -> None:
        self._reader = reader
        self._module: Any = None
        self._context: Any = None
        self._card: Any = None
        self._protocol = 0
        self._refused = 0

    def connect(self) -> bytes:
        """Power from cold; give the ATR, also of a card that the daemon will not talk to.

        A card that has just come in may still be in the daemon's own hands: it shows the card and
        refuses it for a moment. Only a card whose protocol it does not take is refused for good.
        """
        atr = self._connect_once()
        for _ in range(_CONNECT_TRIES - 1):
            if self._card is not None or self._refused == self._module.SCARD_E_PROTO_MISMATCH:
                break
            time.sleep(_CONNECT_PAUSE_S)
            atr = self._connect_once()
        return atr

    def _connect_once(self) -> bytes:
        module = self._ready()
        self.disconnect()
        result, card, protocol = module.SCardConnect(
            self._context, self._reader, module.SCARD_SHARE_EXCLUSIVE,
            module.SCARD_PROTOCOL_T0 | module.SCARD_PROTOCOL_T1,
        )  # fmt: skip
        if result != module.SCARD_S_SUCCESS:
            try:
                return self._seen_atr(result)
            finally:
                # A daemon that was started anew knows nothing of this context.
                self.release()
        self._card, self._protocol = card, protocol
        # The daemon powered it when it came in, and somebody may have talked to it since.
        return self._powered(module.SCARD_UNPOWER_CARD)

    def reset(self) -> bytes:
        """Reset warm; from cold when there is no connection."""
        if self._card is None:
            return self.connect()
        return self._powered(self._module.SCARD_RESET_CARD)

    def _powered(self, how: int) -> bytes:
        module = self._module
        result, protocol = module.SCardReconnect(
            self._card, module.SCARD_SHARE_EXCLUSIVE,
            module.SCARD_PROTOCOL_T0 | module.SCARD_PROTOCOL_T1, how,
        )  # fmt: skip
        if result != module.SCARD_S_SUCCESS:
            self._let_go()
            return self._seen_atr(result)
        self._protocol = protocol
        result, _reader, _state, _protocol, atr = module.SCardStatus(self._card)
        if result != module.SCARD_S_SUCCESS:
            self._let_go()
            return self._seen_atr(result)
        return bytes(atr)

    def _seen_atr(self, refused: int) -> bytes:
        """Give the ATR that the daemon saw and did not like; raise CardRemovedError for none."""
        self._refused = refused
        module = self._module
        result, states = module.SCardGetStatusChange(
            self._context, 0, [(self._reader, module.SCARD_STATE_UNAWARE)]
        )
        if result == module.SCARD_S_SUCCESS and states[0][1] & module.SCARD_STATE_PRESENT:
            atr = bytes(states[0][2])
            if len(atr) >= _SHORTEST_ANSWER:
                return atr
        raise CardRemovedError(f"PC/SC {refused & 0xFFFFFFFF:08X}")

    def transmit(self, command: bytes) -> bytes:
        """Give an answer with its status; raise CardRemovedError for everything else."""
        if self._card is None:
            raise CardRemovedError
        module = self._module
        pci = (
            module.SCARD_PCI_T1 if self._protocol == module.SCARD_PROTOCOL_T1
            else module.SCARD_PCI_T0
        )  # fmt: skip
        result, answer = module.SCardTransmit(self._card, pci, list(command))
        # A torn card gives success with no bytes.
        if result != module.SCARD_S_SUCCESS or len(answer) < _SHORTEST_ANSWER:
            self._let_go()
            raise CardRemovedError(f"PC/SC {result & 0xFFFFFFFF:08X}, {len(answer)} bytes")
        return bytes(answer)

    def drive(self, commands: Generator[bytes, bytes, Result], deadline: Deadline) -> Result:
        """Transmit what the generator yields and give what it returns; close it in any case."""
        try:
            command = next(commands)
            while True:
                deadline.renew()
                command = commands.send(self.transmit(command))
        except StopIteration as stop:
            return cast(Result, stop.value)
        finally:
            commands.close()

    def disconnect(self) -> None:
        """Power down; what PC/SC says to it changes nothing any more."""
        card, self._card = self._card, None
        if card is not None:
            self._module.SCardDisconnect(card, self._module.SCARD_UNPOWER_CARD)

    def _let_go(self) -> None:
        """Hand a card back that is not there any more.

        Not by powering it down: pcscd takes a failed power-down for an empty slot at once, and
        then a card that is back before its next look (0.4 s) is never powered again.
        """
        card, self._card = self._card, None
        if card is not None:
            self._module.SCardDisconnect(card, self._module.SCARD_LEAVE_CARD)

    def release(self) -> None:
        """Hand card and context back."""
        self.disconnect()
        context, self._context = self._context, None
        if context is not None:
            self._module.SCardReleaseContext(context)

    def _ready(self) -> Any:
        """Give the module with a context of the daemon."""
        if self._module is None:
            self._module = scard()
        if self._context is None:
            self._context = open_context(self._module)
        return self._module
