"""Purchases prepared ahead: real cryptograms, PIN blocks and MACs under a story's own keys.

Nothing here is known to the host beforehand: it checks every one of them as a counter's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lumbung.load.driver import Prepared
from lumbung.load.limits import ATC_MAX
from lumbung.load.schedule import LoadError
from protocols.business_time import rrn_for, transmission_time, wita
from protocols.crypto.cryptogram import application_cryptogram, arpc_method1, arqc_data_nsiccs
from protocols.crypto.emv_keys import common_session_key
from protocols.crypto.mac import RetailMac
from protocols.crypto.pin import encipher_pin_block
from protocols.framing import EDC_FRAMES, frame, make_tpdu
from protocols.ids import MessageKey, transfer_id
from protocols.iso8583 import Codec, Message, MessageError, PureCodec, load_spec
from protocols.values import Pan, SecretBytes

LINK = "edc"
CODEC: PureCodec = Codec(load_spec(LINK))
NII = "831"
TPDU = make_tpdu("0831", "0000")
_STAN_MAX = 999_999
#: What a sale's chip says beside amount, counter and number. Source: EMV 4.4 Book 3, Annex A.
_CHIP = {
    "5F2A": bytes.fromhex("0360"),
    "82": bytes.fromhex("1800"),
    "84": bytes.fromhex("F053534E01"),
    "95": bytes.fromhex("0000048000"),
    "9C": bytes.fromhex("00"),
    "9F03": bytes(6),
    "9F10": bytes.fromhex("0FA501A00000000000000000000000000F000000000000000000000000000000"),
    "9F1A": bytes.fromhex("0360"),
    "9F27": b"\x80",
    "9F33": bytes.fromhex("E040C8"),
    "9F34": bytes.fromhex("420300"),
    "9F35": b"\x22",
}


@dataclass(slots=True)
class LoadCard:
    """A virtual card and its holder: chip key, PIN, and the counter of the last sale."""

    pan: Pan
    pan_sequence: str
    expires: str
    pin: str = field(repr=False)
    chip_key: SecretBytes
    atc: int


@dataclass(slots=True)
class LoadTerminal:
    """A virtual terminal that is logged on: its session keys and its last trace number."""

    terminal_id: str
    merchant_id: str
    key_set: str
    mac: RetailMac = field(repr=False)
    pin_key: SecretBytes = field(repr=False)
    stan: int = 0


@dataclass(frozen=True, slots=True)
class Purchase(Prepared):
    """A prepared purchase, with what its answer and its posting are judged by."""

    transfer_id: int
    terminal: LoadTerminal
    cryptogram_key: SecretBytes = field(repr=False)
    arqc: bytes


def read_key(payload: bytes) -> tuple[str, str] | None:
    """Give (DE41, DE11) of an answer, None for bytes that are no message."""
    try:
        message = CODEC.decode(payload)
        return message.text(41), message.text(11)
    except MessageError:
        return None


def purchases(
    terminals: Sequence[LoadTerminal],
    cards: Sequence[LoadCard],
    amount_sen: int,
    count: int,
    now_ns: int,
) -> Iterator[Purchase]:
    """Make purchases, terminals and cards in turn.

    Raises LoadError when a counter of a chip or a terminal would run over.
    """
    clock = _Clock(now_ns)
    for number in range(count):
        card = cards[number % len(cards)]
        terminal = terminals[number % len(terminals)]
        card.atc, terminal.stan = card.atc + 1, terminal.stan + 1
        if card.atc > ATC_MAX or terminal.stan > _STAN_MAX:
            raise LoadError("the counters of cards or terminals are used up.",
                            fix="Send fewer messages, or take a fresh story.")  # fmt: skip
        yield _purchase(terminal, card, amount_sen, clock)


class _Clock:
    """One moment in the forms that messages want: all of a run are made at once."""

    def __init__(self, now_ns: int) -> None:
        local = wita(now_ns)
        self.transmitted = transmission_time(now_ns)
        self.time, self.date = local.strftime("%H%M%S"), local.strftime("%m%d")
        self.chip_date = bytes.fromhex(local.strftime("%y%m%d"))
        self.rrn = rrn_for(now_ns, 0)[:6]


def _purchase(terminal: LoadTerminal, card: LoadCard, amount_sen: int, clock: _Clock) -> Purchase:
    atc = card.atc.to_bytes(2, "big")
    session_key = common_session_key(card.chip_key, atc)
    stan = f"{terminal.stan:06d}"
    amount = f"{amount_sen:012d}"
    chip = {
        **_CHIP,
        "5F34": bytes.fromhex(card.pan_sequence),
        "9A": clock.chip_date,
        "9F02": bytes.fromhex(amount),
        "9F36": atc,
        "9F37": bytes(2) + atc,
    }
    chip["9F26"] = application_cryptogram(session_key, arqc_data_nsiccs(chip))
    message = Message(
        "0200",
        {
            3: "009800", 4: amount, 7: clock.transmitted, 11: stan, 12: clock.time,
            13: clock.date, 22: "051", 23: f"{int(card.pan_sequence):03d}", 24: NII, 25: "00",
            35: f"{card.pan.reveal()}={card.expires}22200000000000", 37: clock.rrn + stan,
            41: terminal.terminal_id, 42: f"{terminal.merchant_id:15}", 49: "360",
            52: encipher_pin_block(terminal.pin_key, card.pin, card.pan).reveal(),
            55: dict(chip), 60: {"batch": "000001", "invoice": stan},
            61: {"operator": "LOAD", "key_set": terminal.key_set},
        },
    )  # fmt: skip
    payload = CODEC.encode_with_mac(message, terminal.mac.mac)
    key = MessageKey(
        LINK, "", terminal.terminal_id, clock.transmitted, stan, clock.rrn + stan, "02"
    )
    return Purchase(
        frame(payload, TPDU, EDC_FRAMES), (terminal.terminal_id, stan), transfer_id(key),
        terminal, session_key, chip["9F26"],
    )  # fmt: skip


def echo(terminal: LoadTerminal, now_ns: int) -> Prepared:
    """Give an echo of a terminal that is logged on."""
    terminal.stan += 1
    stan = f"{terminal.stan:06d}"
    message = Message(
        "0800",
        {
            7: transmission_time(now_ns), 11: stan, 41: terminal.terminal_id,
            42: f"{terminal.merchant_id:15}",
            61: {"operator": "LOAD", "key_set": terminal.key_set}, 70: "301",
        },
    )  # fmt: skip
    payload = CODEC.encode_with_mac(message, terminal.mac.mac)
    return Prepared(frame(payload, TPDU, EDC_FRAMES), (terminal.terminal_id, stan))


def answer_code(purchase: Purchase, payload: bytes) -> str:
    """Give DE39 of an answer, or why it must not be believed: `mac`, `arpc`, `format`."""
    try:
        answer = CODEC.decode(payload)
        signed = CODEC.split_mac(payload)
    except MessageError:
        return "format"
    if signed is None or not purchase.terminal.mac.verify(*signed):
        return "63" if answer.get(39) == "63" else "mac"
    code = answer.text(39)
    if code == "00":
        arc = code.encode("ascii")
        expected = arpc_method1(purchase.cryptogram_key, purchase.arqc, arc) + arc
        if answer.data(55, "91") != expected:
            return "arpc"
    return code
