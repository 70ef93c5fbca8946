"""Reception in one call: a message decoded, its sender's keys found, its MAC proved.

Which keys may have made the MAC depends on who sends, so one element is read before anything is
proved (docs/adr/0003); nothing else of a message may be used unless `proof` says PROVED. Both twins
do the same; the native one checks the MACs of a batch while other Python threads run on.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from protocols.crypto.mac import RetailMac
from protocols.iso8583.errors import MessageError
from protocols.iso8583.message import Message

if TYPE_CHECKING:
    from protocols.iso8583.pure import PureCodec

#: The terminal's name, by which its keys are found. Source: ISO 8583:1987, element 41.
SENDER_ELEMENT = 41

#: The keys that a sender may use, the likeliest first.
SenderKeys = Mapping[str, Sequence[RetailMac]]


class Proof(StrEnum):
    """What the MAC says of a message."""

    PROVED = "a key of its sender made the MAC"
    NOT_PROVED = "no key of its sender made the MAC"
    NO_MAC = "its last element is no MAC"
    UNKNOWN_SENDER = "nobody of that name has keys"


class Received(NamedTuple):
    """A message as far as it could be read, and what its MAC says.

    `key_index` is that of the key among its sender's, None unless PROVED. `fault` is why the
    message is not one of the spec; `message` then holds the spec's `peek` elements only.
    """

    message: Message
    proof: Proof
    key_index: int | None = None
    fault: MessageError | None = None


#: What the native core gives for other outcomes than the index of a key.
NATIVE_PROOFS = {-1: Proof.NOT_PROVED, -2: Proof.NO_MAC, -3: Proof.UNKNOWN_SENDER}


def receive(codec: "PureCodec", raw: bytes, keys: SenderKeys, sender: int) -> Received:
    """Give the message and its proof. Raises: MessageError when not even `peek` can read it."""
    fault: MessageError | None = None
    try:
        message = codec.decode(raw)
    except MessageError as error:
        fault = error
        message = codec.peek(raw)
    try:
        signed = codec.split_mac(raw)
    except MessageError:
        return Received(message, Proof.NOT_PROVED, None, fault)  # the MAC is cut off
    if signed is None:
        return Received(message, Proof.NO_MAC, None, fault)
    name = message.get(sender)
    known = keys.get(name) if isinstance(name, str) else None
    if known is None:
        return Received(message, Proof.UNKNOWN_SENDER, None, fault)
    covered, mac = signed
    for index, key in enumerate(known):
        if key.verify(covered, mac):
            return Received(message, Proof.PROVED, index, fault)
    return Received(message, Proof.NOT_PROVED, None, fault)


def receive_each(
    codec: "PureCodec", raws: Sequence[bytes], keys: SenderKeys, sender: int
) -> list[Received | MessageError]:
    """Give what `receive` gives for each, in order, or the error that it raises."""
    out: list[Received | MessageError] = []
    for raw in raws:
        try:
            out.append(receive(codec, raw, keys, sender))
        except MessageError as error:
            out.append(error)
    return out
