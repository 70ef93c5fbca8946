"""A test city whose registry and keys are the programme's own, and a terminal in it."""

from datetime import date

from ledger.structures import Transfer
from programme.accounts import open_purse
from programme.actors import Actor, Agency
from programme.chart import FundSource, Purse, TrancheData, TransferCode
from programme.decree import import_decree, read_decree
from programme.decree.columns import columns
from programme.decree.template import template
from programme.keystore import Keystore
from programme.registry import Registry
from programme.registry.shops import MerchantKind
from programme.registry_port import CardStatus
from protocols.crypto.pin import ibm3624_offset
from protocols.values import SecretBytes
from tests.test_switch.switch_edc import IMK, PIN, PVK, Chip, Edc
from tests.test_switch.switch_world import World

DISKOMINFO = Actor(Agency.DISKOMINFO, "staf-01")
BANK = Actor(Agency.BANK, "bank-01")
SHOP, TERMINAL = "EW0000000000017", "12400017"


class City(World):
    """A world whose registry and keys are the programme's."""

    def __init__(self, directory) -> None:
        super().__init__(directory)
        self.node.state.close()
        self.registry = Registry.open(
            directory / "registry.sqlite",
            hmac_key=SecretBytes(b"h" * 32),
            nik_key=SecretBytes(b"n" * 32),
            clock=self.clock,
            random_bytes=self.noise,
        )
        self.keys = Keystore.create(directory / "keystore.json", SecretBytes(b"m" * 32), self.noise)
        self.keys.put("imk_ac", IMK)
        self.keys.put("pvk", PVK)
        self.keys.generate(f"tmk/{TERMINAL}")
        self.chip = Chip("9360099900000019", "01")
        self.card_number = self.issue_card(directory)
        self.open_shop()
        chart = open_purse(self.ledger, self.registry, Purse.FOOD, BANK)
        self.pay(chart.funding, chart.cards[0])
        self.node = self.assemble()

    def issue_card(self, directory) -> int:
        lines = template().splitlines()[:-1]
        cells = {
            "nik": "9972010100000001",
            "nama": "Sari Melati Rekaan",
            "tanggal_lahir": "1990-01-01",
            "nomor_kk": "9972020200000001",
            "alamat": "Jalan Lumbung 1",
            "kelurahan": "Bukuan",
            "kecamatan": "Palaran",
            "nominal": "300000",
            "hasil_verifikasi": "layak",
        }
        lines.append(";".join(cells[column.name] for column in columns()))
        path = directory / "decree.csv"
        path.write_text("\n".join(lines) + "\n", "utf-8")
        import_decree(self.registry, read_decree(path), DISKOMINFO)
        offset = ibm3624_offset(PVK, self.chip.pan, PIN)
        end = date(2030, 12, 31)
        card = self.registry.issue_card(1, self.chip.pan, "01", end, offset, DISKOMINFO)
        self.registry.move_cards([card.card_number], CardStatus.AT_BANK, DISKOMINFO)
        self.registry.move_cards([card.card_number], CardStatus.COLLECTED, BANK)
        return card.card_number

    def replace_card(self) -> int:
        view = self.registry.cards.replace(
            self.card_number,
            pan=Chip("9360099900000027", "01").pan,
            pan_sequence="01",
            expires_on=date(2031, 12, 31),
            pin_offset="000000",
            actor=DISKOMINFO,
        )
        return view.card_number

    def open_shop(self) -> None:
        self.registry.add_merchant(
            SHOP,
            name="E-WARONG BERKAH",
            kind=MerchantKind.MICRO,
            district="Palaran",
            village="Bukuan",
            category="5411",
            actor=BANK,
        )
        self.registry.add_terminal(
            TERMINAL,
            home_merchant_id=SHOP,
            key_label=f"tmk/{TERMINAL}",
            key_check_value=self.keys.check_value(f"tmk/{TERMINAL}"),
            actor=BANK,
        )

    def pay(self, funding: int, account_id: int) -> None:
        tranche = TrancheData("2026-01", FundSource.APBD, 2026)
        transfer = Transfer(
            id=77,
            debit_account_id=funding,
            credit_account_id=account_id,
            amount=30_000_000,
            ledger=Purse.FOOD,
            code=TransferCode.DISBURSEMENT,
            user_data_64=tranche.pack(),
        )
        assert self.ledger.create_transfers([transfer])[0].status.name == "CREATED"


class CityEdc(Edc):
    """A terminal whose master key lies in the keystore."""

    def take_keys(self, answer) -> None:
        keys = self.world.keys
        self.world.keys = {f"tmk/{TERMINAL}": keys.get(f"tmk/{TERMINAL}")}
        super().take_keys(answer)
        self.world.keys = keys
