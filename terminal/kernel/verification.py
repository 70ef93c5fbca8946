"""Cardholder verification: which method applies. Source: EMV 4.4 Book 3, 10.5; Book 4, 6.3.4."""

from collections.abc import Mapping
from dataclasses import dataclass

from protocols.emv.cvm import CvmCondition, CvmList, CvmMethod, CvmOutcome, CvmResult, CvmRule
from protocols.emv.errors import EmvDataError
from protocols.emv.flags import Aip, TerminalCapabilities, Tsi, Tvr
from terminal.kernel import parsed
from terminal.kernel.configuration import TerminalData, TransactionInput
from terminal.kernel.stop import card_error

_CASH, _CASHBACK = "01", "09"
#: Unattended terminal types. EMV 4.4 Book 4, A1.
_UNATTENDED = frozenset((0x14, 0x15, 0x16, 0x24, 0x25, 0x26, 0x34, 0x35, 0x36))
#: What terminal capability a method needs; FAIL CVM needs none and always fails.
_NEEDS = {
    CvmMethod.PLAINTEXT_PIN_OFFLINE: TerminalCapabilities.PLAINTEXT_PIN_OFFLINE,
    CvmMethod.ENCIPHERED_PIN_ONLINE: TerminalCapabilities.ENCIPHERED_PIN_ONLINE,
    CvmMethod.PLAINTEXT_PIN_OFFLINE_AND_SIGNATURE: (
        TerminalCapabilities.PLAINTEXT_PIN_OFFLINE | TerminalCapabilities.SIGNATURE
    ),
    CvmMethod.ENCIPHERED_PIN_OFFLINE: TerminalCapabilities.ENCIPHERED_PIN_OFFLINE,
    CvmMethod.ENCIPHERED_PIN_OFFLINE_AND_SIGNATURE: (
        TerminalCapabilities.ENCIPHERED_PIN_OFFLINE | TerminalCapabilities.SIGNATURE
    ),
    CvmMethod.SIGNATURE: TerminalCapabilities.SIGNATURE,
    CvmMethod.NO_CVM_REQUIRED: TerminalCapabilities.NO_CVM_REQUIRED,
}
#: Methods that this kernel carries out, where the terminal's capabilities say so (the city's ask
#: for the PIN online only, R20); the offline PIN by `terminal.kernel.offline_pin`.
_OFFLINE = frozenset((CvmMethod.PLAINTEXT_PIN_OFFLINE, CvmMethod.ENCIPHERED_PIN_OFFLINE))
PERFORMED = _OFFLINE | {CvmMethod.ENCIPHERED_PIN_ONLINE, CvmMethod.NO_CVM_REQUIRED}
_PIN_METHODS = frozenset(
    (
        CvmMethod.PLAINTEXT_PIN_OFFLINE,
        CvmMethod.ENCIPHERED_PIN_ONLINE,
        CvmMethod.PLAINTEXT_PIN_OFFLINE_AND_SIGNATURE,
        CvmMethod.ENCIPHERED_PIN_OFFLINE,
        CvmMethod.ENCIPHERED_PIN_OFFLINE_AND_SIGNATURE,
    )
)

#: Conditions that the kind of transaction decides. EMV 4.4 Book 3, table 44.
_BY_KIND = frozenset(
    (
        CvmCondition.UNATTENDED_CASH,
        CvmCondition.NOT_CASH,
        CvmCondition.MANUAL_CASH,
        CvmCondition.PURCHASE_WITH_CASHBACK,
    )
)

_NO_TVR, _NO_TSI = Tvr(0), Tsi(0)


@dataclass(frozen=True, slots=True)
class CvmDecision:
    """What verification came to: 9F34, the bits it sets, and whether an online PIN is to come.

    `offline_rule`: nothing is decided, that rule wants an offline PIN; when its method fails and
    lets the list go on, the walk continues at `next_rule`.
    """

    results: CvmResult
    tvr: Tvr = _NO_TVR
    tsi: Tsi = _NO_TSI
    online_pin: bool = False
    offline_rule: CvmRule | None = None
    next_rule: int = 0


_NOT_PERFORMED = CvmResult(CvmMethod.NOT_PERFORMED, 0, CvmOutcome.UNKNOWN)


