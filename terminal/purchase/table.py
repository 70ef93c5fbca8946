"""The operator flows as one transition table: state, event -> next state and what to do.

A sale passes MENU, (PROXY), (ITEMS or AMOUNT), CARD, READING, (REPEAT), (PIN), WAITING, DECIDING,
RESULT; a refund begins with TRACE, AMOUNT and SUPERVISOR; a PIN change asks three times for a PIN;
a settlement passes SETTLE, SETTLING, (UPLOADING). From WAITING on money may have moved, so nobody
can cancel there: only the host, the chip or the reversal ends it.
Source: domain.md 7, J1 to J6; R25 to R39.
"""

from enum import Enum


class FlowState(Enum):
    """What the screen shows; the value is its text in the catalogue."""

    OFF_DUTY = "flow.signed_off"
    LOGGING_ON = "flow.logging_on"
    MENU = "flow.ready"
    PROXY = "flow.enter_proxy"
    ITEMS = "flow.choose_items"
    AMOUNT = "flow.enter_amount"
    CARD = "flow.insert_card"
    READING = "flow.reading_card"
    REPEAT = "flow.same_again"
    PIN = "flow.enter_pin"
    NEW_PIN = "flow.enter_new_pin"
    NEW_PIN_AGAIN = "flow.new_pin_again"
    WAITING = "flow.waiting_host"
    DECIDING = "flow.deciding"
    UNDOING = "flow.no_answer"
    VOUCHER = "flow.offer_voucher"
    SIGNING = "flow.signing_voucher"
    TRACE = "flow.enter_trace"
    CONFIRM = "flow.confirm_void"
    REFUND_TRACE = "flow.enter_refund_trace"
    REFUND_AMOUNT = "flow.enter_refund_amount"
    SUPERVISOR = "flow.enter_supervisor"
    REDUCE_TRACE = "flow.enter_reduce_trace"
    REDUCE_AMOUNT = "flow.enter_reduce_amount"
    REDUCING = "flow.reducing"
    REPRINT_TRACE = "flow.enter_reprint_trace"
    SETTLE = "flow.confirm_settle"
    SETTLING = "flow.settling"
    UPLOADING = "flow.uploading"
    COMPLAINT = "flow.complaint"
    RESULT = "flow.remove_card"


class FlowEvent(Enum):
    """What the operator, the card, the holder or the host did."""

    LOG_ON = "menu: log on"
    LOGGED_ON = "the host took the log-on"
    LOG_ON_FAILED = "the host did not take the log-on"
    LOG_OFF = "menu: log off"
    PURCHASE = "menu: belanja, by amount"
    BASKET = "menu: belanja, by items"
    PROXY = "menu: wakil"
    BALANCE = "menu: cek saldo"
    STATEMENT = "menu: mutasi"
    VOID = "menu: pembatalan"
    REFUND = "menu: pengembalian"
    REDUCE = "menu: kurangi belanja"
    REPRINT = "menu: cetak ulang"
    SETTLE = "menu: settlement"
    CUT_OFF = "the day has ended and a batch is open"
    PIN_CHANGE = "menu: ganti PIN"
    COMPLAINT = "menu: pengaduan"
    PROXY_TAKEN = "the number of a proxy was typed"
    PROXY_REFUSED = "this is no number of a proxy"
    ITEM_TAKEN = "an item was put into the basket"
    ITEM_REFUSED = "an item cannot be chosen"
    ITEMS_DONE = "the basket is complete"
    AMOUNT_TAKEN = "a good amount was typed"
    AMOUNT_REFUSED = "the amount cannot be used"
    TRACE_TAKEN = "a trace number that fits was typed"
    TRACE_REFUSED = "the trace number does not fit"
    SUPERVISOR_AGREED = "a supervisor typed the code, or none is needed"
    SUPERVISOR_REFUSED = "this is not the supervisor's code"
    SUPERVISOR_ENDED = "there is no code, or its tries are used up"
    CATEGORY_TAKEN = "the kind of complaint was chosen"
    CATEGORY_REFUSED = "there is no such kind"
    CONFIRMED = "confirmed"
    CARD_INSERTED = "a card was inserted or tapped"
    CARD_READ = "the card was read and needs no PIN"
    PIN_WANTED = "the card was read and needs the PIN"
    SAME_AGAIN = "the same card and amount succeeded minutes ago"
    CARD_FAILED = "the card could not be used"
    SELL_ANYWAY = "it is another sale"
    SHOW_EARLIER = "show the earlier result"
    PIN_TAKEN = "the PIN was typed"
    OLD_PIN_TAKEN = "the old PIN was typed, a new one follows"
    PIN_REFUSED = "the digits cannot be a PIN, or the chip did not take them"
    PIN_DIFFERS = "the new PIN was typed otherwise the second time"
    CANCEL = "cancel"
    NO_LINE = "no connection, nothing was sent"
    OUTAGE = "no connection, and the city allows a voucher"
    APPROVED = "the host approved, the chip decides"
    FINISHED = "the host answered, nothing is left to decide"
    NO_ANSWER = "no answer that can be trusted"
    CARD_CONFIRMED = "the chip confirmed"
    CARD_DECLINED = "the chip declined, or was taken out"
    UNDONE = "the reversal was answered"
    STILL_OWED = "no final answer yet"
    MISMATCH = "the bank counts otherwise"
    SETTLED = "the bank has had the last word on the batch"
    DONE = "the result was seen and printed"


