"""A link to a host without its socket: sign-on, echo, cut-over, requests, drain. No clock.

Whoever owns the socket feeds bytes and time, writes `data_to_send`, calls `handle_timer` at
`next_timer_ns`, dials at `dial_at_ns`, and closes the connection when `hang_up` is set.
"""

from collections.abc import Hashable
from dataclasses import dataclass

from protocols.business_time import transmission_time
from protocols.iso8583 import Message, MessageError, PureCodec
from switch.back_off import BackOff
from switch.config import HostConfig
from switch.link_states import LINK_TABLE, LinkAction, LinkEvent, LinkState
from switch.mux import Answered, Asked, Broken, Mux, MuxEvent, MuxKeys, NotSent, TimedOut

_SECOND_NS = 1_000_000_000
_MILLISECOND_NS = 1_000_000
_SIGN_ON, _SIGN_OFF, _CUT_OVER, _ECHO = "001", "002", "201", "301"
_STAN_MAX = 999_999


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The link is in another state now."""

    state: LinkState


@dataclass(frozen=True, slots=True)
class HostCutOver:
    """The host has begun another business date (element 15, MMDD), empty when it did not say."""

    date: str


LinkReport = MuxEvent | StateChanged | HostCutOver


@dataclass(frozen=True, slots=True)
class _Own:
    """The token of a message of the link itself."""

    code: str


class HostLink:
    """One link; used by one adapter."""

    def __init__(self, config: HostConfig, codec: PureCodec, now_ns: int) -> None:
        """Begin down, to be dialled at once; `now_ns` is monotonic."""
        self._config = config
        self._mux = Mux(
            codec, config.frames, MuxKeys(config.keys, config.keys_by_mti), window=config.window,
            timeout_ms=config.timeout_ms,
        )  # fmt: skip
        self._back_off = BackOff(config.back_off_ms, config.back_off_longest_ms)
        self.state = LinkState.DOWN
        self.dial_at_ns: int | None = now_ns
        self.hang_up = False
        self._out = bytearray()
        self._reports: list[LinkReport] = []
        self._heard_ns = now_ns
        self._stan = 0
        self._echo_pending = False

    @property
    def pending(self) -> int:
        """Give how many requests await their answer."""
        return self._mux.pending

    def data_to_send(self) -> bytes:
        """Give, once, what must be written."""
        data = bytes(self._out)
        self._out.clear()
        return data

    def submit(self, token: Hashable, request: Message, now_ns: int) -> NotSent | None:
        """Send a request; give why it was not sent, None when it is under way."""
        if self.state is not LinkState.UP:
            return NotSent.NOT_UP
        return self._send(token, request, now_ns)

    def connected(self, now_ns: int, wall_ns: int) -> list[LinkReport]:
        """Take a connection; sign on."""
        self._heard_ns, self.dial_at_ns, self.hang_up = now_ns, None, False
        self._happened(LinkEvent.CONNECTED, now_ns, wall_ns)
        return self._take()

    def lost(self, now_ns: int, wall_ns: int, chance: float) -> list[LinkReport]:
        """Take the end of a connection, or that there was none to be had."""
        self._reports += [e for e in self._mux.lost() if not _is_own(e)]
        self._out.clear()
        self._echo_pending, self.hang_up = False, False
        self._happened(LinkEvent.LOST, now_ns, wall_ns)
        if self.state is LinkState.DOWN:
            wait_ms = self._back_off.next_ms(chance)
            self.dial_at_ns = now_ns + wait_ms * _MILLISECOND_NS
        return self._take()

    def receive_data(self, data: bytes, now_ns: int, wall_ns: int) -> list[LinkReport]:
        """Take bytes; give what they mean to others."""
        self._heard_ns = now_ns
        for event in self._mux.receive_data(data, now_ns):
            self._read(event, now_ns, wall_ns)
        self._when_empty(now_ns, wall_ns)
        return self._take()

    def handle_timer(self, now_ns: int, wall_ns: int) -> list[LinkReport]:
        """Give up what waited too long; echo when the host has been silent."""
        for event in self._mux.handle_timer(now_ns):
            self._read(event, now_ns, wall_ns)
        if self._is_silent(now_ns) and not self._echo_pending:
            self._happened(LinkEvent.SILENCE, now_ns, wall_ns)
        self._when_empty(now_ns, wall_ns)
        return self._take()

    def next_timer_ns(self) -> int | None:
        """Give when `handle_timer` must be called; None when nothing is due."""
        due = [self._mux.next_timer_ns()]
        if self.state is LinkState.UP and not self._echo_pending:
            due.append(self._heard_ns + int(self._config.echo_seconds * _SECOND_NS))
        return min((at for at in due if at is not None), default=None)

    def drain(self, now_ns: int, wall_ns: int) -> list[LinkReport]:
        """Take nothing new, wait for answers, sign off, hang up."""
        self.dial_at_ns = None
        self._happened(LinkEvent.DRAIN, now_ns, wall_ns)
        self._when_empty(now_ns, wall_ns)
        return self._take()

    def _is_silent(self, now_ns: int) -> bool:
        return now_ns >= self._heard_ns + int(self._config.echo_seconds * _SECOND_NS)

    def _when_empty(self, now_ns: int, wall_ns: int) -> None:
        if self.state is LinkState.DRAINING and not self._mux.pending:
            self._happened(LinkEvent.EMPTY, now_ns, wall_ns)

    def _read(self, event: MuxEvent, now_ns: int, wall_ns: int) -> None:
        if isinstance(event, Broken):
            self._reports.append(event)
            self.hang_up = True
        elif isinstance(event, Asked):
            self._answer(event.message, now_ns, wall_ns)
        elif isinstance(event, Answered | TimedOut) and isinstance(event.token, _Own):
            self._own_ended(event.token, event, now_ns, wall_ns)
        else:
            self._reports.append(event)

    def _own_ended(self, own: _Own, event: Answered | TimedOut, now_ns: int, wall_ns: int) -> None:
        """Take the answer to a message of the link itself, or that there was none."""
        is_approved = isinstance(event, Answered) and event.message.get(39) == "00"
        if own.code == _ECHO:
            self._echo_pending = False
        if isinstance(event, TimedOut):
            self._happened(LinkEvent.NO_ECHO, now_ns, wall_ns)
        elif own.code == _SIGN_ON:
            event_name = LinkEvent.SIGN_ON_APPROVED if is_approved else LinkEvent.SIGN_ON_REFUSED
            self._happened(event_name, now_ns, wall_ns)
        elif own.code == _SIGN_OFF:
            self._happened(LinkEvent.SIGNED_OFF, now_ns, wall_ns)

    def _answer(self, request: Message, now_ns: int, wall_ns: int) -> None:
        """Answer the host's own 0800; anything else is for others to look at."""
        if request.mti != "0800":
            self._reports.append(Asked(request))
            return
        code = request.get(70)
        answer = request.response("00" if code in (_SIGN_ON, _SIGN_OFF, _CUT_OVER, _ECHO) else "12")
        try:
            self._out += self._mux.reply(answer)
        except MessageError as error:
            self._reports.append(Broken(error.external))
            return
        if code == _CUT_OVER:
            self._reports.append(HostCutOver(str(request.get(15) or "")))
            self._happened(LinkEvent.CUT_OVER, now_ns, wall_ns)

    def _happened(self, event: LinkEvent, now_ns: int, wall_ns: int) -> None:
        before = self.state
        self.state, action = LINK_TABLE[self.state, event]
        if action is LinkAction.SIGN_ON:
            self._send_own(_SIGN_ON, now_ns, wall_ns)
        elif action is LinkAction.SIGN_OFF:
            self._send_own(_SIGN_OFF, now_ns, wall_ns)
        elif action is LinkAction.ECHO:
            self._echo_pending = True
            self._send_own(_ECHO, now_ns, wall_ns)
        elif action is LinkAction.HANG_UP:
            self.hang_up = True
        elif action is LinkAction.ANNOUNCE:
            self._back_off.succeeded()
        if self.state is not before:
            self._reports.append(StateChanged(self.state))

    def _send_own(self, code: str, now_ns: int, wall_ns: int) -> None:
        self._stan = self._stan % _STAN_MAX + 1
        elements = {7: transmission_time(wall_ns), 11: f"{self._stan:06d}", 70: code}
        refused = self._send(_Own(code), Message("0800", dict(elements)), now_ns)
        if refused is not None:
            # A full window says that the host answers: its silence is not ours to ask about.
            self._echo_pending = False

    def _send(self, token: Hashable, request: Message, now_ns: int) -> NotSent | None:
        data = self._mux.send(token, request, now_ns)
        if isinstance(data, NotSent):
            return data
        self._out += data
        return None

    def _take(self) -> list[LinkReport]:
        reports, self._reports = self._reports, []
        return reports


def _is_own(event: MuxEvent) -> bool:
    return isinstance(event, TimedOut) and isinstance(event.token, _Own)
