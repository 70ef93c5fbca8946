"""What cards compute, recomputed by others: `pyemv`, and RSA written down from EMV Book 2.

Random transactions from a printed seed: other numbers, keys, counters, amounts, PINs each time.
"""

import datetime
import random
from dataclasses import dataclass
from hashlib import sha1

import pyemv
import pytest
from pyemv.sm import EncryptionType

from cardsim import Card, published_authority
from protocols.crypto.emv_keys import icc_master_key
from protocols.emv import tlv
from protocols.values import Pan, SecretBytes
from tests.card_kit import StillClock, make_image

pytestmark = [
    pytest.mark.slow,
    # pyemv uses cryptography's TDES with 16-byte keys, where it no longer stands.
    pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning"),
]

TRANSACTIONS = 3_000
SIGNED_TRANSACTIONS = 300
SEED = 20260105
OK = b"\x90\x00"
AAC, TC, ARQC = 0x00, 0x40, 0x80


@dataclass(frozen=True, slots=True)
class Masters:
    """An issuer's master keys, in clear: test keys."""

    ac: bytes
    mac: bytes
    encipherment: bytes


def random_card(random_source: random.Random, profile: str) -> tuple[Card, str, str, Masters, str]:
    """Give a card with its number, sequence number, issuer's keys and PIN, all by chance."""
    pan = "93600999" + f"{random_source.randrange(10**8):08d}"
    psn = f"{random_source.randrange(100):02d}"
    masters = Masters(*(random_source.randbytes(16) for _ in range(3)))
    pin = "".join(random_source.choice("0123456789") for _ in range(random_source.randrange(4, 13)))
    keys = {
        name: icc_master_key(SecretBytes(key), Pan(pan), psn)
        for name, key in (
            ("udk_ac", masters.ac), ("udk_mac", masters.mac),
            ("udk_encipherment", masters.encipherment),
        )
    }  # fmt: skip
    image = make_image(
        profile, pan=Pan(pan), psn=psn, pin=pin, random_bytes=random_source.randbytes, **keys
    )
    state = image.applications[0].state
    state.atc = random_source.randrange(0xFFF0)
    state.last_online_atc = random_source.randrange(state.atc + 1)
    card = Card(image, StillClock(), random_source.randbytes)
    card.power()
    return card, pan, psn, masters, pin


def answered(card: Card, text: str, data: bytes = b"", le: str = "00") -> bytes:
    """Send a command with data and give its answer's data; the status must be 9000."""
    body = bytes((len(data),)) + data if data else b""
    answer = card.apdu(bytes.fromhex(text) + body + bytes.fromhex(le))
    assert answer[-2:] == OK, f"{text} {answer[-2:].hex()}"
    return answer[:-2]


@dataclass(frozen=True, slots=True)
class Terminal:
    """A terminal's random data, in the order in which a cryptogram covers them."""

    amount: bytes
    other: bytes
    tvr: bytes
    date: bytes
    kind: bytes
    number: bytes

    @property
    def covered(self) -> bytes:
        """Give 9F02 9F03 9F1A 95 5F2A 9A 9C 9F37."""
        return (
            self.amount + self.other + b"\x03\x60" + self.tvr + b"\x03\x60" + self.date + self.kind
            + self.number
        )  # fmt: skip


def random_terminal(random_source: random.Random) -> Terminal:
    day = datetime.date(2026, 1, 1) + datetime.timedelta(random_source.randrange(1_000))
    return Terminal(
        bytes.fromhex(f"{random_source.randrange(10**12):012d}"),
        bytes.fromhex(f"{random_source.randrange(10**6):012d}"),
        random_source.randbytes(5),
        bytes.fromhex(day.strftime("%y%m%d")),
        random_source.choice((b"\x00", b"\x20", b"\x30")),
        random_source.randbytes(4),
    )


def session(master: bytes, pan: str, psn: str, diversifier: bytes) -> bytes:
    """Give pyemv's session key from an issuer's master key."""
    card_key = pyemv.kd.derive_icc_mk_a(master, pan, psn)
    key: bytes = pyemv.kd.derive_common_sk(card_key, diversifier.ljust(8, b"\x00"))
    return key


def test_cryptograms_answers_scripts_and_pins_are_what_pyemv_computes() -> None:
    random_source = random.Random(SEED)
    for number in range(TRANSACTIONS):
        card, pan, psn, masters, pin = random_card(random_source, "ssn")
        try:
            arqc_key, arqc = online_half(card, pan, psn, masters, random_source)
            script_half(card, pan, psn, masters, arqc, random_source)
        except AssertionError as error:
            raise AssertionError(f"seed {SEED}, transaction {number}: {error}") from error
        assert len(arqc_key) == 16
        assert pin


