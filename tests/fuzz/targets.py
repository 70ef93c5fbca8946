"""What is fuzzed: each target takes any bytes and may fail only by a bug.

Garbage in gives a value or the package's one error; nothing else may leave. Where a value comes
out, the law that ties it to the input is checked as well: both twins agree, what was read is
written back.
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from programme.decree.faults import DecreeFileError
from programme.decree.reader import read_decree
from programme.decree.template import template
from protocols.crypto import engine
from protocols.crypto.errors import CryptoError
from protocols.crypto.issuer import ChipClaim, IssuerKey
from protocols.crypto.tr31 import KeyBlockHeader, unwrap, wrap
from protocols.emv import dol, tlv
from protocols.emv.errors import EmvDataError
from protocols.emv.limits import DOL_VALUE_BYTES, TLV_DEPTH
from protocols.framing import BANK_FRAMES, EDC_FRAMES, Framer, FrameSpec, FramingError, frame
from protocols.iso8583 import (
    CODECS,
    Message,
    MessageError,
    PureCodec,
    Spec,
    SpecError,
    describe,
    inspect_message,
    load_spec,
    parse_spec,
    shipped_names,
)
from protocols.iso8583.importers import FORMS, SpecImportError, import_spec
from protocols.iso8583.loader import shipped_text
from protocols.serial_line import ACK, ENQ, LineSpec, SerialLine, block
from protocols.serial_table import LineState
from protocols.values import Pan, SecretBytes
from tests.fuzz import card_targets, ledger_targets

TESTS = Path(__file__).resolve().parents[1]
KINDS = TESTS / "test_protocols" / "iso8583_kinds.toml"
SAMPLES = TESTS / "test_protocols" / "import_samples"


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to fuzz: `run` takes bytes, `corpus` gives inputs that mean something."""

    name: str
    run: Callable[[bytes], None]
    corpus: Callable[[], list[bytes]]


@cache
def spec_named(name: str) -> Spec:
    """Give a shipped specification, or the one of the tests with every kind in it."""
    return parse_spec(KINDS.read_text("utf-8"), "kinds") if name == "kinds" else load_spec(name)


@cache
def codecs_of(name: str) -> tuple[PureCodec, ...]:
    """Give both twins of a specification, kept so that they learn plans and layouts."""
    return tuple(codec_class(spec_named(name)) for codec_class in CODECS)


def messages_of(name: str) -> list[bytes]:
    """Give one message per use of the specification, one per element, and one with all."""
    spec, codec = spec_named(name), codecs_of(name)[0]
    sets = [(u.mti, numbers) for u in spec.messages.values()
            for numbers in (u.mandatory, u.mandatory | u.optional)]  # fmt: skip
    all_of_it = frozenset(spec.elements) - ({65} if spec.bitmap_tertiary else set())
    sets += [("0200", frozenset({number})) for number in all_of_it] + [("0200", all_of_it)]
    return [
        codec.encode(Message(mti, {n: spec.elements[n].example for n in sorted(numbers)}))  # type: ignore[misc]
        for mti, numbers in sets
    ]


def run_codec(name: str, raw: bytes) -> None:
    """Both twins agree; what is read is written back; helpers never raise but our error."""
    outcomes = []
    for codec in codecs_of(name):
        try:
            message = codec.decode(raw)
        except MessageError as error:
            outcomes.append((error.path, error.offset, error.reason))
            continue
        assert codec.encode(message) == raw, "it reads what it would not write"
        outcomes.append((message.mti, message.elements))
        repr(message)
    assert all(outcome == outcomes[0] for outcome in outcomes), "the twins differ"
    spec, codec = spec_named(name), codecs_of(name)[-1]
    assert describe(raw, spec)
    accepted = isinstance(outcomes[0][1], dict)
    assert inspect_message(spec, raw).is_valid == accepted
    shown = [lazily(one, raw) for one in codecs_of(name)]
    assert all(one == shown[0] for one in shown), "the twins differ when lazy"
    masks = [one.mask(raw) for one in codecs_of(name)]
    assert all(one == masks[0] for one in masks), "the twins mask differently"
    assert len(masks[0]) == len(raw), "a mask changes a length"
    peeks = [peeked(one, raw) for one in codecs_of(name)]
    assert all(one == peeks[0] for one in peeks), "the twins peek differently"
    with contextlib.suppress(MessageError):
        split = codec.split_mac(raw)
        assert split is None or len(split[1]) == 8


def lazily(codec: PureCodec, raw: bytes) -> object:
    """Give every element or its error, as a lazy message shows them."""
    try:
        lazy = codec.decode_lazy(raw)
    except MessageError as error:
        return str(error)
    out: list[object] = [lazy.mti]
    for number in lazy:
        try:
            out.append((number, lazy[number], lazy.wire(number)))
        except MessageError as error:
            out.append((number, str(error)))
    return out


def peeked(codec: PureCodec, raw: bytes) -> object:
    """Give what a router sees, or the error."""
    try:
        return codec.peek(raw).elements
    except MessageError as error:
        return str(error)


