"""Processing restrictions: version, usage, dates. Source: EMV 4.4 Book 3, 10.4."""

import datetime
from collections.abc import Mapping

from protocols.emv.flags import Auc, Tvr
from terminal.kernel.configuration import TerminalData, TransactionInput

_CASH, _CASHBACK = "01", "09"
_PURCHASE = "00"
#: Tag 9F40, byte 1: what the terminal sells. EMV 4.4 Book 4, A3.
_GOODS, _SERVICES = 0x40, 0x20
#: Two-digit years from 50 on are of the last century. EMV 4.4 Book 4, 6.7.3.
_CENTURY_PIVOT = 50


def check_restrictions(
    card: Mapping[str, bytes],
    data: TerminalData,
    transaction: TransactionInput,
    terminal_version: bytes,
) -> Tvr:
    """Give the TVR bits that version, usage control and dates set; nothing here ends a transaction.

    Objects that the card does not have are not checked. Source: EMV 4.4 Book 3, 10.4.1-10.4.3.
    """
    tvr = Tvr(0)
    if "9F08" in card and card["9F08"] != terminal_version:
        tvr |= Tvr.APPLICATION_VERSIONS_DIFFER
    if "9F07" in card and not _usage_allowed(card, data, transaction):
        tvr |= Tvr.SERVICE_NOT_ALLOWED
    if "5F25" in card and read_date(card["5F25"]) > transaction.date:
        tvr |= Tvr.APPLICATION_NOT_YET_EFFECTIVE
    if read_date(card["5F24"]) < transaction.date:
        tvr |= Tvr.EXPIRED_APPLICATION
    return tvr


def read_date(value: bytes) -> datetime.date:
    """Give the date of YYMMDD; a day past the month's end counts as its last.

    >>> read_date(bytes.fromhex("260231")).isoformat()
    '2026-02-28'
    """
    year, month, day = (int(f"{octet:02x}") for octet in value)
    year += 1900 if year >= _CENTURY_PIVOT else 2000
    following = datetime.date(year + month // 12, month % 12 + 1, 1)
    return min(
        datetime.date(year, month, 1) + datetime.timedelta(days=day - 1),
        following - datetime.timedelta(days=1),
    )


def month_has_ended(expiry_yymm: str, on: datetime.date) -> bool:
    """Tell whether a card of this end month is expired on a day.

    >>> month_has_ended("2601", datetime.date(2026, 1, 31))
    False
    """
    return read_date(bytes.fromhex(expiry_yymm + "31")) < on


def _usage_allowed(
    card: Mapping[str, bytes], data: TerminalData, transaction: TransactionInput
) -> bool:
    """Tell whether the usage control allows this terminal and transaction. Book 3, 10.4.2."""
    usage = Auc.read(card["9F07"])
    is_atm = data.terminal_type[0] in (0x14, 0x15, 0x16) and bool(
        data.additional_capabilities[0] & 0x80
    )
    if not usage & (Auc.AT_ATMS if is_atm else Auc.OTHER_THAN_ATMS):
        return False
    if "5F28" not in card:
        return True
    domestic = card["5F28"] == data.country_code
    if transaction.type_code == _CASH:
        return bool(usage & (Auc.DOMESTIC_CASH if domestic else Auc.INTERNATIONAL_CASH))
    if transaction.type_code not in (_PURCHASE, _CASHBACK):
        return True
    if transaction.type_code == _CASHBACK or transaction.amount_other_sen:
        cashback = Auc.DOMESTIC_CASHBACK if domestic else Auc.INTERNATIONAL_CASHBACK
        if not usage & cashback:
            return False
    return bool(usage & _wanted_for_purchase(data, domestic))


def _wanted_for_purchase(data: TerminalData, domestic: bool) -> Auc:
    """Give the bits of which one must be set for what this terminal sells."""
    wanted = Auc(0)
    if data.additional_capabilities[0] & _GOODS:
        wanted |= Auc.DOMESTIC_GOODS if domestic else Auc.INTERNATIONAL_GOODS
    if data.additional_capabilities[0] & _SERVICES:
        wanted |= Auc.DOMESTIC_SERVICES if domestic else Auc.INTERNATIONAL_SERVICES
    return wanted
