"""Kept contexts and one-step checks: chip, PIN and MAC batches, in both engines."""

import threading
from collections.abc import Iterator

import pytest

from protocols.crypto import engine
from protocols.crypto.cryptogram import arqc_data_nsiccs, issuer_cryptogram
from protocols.crypto.emv_keys import common_session_key, icc_master_key
from protocols.crypto.errors import DataLengthError, KeyRefusedError, PinError
from protocols.crypto.issuer import ChipCheck, ChipClaim, IssuerKey
from protocols.crypto.mac import RetailMac, verify_batch
from protocols.crypto.online_pin import PinCheck, PinVerifier
from protocols.crypto.pin import encipher_pin_block
from protocols.crypto.tdes import TdesCipher
from protocols.crypto.verification import ibm3624_offset, ibm3624_verify
from protocols.emv import tlv
from protocols.emv.errors import EmvDataError
from protocols.serial_line import lrc
from protocols.values import Pan, PinBlock, SecretBytes

IMK = SecretBytes(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
KEY = SecretBytes(bytes.fromhex("89B07B35A1B3F47E4558C1CD20F2A1E3"))
PAN, PSN = Pan("9360099912344821"), "01"
TAGS = {
    "9F02": bytes.fromhex("000014150000"), "9F03": bytes(6), "9F1A": b"\x03\x60",
    "95": bytes(5), "5F2A": b"\x03\x60", "9A": bytes.fromhex("260105"), "9C": b"\x00",
    "9F37": bytes.fromhex("3A7F19C2"), "82": b"\x5c\x00", "9F36": b"\x00\x02",
    "9F10": bytes.fromhex("0101A000800000"), "84": bytes.fromhex("F053534E0101"),
}  # fmt: skip


@pytest.fixture(params=engine.engines(), ids=lambda one: one.NAME, autouse=True)
def each_engine(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run every test with either engine."""
    before = engine.current.engine
    engine.current.engine = request.param
    yield
    engine.current.engine = before


def chip(**changes: bytes | None) -> bytes:
    """Give raw chip data with its right cryptogram, some tags changed afterwards."""
    made = issuer_cryptogram(IMK, PAN, PSN, TAGS["9F36"], arqc_data_nsiccs(TAGS))
    tags = {"9F26": made, **TAGS, **{name[1:]: value for name, value in changes.items()}}
    return b"".join(
        bytes.fromhex(tag) + bytes([len(value)]) + value
        for tag, value in tags.items()
        if value is not None
    )


def test_issuer_key_proves_a_chip_and_gives_its_session_key() -> None:
    check = IssuerKey(IMK).check(ChipClaim(PAN, PSN, chip()))
    session = common_session_key(icc_master_key(IMK, PAN, PSN), b"\x00\x02")
    assert check == ChipCheck(True, 2, session)
    assert "0000" not in repr(check)


@pytest.mark.parametrize(
    "changes",
    [
        {"_9F26": bytes(8)},
        {"_9F26": bytes(7)},
        {"_9F02": bytes(6)},
        {"_9F36": b"\x00\x03"},
        {"_9F10": b"\x01"},
    ],
)
def test_issuer_key_does_not_believe_a_changed_chip(changes: dict[str, bytes]) -> None:
    assert not IssuerKey(IMK).check(ChipClaim(PAN, PSN, chip(**changes))).holds


@pytest.mark.parametrize("size", [4, 5, 6, 7])
def test_issuer_key_does_not_believe_a_part_of_a_cryptogram(size: int) -> None:
    whole = issuer_cryptogram(IMK, PAN, PSN, TAGS["9F36"], arqc_data_nsiccs(TAGS))
    assert not IssuerKey(IMK).check(ChipClaim(PAN, PSN, chip(_9F26=whole[:size]))).holds


def test_issuer_key_proves_only_the_card_that_it_is_asked_about() -> None:
    key = IssuerKey(IMK)
    assert not key.check(ChipClaim(Pan("9360099912344822"), PSN, chip())).holds
    assert not key.check(ChipClaim(PAN, "02", chip())).holds
    assert not IssuerKey(KEY).check(ChipClaim(PAN, PSN, chip())).holds


@pytest.mark.parametrize("option", ["A", "B"])
def test_issuer_key_derives_by_either_option(option: str) -> None:
    long_pan = Pan("9360099912344821777")
    data = arqc_data_nsiccs(TAGS)
    made = issuer_cryptogram(IMK, long_pan, PSN, b"\x00\x02", data, option=option)  # type: ignore[arg-type]
    key = IssuerKey(IMK, option)  # type: ignore[arg-type]
    assert key.check(ChipClaim(long_pan, PSN, chip(_9F26=made))).holds


@pytest.mark.parametrize("tag", [*(tag for tag in TAGS if tag != "84"), "9F26"])
def test_issuer_key_without_a_tag_says_which(tag: str) -> None:
    with pytest.raises(DataLengthError, match=tag):
        IssuerKey(IMK).check(ChipClaim(PAN, PSN, chip(**{f"_{tag}": None})))


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (chip(_9F02=bytes(5)), DataLengthError),
        (chip() + b"\x82", EmvDataError),
        (chip() + bytes.fromhex("9C0100"), EmvDataError),
        (chip() + bytes.fromhex("84020102"), EmvDataError),
        (b"", DataLengthError),
    ],
)
def test_issuer_key_refuses_what_is_no_chip_data(raw: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        IssuerKey(IMK).check(ChipClaim(PAN, PSN, raw))


def test_issuer_key_truncated_at_every_byte_raises_only_our_errors() -> None:
    raw = chip(_84=None)  # so that every tag counts
    for size in range(len(raw)):
        with pytest.raises((DataLengthError, EmvDataError)):
            IssuerKey(IMK).check(ChipClaim(PAN, PSN, raw[:size]))


def test_issuer_key_batch_gives_what_check_gives() -> None:
    key = IssuerKey(IMK)
    claims = [
        ChipClaim(PAN, PSN, chip()),
        ChipClaim(PAN, "x1", chip()),
        ChipClaim(PAN, PSN, chip(_9F26=bytes(8))),
        ChipClaim(PAN, PSN, b"\x9f"),
    ] * 3
    got = key.check_batch(claims)
    assert [checked(key, claim) for claim in claims] == [
        one if isinstance(one, ChipCheck) else str(one) for one in got
    ]
    assert isinstance(got[1], DataLengthError)
    with pytest.raises(KeyRefusedError):
        IssuerKey(SecretBytes(bytes(8)))


def checked(key: IssuerKey, claim: ChipClaim) -> ChipCheck | str:
    """Give the verdict, or the text of the error."""
    try:
        return key.check(claim)
    except (DataLengthError, EmvDataError) as error:
        return str(error)


def test_pin_verifier_agrees_with_the_two_steps_it_replaces() -> None:
    verifier, pin_key = PinVerifier(IMK), TdesCipher(KEY)
    for pin in ("1234", "000000", "123456", "999999999999"):
        offset = ibm3624_offset(IMK, PAN, pin, len(pin))
        block = encipher_pin_block(KEY, pin, PAN)
        assert verifier.check(pin_key, block, PAN, offset) is PinCheck.RIGHT
        for place in range(len(pin)):
            other = pin[:place] + str((int(pin[place]) + 1) % 10) + pin[place + 1 :]
            block = encipher_pin_block(KEY, other, PAN)
            assert verifier.check(pin_key, block, PAN, offset) is PinCheck.WRONG
            assert not ibm3624_verify(IMK, PAN, other, offset)


def test_pin_verifier_calls_a_pin_of_another_length_wrong() -> None:
    verifier, pin_key = PinVerifier(IMK), TdesCipher(KEY)
    offset = ibm3624_offset(IMK, PAN, "123456")
    for pin in ("1234", "12345", "1234567", "123456000000"):
        assert verifier.check(pin_key, encipher_pin_block(KEY, pin, PAN), PAN, offset) is (
            PinCheck.WRONG
        )


def test_pin_verifier_tells_a_block_without_pin_from_a_wrong_pin() -> None:
    verifier, pin_key = PinVerifier(IMK), TdesCipher(KEY)
    good = encipher_pin_block(KEY, "123456", PAN)
    for block, pan, cipher in (
        (PinBlock(bytes(8)), PAN, pin_key),
        (good, Pan("9360099912399999"), pin_key),
        (good, PAN, TdesCipher(IMK)),
    ):
        assert verifier.check(cipher, block, pan, "000000") is PinCheck.MALFORMED


@pytest.mark.parametrize(
    "field",
    ["0612345AFFFFFFFF", "06123456FFFFFF0F", "03123FFFFFFFFFFF", "0D1234567890123F",
     "16123456FFFFFFFF", "061234567FFFFFFF"],
)  # fmt: skip
def test_pin_verifier_calls_every_broken_field_malformed(field: str) -> None:
    pan_field = bytes.fromhex("0000" + PAN.reveal()[-13:-1])
    clear = bytes(a ^ b for a, b in zip(bytes.fromhex(field), pan_field, strict=True))
    block = PinBlock(TdesCipher(KEY).encipher_ecb(clear))
    found = PinVerifier(IMK).check(TdesCipher(KEY), block, PAN, "000000")
    assert found is PinCheck.MALFORMED


@pytest.mark.parametrize("offset", ["", "123", "12345x", "1234567890123", "١٢٣٤٥٦"])
def test_pin_verifier_refuses_what_is_no_offset(offset: str) -> None:
    with pytest.raises(PinError):
        PinVerifier(IMK).check(TdesCipher(KEY), PinBlock(bytes(8)), PAN, offset)


def test_pin_verifier_refuses_other_sizes() -> None:
    with pytest.raises(PinError):
        PinVerifier(IMK).check(TdesCipher(KEY), PinBlock(bytes(16)), PAN, "123456")
    with pytest.raises(PinError):
        PinVerifier(IMK, "01234567890123AB")
    with pytest.raises(KeyRefusedError):
        PinVerifier(SecretBytes(bytes(5)))


def test_mac_batch_gives_what_verify_gives() -> None:
    keys = [RetailMac(KEY, padding) for padding in (1, 2, 3)]
    claims = []
    for size in range(0, 40, 3):
        for key in keys:
            data = bytes(range(size))
            mac = key.mac(data)
            claims += [(key, data, mac), (key, data, mac[:4]), (key, data, mac[:3])]
            claims += [(key, data + b"\x01", mac), (key, data, mac + b"\x00"), (key, data, b"")]
    got = verify_batch(claims)
    assert got == [key.verify(data, given) for key, data, given in claims]
    assert got.count(True) == len(claims) // 3
    assert verify_batch([]) == []


def test_mac_batches_in_threads_do_not_disturb_each_other() -> None:
    key = RetailMac(KEY)
    data = bytes(347)
    claims = [(key, data, key.mac(data)), (key, data, bytes(8))] * 200
    found: list[list[bool]] = []
    threads = [
        threading.Thread(target=lambda: found.append(verify_batch(claims))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[True, False] * 200] * 4


def test_lrc_is_all_bytes_added_without_carry() -> None:
    assert lrc(b"") == 0
    assert lrc(bytes(range(256))) == 0
    assert lrc(bytearray(b"\x01\x02\x80")) == 0x83


def test_chip_data_of_these_tests_is_what_the_parser_reads() -> None:
    assert tlv.parse_flat(chip())["9F36"] == b"\x00\x02"