class Effect(Enum):
    """What the terminal must do next; it reports back with an event."""

    LOG_ON = "log on"
    LOG_OFF = "log off"
    WAIT_CARD = "wait for a card"
    READ_CARD = "read the card"
    ASK_REPEAT = "ask about the earlier sale"
    ASK_PIN = "ask the holder for the PIN"
    ASK_NEW_PIN = "ask the holder for a new PIN"
    ASK_NEW_PIN_AGAIN = "ask for the new PIN once more"
    ASK_HOST = "ask the host"
    ASK_CHIP = "let the chip decide"
    OFFER_VOUCHER = "ask whether to sell by voucher"
    SIGN_VOUCHER = "let the chip sign a voucher and keep it"
    UNDO = "send the reversal"
    SEND_REDUCTION = "send the partial reversal"
    SEND_TOTALS = "close the batch and send its totals"
    UPLOAD = "upload the batch and send its totals again"
    KEEP_COMPLAINT = "keep the complaint"
    RELEASE = "end with the result"


Cell = tuple[FlowState, Effect | None]

_S, _E, _F = FlowState, FlowEvent, Effect
_CANCELLED: Cell = (_S.RESULT, _F.RELEASE)
_FAILED: Cell = (_S.RESULT, _F.RELEASE)

#: What happens where an event means something. Everywhere else it is ignored: see `FLOW`.
_MEANINGFUL: dict[FlowState, dict[FlowEvent, Cell]] = {
    _S.OFF_DUTY: {_E.LOG_ON: (_S.LOGGING_ON, _F.LOG_ON)},
    _S.LOGGING_ON: {
        _E.LOGGED_ON: (_S.MENU, None),
        _E.LOG_ON_FAILED: (_S.OFF_DUTY, None),
    },
    _S.MENU: {
        _E.LOG_ON: (_S.LOGGING_ON, _F.LOG_ON),
        _E.LOG_OFF: (_S.OFF_DUTY, _F.LOG_OFF),
        _E.PURCHASE: (_S.AMOUNT, None),
        _E.BASKET: (_S.ITEMS, None),
        _E.PROXY: (_S.PROXY, None),
        _E.BALANCE: (_S.CARD, _F.WAIT_CARD),
        _E.STATEMENT: (_S.CARD, _F.WAIT_CARD),
        _E.PIN_CHANGE: (_S.CARD, _F.WAIT_CARD),
        _E.VOID: (_S.TRACE, None),
        _E.REFUND: (_S.REFUND_TRACE, None),
        _E.REDUCE: (_S.REDUCE_TRACE, None),
        _E.REPRINT: (_S.REPRINT_TRACE, None),
        _E.SETTLE: (_S.SETTLE, None),
        _E.CUT_OFF: (_S.SETTLING, _F.SEND_TOTALS),
        _E.COMPLAINT: (_S.COMPLAINT, None),
    },
    _S.PROXY: {
        _E.PROXY_TAKEN: (_S.AMOUNT, None),
        _E.PROXY_REFUSED: (_S.PROXY, None),
        _E.CANCEL: (_S.MENU, None),
    },
    _S.ITEMS: {
        _E.ITEM_TAKEN: (_S.ITEMS, None),
        _E.ITEM_REFUSED: (_S.ITEMS, None),
        _E.ITEMS_DONE: (_S.CARD, _F.WAIT_CARD),
        _E.AMOUNT_REFUSED: (_S.ITEMS, None),
        _E.CANCEL: (_S.MENU, None),
    },
    _S.AMOUNT: {
        _E.AMOUNT_TAKEN: (_S.CARD, _F.WAIT_CARD),
        _E.AMOUNT_REFUSED: (_S.AMOUNT, None),
        _E.CANCEL: (_S.MENU, None),
    },
    _S.CARD: {
        _E.CARD_INSERTED: (_S.READING, _F.READ_CARD),
        _E.CARD_FAILED: _FAILED,
        _E.CANCEL: (_S.MENU, None),
    },
    _S.READING: {
        _E.CARD_READ: (_S.WAITING, _F.ASK_HOST),
        _E.PIN_WANTED: (_S.PIN, _F.ASK_PIN),
        _E.SAME_AGAIN: (_S.REPEAT, _F.ASK_REPEAT),
        _E.CARD_FAILED: _FAILED,
    },
    _S.REPEAT: {
        _E.SELL_ANYWAY: (_S.PIN, _F.ASK_PIN),
        _E.SHOW_EARLIER: (_S.RESULT, _F.RELEASE),
        _E.CANCEL: _CANCELLED,
    },
    _S.PIN: {
        _E.PIN_TAKEN: (_S.WAITING, _F.ASK_HOST),
        _E.OLD_PIN_TAKEN: (_S.NEW_PIN, _F.ASK_NEW_PIN),
        _E.PIN_REFUSED: (_S.PIN, _F.ASK_PIN),
        _E.CARD_FAILED: _FAILED,
        _E.CANCEL: _CANCELLED,
    },
    _S.NEW_PIN: {
        _E.PIN_TAKEN: (_S.NEW_PIN_AGAIN, _F.ASK_NEW_PIN_AGAIN),
        _E.PIN_REFUSED: (_S.NEW_PIN, _F.ASK_NEW_PIN),
        _E.CANCEL: _CANCELLED,
    },
    _S.NEW_PIN_AGAIN: {
        _E.PIN_TAKEN: (_S.WAITING, _F.ASK_HOST),
        _E.PIN_DIFFERS: (_S.NEW_PIN, _F.ASK_NEW_PIN),
        _E.CANCEL: _CANCELLED,
    },
    _S.WAITING: {
        _E.NO_LINE: _FAILED,
        _E.OUTAGE: (_S.VOUCHER, _F.OFFER_VOUCHER),
        _E.CARD_FAILED: _FAILED,
        _E.APPROVED: (_S.DECIDING, _F.ASK_CHIP),
        _E.FINISHED: (_S.RESULT, _F.RELEASE),
        _E.NO_ANSWER: (_S.UNDOING, _F.UNDO),
    },
    _S.DECIDING: {
        _E.CARD_CONFIRMED: (_S.RESULT, _F.RELEASE),
        _E.CARD_DECLINED: (_S.UNDOING, _F.UNDO),
    },
    _S.UNDOING: {
        _E.UNDONE: (_S.RESULT, _F.RELEASE),
        _E.STILL_OWED: (_S.RESULT, _F.RELEASE),
    },
    _S.VOUCHER: {
        _E.CONFIRMED: (_S.SIGNING, _F.SIGN_VOUCHER),
        _E.CANCEL: _FAILED,
    },
    _S.SIGNING: {
        _E.CARD_CONFIRMED: (_S.RESULT, _F.RELEASE),
        _E.CARD_FAILED: _FAILED,
    },
    _S.TRACE: {
        _E.TRACE_TAKEN: (_S.CONFIRM, None),
        _E.TRACE_REFUSED: (_S.TRACE, None),
        _E.CANCEL: (_S.MENU, None),
    },
    _S.CONFIRM: {
        _E.CONFIRMED: (_S.WAITING, _F.ASK_HOST),
        _E.CANCEL: (_S.MENU, None),
    },
    _S.REFUND_TRACE: {
        _E.TRACE_TAKEN: (_S.REFUND_AMOUNT, None),
        _E.TRACE_REFUSED: (_S.REFUND_TRACE, None),
        _E.CANCEL: (_S.MENU, None),
    },
    _S.REFUND_AMOUNT: {
        _E.AMOUNT_TAKEN: (_S.SUPERVISOR, None),
        _E.AMOUNT_REFUSED: (_S.REFUND_AMOUNT, None),
        _E.CANCEL: (_S.MENU, None),
    },
    _S.SUPERVISOR: {
        _E.SUPERVISOR_AGREED: (_S.CARD, _F.WAIT_CARD),
        _E.SUPERVISOR_REFUSED: (_S.SUPERVISOR, None),
        _E.SUPERVISOR_ENDED: (_S.MENU, None),
        _E.CANCEL: (_S.MENU, None),
    },
    _S.REDUCE_TRACE: {
        _E.TRACE_TAKEN: (_S.REDUCE_AMOUNT, None),
        _E.TRACE_REFUSED: (_S.REDUCE_TRACE, None),
        _E.CANCEL: (_S.MENU, None),
    },
    _S.REDUCE_AMOUNT: {
        _E.AMOUNT_TAKEN: (_S.REDUCING, _F.SEND_REDUCTION),
        _E.AMOUNT_REFUSED: (_S.REDUCE_AMOUNT, None),
        _E.CANCEL: (_S.MENU, None),
    },
    _S.REDUCING: {
        _E.UNDONE: (_S.RESULT, _F.RELEASE),
        _E.STILL_OWED: (_S.RESULT, _F.RELEASE),
    },
    _S.REPRINT_TRACE: {
        _E.TRACE_TAKEN: (_S.RESULT, _F.RELEASE),
        _E.TRACE_REFUSED: (_S.REPRINT_TRACE, None),
        _E.CANCEL: (_S.MENU, None),
    },
    _S.SETTLE: {
        _E.CONFIRMED: (_S.SETTLING, _F.SEND_TOTALS),
        _E.CANCEL: (_S.MENU, None),
    },
    _S.SETTLING: {
        _E.SETTLED: (_S.RESULT, _F.RELEASE),
        _E.MISMATCH: (_S.UPLOADING, _F.UPLOAD),
        _E.STILL_OWED: (_S.RESULT, _F.RELEASE),
    },
    _S.UPLOADING: {
        _E.SETTLED: (_S.RESULT, _F.RELEASE),
        _E.STILL_OWED: (_S.RESULT, _F.RELEASE),
    },
    _S.COMPLAINT: {
        _E.CATEGORY_TAKEN: (_S.RESULT, _F.KEEP_COMPLAINT),
        _E.CATEGORY_REFUSED: (_S.COMPLAINT, None),
        _E.CANCEL: (_S.MENU, None),
    },
    _S.RESULT: {_E.DONE: (_S.MENU, None)},
}

