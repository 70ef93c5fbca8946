"""PIN set 710000 and change 720000: the new reference is durable before the answer (decision 13).

The card's chip and its present PIN are proved first, by the stages and with the tries of a sale.
Only the offset is kept, never a PIN. A repeat of the message that changed the PIN is answered
again, though the PIN that it carries as the present one is no longer; with another new PIN: 94.
"""

from protocols.refusals import Refusal
from switch.decision import Decision
from switch.pipeline.context import Context
from switch.pipeline.new_pin import new_offset


def change_pin(context: Context) -> Decision | Refusal:
    """Keep the new PIN's reference; refuse 30 without a new PIN, 63 and 55 a block that is none."""
    offset = new_offset(context)
    if isinstance(offset, Refusal):
        return offset
    context.desk.memory.change_pin(context.card_found, offset, context.transfer_id)
    return Decision(code="00", evidence="pin changed", remember=False)
