"""GPO, GENERATE AC and EXTERNAL AUTHENTICATE. Source: EMV 4.4 Book 3, 6.5.4, 6.5.5, 6.5.8."""

from cardsim import limits
from cardsim.application import Application
from cardsim.dynamic import combined_answer
from cardsim.results import card_verification_results, lower_limit_exceeded
from cardsim.states import CardState
from protocols.emv import tlv
from protocols.emv.commands import AcType
from protocols.emv.flags import Aip
from protocols.emv.tlv import encode_length

OK = b"\x90\x00"
AUTHENTICATION_FAILED = b"\x63\x00"
WRONG_LENGTH = b"\x67\x00"
CONDITIONS = b"\x69\x85"
WRONG_DATA = b"\x6a\x80"
WRONG_PARAMETERS = b"\x6a\x86"

Answer = tuple[bytes, CardState]

_TYPES = {int(kind): kind for kind in AcType}
#: Issuer response codes that approve, and the terminal's "unable to go online, approved".
_APPROVING = frozenset((b"00", b"08", b"10", b"11"))
_UNABLE_APPROVED, _UNABLE_DECLINED = b"Y3", b"Z3"
#: P1 of GENERATE AC: a combined signature is requested. EMV 4.4 Book 3, 6.5.5.2.
_COMBINED = 0x10
_AIP_CDA = int(Aip.CDA_SUPPORTED) >> 8
_AIP_ISSUER_AUTHENTICATION = int(Aip.ISSUER_AUTHENTICATION_SUPPORTED) >> 8


def get_processing_options(
    application: Application, p1: int, p2: int, data: bytes, state: CardState
) -> Answer:
    """Check the PDOL's data, begin a transaction, give AIP and AFL. A spent counter is 6985."""
    if p1 or p2:
        return WRONG_PARAMETERS, state
    if (refusal := pdol_refusal(application.pdol_length, data)) is not None:
        return refusal, state
    if application.state.atc >= limits.ATC_MAXIMUM:
        return CONDITIONS, state
    application.reset()
    application.begin()
    application.pdol_values = data[len(data) - application.pdol_length :]
    return application.gpo_answer + OK, CardState.INITIATED


def pdol_refusal(expected: int, data: bytes) -> bytes | None:
    """Give the refusal of GPO data that is not template 83 with so many bytes of values."""
    length = encode_length(expected)
    if len(data) != 1 + len(length) + expected:
        return WRONG_LENGTH
    if data[:1] != b"\x83" or data[1 : 1 + len(length)] != length:
        return WRONG_DATA
    return None


def generate_ac(
    application: Application, p1: int, p2: int, data: bytes, state: CardState
) -> Answer:
    """Give the first or the second cryptogram, with a combined signature when that is asked.

    6A86 when a card that does not sign so is asked for one.
    """
    combined = bool(p1 & _COMBINED)
    asked = _TYPES.get(p1 & ~_COMBINED)
    if asked is None or p2 or (combined and not application.image.aip[0] & _AIP_CDA):
        return WRONG_PARAMETERS, state
    ordinal = 0 if state is CardState.INITIATED else 1
    if len(data) != application.lengths[ordinal]:
        return WRONG_LENGTH, state
    if ordinal == 0:
        return _first(application, asked, data, combined)
    if asked is AcType.ARQC:
        return WRONG_PARAMETERS, state
    return _second(application, asked, data, combined)


def _first(application: Application, asked: AcType, data: bytes, combined: bool) -> Answer:
    amount_sen = amount_of(application, 0, data)
    kind = application.granted(_first_type(application, asked, amount_sen))
    # What the issuer learns is the state before this transaction changes it.
    cvr = card_verification_results(application, kind, None, amount_sen)
    issuer_data = application.issuer_application_data(cvr)
    cryptogram = application.cryptogram(0, data, issuer_data)
    application.cdol1_values = data
    application.first_type = kind
    application.first_cryptogram = application.chaining_value = cryptogram
    application.write("script_count", 0)
    application.write("script_failed", False)
    if kind is AcType.ARQC:
        application.arqc = cryptogram
        application.write("online_pending", True)
        state = CardState.ONLINE
    else:
        if kind is AcType.TC:
            _count_offline(application, amount_sen)
        write_log(application, 0, data, kind)
        state = CardState.FINISHED
    # An AAC is signed only for who asked for one with a signature. EMV 4.4 Book 2, 6.6.1.
    signed = combined and (kind is not AcType.AAC or asked is AcType.AAC)
    return _answer(application, kind, cryptogram, issuer_data, data if signed else None), state


def _first_type(application: Application, asked: AcType, amount_sen: int) -> AcType:
    """Give what the card grants: never higher than asked. EMV 4.4 Book 3, 9.3; card.md."""
    state = application.state
    if asked is AcType.AAC or application.blocked:
        return AcType.AAC
    if asked is AcType.ARQC:
        return AcType.ARQC
    must_go_online = (
        lower_limit_exceeded(application, amount_sen)
        or state.online_pending
        or state.issuer_authentication_failed
        or state.last_online_atc == 0
        or (bool(state.pin) and application.pin_tries == 0)
    )
    return AcType.ARQC if must_go_online else AcType.TC


