"""Specs as data: every entry proves itself, and every mistake is said with its line."""

from dataclasses import replace
from pathlib import Path

import pytest

from protocols.iso8583 import (
    Element,
    Kind,
    MessageError,
    Sensitivity,
    Spec,
    SpecError,
    load_spec,
    parse_spec,
    shipped_names,
)
from protocols.iso8583.loader import shipped_text
from protocols.iso8583.pack import pack_element
from protocols.iso8583.selfcheck import all_elements
from protocols.iso8583.walk import Walk

KINDS = Path(__file__).with_name("iso8583_kinds.toml").read_text("utf-8")

SPECS: list[Spec] = [*(load_spec(name) for name in shipped_names()), parse_spec(KINDS, "kinds")]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_spec_every_entry_has_name_example_and_source(spec: Spec) -> None:
    for element in all_elements(spec):
        assert element.name.strip(), element.path
        assert element.source.strip(), element.path
        assert element.example or element.kind is Kind.BER_TLV, element.path


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_spec_every_example_round_trips(spec: Spec) -> None:
    for element in spec.elements.values():
        raw = pack_element(element, element.example, 0)
        value, end = Walk(spec, raw).element(element, 0, len(raw), 0)
        assert (value, end) == (element.example, len(raw)), element.path


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_spec_every_tagged_part_round_trips_alone(spec: Spec) -> None:
    tagged = (Kind.TLV, Kind.LTV, Kind.BER_TLV, Kind.DATASET)
    for element in all_elements(spec):
        if element.kind not in tagged or "." in element.path:
            continue
        for sub in element.sub:
            alone = {sub.key: sub.example}
            raw = pack_element(element, alone, 0)
            assert Walk(spec, raw).element(element, 0, len(raw), 0)[0] == alone, sub.path


def test_edc_lays_down_every_message_type_of_the_message_set() -> None:
    edc = load_spec("edc")
    known = {use.mti for use in edc.messages.values()}
    known |= {use.repeat for use in edc.messages.values()}
    needed = (
        "0100 0110 0200 0210 0220 0230 0320 0330 0400 0401 0410 0420 0421 0430 0500 0510 0800 0810"
    )
    assert set(needed.split()) <= known


def test_edc_private_elements_name_what_design_decision_14_asks() -> None:
    edc = load_spec("edc")
    parts = {
        number: {sub.key for sub in edc.elements[number].sub} for number in (48, 60, 61, 62, 63)
    }
    assert {"mac", "pin"} <= parts[48]
    assert {"batch", "invoice", "voucher"} <= parts[60]
    assert {"operator", "log_on", "key_set"} <= parts[61]
    assert {"basket", "proxy"} <= parts[62]
    assert {"totals", "months", "planned_date", "slip_code"} <= parts[63]


@pytest.mark.parametrize("name", shipped_names())
def test_spec_card_data_is_marked_sensitive(name: str) -> None:
    spec = load_spec(name)
    expected = {2: "pan", 34: "pan", 35: "track", 36: "track", 45: "track", 52: "pin", 55: "emv"}
    if name == "iso03":
        expected[34] = "wipe"  # electronic commerce data since 2003, no card number
    assert {n: spec.elements[n].sensitive.value for n in expected} == expected


def test_edc_chip_parts_that_name_the_holder_are_sensitive() -> None:
    by_tag = {sub.tag: sub.sensitive for sub in load_spec("edc").elements[55].sub}
    assert by_tag["57"] is Sensitivity.TRACK
    assert by_tag["5A"] is Sensitivity.PAN
    assert by_tag["5F20"] is Sensitivity.NAME


HEAD = '[spec]\nname = "x"\ntitle = "x"\nversion = "1"\nsource = "tests"\n'
GOOD = '[elements.3]\nname = "n"\nkind = "digits"\nlen = 6\nexample = "009800"\nsource = "t"\n'

TEXT = '[elements.5]\nname = "n"\nkind = "text"\nlen = 1\nexample = "a"\nsource = "t"\n'

