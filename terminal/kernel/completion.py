"""The second half: the host's answer, issuer authentication, scripts, the final cryptogram.

Source: EMV 4.4 Book 3, 10.9-10.11; Book 4, 6.3.6-6.3.8.
"""

from collections.abc import Generator, Sequence

from protocols.emv import commands
from protocols.emv.apdu import CommandApdu, ResponseApdu
from protocols.emv.commands import AcType
from protocols.emv.flags import Aip, Tsi, Tvr
from terminal.kernel import limits
from terminal.kernel.action import analyse_default
from terminal.kernel.context import KernelContext
from terminal.kernel.cryptogram import AcError, CardCryptogram, generate_ac
from terminal.kernel.outcomes import CompletionKind, CompletionOutcome
from terminal.kernel.reasons import reason
from terminal.kernel.scripts import run_script, succeeded

#: Authorisation response codes with which an issuer approves. EMV 4.4 Book 4, A6; ISO 8583:1987.
APPROVING = frozenset(("00", "08", "10", "11"))
#: The terminal's own codes when the host cannot be reached. EMV 4.4 Book 4, A6.
ARC_UNABLE_APPROVED, ARC_UNABLE_DECLINED = "Y3", "Z3"
#: Length of issuer authentication data. EMV 4.4 Book 3, 6.5.4.3.
_SHORTEST, _LONGEST = 8, 16

SecondHalf = Generator[CommandApdu, ResponseApdu, CompletionOutcome]
Scripts = Sequence[tuple[str, bytes]]


def complete_online(
    context: KernelContext,
    arc: str,
    issuer_authentication: bytes | None = None,
    scripts: Scripts = (),
) -> SecondHalf:
    """Finish after the host answered; give the outcome, never raise for a card.

    `arc` is the two characters of tag 8A (DE39 as the issuer sent it). `issuer_authentication` is
    the value of tag 91, `scripts` pairs of tag (`71` before, `72` after the final cryptogram) and
    template value. Source: EMV 4.4 Book 3, 10.9-10.11.
    """
    if len(arc) != 2 or not arc.isascii():
        raise ValueError("an authorisation response code is two characters")
    context.values["8A"] = arc.encode("ascii")
    if issuer_authentication is not None:
        context.values["91"] = issuer_authentication
        yield from _authenticate_issuer(context, issuer_authentication)
    results: list[bytes] = []
    failed_before = Tvr.SCRIPT_FAILED_BEFORE_FINAL_GENERATE_AC
    yield from _run_scripts(context, scripts, "71", failed_before, results)
    approves = arc in APPROVING
    given = yield from _final(context, AcType.TC if approves else AcType.AAC)
    failed_after = Tvr.SCRIPT_FAILED_AFTER_FINAL_GENERATE_AC
    yield from _run_scripts(context, scripts, "72", failed_after, results)
    if isinstance(given, AcError):
        return _outcome(context, CompletionKind.CARD_ERROR, given.code, approves, arc, results)
    kind, code = _kind(given, approves)
    return _outcome(context, kind, code, approves, arc, results, given)


def unable_to_go_online(context: KernelContext) -> SecondHalf:
    """Finish when no answer came: the default action codes decide between Y3 and Z3.

    Source: EMV 4.4 Book 3, 10.7; Book 4, 6.3.6.
    """
    asked = analyse_default(context.tvr, context.card, context.data)
    arc = ARC_UNABLE_APPROVED if asked is AcType.TC else ARC_UNABLE_DECLINED
    return (yield from _without_host(context, asked, arc, "unable-to-go-online"))


def give_up(context: KernelContext) -> SecondHalf:
    """Finish without going online because the cardholder gave no PIN: a decline, ARC Z3."""
    return (yield from _without_host(context, AcType.AAC, ARC_UNABLE_DECLINED, "pin-not-entered"))


def _without_host(context: KernelContext, asked: AcType, arc: str, code: str) -> SecondHalf:
    context.values["8A"] = arc.encode("ascii")
    given = yield from _final(context, asked)
    if isinstance(given, AcError):
        return _outcome(context, CompletionKind.CARD_ERROR, given.code, False, arc, [])
    if given.combined_failed:
        kind, code = CompletionKind.DECLINED, "cda-failed"
    elif given.kind is AcType.TC:
        kind, code = CompletionKind.APPROVED, "approved-unable"
    else:
        kind = CompletionKind.DECLINED
    return _outcome(context, kind, code, False, arc, [], given)


def _authenticate_issuer(
    context: KernelContext, data: bytes
) -> Generator[CommandApdu, ResponseApdu, None]:
    """Send EXTERNAL AUTHENTICATE when the card wants it; a refusal sets its TVR bit. 10.9."""
    if not context.aip & Aip.ISSUER_AUTHENTICATION_SUPPORTED:
        return
    if not _SHORTEST <= len(data) <= _LONGEST:
        context.tvr |= Tvr.ISSUER_AUTHENTICATION_FAILED
        return
    answer = yield commands.external_authenticate(data)
    context.tsi |= Tsi.ISSUER_AUTHENTICATION_PERFORMED
    if not answer.ok:
        context.tvr |= Tvr.ISSUER_AUTHENTICATION_FAILED


def _run_scripts(
    context: KernelContext, scripts: Scripts, tag: str, failed: Tvr, results: list[bytes]
) -> Generator[CommandApdu, ResponseApdu, None]:
    for template in [value for name, value in scripts[: limits.SCRIPTS] if name == tag]:
        result = yield from run_script(template)
        results.append(result)
        context.tsi |= Tsi.SCRIPT_PROCESSING_PERFORMED
        if not succeeded(result):
            context.tvr |= failed


def _final(
    context: KernelContext, asked: AcType
) -> Generator[CommandApdu, ResponseApdu, CardCryptogram | AcError]:
    """Ask for the final cryptogram; an ARQC or another ATC than before is no answer."""
    try:
        given = yield from generate_ac(context, asked, "8D")
    except AcError as error:
        return error
    if given.kind is AcType.ARQC:
        return AcError("ac-type")
    if given.atc != context.atc:
        return AcError("atc-missing")
    return given


def _kind(given: CardCryptogram, approves: bool) -> tuple[CompletionKind, str]:
    if not approves:
        return CompletionKind.DECLINED, "host-declined"
    if given.combined_failed:
        return CompletionKind.REFUSED_AFTER_APPROVAL, "cda-failed"
    if given.kind is AcType.TC:
        return CompletionKind.APPROVED, "approved"
    return CompletionKind.REFUSED_AFTER_APPROVAL, "card-refused"


def _outcome(
    context: KernelContext,
    kind: CompletionKind,
    code: str,
    approves: bool,
    arc: str,
    results: list[bytes],
    given: CardCryptogram | None = None,
) -> CompletionOutcome:
    return CompletionOutcome(
        kind=kind,
        reason=reason(code),
        host_approved=approves,
        arc=arc,
        cryptogram=given.cryptogram if given else b"",
        cid=given.cid if given else None,
        issuer_application_data=given.issuer_application_data if given else b"",
        tvr=context.tvr.encoded(),
        tsi=context.tsi.encoded(),
        script_results=tuple(results),
    )
