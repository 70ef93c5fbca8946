"""Random keys, PINs and cards: our values beside psec's and pyemv's, in both engines.

The two packages are independent of ours and serve as oracles only. They warn of old ciphers, which
is what payment cards use; their warnings are theirs.
"""

import random
import warnings
from collections.abc import Iterator

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pyemv.ac
    import pyemv.cvn
    import pyemv.kd
    import pyemv.sm
    from psec import cvv as psec_cvv
    from psec import mac as psec_mac
    from psec import pin as psec_pin
    from psec import pinblock as psec_pinblock
    from psec import tr31 as psec_tr31

from protocols.crypto import cryptogram, emv_keys, engine, mac, pin, scripts, tdes, tr31
from protocols.crypto.aes import AesCipher
from protocols.crypto.tr31 import KeyBlockHeader, OptionalBlock
from protocols.values import Pan, PinBlock, SecretBytes

pytestmark = pytest.mark.filterwarnings("ignore")

SEEDS = range(20260105, 20260117)


@pytest.fixture(params=engine.engines(), ids=lambda one: one.NAME, autouse=True)
def each_engine(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run every test with either engine."""
    before = engine.current.engine
    engine.current.engine = request.param
    yield
    engine.current.engine = before


class Draw:
    """Random values of one seed, of the shapes that the functions take."""

    def __init__(self, seed: int) -> None:
        """Begin."""
        self._chance = random.Random(seed)

    def bytes(self, size: int) -> bytes:
        """Give random bytes."""
        return self._chance.randbytes(size)

    def digits(self, low: int, high: int) -> str:
        """Give random digits, `low` to `high` of them."""
        return "".join(self._chance.choices("0123456789", k=self._chance.randint(low, high)))


@pytest.fixture(params=SEEDS, ids=lambda seed: f"seed-{seed}")
def draw(request: pytest.FixtureRequest) -> Draw:
    """Give the values of one seed, which the test's name holds."""
    return Draw(request.param)


def test_macs_agree_with_psec(draw: Draw) -> None:
    key, data = draw.bytes(16), draw.bytes(int(draw.digits(1, 2)))
    for padding in (1, 2, 3):
        for some in (data, b""):
            theirs = psec_mac.generate_retail_mac(key[:8], key[8:], some, padding)
            assert mac.retail_mac(SecretBytes(key), some, padding) == theirs  # type: ignore[arg-type]
            assert mac.RetailMac(SecretBytes(key), padding).mac(some) == theirs  # type: ignore[arg-type]
            theirs = psec_mac.generate_cbc_mac(key, some, padding)
            assert mac.cbc_mac(SecretBytes(key), some, padding) == theirs  # type: ignore[arg-type]


def test_pin_blocks_agree_with_psec(draw: Draw) -> None:
    number, secret = draw.digits(13, 19), draw.digits(4, 12)
    clear = pin.pin_block_encode(0, secret, Pan(number)).reveal()
    assert clear == psec_pinblock.encode_pinblock_iso_0(secret, number)
    assert psec_pinblock.encode_pinblock_iso_2(secret) == pin.pin_block_encode(2, secret).reveal()
    theirs = psec_pinblock.encode_pinblock_iso_3(secret, number)
    assert pin.pin_block_decode(3, SecretBytes(theirs), Pan(number)) == secret
    ours = pin.pin_block_encode(3, secret, Pan(number), draw.bytes)
    assert psec_pinblock.decode_pinblock_iso_3(ours.reveal(), number) == secret


def test_pin_block_4_agrees_with_psec_both_ways_and_translates(draw: Draw) -> None:
    number, secret, key = draw.digits(13, 19), draw.digits(4, 12), draw.bytes(16)
    theirs = psec_pinblock.encipher_pinblock_iso_4(key, secret, number)
    assert pin.decipher_pin_block(SecretBytes(key), PinBlock(theirs), Pan(number), form=4) == secret
    ours = pin.encipher_pin_block(
        SecretBytes(key), secret, Pan(number), form=4, random_bytes=draw.bytes
    )
    assert psec_pinblock.decipher_pinblock_iso_4(key, ours.reveal(), number) == secret
    zone = SecretBytes(draw.bytes(16))
    out = pin.translate_pin_block(SecretBytes(key), ours, zone, Pan(number), form_in=4, form_out=0)
    clear = tdes.decipher_ecb(zone, out.reveal())
    assert psec_pinblock.decode_pinblock_iso_0(clear, number) == secret
    back = pin.translate_pin_block(
        zone, out, SecretBytes(key), Pan(number), form_in=0, form_out=4, random_bytes=draw.bytes
    )
    assert psec_pinblock.decipher_pinblock_iso_4(key, back.reveal(), number) == secret


def test_verification_values_agree_with_psec(draw: Draw) -> None:
    number, secret, key = draw.digits(16, 19), draw.digits(6, 6), draw.bytes(16)
    expiry, service = draw.digits(4, 4), draw.digits(3, 3)
    ours = pin.cvv(SecretBytes(key), Pan(number), expiry, service)
    assert ours == psec_cvv.generate_cvv(key, number, expiry, service)
    for index in range(7):
        theirs = psec_pin.generate_visa_pvv(key, str(index), secret[:4], number)
        assert pin.pvv(SecretBytes(key), Pan(number), secret, index) == theirs
    table = "0123456789012345"
    begin = len(number) - 13
    theirs = psec_pin.generate_ibm3624_offset(key, table, secret, number, begin, 12, "F")
    assert pin.ibm3624_offset(SecretBytes(key), Pan(number), secret) == theirs


@pytest.mark.parametrize("version", ["A", "B", "C", "D"])
def test_key_blocks_open_at_psec_and_theirs_open_here(draw: Draw, version: str) -> None:
    kbpk = draw.bytes(32 if version == "D" else 16)
    key = tdes.with_odd_parity(SecretBytes(draw.bytes(16)))
    options = tuple(
        OptionalBlock(name, draw.digits(low, high))
        for name, low, high in (("KS", 0, 20), ("LB", 240, 320))
    )
    header = KeyBlockHeader(version, "M3", "T", "C", options=options)
    block = tr31.wrap(SecretBytes(kbpk), header, key, draw.bytes)
    theirs, opened = psec_tr31.unwrap(kbpk, block.encode() if isinstance(block, bytes) else block)
    assert opened == key.reveal()
    assert (theirs.version_id, theirs.key_usage, theirs.algorithm) == (version, "M3", "T")
    assert {name: theirs.blocks[name] for name in ("KS", "LB")} == {
        option.identifier: option.data for option in options
    }
    foreign_header = psec_tr31.Header(version, "P0", "T", "E", "00", "N")
    for option in options:
        foreign_header.blocks[option.identifier] = option.data
    foreign = psec_tr31.wrap(kbpk, foreign_header, key.reveal())
    read, again = tr31.unwrap(SecretBytes(kbpk), foreign)
    assert read.options[: len(options)] == options
    assert (again, read.usage, read.mode) == (key, "P0", "E")


def test_card_keys_agree_with_pyemv(draw: Draw) -> None:
    imk, number, psn = draw.bytes(16), draw.digits(12, 19), draw.digits(2, 2)
    for option, derive in (("A", pyemv.kd.derive_icc_mk_a), ("B", pyemv.kd.derive_icc_mk_b)):
        ours = emv_keys.icc_master_key(SecretBytes(imk), Pan(number), psn, option)  # type: ignore[arg-type]
        assert tdes.with_odd_parity(ours).reveal() == derive(imk, number, psn)
    master, atc = draw.bytes(16), draw.bytes(2)
    kept = SecretBytes(master)
    ours = tdes.with_odd_parity(emv_keys.common_session_key(kept, atc))
    assert ours.reveal() == pyemv.kd.derive_common_sk(master, atc + bytes(6))
    ours = tdes.with_odd_parity(emv_keys.visa_script_session_key(kept, atc))
    theirs = SecretBytes(pyemv.kd.derive_visa_sm_sk(master, atc))
    assert ours == tdes.with_odd_parity(theirs)
    for height, branch in ((8, 4), (16, 2), (11, 3)):
        ours = emv_keys.emv2000_session_key(kept, atc, height=height, branch_factor=branch)
        theirs_tree = pyemv.kd.derive_emv2000_tree_sk(master, atc, height, branch)
        assert tdes.with_odd_parity(ours).reveal() == theirs_tree


def test_cryptograms_and_scripts_agree_with_pyemv(draw: Draw) -> None:
    key, data, arqc = draw.bytes(16), draw.bytes(29), draw.bytes(8)
    kept = SecretBytes(key)
    for padding, theirs in ((1, pyemv.ac.PaddingType.VISA), (2, pyemv.ac.PaddingType.EMV)):
        ours = cryptogram.application_cryptogram(kept, data, padding)  # type: ignore[arg-type]
        assert ours == pyemv.ac.generate_ac(key, data, theirs)
    code, update, more = draw.bytes(2), draw.bytes(4), draw.bytes(5)
    assert cryptogram.arpc_method1(kept, arqc, code) == pyemv.ac.generate_arpc_1(key, arqc, code)
    ours = cryptogram.arpc_method2(kept, arqc, update, more)
    assert ours == pyemv.ac.generate_arpc_2(key, arqc, update, more)
    assert scripts.script_mac(kept, data) == pyemv.sm.generate_command_mac(key, data)
    secret = draw.digits(4, 12)
    block = pyemv.sm.format_iso9564_2_pin_block(secret)
    emv = pyemv.sm.EncryptionType.EMV
    assert scripts.encipher_script_pin(kept, secret) == pyemv.sm.encrypt_command_data(
        key, block, emv
    )


#: The objects that every cryptogram version covers first, in order, with their lengths.
COVERED = {
    "9f02": 6, "9f03": 6, "9f1a": 2, "95": 5, "5f2a": 2, "9a": 3, "9c": 1, "9f37": 4, "82": 2,
    "9f36": 2,
}  # fmt: skip


def test_cryptogram_versions_agree_with_pyemv(draw: Draw) -> None:
    imk, number, psn = draw.bytes(16), draw.digits(12, 19), draw.digits(2, 2)
    card = (imk, imk, imk, number, psn)
    values = {f"tag_{tag}": draw.bytes(size) for tag, size in COVERED.items()}
    results, counters, application = draw.bytes(6), draw.bytes(8), draw.bytes(7)
    theirs = {
        10: pyemv.cvn.VisaCVN10(*card).generate_ac(**values, cvr=results[:4]),
        16: pyemv.cvn.MasterCardCVN16(*card).generate_ac(**values, cvr=results),
        17: pyemv.cvn.MasterCardCVN17(*card).generate_ac(**values, cvr=results, counters=counters),
        18: pyemv.cvn.VisaCVN18(*card).generate_ac(**values, tag_9f10=application),
    }
    more = {10: results[:4], 16: results, 17: results + counters, 18: application}
    for version, expected in theirs.items():
        ours = cryptogram.version_cryptogram(
            version,
            SecretBytes(imk),
            Pan(number),
            psn,
            atc=values["tag_9f36"],
            unpredictable_number=values["tag_9f37"],
            data=b"".join(values.values()) + more[version],
            option="B" if version == 18 else "A",
        )
        assert ours == expected, version


def test_aes_context_of_the_block_agrees_with_itself_in_both_directions(draw: Draw) -> None:
    cipher, data = AesCipher(SecretBytes(draw.bytes(32))), draw.bytes(32)
    assert cipher.decipher_ecb(cipher.encipher_ecb(data)) == data
