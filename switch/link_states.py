"""The states of a link to a host: a declared table, every pair decided (switch.md 4.3)."""

from enum import StrEnum


class LinkState(StrEnum):
    """Where a link stands."""

    DOWN = "down"
    SIGNING_ON = "signing on"
    UP = "up"
    DRAINING = "draining"
    SIGNING_OFF = "signing off"
    CLOSED = "closed"


class LinkEvent(StrEnum):
    """What can happen to it."""

    CONNECTED = "connected"
    LOST = "lost"
    SIGN_ON_APPROVED = "sign-on approved"
    SIGN_ON_REFUSED = "sign-on refused"
    CUT_OVER = "cut-over"
    SILENCE = "silence"
    NO_ECHO = "no echo"
    DRAIN = "drain"
    EMPTY = "empty"
    SIGNED_OFF = "signed off"


class LinkAction(StrEnum):
    """What is to be done about it."""

    NONE = "nothing"
    SIGN_ON = "send sign-on"
    SIGN_OFF = "send sign-off"
    ECHO = "send echo"
    ANNOUNCE = "tell that traffic may begin"
    CUT_OVER = "tell the host's new date"
    HANG_UP = "close the connection"
    DIAL_LATER = "connect again after the back-off"


_S, _E, _A = LinkState, LinkEvent, LinkAction


def _row(
    state: LinkState, decided: dict[LinkEvent, tuple[LinkState, LinkAction]]
) -> dict[tuple[LinkState, LinkEvent], tuple[LinkState, LinkAction]]:
    return {(state, event): decided.get(event, (state, _A.NONE)) for event in LinkEvent}


#: (state, event) -> (state, action). What a row does not name leaves everything as it is.
LINK_TABLE: dict[tuple[LinkState, LinkEvent], tuple[LinkState, LinkAction]] = {
    **_row(_S.DOWN, {
        _E.CONNECTED: (_S.SIGNING_ON, _A.SIGN_ON),
        _E.LOST: (_S.DOWN, _A.DIAL_LATER),
        _E.DRAIN: (_S.CLOSED, _A.NONE),
    }),
    **_row(_S.SIGNING_ON, {
        _E.LOST: (_S.DOWN, _A.DIAL_LATER),
        _E.SIGN_ON_APPROVED: (_S.UP, _A.ANNOUNCE),
        _E.SIGN_ON_REFUSED: (_S.DOWN, _A.HANG_UP),
        _E.NO_ECHO: (_S.DOWN, _A.HANG_UP),
        _E.DRAIN: (_S.CLOSED, _A.HANG_UP),
    }),
    **_row(_S.UP, {
        _E.LOST: (_S.DOWN, _A.DIAL_LATER),
        _E.CUT_OVER: (_S.UP, _A.CUT_OVER),
        _E.SILENCE: (_S.UP, _A.ECHO),
        _E.NO_ECHO: (_S.DOWN, _A.HANG_UP),
        _E.DRAIN: (_S.DRAINING, _A.NONE),
    }),
    **_row(_S.DRAINING, {
        _E.LOST: (_S.CLOSED, _A.NONE),
        _E.NO_ECHO: (_S.CLOSED, _A.HANG_UP),
        _E.CUT_OVER: (_S.DRAINING, _A.CUT_OVER),
        _E.EMPTY: (_S.SIGNING_OFF, _A.SIGN_OFF),
    }),
    **_row(_S.SIGNING_OFF, {
        _E.LOST: (_S.CLOSED, _A.NONE),
        _E.NO_ECHO: (_S.CLOSED, _A.HANG_UP),
        _E.SIGNED_OFF: (_S.CLOSED, _A.HANG_UP),
    }),
    **_row(_S.CLOSED, {}),
}  # fmt: skip
