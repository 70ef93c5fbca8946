"""The first half of a transaction: from selection to the first GENERATE AC, in EMV's order."""

from collections.abc import Callable, Generator

from protocols.clock import RandomBytes
from protocols.emv.apdu import CommandApdu, ResponseApdu
from protocols.emv.commands import AcType
from protocols.emv.cvm import CvmOutcome
from protocols.emv.flags import Tsi, Tvr
from protocols.values import SecretBytes
from terminal.kernel import initiation, offline_pin, restrictions, risk, selection
from terminal.kernel.action import analyse_action
from terminal.kernel.authentication import authenticate
from terminal.kernel.configuration import TerminalData, TransactionInput
from terminal.kernel.context import KernelContext
from terminal.kernel.cryptogram import AcError, CardCryptogram, generate_ac
from terminal.kernel.outcomes import KernelOutcome, OutcomeKind
from terminal.kernel.reasons import reason
from terminal.kernel.stop import KernelStop
from terminal.kernel.values import DE55_TAGS

#: The card's advice that it does not serve this transaction. 9F27, EMV 4.4 Book 3, 6.5.5.4.
_ADVICE_BITS, _SERVICE_NOT_ALLOWED = 0x07, 0x01

#: The terminal's response code of an offline decline. EMV 4.4 Book 4, A6.
_OFFLINE_DECLINED = b"Z1"

FirstHalf = Generator[CommandApdu, ResponseApdu, KernelOutcome]


#: Asks the cardholder for the offline PIN (ASCII digits), with the tries left when the card told
#: them; None: none was entered.
PinEntry = Callable[[int | None], SecretBytes | None]


def start_transaction(
    data: TerminalData,
    transaction: TransactionInput,
    pin_entry: PinEntry | None = None,
    random_bytes: RandomBytes = bytes,
) -> FirstHalf:
    """Run everything up to the first cryptogram and give the outcome; never raises for a card.

    Each yielded command is answered by `send(response)`. Without `pin_entry` no offline PIN is
    entered; `random_bytes` fills an enciphered one. Source: EMV 4.4 Book 3, chapter 10; Book 4,
    chapter 6.
    """
    prepared = yield from prepare_transaction(data, transaction)
    if isinstance(prepared, KernelOutcome):
        return prepared
    while prepared.needs_offline_pin:
        pin = pin_entry(prepared.pin_tries_left) if pin_entry is not None else None
        yield from offline_pin.enter_offline_pin(prepared, pin, random_bytes)
    return (yield from authorise(prepared))


def prepare_transaction(
    data: TerminalData, transaction: TransactionInput
) -> Generator[CommandApdu, ResponseApdu, KernelContext | KernelOutcome]:
    """Run all steps before the terminal's decision; give the context, or the outcome that ends it.

    Between this and `authorise` the PIN pad asks for the PIN that `context.needs_offline_pin`
    (then `offline_pin.enter_offline_pin`, as often as it stays true) or `needs_online_pin`
    announces; `pin_not_entered` says that no online PIN came.
    """
    context = KernelContext(data, transaction)
    try:
        found = yield from selection.build_candidate_list(data)
        while True:
            pdol = yield from selection.select_application(context, found)
            if (yield from initiation.get_processing_options(context, pdol)):
                break
            if not found.candidates:
                raise KernelStop(OutcomeKind.NOT_ACCEPTED, "conditions-of-use")
        yield from initiation.read_application_data(context)
        yield from authenticate(context)
        assert context.application is not None
        context.tvr |= restrictions.check_restrictions(
            context.card, data, transaction, context.application.version
        )
        yield from offline_pin.verify(context)
        yield from risk.manage_risk(context)
    except KernelStop as stop:
        return outcome(context, stop.kind, stop.code)
    return context


def pin_not_entered(context: KernelContext) -> None:
    """Take back the online PIN: the cardholder gave none. Source: EMV 4.4 Book 3, 10.5.2."""
    assert context.needs_online_pin
    context.needs_online_pin = False
    context.tvr &= ~Tvr.ONLINE_PIN_ENTERED
    context.tvr |= Tvr.PIN_NOT_ENTERED | Tvr.CARDHOLDER_VERIFICATION_FAILED
    context.cvm_results = context.cvm_results[:2] + bytes((CvmOutcome.FAILED,))


