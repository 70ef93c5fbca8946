"""Frames on a byte stream: where one message ends and the next begins. Bytes in, frames out.

A frame is a length, then (by spec) a TPDU, a header, and the message. The framer is incremental
and bounded: it takes bytes in any pieces, never holds more than one unfinished frame of the
allowed size, and refuses a length above it at once, before a byte of the body is kept.

Theory of operation: `Framer` has two states, waiting for a length and waiting for a body; both
only grow the buffer. An error is final: a stream whose lengths cannot be trusted has no next
frame, so the link must be closed.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from protocols.errors import LumbungError

#: Largest body of a frame: a codec message (16,384) with TPDU and header.
FRAME_BYTES_MAX = 16_640

#: TPDU: identifier 60, destination, source; the addresses are four BCD digits each.
TPDU_BYTES = 5
TPDU_ID = 0x60

LENGTH_ENCODINGS = ("big-endian", "little-endian", "ascii", "bcd")


class FramingError(LumbungError):
    """The stream is not a sequence of frames of this spec; close the link.

    `frames` are those completed by the same `feed` before the fault.
    """

    code = "E-PR-0201"

    def __init__(self, external: str, frames: list["Frame"] | None = None) -> None:
        """Keep the frames that were whole."""
        super().__init__(external, fix="Close the link; check its framing settings.")
        self.frames = frames or []


@dataclass(frozen=True, slots=True)
class FrameSpec:
    """How frames of a link look.

    `length_size`: bytes of the length (2 or 4 binary or ASCII digits; in `bcd` 2 bytes are four
    digits). `includes_self`: the length counts itself too. `tpdu_size` is 5 or 0, `header_size`
    the bytes of a proprietary header between TPDU and message, kept as they are. A zero length is
    a keep-alive. `largest` is the largest body that can be written and is allowed.
    """

    length_size: int = 2
    length_encoding: str = "big-endian"
    includes_self: bool = False
    tpdu_size: int = TPDU_BYTES
    header_size: int = 0
    body_max: int = FRAME_BYTES_MAX
    largest: int = field(init=False)

    def __post_init__(self) -> None:
        assert self.length_encoding in LENGTH_ENCODINGS
        assert self.length_size in (2, 4)
        assert self.tpdu_size in (0, TPDU_BYTES)
        assert 0 <= self.header_size <= 256
        assert self.body_max <= FRAME_BYTES_MAX
        digits = self.length_size if self.length_encoding == "ascii" else self.length_size * 2
        is_decimal = self.length_encoding in ("ascii", "bcd")
        writable = 10**digits - 1 if is_decimal else (1 << 8 * self.length_size) - 1
        own = self.length_size if self.includes_self else 0
        object.__setattr__(self, "largest", min(self.body_max, writable - own))


class Frame(NamedTuple):
    """One frame: TPDU, message, header. A keep-alive has neither; the repr shows sizes only."""

    tpdu: bytes
    payload: bytes
    header: bytes = b""

    def __repr__(self) -> str:
        return f"<Frame tpdu={self.tpdu.hex()} payload={len(self.payload)} bytes>"


#: Terminal to switch: 2-byte big-endian length of TPDU and message. Source: domain.md 4.1.
EDC_FRAMES = FrameSpec()

#: Bank link: four ASCII digits, no TPDU. Source: design decision 14.
BANK_FRAMES = FrameSpec(length_size=4, length_encoding="ascii", tpdu_size=0)


class Framer:
    """Cuts one stream into frames."""

    __slots__ = (
        "_buffer", "_error", "_largest", "_order", "_size", "_smallest", "_spec", "_start", "_usual"
    )  # fmt: skip

    def __init__(self, spec: FrameSpec) -> None:
        """Start at a frame boundary."""
        self._spec = spec
        self._buffer = b""
        self._error: FramingError | None = None
        # What a frame costs is looked up once: binary lengths without own size, the usual case.
        self._order = _BYTE_ORDERS.get(spec.length_encoding) if not spec.includes_self else None
        self._smallest = spec.tpdu_size + spec.header_size + 1
        self._largest = spec.largest
        self._size, self._start = spec.length_size, spec.length_size + spec.tpdu_size
        self._usual = self._order if not spec.header_size else None

    @property
    def waiting(self) -> int:
        """Give the bytes held of a frame that is not complete; 0 at a boundary."""
        return len(self._buffer)

    def one(self, data: bytes) -> tuple[bytes, bytes] | None:
        """Give (TPDU, message) when these bytes are one whole frame and nothing waits before them.

        One read, one frame: what nearly every message of a live link is. None for all else, which
        is `feed`'s; nothing has changed then.
        """
        if self._usual is None or self._buffer or self._error or data.__class__ is not bytes:
            return None
        size, start = self._size, self._start
        length = int.from_bytes(data[:size], self._usual)
        if length + size == len(data) and self._smallest <= length <= self._largest:
            return data[size:start], data[start:]
        return None

    def feed(self, data: bytes) -> list[Frame]:
        """Give the frames that these bytes complete, in order.

        Raises: FramingError, now and on every later call, when a length is malformed, beyond
        `body_max`, or too small for TPDU and header.
        """
        if self._error is not None:
            raise FramingError(self._error.external)
        one = self.one(data)
        if one is not None:
            return [Frame(*one)]
        size, spec = self._size, self._spec
        buffer = self._buffer + data if self._buffer else bytes(data)
        frames: list[Frame] = []
        position, end = 0, len(buffer)
        while end - position >= size:
            try:
                length = self._length(buffer[position : position + size])
            except FramingError as error:
                self._error, self._buffer = error, b""
                error.frames = frames
                raise
            start = position + size
            stop = start + length
            if stop > end:
                break
            tpdu_end = start + spec.tpdu_size
            header_end = tpdu_end + spec.header_size
            if length == 0:
                frames.append(Frame(b"", b""))
            else:
                header = buffer[tpdu_end:header_end]
                frames.append(Frame(buffer[start:tpdu_end], buffer[header_end:stop], header))
            position = stop
        self._buffer = buffer[position:]
        return frames

    def _length(self, field: bytes) -> int:
        if self._order is not None:
            length = int.from_bytes(field, self._order)
            if self._smallest <= length <= self._largest:
                return length
        return read_length(self._spec, field)


_BYTE_ORDERS: dict[str, Literal["big", "little"]] = {
    "big-endian": "big",
    "little-endian": "little",
}


def read_length(spec: FrameSpec, field: bytes) -> int:
    """Give the body's length that a length field states.

    >>> read_length(EDC_FRAMES, b"\\x01\\x02")
    258

    Raises: FramingError when it is malformed or out of bounds.
    """
    encoding = spec.length_encoding
    if encoding == "big-endian":
        length = int.from_bytes(field, "big")
    elif encoding == "little-endian":
        length = int.from_bytes(field, "little")
    else:
        digits = bytes(field).hex() if encoding == "bcd" else bytes(field).decode("latin-1")
        if not (digits.isascii() and digits.isdigit()):
            raise FramingError("a frame's length is not decimal digits.")
        length = int(digits)
    if spec.includes_self and length:
        length -= spec.length_size
    if length > spec.largest:
        raise FramingError(f"a frame of {length} bytes is above the limit of {spec.largest}.")
    if length < 0 or 0 < length <= spec.tpdu_size + spec.header_size:
        raise FramingError("a frame's length leaves no room for a message.")
    return length


def frame(payload: bytes, tpdu: bytes, spec: FrameSpec, header: bytes = b"") -> bytes:
    """Give the bytes of one frame; an empty payload without TPDU is a keep-alive.

    >>> frame(b"\\x08\\x00", bytes.fromhex("6000010000"), EDC_FRAMES).hex()
    '000760000100000800'

    Raises: FramingError when the parts do not fit the spec.
    """
    if not payload and not tpdu and not header:
        return _length(spec, 0)
    if len(tpdu) != spec.tpdu_size or len(header) != spec.header_size or not payload:
        raise FramingError("TPDU, header or message is not of the size that the link prescribes.")
    body = len(tpdu) + len(header) + len(payload)
    if body > spec.largest:
        raise FramingError(f"a frame of {body} bytes is above the limit of {spec.largest}.")
    return b"".join((_length(spec, body), tpdu, header, payload))


def answer_frame(payload: bytes, tpdu: bytes, spec: FrameSpec) -> bytes:
    """Give the frame of an answer: source and destination of the request's TPDU change places.

    >>> answer_frame(b"\\x08\\x10", bytes.fromhex("6008310001"), EDC_FRAMES).hex()
    '000760000108310810'

    Raises: FramingError when the parts do not fit the spec.
    """
    body = len(payload) + TPDU_BYTES
    if spec is EDC_FRAMES and len(tpdu) == TPDU_BYTES < body <= spec.largest:
        return b"".join((body.to_bytes(2, "big"), tpdu[:1], tpdu[3:], tpdu[1:3], payload))
    return frame(payload, swap_tpdu(tpdu), spec)


def _length(spec: FrameSpec, body: int) -> bytes:
    stated = body + spec.length_size if spec.includes_self and body else body
    if spec.length_encoding == "big-endian":
        return stated.to_bytes(spec.length_size, "big")
    if spec.length_encoding == "little-endian":
        return stated.to_bytes(spec.length_size, "little")
    if spec.length_encoding == "bcd":
        return bytes.fromhex(f"{stated:0{spec.length_size * 2}d}")
    return f"{stated:0{spec.length_size}d}".encode("ascii")


def make_tpdu(destination: str, source: str) -> bytes:
    """Give the TPDU `60 DDDD SSSS` of two addresses of four digits (the NII of each end).

    >>> make_tpdu("0831", "0000").hex()
    '6008310000'
    """
    digits = destination + source
    if not (len(destination) == len(source) == 4 and digits.isascii() and digits.isdigit()):
        raise ValueError("a TPDU address is four digits")
    return bytes([TPDU_ID]) + bytes.fromhex(digits)


def swap_tpdu(tpdu: bytes) -> bytes:
    """Give the TPDU of the answer: source and destination change places.

    >>> swap_tpdu(bytes.fromhex("6000018312")).hex()
    '6083120001'

    Raises: FramingError when it is not 5 bytes.
    """
    if not tpdu:
        return b""
    if len(tpdu) != TPDU_BYTES:
        raise FramingError("a TPDU is 5 bytes.")
    return tpdu[:1] + tpdu[3:] + tpdu[1:3]
