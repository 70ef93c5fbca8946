"""What the terminal is and what it is asked to do: the kernel's two inputs.

The NSICCS-like defaults are data in `terminal_data.toml`, each with its source.
"""

import datetime
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from protocols.crypto.certificates import CaPublicKey
from protocols.emv.dol import parse_dol
from protocols.emv.flags import TerminalCapabilities

_AMOUNT_DIGITS = 12
#: EMV lists that a terminal without a better one sends, and its contactless qualifiers.
_DEFAULT_DDOL, _TAP_QUALIFIERS = bytes.fromhex("9F3704"), bytes.fromhex("24800000")


@dataclass(frozen=True, slots=True)
class TerminalApplication:
    """An application that the terminal supports: one entry of its list of AIDs.

    `partial` is the application selection indicator: a card's name that only begins with `aid`
    matches too. `version` goes into tag 9F09. Source: EMV 4.4 Book 1, 12.3.1.
    """

    aid: bytes
    partial: bool
    version: bytes
    name: str

    def __post_init__(self) -> None:
        """Check the lengths of EMV 4.4 Book 1, 12.2.1; raise ValueError."""
        if not 5 <= len(self.aid) <= 16 or len(self.version) != 2:
            raise ValueError("an AID is 5 to 16 bytes and its version 2")


@dataclass(frozen=True, slots=True)
class TerminalData:
    """The terminal's own data objects, bytes as the wire carries them. Source: EMV 4.4 Book 4, A.

    `floor_limit_sen` 0 sends every transaction online. The three TACs are 5 bytes in TVR order.
    `ca_keys` serve offline data authentication, which happens as `terminal_capabilities` say.
    `tap_qualifiers` (9F66) are those of a transaction without cardholder verification.
    """

    applications: tuple[TerminalApplication, ...]
    terminal_type: bytes
    terminal_capabilities: bytes
    additional_capabilities: bytes
    country_code: bytes
    currency_code: bytes
    currency_exponent: int
    tac_denial: bytes
    tac_online: bytes
    tac_default: bytes
    floor_limit_sen: int
    default_tdol: bytes
    default_ddol: bytes = _DEFAULT_DDOL
    tap_qualifiers: bytes = _TAP_QUALIFIERS
    ca_keys: tuple[CaPublicKey, ...] = ()
    terminal_id: str = ""
    merchant_id: str = ""
    merchant_category_code: str = "0000"
    interface_serial: str = ""
    acquirer_id: str = ""

    def __post_init__(self) -> None:
        """Check every length; raise ValueError naming the object."""
        sizes = {
            "terminal_type": 1,
            "terminal_capabilities": 3,
            "additional_capabilities": 5,
            "country_code": 2,
            "currency_code": 2,
            "tac_denial": 5,
            "tac_online": 5,
            "tac_default": 5,
            "tap_qualifiers": 4,
        }
        for name, size in sizes.items():
            if len(getattr(self, name)) != size:
                raise ValueError(f"{name} is {size} bytes")
        if not self.applications or self.floor_limit_sen < 0:
            raise ValueError(
                "a terminal supports an application and has a floor limit of 0 or more"
            )
        parse_dol(self.default_tdol)
        claimed = TerminalCapabilities.read(self.terminal_capabilities)
        if claimed & TerminalCapabilities.XDA:
            raise ValueError("terminal_capabilities claim XDA, which is not performed")

    @property
    def online_only(self) -> bool:
        """Tell whether the terminal type has no offline decision. EMV 4.4 Book 4, A1."""
        return self.terminal_type[0] & 0x0F in (1, 4)


@dataclass(frozen=True, slots=True)
class TransactionInput:
    """One transaction as the operator entered it.

    `amount_sen` goes into 9F02 as it stands (0 for a balance inquiry); `date` and `time` are
    local (WITA) for 9A and 9F21; `type_code` is the two digits of 9C (first two of DE3 by EMV).
    `unpredictable_number` is 4 bytes; `transaction_sequence_counter` 1 to 99,999,999.
    """

    amount_sen: int
    date: datetime.date
    time: datetime.time
    type_code: str
    unpredictable_number: bytes
    transaction_sequence_counter: int
    amount_other_sen: int = 0

    def __post_init__(self) -> None:
        """Check the ranges; raise ValueError naming the object."""
        if not 0 <= self.amount_sen < 10**_AMOUNT_DIGITS:
            raise ValueError("amount_sen has at most 12 digits")
        if not 0 <= self.amount_other_sen < 10**_AMOUNT_DIGITS:
            raise ValueError("amount_other_sen has at most 12 digits")
        if len(self.unpredictable_number) != 4:
            raise ValueError("unpredictable_number is 4 bytes")
        if not 0 < self.transaction_sequence_counter < 10**8:
            raise ValueError("transaction_sequence_counter is 1 to 99999999")
        if len(self.type_code) != 2 or not self.type_code.isdigit():
            raise ValueError("type_code is two digits")


@cache
def _defaults() -> dict[str, dict[str, str]]:
    text = files("terminal.kernel").joinpath("terminal_data.toml").read_text("utf-8")
    table: dict[str, dict[str, str]] = tomllib.loads(text)
    return table


def default_terminal_data(
    *,
    terminal_id: str = "",
    merchant_id: str = "",
    merchant_category_code: str = "0000",
    interface_serial: str = "",
    acquirer_id: str = "",
) -> TerminalData:
    """Give the terminal data of `terminal_data.toml` for this terminal and shop.

    >>> default_terminal_data(terminal_id="12400017").country_code.hex()
    '0360'
    """
    table = _defaults()

    def octets(name: str) -> bytes:
        return bytes.fromhex(table["data"][name])

    applications = tuple(
        TerminalApplication(
            bytes.fromhex(aid),
            entry["partial"] == "yes",
            bytes.fromhex(entry["version"]),
            entry["name"],
        )
        for aid, entry in _applications().items()
    )
    return TerminalData(
        applications=applications,
        terminal_type=octets("9F35"),
        terminal_capabilities=octets("9F33"),
        additional_capabilities=octets("9F40"),
        country_code=octets("9F1A"),
        currency_code=octets("5F2A"),
        currency_exponent=int(table["data"]["5F36"]),
        tac_denial=octets("tac_denial"),
        tac_online=octets("tac_online"),
        tac_default=octets("tac_default"),
        floor_limit_sen=int(table["data"]["floor_limit_sen"]),
        default_tdol=octets("tdol"),
        default_ddol=octets("ddol"),
        tap_qualifiers=octets("9F66"),
        terminal_id=terminal_id,
        merchant_id=merchant_id,
        merchant_category_code=merchant_category_code,
        interface_serial=interface_serial,
        acquirer_id=acquirer_id,
    )


@cache
def _applications() -> dict[str, dict[str, str]]:
    text = files("terminal.kernel").joinpath("terminal_data.toml").read_text("utf-8")
    table: dict[str, dict[str, str]] = tomllib.loads(text)["application"]
    return table
