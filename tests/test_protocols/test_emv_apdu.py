"""APDUs, T=0 rules, status words, AFL, flags, CVM, tag dictionary."""

import tomllib
from collections.abc import Callable
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.emv import cvm, flags, limits, status_words, tags
from protocols.emv.afl import AflEntry, build_afl, parse_afl
from protocols.emv.apdu import CommandApdu, ResponseApdu, get_response, t0_follow_up
from protocols.emv.commands import (
    PSE_NAME,
    AcType,
    ScriptCommand,
    external_authenticate,
    generate_ac,
    get_challenge,
    get_data,
    get_processing_options,
    internal_authenticate,
    read_record,
    script_command,
    script_header,
    select,
    verify,
)
from protocols.emv.errors import ApduError, EmvDataError
from protocols.emv.tlv import is_constructed

#: Enough for every run; a longer search raises it here.
QUICK = settings(max_examples=25)

byte = st.integers(0, 255)
commands = st.builds(
    CommandApdu, byte, byte, byte, byte, st.binary(max_size=255), st.none() | st.integers(1, 256)
)


@QUICK
@given(commands)
def test_command_of_any_case_is_read_back(command: CommandApdu) -> None:
    raw = command.encoded()
    assert CommandApdu.parse(raw) == command
    assert len(raw) == (4, 5, 5 + len(command.data), 6 + len(command.data))[command.case - 1]


@QUICK
@given(commands)
def test_t0_form_has_a_length_byte_and_never_an_le_behind_data(command: CommandApdu) -> None:
    raw = command.encoded_t0()
    assert len(raw) == 5 + len(command.data)
    assert raw[:4] == command.header
    if command.data:
        assert raw[4] == len(command.data)


@QUICK
@given(st.binary(max_size=300))
def test_any_bytes_as_a_command_or_response_raise_only_our_error(raw: bytes) -> None:
    for kind in (CommandApdu, ResponseApdu):
        offset, again = 0, raw
        try:
            again = kind.parse(raw).encoded()
        except ApduError as error:
            offset = error.offset
        assert 0 <= offset <= len(raw)
        assert again == raw


def test_command_cut_at_any_byte_is_refused_or_a_shorter_case() -> None:
    raw = generate_ac(AcType.ARQC, bytes(29)).encoded()
    for length in range(len(raw)):
        if length == 4:
            assert CommandApdu.parse(raw[:length]).case == 1
        elif length == 5:
            assert CommandApdu.parse(raw[:length]).case == 2
        elif length == len(raw) - 1:
            assert CommandApdu.parse(raw[:length]).case == 3
        else:
            with pytest.raises(ApduError):
                CommandApdu.parse(raw[:length])
    with pytest.raises(ApduError):
        CommandApdu.parse(raw + b"\0")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (select(PSE_NAME), "00A404000E315041592E5359532E444446303100"),
        (select(PSE_NAME[:5], next_occurrence=True), "00A404020531504159 2E00"),
        (read_record(30, 255), "00B2FFF400"),
        (get_processing_options(b"\3\x60"), "80A8000004830203 6000"),
        (generate_ac(AcType.TC, b"\0"), "80AE4000010000"),
        (generate_ac(AcType.AAC, b"\0"), "80AE0000010000"),
        (external_authenticate(bytes(10)), "008200000A" + "00" * 10),
        (internal_authenticate(b"\1\2\3\4"), "0088000004 01020304 00"),
        (verify(bytes(8), enciphered=False), "0020008008" + "00" * 8),
        (verify(bytes(64), enciphered=True), "0020008840" + "00" * 64),
        (get_data("9F36"), "80CA9F3600"),
        (get_challenge(), "0084000000"),
        (get_response(16), "00C0000010"),
        (
            script_command(ScriptCommand.APPLICATION_BLOCK, 0, 0, b"", bytes(8)),
            "841E000008" + "00" * 8,
        ),
    ],
)
def test_builder_gives_the_bytes_of_the_book(command: CommandApdu, expected: str) -> None:
    assert command.encoded() == bytes.fromhex(expected)


def test_script_header_is_that_of_the_command_with_its_mac() -> None:
    header = script_header(ScriptCommand.PIN_CHANGE_UNBLOCK, 0, 2, 16 + 8)
    sent = script_command(ScriptCommand.PIN_CHANGE_UNBLOCK, 0, 2, bytes(16), bytes(8))
    assert sent.encoded()[:5] == header


