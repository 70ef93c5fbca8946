"""The new PIN of a PIN set or change (DE48), as the offset that is kept of it."""

from protocols.crypto.errors import PinError
from protocols.crypto.pin import decipher_pin_block, ibm3624_offset
from protocols.refusals import Refusal
from protocols.values import PinBlock
from switch.pipeline.context import Context
from switch.pipeline.pin import PIN_BLOCK_FORMAT

_PIN_BLOCK_BYTES = 8


def new_offset(context: Context) -> str | Refusal:
    """Give the offset of the new PIN; refuse 30 without one, 63 and 55 a block that is none."""
    desk, request = context.desk, context.request
    block = request.message.parts(48).get("new_pin")
    if not isinstance(block, bytes) or len(block) != _PIN_BLOCK_BYTES:
        return Refusal("30", evidence="shape: no new PIN")
    assert context.keys is not None, "only a key change comes without MAC"
    assert request.pan is not None, "the card stage found the card by it"
    rules = desk.rules
    try:
        pin = decipher_pin_block(
            context.keys.pin, PinBlock(block), request.pan, form=PIN_BLOCK_FORMAT
        )
        digits = rules.rules.pin.digits
        if len(pin) != digits:
            return rules.refuse("pin", "55")
        return ibm3624_offset(desk.pin_verification_key, request.pan, pin, digits)
    except PinError:
        return rules.refuse("pin", "63")