MISTAKES: list[tuple[str, str, int, str]] = [
    ("unknown key", GOOD + "lenght = 6\n", 12, "elements.3.lenght: unknown key - did you mean"),
    ("unknown table", GOOD + "[element.4]\n", 12, "element: unknown key - did you mean 'elements'"),
    ("unknown kind", GOOD.replace('"digits"', '"number"'), 8, "elements.3.kind: no kind"),
    ("no example", GOOD.replace('example = "009800"\n', ""), 6, "elements.3: no example"),
    ("no source", GOOD.replace('source = "t"', ""), 6, "elements.3.source: missing"),
    ("no length", GOOD.replace("len = 6", ""), 6, "elements.3: no length"),
    ("length nowhere", GOOD.replace("len =", "max ="), 6, "its length stands nowhere"),
    ("len and max", GOOD + "max = 7\n", 9, "elements.3.len: len and max together"),
    ("bad example", GOOD.replace("009800", "00980"), 6, "its example is refused"),
    ("letters", GOOD.replace("009800", "00980X"), 6, "its example is refused"),
    ("bad pad", GOOD + 'pad = "zero"\n', 12, "elements.3.pad: 'zero' is not allowed here"),
    (
        "length too large",
        GOOD.replace("len = 6", "len = 100000"),
        9,
        "elements.3.len: out of range",
    ),
    ("bad number", GOOD.replace("elements.3", "elements.0"), 6, "no element number"),
    ("far number", GOOD.replace("elements.3", "elements.193"), 6, "no element number"),
    ("third bitmap", GOOD.replace("elements.3", "elements.130"), 6, "no bitmap announces it"),
    ("open card data", GOOD.replace("elements.3", "elements.2"), 6, "not marked sensitive"),
    ("bad sensitivity", GOOD + 'sensitive = "secret"\n', 12, "elements.3.sensitive: 'secret'"),
    ("code", GOOD + 'codes = { "01" = "x" }\n', 6, "its example is none of its codes"),
    ("part of nothing", GOOD + "[elements.3.sub.a]\n", 12, "elements.3.sub: a digits has no parts"),
    ("no parts", GOOD.replace('"digits"', '"positional"'), 6, "a composite without parts"),
    ("prefix", GOOD + "prefix = { bytes = 1, digits = 1 }\n", 12, "width and encoding do not fit"),
    ("prefix key", GOOD + "prefix = { width = 2 }\n", 12, "elements.3.prefix.width: unknown key"),
    ("tags", GOOD + "tags = { bytes = 1 }\n", 12, "elements.3.tags: only tlv and ltv state it"),
    (
        "message",
        GOOD + '[messages.a]\nmti = "020"\ntitle = "t"\nsource = "s"\n',
        13,
        "messages.a.mti: no MTI",
    ),
    (
        "message element",
        GOOD + '[messages.a]\nmti = "0200"\ntitle = "t"\nsource = "s"\nmandatory = [4]\n',
        16,
        "messages.a.mandatory: no element 4",
    ),
    (
        "message answer",
        GOOD + '[messages.a]\nmti = "0200"\ntitle = "t"\nsource = "s"\nanswer = "b"\n',
        16,
        "messages.a.answer: no message 'b'",
    ),
    ("not toml", GOOD + "len = \n", 12, "not TOML"),
    ("not toml, deep", GOOD + "x = " + "[" * 3000, 1, "too long or too deep"),
    ("not toml, long", GOOD + "x = " + "1" * 5000, 1, "too long or too deep"),
    ("default", '[defaults]\ntext = { encoding = "asc" }\n' + TEXT, 7, "'asc' is not allowed"),
    ("default no table", "[defaults]\ntext = 3\n" + GOOD, 7, "defaults.text: not a table"),
    ("default key", "[defaults]\ntext = { odd = 1 }\n" + GOOD, 7, "unknown key"),
    ("bitmap no table", "bitmap = 3\n" + GOOD, 6, "spec.bitmap: not a table"),
    ("flag", 'bitmap = { always_128 = "no" }\n' + GOOD, 6, "neither true nor false"),
    ("peek", "peek = 3\n" + GOOD, 6, "spec.peek: not a list"),
    ("peek in peek", "peek = [[3]]\n" + GOOD, 6, "spec.peek: no element [3]"),
    ("version", "mti_version = 1\n" + GOOD, 6, "spec.mti_version: 1 is not known"),
    ("notes", "notes = [3]\n" + GOOD, 6, "spec.notes: not a list of texts"),
    ("own number", GOOD.replace("elements.3", 'elements."\u00b2"'), 6, "no element number"),
    ("prefix flag", GOOD + 'prefix = { digits = 2, includes_self = "x" }', 12, "neither true nor"),
    ("message no table", GOOD + "[messages]\na = 3\n", 13, "messages.a: not a table"),
    (
        "message codes",
        GOOD + '[messages.a]\nmti = "0200"\ntitle = "t"\nsource = "s"\nnetwork_codes = [1]\n',
        16,
        "messages.a.network_codes: not a list of texts",
    ),
]


