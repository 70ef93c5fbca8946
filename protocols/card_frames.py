"""Frames between a card reader and a virtual card, as the open virtual reader driver vpcd has them.

Two bytes of length, then the body. A body of one byte is a control of the reader: off, on, reset
(none is answered) or a question for the ATR, which is answered with a frame that holds it. A
longer body is a command APDU, answered with one frame that holds the response. A card that leaves
the slot closes the connection; there is no other sign of it.

The plain socket between a card and our own terminal uses the same frames, so that one card serves
both. Source: reference/emv.md 1.2, checked against the driver in use.
"""

from enum import IntEnum

from protocols.framing import FrameSpec

#: Short APDUs need 261 bytes; a faulty card may answer more, and a reader may ask for more.
CARD_BODY_BYTES_MAX = 16_384

CARD_FRAMES = FrameSpec(tpdu_size=0, body_max=CARD_BODY_BYTES_MAX)


class Control(IntEnum):
    """What a reader says in one byte."""

    OFF = 0x00
    ON = 0x01
    RESET = 0x02
    ATR = 0x04
