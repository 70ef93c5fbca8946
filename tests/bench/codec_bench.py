"""Codec bench: our codec beside pyiso8583 in one run, on one message, as rows for build/bench.json.

Run `python tests/bench/codec_bench.py`. The sample is a 0200 of 25 elements with 154 bytes of chip
data; both sides get the same bytes and give a dict of values, DE55 as bytes (pyiso8583 knows no
TLV). The `-edc` cases are our real purchase with every private element and chip tag taken apart,
which only we can do. `decode-lazy` finds every element of the sample and reads 12; `peek` reads
what a router needs. `receive` is decode, look-up of the sender's key and MAC check in one call,
`sign` is encode and MAC; `-batch` is one of 64 in one call, the MACs without the interpreter's
lock. How the figures are taken is told in `race.py`.
"""

from functools import partial

import figures
import iso8583
from iso8583.specs import default_ascii
from race import HEADING, Race

from protocols.crypto import engine
from protocols.crypto.mac import RetailMac
from protocols.iso8583 import CODECS, Message, Proof, PureCodec, Spec, load_spec, parse_spec
from protocols.iso8583.model import Kind
from protocols.values import SecretBytes

#: Messages in one call of the `-batch` cases.
BATCH = 64

PACKED = """
[spec]
name = "packed"
extends = "iso87"
title = "bench: packed decimal"
version = "1"
source = "ISO 8583:1987"
mti = "bcd"
[defaults]
digits = { encoding = "bcd" }
track2 = { encoding = "bcd", odd = "right-f" }
prefix = { encoding = "bcd" }
"""

CHIP = bytes.fromhex(
    "5f2a0203605f34010182025c008409a00000060210100101950500000080009a032601059c01009f0206000014150000"
    "9f03060000000000009f101c0101a0008000000000000000000000000000000000000000000000009f1a020360"
    "9f2608e0c1a2b3c4d5e6f79f2701809f3303e040c89f34034203009f3501229f360200259f37043a7f19c2"
    "9f4104000003459f1e084c4d423030303137"
)

ELEMENTS: dict[int, str | bytes] = {
    2: "9360099912344821",
    3: "009800",
    4: "000014150000",
    7: "0105011407",
    11: "000345",
    12: "091407",
    13: "0105",
    14: "3012",
    18: "5411",
    22: "051",
    23: "001",
    24: "831",
    25: "00",
    32: "12400000",
    35: "9360099912344821=301222000000000",
    37: "600509000345",
    41: "12400017",
    42: "EWSMD0000000017",
    43: "E-WARONG BERKAH SEMPAJA  SAMARINDA   IDN",
    49: "360",
    52: bytes.fromhex("DB7C2A3918F05E64"),
    55: CHIP,
    60: "000012",
    62: "000345",
    64: bytes.fromhex("A1B2C3D4E5F60718"),
}


def peer_spec(spec: Spec) -> dict[str, dict[str, object]]:
    """Give the same spec in pyiso8583's words."""
    out = {key: dict(entry) for key, entry in default_ascii.items()}
    is_packed = spec.mti_encoding == "bcd"
    for key in ("h", "t", "p", "1"):
        data = "b" if key in ("p", "1") or (is_packed and key == "t") else "ascii"
        out[key]["data_enc"] = data
        if key in ("p", "1"):
            out[key]["max_len"] = 8
        elif key == "t":
            out[key]["max_len"] = 2 if is_packed else 4
    for number, element in spec.elements.items():
        packed = element.encoding == "bcd"
        binary = element.kind is Kind.BYTES
        out[str(number)] = {
            "data_enc": "b" if packed or binary else "ascii",
            "len_enc": "bcd" if is_packed else "ascii",
            "len_type": element.prefix.size if element.prefix else 0,
            "max_len": element.maximum,
            "len_count": "nibbles" if packed else "bytes",
            "left_pad": "0" if element.odd == "left-0" else "",
            "right_pad": "F" if element.odd == "right-f" else "",
            "desc": element.name,
        }
    return out


