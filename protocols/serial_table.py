"""The serial line's state machine as a table: (state, event) -> (next state, action).

Theory of operation. One end bids with ENQ; the other invites it with ACK. One block follows,
STX content ETX LRC; ACK takes it, NAK asks for it again; EOT ends the bid. Every wait is bounded:
the machine turns its time-outs and spent tries into events of their own (`*_LAST`), so the table
has no conditions. `serial_line.py` makes events of bytes and time and carries the actions out.
"""

from enum import StrEnum


class LineState(StrEnum):
    """Where one end of the line stands."""

    IDLE = "nobody bids"
    BIDDING = "we sent ENQ and wait for ACK"
    SENDING = "we sent the block and wait for ACK or NAK"
    READY = "the peer was invited, its block is to come"
    RECEIVING = "inside the peer's block"
    DELIVERED = "a block was taken, the end or a repeat is to come"
    REPEATED = "inside a block after one that was taken"


class LineEvent(StrEnum):
    """What can happen."""

    SEND = "somebody here wants to send"
    ENQ = "the peer bids"
    ACK = "the peer says yes"
    NAK = "the peer says no, tries are left"
    NAK_LAST = "the peer says no to the last try"
    EOT = "the peer ends"
    STX = "a block begins"
    GOOD = "a block is whole and right"
    GOOD_SAME = "a block is whole and equals the one just taken"
    BAD = "a block is wrong, tries are left"
    BAD_LAST = "a block is wrong for the last time"
    NOISE = "a byte that means nothing here"
    TIMEOUT = "the time of this state is over, tries are left"
    TIMEOUT_LAST = "the time of this state is over for the last try"


class LineAction(StrEnum):
    """What is done; what is written stands first."""

    NONE = "nothing"
    HOLD = "nothing; what is to be sent waits for the line to be idle"
    DISTRUST = "nothing; believe no control character until the line was quiet"
    BID = "ENQ"
    SEND_BLOCK = "the block"
    FINISH = "EOT; tell that it was sent"
    GIVE_UP = "EOT; tell that it was not sent"
    STOPPED = "nothing; tell that it was not sent"
    INVITE = "ACK; wait for a block"
    OPEN = "nothing; read a block"
    DELIVER = "ACK; hand the block over"
    CONFIRM = "ACK; the block was handed over before"
    REJECT = "NAK"
    REFUSE = "EOT; the peer's block never came whole"
    CLOSE = "nothing; the bid is over"
    NEVER = "cannot happen: a bug"


_S, _E, _A = LineState, LineEvent, LineAction

Row = dict[LineEvent, tuple[LineState, LineAction]]

#: Bytes outside a block; inside one they are its content, so these events cannot come there.
_OUTSIDE = (_E.ENQ, _E.ACK, _E.NAK, _E.NAK_LAST, _E.EOT, _E.STX, _E.NOISE)
#: What only the reader of a block says.
_INSIDE = (_E.GOOD, _E.GOOD_SAME, _E.BAD, _E.BAD_LAST)


def _same(state: LineState, action: LineAction, *events: LineEvent) -> Row:
    return dict.fromkeys(events, (state, action))


