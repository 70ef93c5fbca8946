"""The contactless path that the SSN card needs: one tap, online only, no second cryptogram.

2PAY.SYS.DDF01, selection, GET PROCESSING OPTIONS with the terminal's qualifiers, whose answer
holds the cryptogram; records only when the card names any. What the card signed stands in DE55 as
it was sent: the TVR is all zeros then. Source: EMV Contactless Book B, 3.3; reference/emv.md 4.2.
"""

from collections.abc import Generator

from protocols.emv import afl, commands, dol, tlv
from protocols.emv.apdu import CommandApdu, ResponseApdu
from protocols.emv.commands import AcType
from protocols.emv.cvm import CvmMethod, CvmOutcome, CvmResult
from protocols.emv.errors import EmvDataError
from protocols.emv.flags import Tvr
from protocols.values import Track2
from terminal.kernel import limits, parsed, selection
from terminal.kernel.completion import APPROVING
from terminal.kernel.configuration import TerminalData, TransactionInput
from terminal.kernel.context import KernelContext
from terminal.kernel.cryptogram import AcError, CardCryptogram, cryptogram_of
from terminal.kernel.outcomes import CompletionKind, CompletionOutcome, KernelOutcome, OutcomeKind
from terminal.kernel.reasons import reason
from terminal.kernel.restrictions import month_has_ended
from terminal.kernel.selection import Candidate, CandidateList
from terminal.kernel.stop import KernelStop, card_error
from terminal.kernel.transaction import outcome, take_cryptogram
from terminal.kernel.values import keep_card_object

_QUALIFIERS = "9F66"
#: Byte 2 of the qualifiers: this transaction needs cardholder verification. Book C-3, A.2.
_CVM_REQUIRED = 0x40
#: Byte 1 of the card's qualifiers (9F6C): online PIN required. Book C-3, A.1.
_PIN_REQUIRED = 0x80
#: Entry mode (9F39): contactless chip. ISO 8583:1987 element 22, first two digits.
_CONTACTLESS = b"\x07"


def start_tap(
    data: TerminalData, transaction: TransactionInput
) -> Generator[CommandApdu, ResponseApdu, KernelOutcome]:
    """Run a whole tap and give its outcome, ONLINE or an end; never raises for a card."""
    context = KernelContext(data, transaction)
    qualifiers = bytearray(data.tap_qualifiers)
    if transaction.amount_sen > 0:
        qualifiers[1] |= _CVM_REQUIRED
    context.values[_QUALIFIERS] = bytes(qualifiers)
    context.values["9F39"] = _CONTACTLESS
    try:
        found = yield from _candidates(data)
        pdol = yield from selection.select_application(context, found)
        given = yield from _processing_options(context, pdol)
        _check(context, given)
    except KernelStop as stop:
        return outcome(context, stop.kind, stop.code)
    take_cryptogram(context, given)
    if context.tvr & Tvr.EXPIRED_APPLICATION:
        return outcome(context, OutcomeKind.DECLINED_OFFLINE, "terminal-declined")
    if given.kind is AcType.ARQC:
        return outcome(context, OutcomeKind.ONLINE, "go-online")
    return outcome(context, OutcomeKind.DECLINED_OFFLINE, "card-declined")


def finish_tap(context: KernelContext, arc: str) -> CompletionOutcome:
    """Give the outcome after the host's answer: its word alone, because the card has gone."""
    approves = arc in APPROVING
    return CompletionOutcome(
        kind=CompletionKind.APPROVED if approves else CompletionKind.DECLINED,
        reason=reason("approved-tap" if approves else "host-declined"),
        host_approved=approves,
        arc=arc,
        cryptogram=context.cryptogram,
        cid=context.cid,
        issuer_application_data=context.card["9F10"],
        tvr=context.tvr.encoded(),
        tsi=context.tsi.encoded(),
    )


