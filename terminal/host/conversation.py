"""One exchange after another with the host, as a state table without any I/O.

The caller opens the line, hands in bytes, time and decisions, and carries out the events in order:
`Persist` is durable before the next event is looked at, so that a request's intent stands on disk
before a byte of it leaves. Whatever is not certain is owed back: see `terminal.host.table`. What is
stored and forwarded stands in `terminal.host.lanes`.
"""

from collections import deque

from protocols.business_time import rrn_for, transmission_time
from protocols.clock import RandomBytes
from protocols.errors import LumbungError
from protocols.framing import EDC_FRAMES, Framer, FramingError
from protocols.iso8583 import Message, answer_mti
from protocols.values import SecretBytes
from terminal.errors import NotLoggedOnError, SessionBusyError
from terminal.host import events as out
from terminal.host.answers import HostAnswer, UnreadableAnswerError
from terminal.host.events import Event, HostProfile, Instant
from terminal.host.messages import (
    KEY_CHANGE,
    LOG_OFF,
    TRY_LATER_CODES,
    MessageBuilder,
    Numbers,
)
from terminal.host.table import TRANSITIONS, Action, Input, State
from terminal.journal.records import (
    Completed,
    Intent,
    Kind,
    LoggedOff,
    Record,
    ReversalAnswered,
    ReversalCause,
    ReversalQueued,
)
from terminal.journal.state import JournalState
from terminal.journal.transactions import APPROVALS, UNDONE, Status, Transaction
from terminal.keystore import SessionKeys, TerminalKeys
from terminal.limits import STRAY_MESSAGES_MAX

_NS_PER_MS = 1_000_000
_INQUIRIES = (State.MONEY, State.INQUIRY)


