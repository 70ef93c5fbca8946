"""Forms of jPOS fields that take more than a table: signs, inner bitmaps, long lengths, a DTD."""

import pytest

from protocols.iso8583 import CODECS, Message, Spec, parse_spec
from protocols.iso8583.importers import Imported, import_spec


def spec_of(found: Imported) -> Spec:
    return parse_spec(found.text, "imported.toml")


def test_jpos_signed_packed_amount_is_two_parts_of_the_same_bytes() -> None:
    text = (
        '<isopackager><isofield id="0" length="4" class="org.jpos.iso.IFB_NUMERIC"/>'
        '<isofield id="1" length="8" class="org.jpos.iso.IFB_BITMAP"/>'
        '<isofield id="28" length="9" name="Fee" class="org.jpos.iso.IFB_AMOUNT"/>'
        '<isofield id="29" length="8" name="Odd" pad="true" class="org.jpos.iso.IFB_AMOUNT"/>'
        '<isofield id="30" length="8" name="Odd" class="org.jpos.iso.IFB_AMOUNT"/></isopackager>'
    )
    message = Message(
        "0200",
        {
            28: {"sign": "D", "amount": "00000150"},
            29: {"sign": "C", "amount": "0000150"},
            30: {"sign": "C", "amount": "0000150"},
        },
    )
    found = import_spec(text, "one")
    assert not found.left_out
    for codec in (codec_class(spec_of(found)) for codec_class in CODECS):
        raw = codec.encode(message)
        assert raw.hex() == "0200" + "0000001c00000000" + "4400000150" + "4300000150" + "4300001500"
        assert codec.decode(raw) == message


@pytest.mark.parametrize(
    ("size", "keys", "kind"),
    [
        (8, (1, 2, 64), "bitmapped"),
        (2, (1, 16), "bitmapped"),
        (2, (1, 17), "bytes"),
        (16, (2, 64), "bitmapped"),
        (16, (1, 2), "bytes"),
        (16, (2, 65), "bytes"),
    ],
)
def test_jpos_inner_bitmap_gives_bits_to_parts_it_has_room_for(
    size: int, keys: tuple[int, ...], kind: str
) -> None:
    parts = "".join(
        f'<isofield id="{key}" length="1" name="p" class="org.jpos.iso.IFB_BINARY"/>'
        for key in keys
    )
    text = (
        '<isopackager><isofieldpackager id="49" length="999" name="v" emitBitmap="true" '
        'bitmapField="0" class="org.jpos.iso.IFB_LLLBINARY" '
        'packager="org.jpos.iso.packager.GenericSubFieldPackager">'
        f'<isofield id="0" length="{size}" name="b" class="org.jpos.iso.IFB_BITMAP"/>{parts}'
        "</isofieldpackager></isopackager>"
    )
    spec = spec_of(import_spec(text, "one"))
    assert spec.elements[49].kind == kind
    if kind == "bytes":
        return
    value = {str(key): bytes((key,)) for key in keys}
    bits = sum(1 << (min(size, 8) * 8 - key) for key in keys).to_bytes(min(size, 8), "big")
    for codec in (codec_class(spec) for codec_class in CODECS):
        raw = codec.encode(Message("0200", {49: value}))
        assert raw.endswith(bits + bytes(keys))
        assert codec.decode(raw)[49] == value


def test_jpos_length_of_six_digits_and_a_placeholder_are_taken_over() -> None:
    text = (
        '<isopackager><isofieldpackager id="127" length="999999" name="Private" '
        'class="org.jpos.iso.IFA_LLLLLLBINARY" '
        'packager="org.jpos.iso.packager.GenericSubFieldPackager">'
        '<isofield id="0" length="0" name="placeholder" class="org.jpos.iso.IF_CHAR"/>'
        '<isofield id="1" length="8" name="bits" class="org.jpos.iso.IFB_BITMAP"/>'
        '<isofield id="2" length="32" name="key" class="org.jpos.iso.IFA_LLCHAR"/>'
        '<isofield id="25" length="9999" name="chip" class="org.jpos.iso.IFA_LLLLBINARY"/>'
        "</isofieldpackager></isopackager>"
    )
    found = import_spec(text, "one")
    assert not found.left_out
    message = Message("0620", {127: {"2": "SWITCH_KEY", "25": b"ICC_DATA"}})
    for codec in (codec_class(spec_of(found)) for codec_class in CODECS):
        for _ in range(2):
            raw = codec.encode(message)
            inner = bytes.fromhex("4000008000000000") + b"10SWITCH_KEY" + b"0008ICC_DATA"
            assert raw.endswith(b"000032" + inner)
            assert codec.decode(raw) == message


def test_import_dtd_inside_that_only_declares_is_read_past() -> None:
    text = (
        "<!DOCTYPE isopackager [<!ELEMENT isopackager (isofield*)>"
        "<!ATTLIST isofield id CDATA #REQUIRED length CDATA #IMPLIED>]>"
        '<isopackager><isofield id="3" length="6" name="p" class="IFA_NUMERIC"/></isopackager>'
    )
    assert import_spec(text, "one").elements == 1
