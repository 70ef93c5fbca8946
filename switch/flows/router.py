"""Which flow a message takes, and how its stages are run. First refusal wins."""

from collections.abc import Callable, Iterable
from functools import partial

from programme.chart import TransferCode
from protocols.iso8583 import MessageError, check_shape
from protocols.refusals import Refusal
from switch import pipeline
from switch.decision import Decision, Flow
from switch.flows import network, reversal, settlement, undo
from switch.flows.balance import tell_balance, tell_statement
from switch.flows.pin_change import change_pin
from switch.flows.sale import (
    answer_from_record,
    derive_cryptogram_key,
    post_sale,
    post_voucher,
)
from switch.pipeline.context import Context, StageWatch
from switch.pipeline.duplicate import find_answer
from switch.pipeline.verdict import CONTINUE, Answered, Continue, Park, Stage, Stored, Verdict

#: How a message goes on: it waits, it is answered, or it asks the ledger.
Beginning = Park | Decision | Flow

#: Answers that say nothing about the message itself: a repeat is looked at afresh.
_NOT_REMEMBERED = frozenset({"19", "30", "91", "96"})
_PIN_SET = "710000"
_PURCHASE, _VOID, _REFUND, _BALANCE, _STATEMENT = "00", "02", "20", ("30", "31"), "38"


def begin(context: Context) -> Beginning:
    """Run what can be run without the ledger's writer; give how it goes on."""
    request = context.request
    if request.mti in ("0200", "0201"):
        return _financial(context)
    wrong = _shape(context)
    if wrong is not None:
        return wrong
    if request.mti[:2] == "04":
        return _reversal(context)
    if request.mti[:3] == "022":
        return _evaluate(context, pipeline.VOUCHER, post_voucher)
    if request.mti[:2] == "05":
        return settlement.settle(context)
    if request.mti[:2] == "03":
        return settlement.upload(context)
    if request.mti[:2] == "01":
        return _pin_change(context)
    if request.mti[:2] == "08":
        return network.manage(context)
    return Decision(code="12", evidence="this link does not offer the message", remember=False)


def _financial(context: Context) -> Beginning:
    request, kind = context.request, context.request.transaction_type
    cash = context.desk.rules.rules.no_cash_out
    if kind in cash.processing_codes or request.additional_amount_types & cash.cash_amount_types:
        return _evaluate(context, pipeline.CASH_OUT, _cash_passed)
    wrong = _shape(context)
    if wrong is not None:
        return wrong
    if kind == _PURCHASE:
        return _evaluate(context, pipeline.PURCHASE, post_sale)
    if kind in _BALANCE:
        return _evaluate(context, pipeline.BALANCE, tell_balance)
    if kind == _STATEMENT:
        return _evaluate(context, pipeline.BALANCE, tell_statement)
    if kind == _VOID:
        return _undo(context, TransferCode.VOID, pipeline.VOID, undo.void)
    if kind == _REFUND:
        return _undo(context, TransferCode.REFUND, pipeline.REFUND, undo.refund)
    return Decision(code="12", evidence="this link does not offer the message", remember=False)


def _shape(context: Context) -> Decision | None:
    """Give 12 for a message that the spec does not have, 30 for one without its elements."""
    message = context.request.message
    assert message.spec is not None, "the codec decoded it"
    try:
        context.use = check_shape(message.spec, message)
    except MessageError as error:
        if error.path == "mti":
            return Decision(code="12", evidence="shape: no such message", remember=False)
        return Decision(code="30", evidence=f"shape: {error.external}", remember=False)
    return None


def _reversal(context: Context) -> Beginning:
    stop = reversal.lock_original(context)
    if isinstance(stop, Refusal):
        return undo.refused(stop)
    return stop if stop is not None else reversal.reverse(context)


def _pin_change(context: Context) -> Beginning:
    is_set = context.request.processing_code == _PIN_SET
    verdict = run_stages(context, pipeline.PIN_SET if is_set else pipeline.PIN_CHANGE)
    if not isinstance(verdict, Continue):
        return _conclude(context, verdict)
    outcome = change_pin(context)
    return outcome if isinstance(outcome, Decision) else _remember(context, undo.refused(outcome))


def _undo(
    context: Context,
    code: TransferCode,
    stages: Iterable[Stage],
    then: Callable[[Context], Flow | Decision],
) -> Beginning:
    stop = undo.lock_original(context)
    if isinstance(stop, Refusal):
        return undo.refused(stop)
    if stop is not None:
        return stop
    repeat = undo.find_repeat(context, code)
    if repeat is not None:
        return repeat
    answered = find_answer(context)
    verdict = run_stages(context, stages) if answered is None else answered
    if not isinstance(verdict, Continue):
        return _conclude(context, verdict)
    outcome = then(context)
    return _remember(context, outcome) if isinstance(outcome, Decision) else outcome


def _evaluate(
    context: Context, stages: Iterable[Stage], then: Callable[[Context], Flow]
) -> Beginning:
    verdict = run_stages(context, stages)
    return then(context) if isinstance(verdict, Continue) else _conclude(context, verdict)


def run_stages(context: Context, stages: Iterable[Stage]) -> Verdict:
    """Give the first verdict that is not to go on, or to go on when all stages say so."""
    watch = context.desk.watch
    if watch is not None:
        watch.begin()
        stages = [partial(_timed, watch, stage) for stage in stages]
    for stage in stages:
        verdict = stage(context)
        if verdict is not CONTINUE:
            return verdict
    return CONTINUE


def _timed(watch: StageWatch, stage: Stage, context: Context) -> Verdict:
    verdict = stage(context)
    watch.lap(stage.__name__.removeprefix("check_"))
    return verdict


def _conclude(context: Context, verdict: Park | Refusal | Answered | Stored) -> Beginning:
    if isinstance(verdict, Park):
        return verdict
    if isinstance(verdict, Stored):
        return answer_from_record(context, verdict.entry)
    if isinstance(verdict, Answered):
        if verdict.decision.chip_proved:
            derive_cryptogram_key(context)
        return verdict.decision
    return _remember(context, undo.refused(verdict))


def _remember(context: Context, decision: Decision) -> Decision:
    """Keep a refusal that left no record, so that the message's repeat hears the same."""
    decision = decision._replace(chip_proved=context.cryptogram_key is not None)
    if context.transfer_id and decision.remember and decision.code not in _NOT_REMEMBERED:
        memory = context.desk.memory
        memory.answers.keep(context.transfer_id, context.fingerprint, decision)
    return decision


def _cash_passed(context: Context) -> Flow:
    raise AssertionError("a cash message passed the rule that refuses every one of them")
