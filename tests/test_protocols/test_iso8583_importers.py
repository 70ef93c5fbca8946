"""Foreign specifications: what they put on the wire, ours put on the wire; the rest is said."""

import contextlib
import json
from pathlib import Path

import iso8583
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.iso8583 import CODECS, Message, MessageError, PureCodec, Spec, parse_spec
from protocols.iso8583.importers import FORMS, Imported, SpecImportError, form_of, import_spec
from protocols.iso8583.importers.jpos import field_classes
from protocols.iso8583.importers.limits import FIELDS_MAX, FILE_BYTES_MAX, NESTING_MAX
from protocols.iso8583.importers.safe_xml import read_xml

SAMPLES = Path(__file__).with_name("import_samples")
JPOS = (SAMPLES / "packager.xml").read_text("utf-8")
MOOV = (SAMPLES / "moov.json").read_text("utf-8")
PEER = (SAMPLES / "peer_spec.py.txt").read_text("utf-8")

twins = pytest.mark.parametrize("codec_class", CODECS, ids=lambda one: one.__name__)


def spec_of(found: Imported) -> Spec:
    """Give the specification that an import made."""
    return parse_spec(found.text, "imported.toml")


def reasons(found: Imported) -> dict[str, str]:
    """Give why each path was not taken over."""
    return {one.path: one.why for one in found.left_out}


@twins
def test_import_jpos_sample_gives_the_bytes_that_its_classes_mean(
    codec_class: type[PureCodec],
) -> None:
    codec = codec_class(spec_of(import_spec(JPOS, "sample")))
    message = Message(
        "0200",
        {
            2: "9360099912344821",
            3: "009800",
            11: "000345",
            19: "360",
            22: "051",
            35: "9360099912344821=30122",
            41: "T1      ",
            43: {"1": "PASAR PAGI", "2": "SAMARINDA    "},
            48: {"2": "123", "5": b"\xab\xcd"},
            52: bytes(range(8)),
            60: "A[",
        },
    )
    raw = bytes.fromhex(
        "0200 6020 2400 20a1 1010"  # IFB_NUMERIC, IFB_BITMAP: 2 3 11 19 22 35 41 43 48 52 60
        "16 9360099912344821"  # IFB_LLNUM
        "009800 000345"
        "0360"  # IFB_NUMERIC of three digits with pad: filled on the left
        "0510"  # IFB_NUMERIC of three digits without pad: filled on the right
        "22 9360099912344821d30122"
        "5431202020202020"  # IF_CHAR
        "0025 3130 50415341522050414749 53414d4152494e444120202020"  # IFB_LLLCHAR of parts
        "0015 4800000000000000 03 313233 02 abcd"  # its own bitmap: 2 and 5
        "0001020304050607"
        "f0f0f2 c1ad"  # IFE_LLLCHAR, page 1047
    )
    for _ in range(2):
        assert codec.encode(message).hex() == raw.hex()
        assert codec.decode(raw) == message


def test_import_jpos_sample_says_what_it_could_not_take_over() -> None:
    found = import_spec(JPOS, "sample")
    why = reasons(found)
    assert "GenericTaggedFieldsPackager: kept whole" in why["55"]
    assert "unknown" in why["61"]
    assert "stands twice" in why["3"]
    assert "no bitmap announces it" in why["130"]  # what the linter refuses is left out
    assert "# - 55: parts of" in found.text
    spec = spec_of(found)
    assert [part.key for part in spec.elements[28].sub] == ["sign", "amount"]
    assert (spec.elements[55].kind, spec.elements[55].sensitive) == ("bytes", "emv")


def test_import_masks_card_data_and_every_part_of_it() -> None:
    spec = spec_of(import_spec(JPOS, "sample"))
    shown = {number: element.sensitive.value for number, element in spec.elements.items()}
    assert (shown[2], shown[35], shown[52], shown[48]) == ("pan", "track", "pin", "wipe")
    assert {part.sensitive.value for part in spec.elements[48].sub} == {"wipe"}