@pytest.mark.parametrize(
    "build",
    [
        lambda: select(b"1PAY"),
        lambda: select(bytes(17)),
        lambda: read_record(0, 1),
        lambda: read_record(31, 1),
        lambda: read_record(1, 0),
        lambda: get_processing_options(bytes(254)),
        lambda: external_authenticate(bytes(7)),
        lambda: verify(bytes(7), enciphered=False),
        lambda: get_data("DF8101"),
        lambda: script_command(ScriptCommand.PUT_DATA, 0, 0, b"", bytes(3)),
        lambda: CommandApdu(256, 0, 0, 0),
        lambda: CommandApdu(0, 0, 0, 0, bytes(256)),
        lambda: CommandApdu(0, 0, 0, 0, le=0),
        lambda: CommandApdu(0, 0, 0, 0, le=257),
        lambda: ResponseApdu(bytes(257), 0x90, 0),
        lambda: ResponseApdu.status(0x19000),
    ],
)
def test_what_no_short_apdu_can_carry_is_refused(build: Callable[[], object]) -> None:
    with pytest.raises(ApduError):
        build()


@pytest.mark.parametrize("raw", [b"", b"\x90"])
def test_response_of_a_torn_card_is_refused(raw: bytes) -> None:
    with pytest.raises(ApduError, match="status bytes"):
        ResponseApdu.parse(raw)


@pytest.mark.parametrize(
    ("sent", "sw", "data", "expected"),
    [
        (select(PSE_NAME), 0x6120, b"", "00C0000020"),
        (select(PSE_NAME), 0x6100, b"", "00C0000000"),
        (select(PSE_NAME), 0x6283, b"", "00C0000000"),
        (select(PSE_NAME), 0x6A82, b"", None),
        (select(PSE_NAME), 0x6C10, b"", None),
        (read_record(1, 1), 0x6C2A, b"", "00B2010C2A"),
        (read_record(1, 1), 0x6C00, b"", "00B2010C00"),
        (read_record(1, 1), 0x9000, b"\x70\0", None),
        (read_record(1, 1), 0x6283, b"", None),
        (external_authenticate(bytes(10)), 0x6300, b"", None),
        (get_response(32), 0x6C10, b"", "00C0000010"),
        (get_response(32), 0x6110, b"\1", "00C0000010"),
        (verify(bytes(8), enciphered=False), 0x63C2, b"", None),
    ],
)
def test_t0_follow_up_is_what_the_book_asks_for(
    sent: CommandApdu, sw: int, data: bytes, expected: str | None
) -> None:
    follow_up = t0_follow_up(sent, ResponseApdu.status(sw, data))
    assert (follow_up and follow_up.encoded().hex().upper()) == expected


def test_repr_of_a_verify_shows_no_pin() -> None:
    block = bytes.fromhex("2648 2915 FFFFFFFF")
    command = verify(block, enciphered=False)
    answer = ResponseApdu.status(0x9000, block)
    for text in (repr(command), str(command), repr(answer)):
        assert "482915" not in text
    assert repr(command) == "<CommandApdu 00200080 data 8 le None>"


@QUICK
@given(st.integers(0, 0xFFFF))
def test_status_word_of_any_value_has_one_entry_or_none(sw: int) -> None:
    entry = status_words.status_word(sw)
    if entry is not None:
        assert all(p in ("x", c) for p, c in zip(entry.pattern, f"{sw:04X}", strict=True))


def test_status_word_constants_are_the_tables() -> None:
    for name, value in vars(status_words).items():
        if name.startswith("SW_"):
            entry = status_words.status_word(value)
            assert entry is not None
            assert entry.name == name[3:].lower()
    assert all(entry.source and entry.meaning for entry in status_words.STATUS_WORDS.values())


def test_tag_dictionary_is_whole_and_its_constants_agree() -> None:
    raw = tomllib.loads(files("protocols.emv").joinpath("tags.toml").read_text("utf-8"))
    formats = {"a", "an", "ans", "n", "cn", "b", "dol", "template"}
    for tag, entry in tags.DICTIONARY.items():
        assert set(raw[tag]) <= {"name", "format", "length", "origin", "sensitivity", "source"}
        assert entry.source
        assert entry.format in formats
        assert entry.origin in {"card", "terminal", "issuer"}
        assert 0 <= entry.minimum_bytes <= entry.maximum_bytes
        assert entry.sensitivity in {"", "pan", "track", "name", "pin", "secret"}
        assert (entry.format == "template") == is_constructed(tag)
    constants = {name: value for name, value in vars(tags).items() if name.startswith("TAG_")}
    assert set(constants.values()) == set(tags.DICTIONARY)
    assert all(name.split("_")[1] == value for name, value in constants.items())


@pytest.mark.parametrize("tag", ["5A", "57", "5F20", "9F1F", "9F20", "99", "86", "9F24", "DFAA"])
def test_sensitive_and_unknown_tags_are_not_shown(tag: str) -> None:
    assert not tags.may_show(tag)


