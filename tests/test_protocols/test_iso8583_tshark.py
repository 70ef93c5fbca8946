"""An independent decoder reads our frames: Wireshark's ISO 8583 dissector, element by element.

Wireshark expects a two-byte length and no TPDU, so frames are framed that way here. Its tables know
no packed track 2 with a digit count, pad an odd number of packed digits on the other side, and take
every variable text for one with an ASCII prefix; so on `edc` a message is compared up to the first
such element, on `bank` whole.
"""

import re
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from protocols.crypto.mac import RetailMac
from protocols.iso8583 import Codec, Kind, Message, Spec, load_spec
from protocols.values import SecretBytes

pytestmark = pytest.mark.service

OPTIONS = {
    "bank": ["-o", "iso8583.charset:Digits represented as ASCII Characters",
             "-o", "iso8583.binencode:Bin data represented as Hex Ascii characters"],
    "edc": ["-o", "iso8583.charset:Digits represented in nibbles",
            "-o", "iso8583.binencode:Bin data not encoded"],
}  # fmt: skip
PORT = 8583
CUT_OTHERWISE = {35, 44, 48, 49, 54, 55, 60, 61, 62, 63}


def capture(frames: list[bytes]) -> bytes:
    """Give a pcap file of raw IP packets, one TCP segment a frame."""
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 101)
    sequence = 1
    home = bytes([127, 0, 0, 1])
    for frame in frames:
        tcp = struct.pack("!HHIIBBHHH", 40_000, PORT, sequence, 1, 5 << 4, 0x18, 65_535, 0, 0)
        size = 20 + len(tcp) + len(frame)
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, size, 0, 0, 64, 6, 0, home, home)
        out += struct.pack("<IIII", 0, 0, size, size) + ip + tcp + frame
        sequence += len(frame)
    return out


def examples(spec: Spec) -> list[Message]:
    """Give one message per use, its mandatory and optional elements filled with their examples.

    A processing or network code that tells uses apart replaces the example.
    """
    messages = []
    for use in spec.messages.values():
        numbers = sorted((use.mandatory | use.optional) - {64, 128})
        elements = {n: spec.elements[n].example for n in numbers if n in spec.elements}
        for number, codes in ((3, use.processing_codes), (70, use.network_codes)):
            if number in elements and codes:
                elements[number] = min(codes).ljust(6 if number == 3 else 3, "0")
        messages.append(Message(use.mti, elements, spec))
    return messages


def read_by_tshark(path: Path, name: str) -> list[dict[str, str]]:
    done = subprocess.run(
        ["tshark", "-r", str(path), "-d", f"tcp.port=={PORT},iso8583",
         "-o", "iso8583.len_endian:Big endian", *OPTIONS[name], "-O", "iso8583"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    packets = done.stdout.split("\nFrame ")
    return [dict(re.findall(r"^    (MTI|Bit \d+): (.*)$", packet, re.M)) for packet in packets]


@pytest.mark.parametrize("name", ["bank", "edc"])
def test_frame_of_every_message_is_read_by_wireshark_with_the_same_values(
    name: str, need: Callable[[str], None], tmp_path: Path
) -> None:
    need("tshark")
    spec = load_spec(name)
    codec = Codec(spec)
    key = RetailMac(SecretBytes(bytes(range(1, 17))))
    plain = examples(spec)
    path = tmp_path / "messages.pcap"
    raws = [codec.encode(message) for message in plain]
    raws += [codec.encode_signed(message, key) for message in plain]
    messages = plain + [codec.decode(raw) for raw in raws[len(plain) :]]
    assert all(64 in message or 128 in message for message in messages[len(plain) :])
    path.write_bytes(capture([struct.pack("!H", len(raw)) + raw for raw in raws]))
    found = read_by_tshark(path, name)
    assert len(found) == len(messages)
    compared = 0
    for message, seen in zip(messages, found, strict=True):
        assert seen["MTI"] == message.mti
        for number in message:
            if name == "edc" and number in CUT_OTHERWISE:
                break
            assert f"Bit {number}" in seen, (message.mti, number)
            if spec.elements[number].kind in (Kind.TEXT, Kind.DIGITS):
                shown = seen[f"Bit {number}"].strip()
                assert shown.lstrip("0") == str(message[number]).strip().lstrip("0")
                compared += 1
    assert compared > 5 * len(messages)