@twins
def test_import_moov_sample_gives_the_bytes_that_it_means(codec_class: type[PureCodec]) -> None:
    found = import_spec(MOOV, "sample")
    codec = codec_class(spec_of(found))
    message = Message(
        "0100",
        {
            2: "9360099912344821",
            4: "000000015000",
            35: "9360099912344821=301",
            48: {"W1": "HELLO", "77": b"Z"},
            52: bytes(8),
            54: {"1": "98", "2": "C000000000001"},
            55: {"9F02": bytes(6), "95": bytes(5)},
        },
    )
    raw = (
        b"0100" + b"5000000020011600"
        b"16" + b"9360099912344821" + b"000000015000"
        b"\x20" + bytes.fromhex("9360099912344821d301")
        + b"014" + b"W105HELLO" + b"7701Z"
        + b"0" * 16
        + b"015" + b"98C000000000001"
        + b"016" + bytes.fromhex("9f0206 000000000000 9505 0000000000")
    )  # fmt: skip
    for _ in range(2):
        assert codec.encode(message) == raw
        assert codec.decode(raw) == message
    why = reasons(found)
    assert "counts bytes of the value" in why["60"]
    assert "filled up" in why["61"]
    assert "hexadecimal digits" in why["62"]
    assert "not written alike" in why["63"]


def test_import_moov_older_names_say_what_todays_say() -> None:
    def export(prefix: str, names: tuple[str, str], fixed: str, pad: dict[str, object]) -> str:
        text, hexadecimal = names
        fields = {
            "000": {"type": "String", "length": 4, "enc": text, "prefix": f"ASCII.{fixed}"},
            "001": {"type": "Bitmap", "length": 8, "enc": hexadecimal, "prefix": f"Hex.{fixed}"},
            "002": {"type": "String", "length": 19, "enc": text, "prefix": "ASCII.LL"},
            "004": {
                "type": "Numeric", "length": 12, "enc": text,
                "prefix": f"ASCII.{fixed}", "padding": pad,
            },
            "052": {"type": "String", "length": 8, "enc": hexadecimal, "prefix": f"Hex.{fixed}"},
        }  # fmt: skip
        named = {prefix + key if prefix else str(int(key)): one for key, one in fields.items()}
        return json.dumps({"fields": named})

    older = ("asciiEncoder", "hexEncoder")
    now = ("ASCII", "HexToASCII")
    past = export("Field", older, "fixed", {"type": "leftPadder", "pad": 48})
    today = export("", now, "Fixed", {"type": "Left", "pad": "0"})
    assert spec_of(import_spec(past, "one")) == spec_of(import_spec(today, "one"))
    assert reasons(import_spec(past, "one")) == {}


@pytest.mark.parametrize("twin", CODECS, ids=lambda twin: twin.__name__)
def test_import_moov_tags_that_look_hexadecimal_stay_characters(twin: type[PureCodec]) -> None:
    text = MOOV.replace('"W1"', '"01"').replace('"W2"', '"02"')
    codec = twin(spec_of(import_spec(text, "sample")))
    raw = b"0100" + b"0000000000010000" + b"009" + b"0105HELLO"
    assert codec.encode(Message("0100", {48: {"01": "HELLO"}})) == raw
    assert codec.decode(raw).elements == {48: {"01": "HELLO"}}


def test_import_pyiso8583_sample_keeps_the_bytes() -> None:
    found = import_spec(PEER, "sample")
    spec = spec_of(found)
    assert spec.elements[3].kind == "digits"
    assert spec.elements[55].kind == "bytes"
    why = reasons(found)
    assert "framing" in why["h"]
    assert "code page" in why["63"]
    assert "third bitmap" in why["65"]
    assert "half-byte" in why["62"]


PRINTABLE = "".join(chr(code) for code in range(32, 127))
PAGES = ("ascii", "latin-1", "cp500", "cp037")

