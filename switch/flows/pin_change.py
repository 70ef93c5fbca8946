"""PIN set 710000 and change 720000: the new reference is durable before the answer (decision 13).

The card's chip and its present PIN are proved first, by the stages and with the tries of a sale.
Only the offset is kept, never a PIN. A repeat of the message that changed the PIN is answered
again, though the PIN that it carries as the present one is no longer.
"""

from protocols.crypto.errors import PinError
from protocols.crypto.pin import decipher_pin_block, ibm3624_offset
from protocols.refusals import Refusal
from protocols.values import PinBlock
from switch.decision import Decision
from switch.pipeline.context import Context
from switch.pipeline.pin import PIN_BLOCK_FORMAT

_PIN_BLOCK_BYTES = 8


def change_pin(context: Context) -> Decision | Refusal:
    """Keep the new PIN's reference; refuse 30 without a new PIN, 63 and 55 a block that is none."""
    desk, request, card = context.desk, context.request, context.card_found
    rules = desk.rules
    block = request.message.parts(48).get("new_pin")
    if not isinstance(block, bytes) or len(block) != _PIN_BLOCK_BYTES:
        return Refusal("30", evidence="shape: no new PIN")
    assert context.keys is not None, "only a key change comes without MAC"
    assert request.pan is not None, "the card stage found the card by it"
    try:
        pin = decipher_pin_block(
            context.keys.pin, PinBlock(block), request.pan, form=PIN_BLOCK_FORMAT
        )
        digits = rules.rules.pin.digits
        if len(pin) != digits:
            return rules.refuse("pin", "55")
        offset = ibm3624_offset(desk.pin_verification_key, request.pan, pin, digits)
    except PinError:
        return rules.refuse("pin", "63")
    desk.memory.change_pin(card, offset, context.transfer_id)
    return Decision(code="00", evidence="pin changed", remember=False)
