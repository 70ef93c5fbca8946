"""The offline PIN: asked of the cardholder, checked by the card. Source: EMV 4.4 Book 3, 10.5.1.

The kernel stops where a PIN is wanted (`KernelContext.needs_offline_pin`); `enter_offline_pin`
takes what the PIN pad gave and goes on through the card's list.
"""

from collections.abc import Generator

from protocols.clock import RandomBytes
from protocols.crypto.errors import CryptoError
from protocols.crypto.oda import encipher_offline_pin
from protocols.crypto.pin import pin_block_encode
from protocols.emv import commands, tlv
from protocols.emv.apdu import CommandApdu, ResponseApdu
from protocols.emv.cvm import CvmMethod, CvmOutcome, CvmResult, CvmRule
from protocols.emv.errors import EmvDataError
from protocols.emv.flags import Tsi, Tvr
from protocols.values import SecretBytes
from terminal.kernel.authentication import recover_pin_key
from terminal.kernel.context import KernelContext
from terminal.kernel.verification import CvmDecision, verify_cardholder

Step = Generator[CommandApdu, ResponseApdu, None]

#: The card counts no further tries: PIN blocked, or no reference. EMV 4.4 Book 3, 6.5.12.5.
_NO_TRIES = (0x6983, 0x6984, 0x63C0)


def verify(context: KernelContext) -> Step:
    """Go through the card's list until it is decided, or an offline PIN is wanted. Book 3, 10.5.

    Raises KernelStop for a malformed list.
    """
    while True:
        decision = verify_cardholder(
            context.card, context.data, context.transaction, context.cvm_next, context.cvm_last
        )
        _take(context, decision)
        rule = decision.offline_rule
        if rule is None:
            return
        if (yield from _can_ask(context, rule)):
            context.offline_rule = rule
            return
        if not _fail(context, rule):
            return


def enter_offline_pin(
    context: KernelContext, pin: SecretBytes | None, random_bytes: RandomBytes
) -> Step:
    """Give the card the PIN (ASCII digits; None: none entered) and go on.

    Afterwards `context.needs_offline_pin` tells whether to ask again, with the tries left in
    `context.pin_tries_left`. `random_bytes` fills an enciphered block. Raises PinError for a PIN
    that is not 4 to 12 digits, KernelStop. Source: EMV 4.4 Book 3, 10.5.1; Book 2, 7.2.
    """
    rule = context.offline_rule
    assert rule is not None, "no offline PIN is wanted"
    context.offline_rule = None
    if pin is None:
        context.tvr |= Tvr.PIN_NOT_ENTERED
    else:
        sw = yield from _check(context, rule, pin.reveal().decode("ascii"), random_bytes)
        if sw == 0x9000:
            _succeed(context, rule)
            return
        if sw in _NO_TRIES:
            context.tvr |= Tvr.PIN_TRY_LIMIT_EXCEEDED
        elif sw & 0xFFF0 == 0x63C0:
            context.pin_tries_left = sw & 0x0F
            context.offline_rule = rule
            return
    if _fail(context, rule):
        yield from verify(context)


def _can_ask(context: KernelContext, rule: CvmRule) -> Generator[CommandApdu, ResponseApdu, bool]:
    """Tell whether a PIN can be asked for: tries are left, and a key to encipher it is there."""
    if rule.known_method is CvmMethod.ENCIPHERED_PIN_OFFLINE:
        context.pin_key = recover_pin_key(context)
        if context.pin_key is None:
            return False
    context.pin_tries_left = yield from _tries_left()
    if context.pin_tries_left == 0:
        context.tvr |= Tvr.PIN_TRY_LIMIT_EXCEEDED
        return False
    return True


def _tries_left() -> Generator[CommandApdu, ResponseApdu, int | None]:
    """Give the card's try counter, None from a card that does not tell. Book 3, 10.5.1."""
    answer = yield commands.get_data("9F17")
    if not answer.ok:
        return None
    try:
        value = tlv.parse_flat(answer.data).get("9F17", b"")
    except EmvDataError:
        return None
    return value[0] if len(value) == 1 else None


def _check(
    context: KernelContext, rule: CvmRule, pin: str, random_bytes: RandomBytes
) -> Generator[CommandApdu, ResponseApdu, int]:
    """Send the PIN and give the status word; 0 when the card gave no challenge."""
    block = pin_block_encode(2, pin)
    if rule.known_method is CvmMethod.PLAINTEXT_PIN_OFFLINE:
        answer = yield commands.verify(block.reveal(), enciphered=False)
        return answer.sw
    assert context.pin_key is not None
    challenge = yield commands.get_challenge()
    if not challenge.ok or len(challenge.data) != 8:
        return 0
    try:
        data = encipher_offline_pin(context.pin_key, pin, challenge.data, random_bytes)
    except CryptoError:
        return 0
    answer = yield commands.verify(data, enciphered=True)
    return answer.sw


def _take(context: KernelContext, decision: CvmDecision) -> None:
    context.tvr |= decision.tvr
    context.tsi |= decision.tsi
    context.cvm_results = decision.results.encoded()
    context.needs_online_pin = decision.online_pin
    context.cvm_next = decision.next_rule


def _succeed(context: KernelContext, rule: CvmRule) -> None:
    context.tsi |= Tsi.CARDHOLDER_VERIFICATION_PERFORMED
    result = CvmResult(rule.encoded()[0], rule.condition, CvmOutcome.SUCCESSFUL)
    context.cvm_results = result.encoded()


def _fail(context: KernelContext, rule: CvmRule) -> bool:
    """Note the method's failure; True when the list goes on, else verification has failed."""
    context.cvm_last = CvmResult(rule.encoded()[0], rule.condition, CvmOutcome.FAILED)
    if rule.continue_if_fails:
        return True
    context.cvm_results = context.cvm_last.encoded()
    context.tvr |= Tvr.CARDHOLDER_VERIFICATION_FAILED
    context.tsi |= Tsi.CARDHOLDER_VERIFICATION_PERFORMED
    return False
