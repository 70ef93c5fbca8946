"""From raw bytes to a request that its terminal's key vouches for.

The MAC is checked over the raw bytes before any value is trusted (design section 2 row 5). A bad
MAC answers 63 without MAC and changes nothing; an unknown terminal 03; a message that its MAC
proves and the spec refuses 30. What cannot even be addressed is not answered at all.
"""

from dataclasses import dataclass

from programme.registry_port import RegistryReader, TerminalView
from protocols.errors import LumbungError
from protocols.iso8583 import Codec, Message, MessageError
from switch.flows.network import KEY_CHANGE
from switch.key_sets import KeySets, SessionKeys
from switch.request import Request, read_request

#: Message classes that this link answers: financial, advice upload, reversal, settlement, network,
#: PIN change. The third digit says request (0) or advice (2).
_CLASSES = frozenset({"01", "02", "03", "04", "05", "08"})
_FUNCTIONS = frozenset({"0", "2"})


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request whose sender is proved; `keys` is None only for a key change request."""

    request: Request
    terminal: TerminalView
    keys: SessionKeys | None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that gets a code without entering a flow; `keys` is None for an answer without
    MAC. `message` holds what could be read of it."""

    message: Message
    code: str
    why: str
    keys: SessionKeys | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Bytes that no answer can be addressed to: the connection is cut."""

    why: str


class Reception:
    """The door of one link."""

    def __init__(
        self, codec: Codec, link: str, registry: RegistryReader, key_sets: KeySets
    ) -> None:
        """Take what the checks need."""
        self._codec = codec
        self._link = link
        self._registry = registry
        self._key_sets = key_sets

    def receive(self, payload: bytes) -> Accepted | Rejected | Unreadable:
        """Give the proved request, or what to answer instead."""
        try:
            head = self._codec.peek(payload)
        except MessageError as error:
            return Unreadable(error.external)
        mti = head.mti
        if mti[:2] not in _CLASSES or mti[2:3] not in _FUNCTIONS or 41 not in head:
            return Unreadable("not a request of this link")
        terminal = self._registry.terminal(head.text(41))
        if terminal is None:
            return Rejected(head, "03", "unknown terminal")
        try:
            return self._authenticate(payload, head, terminal)
        except LumbungError as error:
            if isinstance(error, MessageError):
                return Rejected(head, "63", error.external)
            return Rejected(head, "96", error.internal)

    def _authenticate(
        self, payload: bytes, head: Message, terminal: TerminalView
    ) -> Accepted | Rejected:
        signed = self._codec.split_mac(payload)
        if signed is None:
            return self._without_mac(payload, head, terminal)
        covered, mac = signed
        for keys in self._key_sets.valid(terminal):
            if keys.mac.verify(covered, mac):
                return self._decode(payload, head, terminal, keys)
        return Rejected(head, "63", "MAC or key set is wrong")

    def _decode(
        self, payload: bytes, head: Message, terminal: TerminalView, keys: SessionKeys
    ) -> Accepted | Rejected:
        try:
            request = read_request(self._codec.decode(payload), self._link)
        except MessageError as error:
            self._key_sets.used(terminal.terminal_id, keys.number)
            return Rejected(head, "30", error.external, keys)
        if request.key_set is not None and request.key_set != keys.number:
            return Rejected(head, "63", "element 61 names another key set")
        self._key_sets.used(terminal.terminal_id, keys.number)
        return Accepted(request, terminal, keys)

    def _without_mac(
        self, payload: bytes, head: Message, terminal: TerminalView
    ) -> Accepted | Rejected:
        """Accept a key change request only: it changes nothing until the new set is used."""
        if head.mti == "0800":
            try:
                request = read_request(self._codec.decode(payload), self._link)
            except MessageError as error:
                return Rejected(head, "30", error.external)
            if request.network_code == KEY_CHANGE:
                return Accepted(request, terminal, None)
        return Rejected(head, "63", "no MAC")
