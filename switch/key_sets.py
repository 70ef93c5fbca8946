"""Session keys of terminals: numbered sets, the last used one and perhaps one more (decision 15).

A set is given out in TR-31 blocks under the terminal's master key and kept as those same blocks. It
takes over at its first use; until then the set before stays valid, so a lost answer locks nobody
out, and a request that nobody authenticated changes nothing.
"""

from dataclasses import dataclass
from typing import Protocol

from programme.registry_port import TerminalView
from protocols.clock import RandomBytes
from protocols.crypto import tr31
from protocols.crypto.kcv import kcv
from protocols.crypto.mac import Padding, RetailMac
from protocols.crypto.tdes import TdesCipher, with_odd_parity
from protocols.values import SecretBytes
from switch.changes import Change, KeySetActivated, KeySetIssued, StateSnapshot
from switch.decision import KeyBlocks
from switch.limits import KEY_SET_NUMBER_MAX

_KEY_BYTES = 16
#: Padding of the MAC, as the spec of the link states it.
_MAC_PADDING: Padding = 1
#: What the keys may be used for: a MAC made and checked, a PIN enciphered by the terminal.
#: Source: ANSI X9.143:2021, 6.
_MAC_HEADER = tr31.KeyBlockHeader("B", "M3", "T", "C")
_PIN_HEADER = tr31.KeyBlockHeader("B", "P0", "T", "E")


class KeySource(Protocol):
    """Where key values come from: the programme's keystore."""

    def get(self, label: str) -> SecretBytes:
        """Give the key with this label; raise a LumbungError when there is none."""


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """One set, ready for use."""

    number: int
    mac: RetailMac
    pin: SecretBytes
    pin_cipher: TdesCipher


class KeySets:
    """The valid sets of every terminal."""

    def __init__(
        self,
        snapshot: StateSnapshot,
        keys: KeySource,
        random_bytes: RandomBytes,
        changes: list[Change],
    ) -> None:
        """Take what the state file holds; keys are opened when their terminal first speaks."""
        self._sets = {terminal: list(sets) for terminal, sets in snapshot.key_sets.items()}
        self.active = dict(snapshot.active_sets)
        self._keys = keys
        self._random_bytes = random_bytes
        self._changes = changes
        self._opened: dict[tuple[str, int], SessionKeys] = {}
        self.valid_sets: dict[str, list[SessionKeys]] = {}
        #: The MAC keys of terminals that have spoken, in the order of `valid`.
        self.mac_keys: dict[str, list[RetailMac]] = {}

    def valid(self, terminal: TerminalView) -> list[SessionKeys]:
        """Give the valid sets, the last used one first; raise LumbungError without master key."""
        terminal_id = terminal.terminal_id
        known = self.valid_sets.get(terminal_id)
        if known is None:
            known = [self._open(terminal, issued) for issued in self._sets.get(terminal_id, ())]
            self.valid_sets[terminal_id] = known
            self.mac_keys[terminal_id] = [keys.mac for keys in known]
        return known

    def used(self, terminal_id: str, number: int) -> None:
        """Take note that a set proved a message: at its first use it voids the others."""
        if self.active.get(terminal_id) == number:
            return
        sets = self._sets[terminal_id]
        self._sets[terminal_id] = [issued for issued in sets if issued.number == number]
        for issued in sets:
            if issued.number != number:
                self._opened.pop((terminal_id, issued.number), None)
        self.active[terminal_id] = number
        self._changed(terminal_id)
        self._changes.append(KeySetActivated(terminal_id, number))

    def issue(self, terminal: TerminalView) -> KeyBlocks:
        """Give a set that was not used yet: a new one, or again the one whose answer got lost.

        Raises LumbungError when the terminal has no master key.
        """
        terminal_id = terminal.terminal_id
        sets = self._sets.setdefault(terminal_id, [])
        active = self.active.get(terminal_id, 0)
        waiting = [issued for issued in sets if issued.number != active]
        if waiting:
            issued = waiting[0]
        else:
            issued = self._make(terminal, active % KEY_SET_NUMBER_MAX + 1)
            sets.append(issued)
            self._changes.append(issued)
            self._changed(terminal_id)
        master = self._keys.get(terminal.key_label)
        checks = [kcv(tr31.unwrap(master, b)[1]) for b in (issued.mac_block, issued.pin_block)]
        return KeyBlocks(issued.number, issued.mac_block, issued.pin_block, checks[0], checks[1])

    def adopt(self, issued: KeySetIssued) -> None:
        """Take over a set that another node gave out: replay of what that node heard since."""
        self._sets.setdefault(issued.terminal_id, []).append(issued)
        self._changes.append(issued)
        self._changed(issued.terminal_id)

    def _changed(self, terminal_id: str) -> None:
        """Have the terminal's sets put together anew when it next speaks."""
        self.valid_sets.pop(terminal_id, None)
        self.mac_keys.pop(terminal_id, None)

    def _make(self, terminal: TerminalView, number: int) -> KeySetIssued:
        master = self._keys.get(terminal.key_label)
        mac_block, pin_block = (
            tr31.wrap(master, header, self._fresh_key(), self._random_bytes)
            for header in (_MAC_HEADER, _PIN_HEADER)
        )
        return KeySetIssued(terminal.terminal_id, number, mac_block, pin_block)

    def _fresh_key(self) -> SecretBytes:
        return with_odd_parity(SecretBytes(self._random_bytes(_KEY_BYTES)))

    def _open(self, terminal: TerminalView, issued: KeySetIssued) -> SessionKeys:
        known = self._opened.get((terminal.terminal_id, issued.number))
        if known is not None:
            return known
        master = self._keys.get(terminal.key_label)
        _header, mac_key = tr31.unwrap(master, issued.mac_block)
        _header, pin_key = tr31.unwrap(master, issued.pin_block)
        mac = RetailMac(mac_key, _MAC_PADDING)
        opened = SessionKeys(issued.number, mac, pin_key, TdesCipher(pin_key))
        self._opened[terminal.terminal_id, issued.number] = opened
        return opened
