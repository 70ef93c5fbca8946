"""Codec bench: our codec beside pyiso8583 in one run, on one message, as rows for build/bench.json.

Run `python tests/bench/codec_bench.py`. The sample is a 0200 of 25 elements with 154 bytes of chip
data; both sides get the same bytes and give a dict of values, DE55 as bytes (pyiso8583 knows no
TLV). `edc-purchase` is our real purchase with every private element and chip tag taken apart, which
only we can do. Figures are the minimum of several rounds: the machine's noise only adds.
"""

import json
import platform
import sys
import timeit
from collections.abc import Callable
from pathlib import Path

import iso8583
from iso8583.specs import default_ascii

from protocols.iso8583 import Codec, Message, PureCodec, Spec, load_spec, parse_spec
from protocols.iso8583.model import Kind

ROUNDS, LOOPS = 9, 2_000

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


def us(job: Callable[[], object]) -> float:
    """Give microseconds of one call: the best of the rounds."""
    job()
    return round(min(timeit.repeat(job, number=LOOPS, repeat=ROUNDS)) / LOOPS * 1e6, 3)


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


def rows() -> list[dict[str, object]]:
    """Give the rows of the protocols suite for decode and encode."""
    out: list[dict[str, object]] = []

    def note(case: str, subject: str, value: float) -> None:
        row = {"suite": "protocols", "case": case, "subject": subject, "metric": "us"}
        out.append({**row, "value": value, "unit": "us"})

    for name, spec in (("ascii", load_spec("iso87")), ("bcd", parse_spec(PACKED, "bench.toml"))):
        codecs: list[tuple[str, PureCodec]] = [("ours-pure", PureCodec(spec))]
        if Codec is not PureCodec:
            codecs.append(("ours-native", Codec(spec)))
        message = Message("0200", dict(ELEMENTS))
        raw = codecs[0][1].encode(message)
        peer = peer_spec(spec)
        ours = raw
        theirs, _ = iso8583.encode(peer_values(name == "bcd"), peer)
        assert bytes(theirs) == ours, f"{name}: the two codecs do not agree"
        for subject, codec in codecs:
            note(f"decode-{name}", subject, us(lambda codec=codec, raw=raw: codec.decode(raw)))
            note(f"encode-{name}", subject, us(lambda codec=codec, m=message: codec.encode(m)))
        values = peer_values(name == "bcd")
        note(f"decode-{name}", "pyiso8583", us(lambda r=raw, p=peer: iso8583.decode(r, p)))
        note(f"encode-{name}", "pyiso8583", us(lambda v=values, p=peer: iso8583.encode(v, p)))
        print(f"# {name}: {len(raw)} bytes, {len(ELEMENTS)} elements", file=sys.stderr)
    purchase(note)
    return out


def purchase(note: Callable[[str, str, float], None]) -> None:
    """Add rows of the real purchase, all parts taken apart."""
    spec = load_spec("edc")
    elements = {n: spec.elements[n].example for n in sorted(spec.messages["purchase"].mandatory)}
    chip = spec.elements[55].example
    assert isinstance(chip, dict)
    elements |= {23: "001", 64: bytes(8), 55: chip}
    elements[60] = {"batch": "000012", "invoice": "000345"}
    elements[61] = {"operator": "OP01", "key_set": "0001"}
    message = Message("0200", elements)  # type: ignore[arg-type]
    codecs = [("ours-pure", PureCodec(spec))]
    if Codec is not PureCodec:
        codecs.append(("ours-native", Codec(spec)))
    for subject, codec in codecs:
        raw = codec.encode(message)
        assert codec.decode(raw) == message
        note("decode-edc-purchase", subject, us(lambda c=codec, r=raw: c.decode(r)))
        note("encode-edc-purchase", subject, us(lambda c=codec: c.encode(message)))
    print(f"# edc purchase: {len(raw)} bytes, {len(elements)} elements", file=sys.stderr)


def main() -> None:
    """Print a table, and write the rows to the file named as argument."""
    found = rows()
    for row in found:
        print(f"{row['case']:<22} {row['subject']:<12} {row['value']:>8} us")
    if len(sys.argv) > 1:
        document = {"machine": {"python": platform.python_version()}, "rows": found}
        Path(sys.argv[1]).write_text(json.dumps(document, indent=1), "utf-8")


if __name__ == "__main__":
    main()