FRAME_SPECS = (
    EDC_FRAMES,
    BANK_FRAMES,
    FrameSpec(length_encoding="little-endian"),
    FrameSpec(length_size=4, length_encoding="ascii", includes_self=True, header_size=9),
    FrameSpec(length_encoding="bcd", tpdu_size=0),
)


def run_framing(raw: bytes) -> None:
    """Whole and byte by byte give the same frames, and frames give their bytes back."""
    for spec in FRAME_SPECS:
        outcomes = []
        for pieces in ([raw], [raw[at : at + 1] for at in range(len(raw))]):
            framer, frames, failed = Framer(spec), [], False
            for piece in pieces:
                try:
                    frames += framer.feed(piece)
                except FramingError as error:
                    frames += error.frames
                    failed = True
                    break
                assert framer.waiting <= spec.body_max + 4
            outcomes.append((frames, failed))
        assert outcomes[0] == outcomes[1], "pieces change what is read"
        frames, failed = outcomes[0]
        again = b"".join(frame(one.payload, one.tpdu, spec, one.header) for one in frames)
        if spec.length_encoding != "ascii" and not spec.includes_self:
            assert raw.startswith(again)


def run_tlv(raw: bytes) -> None:
    """What is read is read again from what it is written as."""
    with contextlib.suppress(EmvDataError):
        objects = tlv.parse(raw)
        written = tlv.build(objects)  # long forms of short lengths inside become short
        assert tlv.build(tlv.parse(written)) == written
        assert depth_of(objects) <= TLV_DEPTH
    with contextlib.suppress(EmvDataError):
        tlv.build(tlv.parse(raw, filler=True))  # filler goes, so nothing is compared
    with contextlib.suppress(EmvDataError):
        tlv.parse_flat(raw)


def depth_of(objects: Iterable[tlv.Tlv]) -> int:
    """Give how deep objects are nested; 0 for none."""
    return max((1 + depth_of(one.children) for one in objects), default=0)


def tlv_objects() -> list[bytes]:
    """Give card data, and templates nested as deep as allowed and one deeper."""
    nested = [b"\x5a\x00"]
    for _ in range(TLV_DEPTH):
        nested.append(b"\xe1" + bytes([len(nested[-1])]) + nested[-1])
    return [
        bytes.fromhex("6F1A840E315041592E5359532E4444463031A5088801015F2D02656E"),
        bytes.fromhex("9F2608E0C1A2B3C4D5E6F79F360200259505000000000082025C00DF810101AA"),
        *nested[-2:],
    ]


def run_dol(raw: bytes) -> None:
    """A list asks for as many bytes as it is filled with, and splits them again."""
    with contextlib.suppress(EmvDataError):
        entries = dol.parse_dol(raw)
        assert dol.build_dol(entries) == raw
        assert dol.dol_length(entries) <= DOL_VALUE_BYTES
        filled = dol.fill_dol(raw, {"9F02": b"\x01", "9A": b"\x26\x01\x05", "5A": bytes(10)})
        assert len(filled) == dol.dol_length(entries)
        assert b"".join(value for _, value in dol.split_by_dol(raw, filled)) == filled


KBPK = SecretBytes(bytes.fromhex("1D22BF32387C600AD97F9B97A51311AC"))
KBPK_AES = SecretBytes(bytes(range(1, 33)))


def key_blocks() -> list[bytes]:
    """Give a key block of each version that can carry a double-length key."""
    key = SecretBytes(bytes.fromhex("E8BC63E5479455E26577F715D587FE68"))
    return [
        wrap(kbpk, KeyBlockHeader(version, "M3", "T", "C"), key, bytes).encode()
        for version, kbpk in (("A", KBPK), ("B", KBPK), ("C", KBPK), ("D", KBPK_AES))
    ]


def run_tr31(raw: bytes) -> None:
    """A block opens or is refused, for either protection key."""
    for kbpk in (KBPK, KBPK_AES):
        with contextlib.suppress(CryptoError):
            header, key = unwrap(kbpk, raw.decode("latin-1"))
            assert len(key.reveal()) in (8, 16, 24, 32)
            repr(header)


ISSUERS: list[tuple[engine.Engine, IssuerKey]] = []


def issuers() -> list[tuple[engine.Engine, IssuerKey]]:
    """Give the issuer's key in each engine, kept."""
    if not ISSUERS:
        before = engine.current.engine
        for which in engine.engines():
            engine.current.engine = which
            ISSUERS.append((which, IssuerKey(KBPK)))
        engine.current.engine = before
    return ISSUERS


def run_chip(raw: bytes) -> None:
    """Raw chip data gives a verdict or an error of ours, the same in both engines."""
    before, outcomes = engine.current.engine, []
    claim = ChipClaim(Pan("9360099912344821"), "01", raw)
    for which, issuer in issuers():
        engine.current.engine = which
        try:
            outcomes.append((issuer.check(claim), ""))
        except (CryptoError, EmvDataError) as error:
            outcomes.append((None, str(error)))
        finally:
            engine.current.engine = before
    assert all(one == outcomes[0] for one in outcomes), "the engines differ"


