"""A small honest host for the terminal's tests: real messages, real MACs, a book of postings."""

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from protocols.crypto import tr31
from protocols.crypto.cryptogram import (
    application_cryptogram,
    arpc_method1,
    arqc_data_nsiccs,
)
from protocols.crypto.emv_keys import common_session_key
from protocols.crypto.mac import retail_mac, verify_mac
from protocols.crypto.pin import decipher_pin_block
from protocols.framing import EDC_FRAMES, Framer, frame, swap_tpdu
from protocols.iso8583 import Codec, Message, Value, check_shape, load_spec
from protocols.values import Pan, PinBlock, SecretBytes, Track2
from terminal.host.events import HostProfile, Instant

TMK = SecretBytes(bytes.fromhex("1D22BF32387C600AD97F9B97A51311AC"))
PAN = Pan("9360099912344821")
CARD_KEY = SecretBytes(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
TRACK = Track2("9360099912344821D30122200000000000")
PROFILE = HostProfile("12400017", "EWSMR0000000017", "831", 10_000, "OP01")
T0 = 1_767_575_647 * 10**9
CODEC = Codec(load_spec("edc"))


class CounterBytes:
    """Random bytes for tests: different each time, the same in each run."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, size: int) -> bytes:
        self.count += 1
        blocks = (sha256(b"%d/%d" % (self.count, i)).digest() for i in range(size // 32 + 1))
        return b"".join(blocks)[:size]


@dataclass
class StoryClock:
    """Both clocks, moved by hand."""

    utc_ns: int = T0
    monotonic: int = 0

    def now_ns(self) -> int:
        return self.utc_ns

    def monotonic_ns(self) -> int:
        return self.monotonic

    def now(self) -> Instant:
        return Instant(self.utc_ns, self.monotonic)

    def pass_ms(self, milliseconds: int) -> None:
        self.utc_ns += milliseconds * 10**6
        self.monotonic += milliseconds * 10**6


@dataclass
class ScriptedHost:
    """Answers framed requests. `book` is signed sen by the key of the request that posted it.

    A key is (STAN, DE7, DE37), which a reversal carries in DE90 and DE37. A reversal that comes
    before its original leaves a tombstone. `change` alters the next answer before its MAC.
    """

    pin: str = "123456"
    balance_sen: int = 90_000_000
    book: dict[tuple[str, str, str], int] = field(default_factory=dict)
    undone: dict[tuple[str, str, str], str] = field(default_factory=dict)
    seen: list[Message] = field(default_factory=list)
    key_sets: dict[str, tuple[SecretBytes, SecretBytes]] = field(default_factory=dict)
    refuse: str = ""
    refuse_reversals: str = ""
    change: Callable[[Message], Message] | None = None
    break_mac: bool = False
    forge_arpc: bool = False
    #: What the host miscounts a batch by until its upload.
    miscount_sen: int = 0
    #: (kind, batch, sen) of what stands, by the key of its request.
    kept: dict[tuple[str, str, str], tuple[str, str, int]] = field(default_factory=dict)
    settled: dict[str, str] = field(default_factory=dict)
    uploaded: list[tuple[str, str, str]] = field(default_factory=list)
    answered: dict[tuple[str, str, str], Message] = field(default_factory=dict)
    random_bytes: CounterBytes = field(default_factory=CounterBytes)

    def answer(self, data: bytes) -> bytes:
        """Give the framed answer to one framed request."""
        (received,) = Framer(EDC_FRAMES).feed(data)
        request = CODEC.decode(received.payload)
        check_shape(CODEC.spec, request)
        self.seen.append(request)
        mac_key = self._mac_key(request, received.payload)
        reply = self._decide(request)
        if self.change is not None:
            reply, self.change = self.change(reply), None
        check_shape(CODEC.spec, reply)
        if mac_key is None:
            payload = CODEC.encode(reply)
        else:
            payload = CODEC.encode_with_mac(reply, lambda covered: retail_mac(mac_key, covered))
        if self.break_mac:
            payload, self.break_mac = payload[:-1] + bytes([payload[-1] ^ 1]), False
        return frame(payload, swap_tpdu(received.tpdu), EDC_FRAMES)

    def standing_sen(self) -> int:
        """Give what all postings come to."""
        return sum(self.book.values())

    def _mac_key(self, request: Message, raw: bytes) -> SecretBytes | None:
        if request.get(70) == "161":
            assert CODEC.split_mac(raw) is None
            return None
        key = self.key_sets[request.text(61, "key_set")][0]
        split = CODEC.split_mac(raw)
        assert split is not None
        assert verify_mac(key, *split)
        return key

    def _decide(self, request: Message) -> Message:
        if request.mti == "0800":
            return self._network(request)
        if request.mti in ("0400", "0401"):
            return self._reverse(request)
        if request.mti in ("0500", "0501"):
            return self._settle(request)
        if request.mti in ("0320", "0321"):
            return self._upload(request)
        if request.mti in ("0220", "0221"):
            return self._voucher(request)
        if request.mti == "0100":
            return self._change_pin(request)
        return self._sale(request)

    # Batches and what is stored

    def totals(self, batch: str) -> dict[str, int]:
        """Give what a batch comes to, as the host counts."""
        found = dict.fromkeys(("sales", "voids", "refunds"), 0)
        money = dict.fromkeys(found, 0)
        for kind, number, sen in self.kept.values():
            if number == batch:
                found[kind] += 1
                money[kind] += sen
        return found | {f"{kind}_amount": sen for kind, sen in money.items()}

    def _settle(self, request: Message) -> Message:
        if self.refuse:
            return request.response(self.refuse)
        batch = request.text(60, "batch")
        ours = self.totals(batch)
        is_last = request.text(3) == "960000"
        if not is_last:
            ours["sales_amount"] += self.miscount_sen
        sent = request.parts(63)["totals"]
        assert isinstance(sent, dict)
        told = {name: int(str(sent[name])) for name in ours}
        lengths = {True: 12, False: 6}
        totals: dict[str, Value] = {
            name: f"{n:0{lengths[name.endswith('amount')]}d}" for name, n in ours.items()
        }
        more: dict[int, Value] = {60: {"batch": batch}, 63: {"totals": totals}}
        if told != ours:
            return request.response("95", more)
        self.settled[batch] = request.text(3)
        more[63] = {"totals": totals, "payout_date": "20260106"}
        return request.response("00", more)

    def _upload(self, request: Message) -> Message:
        if self.refuse:
            return request.response(self.refuse)
        key = (request.text(90, "stan"), request.text(90, "transmission_time"), request.text(37))
        assert key in self.kept, "what is uploaded was posted"
        assert int(request.text(60, "sequence")) > 0
        self.uploaded.append(key)
        return request.response("00")

    def _voucher(self, request: Message) -> Message:
        if self.refuse:
            return request.response(self.refuse)
        key = (request.text(11), request.text(7), request.text(37))
        if key in self.answered:
            return request.response(self.answered[key].text(39), dict(self._told(key)))
        assert request.text(25) == "06"
        assert 52 not in request
        assert 35 not in request
        self._issuer_authentication(request, "00")
        sen = int(request.text(4))
        left = self.balance_sen - self.standing_sen()
        code = "00" if sen <= left else "10" if left > 0 else "51"
        changes = {4: f"{min(sen, left):012d}"} if code == "10" else {}
        reply = request.response(code, changes)
        if code != "51":
            self.book[key] = min(sen, left)
            self.kept[key] = ("sales", request.text(60, "batch"), min(sen, left))
        self.answered[key] = reply
        return reply

    def _told(self, key: tuple[str, str, str]) -> dict[int, Value]:
        return {4: self.answered[key].text(4)}

    def _change_pin(self, request: Message) -> Message:
        if self.refuse:
            return request.response(self.refuse)
        code = self._check_pin(request)
        if code != "00":
            return request.response(code, {44: "N=2"})
        key = self.key_sets[request.text(61, "key_set")][1]
        block = PinBlock(request.data(48, "new_pin"))
        self.pin = decipher_pin_block(key, block, Track2(request.text(35)).pan)
        return request.response("00", {55: {"91": self._issuer_authentication(request, "00")}})

    def _network(self, request: Message) -> Message:
        if self.refuse:
            return request.response(self.refuse)
        if request.text(70) == "002":
            return request.response("00")
        if request.text(70) == "001":
            shop: dict[str, Value] = {
                "name": f"{'E-WARONG MAJU':<32}",
                "place": f"{'KEL. SENGKOTEK':<32}",
            }
            return request.response("00", {61: {"log_on": "000007"}, 63: {"shop": shop}})
        number = f"{len(self.key_sets) + 1:04d}"
        keys = tuple(SecretBytes(self.random_bytes(16)) for _ in range(2))
        self.key_sets[number] = (keys[0], keys[1])
        blocks: dict[str, Value] = {
            name: tr31.wrap(TMK, tr31.KeyBlockHeader("B", usage, "T", mode), key, self.random_bytes)
            for name, usage, mode, key in (("mac", "M3", "C", keys[0]), ("pin", "P0", "B", keys[1]))
        }
        return request.response("00", {48: blocks, 61: {"key_set": number}})

    def _sale(self, request: Message) -> Message:
        key = (request.text(11), request.text(7), request.text(37))
        if self.refuse:
            return request.response(self.refuse, {44: "N=2"} if self.refuse == "55" else {})
        code = self._check_pin(request)
        if code != "00":
            return request.response(code, {44: "N=2"})
        if request.text(3) == "319800":
            return request.response("00", self._balances())
        if request.text(3) == "389800":
            return request.response("00", self._balances() | self._statement())
        if key in self.undone:
            return request.response("76")
        kind = {"029800": "voids", "200098": "refunds"}.get(request.text(3), "sales")
        sen = int(request.text(4))
        self.book[key] = sen if kind == "sales" else -sen
        self.kept[key] = (kind, request.text(60, "batch"), sen)
        more: dict[int, Value] = {38: "7K2M9Q", **self._balances()}
        if 55 in request:
            more[55] = {"91": self._issuer_authentication(request, "00")}
        return request.response("00", more)

    def _issuer_authentication(self, request: Message, code: str) -> bytes:
        """Check the ARQC and give the ARPC; a made-up chip of the session tests gets zeros."""
        chip = {tag: value for tag, value in request.parts(55).items() if isinstance(value, bytes)}
        if "9F10" not in chip:
            return bytes(8) + code.encode()
        key = common_session_key(CARD_KEY, chip["9F36"])
        arqc = application_cryptogram(key, arqc_data_nsiccs(chip))
        assert arqc == chip["9F26"]
        if self.forge_arpc:
            return bytes(8) + code.encode()
        return arpc_method1(key, arqc, code.encode()) + code.encode()

    def _check_pin(self, request: Message) -> str:
        if 52 not in request:
            return "00"
        block = PinBlock(request.data(52))
        key = self.key_sets[request.text(61, "key_set")][1]
        given = decipher_pin_block(key, block, Track2(request.text(35)).pan)
        return "00" if given == self.pin else "55"

    def _reverse(self, request: Message) -> Message:
        if self.refuse_reversals:
            return request.response(self.refuse_reversals)
        stan, time = request.text(90, "stan"), request.text(90, "transmission_time")
        key = (stan, time, request.text(37))
        assert request.text(2) == PAN.reveal()
        assert 35 not in request
        if 95 in request:
            actual = int(request.text(95, "transaction_amount"))
            self.book[key] = actual
            self.kept[key] = (*self.kept[key][:2], actual)
            return request.response("00")
        self.undone.setdefault(key, request.mti)
        self.book.pop(key, None)
        self.kept.pop(key, None)
        return request.response("00")

    def _statement(self) -> dict[int, Value]:
        lines: list[Value] = [
            {
                "date": "20260105",
                "sign": "D" if kind == "sales" else "C",
                "amount": f"{sen:012d}",
                "shop": f"{'E-WARONG MAJU':<20}",
            }
            for kind, _, sen in list(self.kept.values())[-5:]
        ]
        return {48: {"statement": lines}} if lines else {}

    def _balances(self) -> dict[int, Value]:
        left = self.balance_sen - self.standing_sen()
        return {
            54: [
                {
                    "account_type": "98",
                    "amount_type": "02",
                    "currency": "360",
                    "sign": "C",
                    "amount": f"{left:012d}",
                }
            ],
            63: {
                "months": [{"period": "202601", "amount": f"{left:012d}"}],
                "planned_date": "20260210",
                "slip_code": "9F2C-71B0-44DA",
            },
        }
