"""Issuer scripts: PIN, blocking, balance mirror, records; each under a chained MAC.

The MAC covers the chaining value (the first cryptogram of the transaction, then the whole MAC of
the script command before), the five header bytes and the data, by ISO/IEC 9797-1 algorithm 3 with
padding 2, under the common session key that the first cryptogram derives.
Source: EMV 4.4 Book 2, 9.2-9.3 (chaining as in the common core definitions); Book 3, 6.5.
"""

from cardsim import limits
from cardsim.application import Application
from cardsim.transaction import CONDITIONS, OK, WRONG_LENGTH, WRONG_PARAMETERS
from protocols.crypto import emv_keys, tdes
from protocols.crypto.errors import CryptoError
from protocols.crypto.mac import same_mac
from protocols.crypto.pin import pin_block_decode
from protocols.crypto.scripts import decipher_bound_pin, script_mac
from protocols.emv import tlv
from protocols.emv.balance_mirror import BYTES as MIRROR_BYTES
from protocols.emv.balance_mirror import TAG_DF71_BALANCE_MIRROR, BalanceMirror
from protocols.emv.errors import EmvDataError
from protocols.values import SecretBytes

MAC_MISSING = b"\x69\x87"
MAC_INCORRECT = b"\x69\x88"
WRONG_DATA = b"\x6a\x80"
REFERENCE_NOT_FOUND = b"\x6a\x88"
RECORD_NOT_FOUND = b"\x6a\x83"
_NOT_SUPPORTED = b"\x6a\x81"

_UNBLOCK_PIN, _CHANGE_BOUND_PIN, _CHANGE_PIN = 0x00, 0x01, 0x02
#: An enciphered PIN block with its padding, bound to the current PIN or not. Book 2, 9.3.
_PIN_DATA_BYTES = 16
#: P2 of record commands: the record number is in P1. EMV 4.4 Book 3, 6.5.11.2.
_RECORD_MODE = 0x04
_TEMPLATE = "70"


def accept_script(application: Application, header: bytes, data: bytes, plain: int) -> bytes | None:
    """Check a script's MAC behind its first `plain` bytes; give the refusal, None when good.

    After a bad MAC the transaction takes no further script: the chain is broken.
    """
    shortest, longest = limits.SCRIPT_MAC_BYTES
    if application.image.udk_mac is None:
        return _NOT_SUPPORTED
    if application.script_broken:
        return CONDITIONS
    if len(data) < plain + shortest:
        return MAC_MISSING
    if len(data) > plain + longest:
        return WRONG_LENGTH
    key = emv_keys.common_session_key(application.image.udk_mac, application.first_cryptogram)
    covered = application.chaining_value + header + bytes((len(data),)) + data[:plain]
    expected = script_mac(key, covered)
    if not same_mac(expected, data[plain:]):
        application.script_broken = True
        application.write("script_failed", True)
        return MAC_INCORRECT
    application.chaining_value = expected
    return None


def count_script(application: Application) -> None:
    """Count a script command that was carried out."""
    application.write("script_count", min(application.state.script_count + 1, 0x0F))


def pin_change_unblock(application: Application, header: bytes, data: bytes) -> bytes:
    """Restore the try counter (P2 00), or change the PIN as well, enciphered.

    P2 02: a format 2 block; 01: a block bound to the card and its current PIN, so that only who
    knows that can change it.
    """
    if header[2] or header[3] not in (_UNBLOCK_PIN, _CHANGE_BOUND_PIN, _CHANGE_PIN):
        return WRONG_PARAMETERS
    change = header[3] != _UNBLOCK_PIN
    if not application.state.pin:
        return REFERENCE_NOT_FOUND
    if change and application.image.udk_encipherment is None:
        return _NOT_SUPPORTED
    plain = _PIN_DATA_BYTES if change else 0
    if (refusal := accept_script(application, header, data, plain)) is not None:
        return refusal
    if change:
        bound = header[3] == _CHANGE_BOUND_PIN
        pin = _decipher_pin(application, data[:plain], bound=bound)
        if pin is None:
            application.write("script_failed", True)
            return WRONG_DATA
        application.write("pin", pin)
    application.write("pin_tries", application.image.pin_try_limit)
    count_script(application)
    return OK


def _decipher_pin(application: Application, data: bytes, *, bound: bool) -> str | None:
    assert application.image.udk_encipherment is not None
    key = emv_keys.common_session_key(
        application.image.udk_encipherment, application.first_cryptogram
    )
    try:
        if bound:
            card_key, current = application.image.udk_ac, application.state.pin
            return decipher_bound_pin(key, card_key, data, current)
        clear = tdes.decipher_cbc(key, data)
        if clear[8:] != b"\x80" + bytes(7):
            return None
        return pin_block_decode(2, SecretBytes(clear[:8]))
    except CryptoError:
        return None


def set_blocked(application: Application, header: bytes, data: bytes, blocked: bool) -> bytes:
    """Block or unblock the application. EMV 4.4 Book 3, 6.5.1 and 6.5.2."""
    if header[2] or header[3]:
        return WRONG_PARAMETERS
    if (refusal := accept_script(application, header, data, 0)) is not None:
        return refusal
    application.write("blocked", blocked)
    count_script(application)
    return OK


def put_data(application: Application, header: bytes, data: bytes) -> bytes:
    """Put the balance mirror (DF71); no other object can be put."""
    if header[2:4].hex().upper() != TAG_DF71_BALANCE_MIRROR:
        return REFERENCE_NOT_FOUND
    if (refusal := accept_script(application, header, data, MIRROR_BYTES)) is not None:
        return refusal
    try:
        BalanceMirror.read(data[:MIRROR_BYTES])
    except EmvDataError:
        application.write("script_failed", True)
        return WRONG_DATA
    application.write("balance_mirror", data[:MIRROR_BYTES])
    count_script(application)
    return OK


def update_record(application: Application, header: bytes, data: bytes) -> bytes:
    """Put another record in place of one that is there; it stays one template 70.

    The record's own length tells where the MAC begins. Source: EMV 4.4 Book 3, 6.5 (UPDATE RECORD
    as in EMV CPS 1.1); ISO/IEC 7816-4, 7.3.5.
    """
    place = (header[3] >> 3, header[2])
    if header[3] & 0x07 != _RECORD_MODE or not header[2]:
        return WRONG_PARAMETERS
    if place not in application.image.records:
        return RECORD_NOT_FOUND
    plain = _record_bytes(data)
    if (refusal := accept_script(application, header, data, plain)) is not None:
        return refusal
    try:
        good = [item.tag for item in tlv.parse(data[:plain])] == [_TEMPLATE]
    except EmvDataError:
        good = False
    if not good:
        application.write("script_failed", True)
        return WRONG_DATA
    application.replace_record(place, data[:plain])
    count_script(application)
    return OK


def _record_bytes(data: bytes) -> int:
    """Give the length of the record in front of a MAC; all but the longest MAC when it has none."""
    longest = limits.SCRIPT_MAC_BYTES[1]
    head = data[1:3]
    if len(head) == 2 and head[0] < 0x80:
        length = 2 + head[0]
    elif len(head) == 2 and head[0] == 0x81:
        length = 3 + head[1]
    else:
        length = len(data)
    return length if length < len(data) else max(len(data) - longest, 0)