peer_field = st.fixed_dictionaries(
    {
        "data_enc": st.sampled_from(["b", "b", *PAGES]),
        "len_enc": st.sampled_from(["b", "bcd", *PAGES]),
        "len_type": st.sampled_from([0, 1, 2]),
        "max_len": st.integers(1, 9),
        "desc": st.just("drawn"),
        "len_count": st.sampled_from(["bytes", "nibbles"]),
        "pad": st.sampled_from([("left_pad", "0"), ("right_pad", "F"), ("right_pad", "0")]),
    }
)


@st.composite
def peer_cases(draw: st.DrawFn) -> tuple[dict[str, object], dict[str, str]]:
    """Draw a pyiso8583 specification and a document of it."""
    packed, hexed = draw(st.booleans()), draw(st.booleans())
    plain = {"len_enc": "ascii", "len_type": 0, "desc": "head"}
    bitmap = {"data_enc": "ascii" if hexed else "b", "max_len": 16 if hexed else 8, **plain}
    spec: dict[str, object] = {
        "h": {"data_enc": "b", "max_len": 0, **plain},
        "t": {"data_enc": "b" if packed else "ascii", "max_len": 2 if packed else 4, **plain},
        "p": bitmap,
        "1": bitmap,
    }
    document = {"t": "0200"}
    numbers = st.integers(2, 128).filter(lambda n: n != 65)
    for number in sorted(draw(st.lists(numbers, min_size=1, max_size=6, unique=True))):
        field = dict(draw(peer_field))
        name, pad = field.pop("pad")
        if field["data_enc"] != "b":
            field["len_count"] = "bytes"
        field[name] = pad
        spec[str(number)] = field
        size = field["max_len"] if not field["len_type"] else draw(st.integers(1, field["max_len"]))
        if field["data_enc"] != "b":
            value = draw(st.text(PRINTABLE, min_size=size, max_size=size))
        else:
            is_digits = field["len_count"] == "nibbles" or not field["len_type"]
            size *= 1 if field["len_count"] == "nibbles" else 2
            alphabet = "0123456789" if is_digits else "0123456789ABCDEF"
            value = draw(st.text(alphabet, min_size=size, max_size=size))
        document[str(number)] = value
    return spec, document


@pytest.mark.slow
@settings(max_examples=60)
@given(case=peer_cases(), as_python=st.booleans())
def test_import_pyiso8583_drawn_specs_give_the_same_bytes(
    case: tuple[dict[str, object], dict[str, str]], as_python: bool
) -> None:
    peer, document = case
    text = f"spec = {peer!r}\n" if as_python else json.dumps(peer)
    found = import_spec(text, "drawn")
    assert not found.left_out
    spec = spec_of(found)
    if 35 in spec.elements and spec.elements[35].kind == "track2":
        return  # a track needs its separator; the sample covers it
    values = {}
    for key, value in document.items():
        if key != "t":
            is_bytes = spec.elements[int(key)].kind == "bytes"
            values[int(key)] = bytes.fromhex(value) if is_bytes else value
    expected, _ = iso8583.encode(dict(document), peer)
    for codec_class in CODECS:
        codec = codec_class(spec)
        for _ in range(2):
            assert codec.encode(Message("0200", dict(values))) == bytes(expected)
            assert codec.decode(bytes(expected)).elements == values


@pytest.mark.parametrize("name", sorted(field_classes()))
def test_jpos_every_class_of_the_table_imports_or_gives_its_reason(name: str) -> None:
    text = (
        '<isopackager><isofield id="3" length="6" name="ok" class="org.jpos.iso.IF_CHAR"/>'
        f'<isofield id="4" length="6" name="x" class="org.jpos.iso.{name}"/></isopackager>'
    )
    found = import_spec(text, "one")
    reason = field_classes()[name].get("not")
    assert (4 in spec_of(found).elements) == (reason is None)
    assert reasons(found).get("4") == reason


