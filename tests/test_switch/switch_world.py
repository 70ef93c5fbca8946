"""A small city for switch tests: real registry port, real ledger, real keys and cryptograms.

`World` holds the node without sockets. Nothing here comes from the terminal or the virtual cards.
"""

from dataclasses import dataclass, field, replace
from datetime import date
from hashlib import sha256
from pathlib import Path

from ledger.pure import PureLedger, open_pure
from ledger.structures import Account, Transfer
from programme.chart import ACCOUNT_FLAGS, AccountCode, FundSource, TrancheData, TransferCode
from programme.registry_port import (
    BlockReason,
    CardStatus,
    CardView,
    MerchantView,
    ProxyView,
    TerminalView,
)
from protocols.crypto.pin import ibm3624_offset
from protocols.ids import disbursement_id
from protocols.iso8583 import Message
from protocols.values import Pan, SecretBytes
from switch.assembly import Node, assemble
from switch.config import SwitchConfig
from switch.session import Arrival, Departure
from switch.work import Work, run_work
from tests.test_switch.switch_edc import IMK, PIN, PVK, Chip, Edc

START_NS = 1_767_575_647 * 10**9  # 2026-01-05 09:14:07 WITA
TPDU = bytes.fromhex("6008310001")
FUNDING = 1


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
    proxies: dict[int, ProxyView] = field(default_factory=dict)
    version: int = 1

    def proxy(self, proxy_number: int) -> ProxyView | None:
        return self.proxies.get(proxy_number)

    def card_by_pan(self, pan: Pan) -> CardView | None:
        return self.cards.get(pan.reveal())

    def merchant(self, merchant_id: str) -> MerchantView | None:
        return self.merchants.get(merchant_id.rstrip(" "))

    def merchant_by_account(self, account_id: int) -> MerchantView | None:
        shops = self.merchants.values()
        return next((one for one in shops if account_id in one.payable_accounts.values()), None)

    def terminal(self, terminal_id: str) -> TerminalView | None:
        return self.terminals.get(terminal_id)


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
        self.set_rule("amount", **changes)

    def set_rule(self, name: str, **changes: object) -> None:
        """Change a rule of the running node."""
        desk = self.node.core._desk
        rules = desk.rules.rules
        rule = getattr(rules, name).model_copy(update=changes)
        desk.rules = replace(
            desk.rules,
            rules=rules.model_copy(update={name: rule}),
            versions={**desk.rules.versions, name: (rule,)},
        )

    def card_balance(self, chip: Chip) -> int:
        return self.balance(self.registry.cards[chip.pan.reveal()].account_id)

    def postings(self, code: TransferCode = TransferCode.PURCHASE) -> int:
        """Give how many transfers of a kind stand in the ledger."""
        return sum(
            1
            for entry in self.ledger.entries()
            if entry.transfer.code == code and entry.status == 0xFFFFFFFF
        )


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
