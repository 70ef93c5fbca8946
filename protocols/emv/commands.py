"""Builders of the commands that terminals and issuers send to a payment card.

Source: EMV 4.4 Book 1, 11.2-11.3; Book 3, 6.5.
"""

from enum import IntEnum

from protocols.emv.apdu import CommandApdu
from protocols.emv.errors import ApduError
from protocols.emv.tlv import encode_length

#: Directory of payment applications. EMV 4.4 Book 1, 12.2.2.
PSE_NAME = b"1PAY.SYS.DDF01"
#: Directory of contactless applications. EMV Contactless Book B, 3.3.2.
PPSE_NAME = b"2PAY.SYS.DDF01"


class AcType(IntEnum):
    """What a cryptogram is: the two high bits of GENERATE AC's P1 and of 9F27.

    Source: EMV 4.4 Book 3, 6.5.5.2.
    """

    AAC = 0x00
    TC = 0x40
    ARQC = 0x80


def select(name: bytes, *, next_occurrence: bool = False) -> CommandApdu:
    """Give SELECT by DF name of 5 to 16 bytes; next: the following application of that name.

    >>> select(PSE_NAME).encoded().hex()
    '00a404000e315041592e5359532e444446303100'
    """
    if not 5 <= len(name) <= 16:
        raise ApduError("", 5, "a DF name is 5 to 16 bytes")
    return CommandApdu(0x00, 0xA4, 0x04, 0x02 if next_occurrence else 0x00, name, 256)


def read_record(sfi: int, number: int) -> CommandApdu:
    """Give READ RECORD of a record (1 to 255) in a file (SFI 1 to 30).

    >>> read_record(1, 2).encoded().hex()
    '00b2020c00'
    """
    if not 1 <= sfi <= 30 or not 1 <= number <= 255:
        raise ApduError("", 2, "an SFI is 1 to 30, a record number 1 to 255")
    return CommandApdu(0x00, 0xB2, number, sfi << 3 | 0x04, le=256)


def get_processing_options(values: bytes = b"") -> CommandApdu:
    """Give GET PROCESSING OPTIONS with the PDOL's value list; empty when the card has no PDOL.

    >>> get_processing_options().encoded().hex()
    '80a8000002830000'
    """
    return CommandApdu(0x80, 0xA8, 0x00, 0x00, b"\x83" + encode_length(len(values)) + values, 256)


def generate_ac(kind: AcType, values: bytes, *, cda: bool = False) -> CommandApdu:
    """Give GENERATE AC for a cryptogram type with the CDOL's value list.

    >>> generate_ac(AcType.ARQC, b"\\x01", cda=True).encoded().hex()
    '80ae9000010100'
    """
    return CommandApdu(0x80, 0xAE, kind | (0x10 if cda else 0), 0x00, values, 256)


def external_authenticate(issuer_authentication_data: bytes) -> CommandApdu:
    """Give EXTERNAL AUTHENTICATE with tag 91's value, 8 to 16 bytes (no answer data)."""
    if not 8 <= len(issuer_authentication_data) <= 16:
        raise ApduError("", 5, "issuer authentication data is 8 to 16 bytes")
    return CommandApdu(0x00, 0x82, 0x00, 0x00, issuer_authentication_data)


def internal_authenticate(ddol_values: bytes) -> CommandApdu:
    """Give INTERNAL AUTHENTICATE with the DDOL's value list."""
    return CommandApdu(0x00, 0x88, 0x00, 0x00, ddol_values, 256)


def verify(pin_data: bytes, *, enciphered: bool) -> CommandApdu:
    """Give VERIFY with a format 2 PIN block, plain (P2 80) or enciphered by RSA (P2 88)."""
    if not enciphered and len(pin_data) != 8:
        raise ApduError("", 5, "a plain PIN block is 8 bytes")
    return CommandApdu(0x00, 0x20, 0x00, 0x88 if enciphered else 0x80, pin_data)


def get_data(tag: str) -> CommandApdu:
    """Give GET DATA of a one or two byte tag.

    >>> get_data("9F17").encoded().hex()
    '80ca9f1700'
    """
    value = int(tag, 16)
    if not 0 < value <= 0xFFFF:
        raise ApduError("", 2, "GET DATA takes a tag of one or two bytes")
    return CommandApdu(0x80, 0xCA, value >> 8, value & 0xFF, le=256)


def get_challenge() -> CommandApdu:
    """Give GET CHALLENGE: eight unpredictable bytes for the next command.

    >>> get_challenge().encoded().hex()
    '0084000000'
    """
    return CommandApdu(0x00, 0x84, 0x00, 0x00, le=256)


class ScriptCommand(IntEnum):
    """INS of the issuer's post-issuance commands. Source: EMV 4.4 Book 3, 6.5; EMV CPS 1.1."""

    APPLICATION_BLOCK = 0x1E
    APPLICATION_UNBLOCK = 0x18
    CARD_BLOCK = 0x16
    PIN_CHANGE_UNBLOCK = 0x24
    PUT_DATA = 0xDA
    UPDATE_RECORD = 0xDC


def script_header(command: ScriptCommand, p1: int, p2: int, data_bytes: int) -> bytes:
    """Give the five header bytes that a script's MAC covers; Lc counts data and MAC together.

    CLA is 84: secure messaging with the header in the MAC. Source: EMV 4.4 Book 2, 9.2.

    >>> script_header(ScriptCommand.APPLICATION_BLOCK, 0, 0, 8).hex()
    '841e000008'
    """
    return CommandApdu(0x84, command, p1, p2, bytes(data_bytes)).header + bytes((data_bytes,))


def script_command(
    command: ScriptCommand, p1: int, p2: int, data: bytes, mac: bytes
) -> CommandApdu:
    """Give a script command: data (perhaps enciphered) and behind it the MAC of 4 to 8 bytes."""
    if not 4 <= len(mac) <= 8:
        raise ApduError("", 5 + len(data), "a script MAC is 4 to 8 bytes")
    return CommandApdu(0x84, command, p1, p2, data + mac)
