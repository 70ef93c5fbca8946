"""Stage: the same key again gives the same answer, or 94, and never a second posting.

Keys and fingerprint: design decision 5. A key under way parks (decision 10).
"""

import hmac

from protocols.refusals import Refusal
from switch.batches import batch_lock
from switch.decision import Decision
from switch.pipeline.context import Context
from switch.pipeline.new_pin import new_offset
from switch.pipeline.verdict import CONTINUE, Answered, Park, Stored, Verdict

_FOREIGN = Refusal("94", evidence="the key was used for another message")


def check_duplicate(context: Context) -> Verdict:
    """Find an earlier message of this key, in flight, in the ledger or in memory."""
    request, desk = context.request, context.desk
    if _is_under_way(context):
        return Park(context.transfer_id)
    settlement = batch_lock(context.terminal.terminal_number, request.batch)
    if settlement in desk.in_flight:
        return Park(settlement)
    entry = desk.entry(context.transfer_id)
    if entry is not None:
        return Stored(entry)
    return find_answer(context) or CONTINUE


def check_pin_repeat(context: Context) -> Verdict:
    """Find an earlier PIN change of this key: under way, answered before, or the last that held."""
    request, desk = context.request, context.desk
    if _is_under_way(context):
        return Park(context.transfer_id)
    card = desk.registry.card_by_pan(request.pan) if request.pan is not None else None
    changed = desk.memory.pins.get(card.card_number) if card is not None else None
    if changed is not None and changed.transfer_id == context.transfer_id:
        offset = new_offset(context)
        if isinstance(offset, Refusal):
            return offset
        if not hmac.compare_digest(offset.encode(), changed.offset.encode()):
            return _FOREIGN
        return Answered(Decision(code="00", evidence="changed before", chip_proved=True))
    return find_answer(context) or CONTINUE


def _is_under_way(context: Context) -> bool:
    """Name the message by its key and content; tell whether the key is under way."""
    context.transfer_id = context.request.transfer_id
    context.lock_ids = (context.transfer_id,)
    context.fingerprint = context.request.fingerprint
    return context.transfer_id in context.desk.in_flight


def find_answer(context: Context) -> Answered | Refusal | None:
    """Give what memory says of this key: the same answer, 94 for another message, or nothing."""
    answered = context.desk.memory.answers.find(context.transfer_id)
    if answered is None:
        return None
    known_fingerprint, decision = answered
    if known_fingerprint != context.fingerprint:
        return _FOREIGN
    return Answered(decision)
