"""Cardholder verification: the card's list (8E), its rules, and the result (9F34).

Source: EMV 4.4 Book 3, 10.5 and Annex C3; Book 4, Annex A4 for the result.
"""

from dataclasses import dataclass
from enum import IntEnum

from protocols.emv import limits
from protocols.emv.errors import EmvDataError


class CvmMethod(IntEnum):
    """The low six bits of a rule's first byte. Source: EMV 4.4 Book 3, Annex C3, table 43."""

    FAIL = 0x00
    PLAINTEXT_PIN_OFFLINE = 0x01
    ENCIPHERED_PIN_ONLINE = 0x02
    PLAINTEXT_PIN_OFFLINE_AND_SIGNATURE = 0x03
    ENCIPHERED_PIN_OFFLINE = 0x04
    ENCIPHERED_PIN_OFFLINE_AND_SIGNATURE = 0x05
    SIGNATURE = 0x1E
    NO_CVM_REQUIRED = 0x1F
    NOT_PERFORMED = 0x3F


class CvmCondition(IntEnum):
    """A rule's second byte. Source: EMV 4.4 Book 3, Annex C3, table 44."""

    ALWAYS = 0x00
    UNATTENDED_CASH = 0x01
    NOT_CASH = 0x02
    TERMINAL_SUPPORTS_CVM = 0x03
    MANUAL_CASH = 0x04
    PURCHASE_WITH_CASHBACK = 0x05
    UNDER_X = 0x06
    OVER_X = 0x07
    UNDER_Y = 0x08
    OVER_Y = 0x09


class CvmOutcome(IntEnum):
    """The third byte of the result. Source: EMV 4.4 Book 4, Annex A4."""

    UNKNOWN = 0x00
    FAILED = 0x01
    SUCCESSFUL = 0x02


_METHODS = {int(method): method for method in CvmMethod}
_CONDITIONS = {int(condition): condition for condition in CvmCondition}


@dataclass(frozen=True, slots=True)
class CvmRule:
    """One rule: a method code, what to do when it fails, and when it applies.

    Codes stay integers, because issuers and payment systems may use their own;
    `known_method` and `known_condition` give the names where EMV has one.
    """

    method: int
    continue_if_fails: bool
    condition: int

    @classmethod
    def read(cls, data: bytes) -> "CvmRule":
        """Give the rule of two bytes; raise EmvDataError for another length.

        >>> CvmRule.read(bytes.fromhex("4203")).known_method
        <CvmMethod.ENCIPHERED_PIN_ONLINE: 2>
        """
        if len(data) != 2:
            raise EmvDataError("8E", 0, f"a rule of {len(data)} bytes")
        return cls(data[0] & 0x3F, bool(data[0] & 0x40), data[1])

    def encoded(self) -> bytes:
        """Give the two bytes; bit 8, reserved, is 0."""
        return bytes((self.method & 0x3F | (0x40 if self.continue_if_fails else 0), self.condition))

    @property
    def known_method(self) -> CvmMethod | None:
        """Give the method's name, None when it is not EMV's."""
        return _METHODS.get(self.method)

    @property
    def known_condition(self) -> CvmCondition | None:
        """Give the condition's name, None when it is not EMV's."""
        return _CONDITIONS.get(self.condition)


@dataclass(frozen=True, slots=True)
class CvmList:
    """Tag 8E: two amounts in the application's currency, minor units, and the rules in order."""

    amount_x: int
    amount_y: int
    rules: tuple[CvmRule, ...]

    @classmethod
    def read(cls, data: bytes) -> "CvmList":
        """Give the list; raise EmvDataError when it has no amounts or a half rule.

        A list without any rule is well-formed: the terminal treats it as absent (Book 3, 10.5).

        >>> CvmList.read(bytes.fromhex("000000000000000002031F00")).rules[0].condition
        3
        """
        if len(data) < 8 or len(data) % 2 or len(data) > limits.CVM_LIST_BYTES:
            raise EmvDataError("8E", 0, f"{len(data)} bytes are no amounts and rules")
        rules = tuple(CvmRule.read(data[at : at + 2]) for at in range(8, len(data), 2))
        return cls(int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big"), rules)

    def encoded(self) -> bytes:
        """Give the bytes of tag 8E."""
        amounts = self.amount_x.to_bytes(4, "big") + self.amount_y.to_bytes(4, "big")
        return amounts + b"".join(rule.encoded() for rule in self.rules)


@dataclass(frozen=True, slots=True)
class CvmResult:
    """Tag 9F34: first two bytes of the rule that decided, and its outcome."""

    performed: int
    condition: int
    outcome: int

    @classmethod
    def read(cls, data: bytes) -> "CvmResult":
        """Give the result of three bytes; raise EmvDataError for another length.

        >>> CvmResult.read(bytes.fromhex("020300")).known_method
        <CvmMethod.ENCIPHERED_PIN_ONLINE: 2>
        """
        if len(data) != 3:
            raise EmvDataError("9F34", 0, f"{len(data)} bytes, 3 expected")
        return cls(*data)

    def encoded(self) -> bytes:
        """Give the three bytes."""
        return bytes((self.performed, self.condition, self.outcome))

    @property
    def known_method(self) -> CvmMethod | None:
        """Give the method's name, None when it is not EMV's."""
        return _METHODS.get(self.performed & 0x3F)