def test_jpos_class_with_blanks_is_known_and_its_ebcdic_bitmap_is_reported() -> None:
    text = (
        '<isopackager><isofield id="1" length="16" name="b" class="org.jpos.iso.IFE_BITMAP "/>'
        '<isofield id="2" length="19" name="n" class=" org.jpos.iso.IFE_LLNUM"/></isopackager>'
    )
    found = import_spec(text, "one")
    assert "empty second bitmap" in reasons(found)["1"]
    assert spec_of(found).bitmap_encoding == "ebcdic-hex"
    assert spec_of(found).elements[2].kind == "digits"


BILLION = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
    "<isopackager>&b;</isopackager>"
)
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]><isopackager>&a;</isopackager>'
REFUSED = [
    ("entities", BILLION, "entities"),
    ("outside entity", OUTSIDE, "entities"),
    ("parameter entity", '<!DOCTYPE x [<!ENTITY % a "b">]><isopackager/>', "entities"),
    ("default", '<!DOCTYPE x [<!ATTLIST isofield a CDATA "b">]><isopackager/>', "by default"),
    ("fixed", '<!DOCTYPE x [<!ATTLIST isofield a CDATA #FIXED "b">]><isopackager/>', "by default"),
    ("unknown entity", '<!DOCTYPE x SYSTEM "x.dtd"><isopackager>&a;</isopackager>', "entities"),
    ("broken", "<isopackager><isofield></isopackager>", "not XML"),
    ("empty", "<", "not XML"),
    ("another root", "<spec/>", "no isopackager"),
    ("nothing in it", "<isopackager/>", "none of its fields"),
    ("deep", "<isopackager>" + "<a>" * NESTING_MAX, "nested more than"),
    ("many", "<isopackager>" + "<a/>" * FIELDS_MAX, "more than"),
    ("attributes", "<a " + " ".join(f'b{n}="1"' for n in range(40)) + "/>", "attributes"),
    ("large", "<a>" + " " * FILE_BYTES_MAX, "larger than"),
    ("moov without fields", '{"fields": 3}', 'no object "fields"'),
    ("moov broken", '{"fields": ', "not JSON"),
    ("moov deep", '{"fields":' + "[" * 200_000, "not JSON"),
    ("python call", "spec = dict(__import__('os').environ)", "neither JSON nor"),
    ("python in a dict", "spec = {'2': print('x')}", "neither JSON nor"),
    ("python deep", "x = " + "(" * 5_000, "neither JSON nor"),
    ("list", "[1, 2]", "no dictionary"),
    ("nothing usable", '{"2": {"data_enc": "zz", "max_len": 3}}', "none of its fields"),
]


@pytest.mark.parametrize(("text", "why"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_import_hostile_or_broken_file_is_refused(text: str, why: str) -> None:
    with pytest.raises(SpecImportError, match=why):
        import_spec(text, "bad")


def test_import_doctype_of_an_outer_dtd_is_not_read() -> None:
    text = JPOS.replace("<isopackager>", "<isopackager>", 1)
    assert "<!DOCTYPE isopackager" in text
    assert read_xml(text).tag == "isopackager"


@pytest.mark.parametrize("name", ["", "Big", "a/b", "../x", "x" * 33])
def test_import_name_that_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(SpecImportError, match="small letters"):
        import_spec(JPOS, name)


def test_form_of_every_sample_is_found() -> None:
    assert [form_of(text) for text in (JPOS, MOOV, PEER)] == list(FORMS)


@pytest.mark.slow
@settings(max_examples=60)
@given(st.data())
def test_import_of_damaged_samples_gives_a_spec_or_its_one_error(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([JPOS, MOOV, PEER]))
    at = data.draw(st.integers(0, len(text) - 1))
    length = data.draw(st.integers(0, 40))
    filler = data.draw(st.text(max_size=6))
    damaged = text[:at] + filler + text[at + length :]
    try:
        found = import_spec(damaged, "damaged", form_of(text))
    except SpecImportError:
        return
    spec = spec_of(found)
    with contextlib.suppress(MessageError):
        PureCodec(spec).decode(b"\x02\x00" + bytes(30))
