"""Stage: the counter is new and the cryptogram is the chip's (R20, R46).

The mark is raised only by a proved cryptogram, and then never falls (decision 10).
"""

from switch.pipeline.context import Context
from switch.pipeline.verdict import CONTINUE, Verdict


def check_chip_cryptogram(context: Context) -> Verdict:
    """Refuse with 88 a counter seen before, or a cryptogram that the issuer key does not give."""
    card, marks = context.card_found, context.desk.memory.atc_marks
    if not marks.is_new(card.account_id, context.card_tag, context.request.atc):
        return context.desk.rules.refuse("chip", "88")
    return _prove(context)


def check_voucher_cryptogram(context: Context) -> Verdict:
    """Refuse with 88 as for an online sale; the counter may lag behind by less than 64, once."""
    card, marks = context.card_found, context.desk.memory.atc_marks
    if not marks.is_unused(card.account_id, context.card_tag, context.request.atc):
        return context.desk.rules.refuse("chip", "88")
    return _prove(context)


def _prove(context: Context) -> Verdict:
    desk, request, card = context.desk, context.request, context.card_found
    refuse, marks = desk.rules.refuse, desk.memory.atc_marks
    assert request.pan is not None, "the card stage found the card by it"
    key = desk.chip_keys.proven_key(request.pan, card.pan_sequence, request.chip)
    if key is None:
        return refuse("chip", "88")
    marks.take(card.account_id, context.card_tag, request.atc)
    context.cryptogram_key = key
    return CONTINUE
