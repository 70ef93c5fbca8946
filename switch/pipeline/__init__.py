"""The stages of a decision: one file each, read-only but for PIN tries and ATC marks.

The order is the design's: shape, duplicate, window, terminal and shop, card state, no cash-out,
food rule, hours, basket, amount, card stack, DE55 against the message, ATC and ARQC, PIN. The first
refusal wins, so what is not the cardholder's fault can never cost a PIN try.
"""

from switch.pipeline.amount import check_amount
from switch.pipeline.card_state import (
    check_active_card,
    check_card_state,
    check_collected_card,
)
from switch.pipeline.chip_agreement import check_chip_agreement, check_voucher_agreement
from switch.pipeline.chip_cryptogram import check_chip_cryptogram, check_voucher_cryptogram
from switch.pipeline.city_rules import check_basket, check_card_stack, check_hours
from switch.pipeline.duplicate import check_duplicate, check_pin_repeat
from switch.pipeline.food_rule import check_food_rule, check_purse
from switch.pipeline.no_cash_out import check_no_cash_out
from switch.pipeline.outage import (
    check_outage_allowed,
    check_outage_limits,
    check_voucher_card,
    check_voucher_shop,
)
from switch.pipeline.pin import check_pin
from switch.pipeline.shape import check_card_shape, check_purchase_shape
from switch.pipeline.terminal_and_shop import check_terminal_and_shop
from switch.pipeline.verdict import Continue, Park, Stage, Stored, Verdict
from switch.pipeline.window import check_window

#: A purchase passes every stage. What asks for cash was sent to CASH_OUT by the same rule.
PURCHASE: tuple[Stage, ...] = (
    check_purchase_shape,
    check_duplicate,
    check_window,
    check_terminal_and_shop,
    check_card_state,
    check_food_rule,
    check_hours,
    check_basket,
    check_amount,
    check_card_stack,
    check_chip_agreement,
    check_chip_cryptogram,
    check_pin,
)

#: A balance inquiry asks for no PIN (decision 13) and moves no money.
BALANCE: tuple[Stage, ...] = (
    check_card_shape,
    check_duplicate,
    check_window,
    check_terminal_and_shop,
    check_active_card,
    check_purse,
    check_chip_agreement,
    check_chip_cryptogram,
)

#: Cash by any name ends at the rule that refuses it, before chip and PIN are looked at.
CASH_OUT: tuple[Stage, ...] = (
    check_window,
    check_terminal_and_shop,
    check_card_state,
    check_no_cash_out,
)

#: A void of the terminal's own sale: the sale's record decides about card and amount.
VOID: tuple[Stage, ...] = (check_window, check_terminal_and_shop)

#: A refund is money back to a card that is there, approved with its PIN.
REFUND: tuple[Stage, ...] = (
    check_purchase_shape,
    check_window,
    check_terminal_and_shop,
    check_card_state,
    check_purse,
    check_chip_agreement,
    check_chip_cryptogram,
    check_pin,
)

#: A voucher of an outage: the chip signed it while there was no line. No window, no PIN.
VOUCHER: tuple[Stage, ...] = (
    check_outage_allowed,
    check_duplicate,
    check_voucher_shop,
    check_voucher_card,
    check_food_rule,
    check_basket,
    check_outage_limits,
    check_voucher_agreement,
    check_voucher_cryptogram,
)

#: A PIN change: chip, then the present PIN. A PIN is also set before the card is active.
PIN_CHANGE: tuple[Stage, ...] = (
    check_purchase_shape,
    check_pin_repeat,
    check_window,
    check_terminal_and_shop,
    check_card_state,
    check_chip_agreement,
    check_chip_cryptogram,
    check_pin,
)
PIN_SET: tuple[Stage, ...] = tuple(
    check_collected_card if stage is check_card_state else stage for stage in PIN_CHANGE
)

__all__ = [
    "BALANCE",
    "CASH_OUT",
    "PIN_CHANGE",
    "PIN_SET",
    "PURCHASE",
    "REFUND",
    "VOID",
    "VOUCHER",
    "Continue",
    "Park",
    "Stage",
    "Stored",
    "Verdict",
]
