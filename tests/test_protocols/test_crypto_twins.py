"""Both engines give the same bytes; what needs no published value is held against a second way."""

import os

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.crypto import aes, cryptogram, emv_keys, engine, mac, pin, pure, tdes
from protocols.crypto.errors import CryptoError, DataLengthError, KeyRefusedError
from protocols.emv import limits, tlv
from protocols.values import Pan, SecretBytes

#: Enough for every run; a longer search raises it here.
QUICK = settings(max_examples=25)

BOUNDS = (limits.TLV_INPUT_BYTES, limits.TLV_DEPTH, limits.TLV_TAG_BYTES, limits.TLV_OBJECTS)

keys = st.one_of(*(st.binary(min_size=size, max_size=size) for size in (8, 16, 24)))
double_keys = st.binary(min_size=16, max_size=16)
blocks = st.binary(max_size=400).map(lambda data: data[: len(data) // 8 * 8])
pins = st.text("0123456789", min_size=4, max_size=12)
pan_parts = st.text("0123456789", min_size=12, max_size=12)
eight = st.binary(min_size=8, max_size=8)


def native() -> engine.Engine:
    if engine.native is None:
        message = "the native core was not built: pip install again with a Rust tool-chain"
        if os.environ.get("LUMBUNG_REQUIRE_NATIVE") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return engine.native


@QUICK
@given(key=keys, data=blocks, iv=eight)
def test_tdes_of_any_key_and_data_is_the_same_in_both_engines(
    key: bytes, data: bytes, iv: bytes
) -> None:
    ours, other = native().Tdes(key), pure.Tdes(key)
    enciphered = other.encipher_ecb(data)
    assert ours.encipher_ecb(data) == enciphered == native().tdes_encipher(key, data)
    assert ours.decipher_ecb(enciphered) == data == other.decipher_ecb(enciphered)
    chained = other.encipher_cbc(data, iv)
    assert ours.encipher_cbc(data, iv) == chained
    assert ours.decipher_cbc(chained, iv) == data == other.decipher_cbc(chained, iv)


@QUICK
@given(key=double_keys, data=st.binary(max_size=400), padding=st.sampled_from([1, 2, 3]))
def test_retail_mac_is_the_same_in_both_engines_and_by_the_standards_own_steps(
    key: bytes, data: bytes, padding: int
) -> None:
    value = pure.retail_mac(key, data, padding)
    assert native().retail_mac(key, data, padding) == value
    assert native().RetailMac(key).mac(data, padding) == value
    single = pure.Tdes(key[:8]).encipher_cbc(pure.pad(data, padding), bytes(8))[-8:]
    step = pure.Tdes(key[8:]).decipher_ecb(single)
    assert pure.Tdes(key[:8]).encipher_ecb(step) == value


@QUICK
@given(
    key=double_keys,
    card=eight,
    atc=eight,
    data=st.binary(max_size=99),
    code=st.binary(min_size=2, max_size=2),
)
def test_card_keys_and_cryptograms_are_the_same_in_both_engines(
    key: bytes, card: bytes, atc: bytes, data: bytes, code: bytes
) -> None:
    master = pure.icc_master_key(key, card)
    session = pure.common_session_key(master, atc)
    assert native().icc_master_key(key, card) == master
    assert native().common_session_key(master, atc) == session
    made = native().issuer_cryptogram(key, card, atc, data, 2)
    assert made == pure.issuer_cryptogram(key, card, atc, data, 2)
    assert made == pure.retail_mac(session, data, 2)
    assert native().arpc_method1(session, made, code) == pure.arpc_method1(session, made, code)


@QUICK
@given(one=double_keys, two=double_keys, text=pins, pan=pan_parts, damage=eight)
def test_pin_blocks_are_the_same_in_both_engines(
    one: bytes, two: bytes, text: str, pan: str, damage: bytes
) -> None:
    ours = native().Tdes(one), native().Tdes(two)
    other = pure.Tdes(one), pure.Tdes(two)
    block = other[0].encipher_pin_block_0(text, pan)
    assert ours[0].encipher_pin_block_0(text, pan) == block
    for given_block in (block, damage):
        translated = other[0].translate_pin_block_0(other[1], given_block, pan)
        assert ours[0].translate_pin_block_0(ours[1], given_block, pan) == translated
    assert other[0].translate_pin_block_0(other[1], block, pan) is not None


@pytest.mark.parametrize("which", engine.engines(), ids=lambda which: which.NAME)
@pytest.mark.parametrize(
    ("field", "holds"),
    [
        ("041234FFFFFFFFFF", True),
        ("0C123456789012FF", True),
        ("06123456FFFFFFFF", True),
        ("14123456FFFFFFFF", False),
        ("03123FFFFFFFFFFF", False),
        ("0D1234567890123F", False),
        ("04123AFFFFFFFFFF", False),
        ("041234FFFFFFFFF0", False),
        ("0412340FFFFFFFFF", False),
    ],
)
def test_block_is_translated_only_when_it_holds_a_pin_of_format_0(
    which: engine.Engine, field: str, holds: bool
) -> None:
    pan = "009991234482"
    source, target = which.Tdes(bytes(range(16))), which.Tdes(bytes(range(16, 32)))
    clear = pure.xor(bytes.fromhex(field), bytes.fromhex("0000" + pan))
    done = source.translate_pin_block_0(target, source.encipher_ecb(clear), pan)
    assert done == (target.encipher_ecb(clear) if holds else None)


WEAK_KEYS = """
    0101010101010101 FEFEFEFEFEFEFEFE E0E0E0E0F1F1F1F1 1F1F1F1F0E0E0E0E 0000000000000000
    FFFFFFFFFFFFFFFF 01FE01FE01FE01FE FE01FE01FE01FE01 1FE01FE00EF10EF1 E01FE01FF10EF10E
    01E001E001F101F1 E001E001F101F101 1FFE1FFE0EFE0EFE FE1FFE1FFE0EFE0E 011F011F010E010E
    1F011F010E010E01 E0FEE0FEF1FEF1FE FEE0FEE0FEF1FEF1
"""


@pytest.mark.parametrize("weak", WEAK_KEYS.split())
def test_weak_half_is_refused_wherever_it_stands_and_is_weak_indeed(weak: str) -> None:
    other = bytes(range(8))
    half = bytes.fromhex(weak)
    for key in (half + other, other + half, other + bytes(range(8, 16)) + half):
        with pytest.raises(KeyRefusedError):
            tdes.check_strength(SecretBytes(key))
    # Weak: some key of the list undoes what it does.
    block = pure.Tdes(half).encipher_ecb(other)
    assert any(
        pure.Tdes(bytes.fromhex(text)).encipher_ecb(block) == other for text in WEAK_KEYS.split()
    )


TLV_PIECES = """
    9F3602000A 5A0412345678 77079F270180950100 9F 1F8180 00 8100 8200FF 7F DFEE2501AA
    A5055F2D02656E 6F0A84025041A5045F2D0101 9F02818100 FF 707070707070707070 71007200
"""
tlv_pieces = st.sampled_from([bytes.fromhex(piece) for piece in TLV_PIECES.split()])


@QUICK
@given(
    data=st.one_of(st.binary(max_size=60), st.lists(tlv_pieces, max_size=6).map(b"".join)),
    leaves=st.booleans(),
)
def test_tlv_walk_agrees_with_the_parser_on_sound_and_damaged_data(
    data: bytes, leaves: bool
) -> None:
    walked = native().tlv_flat(data, leaves, BOUNDS)
    found: dict[str, bytes] = {}
    try:
        tlv._Parser(data).flat(0, len(data), "", 0, found, False, leaves)
    except tlv.TlvError:
        assert walked is None
    else:
        assert walked == found
        assert list(walked or {}) == list(found)


@pytest.mark.parametrize("count", [0, 1, limits.TLV_OBJECTS, limits.TLV_OBJECTS + 1])
def test_tlv_walk_at_the_bound_of_objects_agrees_with_the_parser(count: int) -> None:
    data = b"".join(b"\x9f" + bytes((0x81 + n // 128, n % 128, 0)) for n in range(count))
    walked = native().tlv_flat(data, False, BOUNDS)
    assert (walked is None) == (count > limits.TLV_OBJECTS)
    assert walked is None or len(walked) == count


@pytest.mark.parametrize("which", engine.engines(), ids=lambda which: which.NAME)
def test_wrong_lengths_are_refused_with_our_errors_in_either_engine(
    which: engine.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.current, "engine", which)
    good = SecretBytes(bytes(range(16)))
    for length in (0, 7, 15, 17, 25):
        bad = SecretBytes(bytes(length))
        with pytest.raises(KeyRefusedError):
            tdes.TdesCipher(bad)
        with pytest.raises(KeyRefusedError):
            mac.RetailMac(bad)
        with pytest.raises(KeyRefusedError):
            emv_keys.icc_master_key(bad, Pan("9360099912344821"))
        with pytest.raises(KeyRefusedError):
            cryptogram.arpc_method1(bad, bytes(8), b"00")
        with pytest.raises(KeyRefusedError):
            aes.AesCipher(bad)
    with pytest.raises(DataLengthError):
        tdes.encipher_ecb(good, b"1234567")
    with pytest.raises(DataLengthError):
        tdes.encipher_cbc(good, bytes(8), bytes(7))
    with pytest.raises(CryptoError):
        mac.retail_mac(good, b"", 4)  # type: ignore[arg-type]
    with pytest.raises(DataLengthError):
        cryptogram.arpc_method1(good, bytes(7), b"00")


@QUICK
@given(key=double_keys, data=st.binary(max_size=64))
def test_tdes_cmac_equals_the_standard_by_a_second_way(key: bytes, data: bytes) -> None:
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
    from cryptography.hazmat.primitives.cmac import CMAC

    other = CMAC(TripleDES(key + key[:8]))
    other.update(data)
    assert mac.tdes_cmac(SecretBytes(key), data) == other.finalize()


@QUICK
@given(key=st.binary(min_size=32, max_size=32), data=st.binary(max_size=48), iv=double_keys)
def test_aes_modes_undo_themselves(key: bytes, data: bytes, iv: bytes) -> None:
    cipher = aes.AesCipher(SecretBytes(key))
    whole = data[: len(data) // 16 * 16]
    assert cipher.decipher_ecb(cipher.encipher_ecb(whole)) == whole
    assert cipher.decipher_cbc(cipher.encipher_cbc(whole, iv), iv) == whole
    assert cipher.encipher_ctr(cipher.encipher_ctr(data, iv), iv) == data
    oracle = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    assert cipher.encipher_cbc(whole, iv) == oracle.update(whole)


@QUICK
@given(data=st.binary(min_size=1, max_size=60), at=st.integers(0), bit=st.integers(0, 7))
def test_mac_over_altered_data_does_not_verify(data: bytes, at: int, bit: int) -> None:
    key = SecretBytes(bytes(range(16)))
    given_mac = mac.retail_mac(key, data, 2)
    altered = bytearray(data)
    altered[at % len(data)] ^= 1 << bit
    assert mac.verify_mac(key, data, given_mac, 2)
    assert mac.verify_mac(key, data, given_mac[:4], 2)
    assert not mac.verify_mac(key, bytes(altered), given_mac, 2)
    assert not mac.verify_mac(key, data, given_mac[:3], 2)
    assert not mac.verify_mac(key, data, given_mac + b"\0", 2)


@QUICK
@given(pan=st.text("0123456789", min_size=8, max_size=19), text=pins)
def test_translation_to_the_same_pin_for_any_card_number(pan: str, text: str) -> None:
    one, two = SecretBytes(bytes(range(16))), SecretBytes(bytes(range(16, 32)))
    card = Pan(pan)
    for form_in in (0, 1, 3, 4):
        block = pin.encipher_pin_block(one, text, card, form=form_in, random_bytes=bytes)
        for form_out in (0, 1, 3, 4):
            done = pin.translate_pin_block(
                one, block, two, card, form_in=form_in, form_out=form_out, random_bytes=bytes
            )
            assert pin.decipher_pin_block(two, done, card, form=form_out) == text
