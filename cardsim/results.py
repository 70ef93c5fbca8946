"""Card verification results (CVR): what the card tells its issuer in 9F10.

Five bytes in the layout of EMV's common core definitions, which published NSICCS messages match
(A000800000: ARQC, no second cryptogram yet, lower offline limit exceeded).
Source: EMV 4.4 Book 3, Part V, C7.3; reference/emv.md 4.3.
"""

from cardsim.application import Application
from protocols.emv.commands import AcType

_TYPES = {AcType.AAC: 0, AcType.TC: 1, AcType.ARQC: 2}
_NOT_REQUESTED = 2

_AUTHENTICATION_NOT_PERFORMED = 0x02
_AUTHENTICATION_FAILED = 0x01
_PIN_PERFORMED = 0x08
_PIN_FAILED = 0x04
_PIN_TRY_LIMIT = 0x02
_LAST_ONLINE_INCOMPLETE = 0x01
_LOWER_COUNT = 0x80
_UPPER_COUNT = 0x40
_AMOUNT = 0x20
_SCRIPT_FAILED = 0x08


def card_verification_results(
    application: Application, first: AcType, second: AcType | None, amount_sen: int
) -> bytes:
    """Give the 5 bytes as they stand now; `second` is None in the first GENERATE AC."""
    state, image = application.state, application.image
    second_bits = _NOT_REQUESTED if second is None else _TYPES[second]
    byte_1 = second_bits << 6 | _TYPES[first] << 4
    if second is not None and application.issuer_authenticated is None:
        byte_1 |= _AUTHENTICATION_NOT_PERFORMED
    failed = state.issuer_authentication_failed
    if second is not None and application.issuer_authenticated is not None:
        # What this transaction's issuer proved stands above what the last one's did not.
        failed = not application.issuer_authenticated
    if failed:
        byte_1 |= _AUTHENTICATION_FAILED
    byte_2 = 0
    if state.pin:
        byte_2 |= (application.pin_tries & 0x0F) << 4
        byte_2 |= _PIN_TRY_LIMIT if application.pin_tries == 0 else 0
    if application.pin_verified is not None:
        byte_2 |= _PIN_PERFORMED | (0 if application.pin_verified else _PIN_FAILED)
    if state.online_pending and second is None:
        byte_2 |= _LAST_ONLINE_INCOMPLETE
    byte_3 = _LOWER_COUNT if lower_limit_exceeded(application, amount_sen) else 0
    if application.offline_count + 1 > image.upper_offline_limit and image.lower_offline_limit:
        byte_3 |= _UPPER_COUNT
    if state.offline_amount_sen + amount_sen > image.offline_amount_limit_sen > 0:
        byte_3 |= _AMOUNT
    byte_4 = min(state.script_count, 15) << 4 | (_SCRIPT_FAILED if state.script_failed else 0)
    return bytes((byte_1, byte_2, byte_3, byte_4, 0))


def lower_limit_exceeded(application: Application, amount_sen: int) -> bool:
    """Tell whether one more offline approval would pass the card's lower limits."""
    state, image = application.state, application.image
    if application.offline_count + 1 > image.lower_offline_limit:
        return True
    limit = image.offline_amount_limit_sen
    return limit > 0 and state.offline_amount_sen + amount_sen > limit
