"""Stage: the PIN, last of all, so that only the cardholder's own mistake costs a try (R5).

Online, six digits, IBM 3624 offset (decision 13). A try is charged to the message that cost it: its
repeat, also after a restart, hears the same answer and costs nothing.
"""

from protocols.crypto.online_pin import PinCheck
from protocols.refusals import Refusal
from switch.pipeline.city_rules import note_wrong_pin
from switch.pipeline.context import Context
from switch.pipeline.verdict import CONTINUE, Verdict

#: Format 0 of ISO 9564-1, as the link's spec says (element 52).
PIN_BLOCK_FORMAT = 0


def check_pin(context: Context) -> Verdict:
    """Refuse 55 a wrong PIN with the tries left, 75 the last try and every one after it."""
    desk, card, request = context.desk, context.card_found, context.request
    assert request.pan is not None
    assert request.pin_block is not None
    assert context.keys is not None, "only a key change comes without MAC"
    tries = desk.memory.pin_tries
    allowed = desk.rules.rules.pin.tries
    charged = tries.charged.get(card.card_number, ())
    if context.transfer_id in charged:
        return _wrong(context, charged.index(context.transfer_id) + 1)
    if len(charged) >= allowed:
        return desk.rules.refuse("pin", "75")
    offset = desk.memory.pin_offset(card)
    found = desk.pin_verifier.check(context.keys.pin_cipher, request.pin_block, request.pan, offset)
    if found is PinCheck.MALFORMED:
        # A block that holds no PIN is a key fault of the terminal, not a try of the cardholder.
        return desk.rules.refuse("pin", "63")
    # A PIN of another length than its offset is wrong.
    if found is PinCheck.RIGHT and len(offset) == desk.rules.rules.pin.digits:
        tries.clear(card.card_number)
        return CONTINUE
    note_wrong_pin(context)
    return _wrong(context, tries.charge(card.card_number, context.transfer_id))


def _wrong(context: Context, ordinal: int) -> Refusal:
    rules = context.desk.rules
    left = rules.rules.pin.tries - ordinal
    return rules.refuse("pin", "55", f"N={left}") if left > 0 else rules.refuse("pin", "75")
