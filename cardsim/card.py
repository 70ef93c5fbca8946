"""The virtual card: APDU in, APDU out. No I/O, no clock of its own, no randomness of its own."""

from collections.abc import Callable

from cardsim import cardholder, dynamic, reading, scripts, tap, transaction
from cardsim.application import Application
from cardsim.image import CardImage
from cardsim.memory import OnWrite, OrderedWriter, PowerLost
from cardsim.states import CLASSES, COMMANDS, REFUSALS, CardState
from protocols.clock import Clock, RandomBytes
from protocols.errors import LumbungError

_WRONG_LENGTH = b"\x67\x00"
_NOT_SUPPORTED = b"\x6d\x00"
_CLASS_NOT_SUPPORTED = b"\x6e\x00"
_NO_DATA_WAITING = b"\x69\x85"
_GET_RESPONSE = b"\x00\xc0"
_OK = b"\x90\x00"

Handler = Callable[["Card", bytes, bytes], bytes]


class Card:
    """A card in a slot. Not for use from two threads.

    `image` always holds the state after the last non-volatile write; `writer.on_write` is called
    after each, in order. `clock` and `random_bytes` are the card's only outside; no command of
    today's reads the clock.
    """

    __slots__ = (
        "_pending",
        "applications",
        "clock",
        "contactless",
        "current",
        "directory",
        "image",
        "last_prefix",
        "next_index",
        "powered",
        "random_bytes",
        "state",
        "tap_directory",
        "writer",
    )

    def __init__(
        self,
        image: CardImage,
        clock: Clock,
        random_bytes: RandomBytes,
        *,
        on_write: OnWrite | None = None,
    ) -> None:
        """Make the card ready; it answers after `power`."""
        self.image = image
        self.clock = clock
        self.random_bytes = random_bytes
        self.writer = OrderedWriter(on_write)
        self.applications = tuple(
            Application(item, self.writer, random_bytes) for item in image.applications
        )
        self.directory = reading.build_directory(image)
        self.tap_directory = tap.build_directory(image)
        self.powered = False
        self._forget()

    def __repr__(self) -> str:
        return f"<Card {self.image.serial} {self.state.value}>"

    def power(self) -> bytes:
        """Power the card, or reset it warm, and give its ATR; nothing volatile survives."""
        self._forget()
        self.powered = True
        return self.image.atr

    def power_off(self) -> None:
        """Take power away."""
        self._forget()
        self.powered = False

    def _forget(self) -> None:
        self.state = CardState.CARD_BLOCKED if self.image.blocked else CardState.POWERED
        self.current: Application | None = None
        #: Set by selecting 2PAY.SYS.DDF01: applications show their contactless form.
        self.contactless = False
        self.last_prefix = b""
        self.next_index = 0
        self._pending = b""

    def apdu(self, command: bytes) -> bytes:
        """Give the response to a command APDU (on T=0: a TPDU), at least its status bytes.

        Raises PowerLost when a planned tear falls in one of the command's writes, and what
        `on_write` raises when a write cannot be made durable; the card is off then and the
        command was never answered. Never raises for what a command holds.
        """
        assert self.powered, "a card without power answers nothing"
        holder = self.current
        challenge = holder.challenge if holder is not None else b""
        try:
            answer = self._apdu_t1(command) if self.image.protocol else self._apdu_t0(command)
        except (PowerLost, LumbungError):
            self.power_off()
            raise
        # A challenge is for the next command only, whatever that is. EMV 4.4 Book 3, 6.5.6.
        if challenge and holder is not None and holder.challenge is challenge:
            holder.challenge = b""
        return answer

    def _apdu_t1(self, raw: bytes) -> bytes:
        """Run a command with its Le behind the data. ISO/IEC 7816-4, 5.1."""
        if len(raw) < 5:
            return self._known(raw) or _WRONG_LENGTH
        entry = COMMANDS.get(raw[:2])
        if entry is None:
            return self._unknown(raw)
        if entry.case == 2:
            if len(raw) != 5:
                return _WRONG_LENGTH
            return _fit_le(self._run(entry.name, raw[:4], b""), raw[4])
        end = 5 + raw[4]
        # Case 4 commands end with Le 00 (EMV 4.4 Book 3, 6.3.2), case 3 commands have none.
        if raw[4] == 0 or raw[end:] != (b"\x00" if entry.case == 4 else b""):
            return _WRONG_LENGTH
        return self._run(entry.name, raw[:4], raw[5:end])

    def _apdu_t0(self, raw: bytes) -> bytes:
        """Run a TPDU: P3 is Lc or Le; answers to case 4 wait for GET RESPONSE. Book 1, 9.3.1."""
        if len(raw) < 5:
            return self._known(raw) or _WRONG_LENGTH
        if raw[:2] == _GET_RESPONSE:
            return self._get_response(raw)
        self._pending = b""
        entry = COMMANDS.get(raw[:2])
        if entry is None:
            return self._unknown(raw)
        if entry.case == 2:
            if len(raw) != 5:
                return _WRONG_LENGTH
            return _fit_le(self._run(entry.name, raw[:4], b""), raw[4], strict=True)
        if raw[4] == 0 or len(raw) != 5 + raw[4]:
            return _WRONG_LENGTH
        answer = self._run(entry.name, raw[:4], raw[5:])
        if len(answer) == 2:
            return answer
        self._pending = answer[:-2]
        return b"\x61" + bytes((len(self._pending),)) if answer[-2:] == _OK else answer[-2:]

    def _get_response(self, raw: bytes) -> bytes:
        if not self._pending or len(raw) != 5:
            return _NO_DATA_WAITING if len(raw) == 5 else _WRONG_LENGTH
        if raw[4] != len(self._pending):
            return b"\x6c" + bytes((len(self._pending),))
        answer, self._pending = self._pending + _OK, b""
        return answer

    def _known(self, raw: bytes) -> bytes | None:
        """Give the refusal of a header fragment whose class or instruction is unknown."""
        return self._unknown(raw) if len(raw) >= 2 and raw[:2] not in COMMANDS else None

    @staticmethod
    def _unknown(raw: bytes) -> bytes:
        return _NOT_SUPPORTED if raw[0] in CLASSES else _CLASS_NOT_SUPPORTED

    def _run(self, name: str, header: bytes, data: bytes) -> bytes:
        """Hand a well-shaped command to its function when the state table lets it."""
        refusal = REFUSALS[self.state].get(name)
        return refusal if refusal is not None else _HANDLERS[name](self, header, data)

    def select(self, application: Application) -> None:
        """Make an application the current one and forget the transaction before."""
        self.current = application
        application.reset()
        application.challenge = b""
        self.state = CardState.SELECTED


