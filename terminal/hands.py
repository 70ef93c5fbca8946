"""What the people at the counter do when they are asked."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from terminal.pin_pad.pad import PinPad
from terminal.results import SaleResult

PinEntry = Callable[[], Awaitable[str]]
#: Shows the earlier sale and gives True when the operator wants another one all the same.
RepeatQuestion = Callable[[SaleResult], Awaitable[bool]]
#: Tells what may still be sold by voucher and gives True when the operator wants to.
VoucherQuestion = Callable[[int], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Hands:
    """Who answers at the counter; without one, nobody is there.

    `pin_entry` gives the digits typed at the terminal itself; with a `pin_pad` only a chip that
    checks the PIN for itself is asked for them.
    """

    pin_entry: PinEntry | None = None
    repeat_question: RepeatQuestion | None = None
    voucher_question: VoucherQuestion | None = None
    pin_pad: PinPad | None = None