def online_half(
    card: Card, pan: str, psn: str, masters: Masters, random_source: random.Random
) -> tuple[bytes, bytes]:
    """Run a transaction to its TC; check both cryptograms and the answer to the first."""
    terminal = random_terminal(random_source)
    answered(card, "00A40400", card.image.applications[0].aid)
    options = answered(card, "80A80000", b"\x83\x05\x03\x60\x03\x60" + terminal.kind)
    aip = tlv.parse_flat(options, leaves=True)["82"]
    cdol1 = terminal.covered + b"\x22" + bytes.fromhex("020300")
    first = tlv.parse_flat(answered(card, "80AE8000", cdol1), leaves=True)
    assert first["9F27"] == bytes((ARQC,))
    key = session(masters.ac, pan, psn, first["9F36"])
    covered = terminal.covered + aip + first["9F36"] + first["9F10"]
    padding = pyemv.ac.PaddingType.EMV
    assert first["9F26"] == pyemv.ac.generate_ac(key, covered, padding), "ARQC"
    arpc = pyemv.ac.generate_arpc_1(key, first["9F26"], b"00")
    answered(card, "00820000", arpc + b"00", le="")
    last = tlv.parse_flat(answered(card, "80AE4000", terminal.covered + b"00"), leaves=True)
    assert last["9F27"] == bytes((TC,))
    covered = terminal.covered + aip + last["9F36"] + last["9F10"]
    assert last["9F26"] == pyemv.ac.generate_ac(key, covered, padding), "TC"
    return key, first["9F26"]


def script_half(
    card: Card, pan: str, psn: str, masters: Masters, arqc: bytes, random_source: random.Random
) -> None:
    """Send a new PIN and a balance, both made by pyemv, and find them on the card."""
    digits = random_source.randrange(4, 13)
    pin = "".join(random_source.choice("0123456789") for _ in range(digits))
    pin_key = session(masters.encipherment, pan, psn, arqc)
    block = pyemv.sm.format_iso9564_2_pin_block(pin)
    data = pyemv.sm.encrypt_command_data(pin_key, block, EncryptionType.EMV)
    mac_key = session(masters.mac, pan, psn, arqc)
    length = random_source.randrange(4, 9)
    header = bytes.fromhex("84240002") + bytes((len(data) + length,))
    mac = pyemv.sm.generate_command_mac(mac_key, arqc + header + data)
    assert card.apdu(header + data + mac[:length]) == OK, "new PIN"
    assert card.image.applications[0].state.pin == pin
    mirror = bytes.fromhex(f"{random_source.randrange(10**12):012d}260105091407")
    header = bytes.fromhex("84DADF71") + bytes((len(mirror) + 8,))
    second = pyemv.sm.generate_command_mac(mac_key, mac + header + mirror)
    assert card.apdu(header + mirror + second) == OK, "balance under the chained MAC"
    assert card.image.applications[0].state.balance_mirror == mirror
    card_key = pyemv.kd.derive_icc_mk_a(masters.ac, pan, psn)
    bound = pyemv.sm.format_vis_pin_block(card_key, "4711", pin)
    data = pyemv.sm.encrypt_command_data(pin_key, bound, EncryptionType.VISA)
    header = bytes.fromhex("84240001") + bytes((len(data) + 8,))
    mac = pyemv.sm.generate_command_mac(mac_key, second + header + data)
    assert card.apdu(header + data + mac) == OK, "PIN bound to the current one"
    assert card.image.applications[0].state.pin == "4711"


def recovered(signed: bytes, modulus: bytes, exponent: bytes) -> bytes:
    """Give what a signature hides. EMV 4.4 Book 2, Annex A2.1: by its formula."""
    value = pow(
        int.from_bytes(signed, "big"),
        int.from_bytes(exponent, "big"),
        int.from_bytes(modulus, "big"),
    )
    content = value.to_bytes(len(modulus), "big")
    assert (content[0], content[-1]) == (0x6A, 0xBC), "header and trailer"
    return content


def key_in(content: bytes, head: int, remainder: bytes, exponent: bytes, covered: bytes) -> bytes:
    """Give the modulus in a recovered certificate, its hash checked. Book 2, 5.3 and 6.4."""
    hashed = content[1:-21] + remainder + exponent + covered
    assert sha1(hashed).digest() == content[-21:-1], "certificate hash"
    length = content[head - 2]
    return (content[head:-21] + remainder)[:length]