def _fit_le(answer: bytes, le: int, *, strict: bool = False) -> bytes:
    """Give the answer, or 6Cxx when the expected length is another one (0: any, but on T=0)."""
    length = len(answer) - 2
    if length == 0 or le == length or (le == 0 and not strict):
        return answer
    return b"\x6c" + bytes((length & 0xFF,))


def _selected(card: Card) -> Application:
    assert card.current is not None
    return card.current


def _gpo(card: Card, header: bytes, data: bytes) -> bytes:
    run = tap.get_processing_options if card.contactless else transaction.get_processing_options
    answer, card.state = run(_selected(card), header[2], header[3], data, card.state)
    return answer


def _internal_authenticate(card: Card, header: bytes, data: bytes) -> bytes:
    return dynamic.internal_authenticate(_selected(card), header[2], header[3], data)


def _generate_ac(card: Card, header: bytes, data: bytes) -> bytes:
    answer, card.state = transaction.generate_ac(
        _selected(card), header[2], header[3], data, card.state
    )
    return answer


def _external_authenticate(card: Card, header: bytes, data: bytes) -> bytes:
    answer, card.state = transaction.external_authenticate(
        _selected(card), header[2], header[3], data, card.state
    )
    return answer


def _verify(card: Card, header: bytes, data: bytes) -> bytes:
    return cardholder.verify(_selected(card), header[2], header[3], data)


def _pin_change(card: Card, header: bytes, data: bytes) -> bytes:
    return scripts.pin_change_unblock(_selected(card), header, data)


def _application_block(card: Card, header: bytes, data: bytes) -> bytes:
    return scripts.set_blocked(_selected(card), header, data, True)


def _application_unblock(card: Card, header: bytes, data: bytes) -> bytes:
    return scripts.set_blocked(_selected(card), header, data, False)


def _card_block(card: Card, header: bytes, data: bytes) -> bytes:
    if header[2] or header[3]:
        return transaction.WRONG_PARAMETERS
    refusal = scripts.accept_script(_selected(card), header, data, 0)
    if refusal is not None:
        return refusal
    card.writer.write(card.image, "blocked", True)
    card.state = CardState.CARD_BLOCKED
    return _OK


def _put_data(card: Card, header: bytes, data: bytes) -> bytes:
    return scripts.put_data(_selected(card), header, data)


def _update_record(card: Card, header: bytes, data: bytes) -> bytes:
    return scripts.update_record(_selected(card), header, data)


def _get_challenge(card: Card, header: bytes, _data: bytes) -> bytes:
    if header[2] or header[3]:
        return transaction.WRONG_PARAMETERS
    challenge = card.random_bytes(8)
    if card.current is not None:
        card.current.challenge = challenge
    return challenge + _OK


_HANDLERS: dict[str, Handler] = {
    "SELECT": reading.select,
    "READ_RECORD": reading.read_record,
    "GET_DATA": reading.get_data,
    "GET_PROCESSING_OPTIONS": _gpo,
    "GENERATE_AC": _generate_ac,
    "EXTERNAL_AUTHENTICATE": _external_authenticate,
    "VERIFY": _verify,
    "GET_CHALLENGE": _get_challenge,
    "PIN_CHANGE_UNBLOCK": _pin_change,
    "APPLICATION_BLOCK": _application_block,
    "APPLICATION_UNBLOCK": _application_unblock,
    "CARD_BLOCK": _card_block,
    "PUT_DATA": _put_data,
    "UPDATE_RECORD": _update_record,
    "INTERNAL_AUTHENTICATE": _internal_authenticate,
}
