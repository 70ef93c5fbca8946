"""From raw bytes to a request that its terminal's key vouches for.

The MAC is checked over the raw bytes before any value is trusted (design section 2 row 5). A bad
MAC answers 63 without MAC and changes nothing; an unknown terminal 03; a message that its MAC
proves and the spec refuses 30. What cannot even be addressed is not answered at all.
"""

from dataclasses import dataclass
from typing import NamedTuple, TypeGuard

from programme.registry_port import RegistryReader, TerminalView
from protocols.errors import LumbungError
from protocols.iso8583 import Message, MessageError, Proof, PureCodec, check_shape
from protocols.iso8583 import Received as Proven
from switch.flows.network import KEY_CHANGE
from switch.key_sets import KeySets, SessionKeys
from switch.request import Request, read_request

#: Message classes that this link answers: financial, advice upload, reversal, settlement, network,
#: PIN change. The third digit says request (0) or advice (2).
_CLASSES = frozenset({"01", "02", "03", "04", "05", "08"})
_FUNCTIONS = frozenset({"0", "2"})


class Accepted(NamedTuple):
    """A request whose sender is proved; `keys` is None only for a key change request."""

    request: Request
    terminal: TerminalView
    keys: SessionKeys | None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that gets a code without entering a flow (00 for a link's own management); `keys`
    is None for an answer without MAC. `message` holds what could be read of it."""

    message: Message
    code: str
    why: str
    keys: SessionKeys | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Bytes that no answer can be addressed to: the connection is cut."""

    why: str


#: What the door makes of a message.
Received = Accepted | Rejected | Unreadable


def asks_ledger(received: Received) -> TypeGuard[Accepted]:
    """Tell whether a request is known again by a record of the ledger."""
    return isinstance(received, Accepted) and received.request.mti[:2] == "02"


#: What a link's own management may be answered with 00: sign on, sign off, cut-over, echo.
#: Source: switch.md 4.3.
_LINK_CODES = frozenset({"001", "002", "201", "301"})


@dataclass(frozen=True, slots=True)
class Door:
    """One link: how its messages are written, and who lets them in."""

    codec: PureCodec
    reception: "Reception"


class Reception:
    """The door of one link."""

    def __init__(
        self, codec: PureCodec, link: str, registry: RegistryReader, key_sets: KeySets
    ) -> None:
        """Take what the checks need."""
        self._codec = codec
        self.link = link
        self._registry = registry
        self._key_sets = key_sets

    def receive(self, payload: bytes) -> Received:
        """Give the proved request, or what to answer instead.

        Decoding is pure and strict, so it may come first; only the terminal's name is used before
        the MAC has vouched for the bytes.
        """
        try:
            found = self._codec.receive(payload, self._key_sets.mac_keys)
        except MessageError as error:
            return Unreadable(error.external)
        head, fault = found.message, found.fault
        mti = head.mti
        if mti[:2] not in _CLASSES or mti[2:3] not in _FUNCTIONS:
            return Unreadable("not a request of this link")
        if 41 not in head:
            return _manage_link(head, fault)
        terminal = self._registry.terminal(head.text(41))
        if terminal is None:
            return Rejected(head, "03", "unknown terminal")
        try:
            return self._authenticate(payload, found, terminal)
        except LumbungError as error:
            if isinstance(error, MessageError):
                return Rejected(head, "63", error.external)
            return Rejected(head, "96", error.internal)

    def _authenticate(
        self, payload: bytes, found: Proven, terminal: TerminalView
    ) -> Accepted | Rejected:
        if found.proof is Proof.NO_MAC:
            return self._without_mac(found.message, terminal, found.fault)
        sets = self._key_sets.valid(terminal)
        if found.proof is Proof.UNKNOWN_SENDER:
            # The terminal has not spoken since its keys changed: they are open now.
            found = self._codec.receive(payload, self._key_sets.mac_keys)
        if found.key_index is None:
            return Rejected(found.message, "63", "MAC or key set is wrong")
        return self._read(found.message, terminal, sets[found.key_index], found.fault)

    def _read(
        self,
        message: Message,
        terminal: TerminalView,
        keys: SessionKeys,
        fault: MessageError | None,
    ) -> Accepted | Rejected:
        try:
            if fault is not None:
                raise fault
            request = read_request(message, self.link)
        except MessageError as error:
            self._key_sets.used(terminal.terminal_id, keys.number)
            return Rejected(message, "30", error.external, keys)
        if request.key_set is not None and request.key_set != keys.number:
            return Rejected(message, "63", "element 61 names another key set")
        self._key_sets.used(terminal.terminal_id, keys.number)
        return Accepted(request, terminal, keys)

    def _without_mac(
        self, message: Message, terminal: TerminalView, fault: MessageError | None
    ) -> Accepted | Rejected:
        """Accept a key change request only: it changes nothing until the new set is used."""
        if message.mti != "0800":
            return Rejected(message, "63", "no MAC")
        if fault is not None:
            return Rejected(message, "30", fault.external)
        request = read_request(message, self.link)
        if request.network_code != KEY_CHANGE:
            return Rejected(message, "63", "no MAC")
        return Accepted(request, terminal, None)


def _manage_link(head: Message, fault: MessageError | None) -> Rejected | Unreadable:
    """Answer a host's own 0800: it names no terminal, moves nothing here and needs no key."""
    if head.mti != "0800" or fault is not None or head.spec is None:
        return Unreadable("names no terminal")
    try:
        check_shape(head.spec, head)
    except MessageError as error:
        return Unreadable(error.external)
    code = "00" if head.text(70) in _LINK_CODES else "12"
    return Rejected(head, code, "management of the link")