def verify_cardholder(
    card: Mapping[str, bytes],
    data: TerminalData,
    transaction: TransactionInput,
    start: int = 0,
    last: CvmResult | None = None,
) -> CvmDecision:
    """Go through the card's list from rule `start` on and give the decision.

    The first rule whose condition holds decides, unless its method fails and it allows the next.
    An online PIN counts as carried out (result unknown): the PIN pad asks for it afterwards, and
    `terminal.kernel.transaction.pin_not_entered` takes it back. `last` is the result of a method
    that failed before `start`. Raises KernelStop for a malformed
    list. Source: EMV 4.4 Book 3, 10.5; Book 4, 6.3.4.5.
    """
    if not Aip.read(card["82"]) & Aip.CARDHOLDER_VERIFICATION_SUPPORTED:
        return CvmDecision(_NOT_PERFORMED)
    if "8E" not in card:
        return CvmDecision(_NOT_PERFORMED, Tvr.ICC_DATA_MISSING)
    try:
        methods = parsed.verification_methods(card["8E"])
    except EmvDataError:
        raise card_error("cvm-list-malformed") from None
    if not methods.rules:
        return CvmDecision(_NOT_PERFORMED, Tvr.ICC_DATA_MISSING)
    last = last or CvmResult(CvmMethod.NOT_PERFORMED, 0, CvmOutcome.FAILED)
    return _walk(methods, card, data, transaction, start, last)


def _walk(
    methods: CvmList,
    card: Mapping[str, bytes],
    data: TerminalData,
    transaction: TransactionInput,
    start: int,
    last: CvmResult,
) -> CvmDecision:
    capabilities = TerminalCapabilities.read(data.terminal_capabilities)
    tvr = Tvr(0)
    for number, rule in enumerate(methods.rules[start:], start + 1):
        if not condition_holds(rule, methods, card, data, transaction):
            continue
        method = rule.known_method
        if method is None or method is CvmMethod.NOT_PERFORMED:
            tvr |= Tvr.UNRECOGNISED_CVM
        elif _is_supported(method, capabilities):
            if method in _OFFLINE:
                return CvmDecision(last, tvr, offline_rule=rule, next_rule=number)
            if method is not CvmMethod.FAIL:
                return _success(rule, method, tvr)
            last = CvmResult(rule.encoded()[0], rule.condition, CvmOutcome.FAILED)
        elif method in _PIN_METHODS:
            tvr |= Tvr.PIN_PAD_MISSING_OR_BROKEN
        if not rule.continue_if_fails:
            break
    failed = tvr | Tvr.CARDHOLDER_VERIFICATION_FAILED
    return CvmDecision(last, failed, Tsi.CARDHOLDER_VERIFICATION_PERFORMED)


def _is_supported(method: CvmMethod, capabilities: TerminalCapabilities) -> bool:
    if method is CvmMethod.FAIL:
        return True
    needed = _NEEDS[method]
    return method in PERFORMED and capabilities & needed == needed


def _success(rule: CvmRule, method: CvmMethod, tvr: Tvr) -> CvmDecision:
    online = method is CvmMethod.ENCIPHERED_PIN_ONLINE
    result = CvmOutcome.UNKNOWN if online else CvmOutcome.SUCCESSFUL
    return CvmDecision(
        CvmResult(rule.encoded()[0], rule.condition, result),
        tvr | (Tvr.ONLINE_PIN_ENTERED if online else Tvr(0)),
        Tsi.CARDHOLDER_VERIFICATION_PERFORMED,
        online,
    )


def _kinds(data: TerminalData, transaction: TransactionInput) -> frozenset[CvmCondition]:
    """Give the conditions that the kind of transaction fulfils."""
    if transaction.type_code == _CASH:
        unattended = data.terminal_type[0] in _UNATTENDED
        kind = CvmCondition.UNATTENDED_CASH if unattended else CvmCondition.MANUAL_CASH
        given = transaction.amount_other_sen > 0
        return frozenset((kind, CvmCondition.PURCHASE_WITH_CASHBACK) if given else (kind,))
    if transaction.type_code == _CASHBACK or transaction.amount_other_sen > 0:
        return frozenset((CvmCondition.PURCHASE_WITH_CASHBACK,))
    return frozenset((CvmCondition.NOT_CASH,))


def condition_holds(
    rule: CvmRule,
    methods: CvmList,
    card: Mapping[str, bytes],
    data: TerminalData,
    transaction: TransactionInput,
) -> bool:
    """Tell whether a rule's condition is met; one that EMV does not know never is.

    Source: EMV 4.4 Book 3, 10.5 and Annex C3, table 44.
    """
    condition = rule.known_condition
    if condition is None:
        return False
    if condition is CvmCondition.ALWAYS:
        return True
    if condition is CvmCondition.TERMINAL_SUPPORTS_CVM:
        capabilities = TerminalCapabilities.read(data.terminal_capabilities)
        method = rule.known_method
        return method not in (None, CvmMethod.NOT_PERFORMED) and _is_supported(method, capabilities)
    if condition in _BY_KIND:
        return condition in _kinds(data, transaction)
    if card.get("9F42") != data.currency_code:
        return False
    amount = transaction.amount_sen
    return {
        CvmCondition.UNDER_X: amount < methods.amount_x,
        CvmCondition.OVER_X: amount > methods.amount_x,
        CvmCondition.UNDER_Y: amount < methods.amount_y,
        CvmCondition.OVER_Y: amount > methods.amount_y,
    }[condition]
