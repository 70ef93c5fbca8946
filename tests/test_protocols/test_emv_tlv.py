"""BER-TLV and DOL: round trips, every bound, every cut, nothing but our error."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.emv import dol, limits, tags, tlv
from protocols.emv.errors import DolError, EmvDataError, TlvError
from protocols.emv.trace import masked_response

#: Enough for every run; a longer search raises it here.
QUICK = settings(max_examples=25)

FCI = bytes.fromhex("6F1B8407F053534E010101A510500353534E8701019F38059F1A029505")

primitive_tags = st.sampled_from(
    [tag for tag in tags.DICTIONARY if not tlv.is_constructed(tag)] + ["DF8101", "DFFF7F", "C1"]
)
values = st.binary(max_size=300)


def check_only_ours(read: Callable[[], object], size: int) -> None:
    """Let the reader succeed or raise our error with an offset inside the input."""
    offset = 0
    try:
        read()
    except EmvDataError as error:
        offset = error.offset
    assert 0 <= offset <= size


def nested(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = b"\x70" + tlv.encode_length(len(data)) + data
    return data


@QUICK
@given(st.dictionaries(primitive_tags, values, max_size=12))
def test_flat_data_of_any_tags_is_read_back_in_order(objects: dict[str, bytes]) -> None:
    data = tlv.build(objects)
    assert list(tlv.parse_flat(data).items()) == list(objects.items())
    assert tlv.build(tlv.parse(data)) == data


def tree(children: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.lists(children, max_size=3).map(
        lambda parts: b"\x6f" + tlv.encode_length(sum(map(len, parts))) + b"".join(parts)
    )


leaves = st.tuples(primitive_tags, st.binary(max_size=20)).map(lambda pair: tlv.build([pair]))


@QUICK
@given(st.one_of(leaves, tree(leaves), tree(tree(leaves)), tree(tree(tree(leaves)))))
def test_nested_data_is_built_back_to_the_same_bytes(data: bytes) -> None:
    assert tlv.build(tlv.parse(data)) == data


def test_template_is_read_with_its_children_and_found_by_tag() -> None:
    [fci] = tlv.parse(FCI)
    assert [child.tag for child in fci.children] == ["84", "A5"]
    label = fci.find("50")
    assert label is not None
    assert label.value == b"SSN"
    assert fci.find("9F26") is None
    assert list(tlv.parse_flat(FCI, leaves=True)) == ["84", "50", "87", "9F38"]


@pytest.mark.parametrize("leaves", [False, True])
def test_data_cut_at_any_byte_raises_only_our_error(leaves: bool) -> None:
    for length in range(1, len(FCI)):
        for data in (FCI[:length], FCI + FCI[:length], FCI[length:]):
            check_only_ours(lambda data=data: tlv.parse_flat(data, leaves=leaves), len(data))
            check_only_ours(lambda data=data: tlv.parse(data), len(data))
    for length in range(1, len(FCI)):
        with pytest.raises(TlvError):
            tlv.parse(FCI[:length])


@QUICK
@given(st.binary(max_size=200), st.booleans(), st.booleans(), st.booleans())
def test_any_bytes_raise_only_our_error(
    data: bytes, duplicates: bool, filler: bool, leaves: bool
) -> None:
    for read in (
        lambda: tlv.parse(data, filler=filler),
        lambda: tlv.parse_flat(data, duplicates=duplicates, filler=filler, leaves=leaves),
        lambda: dol.parse_dol(data),
    ):
        check_only_ours(read, len(data))


@pytest.mark.parametrize(
    ("text", "path", "offset", "reason"),
    [
        ("9F", "", 0, "ends inside a tag"),
        ("9F36", "9F36", 2, "where a length must stand"),
        ("9F3602 00", "9F36", 3, "2 bytes announced, 1 there"),
        ("5A80 0000", "5A", 1, "indefinite"),
        ("5A83000001 00", "5A", 1, "more than three bytes"),
        ("5A82 00", "5A", 1, "ends inside a length"),
        ("9FFFFF01 00", "", 0, "longer than 3 bytes"),
        ("00", "", 0, "00 where a tag"),
        ("6F05A5039F0202", "6F.A5.9F02", 7, "2 bytes announced, 0 there"),
        ("9C0100 9C0100", "9C", 3, "twice"),
        ("7003 5F2000 00", "", 5, "00 where a tag"),
    ],
)
def test_fault_is_told_by_path_offset_and_reason(
    text: str, path: str, offset: int, reason: str
) -> None:
    with pytest.raises(TlvError) as caught:
        tlv.parse_flat(bytes.fromhex(text), leaves=True)
    assert (caught.value.path, caught.value.offset) == (path, offset)
    assert reason in caught.value.reason


def test_duplicate_is_kept_first_when_asked_for_and_across_templates_refused() -> None:
    data = bytes.fromhex("9C01019C0102")
    assert tlv.parse_flat(data, duplicates=True) == {"9C": b"\1"}
    apart = bytes.fromhex("70039C010177039C0102")
    assert list(tlv.parse_flat(apart)) == ["70", "77"]
    with pytest.raises(TlvError) as caught:
        tlv.parse_flat(apart, leaves=True)
    assert caught.value.path == "77.9C"


def test_filler_between_objects_is_skipped_only_when_asked_for() -> None:
    data = bytes.fromhex("00009C010100007000")
    assert list(tlv.parse_flat(data, filler=True)) == ["9C", "70"]
    with pytest.raises(TlvError):
        tlv.parse_flat(data)


def test_every_bound_holds_and_one_less_passes() -> None:
    assert tlv.parse(nested(limits.TLV_DEPTH - 1))
    with pytest.raises(TlvError, match="deeper"):
        tlv.parse(nested(limits.TLV_DEPTH))
    with pytest.raises(TlvError, match="deeper"):
        tlv.parse_flat(nested(limits.TLV_DEPTH), leaves=True)
    assert len(tlv.parse(b"\x5a\x00" * limits.TLV_OBJECTS)) == limits.TLV_OBJECTS
    with pytest.raises(TlvError, match="objects"):
        tlv.parse(b"\x5a\x00" * (limits.TLV_OBJECTS + 1))
    with pytest.raises(TlvError, match="longer"):
        tlv.parse(bytes(limits.TLV_INPUT_BYTES + 1))
    with pytest.raises(TlvError, match="longer"):
        tlv.build({"5A": bytes(limits.TLV_INPUT_BYTES + 1)})


@pytest.mark.parametrize("tag", ["", "9", "9F", "9F0", "zz", "5A00", "9F0200", "00", "9FFFFFFF01"])
def test_text_that_is_no_tag_is_never_built(tag: str) -> None:
    with pytest.raises(TlvError):
        tlv.build({tag: b""})


def test_repr_of_an_object_and_of_an_error_never_shows_a_value() -> None:
    pan = bytes.fromhex("9360099912344821")
    [card] = tlv.parse(tlv.build({"70": tlv.build({"5A": pan})}))
    with pytest.raises(TlvError) as caught:
        tlv.parse(tlv.build({"70": tlv.build({"5A": pan})[:-1]}))
    for text in (repr(card), repr(card.children), repr(caught.value), str(caught.value)):
        assert pan.hex()[:6] not in text
        assert repr(pan)[2:-1] not in text


def test_dol_is_read_built_filled_and_split() -> None:
    text = "9F02069F03069F1A0295055F2A029A039C019F3704"
    entries = dol.parse_dol(bytes.fromhex(text))
    assert dol.build_dol(entries).hex().upper() == text
    assert dol.dol_length(entries) == 29
    filled = dol.fill_dol(entries, {"9C": b"\x30", "9F37": b"\1\2\3\4"})
    assert filled == bytes(24) + b"\x30\1\2\3\4"
    assert dict(dol.split_by_dol(entries, filled))["9F37"] == b"\1\2\3\4"
    with pytest.raises(DolError):
        dol.split_by_dol(entries, filled[:-1])


@pytest.mark.parametrize(
    ("tag", "length", "value", "expected"),
    [
        ("9F02", 4, "000000012345", "00012345"),  # numeric, too long: the left goes
        ("9F02", 8, "000000012345", "0000000000012345"),  # numeric, too short: zeros on the left
        ("9F37", 2, "01020304", "0102"),  # binary, too long: the right goes
        ("9F37", 6, "01020304", "010203040000"),  # binary, too short: zeros on the right
        ("5A", 10, "9360099912344821", "9360099912344821FFFF"),  # compressed numeric: F behind
        ("5A", 4, "9360099912344821", "93600999"),
        ("50", 5, "53534E", "53534E0000"),
        ("DF01", 3, "AA", "AA0000"),  # unknown to the dictionary: as binary
        ("6F", 3, "AABBCC", "000000"),  # constructed: never given
        ("9F1A", 2, "", "0000"),
    ],
)
def test_dol_value_is_cut_and_padded_by_its_format(
    tag: str, length: int, value: str, expected: str
) -> None:
    filled = dol.fill_dol([(tag, length)], {tag: bytes.fromhex(value)})
    assert filled.hex().upper() == expected


@QUICK
@given(
    st.lists(st.tuples(primitive_tags, st.integers(0, 20)), max_size=12),
    st.dictionaries(primitive_tags, st.binary(max_size=30), max_size=12),
)
def test_filled_list_is_always_as_long_as_asked(
    entries: list[tuple[str, int]], given_values: dict[str, bytes]
) -> None:
    filled = dol.fill_dol(dol.build_dol(entries), given_values)
    assert len(filled) == dol.dol_length(entries)
    assert [value for _, value in dol.split_by_dol(entries, filled)] == [
        dol.fill_dol([entry], given_values) for entry in entries
    ]


@pytest.mark.parametrize(
    "data",
    ["9F02", "9F", "9F3704 9F", "00 01", "9F0280 9F0380 95", "9F02FF 9501"],
)
def test_dol_that_is_cut_or_asks_too_much_is_refused(data: str) -> None:
    with pytest.raises(DolError):
        dol.parse_dol(bytes.fromhex(data))


def test_dol_longer_than_its_record_is_refused() -> None:
    with pytest.raises(DolError):
        dol.parse_dol(b"\x95\x00" * (limits.DOL_BYTES // 2 + 1))


@pytest.mark.parametrize("entry", [("9F", 1), ("95", 256), ("95", -1), ("zz", 1), ("9f02", 1)])
def test_dol_entry_that_is_no_tag_with_one_length_byte_is_refused(entry: tuple[str, int]) -> None:
    with pytest.raises(DolError):
        dol.build_dol([entry])


@QUICK
@given(st.binary(max_size=60))
def test_masked_answer_of_any_bytes_shows_public_values_only(data: bytes) -> None:
    read_record = bytes.fromhex("00B2010C00")
    assert isinstance(masked_response(data, read_record), str)
    record = tlv.build({"5A": data, "9F36": b"\0\1", "DF01": data}) + b"\x90\x00"
    shown = f"5A[{len(data)}] 9F36=0001 DF01[{len(data)}] 9000"
    assert masked_response(record, read_record) == shown
