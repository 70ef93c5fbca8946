"""The virtual PIN pad as a device: blocks in, blocks out, keys pressed in between. No I/O.

It keeps its transport key and the PIN key that came under it, and lets out nothing but the
enciphered PIN block. What is typed lives from the first key to Enter.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from protocols.crypto import tr31
from protocols.crypto.errors import CryptoError
from protocols.crypto.kcv import kcv
from protocols.crypto.pin import encipher_pin_block
from protocols.values import Pan, SecretBytes
from terminal.limits import PIN_ENTRIES_MAX
from terminal.pin_pad.messages import ACCOUNT_DIGITS, Answer, Code, Request, Verb, read_request

_NS_PER_S = 1_000_000_000
#: Digits that a PIN block can hold. Source: ISO 9564-1:2017, 9.3.1.
_DIGITS_MIN, _DIGITS_MAX = 4, 12
_SECONDS_MAX = 300
ENTER, CANCEL, CLEAR = "\r", "\x1b", "\b"


@dataclass(slots=True)
class _Entry:
    number: int
    pan: Pan
    least: int
    most: int
    ends_ns: int
    typed: str = ""
    wrong: int = 0


@dataclass(slots=True)
class VirtualPinPad:
    """One PIN pad. `take` and `press` give the answer to send, None while there is none."""

    transport_key: SecretBytes
    serial_number: str = "LB-PAD-0001"
    display: str = ""
    #: Called when a PIN is asked for: whoever stands at the pad starts typing.
    on_asked: Callable[[], None] = lambda: None
    _pin_key: SecretBytes | None = None
    _entry: _Entry | None = field(default=None, repr=False)

    @property
    def is_asking(self) -> bool:
        """Tell whether a PIN is being typed."""
        return self._entry is not None

    @property
    def deadline_ns(self) -> int | None:
        """Give when the typing ends by itself."""
        return self._entry.ends_ns if self._entry is not None else None

    def switch_off(self) -> None:
        """Lose the PIN key and whatever was typed; the transport key stays."""
        self._pin_key = self._entry = None
        self.display = ""

    def take(self, content: bytes, now_ns: int) -> bytes | None:
        """Take a request; what is no request gets no answer, for nobody could tell whose it is."""
        request = read_request(content)
        if request is None:
            return None
        match request.verb:
            case Verb.IDENTIFY:
                check = kcv(self._pin_key) if self._pin_key is not None else ""
                return _answer(request, Code.OK, self.serial_number, check)
            case Verb.KEY:
                return self._load(request)
        return self._begin(request, now_ns)

    def press(self, key: str) -> bytes | None:
        """Press one key: a digit, ENTER, CANCEL or CLEAR."""
        entry = self._entry
        if entry is None:
            return None
        if key == CANCEL:
            return self._end(entry, Code.CANCELLED)
        if key == CLEAR:
            entry.typed = ""
        elif key == ENTER:
            return self._enter(entry)
        elif key.isascii() and key.isdigit() and len(key) == 1:
            # A digit too many is no part of a PIN: the whole entry counts as too long.
            entry.typed = (entry.typed + key)[: entry.most + 1]
        self.display = "*" * min(len(entry.typed), entry.most)
        return None

    def tick(self, now_ns: int) -> bytes | None:
        """Tell the time."""
        entry = self._entry
        if entry is None or now_ns < entry.ends_ns:
            return None
        return self._end(entry, Code.TIMEOUT)

    def _load(self, request: Request) -> bytes:
        if len(request.fields) != 1:
            return _answer(request, Code.BAD_REQUEST)
        try:
            header, key = tr31.unwrap(self.transport_key, request.fields[0])
            header.require(usage="P0", algorithm="T", modes="E")
        except CryptoError:
            return _answer(request, Code.BAD_KEY)
        self._pin_key = key
        return _answer(request, Code.OK, kcv(key))

    def _begin(self, request: Request, now_ns: int) -> bytes | None:
        if self._pin_key is None:
            return _answer(request, Code.NO_KEY)
        if len(request.fields) != 5:
            return _answer(request, Code.BAD_REQUEST)
        account, *numbers, text = request.fields
        fit = len(account) == ACCOUNT_DIGITS and (account + "".join(numbers)).isdigit()
        if not fit or any(len(number) not in (1, 2, 3) for number in numbers):
            return _answer(request, Code.BAD_REQUEST)
        least, most, seconds = map(int, numbers)
        if not (_DIGITS_MIN <= least <= most <= _DIGITS_MAX and 0 < seconds <= _SECONDS_MAX):
            return _answer(request, Code.BAD_REQUEST)
        # The check digit is no part of what a block binds; any one stands for it here.
        pan = Pan(account + "0")
        self._entry = _Entry(request.number, pan, least, most, now_ns + seconds * _NS_PER_S)
        self.display = text
        self.on_asked()
        return None

    def _enter(self, entry: _Entry) -> bytes | None:
        if not entry.least <= len(entry.typed) <= entry.most:
            entry.typed, entry.wrong = "", entry.wrong + 1
            self.display = f"PIN {entry.least} ANGKA"
            return self._end(entry, Code.LENGTH) if entry.wrong >= PIN_ENTRIES_MAX else None
        assert self._pin_key is not None, "no PIN is asked for without a key"
        block = encipher_pin_block(self._pin_key, entry.typed, entry.pan)
        return self._end(entry, Code.OK, block.reveal().hex().upper())

    def _end(self, entry: _Entry, code: Code, *fields: str) -> bytes:
        self._entry, self.display = None, ""
        return Answer(entry.number, Verb.PIN, code, fields).encode()


def _answer(request: Request, code: Code, *fields: str) -> bytes:
    return Answer(request.number, request.verb, code, fields).encode()
