"""Bit fields of EMV as named flags: AIP, TVR, TSI, AUC, terminal capabilities.

Each class knows its width; `from_bytes` refuses another one. Bits that EMV reserves have no name
and survive a round trip. Source: EMV 4.4 Book 3, Annex C; Book 4, Annex A.
"""

from enum import KEEP, IntFlag
from typing import Self

from protocols.emv.errors import EmvDataError


def _bit(byte: int, bit: int, width: int) -> int:
    """Give the bit as EMV counts: bytes from 1 on the left, bits from 8 down to 1."""
    return 1 << (8 * (width - byte) + bit - 1)


class EmvFlags(IntFlag, boundary=KEEP):
    """A bit field of fixed width."""

    @classmethod
    def width(cls) -> int:
        """Give the width in bytes."""
        return _WIDTHS[cls.__name__]

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Give the flags of exactly `width` bytes; raise EmvDataError for another length."""
        if len(data) != cls.width():
            raise EmvDataError(cls.__name__, 0, f"{len(data)} bytes, {cls.width()} expected")
        return cls(int.from_bytes(data, "big"))

    def encoded(self) -> bytes:
        """Give the bytes."""
        return int(self).to_bytes(self.width(), "big")

    def names(self) -> tuple[str, ...]:
        """Give the names of the set bits, lower case, highest first; unnamed bits as hex.

        >>> Tvr.read(bytes.fromhex("8000040000")).names()
        ('offline_data_authentication_not_performed', 'online_pin_entered')
        """
        cls = type(self)
        known = [flag for flag in cls if flag & self]
        names = [flag.name.lower() for flag in known if flag.name]
        rest = int(self)
        for flag in known:
            rest &= ~int(flag)
        return (*names, f"0x{rest:X}") if rest else tuple(names)


class Aip(EmvFlags):
    """Application interchange profile, tag 82. Source: EMV 4.4 Book 3, Annex C1."""

    XDA_SUPPORTED = _bit(1, 8, 2)
    SDA_SUPPORTED = _bit(1, 7, 2)
    DDA_SUPPORTED = _bit(1, 6, 2)
    CARDHOLDER_VERIFICATION_SUPPORTED = _bit(1, 5, 2)
    TERMINAL_RISK_MANAGEMENT_TO_BE_PERFORMED = _bit(1, 4, 2)
    ISSUER_AUTHENTICATION_SUPPORTED = _bit(1, 3, 2)
    CDA_SUPPORTED = _bit(1, 1, 2)


class Auc(EmvFlags):
    """Application usage control, tag 9F07. Source: EMV 4.4 Book 3, Annex C2."""

    DOMESTIC_CASH = _bit(1, 8, 2)
    INTERNATIONAL_CASH = _bit(1, 7, 2)
    DOMESTIC_GOODS = _bit(1, 6, 2)
    INTERNATIONAL_GOODS = _bit(1, 5, 2)
    DOMESTIC_SERVICES = _bit(1, 4, 2)
    INTERNATIONAL_SERVICES = _bit(1, 3, 2)
    AT_ATMS = _bit(1, 2, 2)
    OTHER_THAN_ATMS = _bit(1, 1, 2)
    DOMESTIC_CASHBACK = _bit(2, 8, 2)
    INTERNATIONAL_CASHBACK = _bit(2, 7, 2)


class Tvr(EmvFlags):
    """Terminal verification results, tag 95. Source: EMV 4.4 Book 3, Annex C5."""

    OFFLINE_DATA_AUTHENTICATION_NOT_PERFORMED = _bit(1, 8, 5)
    SDA_FAILED = _bit(1, 7, 5)
    ICC_DATA_MISSING = _bit(1, 6, 5)
    CARD_ON_EXCEPTION_FILE = _bit(1, 5, 5)
    DDA_FAILED = _bit(1, 4, 5)
    CDA_FAILED = _bit(1, 3, 5)
    SDA_SELECTED = _bit(1, 2, 5)
    XDA_SELECTED = _bit(1, 1, 5)
    APPLICATION_VERSIONS_DIFFER = _bit(2, 8, 5)
    EXPIRED_APPLICATION = _bit(2, 7, 5)
    APPLICATION_NOT_YET_EFFECTIVE = _bit(2, 6, 5)
    SERVICE_NOT_ALLOWED = _bit(2, 5, 5)
    NEW_CARD = _bit(2, 4, 5)
    CARDHOLDER_VERIFICATION_FAILED = _bit(3, 8, 5)
    UNRECOGNISED_CVM = _bit(3, 7, 5)
    PIN_TRY_LIMIT_EXCEEDED = _bit(3, 6, 5)
    PIN_PAD_MISSING_OR_BROKEN = _bit(3, 5, 5)
    PIN_NOT_ENTERED = _bit(3, 4, 5)
    ONLINE_PIN_ENTERED = _bit(3, 3, 5)
    FLOOR_LIMIT_EXCEEDED = _bit(4, 8, 5)
    LOWER_CONSECUTIVE_LIMIT_EXCEEDED = _bit(4, 7, 5)
    UPPER_CONSECUTIVE_LIMIT_EXCEEDED = _bit(4, 6, 5)
    SELECTED_AT_RANDOM_FOR_ONLINE = _bit(4, 5, 5)
    MERCHANT_FORCED_ONLINE = _bit(4, 4, 5)
    DEFAULT_TDOL_USED = _bit(5, 8, 5)
    ISSUER_AUTHENTICATION_FAILED = _bit(5, 7, 5)
    SCRIPT_FAILED_BEFORE_FINAL_GENERATE_AC = _bit(5, 6, 5)
    SCRIPT_FAILED_AFTER_FINAL_GENERATE_AC = _bit(5, 5, 5)


class Tsi(EmvFlags):
    """Transaction status information, tag 9B. Source: EMV 4.4 Book 3, Annex C6."""

    OFFLINE_DATA_AUTHENTICATION_PERFORMED = _bit(1, 8, 2)
    CARDHOLDER_VERIFICATION_PERFORMED = _bit(1, 7, 2)
    CARD_RISK_MANAGEMENT_PERFORMED = _bit(1, 6, 2)
    ISSUER_AUTHENTICATION_PERFORMED = _bit(1, 5, 2)
    TERMINAL_RISK_MANAGEMENT_PERFORMED = _bit(1, 4, 2)
    SCRIPT_PROCESSING_PERFORMED = _bit(1, 3, 2)


class TerminalCapabilities(EmvFlags):
    """Terminal capabilities, tag 9F33. Source: EMV 4.4 Book 4, Annex A2."""

    MANUAL_KEY_ENTRY = _bit(1, 8, 3)
    MAGNETIC_STRIPE = _bit(1, 7, 3)
    CHIP_WITH_CONTACTS = _bit(1, 6, 3)
    PLAINTEXT_PIN_OFFLINE = _bit(2, 8, 3)
    ENCIPHERED_PIN_ONLINE = _bit(2, 7, 3)
    SIGNATURE = _bit(2, 6, 3)
    ENCIPHERED_PIN_OFFLINE = _bit(2, 5, 3)
    NO_CVM_REQUIRED = _bit(2, 4, 3)
    SDA = _bit(3, 8, 3)
    DDA = _bit(3, 7, 3)
    CARD_CAPTURE = _bit(3, 6, 3)
    CDA = _bit(3, 4, 3)
    XDA = _bit(3, 3, 3)


_WIDTHS = {"Aip": 2, "Auc": 2, "Tvr": 5, "Tsi": 2, "TerminalCapabilities": 3}