def _candidates(data: TerminalData) -> Generator[CommandApdu, ResponseApdu, CandidateList]:
    """Read the contactless directory, which stands whole in its control information."""
    answer = yield commands.select(commands.PPSE_NAME)
    if answer.sw == 0x6A81:
        raise KernelStop(OutcomeKind.CARD_BLOCKED, "card-blocked")
    if not answer.ok:
        raise KernelStop(OutcomeKind.NOT_ACCEPTED, "no-contactless")
    try:
        proprietary = selection.read_fci(answer.data)[1]
        entries = [
            tlv.parse_flat(item.value)
            for item in tlv.parse(proprietary.get("BF0C", b""))
            if item.tag == "61"
        ]
    except EmvDataError:
        raise card_error("tap-malformed") from None
    found: list[Candidate] = []
    for entry in entries[: limits.CANDIDATES]:
        if 5 <= len(entry.get("4F", b"")) <= 16:
            found.extend(selection.match_entry(entry, data.applications))
    found.sort(key=lambda candidate: candidate.priority)
    return CandidateList(found)


def _processing_options(
    context: KernelContext, pdol: bytes
) -> Generator[CommandApdu, ResponseApdu, CardCryptogram]:
    try:
        entries = parsed.data_object_list(pdol)
        values = dol.fill_dol(entries, context.dol_values())
        command = commands.get_processing_options(values)
    except EmvDataError:
        raise card_error("pdol-malformed") from None
    if _QUALIFIERS not in {tag for tag, _ in entries}:
        raise card_error("tap-malformed")
    answer = yield command
    if answer.sw == 0x6985:
        raise KernelStop(OutcomeKind.NOT_ACCEPTED, "conditions-of-use")
    if not answer.ok:
        raise card_error("gpo-status")
    try:
        outer = tlv.parse_flat(answer.data)
        objects = tlv.parse_flat(outer["77"]) if list(outer) == ["77"] else {}
        for tag, value in objects.items():
            if keep_card_object(tag):
                context.card[tag] = value
        if "94" in objects:
            yield from _read_records(context, objects["94"])
        return cryptogram_of(objects)
    except EmvDataError:
        raise card_error("gpo-malformed") from None
    except AcError as error:
        raise card_error(error.code) from None


def _read_records(
    context: KernelContext, locator: bytes
) -> Generator[CommandApdu, ResponseApdu, None]:
    """Read what the card names beyond its answer; an object that comes twice is an error."""
    entries = afl.parse_afl(locator)
    if sum(entry.last - entry.first + 1 for entry in entries) > limits.AFL_RECORDS:
        raise card_error("afl-malformed")
    for entry in entries:
        for number, _ in entry.records():
            answer = yield commands.read_record(entry.sfi, number)
            if not answer.ok:
                raise card_error("record-status")
            outer = tlv.parse_flat(answer.data)
            if list(outer) != ["70"]:
                raise card_error("record-malformed")
            for tag, value in tlv.parse_flat(outer["70"]).items():
                if tag in context.card:
                    raise card_error("record-duplicate")
                if keep_card_object(tag):
                    context.card[tag] = value


def _check(context: KernelContext, given: CardCryptogram) -> None:
    """Check track 2 and end date, and take what the card wants of the cardholder."""
    if given.kind is AcType.TC:
        raise card_error("ac-type")  # an online-only terminal grants no offline approval
    card = context.card
    if "57" not in card:
        raise card_error("track2-missing")
    try:
        context.track2 = Track2(card["57"].hex().upper())
    except ValueError:
        raise card_error("data-malformed") from None
    context.pan = context.track2.pan
    qualifiers = card.get("9F6C", bytes(2))
    lengths = (len(card.get("82", b"")), len(card.get("5F34", b"\x00")), len(qualifiers))
    if lengths != (2, 1, 2):
        raise card_error("data-malformed")
    if month_has_ended(context.track2.expiry_yymm, context.transaction.date):
        context.tvr |= Tvr.EXPIRED_APPLICATION
    if given.kind is AcType.ARQC and not qualifiers[0] & _PIN_REQUIRED:
        _check_verification(context)
    if qualifiers[0] & _PIN_REQUIRED:
        context.needs_online_pin = True
        result = CvmResult(CvmMethod.ENCIPHERED_PIN_ONLINE, 0, CvmOutcome.UNKNOWN)
    else:
        result = CvmResult(CvmMethod.NO_CVM_REQUIRED, 0, CvmOutcome.SUCCESSFUL)
    context.cvm_results = result.encoded()


def _check_verification(context: KernelContext) -> None:
    """Decline where the terminal said that a method is required and the card names none."""
    if context.values[_QUALIFIERS][1] & _CVM_REQUIRED:
        raise KernelStop(OutcomeKind.DECLINED_OFFLINE, "tap-no-verification")