@pytest.mark.parametrize(
    ("body", "line", "text"), [m[1:] for m in MISTAKES], ids=[m[0] for m in MISTAKES]
)
def test_lint_mistake_is_said_with_its_line(body: str, line: int, text: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(HEAD + body, "x.toml")
    found = [p for p in caught.value.problems if text in p]
    assert found, caught.value.problems
    assert found[0].startswith(f"x.toml:{line}:"), found[0]


@pytest.mark.parametrize("key", ["spec", "defaults", "elements", "messages"])
@pytest.mark.parametrize("extends", ["", 'spec.extends = "iso87"\n'])
def test_lint_key_that_is_no_table_is_said(key: str, extends: str) -> None:
    if key == "spec" and extends:
        return
    with pytest.raises(SpecError, match=f"x.toml:.*{key}: not a table"):
        parse_spec(f"{key} = 3\n{extends}", "x.toml")


TLV = """
[elements.60]
name = "t"
kind = "tlv"
tags = { bytes = 1, length = { bytes = 2 } }
max = 99
prefix = 2
source = "t"
[elements.60.sub.a]
tag = "01"
name = "a"
kind = "digits"
encoding = "bcd"
max = 6
example = "12"
source = "t"
"""

PART_MISTAKES: list[tuple[str, str, str]] = [
    ("01", "1", "60.sub.a.tag: no tag of this form"),
    ("max = 6", "max = 6\nprefix = 1", "60.sub.a.prefix: its length stands in the TLV"),
    ("max = 6", "max = 6\n", "60.sub.a: an odd count could not be told"),
]


@pytest.mark.parametrize(("old", "new", "text"), PART_MISTAKES)
def test_lint_part_in_the_wrong_place_is_refused(old: str, new: str, text: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(HEAD + TLV.replace(old, new), "x.toml")
    assert text in str(caught.value)


def test_lint_tag_that_stands_twice_is_refused() -> None:
    again = TLV[TLV.index("[elements.60.sub.a]") :].replace("sub.a", "sub.b")
    with pytest.raises(SpecError, match=r"sub\.b\.tag: stands twice"):
        parse_spec(
            HEAD + TLV.replace("max = 6", "len = 2") + again.replace("max = 6", "len = 2"), "x"
        )


def test_lint_reports_every_problem_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(HEAD + GOOD.replace("len = 6", "lenn = 6") + "oops = 1\n", "x.toml")
    assert len(caught.value.problems) >= 3


def test_spec_extends_overrides_key_by_key() -> None:
    text = HEAD + 'extends = "iso87"\n[elements.4]\nnote = "sen"\n'
    spec = parse_spec(text, "x.toml")
    base = load_spec("iso87").elements[4]
    assert spec.elements[4] == replace(base, note="sen")
    assert spec.elements[5] == load_spec("iso87").elements[5]


@pytest.mark.parametrize(
    "name", ["nobody", "", "../specs/iso87", "/etc/passwd", "\\u0000", "a" * 5_000]
)
def test_spec_extends_a_stranger_is_refused(name: str) -> None:
    with pytest.raises(SpecError, match=r"x.toml:6: spec.extends: no spec '"):
        parse_spec(HEAD + f'extends = "{name}"\n' + GOOD, "x.toml")


def extended(base: str, body: str) -> str:
    """Give the text of a spec over a shipped one; `body` begins in line 7."""
    return HEAD + f'extends = "{base}"\n' + body


def test_spec_extends_parts_and_messages_key_by_key() -> None:
    body = (
        '[elements.60.sub.batch]\nname = "My batch"\n[messages.purchase]\ntitle = "My purchase"\n'
    )
    spec, base = parse_spec(extended("edc", body), "x.toml"), load_spec("edc")
    parts = {part.key: part for part in spec.elements[60].sub}
    assert parts.keys() == {part.key for part in base.elements[60].sub}
    assert parts["batch"].name == "My batch"
    assert parts["batch"].tag == {part.key: part for part in base.elements[60].sub}["batch"].tag
    assert spec.messages.keys() == base.messages.keys()
    assert spec.messages["purchase"].title == "My purchase"
    assert spec.messages["purchase"].mandatory == base.messages["purchase"].mandatory
    assert base.messages["purchase"].title != "My purchase"


#: Wrong edits over a shipped spec, and all that is said about them.
WRONG_EDITS = [
    ("edc", "[elements.60.sub.batch]\nlenn = 6\n",
     ["x.toml:8: elements.60.sub.batch.lenn: unknown key - did you mean 'len'?"]),
    ("edc", '[defaults]\ndigits = { encoding = "bdc" }\n',
     ["x.toml:8: defaults.digits.encoding: 'bdc' is not allowed here - use one of ascii, cp037, "
      "cp273, cp500, cp1026, cp1047, cp1140, bcd"]),
    ("edc", '[defaults]\ntrack2 = { odd = "left" }\n',
     ["x.toml:8: defaults.track2.odd: 'left' is not allowed here - use one of left-0, left-f, "
      "right-0, right-f"]),
    ("edc", "[elements]\n3 = 5\n",
     ["x.toml:8: elements.3: not a table - write it as [table] or { key = value }"]),
    ("edc", "[messages.purchase]\nmandatroy = [3]\n",
     ["x.toml:8: messages.purchase.mandatroy: unknown key - did you mean 'mandatory'?"]),
    ("edc", "[messages.purchase]\nmandatory = [3, 999]\n",
     ["x.toml:8: messages.purchase.mandatory: no element 999 - use numbers of [elements.*]"]),
    ("edc", "[elements.60]\ntags = { bytes = 9 }\n",
     ["x.toml:8: elements.60.tags.bytes: out of range - a whole number from 1 to 4"]),
    ("iso03", "[elements.3]\nlen = 6\nmax = 7\n",
     ["x.toml:8: elements.3.len: len and max together - keep one of them"]),
    ("iso03", "[elements.2]\nprefix = 7\n",
     ["x.toml:8: elements.2.prefix.digits: out of range - a whole number from 1 to 6"]),
    ("iso03", "[element.3]\nlen = 6\n",
     ["x.toml:7: element: unknown key - did you mean 'elements'?"]),
]  # fmt: skip


def test_spec_wrong_edit_of_a_shipped_one_is_said_once_with_its_line() -> None:
    for base, body, said in WRONG_EDITS:
        with pytest.raises(SpecError) as caught:
            parse_spec(extended(base, body), "x.toml")
        assert caught.value.problems == said, body


def test_spec_that_extends_itself_is_refused() -> None:
    text = HEAD + 'extends = "loop"\n' + GOOD
    with pytest.raises(SpecError, match="extends itself"):
        parse_spec(text, "x.toml", resolve=lambda name: text)


def test_edc_text_states_packed_encodings_only_where_they_differ() -> None:
    assert "[defaults]" in shipped_text("edc")
    element: Element = load_spec("edc").elements[11]
    assert (element.encoding, element.maximum, element.odd) == ("bcd", 6, "left-0")


def test_pack_element_wrong_value_names_its_path() -> None:
    with pytest.raises(MessageError) as caught:
        pack_element(load_spec("edc").elements[60], {"batch": "12"}, 0)
    assert caught.value.path == "60.batch"
