"""Stage: what the chip signed is what the message says. Else the signature proves something else.

9F02 = DE4, 9F03 = 0, 5F2A = DE49, 9C = DE3, 5A/57 = DE2/DE35, 5F34 = DE23 (design section 2).
Source of the tags: EMV 4.4 Book 3, Annex A.
"""

from switch.pipeline.context import Context
from switch.pipeline.verdict import CONTINUE, Verdict
from switch.request import Request

#: Kinds of cryptogram in 9F27, asked online or approved by the card, and the bits that tell them.
#: Source: EMV 4.4 Book 3, table 15.
_ARQC, _TC, _KIND = 0x80, 0x40, 0xC0
#: What a voucher may carry: the card's first cryptogram, or its approval.
_VOUCHER_KINDS = frozenset({_ARQC, _TC})
_ONLINE_KINDS = frozenset({_ARQC})


def check_chip_agreement(context: Context) -> Verdict:
    """Refuse with 88 when one tag of DE55 contradicts the message or the card."""
    return _check(context, _ONLINE_KINDS)


def check_voucher_agreement(context: Context) -> Verdict:
    """Refuse with 88 as for an online sale; the card may also have approved by itself."""
    return _check(context, _VOUCHER_KINDS)


def _check(context: Context, kinds: frozenset[int]) -> Verdict:
    rules, request = context.desk.rules, context.request
    currency = request.currency or rules.rules.amount.currency
    if not agrees(request, context.card_found.pan_sequence, currency, kinds):
        return rules.refuse("chip", "88")
    return CONTINUE


def agrees(
    request: Request, pan_sequence: str, currency: str, kinds: frozenset[int] = _ONLINE_KINDS
) -> bool:
    """Tell whether DE55 says the same as the rest of the message and the registry's card."""
    chip = request.chip
    return (
        chip["9F02"].hex() == f"{request.amount_sen:012d}"
        and not any(chip["9F03"])
        and chip["5F2A"].hex() == f"{currency:0>4}"
        and chip["9C"].hex() == request.transaction_type
        and len(chip["9F36"]) == 2
        and len(chip["9F26"]) == 8
        and len(chip["9F27"]) == 1
        and chip["9F27"][0] & _KIND in kinds
        and _same_sequence(request, pan_sequence)
        and _same_card(request)
    )


def _same_sequence(request: Request, pan_sequence: str) -> bool:
    sequence = int(pan_sequence or "0")
    if request.pan_sequence and int(request.pan_sequence) != sequence:
        return False
    signed = request.chip.get("5F34")
    if signed is None:
        return True
    digits = signed.hex()
    return digits.isdigit() and int(digits) == sequence


def _same_card(request: Request) -> bool:
    assert request.pan is not None, "the card stage found the card by it"
    pan = request.pan.reveal()
    number = request.chip.get("5A")
    if number is not None and number.hex().upper().rstrip("F") != pan:
        return False
    track = request.chip.get("57")
    return track is None or track.hex().upper().partition("D")[0] == pan
