"""The host session's transition table: what happens in every state at every input.

One exchange runs at a time. Money that was asked for ends in one of three ways only: refused by an
authentic answer, confirmed by the chip, or owed back; `OWE_REVERSAL` stands wherever the outcome is
not certain. A stored message (voucher, settlement, upload) stays queued until its final answer and
is never reversed. Source: design section 2, step x; ISO 8583:1987, 5.2 (reversals); switch.md 4.4.
"""

from enum import Enum


class State(Enum):
    """What the session waits for."""

    IDLE = "nothing"
    MONEY = "the answer to a request that moves money"
    CARD = "the chip's decision on an approval"
    INQUIRY = "the answer to a request that moves none"
    NETWORK = "the answer to a log-on or key change"
    REVERSAL = "the answer to a reversal"
    DELIVERY = "the answer to a stored message"


class Input(Enum):
    """What can happen, already matched to the exchange in flight and MAC-checked."""

    REQUEST_MONEY = "request money"
    REQUEST_INQUIRY = "request inquiry"
    REQUEST_NETWORK = "request network"
    REQUEST_REVERSAL = "request reversal"
    REQUEST_DELIVERY = "request delivery"
    APPROVED = "authentic approval"
    REFUSED = "authentic refusal"
    TRY_LATER = "authentic answer: not now"
    UNTRUSTED = "answer without a good MAC"
    UNREADABLE = "unreadable bytes"
    STRAY = "message for another exchange"
    TIME_OUT = "time-out"
    LINE_LOST = "line lost"
    CARD_CONFIRMED = "chip confirmed"
    CARD_DECLINED = "chip declined"


class Action(Enum):
    """What the session does."""

    SEND = "journal, then send"
    KEEP_APPROVAL = "journal the approval"
    CLOSE = "journal the refusal"
    FINISH = "hand the answer on"
    COMPLETE = "journal that it stands"
    OWE_REVERSAL = "journal a reversal"
    SETTLE = "journal the reversal's answer"
    KEEP_OWING = "leave the reversal queued"
    DELIVERED = "journal the final answer"
    KEEP_QUEUED = "leave the message queued"
    GIVE_UP = "tell that no answer came"
    NOTE = "note it and wait on"
    MISUSE = "refuse the call"
    IMPOSSIBLE = "cannot happen"


_BUSY = (None, Action.MISUSE)
_NEVER = (None, Action.IMPOSSIBLE)
_NOTED = (None, Action.NOTE)

_REQUESTS_REFUSED = {
    Input.REQUEST_MONEY: _BUSY,
    Input.REQUEST_INQUIRY: _BUSY,
    Input.REQUEST_NETWORK: _BUSY,
    Input.REQUEST_REVERSAL: _BUSY,
    Input.REQUEST_DELIVERY: _BUSY,
}
_CARD_REFUSED = {Input.CARD_CONFIRMED: _BUSY, Input.CARD_DECLINED: _BUSY}
_NO_ANSWER_AWAITED = {
    Input.APPROVED: _NEVER,
    Input.REFUSED: _NEVER,
    Input.TRY_LATER: _NEVER,
    Input.UNTRUSTED: _NEVER,
    Input.UNREADABLE: _NOTED,
    Input.STRAY: _NOTED,
    Input.TIME_OUT: _NEVER,
    Input.LINE_LOST: _NOTED,
}
_OWE = (State.IDLE, Action.OWE_REVERSAL)
_GIVEN_UP = (State.IDLE, Action.GIVE_UP)
_STILL_OWED = (State.IDLE, Action.KEEP_OWING)
_STILL_QUEUED = (State.IDLE, Action.KEEP_QUEUED)

#: (next state, action) by state and input; the next state None means: stay.
TRANSITIONS: dict[State, dict[Input, tuple[State | None, Action]]] = {
    State.IDLE: {
        Input.REQUEST_MONEY: (State.MONEY, Action.SEND),
        Input.REQUEST_INQUIRY: (State.INQUIRY, Action.SEND),
        Input.REQUEST_NETWORK: (State.NETWORK, Action.SEND),
        Input.REQUEST_REVERSAL: (State.REVERSAL, Action.SEND),
        Input.REQUEST_DELIVERY: (State.DELIVERY, Action.SEND),
        **_NO_ANSWER_AWAITED,
        **_CARD_REFUSED,
    },
    State.MONEY: {
        **_REQUESTS_REFUSED,
        Input.APPROVED: (State.CARD, Action.KEEP_APPROVAL),
        Input.REFUSED: (State.IDLE, Action.CLOSE),
        Input.TRY_LATER: _NEVER,
        Input.UNTRUSTED: _OWE,
        Input.UNREADABLE: _OWE,
        Input.STRAY: _NOTED,
        Input.TIME_OUT: _OWE,
        Input.LINE_LOST: _OWE,
        **_CARD_REFUSED,
    },
    State.CARD: {
        **_REQUESTS_REFUSED,
        **_NO_ANSWER_AWAITED,
        Input.CARD_CONFIRMED: (State.IDLE, Action.COMPLETE),
        Input.CARD_DECLINED: _OWE,
    },
    State.INQUIRY: {
        **_REQUESTS_REFUSED,
        Input.APPROVED: (State.IDLE, Action.CLOSE),
        Input.REFUSED: (State.IDLE, Action.CLOSE),
        Input.TRY_LATER: _NEVER,
        Input.UNTRUSTED: _GIVEN_UP,
        Input.UNREADABLE: _GIVEN_UP,
        Input.STRAY: _NOTED,
        Input.TIME_OUT: _GIVEN_UP,
        Input.LINE_LOST: _GIVEN_UP,
        **_CARD_REFUSED,
    },
    State.NETWORK: {
        **_REQUESTS_REFUSED,
        Input.APPROVED: (State.IDLE, Action.FINISH),
        Input.REFUSED: (State.IDLE, Action.FINISH),
        Input.TRY_LATER: _NEVER,
        Input.UNTRUSTED: _GIVEN_UP,
        Input.UNREADABLE: _GIVEN_UP,
        Input.STRAY: _NOTED,
        Input.TIME_OUT: _GIVEN_UP,
        Input.LINE_LOST: _GIVEN_UP,
        **_CARD_REFUSED,
    },
    State.REVERSAL: {
        **_REQUESTS_REFUSED,
        Input.APPROVED: (State.IDLE, Action.SETTLE),
        Input.REFUSED: (State.IDLE, Action.SETTLE),
        Input.TRY_LATER: _STILL_OWED,
        Input.UNTRUSTED: _STILL_OWED,
        Input.UNREADABLE: _STILL_OWED,
        Input.STRAY: _NOTED,
        Input.TIME_OUT: _STILL_OWED,
        Input.LINE_LOST: _STILL_OWED,
        **_CARD_REFUSED,
    },
    State.DELIVERY: {
        **_REQUESTS_REFUSED,
        Input.APPROVED: (State.IDLE, Action.DELIVERED),
        Input.REFUSED: (State.IDLE, Action.DELIVERED),
        Input.TRY_LATER: _STILL_QUEUED,
        Input.UNTRUSTED: _STILL_QUEUED,
        Input.UNREADABLE: _STILL_QUEUED,
        Input.STRAY: _NOTED,
        Input.TIME_OUT: _STILL_QUEUED,
        Input.LINE_LOST: _STILL_QUEUED,
        **_CARD_REFUSED,
    },
}