TABLE: dict[LineState, Row] = {
    _S.IDLE: {
        _E.SEND: (_S.BIDDING, _A.BID),
        _E.ENQ: (_S.READY, _A.INVITE),
        **_same(_S.IDLE, _A.NONE, _E.ACK, _E.NAK, _E.NAK_LAST, _E.EOT),
        **_same(_S.IDLE, _A.DISTRUST, _E.STX, _E.NOISE),
        **_same(_S.IDLE, _A.NEVER, *_INSIDE, _E.TIMEOUT, _E.TIMEOUT_LAST),
    },
    _S.BIDDING: {
        _E.SEND: (_S.BIDDING, _A.HOLD),
        _E.ENQ: (_S.READY, _A.INVITE),  # both bid: the secondary gives way, see PRIMARY
        _E.ACK: (_S.SENDING, _A.SEND_BLOCK),
        **_same(_S.BIDDING, _A.NONE, _E.NAK, _E.NAK_LAST, _E.EOT),
        **_same(_S.BIDDING, _A.DISTRUST, _E.STX, _E.NOISE),
        _E.TIMEOUT: (_S.BIDDING, _A.BID),
        _E.TIMEOUT_LAST: (_S.IDLE, _A.GIVE_UP),
        **_same(_S.BIDDING, _A.NEVER, *_INSIDE),
    },
    _S.SENDING: {
        _E.SEND: (_S.SENDING, _A.HOLD),
        _E.ENQ: (_S.SENDING, _A.NONE),
        _E.ACK: (_S.IDLE, _A.FINISH),
        _E.NAK: (_S.SENDING, _A.SEND_BLOCK),
        _E.NAK_LAST: (_S.IDLE, _A.GIVE_UP),
        _E.EOT: (_S.IDLE, _A.STOPPED),
        **_same(_S.SENDING, _A.DISTRUST, _E.STX, _E.NOISE),
        _E.TIMEOUT: (_S.SENDING, _A.SEND_BLOCK),
        _E.TIMEOUT_LAST: (_S.IDLE, _A.GIVE_UP),
        **_same(_S.SENDING, _A.NEVER, *_INSIDE),
    },
    _S.READY: {
        _E.SEND: (_S.READY, _A.HOLD),
        _E.ENQ: (_S.READY, _A.INVITE),  # our ACK was lost
        _E.STX: (_S.RECEIVING, _A.OPEN),
        _E.EOT: (_S.IDLE, _A.CLOSE),
        **_same(_S.READY, _A.NONE, _E.ACK, _E.NAK, _E.NAK_LAST),
        _E.NOISE: (_S.READY, _A.DISTRUST),
        **_same(_S.IDLE, _A.CLOSE, _E.TIMEOUT, _E.TIMEOUT_LAST),
        **_same(_S.READY, _A.NEVER, *_INSIDE),
    },
    _S.RECEIVING: {
        _E.SEND: (_S.RECEIVING, _A.HOLD),
        _E.GOOD: (_S.DELIVERED, _A.DELIVER),
        **_same(_S.READY, _A.REJECT, _E.BAD, _E.TIMEOUT),
        **_same(_S.IDLE, _A.REFUSE, _E.BAD_LAST, _E.TIMEOUT_LAST),
        **_same(_S.RECEIVING, _A.NEVER, *_OUTSIDE, _E.GOOD_SAME),
    },
    _S.DELIVERED: {
        _E.SEND: (_S.DELIVERED, _A.HOLD),
        _E.ENQ: (_S.READY, _A.INVITE),  # the EOT was lost, a new bid begins
        _E.STX: (_S.REPEATED, _A.OPEN),
        _E.EOT: (_S.IDLE, _A.CLOSE),
        **_same(_S.DELIVERED, _A.NONE, _E.ACK, _E.NAK, _E.NAK_LAST),
        _E.NOISE: (_S.DELIVERED, _A.DISTRUST),
        **_same(_S.IDLE, _A.CLOSE, _E.TIMEOUT, _E.TIMEOUT_LAST),
        **_same(_S.DELIVERED, _A.NEVER, *_INSIDE),
    },
    _S.REPEATED: {
        _E.SEND: (_S.REPEATED, _A.HOLD),
        _E.GOOD: (_S.DELIVERED, _A.DELIVER),
        _E.GOOD_SAME: (_S.DELIVERED, _A.CONFIRM),  # our ACK was lost
        **_same(_S.DELIVERED, _A.REJECT, _E.BAD, _E.TIMEOUT),
        **_same(_S.IDLE, _A.REFUSE, _E.BAD_LAST, _E.TIMEOUT_LAST),
        **_same(_S.REPEATED, _A.NEVER, *_OUTSIDE),
    },
}

#: What the primary end does otherwise: when both bid, it goes on bidding and the other gives way.
PRIMARY: dict[LineState, Row] = {
    **TABLE,
    _S.BIDDING: {**TABLE[_S.BIDDING], _E.ENQ: (_S.BIDDING, _A.NONE)},
}