def authorise(context: KernelContext) -> FirstHalf:
    """Decide, ask the card for its first cryptogram and give the outcome. Book 3, 10.7-10.8."""
    assert not context.needs_offline_pin, "the offline PIN has not been entered"
    context.requested = analyse_action(context.tvr, context.card, context.data)
    try:
        given = yield from generate_ac(context, context.requested, "8C")
    except AcError as error:
        return outcome(context, OutcomeKind.CARD_ERROR, error.code)
    context.tsi |= Tsi.CARD_RISK_MANAGEMENT_PERFORMED
    take_cryptogram(context, given)
    if given.combined_failed:
        return (yield from _decline_unsigned(context, given))
    return outcome(context, *_first_outcome(context, given))


def _decline_unsigned(context: KernelContext, given: CardCryptogram) -> FirstHalf:
    """End a transaction whose combined signature did not hold: an ARQC is answered with a request
    for an AAC, a TC is not accepted. Source: EMV 4.4 Book 2, 6.6.2; Book 4, 6.3.2.
    """
    if given.kind is AcType.ARQC:
        context.values["8A"] = _OFFLINE_DECLINED
        try:
            take_cryptogram(context, (yield from generate_ac(context, AcType.AAC, "8D")))
        except AcError as error:
            return outcome(context, OutcomeKind.CARD_ERROR, error.code)
    return outcome(context, OutcomeKind.DECLINED_OFFLINE, "cda-failed")


def _first_outcome(context: KernelContext, given: CardCryptogram) -> tuple[OutcomeKind, str]:
    if given.kind is AcType.ARQC:
        return OutcomeKind.ONLINE, "go-online"
    if given.kind is AcType.TC:
        return OutcomeKind.APPROVED_OFFLINE, "approved-offline"
    if context.requested is AcType.AAC:
        return OutcomeKind.DECLINED_OFFLINE, "terminal-declined"
    if given.cid & _ADVICE_BITS == _SERVICE_NOT_ALLOWED:
        return OutcomeKind.NOT_ACCEPTED, "card-service-not-allowed"
    return OutcomeKind.DECLINED_OFFLINE, "card-declined"


def take_cryptogram(context: KernelContext, given: CardCryptogram) -> None:
    """Keep a cryptogram's objects for DE55 and for what follows."""
    context.cid = given.cid
    context.atc = given.atc
    context.cryptogram = given.cryptogram
    context.card["9F27"] = bytes((given.cid,))
    context.card["9F36"] = given.atc
    context.card["9F26"] = given.cryptogram
    context.card["9F10"] = given.issuer_application_data


def outcome(context: KernelContext, kind: OutcomeKind, code: str) -> KernelOutcome:
    """Give the outcome as the terminal sees it: DE55 only with a cryptogram, never the name."""
    has_cryptogram = context.cid is not None
    return KernelOutcome(
        kind=kind,
        reason=reason(code),
        context=context if kind is OutcomeKind.ONLINE else None,
        de55=de55(context) if has_cryptogram else {},
        pan=context.pan,
        track2=context.track2,
        pan_sequence=context.card["5F34"].hex() if context.pan and "5F34" in context.card else "",
        expiry_yymm=context.track2.expiry_yymm if context.track2 else "",
        needs_online_pin=context.needs_online_pin,
        tvr=context.tvr.encoded(),
        tsi=context.tsi.encoded(),
        cvm_results=context.cvm_results,
        aid=context.aid,
        application_label=context.label,
    )


def de55(context: KernelContext) -> dict[str, bytes]:
    """Give the chip data of the transaction as it stands, in DE55's order, absent ones left out."""
    values = context.dol_values()
    return {tag: values[tag] for tag in DE55_TAGS if values.get(tag)}


__all__ = [
    "FirstHalf",
    "PinEntry",
    "authorise",
    "pin_not_entered",
    "prepare_transaction",
    "start_transaction",
]
