"""The contactless form: one tap, online only, the cryptogram in GET PROCESSING OPTIONS.

After the directory 2PAY.SYS.DDF01 is selected, applications show their contactless form until the
card is reset or the contact directory is selected. There is no second cryptogram: the card has left
the field when the host answers. Source: EMV Contactless Book B, 3.3; reference/emv.md 4.2.
"""

from collections.abc import Mapping

from cardsim import limits
from cardsim.application import TAP, Application
from cardsim.image import CardImage
from cardsim.results import card_verification_results
from cardsim.states import CardState
from cardsim.transaction import (
    CONDITIONS,
    OK,
    WRONG_PARAMETERS,
    Answer,
    amount_of,
    pdol_refusal,
    write_log,
)
from protocols.emv import tlv
from protocols.emv.commands import PPSE_NAME, AcType
from protocols.emv.errors import EmvDataError

#: Terminal transaction qualifiers (9F66), bits of bytes 1 and 2. EMV Contactless Book C-3, A.2.
_ONLINE_PIN, _OFFLINE_ONLY = 0x04, 0x08
_CVM_REQUIRED = 0x40
#: Card transaction qualifiers (9F6C), byte 1: online PIN required. Book C-3, A.1.
_PIN_REQUIRED = 0x80
_REPEATED = ("57", "5F34")


def build_directory(image: CardImage) -> bytes:
    """Give the control information of 2PAY.SYS.DDF01; empty for a card without contactless form.

    Source: EMV Contactless Book B, table 3-2.
    """
    entries = [
        ("61", tlv.build([("4F", item.aid), ("50", item.label.encode("ascii")),
                          ("87", bytes((item.priority,)))]))
        for item in image.applications
        if item.contactless_pdol
    ]  # fmt: skip
    if not entries:
        return b""
    issuer_data = tlv.build([("BF0C", tlv.build(entries))])
    return tlv.build([("6F", tlv.build([("84", PPSE_NAME), ("A5", issuer_data)]))])


def get_processing_options(
    application: Application, p1: int, p2: int, data: bytes, state: CardState
) -> Answer:
    """Check the terminal's data, begin a transaction and give its only cryptogram."""
    if p1 or p2:
        return WRONG_PARAMETERS, state
    if (refusal := pdol_refusal(application.lengths[TAP], data)) is not None:
        return refusal, state
    if application.state.atc >= limits.ATC_MAXIMUM:
        return CONDITIONS, state
    values = data[len(data) - application.lengths[TAP] :]
    application.reset()
    application.begin()
    amount_sen = amount_of(application, TAP, values)
    qualifiers = application.value(TAP, values, "9F66")
    wants_pin = amount_sen > 0 or bool(qualifiers[1] & _CVM_REQUIRED)
    kind = AcType.ARQC
    if (
        application.blocked
        or qualifiers[0] & _OFFLINE_ONLY
        or (wants_pin and not qualifiers[0] & _ONLINE_PIN)
    ):
        kind = AcType.AAC
    kind = application.granted(kind)
    cvr = card_verification_results(application, kind, None, amount_sen)
    issuer_data = application.issuer_application_data(cvr)
    aip = application.image.contactless_aip
    cryptogram = application.cryptogram(TAP, values, issuer_data, aip)
    # No completion will come, so no mark of an unfinished transaction is left.
    write_log(application, TAP, values, kind)
    answer = [
        ("82", aip),
        *_repeated(application.records),
        ("9F10", issuer_data),
        ("9F26", cryptogram),
        ("9F27", bytes((kind,))),
        ("9F36", application.atc),
        ("9F6C", bytes((_PIN_REQUIRED if wants_pin else 0, 0))),
    ]
    return tlv.build([("77", tlv.build(answer))]) + OK, CardState.TAPPED


def _repeated(records: Mapping[tuple[int, int], bytes]) -> list[tuple[str, bytes]]:
    """Give what the answer repeats from the records: track 2 and sequence number."""
    held: dict[str, bytes] = {}
    for record in records.values():
        try:
            held.update(tlv.parse_flat(record, duplicates=True, leaves=True))
        except EmvDataError:
            continue  # a card whose record is damaged repeats what it can read of itself
    return [(tag, held[tag]) for tag in _REPEATED if tag in held]
