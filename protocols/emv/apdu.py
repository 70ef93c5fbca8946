"""Command and response APDUs in their short form, and the rules of T=0.

Source: ISO/IEC 7816-4, 5.1; ISO/IEC 7816-3, 12; EMV 4.4 Book 1, 9.3 and 11.
"""

from dataclasses import dataclass

from protocols.emv import limits
from protocols.emv.errors import ApduError

_INS_GET_RESPONSE = 0xC0


@dataclass(frozen=True, slots=True)
class CommandApdu:
    """A command: header, data, and `le`, the expected length (None: no answer data; 256: all).

    The repr gives the header and lengths, never data: a VERIFY carries a PIN.

    >>> CommandApdu(0x00, 0xB2, 0x01, 0x0C, le=256)
    <CommandApdu 00B2010C data 0 le 256>
    """

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = b""
    le: int | None = None

    def __post_init__(self) -> None:
        """Refuse, with ApduError, what no short APDU can carry."""
        # A bit above the eighth of any of them, which a negative number has too.
        if (self.cla | self.ins | self.p1 | self.p2) & ~0xFF:
            raise ApduError("", 0, "a header byte outside 0 to 255")
        if len(self.data) > limits.APDU_DATA_BYTES:
            raise ApduError("", 5, f"more than {limits.APDU_DATA_BYTES} bytes of data")
        if self.le is not None and not 1 <= self.le <= limits.APDU_RESPONSE_BYTES:
            raise ApduError("", 4, "an expected length outside 1 to 256")

    def __repr__(self) -> str:
        return f"<CommandApdu {self.header.hex().upper()} data {len(self.data)} le {self.le}>"

    @property
    def header(self) -> bytes:
        """Give CLA, INS, P1, P2."""
        return bytes((self.cla, self.ins, self.p1, self.p2))

    @property
    def case(self) -> int:
        """Give the case, 1 to 4: without data and answer, answer only, data only, both."""
        return 1 + (self.le is not None) + 2 * bool(self.data)

    def encoded(self) -> bytes:
        """Give the APDU as an application and T=1 carry it.

        >>> CommandApdu(0x00, 0xA4, 0x04, 0x00, b"1PAY", 256).encoded().hex()
        '00a40400043150415900'
        """
        body = bytes((len(self.data),)) + self.data if self.data else b""
        tail = b"" if self.le is None else bytes((self.le & 0xFF,))
        return self.header + body + tail

    def encoded_t0(self) -> bytes:
        """Give the TPDU header and data for T=0: always a P3, no Le behind data.

        Source: ISO/IEC 7816-3, 12.2; EMV 4.4 Book 1, 9.3.1.1.

        >>> CommandApdu(0x00, 0xA4, 0x04, 0x00, b"1PAY", 256).encoded_t0().hex()
        '00a404000431504159'
        >>> CommandApdu(0x80, 0x1E, 0x00, 0x00).encoded_t0().hex()
        '801e000000'
        """
        if self.data:
            return self.header + bytes((len(self.data),)) + self.data
        return self.header + bytes(((self.le or 0) & 0xFF,))

    @classmethod
    def parse(cls, raw: bytes) -> "CommandApdu":
        """Give the command of these bytes; raise ApduError for what is none of cases 1 to 4.

        >>> CommandApdu.parse(bytes.fromhex("80A8000002830000")).case
        4
        """
        if len(raw) < 4:
            raise ApduError("", len(raw), "the input ends inside the header")
        if len(raw) == 4:
            return cls(raw[0], raw[1], raw[2], raw[3])
        if len(raw) == 5:
            return cls(raw[0], raw[1], raw[2], raw[3], le=raw[4] or 256)
        count = raw[4]
        if count == 0:
            raise ApduError("", 4, "an extended length, or none before data")
        rest = len(raw) - 5 - count
        if rest < 0:
            raise ApduError("", 5, f"{count} bytes of data announced, {len(raw) - 5} there")
        if rest > 1:
            raise ApduError("", 6 + count, "left-over bytes")
        le = (raw[-1] or 256) if rest else None
        return cls(raw[0], raw[1], raw[2], raw[3], raw[5 : 5 + count], le)