def chips() -> list[bytes]:
    """Give the chip data of a purchase."""
    return [
        bytes.fromhex(
            "5F2A0203605F34010182025C008407F053534E01010195050000000800"
            "9A032601059C01009F02060000141500009F03060000000000009F10070101A0008000009F1A020360"
            "9F2608E0C1A2B3C4D5E6F79F2701809F360200029F37043A7F19C2"
        )
    ]


LINES = (
    LineSpec(bits_per_second=0),
    LineSpec(has_length=False, is_primary=True, block_max=64),
)


def run_serial(raw: bytes) -> None:
    """Any bytes at any times end idle, with one result for what was sent."""
    for spec in LINES:
        line, now_ns, results = SerialLine(spec, 0), 0, 0
        line.send(b"0800", 0)
        for at, byte in enumerate(raw):
            now_ns += (raw[at - 1] % 64) ** 3 * 10_000  # the byte before says how long it took
            out = line.feed(bytes([byte]), now_ns)
            results += len(out.results)
            assert all(0 < len(one) <= spec.largest for one in out.delivered)
        for _ in range(20):
            if line.deadline_ns is not None:
                results += len(line.tick(line.deadline_ns).results)
        assert (line.state, line.deadline_ns, results) == (LineState.IDLE, None, 1)


def serial_streams() -> list[bytes]:
    """Give a bid with a block, and an answer to ours."""
    plain, counted = LINES[1], LINES[0]
    return [
        b"\x3f" + bytes([ENQ]) + block(b"0200", counted) + b"\x04",
        b"\x3f" + bytes([ENQ]) + block(b"0200", plain) + b"\x04",
        b"\x3f" + bytes([ACK, ACK]),
    ]


def run_decree(raw: bytes) -> None:
    """A decree file is read whole or refused with its faults."""
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(raw)
        file.flush()
        try:
            decree = read_decree(file.name)
        except DecreeFileError:
            return
        assert decree.rows


def run_spec_file(raw: bytes) -> None:
    """A specification file loads, or every fault is said with its line."""
    with contextlib.suppress(SpecError):
        parse_spec(raw.decode("utf-8", "replace"), "fuzz.toml")


def run_importers(raw: bytes) -> None:
    """A foreign specification gives one of ours that loads, or is refused."""
    text = raw.decode("utf-8", "replace")
    for form in FORMS:
        with contextlib.suppress(SpecImportError):
            parse_spec(import_spec(text, "fuzz", form).text, "imported.toml")


def _samples() -> list[bytes]:
    return [path.read_bytes() for path in sorted(SAMPLES.iterdir())]


def _spec_files() -> list[bytes]:
    """Give one small file per element of every kind, quick to read, and a shipped dialect."""
    head, *elements = KINDS.read_text("utf-8").split("\n\n[elements.")
    out: list[bytes] = [shipped_text("bank").encode()]
    for element in elements:
        if ".sub." in element.partition("]")[0]:
            out[-1] += b"\n\n[elements." + element.encode()
        else:
            out.append(f"{head}\n\n[elements.{element}".encode())
    return out


def _codec_target(name: str) -> Target:
    return Target(f"codec-{name}", partial(run_codec, name), partial(messages_of, name))


def _ledger_target(name: str, file: str) -> Target:
    run, content = ledger_targets.run_file, ledger_targets.content_of
    return Target(f"ledger-{name}", partial(run, file), partial(content, file))


TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        *(_codec_target(name) for name in (*shipped_names(), "kinds")),
        Target("framing", run_framing, lambda: [
            frame(b"0800", b"" if not s.tpdu_size else b"\x60\0\1\0\0", s, b"H" * s.header_size)
            for s in FRAME_SPECS]),
        Target("tlv", run_tlv, tlv_objects),
        Target("dol", run_dol, lambda: [
            bytes.fromhex("9F02069F03069F1A0295055F2A029A039C019F3704")]),
        Target("tr31", run_tr31, key_blocks),
        Target("chip", run_chip, chips),
        Target("serial", run_serial, serial_streams),
        Target("decree", run_decree, lambda: [template().encode(), template(",").encode()]),
        Target("spec-file", run_spec_file, _spec_files),
        Target("importers", run_importers, _samples),
        Target("card", card_targets.run_card, card_targets.purchases),
        Target("card-image", card_targets.run_image, card_targets.images),
        Target("card-image-edit", card_targets.run_image_edit, lambda: [bytes(8)]),
        Target("card-profile", card_targets.run_profile, card_targets.profiles),
        Target("card-profile-edit", card_targets.run_profile_edit, lambda: [bytes(8)]),
        Target("card-faults", card_targets.run_plan, card_targets.plans),
        Target("card-wire", card_targets.run_wire, card_targets.wires),
        *(_ledger_target(*named) for named in (
            ("raw", ledger_targets.RAW), ("sealed", ledger_targets.SEALED),
            ("snapshot", ledger_targets.SNAPSHOT), ("superblock", ledger_targets.SUPERBLOCK))),
    )
}  # fmt: skip
