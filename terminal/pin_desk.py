"""Asking for PINs in one operation: typed here, or on a PIN pad that lets only blocks out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from protocols.values import PinBlock, SecretBytes
from terminal.card_desk import CardDesk
from terminal.hands import Hands
from terminal.keystore import SessionKeys
from terminal.limits import PIN_ENTRIES_MAX
from terminal.purchase.checks import Refused, check_offline_pin, check_pin
from terminal.purchase.table import FlowEvent

_CANCELLED = Refused("17", "flow.cancelled")
_PIN_DIFFERS = Refused("17", "refused.pin_differs")
_PIN_SAME = Refused("17", "refused.pin_same")
_NO_OFFLINE_PIN = Refused("17", "pin_pad.offline_pin")
_KEYS_CHANGED = Refused("17", "pin_pad.no_key")


class Asked(NamedTuple):
    """What the flow is told, and why; `ends` tells that the operation is over."""

    event: FlowEvent
    refused: Refused | None = None
    ends: bool = False


@dataclass(slots=True)
class PinDesk:
    """The PINs of one operation, for as long as it takes.

    `keys` gives the session keys of the moment. `pin` and `new_pin` are digits (ASCII), or PinBlock
    values under the PIN key that it gave.
    """

    card: CardDesk | None
    hands: Hands
    keys: Callable[[], SessionKeys]
    pin: SecretBytes | None = None
    new_pin: SecretBytes | None = None
    entries: int = 0
    _key_sets: set[str] = field(default_factory=set)

    def forget(self) -> None:
        """Forget all of them."""
        self.pin = self.new_pin = None

    def why_not_send(self, keys: SessionKeys) -> Refused | None:
        """Tell why the PINs cannot go out under these keys, or None."""
        return None if self._key_sets <= {keys.key_set} else _KEYS_CHANGED

    async def ask(self, prompt: str, *, changes: bool) -> Asked:
        """Ask for the PIN; `changes` when it is the old one of a PIN change."""
        assert self.card is not None, "a PIN is asked for a card"
        if not self.card.needs_pin:
            return Asked(FlowEvent.PIN_TAKEN)
        if self.card.needs_offline_pin:
            refused = await self._ask_for_chip(self.card)
        else:
            refused = await self._ask_for_host(prompt)
        if refused is not None:
            return refused
        if not changes:
            return Asked(FlowEvent.PIN_TAKEN)
        self.entries = 0
        return Asked(FlowEvent.OLD_PIN_TAKEN)

    async def ask_new(self, prompt: str, *, again: bool) -> Asked:
        """Ask for the new PIN, or for it once more."""
        typed = await self._enter(prompt, any_length=again)
        if isinstance(typed, Asked):
            return typed
        if again:
            if typed == self.new_pin:
                return Asked(FlowEvent.PIN_TAKEN)
            return self._again(FlowEvent.PIN_DIFFERS, _PIN_DIFFERS)
        if typed == self.pin:
            return self._again(FlowEvent.PIN_REFUSED, _PIN_SAME)
        self.new_pin = typed
        return Asked(FlowEvent.PIN_TAKEN)

    async def _ask_for_host(self, prompt: str) -> Asked | None:
        typed = await self._enter(prompt)
        if isinstance(typed, Asked):
            return typed
        self.pin = typed
        return None

    async def _ask_for_chip(self, card: CardDesk) -> Asked | None:
        """Let the chip check the digits: only those typed here can go to it."""
        if self.hands.pin_entry is None and self.hands.pin_pad is not None:
            return self._end(_NO_OFFLINE_PIN)
        digits = await self._typed()
        if not digits:
            return self._end(_CANCELLED)
        refused = check_offline_pin(digits)
        if refused is None:
            refused = await card.check_offline_pin(SecretBytes(digits.encode("ascii")))
            if refused is not None and not card.needs_offline_pin:
                return Asked(FlowEvent.CARD_FAILED, refused, ends=True)
        if refused is not None:
            return self._again(FlowEvent.PIN_REFUSED, refused)
        if check_pin(digits) is None:
            self.pin = SecretBytes(digits.encode("ascii"))
        return None

    async def _enter(self, prompt: str, *, any_length: bool = False) -> SecretBytes | Asked:
        """Give a PIN of the right length, from the pad where there is one."""
        if self.hands.pin_pad is not None:
            assert self.card is not None
            assert self.card.context is not None
            assert self.card.context.pan is not None, "a card that was read has a number"
            keys = self.keys()
            entered = await self.hands.pin_pad.enter_pin(keys, self.card.context.pan, prompt)
            if isinstance(entered, PinBlock):
                self._key_sets.add(keys.key_set)
                return entered
            # The pad has asked again by itself, as often as it may.
            return self._end(entered)
        digits = await self._typed()
        if not digits:
            return self._end(_CANCELLED)
        refused = check_pin(digits)
        if refused is not None and not any_length:
            return self._again(FlowEvent.PIN_REFUSED, refused)
        return SecretBytes(digits.encode("utf-8"))

    async def _typed(self) -> str:
        return await self.hands.pin_entry() if self.hands.pin_entry is not None else ""

    def _again(self, event: FlowEvent, refused: Refused) -> Asked:
        """Ask once more with the reason on the screen, unless it was asked often enough."""
        self.entries += 1
        return self._end(refused) if self.entries >= PIN_ENTRIES_MAX else Asked(event, refused)

    def _end(self, refused: Refused) -> Asked:
        return Asked(FlowEvent.CANCEL, refused, ends=True)