entries = st.builds(
    lambda sfi, first, more, marked: AflEntry(sfi, first, first + more, min(marked, more + 1)),
    st.integers(1, 30),
    st.integers(1, 200),
    st.integers(0, 55),
    st.integers(0, 56),
)


@QUICK
@given(st.lists(entries, min_size=1, max_size=10).map(tuple))
def test_afl_of_any_entries_is_read_back(afl: tuple[AflEntry, ...]) -> None:
    assert parse_afl(build_afl(afl)) == afl
    for entry in afl:
        records = list(entry.records())
        assert [number for number, _ in records] == list(range(entry.first, entry.last + 1))
        assert sum(marked for _, marked in records) == entry.authenticated


@pytest.mark.parametrize(
    "data",
    ["", "08", "0801", "080101", "0801010008", "00010100", "F8010100", "09010100", "08000100",
     "08020100", "08010102", "08010100" * 64],
)  # fmt: skip
def test_afl_that_leads_nowhere_is_refused(data: str) -> None:
    with pytest.raises(EmvDataError) as caught:
        parse_afl(bytes.fromhex(data))
    assert caught.value.path == "94"


@pytest.mark.parametrize(
    "kind", [flags.Aip, flags.Auc, flags.Tvr, flags.Tsi, flags.TerminalCapabilities]
)
def test_flags_of_any_bytes_keep_them_and_refuse_another_width(kind: type[flags.EmvFlags]) -> None:
    width = kind.width()
    for value in (0, (1 << 8 * width) - 1, *(1 << bit for bit in range(8 * width))):
        data = value.to_bytes(width, "big")
        assert kind.read(data).encoded() == data
        assert bool(kind.read(data).names()) == bool(value)
    for length in {0, width - 1, width + 1}:
        with pytest.raises(EmvDataError):
            kind.read(bytes(length))


def test_reserved_bits_are_named_by_their_value() -> None:
    assert flags.Tvr.read(bytes.fromhex("4000000003")).names() == ("sda_failed", "0x3")


def test_field_values_of_the_books_have_their_bits() -> None:
    tvr = flags.Tvr.read(bytes.fromhex("4280048000"))
    assert tvr == (
        flags.Tvr.SDA_FAILED | flags.Tvr.SDA_SELECTED | flags.Tvr.APPLICATION_VERSIONS_DIFFER
        | flags.Tvr.ONLINE_PIN_ENTERED | flags.Tvr.FLOOR_LIMIT_EXCEEDED
    )  # fmt: skip
    aip = flags.Aip.read(bytes.fromhex("5400"))
    assert aip == (
        flags.Aip.SDA_SUPPORTED | flags.Aip.CARDHOLDER_VERIFICATION_SUPPORTED
        | flags.Aip.ISSUER_AUTHENTICATION_SUPPORTED
    )  # fmt: skip
    caps = flags.TerminalCapabilities.read(bytes.fromhex("E0F8C8"))
    assert flags.TerminalCapabilities.ENCIPHERED_PIN_ONLINE in caps
    assert flags.TerminalCapabilities.CDA in caps
    assert flags.Tsi.read(b"\xe8\0").names() == (
        "offline_data_authentication_performed",
        "cardholder_verification_performed",
        "card_risk_management_performed",
        "terminal_risk_management_performed",
    )


def test_cvm_list_is_read_and_written_back() -> None:
    data = bytes.fromhex("00000000000000004203 1E03 1F00".replace(" ", ""))
    listed = cvm.CvmList.read(data)
    assert [rule.known_method for rule in listed.rules] == [
        cvm.CvmMethod.ENCIPHERED_PIN_ONLINE, cvm.CvmMethod.SIGNATURE, cvm.CvmMethod.NO_CVM_REQUIRED,
    ]  # fmt: skip
    assert [rule.continue_if_fails for rule in listed.rules] == [True, False, False]
    assert listed.encoded() == data
    assert cvm.CvmRule.read(b"\x20\x80").known_method is None
    assert cvm.CvmRule.read(b"\x20\x80").known_condition is None
    assert cvm.CvmResult.read(b"\x42\x03\x00").known_method is cvm.CvmMethod.ENCIPHERED_PIN_ONLINE


@pytest.mark.parametrize("length", [0, 7, 9, limits.CVM_LIST_BYTES + 2])
def test_cvm_list_of_a_wrong_length_is_refused(length: int) -> None:
    with pytest.raises(EmvDataError):
        cvm.CvmList.read(bytes(length))
    with pytest.raises(EmvDataError):
        cvm.CvmResult.read(bytes(length))
