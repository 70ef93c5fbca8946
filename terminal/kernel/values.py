"""The terminal's own data objects for data object lists and DE55."""

from functools import lru_cache

from protocols.emv.tlv import is_constructed
from terminal.kernel import limits
from terminal.kernel.configuration import TerminalApplication, TerminalData, TransactionInput

#: What a purchase's DE55 carries, in its order. Source: reference/emv.md 4.3; domain.md 4.3.
DE55_TAGS = (
    "5F2A", "5F34", "82", "84", "95", "9A", "9C", "9F02", "9F03", "9F10", "9F1A", "9F26", "9F27",
    "9F33", "9F34", "9F35", "9F36", "9F37", "9F41",
)  # fmt: skip

#: Data objects whose source is the terminal: a card that carries one of them in a record does not
#: change what the terminal says of itself. EMV 4.4 Book 3, 10.2.
TERMINAL_TAGS = frozenset(
    (
        "5F2A", "5F36", "81", "8A", "91", "95", "9A", "9B", "9C", "9F01", "9F02",
        "9F03", "9F04", "9F06", "9F09", "9F15", "9F16", "9F1A", "9F1B", "9F1C", "9F1E", "9F21",
        "9F33", "9F34", "9F35", "9F37", "9F39", "9F40", "9F41", "9F66",
    )
)  # fmt: skip


def bcd(number: int, digits: int) -> bytes:
    """Give a number as packed digits.

    >>> bcd(14150000, 12).hex()
    '000014150000'
    """
    assert 0 <= number < 10**digits
    return bytes.fromhex(f"{number:0{digits}d}")


def terminal_values(data: TerminalData, transaction: TransactionInput) -> dict[str, bytes]:
    """Give every terminal data object that does not change during the transaction.

    Source: EMV 4.4 Book 3, Annex A. 81 (binary amount) is 0xFFFFFFFF when the amount needs more.
    """
    amount, other = transaction.amount_sen, transaction.amount_other_sen
    return {
        "5F2A": data.currency_code,
        "5F36": bytes((data.currency_exponent,)),
        "81": min(amount, 0xFFFFFFFF).to_bytes(4, "big"),
        "9A": bytes.fromhex(transaction.date.strftime("%y%m%d")),
        "9C": bytes.fromhex(transaction.type_code),
        "9F01": bytes.fromhex(data.acquirer_id.rjust(12, "0")),
        "9F02": bcd(amount, 12),
        "9F03": bcd(other, 12),
        "9F04": min(other, 0xFFFFFFFF).to_bytes(4, "big"),
        "9F15": bytes.fromhex(data.merchant_category_code),
        "9F16": data.merchant_id.encode("ascii").ljust(15),
        "9F1A": data.country_code,
        "9F1B": min(data.floor_limit_sen, 0xFFFFFFFF).to_bytes(4, "big"),
        "9F1C": data.terminal_id.encode("ascii").ljust(8),
        "9F1E": data.interface_serial.encode("ascii").ljust(8)[:8],
        "9F21": bytes.fromhex(transaction.time.strftime("%H%M%S")),
        "9F33": data.terminal_capabilities,
        "9F35": data.terminal_type,
        "9F37": transaction.unpredictable_number,
        "9F39": b"\x05",
        "9F40": data.additional_capabilities,
        "9F41": bcd(transaction.transaction_sequence_counter, 8),
    }


def application_values(application: TerminalApplication, aid: bytes) -> dict[str, bytes]:
    """Give the terminal data objects that the selected application decides."""
    return {"9F06": aid, "9F09": application.version}


@lru_cache(maxsize=limits.PARSED_LISTS)
def keep_card_object(tag: str) -> bool:
    """Tell whether a data object found on the card is one that a card may give.

    >>> keep_card_object("5A"), keep_card_object("9F33")
    (True, False)
    """
    return tag not in TERMINAL_TAGS and not holds_objects(tag)


@lru_cache(maxsize=limits.PARSED_LISTS)
def holds_objects(tag: str) -> bool:
    """Tell whether a tag is constructed; kept, because a product's cards use the same tags.

    >>> holds_objects("70"), holds_objects("5A")
    (True, False)
    """
    return is_constructed(tag)
