"""Facts, answers and chip proofs: both twins give the same of every message, sound or not."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.crypto import engine
from protocols.crypto.cryptogram import application_cryptogram, arqc_data_nsiccs
from protocols.crypto.emv_keys import common_session_key, icc_master_key
from protocols.crypto.errors import DataLengthError
from protocols.crypto.issuer import IssuerKey
from protocols.crypto.mac import RetailMac
from protocols.ids import MessageKey, fingerprint, transfer_id
from protocols.iso8583 import Message, MessageError, Value
from protocols.iso8583.codec import CODECS
from protocols.iso8583.facts import Facts, facts_reader
from protocols.values import Pan, PinBlock, SecretBytes
from tests.test_protocols.iso8583_samples import WARM

PAN = "9360099912344821"
CHIP: dict[str, Value] = {
    "9F26": bytes.fromhex("0123456789ABCDEF"), "9F36": b"\x01\x02", "9F27": b"\x80",
    "9F02": bytes.fromhex("000002500000"),
}  # fmt: skip
ELEMENTS: dict[int, Value] = {
    3: "009800", 4: "000002500000", 7: "0105011407", 11: "000345", 22: "051", 23: "001",
    32: "00360", 35: f"{PAN}=30122200000000000", 37: "600509000345", 41: "12400017",
    42: "EW0000000001   ", 49: "360", 52: bytes(8), 55: CHIP,
    60: {"batch": "000012"}, 61: {"operator": "01", "key_set": "0003"},
}  # fmt: skip
READERS = [facts_reader(Facts, native=False), facts_reader(Facts)]


def told(read: Callable[[Message, str], Facts], message: Message) -> object:
    """Give what a reader says of a message, or the words of its error."""
    try:
        return tuple(read(message, "edc"))[1:]
    except (MessageError, ValueError, TypeError, AttributeError) as error:
        return type(error), str(error)


@pytest.mark.parametrize("read", READERS, ids=["pure", "built"])
def test_facts_of_a_purchase_are_typed_and_keyed(read: Callable[[Message, str], Facts]) -> None:
    message = Message("0200", ELEMENTS)
    facts = read(message, "edc")
    assert facts.message is message
    assert (facts.mti, facts.link, facts.amount_sen, facts.batch) == ("0200", "edc", 2_500_000, 12)
    assert (facts.key_set, facts.operator, facts.atc) == (3, "01", 0x0102)
    assert (facts.merchant_id, facts.pan, facts.pin_block) == (
        "EW0000000001", Pan(PAN), PinBlock(bytes(8)),
    )  # fmt: skip
    key = MessageKey("edc", "00360", "12400017", "0105011407", "000345", "600509000345", "02")
    assert facts.transfer_id == transfer_id(key)
    parts = (PAN, "009800", "000002500000", "360", "258", "0123456789abcdef")
    assert facts.fingerprint == fingerprint(*parts)
    assert PAN not in repr(facts)
    assert PAN[:-4] not in repr(tuple(facts)[1:])


ODD: list[tuple[int, Value | None]] = [
    *((number, None) for number in ELEMENTS),
    (2, PAN), (2, "123"), (2, "9360099900000000"), (3, ""), (4, ""), (4, "12x"), (11, ""),
    (4, "9" * 19), (35, f"{PAN}D30122200000000000"), (35, f"{PAN}=3012220F"), (35, f"{PAN}=301222"),
    (35, "1234567=3012220"), (35, f"{PAN}30122200"), (35, f"{PAN}=" + "1" * 21), (35, "x=3012220"),
    (41, "1240\x1f017"), (41, "1240     "), (32, "0000"), (37, "6005        "), (42, "   "),
    (52, bytes(7)), (52, "text"), (55, {"9F36": b"\x01"}), (55, {"9F36": b"\x01\x02\x03"}),
    (55, {"9F26": "text"}), (55, {}), (55, "text"), (60, {}), (60, {"batch": "x"}), (60, "text"),
    (61, {}), (61, {"key_set": ""}), (61, {"key_set": b"1"}), (61, {"operator": b"1"}),
    (61, "text"), (70, "301"), (54, [{"amount_type": "40"}]), (22, b"05"), (3, b"00"),
    (90, {"mti": "0200", "stan": "1", "transmission_time": "2", "acquirer": "0360"}), (7, "\x7f"),
    (95, {"transaction_amount": "000000000100"}),
]  # fmt: skip


@pytest.mark.parametrize(("number", "value"), ODD)
@pytest.mark.parametrize("mti", ["0200", "0400", "0800"])
def test_both_readers_say_the_same_of_one_odd_element(
    mti: str, number: int, value: Value | None
) -> None:
    message = Message(mti, ELEMENTS).replace({number: value})
    pure, built = (told(read, message) for read in READERS)
    assert pure == built


@given(st.integers(0, 2**63))
def test_both_readers_say_the_same_of_random_requests(seed: int) -> None:
    source = random.Random(seed)
    message = Message(source.choice(["0100", "0200", "0220", "0320", "0420", "0500", "0800"]), {
        number: value for number, value in ELEMENTS.items() if source.random() < 0.9
    })  # fmt: skip
    for _ in range(source.randrange(3)):
        number, value = source.choice(ODD)
        message = message.replace({number: value})
    pure, built = (told(read, message) for read in READERS)
    assert pure == built, seed


CHANGES: list[dict[int, Value | None]] = [
    {}, {38: "7K2M9Q", 54: None}, {55: {"91": bytes(10)}, 41: None}, {4: "000000000100"},
    {44: "P01", 63: {"months": [{"period": "202601", "amount": "000000000100"}]}},
    {38: "far too long"}, {41: 5},  # type: ignore[dict-item]
]  # fmt: skip


@pytest.mark.parametrize("changes", CHANGES)
@pytest.mark.parametrize("code", ["00", "51", "x"])
@pytest.mark.parametrize("mti", ["0200", "0201", "0400", "0210", "0999"])
def test_answer_is_that_of_the_response_message_in_both_codecs(
    mti: str, code: str, changes: dict[int, Value | None]
) -> None:
    answers = []
    for codec_class in CODECS:
        codec = WARM[codec_class, "edc"]
        request = Message(mti, ELEMENTS, codec.spec)
        for key in (None, RetailMac(SecretBytes(bytes(range(16))))):
            try:
                raw: object = codec.encode_answer(request, code, changes, key, request.use())
                answer = request.response(code, changes)
                assert raw == (codec.encode_signed(answer, key) if key else codec.encode(answer))
            except MessageError as error:
                raw = str(error)
            answers.append(raw)
    assert answers[:2] * (len(answers) // 2) == answers


TAGS = {
    "9F02": bytes(6), "9F03": bytes(6), "9F1A": b"\x03\x60", "95": bytes(5), "5F2A": b"\x03\x60",
    "9A": b"\x26\x01\x05", "9C": b"\x00", "9F37": bytes(4), "82": b"\x39\x00", "9F36": b"\x00\x07",
    "9F10": bytes(7), "9F26": bytes(8),
}  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [{}, *({tag: None} for tag in TAGS), {"9F36": b"\x07"}, {"9F02": bytes(5)}, {"9F26": bytes(4)}],
)
def test_taken_apart_chip_data_is_judged_alike_by_both_engines(
    changes: dict[str, bytes | None],
) -> None:
    tags = {tag: v for tag, v in (TAGS | changes).items() if v is not None}
    imk, pan = SecretBytes(bytes(range(16))), Pan(PAN)
    found: list[object] = []
    if not changes:
        key = common_session_key(icc_master_key(imk, pan, "01"), tags["9F36"])
        tags["9F26"] = application_cryptogram(key, arqc_data_nsiccs(tags))
    before = engine.current.engine
    try:
        for one in engine.engines():
            engine.current.engine = one
            try:
                first = IssuerKey(imk).check_tags(pan, "01", tags)
                found.append((first.holds, first.atc, first.session_key))
            except DataLengthError as error:
                found.append(str(error))
    finally:
        engine.current.engine = before
    assert found == found[:1] * len(found)
    assert changes or found[0] == (True, 7, key)