def peer_values(packed: bool) -> dict[str, str]:
    """Give the sample as pyiso8583 holds it."""
    values = {"t": "0200"}
    for number, value in ELEMENTS.items():
        text = value.hex().upper() if isinstance(value, bytes) else value
        values[str(number)] = text.replace("=", "D") if packed and number == 35 else text
    return values


def measure() -> list[figures.Row]:
    """Give the rows of decode and encode: packed (`decode`), ASCII, and our real purchase."""
    race = Race()
    message = Message("0200", dict(ELEMENTS))
    for ending, spec in (("", parse_spec(PACKED, "bench.toml")), ("-ascii", load_spec("iso87"))):
        raw = enter_codecs(race, ending, spec, message)
        if not ending:
            enter_reception(race, spec, message)
        peer, values = peer_spec(spec), peer_values(spec.mti_encoding == "bcd")
        theirs, _ = iso8583.encode(dict(values), peer)
        assert bytes(theirs) == raw, f"{spec.name}: the two codecs do not agree"
        race.add(f"decode{ending}", "pyiso8583", partial(iso8583.decode, raw, peer))
        race.add(f"encode{ending}", "pyiso8583", partial(iso8583.encode, values, peer))
    edc = load_spec("edc")
    enter_codecs(race, "-edc", edc, purchase(edc))
    return race.rows()


def enter_codecs(race: Race, ending: str, spec: Spec, sample: Message) -> bytes:
    """Enter decode and encode of every twin; give the sample's bytes."""
    raw = b""
    for codec_class in CODECS:
        codec = codec_class(spec)
        subject = "ours-native" if codec.is_native else "ours-pure"
        raw = codec.encode(sample)
        assert codec.decode(raw) == sample
        race.add(f"decode{ending}", subject, partial(codec.decode, raw))
        race.add(f"encode{ending}", subject, partial(codec.encode, sample))
    return raw


def read_twelve(codec: PureCodec, raw: bytes) -> object:
    """Find every element and read twelve: what a purchase's first checks look at."""
    lazy = codec.decode_lazy(raw)
    return (
        lazy[2], lazy[3], lazy[4], lazy[7], lazy[11], lazy[22],
        lazy[23], lazy[35], lazy[37], lazy[41], lazy[42], lazy[49],
    )  # fmt: skip


def enter_reception(race: Race, spec: Spec, sample: Message) -> None:
    """Enter partial reads, reception and signing of every twin, each with its own engine."""
    before = engine.current.engine
    for codec_class, which in zip(CODECS, engine.engines(), strict=True):
        engine.current.engine = which
        codec, subject = codec_class(spec), f"ours-{which.NAME}"
        key = RetailMac(SecretBytes(bytes(range(1, 17))))
        keys = {sample.text(41): [key]}
        raw = codec.encode_signed(sample, key)
        batch = [raw] * BATCH
        assert codec.receive(raw, keys).proof is Proof.PROVED
        race.add("decode-lazy", subject, partial(read_twelve, codec, raw))
        race.add("peek", subject, partial(codec.peek, raw, (3, 7, 11)))
        race.add("receive", subject, partial(codec.receive, raw, keys))
        race.add("receive-batch", subject, partial(codec.receive_batch, batch, keys), BATCH)
        race.add("sign", subject, partial(codec.encode_signed, sample, key))
    engine.current.engine = before


def purchase(spec: Spec) -> Message:
    """Give our real purchase: 20 elements, 19 chip tags, private elements."""
    use = spec.messages["purchase"]
    elements = {n: spec.elements[n].example for n in sorted(use.mandatory)}
    elements |= {23: "001", 64: bytes(8)}
    elements[60] = {"batch": "000012", "invoice": "000345"}
    elements[61] = {"operator": "OP01", "key_set": "0001"}
    return Message("0200", elements)  # type: ignore[arg-type]


if __name__ == "__main__":
    print(f"{HEADING}\n{figures.table(measure())}")
