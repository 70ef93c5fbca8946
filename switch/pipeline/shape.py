"""Stage: what this kind of message needs is there and of a sound form; else 30.

The codec has judged every element by itself; here stands what only a flow knows.
"""

from protocols.refusals import Refusal
from switch.pipeline.context import Context
from switch.pipeline.verdict import CONTINUE, Verdict

#: The tags that the cryptogram covers, and what goes with it (`ssn` profile, NSICCS order).
CHIP_TAGS = (
    "9F02",
    "9F03",
    "9F1A",
    "95",
    "5F2A",
    "9A",
    "9C",
    "9F37",
    "82",
    "9F36",
    "9F10",
    "9F26",
    "9F27",
)


def check_card_shape(context: Context) -> Verdict:
    """Refuse with 30 a chip transaction that lacks its chip, its card or its sequence."""
    request = context.request
    if request.pan is None:
        return Refusal("30", evidence="shape: no card number")
    if request.entry_mode not in context.desk.rules.rules.chip.entry_modes:
        # Magnetic stripe and typed numbers stay off (R20): reported, never tried.
        return context.desk.rules.refuse("chip", "88")
    for tag in CHIP_TAGS:
        if tag not in request.chip:
            return Refusal("30", evidence=f"shape: DE55 lacks {tag}")
    return CONTINUE


def check_purchase_shape(context: Context) -> Verdict:
    """Refuse with 30 also what has no PIN block."""
    verdict = check_card_shape(context)
    if verdict is CONTINUE and context.request.pin_block is None:
        return Refusal("30", evidence="shape: no PIN block")
    return verdict