@dataclass(frozen=True, slots=True)
class ResponseApdu:
    """A response: data and the two status bytes. The repr never shows data.

    >>> ResponseApdu(b"", 0x90, 0x00)
    <ResponseApdu 9000 data 0>
    """

    data: bytes
    sw1: int
    sw2: int

    def __post_init__(self) -> None:
        """Refuse, with ApduError, what no short response can carry."""
        if len(self.data) > limits.APDU_RESPONSE_BYTES:
            raise ApduError("", 0, f"more than {limits.APDU_RESPONSE_BYTES} bytes of data")
        if not 0 <= self.sw1 <= 0xFF or not 0 <= self.sw2 <= 0xFF:
            raise ApduError("", len(self.data), "a status byte outside 0 to 255")

    def __repr__(self) -> str:
        return f"<ResponseApdu {self.sw:04X} data {len(self.data)}>"

    @property
    def sw(self) -> int:
        """Give both status bytes as one number: 0x9000."""
        return self.sw1 << 8 | self.sw2

    @property
    def ok(self) -> bool:
        """Tell whether the command ended with 9000."""
        return self.sw == 0x9000

    def encoded(self) -> bytes:
        """Give data and status bytes."""
        return self.data + bytes((self.sw1, self.sw2))

    @classmethod
    def parse(cls, raw: bytes) -> "ResponseApdu":
        """Give the response of these bytes; ApduError below 2 or above 258 bytes.

        Fewer than two bytes is what a reader hands over when the card was torn out.

        >>> ResponseApdu.parse(bytes.fromhex("6A82")).sw == 0x6A82
        True
        """
        if len(raw) < 2:
            raise ApduError("", len(raw), "the response ends before its status bytes")
        return cls(raw[:-2], raw[-2], raw[-1])

    @classmethod
    def status(cls, sw: int, data: bytes = b"") -> "ResponseApdu":
        """Give a response from a status word as one number."""
        return cls(data, sw >> 8, sw & 0xFF)


def get_response(count: int, cla: int = 0x00) -> CommandApdu:
    """Give the command that fetches `count` (1 to 256) waiting bytes on T=0."""
    return CommandApdu(cla, _INS_GET_RESPONSE, 0x00, 0x00, le=count)


def t0_follow_up(sent: CommandApdu, answer: ResponseApdu) -> CommandApdu | None:
    """Give what a T=0 reader must send next for the same command, or None when it is done.

    61xx: GET RESPONSE for xx bytes. 6Cxx: the same command again with Le xx, once asked for data.
    A warning (62xx, 63xx) on a command with data and answer: GET RESPONSE, because the card may
    hold data (case 4). Source: EMV 4.4 Book 1, 9.3.1.2 and Annex A; ISO/IEC 7816-3, 12.2.

    >>> t0_follow_up(CommandApdu(0, 0xA4, 4, 0, b"1PAY", 256), ResponseApdu(b"", 0x61, 0x20))
    <CommandApdu 00C00000 data 0 le 32>
    >>> t0_follow_up(CommandApdu(0, 0xB2, 1, 0x0C, le=256), ResponseApdu(b"", 0x6C, 0x2A))
    <CommandApdu 00B2010C data 0 le 42>
    """
    if answer.sw1 == 0x61:
        return get_response(answer.sw2 or 256)
    if answer.sw1 == 0x6C and not sent.data:
        return CommandApdu(sent.cla, sent.ins, sent.p1, sent.p2, le=answer.sw2 or 256)
    if answer.sw1 in (0x62, 0x63) and sent.case == 4 and not answer.data:
        return get_response(256)
    return None
