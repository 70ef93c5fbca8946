"""A small city for switch tests: real registry port, real ledger, real keys and cryptograms.

`World` holds the node without sockets; `Edc` and `Chip` speak the other end with the same wire
formats and their own keys. Nothing here comes from the terminal or the virtual cards.
"""

from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ledger.pure import PureLedger, open_pure
from ledger.structures import Account, Transfer
from programme.chart import ACCOUNT_FLAGS, AccountCode, FundSource, TrancheData, TransferCode
from programme.registry_port import BlockReason, CardStatus, CardView, MerchantView, TerminalView
from protocols.business_time import rrn_for, transmission_time
from protocols.crypto import tr31
from protocols.crypto.cryptogram import application_cryptogram, arpc_method1, arqc_data_nsiccs
from protocols.crypto.emv_keys import common_session_key, icc_master_key
from protocols.crypto.mac import retail_mac
from protocols.crypto.pin import encipher_pin_block, ibm3624_offset
from protocols.ids import disbursement_id
from protocols.iso8583 import Codec, Message, check_shape, load_spec
from protocols.values import Pan, SecretBytes
from switch.assembly import Node, assemble
from switch.config import SwitchConfig
from switch.session import Arrival, Departure
from switch.work import Work, run_work

START_NS = 1_767_575_647 * 10**9  # 2026-01-05 09:14:07 WITA
IMK = SecretBytes(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
PVK = SecretBytes(bytes.fromhex("89B07B35A1B3F47E89B07B35A1B3F488"))
TPDU = bytes.fromhex("6008310001")
PIN = "482159"
FUNDING, CLEARING = 1, 2
CODEC = Codec(load_spec("edc"))


class Clock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.now = START_NS

    def now_ns(self) -> int:
        return self.now

    def monotonic_ns(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += int(seconds * 10**9)


class Noise:
    """Bytes that differ every time and are the same in every run."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, count: int) -> bytes:
        from hashlib import sha256

        self.count += 1
        return b"".join(
            sha256(b"%d/%d" % (self.count, i)).digest() for i in range(count // 32 + 1)
        )[:count]


class Keys(dict[str, SecretBytes]):
    """Key values by label."""

    def get(self, label: str) -> SecretBytes:  # type: ignore[override]
        return self[label]


@dataclass
class Registry:
    """The registry's read port over plain dictionaries."""

    cards: dict[str, CardView] = field(default_factory=dict)
    merchants: dict[str, MerchantView] = field(default_factory=dict)
    terminals: dict[str, TerminalView] = field(default_factory=dict)
    version: int = 1

    def card_by_pan(self, pan: Pan) -> CardView | None:
        return self.cards.get(pan.reveal())

    def merchant(self, merchant_id: str) -> MerchantView | None:
        return self.merchants.get(merchant_id.rstrip(" "))

    def terminal(self, terminal_id: str) -> TerminalView | None:
        return self.terminals.get(terminal_id)


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


class World:
    """Registry, keys, ledger and one node."""

    def __init__(self, directory: Path, config: SwitchConfig | None = None) -> None:
        self.directory = directory
        self.config = config or SwitchConfig()
        self.clock, self.noise, self.registry = Clock(), Noise(), Registry()
        self.keys = Keys(imk_ac=IMK, pvk=PVK)
        self.ledger = self.open_ledger()
        self.ledger.create_accounts([Account(id=FUNDING, ledger=1, code=AccountCode.FUNDING)])
        self.node: Node = self.assemble()
        self.months_credited = 0

    def open_ledger(self) -> PureLedger:
        return open_pure(
            self.directory / "ledger",
            now_ns=self.clock.now_ns,
            random_bytes=self.noise,
            segment_size=1 << 18,
        )

    def assemble(self) -> Node:
        return assemble(
            self.config,
            self.registry,
            self.keys,
            self.ledger,
            self.directory / "switch.sqlite",
            self.clock,
            self.noise,
        )

    def restart(self) -> None:
        """Begin again from what is on disk, as after a kill."""
        self.node.state.close()
        self.ledger.close()
        self.ledger = self.open_ledger()
        self.node = self.assemble()

    def close(self) -> None:
        self.node.state.close()
        self.ledger.close()

    def add_card(self, number: int, balance_sen: int, **changes: object) -> Chip:
        body = f"93600999{number:07d}"
        digits = [int(d) for d in reversed(body)]
        total = sum(d if i % 2 else (d * 2 - 9 if d > 4 else d * 2) for i, d in enumerate(digits))
        chip = Chip(body + str(-total % 10))
        view = CardView(
            card_number=number,
            account_id=1_000 + number,
            purse=1,
            status=CardStatus.ACTIVE,
            block_reason=None,
            expires_on=date(2030, 12, 31),
            pan_sequence=chip.sequence,
            pin_offset=ibm3624_offset(PVK, chip.pan, PIN),
            last_four=chip.pan.last_four,
        )
        self.registry.cards[chip.pan.reveal()] = replace(view, **changes)
        self.open_account(view.account_id, AccountCode.CARD)
        if balance_sen:
            self.fund(view.account_id, "2026-01", balance_sen)
        return chip

    def change_card(self, chip: Chip, **changes: object) -> None:
        known = self.registry.cards[chip.pan.reveal()]
        self.registry.cards[chip.pan.reveal()] = replace(known, **changes)

    def block(self, chip: Chip, reason: BlockReason) -> None:
        self.change_card(chip, status=CardStatus.BLOCKED, block_reason=reason)

    def fund(self, account_id: int, period: str, amount_sen: int) -> None:
        tranche = TrancheData(period, FundSource.APBD, 2026)
        result = self.ledger.create_transfers(
            [
                Transfer(
                    id=disbursement_id("T/1", account_id, period),
                    debit_account_id=FUNDING,
                    credit_account_id=account_id,
                    amount=amount_sen,
                    ledger=1,
                    code=TransferCode.DISBURSEMENT,
                    user_data_64=tranche.pack(),
                    user_data_32=1,
                )
            ]
        )
        assert result[0].status.name == "CREATED"

    def open_account(self, account_id: int, code: AccountCode) -> None:
        flags = int(ACCOUNT_FLAGS[code])
        account = Account(id=account_id, ledger=1, code=code, flags=flags)
        assert self.ledger.create_accounts([account])[0].status.name == "CREATED"

    def add_shop(self, number: int, category: str = "5411", **changes: object) -> str:
        merchant_id = f"EW{number:013d}"
        self.open_account(5_000 + number, AccountCode.MERCHANT_PAYABLE)
        view = MerchantView(
            merchant_number=number,
            merchant_id=merchant_id,
            name=f"E-WARONG UJI {number}",
            district="SUNGAI PINANG",
            village="SUNGAI PINANG DALAM",
            category=category,
            designated=True,
            suspended=False,
            conditional_categories=frozenset(),
            payable_accounts={1: 5_000 + number},
        )
        self.registry.merchants[merchant_id] = replace(view, **changes)
        return merchant_id

    def change_shop(self, merchant_id: str, **changes: object) -> None:
        known = self.registry.merchants[merchant_id]
        self.registry.merchants[merchant_id] = replace(known, **changes)

    def add_edc(self, number: int, merchant_id: str, **changes: object) -> Edc:
        terminal_id = f"124{number:05d}"
        label = f"tmk/{terminal_id}"
        self.keys[label] = SecretBytes(bytes((number * 7 + i * 11) % 251 | 1 for i in range(16)))
        view = TerminalView(
            terminal_number=number,
            terminal_id=terminal_id,
            active=True,
            home_merchant_id=merchant_id,
            key_label=label,
        )
        self.registry.terminals[terminal_id] = replace(view, **changes)
        return Edc(self, terminal_id, merchant_id)

    def exchange(self, *payloads: bytes) -> list[bytes]:
        """Give the answers to messages of one turn; a cut counts as b""."""
        departures = self.receive(*payloads)
        while (work := self.node.core.next_work()) is not None:
            departures += self.finish(work)
        return [departure.payload or b"" for departure in departures]

    def receive(self, *payloads: bytes) -> list[Departure]:
        arrivals = [Arrival(1, TPDU, payload) for payload in payloads]
        return self.node.core.receive(arrivals, self.clock.now)

    def finish(self, work: Work) -> list[Departure]:
        results = run_work(work, self.node.state, self.ledger, self.node.months)
        return self.node.core.complete(results, self.clock.now)

    def balance(self, account_id: int) -> int:
        (account,) = self.ledger.lookup_accounts([account_id])
        assert account is not None
        return account.credit_balance

    def set_amount_rule(self, **changes: object) -> None:
        """Change the amount rule of the running node."""
        desk = self.node.core._desk
        rules = desk.rules.rules
        amount = rules.amount.model_copy(update=changes)
        desk.rules = replace(desk.rules, rules=rules.model_copy(update={"amount": amount}))

    def card_balance(self, chip: Chip) -> int:
        return self.balance(self.registry.cards[chip.pan.reveal()].account_id)

    def postings(self, code: TransferCode = TransferCode.PURCHASE) -> int:
        """Give how many transfers of a kind stand in the ledger."""
        return sum(
            1
            for entry in self.ledger.entries()
            if entry.transfer.code == code and entry.status == 0xFFFFFFFF
        )


@pytest.fixture(scope="session")
def directory_of_session(tmp_path_factory: pytest.TempPathFactory):
    """Give a directory in memory where the machine has one: real files, quick syncs."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield tmp_path_factory.mktemp("switch")
        return
    with TemporaryDirectory(dir=memory, prefix="lumbung-switch-") as made:
        yield Path(made)


@pytest.fixture
def directory(directory_of_session: Path):
    """Give a fresh directory."""
    with TemporaryDirectory(dir=directory_of_session) as made:
        yield Path(made)


@pytest.fixture
def world(directory: Path):
    """Give a city with nobody in it."""
    made = World(directory)
    yield made
    made.close()


@dataclass
class Counter:
    """One shop, one terminal that is logged on, one card with Rp300,000."""

    world: World
    edc: Edc
    chip: Chip
    shop: str

    def buy(self, amount_sen: int, **changes: object) -> Message:
        """Buy; give the answer."""
        return self.edc.send(self.edc.purchase(self.chip, amount_sen, **changes))[0]


@pytest.fixture
def counter(world: World) -> Counter:
    """Give a shop counter that is ready to sell."""
    shop = world.add_shop(17)
    edc = world.add_edc(17, shop).start()
    return Counter(world, edc, world.add_card(1, 30_000_000), shop)
