"""SELECT, READ RECORD, GET DATA. Source: EMV 4.4 Book 1, 11.2-11.3; Book 3, 6.5.7."""

from typing import TYPE_CHECKING

from cardsim.application import LOG_SFI
from cardsim.image import CardImage
from cardsim.states import CardState
from protocols.emv import tlv
from protocols.emv.commands import PPSE_NAME, PSE_NAME

if TYPE_CHECKING:
    from cardsim.card import Card

_OK = b"\x90\x00"
_INVALIDATED = b"\x62\x83"
_WRONG_LENGTH = b"\x67\x00"
_FILE_NOT_FOUND = b"\x6a\x82"
_RECORD_NOT_FOUND = b"\x6a\x83"
_WRONG_PARAMETERS = b"\x6a\x86"
_NO_DATA = b"\x6a\x88"
_BY_NAME, _FIRST, _NEXT = 0x04, 0x00, 0x02
_DIRECTORY_SFI = 1
_RECORD_MODE = 0x04

_PSE_FCI = tlv.build(
    [
        (
            "6F",
            tlv.build(
                [
                    ("84", PSE_NAME),
                    ("A5", tlv.build([("88", bytes((_DIRECTORY_SFI,))), ("5F2D", b"iden")])),
                ]
            ),
        )
    ]
)


def build_directory(image: CardImage) -> tuple[bytes, ...]:
    """Give the records of the payment system directory, one per application."""
    return tuple(
        tlv.build([("70", tlv.build([("61", _entry(item.aid, item.label, item.priority))]))])
        for item in image.applications
    )


def _entry(aid: bytes, label: str, priority: int) -> bytes:
    return tlv.build([("4F", aid), ("50", label.encode("ascii")), ("87", bytes((priority,)))])


def select(card: "Card", header: bytes, data: bytes) -> bytes:
    """Select by whole or partial name, first or next occurrence; a blocked one answers 6283."""
    if header[2] != _BY_NAME or header[3] not in (_FIRST, _NEXT):
        return _WRONG_PARAMETERS
    if not 5 <= len(data) <= 16:
        return _WRONG_LENGTH
    if data == PSE_NAME and header[3] == _FIRST:
        card.current, card.contactless = None, False
        card.state = CardState.DIRECTORY
        return _PSE_FCI + _OK
    if data == PPSE_NAME and header[3] == _FIRST and card.tap_directory:
        card.current, card.contactless = None, True
        card.state = CardState.DIRECTORY
        return card.tap_directory + _OK
    start = card.next_index if header[3] == _NEXT and data == card.last_prefix else 0
    for index in range(start, len(card.applications)):
        application = card.applications[index]
        fci = application.tap_fci if card.contactless else application.fci
        if fci and application.image.aid.startswith(data):
            card.last_prefix, card.next_index = data, index + 1
            card.select(application)
            return fci + (_INVALIDATED if application.blocked else _OK)
    return _FILE_NOT_FOUND


def read_record(card: "Card", header: bytes, _data: bytes) -> bytes:
    """Give a record of the directory, of the current application, or of its log."""
    sfi, mode = header[3] >> 3, header[3] & 0x07
    if mode != _RECORD_MODE or not 1 <= sfi <= 30 or header[2] == 0:
        return _WRONG_PARAMETERS
    if card.current is None:
        return _directory_record(card, sfi, header[2])
    if sfi == LOG_SFI:
        entries = card.current.state.log
        return entries[header[2] - 1] + _OK if header[2] <= len(entries) else _RECORD_NOT_FOUND
    if card.state is CardState.SELECTED:
        return b"\x69\x85"
    record = card.current.records.get((sfi, header[2]))
    if record is not None:
        return record + _OK
    known = any(place[0] == sfi for place in card.current.image.records)
    return _RECORD_NOT_FOUND if known else _FILE_NOT_FOUND


def _directory_record(card: "Card", sfi: int, number: int) -> bytes:
    if sfi != _DIRECTORY_SFI or card.contactless:
        return _FILE_NOT_FOUND
    if number > len(card.directory):
        return _RECORD_NOT_FOUND
    return card.directory[number - 1] + _OK


def get_data(card: "Card", header: bytes, _data: bytes) -> bytes:
    """Give counters, log format or the balance mirror as a data object; 6A88 for another tag."""
    assert card.current is not None
    tag = header[2:4].hex().upper().removeprefix("00")
    value = card.current.data_object(tag)
    return _NO_DATA if value is None else tlv.build([(tag, value)]) + _OK
