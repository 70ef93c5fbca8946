"""A terminal and a chip for switch tests: they number, sign and read with keys of their own."""

from typing import TYPE_CHECKING

from protocols.business_time import rrn_for, transmission_time
from protocols.crypto import tr31
from protocols.crypto.cryptogram import application_cryptogram, arpc_method1, arqc_data_nsiccs
from protocols.crypto.emv_keys import common_session_key, icc_master_key
from protocols.crypto.mac import retail_mac
from protocols.crypto.pin import encipher_pin_block
from protocols.iso8583 import Codec, Message, check_shape, load_spec
from protocols.values import Pan, SecretBytes

if TYPE_CHECKING:
    from tests.test_switch.switch_world import World

IMK = SecretBytes(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
PVK = SecretBytes(bytes.fromhex("89B07B35A1B3F47E89B07B35A1B3F488"))
PIN = "482159"
CODEC = Codec(load_spec("edc"))


class Chip:
    """A card's chip: it counts, and it signs what the terminal tells it."""

    def __init__(self, pan: str, sequence: str = "00") -> None:
        self.pan = Pan(pan)
        self.sequence = sequence
        self.atc = 0
        self.key = icc_master_key(IMK, self.pan, sequence)
        self.session: SecretBytes | None = None

    def sign(self, amount_sen: int, kind: str) -> dict[str, bytes]:
        """Give DE55 of one transaction."""
        self.atc += 1
        tags = {
            "5F2A": bytes.fromhex("0360"),
            "5F34": bytes.fromhex(self.sequence),
            "82": bytes.fromhex("1800"),
            "84": bytes.fromhex("F053534E01"),
            "95": bytes.fromhex("0000048000"),
            "9A": bytes.fromhex("260105"),
            "9C": bytes.fromhex(kind),
            "9F02": bytes.fromhex(f"{amount_sen:012d}"),
            "9F03": bytes(6),
            "9F10": bytes.fromhex(
                "0FA501A00000000000000000000000000F000000000000000000000000000000"
            ),
            "9F1A": bytes.fromhex("0360"),
            "9F27": b"\x80",
            "9F36": self.atc.to_bytes(2, "big"),
            "9F37": self.atc.to_bytes(4, "big"),
        }
        self.session = common_session_key(self.key, tags["9F36"])
        tags["9F26"] = application_cryptogram(self.session, arqc_data_nsiccs(tags))
        return tags

    def issuer_is_genuine(self, request: Message, answer: Message) -> bool:
        """Tell whether tag 91 is the issuer's answer to this cryptogram."""
        assert self.session is not None
        data, code = answer.data(55, "91"), answer.text(39).encode()
        return data == arpc_method1(self.session, request.data(55, "9F26"), code) + code


class Edc:
    """A terminal: numbers its messages, holds its keys, reads its answers."""

    def __init__(self, world: "World", terminal_id: str, merchant_id: str) -> None:
        self.world = world
        self.terminal_id = terminal_id
        self.merchant_id = merchant_id
        self.stan = 0
        self.key_set = 0
        self.mac_key = SecretBytes(bytes(range(16)))
        self.pin_key = SecretBytes(bytes(range(16)))

    def start(self) -> "Edc":
        """Change keys and log on."""
        self.take_keys(self.send(self.network("161"), mac=False)[0])
        assert self.send(self.network("001"))[0].text(39) == "00"
        return self

    def take_keys(self, answer: Message) -> None:
        tmk = self.world.keys[f"tmk/{self.terminal_id}"]
        self.mac_key = tr31.unwrap(tmk, answer.text(48, "mac"))[1]
        self.pin_key = tr31.unwrap(tmk, answer.text(48, "pin"))[1]
        self.key_set = int(answer.text(61, "key_set"))

    def network(self, code: str) -> Message:
        self.stan += 1
        return Message(
            "0800",
            {
                7: transmission_time(self.world.clock.now),
                11: f"{self.stan:06d}",
                41: self.terminal_id,
                42: f"{self.merchant_id:15}",
                61: {"operator": "OP01", "key_set": f"{self.key_set:04d}"},
                70: code,
            },
        )

    def request(self, chip: Chip | None, amount_sen: int, code: str, **changes: object) -> Message:
        """Give a 0200; changes are `de3="009800"`, None takes one away."""
        self.stan += 1
        now = self.world.clock.now
        message = Message(
            "0200",
            {
                3: code,
                4: f"{amount_sen:012d}",
                7: transmission_time(now),
                11: f"{self.stan:06d}",
                12: "091407",
                13: "0105",
                22: "051",
                24: "831",
                25: "00",
                37: rrn_for(now, self.stan),
                41: self.terminal_id,
                42: f"{self.merchant_id:15}",
                49: "360",
                60: {"batch": "000001", "invoice": f"{self.stan:06d}"},
                61: {"operator": "OP01", "key_set": f"{self.key_set:04d}"},
            },
        )
        if chip is not None:
            message.elements[35] = f"{chip.pan.reveal()}=30122200000000000"
            message.elements[23] = f"{int(chip.sequence):03d}"
            message.elements[55] = dict(chip.sign(amount_sen, code[:2]))
        return message.replace(**changes)

    def purchase(
        self, chip: Chip, amount_sen: int, pin: str = PIN, code: str = "009800", **changes: object
    ) -> Message:
        block = encipher_pin_block(self.pin_key, pin, chip.pan).reveal()
        return self.request(chip, amount_sen, code, **{"de52": block, **changes})

    def refund(self, chip: Chip, original: Message, amount_sen: int, **changes: object) -> Message:
        link = {"de37": original.text(37), "de90": self.original(original), **changes}
        return self.purchase(chip, amount_sen, code="200098", **link)

    def voucher(self, chip: Chip, amount_sen: int, **changes: object) -> Message:
        """Give a 0220: a sale that the chip signed while there was no line."""
        message = self.request(chip, amount_sen, "009800")
        numbers = {**message.parts(60), "voucher": f"V{self.terminal_id}{self.stan:06d}"}
        message = message.replace(de2=chip.pan.reveal(), de25="06", de35=None, de60=numbers)
        return Message("0220", message.replace(**changes).elements)

    def pin_change(
        self, chip: Chip, new_pin: str, pin: str = PIN, code: str = "720000", **changes: object
    ) -> Message:
        message = self.purchase(chip, 0, pin, code, de4=None, de49=None, de60=None)
        block = encipher_pin_block(self.pin_key, new_pin, chip.pan).reveal()
        message = message.replace(de48={"new_pin": block})
        return Message("0100", message.replace(**changes).elements)

    def settlement(
        self, totals: tuple[int, ...], code: str = "920000", batch: int = 1, **changes: object
    ) -> Message:
        message = self.request(None, 0, code)
        names = ("sales", "sales_amount", "voids", "voids_amount", "refunds", "refunds_amount")
        digits = [f"{n:0{12 if i % 2 else 6}d}" for i, n in enumerate(totals)]
        kept = {n: message[n] for n in (3, 7, 11, 12, 13, 24, 37, 41, 42, 61)}
        kept |= {
            60: {"batch": f"{batch:06d}"},
            63: {"totals": dict(zip(names, digits, strict=True))},
        }
        return Message("0500", kept).replace(**changes)

    def upload(self, original: Message, sequence: int, **changes: object) -> Message:
        """Give a 0320: one record of a batch whose totals differed."""
        self.stan += 1
        kept = {n: original[n] for n in (3, 4, 12, 13, 22, 24, 25, 37, 41, 42, 49, 61)}
        numbers = {**original.parts(60), "sequence": f"{sequence:06d}"}
        kept |= {
            7: transmission_time(self.world.clock.now),
            11: f"{self.stan:06d}",
            39: "00",
            60: numbers,
            90: self.original(original) | {"mti": original.mti},
        }
        return Message("0320", kept).replace(**changes)

    def balance(self, chip: Chip, code: str = "319800") -> Message:
        return self.request(chip, 0, code)

    def void(self, original: Message, **changes: object) -> Message:
        amount = int(original.text(4))
        changes = {"de37": original.text(37), "de90": self.original(original), **changes}
        return self.request(None, amount, "029800", **changes)

    def reversal(self, original: Message, mti: str = "0400", **changes: object) -> Message:
        self.stan += 1
        kept = {n: original[n] for n in (3, 4, 12, 13, 22, 24, 25, 37, 41, 42, 49, 61)}
        pan = original.text(35).partition("=")[0] if 35 in original else "9360099900000000"
        kept |= {
            2: pan,
            7: transmission_time(self.world.clock.now),
            11: f"{self.stan:06d}",
            90: self.original(original),
        }
        return Message(mti, kept).replace(**changes)

    def original(self, message: Message) -> dict[str, str]:
        return {
            "mti": "0200",
            "stan": message.text(11),
            "transmission_time": message.text(7),
            "acquirer": "0" * 11,
            "forwarder": "0" * 11,
        }

    def encode(self, message: Message, *, mac: bool = True) -> bytes:
        if not mac:
            return CODEC.encode(message)
        return CODEC.encode_with_mac(message, lambda data: retail_mac(self.mac_key, data, 1))

    def decode(self, payload: bytes, *, mac: bool = True) -> Message:
        """Give an answer after checking its MAC; an answer that must have none must have none."""
        signed = CODEC.split_mac(payload)
        assert (signed is not None) == mac
        if signed is not None:
            assert retail_mac(self.mac_key, signed[0], 1) == signed[1]
        answer = CODEC.decode(payload)
        if mac and answer.text(39) not in {"12", "30"}:
            check_shape(CODEC.spec, answer)
        return answer

    def send(self, *messages: Message, mac: bool = True, answer_mac: bool | None = None):
        """Send messages in one turn; give the decoded answers in the order of the messages."""
        raw = [self.encode(message, mac=mac) for message in messages]
        payloads = self.world.exchange(*raw)
        expected = mac if answer_mac is None else answer_mac
        answers = [self.decode(payload, mac=expected) for payload in payloads]
        order = [message.text(11) for message in messages]
        return sorted(answers, key=lambda answer: order.index(answer.text(11)))