def records_of(card: Card) -> tuple[dict[str, bytes], bytes]:
    """Read everything that the AFL names: objects, and static data to be authenticated."""
    options = tlv.parse_flat(
        answered(card, "80A80000", bytes.fromhex("8305036020D8C8")), leaves=True
    )
    objects, static = dict(options), b""
    afl = options["94"]
    for at in range(0, len(afl), 4):
        file, first, last, signed = afl[at] >> 3, *afl[at + 1 : at + 4]
        for number in range(first, last + 1):
            record = answered(card, f"00B2{number:02X}{file << 3 | 4:02X}")
            found = tlv.parse(record)[0]
            objects.update({child.tag: child.value for child in found.children})
            static += found.value if number < first + signed else b""
    return objects, static + options["82"]


@pytest.mark.parametrize(
    ("profile", "authority"), [("emv-generic", "published"), ("emv-long", "published-long")]
)
def test_certificates_and_signatures_hold_by_the_formulas_of_book_2(
    profile: str, authority: str
) -> None:
    random_source = random.Random(SEED)
    ca = published_authority(authority).ca.public
    for number in range(SIGNED_TRANSACTIONS):
        card, pan, psn, masters, _pin = random_card(random_source, profile)
        try:
            signed_transaction(card, ca.modulus, random_source, (pan, psn, masters.ac))
        except AssertionError as error:
            raise AssertionError(f"seed {SEED}, transaction {number}: {error}") from error


def signed_transaction(
    card: Card, ca_modulus: bytes, random_source: random.Random, issuer: tuple[str, str, bytes]
) -> None:
    """Run DDA and a CDA transaction and check everything that is signed."""
    terminal = random_terminal(random_source)
    answered(card, "00A40400", card.image.applications[0].aid)
    objects, static = records_of(card)
    content = recovered(objects["90"], ca_modulus, b"\x03")
    assert content[1] == 0x02
    issuer_key = key_in(content, 15, objects.get("92", b""), objects["9F32"], b"")
    content = recovered(objects["93"], issuer_key, objects["9F32"])
    assert content[1] == 0x03
    assert sha1(content[1:-21] + static).digest() == content[-21:-1], "static signature"
    content = recovered(objects["9F46"], issuer_key, objects["9F32"])
    assert (content[1], content[2:12].hex().rstrip("f")) == (0x04, issuer[0])
    card_key = key_in(content, 21, objects.get("9F48", b""), objects["9F47"], static)

    number = random_source.randbytes(4)
    answer = tlv.parse_flat(answered(card, "00880000", number), leaves=True)
    content = recovered(answer["9F4B"], card_key, objects["9F47"])
    assert sha1(content[1:-21] + number).digest() == content[-21:-1], "DDA"

    cdol1 = terminal.covered + b"\x22" + bytes(10) + bytes.fromhex("1F0302")
    combined(card, "80AE9000", cdol1, b"", terminal, card_key, issuer)
    cdol2 = b"00" + terminal.covered
    combined(card, "80AE5000", cdol2, cdol1, terminal, card_key, issuer)


def combined(
    card: Card,
    header: str,
    values: bytes,
    before: bytes,
    terminal: Terminal,
    card_key: bytes,
    issuer: tuple[str, str, bytes],
) -> None:
    """Check a combined signature and the cryptogram inside it. Book 2, 6.6.2."""
    raw = answered(card, header, values)
    objects = tlv.parse(raw)[0].children
    held = {item.tag: item.value for item in objects}
    content = recovered(held["9F4B"], card_key, b"\x03")
    assert sha1(content[1:-21] + terminal.number).digest() == content[-21:-1], "CDA"
    length = content[3]
    dynamic = content[4 : 4 + length]
    at = 1 + dynamic[0]
    cid, cryptogram, hashed = dynamic[at], dynamic[at + 1 : at + 9], dynamic[at + 9 : at + 29]
    assert bytes((cid,)) == held["9F27"]
    sent = bytes.fromhex("036020D8C8") + before + values
    rest = b"".join(tlv.build([(o.tag, o.value)]) for o in objects if o.tag != "9F4B")
    assert sha1(sent + rest).digest() == hashed, "transaction data hash"
    pan, psn, master = issuer
    key = session(master, pan, psn, held["9F36"])
    aip = card.image.applications[0].aip
    covered = terminal.covered + aip + held["9F36"] + held["9F10"]
    assert cryptogram == pyemv.ac.generate_ac(key, covered, pyemv.ac.PaddingType.EMV)
