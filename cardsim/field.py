"""A contactless reader's part: the ATR that it makes up, and what it answers in a card's place.

A program asks a contactless reader, not the card, for the card's serial number; programs tell a
contactless reader by that. Source: PC/SC Part 3, 3.1.3.2.3.1 and 3.2.2.1.3.
"""

from cardsim.image import CardImage

#: Type A without historical bytes: TS, T0, TD1 80, TD2 01, TCK.
CONTACTLESS_ATR = bytes.fromhex("3B80800101")
_GET_DATA = b"\xff\xca"
_SERIAL, _HISTORICAL = b"\x00\x00", b"\x01\x00"
#: First byte of a serial number that a card drew by chance. ISO/IEC 14443-3, 6.5.4.
_BY_CHANCE = b"\x08"


def serial_number(image: CardImage) -> bytes:
    """Give the 4 bytes by which a reader tells a card in its field from another."""
    return _BY_CHANCE + bytes.fromhex(image.serial)[:3]


def reader_answer(command: bytes, image: CardImage) -> bytes | None:
    """Give the reader's own answer; None for a command that is for the card."""
    if command[:2] != _GET_DATA:
        return None
    if len(command) != 5:
        return b"\x67\x00"
    if command[2:4] == _HISTORICAL:
        return b"\x6a\x81"  # this card has none
    if command[2:4] != _SERIAL:
        return b"\x6a\x86"
    number = serial_number(image)
    if 0 < command[4] < len(number):
        return b"\x6c" + bytes((len(number),))
    # Asked for more than there is: the number, and a warning. Part 3, table 3-9.
    return number + (b"\x62\x82" if command[4] > len(number) else b"\x90\x00")