def _second(application: Application, asked: AcType, data: bytes, combined: bool) -> Answer:
    amount_sen = amount_of(application, 1, data)
    arc = application.value(1, data, "8A")
    authentication = application.value(1, data, "91")
    if any(authentication) and not application.image.aip[0] & _AIP_ISSUER_AUTHENTICATION:
        _authenticate(application, authentication)
    grants = asked is AcType.TC and _grants(application, arc)
    kind = application.granted(AcType.TC if grants else AcType.AAC)
    first = _TYPES[application.first_type]
    cvr = card_verification_results(application, first, kind, amount_sen)
    issuer_data = application.issuer_application_data(cvr)
    cryptogram = application.cryptogram(1, data, issuer_data)
    write_log(application, 1, data, kind)
    if arc in (_UNABLE_APPROVED, _UNABLE_DECLINED):
        if kind is AcType.TC:
            _count_offline(application, amount_sen)
    elif _issuer_trusted(application):
        application.write("last_online_atc", application.state.atc)
        application.write("offline_count", 0)
        application.write("offline_amount_sen", 0)
        application.write("issuer_authentication_failed", False)
    application.write("online_pending", False)
    signed = data if combined and (kind is not AcType.AAC or asked is AcType.AAC) else None
    answer = _answer(application, kind, cryptogram, issuer_data, signed, ordinal=1)
    return answer, CardState.FINISHED


def _grants(application: Application, arc: bytes) -> bool:
    """Tell whether the card grants the TC that was asked in the second GENERATE AC."""
    image = application.image
    if application.blocked:
        return False
    if arc == _UNABLE_APPROVED:
        return application.offline_count + 1 <= image.upper_offline_limit
    if arc not in _APPROVING:
        return False
    if application.issuer_authenticated and application.arc_verified != arc:
        return False
    return _issuer_trusted(application)


def _issuer_trusted(application: Application) -> bool:
    if application.issuer_authenticated is None:
        return not application.image.issuer_authentication_mandatory
    return application.issuer_authenticated


def external_authenticate(
    application: Application, p1: int, p2: int, data: bytes, state: CardState
) -> Answer:
    """Check the ARPC, once per transaction: 9000 or 6300. EMV 4.4 Book 3, 6.5.4."""
    if p1 or p2:
        return WRONG_PARAMETERS, state
    if not 8 <= len(data) <= 16:
        return WRONG_LENGTH, state
    good = len(data) == 10 and _authenticate(application, data)
    if not good:
        application.issuer_authenticated = False
        application.write("issuer_authentication_failed", True)
    return (OK if good else AUTHENTICATION_FAILED), CardState.ANSWERED


def _authenticate(application: Application, data: bytes) -> bool:
    good = application.check_arpc(data)
    if not good:
        application.write("issuer_authentication_failed", True)
    return good


def _count_offline(application: Application, amount_sen: int) -> None:
    state = application.state
    application.write("offline_count", min(state.offline_count + 1, 0xFF))
    # Twelve digits, as the amount itself: a counter that is full stays full.
    total = min(state.offline_amount_sen + amount_sen, limits.AMOUNT_SEN)
    application.write("offline_amount_sen", total)


def write_log(application: Application, ordinal: int, data: bytes, kind: AcType) -> None:
    """Write the transaction's entry in front of the log."""
    entry = application.log_entry(ordinal, data, kind)
    application.write("log", (entry, *application.state.log)[: limits.LOG_ENTRIES])


def amount_of(application: Application, ordinal: int, data: bytes) -> int:
    """Give the amount in sen from a list's data; beyond any limit when it is no number."""
    digits = application.value(ordinal, data, "9F02").hex()
    return int(digits) if digits.isdigit() else 10**12


def _answer(
    application: Application,
    kind: AcType,
    cryptogram: bytes,
    issuer_data: bytes,
    signed: bytes | None = None,
    ordinal: int = 0,
) -> bytes:
    """Give the answer; `signed` is the list's data when a combined signature goes with it."""
    cid = bytes((kind,))
    if signed is not None:
        head = [b"\x9f\x27\x01" + cid, b"\x9f\x36\x02" + application.atc]
        return combined_answer(
            application, ordinal, signed, cryptogram, [*head, b"\x9f\x10\x1c" + issuer_data]
        )
    if application.image.gpo_format == 1:
        return tlv.build([("80", cid + application.atc + cryptogram + issuer_data)]) + OK
    # 9F27 01, 9F36 02, 9F26 08, 9F10 1C: 51 bytes with fixed lengths, built without a parser.
    return b"".join(
        (
            b"\x77\x33\x9f\x27\x01", cid, b"\x9f\x36\x02", application.atc, b"\x9f\x26\x08",
            cryptogram, b"\x9f\x10\x1c", issuer_data, OK,
        )
    )  # fmt: skip