class Conversation:
    """Sends one message at a time and takes its answer. `HostSession` makes the requests."""

    def __init__(
        self,
        profile: HostProfile,
        journal: JournalState,
        keys: TerminalKeys,
        random_bytes: RandomBytes,
    ) -> None:
        """Take over a recovered journal state; call `recover` before anything else."""
        self.journal = journal
        self._profile = profile
        self._keys = keys
        self._messages = MessageBuilder(profile, random_bytes)
        if journal.logged_on is not None:
            shop = journal.logged_on
            self._messages.sign_on(shop.merchant_id, shop.operator or profile.operator)
        self._state = State.IDLE
        self._events: deque[Event] = deque()
        self._framer = Framer(EDC_FRAMES)
        self._stan = 0
        self._answer_mti = ""
        self._answer_rrn = ""
        self._mac_key: SecretBytes | None = None
        self._network_code = ""
        self._network_intent: Intent | None = None
        self._deadline_ns: int | None = None
        self._strays = 0

    @property
    def state(self) -> State:
        """Give what the session waits for."""
        return self._state

    @property
    def profile(self) -> HostProfile:
        """Give who sends: the terminal, its shop, its operator."""
        return self._messages.profile

    @property
    def has_session_keys(self) -> bool:
        """Tell whether a key change has ever succeeded."""
        return self._keys.session is not None

    @property
    def session_keys(self) -> SessionKeys:
        """Give the keys of the moment; raise NotLoggedOnError before the first."""
        return self._session_keys()

    def next_event(self) -> Event | None:
        """Give the next thing to do, None when there is nothing."""
        return self._events.popleft() if self._events else None

    def get_timer(self) -> int | None:
        """Give the monotonic time in ns at which `handle_timer` must be called, or None."""
        return self._deadline_ns

    def recover(self, now: Instant) -> None:
        """Owe a reversal for every money request that a power cut left undecided."""
        for transaction in self.journal.undecided():
            self._owe(transaction, ReversalCause.POWER_LOSS, now)

    # The line

    def line_opened(self) -> None:
        """Forget bytes of an earlier connection."""
        self._framer = Framer(EDC_FRAMES)

    def line_lost(self, now: Instant) -> None:
        """Take the end of the connection: no answer can come any more."""
        self._no_answer(Input.LINE_LOST, ReversalCause.CONNECTION_LOST, now)

    def handle_timer(self, now: Instant) -> None:
        """Give up waiting when the deadline has passed; otherwise do nothing."""
        if self._deadline_ns is not None and now.monotonic_ns >= self._deadline_ns:
            self._no_answer(Input.TIME_OUT, ReversalCause.NO_ANSWER, now)

    def receive_data(self, data: bytes, now: Instant) -> None:
        """Take bytes from the line, in any portions."""
        try:
            frames, broken = self._framer.feed(data), False
        except FramingError as error:
            frames, broken = error.frames, True
        for frame in frames:
            if frame.payload:
                self._receive_message(frame.payload, now)
        if broken:
            self._no_answer(Input.UNREADABLE, ReversalCause.UNREADABLE, now)

    def _receive_message(self, raw: bytes, now: Instant) -> None:
        try:
            answer = HostAnswer.read(self._messages.codec, raw)
        except UnreadableAnswerError:
            self._no_answer(Input.UNREADABLE, ReversalCause.UNREADABLE, now)
            return
        if not self._is_ours(answer):
            self._stray(answer, now)
        elif not self._is_authentic(answer):
            code = answer.response_code
            self._no_answer(Input.UNTRUSTED, ReversalCause.BAD_MAC, now, code)
        else:
            self._take_answer(answer, now)

    def _is_ours(self, answer: HostAnswer) -> bool:
        awaited = (*_INQUIRIES, State.NETWORK, State.REVERSAL, State.DELIVERY)
        return self._state in awaited and answer.fits(
            self._answer_mti, self._awaited_stan(), self._answer_rrn, self._profile.terminal_id
        )

    def _awaited_stan(self) -> int:
        if self._state is State.REVERSAL:
            reversal = self._current().owed
            assert reversal is not None, "a reversal is in flight"
            return reversal.reversal_stan
        return self._stan

    def _is_authentic(self, answer: HostAnswer) -> bool:
        """Check the MAC over the raw bytes; key blocks of a key change prove themselves."""
        if self._mac_key is None:
            return True
        return answer.mac_is_good(self._mac_key)

    def _take_answer(self, answer: HostAnswer, now: Instant) -> None:
        if self._state is State.NETWORK:
            self._take_network(answer, now)
        elif self._state is State.REVERSAL:
            self._take_reversal_answer(answer, now)
        elif self._state is State.DELIVERY:
            self._take_delivery(answer, now)
        else:
            self._take_money_answer(answer, now)

    def _take_money_answer(self, answer: HostAnswer, now: Instant) -> None:
        try:
            record = answer.record(self._current().intent, now.utc_ns)
        except UnreadableAnswerError:
            self._no_answer(Input.UNREADABLE, ReversalCause.UNREADABLE, now)
            return
        approved = answer.response_code in APPROVALS
        action = self._enter(Input.APPROVED if approved else Input.REFUSED)
        kind = self._current().intent.kind
        is_final = action is Action.KEEP_APPROVAL and kind in (Kind.VOID, Kind.REFUND)
        if is_final:
            # No chip decides about money that comes back: approval and completion are one step.
            self._enter(Input.CARD_CONFIRMED)
            self._persist(record, Completed(stan=self._stan, completed_ns=now.utc_ns))
        else:
            self._persist(record)
        self._emit(out.Answered(self._current(), answer.issuer_data))
        if is_final:
            self._emit(out.Completed(self._current()))

    def _take_reversal_answer(self, answer: HostAnswer, now: Instant) -> None:
        code = answer.response_code
        if code in TRY_LATER_CODES:
            self._enter(Input.TRY_LATER)
            self._emit(out.ReversalStillOwed(self._current(), code))
            return
        self._enter(Input.APPROVED if code in UNDONE else Input.REFUSED)
        answered = ReversalAnswered(stan=self._stan, response_code=code, answered_ns=now.utc_ns)
        self._persist(answered)
        self._emit(out.ReversalClosed(self._current(), code in UNDONE))

    def _take_delivery(self, answer: HostAnswer, now: Instant) -> None:
        code = answer.response_code
        if code in TRY_LATER_CODES:
            self._enter(Input.TRY_LATER)
            self._emit(out.StillQueued(self._current(), code))
            return
        try:
            record = answer.record(self._current().intent, now.utc_ns)
        except UnreadableAnswerError:
            self._no_answer(Input.UNREADABLE, ReversalCause.UNREADABLE, now)
            return
        self._enter(Input.APPROVED if code in APPROVALS else Input.REFUSED)
        self._persist(record)
        self._emit(out.Delivered(self._current()))

    def _take_network(self, answer: HostAnswer, now: Instant) -> None:
        code = answer.response_code
        approved = code in APPROVALS
        if approved and self._network_code == KEY_CHANGE:
            try:
                keys = answer.session_keys(self._keys.tmk)
            except LumbungError:
                self._no_answer(Input.UNTRUSTED, ReversalCause.BAD_MAC, now, code)
                return
            self._keys = TerminalKeys(self._keys.tmk, keys)
            self._emit(out.StoreKeys(keys))
        elif self._network_code == LOG_OFF and approved:
            self._persist(LoggedOff(logged_off_ns=now.utc_ns))
        elif approved:
            assert self._network_intent is not None, "a log-on is in flight"
            self._persist(answer.logged_on(self._network_intent, now.utc_ns))
        self._enter(Input.APPROVED if approved else Input.REFUSED)
        self._emit(out.NetworkAnswered(self._network_code, code))

    def _no_answer(
        self, what: Input, cause: ReversalCause, now: Instant, claimed_code: str = ""
    ) -> None:
        action = self._enter(what)
        if action is Action.OWE_REVERSAL:
            self._owe(self._current(), cause, now, claimed_code)
        elif action is Action.KEEP_OWING:
            self._emit(out.ReversalStillOwed(self._current(), claimed_code))
        elif action is Action.KEEP_QUEUED:
            self._emit(out.StillQueued(self._current(), claimed_code))
        elif action is Action.GIVE_UP:
            self._emit(out.NoAnswer(cause, claimed_code))

    def _stray(self, answer: HostAnswer, now: Instant) -> None:
        """Look past a message; a late approval is being reversed already, so noting suffices."""
        late = self.journal.transactions.get(answer.stan)
        undone = (Status.REVERSING, Status.REVERSED, Status.DISPUTED)
        is_late = late is not None and late.status in undone and late.intent.rrn == answer.rrn
        approved = answer.response_code in APPROVALS
        self._emit(out.Stray(answer.stan if is_late else 0, approved))
        self._strays += 1
        if self._strays > STRAY_MESSAGES_MAX:
            self._no_answer(Input.UNREADABLE, ReversalCause.UNREADABLE, now)

    # Steps shared by several inputs

    def _begin_network(self, network_code: str, now: Instant) -> None:
        keys = self._session_keys() if network_code != KEY_CHANGE else None
        self._enter(Input.REQUEST_NETWORK)
        self._network_code = network_code
        intent = self._messages.intent(Kind.NETWORK, self._numbers(now))
        self._network_intent = intent
        message = self._messages.network(intent, network_code, keys or self._keys.session)
        self._send_intent(intent, message, keys, now)

    def _numbers(self, now: Instant) -> Numbers:
        stan = self.journal.next_stan()
        return Numbers(
            stan=stan,
            rrn=rrn_for(now.utc_ns, stan),
            transmission_time=transmission_time(now.utc_ns),
            started_ns=now.utc_ns,
            batch=self.journal.batch,
            merchant_id=self._messages.profile.merchant_id,
        )

    def _send_intent(
        self, intent: Intent, message: Message, keys: SessionKeys | None, now: Instant
    ) -> None:
        self._stan = intent.stan
        self._persist(intent)
        self._transmit(message, keys, now)

    def _transmit(self, message: Message, keys: SessionKeys | None, now: Instant) -> None:
        self._answer_mti = answer_mti(message.mti)
        self._answer_rrn = str(message.get(37, ""))
        self._mac_key = keys.mac if keys else None
        self._strays = 0
        self._emit(out.Transmit(self._messages.frame(message, self._mac_key)))
        self._deadline_ns = now.monotonic_ns + self._profile.timeout_ms * _NS_PER_MS

    def _owe(
        self,
        transaction: Transaction,
        cause: ReversalCause,
        now: Instant,
        claimed_code: str = "",
        *,
        actual_sen: int = 0,
    ) -> None:
        stan = transaction.intent.stan
        self._persist(
            ReversalQueued(
                stan=stan,
                reversal_stan=self.journal.next_stan(),
                transmission_time=transmission_time(now.utc_ns),
                queued_ns=now.utc_ns,
                cause=cause,
                actual_sen=actual_sen,
            )
        )
        self._emit(out.ReversalOwed(self.journal.transactions[stan], cause, claimed_code))

    def _current(self) -> Transaction:
        return self.journal.transactions[self._stan]

    def _session_keys(self) -> SessionKeys:
        if self._keys.session is None:
            raise NotLoggedOnError(
                "The terminal has no session keys.", fix="Log on before anything else."
            )
        return self._keys.session

    def _enter(self, what: Input) -> Action:
        """Walk the table: give the action, change the state, stop the timer when waiting ends."""
        following, action = TRANSITIONS[self._state][what]
        assert action is not Action.IMPOSSIBLE, f"{what} in {self._state}"
        if action is Action.MISUSE:
            raise SessionBusyError(
                f"The terminal is busy: it waits for {self._state.value}.",
                internal=f"{what.value} while waiting for {self._state.value}",
                fix="Wait for the result.",
            )
        if following is not None:
            self._state = following
            self._deadline_ns = None
        return action

    def _persist(self, *records: Record) -> None:
        for record in records:
            self.journal.apply(record)
        self._emit(out.Persist(records))

    def _emit(self, event: Event) -> None:
        self._events.append(event)