#: States in which money may be on its way: no key of the operator leads out of them.
MONEY_IN_FLIGHT = frozenset(
    {
        *(_S.WAITING, _S.DECIDING, _S.UNDOING, _S.REDUCING),
        *(_S.SIGNING, _S.SETTLING, _S.UPLOADING),
    }
)

#: Keys of the operator and the holder; all other events come from card, host and checks.
OPERATOR_KEYS = frozenset(
    {
        _E.LOG_ON,
        _E.LOG_OFF,
        _E.PURCHASE,
        _E.BASKET,
        _E.PROXY,
        _E.BALANCE,
        _E.STATEMENT,
        _E.VOID,
        _E.REFUND,
        _E.REDUCE,
        _E.REPRINT,
        _E.SETTLE,
        _E.PIN_CHANGE,
        _E.COMPLAINT,
        _E.ITEMS_DONE,
        _E.CONFIRMED,
        _E.SELL_ANYWAY,
        _E.SHOW_EARLIER,
        _E.CANCEL,
        _E.DONE,
    }
)

#: The whole table: every event in every state. An event without meaning changes nothing.
FLOW: dict[FlowState, dict[FlowEvent, Cell]] = {
    state: {event: _MEANINGFUL[state].get(event, (state, None)) for event in FlowEvent}
    for state in FlowState
}


def means_something(state: FlowState, event: FlowEvent) -> bool:
    """Tell whether an event is decided on purpose in a state, and not ignored."""
    return event in _MEANINGFUL[state]
