"""Terminal risk management: floor limit, velocity, new card. Source: EMV 4.4 Book 3, 10.6.

Random selection (10.6.2) applies to amounts below the floor limit only; with the floor limit of
`terminal_data.toml` there are none. For a higher one the caller's unpredictable number decides.
"""

from collections.abc import Generator

from protocols.emv import commands, tlv
from protocols.emv.apdu import CommandApdu, ResponseApdu
from protocols.emv.errors import EmvDataError
from protocols.emv.flags import Tsi, Tvr
from terminal.kernel.configuration import TerminalData, TransactionInput
from terminal.kernel.context import KernelContext

#: Share of the transactions below the floor limit that go online, in 256ths: one in eight.
_RANDOM_SHARE = 32


def manage_risk(context: KernelContext) -> Generator[CommandApdu, ResponseApdu, None]:
    """Set the TVR bits of floor limit, random selection and velocity checking.

    Always performed, whatever the card's AIP says. Source: EMV 4.4 Book 3, 10.6.
    """
    context.tvr |= check_floor_limit(context.data, context.transaction)
    if "9F14" in context.card and "9F23" in context.card:
        atc = yield from _counter("9F36")
        last_online = yield from _counter("9F13")
        context.tvr |= check_velocity(
            atc, last_online, context.card["9F14"][0], context.card["9F23"][0]
        )
    context.tsi |= Tsi.TERMINAL_RISK_MANAGEMENT_PERFORMED


def check_floor_limit(data: TerminalData, transaction: TransactionInput) -> Tvr:
    """Give the floor limit bit, or the bit of random selection below it. Book 3, 10.6.1-10.6.2."""
    if transaction.amount_sen >= data.floor_limit_sen:
        return Tvr.FLOOR_LIMIT_EXCEEDED
    if transaction.unpredictable_number[0] < _RANDOM_SHARE:
        return Tvr.SELECTED_AT_RANDOM_FOR_ONLINE
    return Tvr(0)


def check_velocity(atc: int | None, last_online: int | None, lower: int, upper: int) -> Tvr:
    """Give the velocity bits; a counter that the card does not give (None) sets both limits' bits.

    Source: EMV 4.4 Book 3, 10.6.3 and 7.5.

    >>> check_velocity(5, 4, 0, 3).names()
    ('lower_consecutive_limit_exceeded',)
    """
    tvr = Tvr.NEW_CARD if last_online == 0 else Tvr(0)
    both = Tvr.LOWER_CONSECUTIVE_LIMIT_EXCEEDED | Tvr.UPPER_CONSECUTIVE_LIMIT_EXCEEDED
    if atc is None or last_online is None:
        return tvr | both | Tvr.ICC_DATA_MISSING
    if atc <= last_online:
        return tvr | both
    if atc - last_online > lower:
        tvr |= Tvr.LOWER_CONSECUTIVE_LIMIT_EXCEEDED
    if atc - last_online > upper:
        tvr |= Tvr.UPPER_CONSECUTIVE_LIMIT_EXCEEDED
    return tvr


def _counter(tag: str) -> Generator[CommandApdu, ResponseApdu, int | None]:
    answer = yield commands.get_data(tag)
    if not answer.ok:
        return None
    try:
        value = tlv.parse_flat(answer.data).get(tag, b"")
    except EmvDataError:
        return None
    return int.from_bytes(value, "big") if len(value) == 2 else None
