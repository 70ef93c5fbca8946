"""Stage: the same key again gives the same answer, or 94, and never a second posting.

Keys and fingerprint: design decision 5. A key under way parks (decision 10).
"""

from protocols.ids import fingerprint
from protocols.refusals import Refusal
from switch.pipeline.context import Context
from switch.pipeline.verdict import CONTINUE, Answered, Park, Stored, Verdict


def check_duplicate(context: Context) -> Verdict:
    """Find an earlier message of this key, in flight, in the ledger or in memory."""
    request, desk = context.request, context.desk
    context.transfer_id = request.transfer_id
    context.lock_ids = (context.transfer_id,)
    context.fingerprint = fingerprint(*request.fingerprint_parts())
    if context.transfer_id in desk.in_flight:
        return Park(context.transfer_id)
    entry = desk.entry(context.transfer_id)
    if entry is not None:
        return Stored(entry)
    return find_answer(context) or CONTINUE


def find_answer(context: Context) -> Answered | Refusal | None:
    """Give what memory says of this key: the same answer, 94 for another message, or nothing."""
    answered = context.desk.memory.answers.find(context.transfer_id)
    if answered is None:
        return None
    known_fingerprint, decision = answered
    if known_fingerprint != context.fingerprint:
        return Refusal("94", evidence="the key was used for another message")
    return Answered(decision)
