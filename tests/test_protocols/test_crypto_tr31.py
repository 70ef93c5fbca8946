"""TR-31: what was wrapped comes out, nothing else does."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.crypto import tr31
from protocols.crypto.errors import CryptoError, KeyBlockError, KeyRefusedError
from protocols.crypto.tr31 import KeyBlockHeader, OptionalBlock
from protocols.values import SecretBytes

#: Enough for every run; a longer search raises it here.
QUICK = settings(max_examples=25)

TDES_KBPK = SecretBytes(bytes.fromhex("1D22BF32387C600AD97F9B97A51311AC"))
AES_KBPK = SecretBytes(bytes(range(64, 96)))
KEY = SecretBytes(bytes.fromhex("E8BC63E5479455E26577F715D587FE68"))
OPTIONS = (
    OptionalBlock("KS", "FFFF9876543210E00000"),
    OptionalBlock("LB", "session mac key of terminal 12400017"),
)


def kbpk_for(version: str) -> SecretBytes:
    return AES_KBPK if version in "DE" else TDES_KBPK


def block_of(version: str, *options: OptionalBlock) -> str:
    header = KeyBlockHeader(version, "M3", "T", "C", options=options)
    return tr31.wrap(kbpk_for(version), header, KEY, bytes)


@pytest.mark.parametrize("version", "ABCDE")
@pytest.mark.parametrize("options", [(), OPTIONS[:1], OPTIONS])
def test_wrapped_key_comes_out_with_its_header(
    version: str, options: tuple[OptionalBlock, ...]
) -> None:
    block = block_of(version, *options)
    header, key = tr31.unwrap(kbpk_for(version), block)
    assert key == KEY
    assert (header.version, header.usage, header.algorithm, header.mode) == (
        version, "M3", "T", "C",
    )  # fmt: skip
    assert header.options[: len(options)] == options
    assert [extra.identifier for extra in header.options[len(options) :]] in ([], ["PB"])
    assert int(block[1:5]) == len(block)


@QUICK
@given(
    key=st.one_of(*(st.binary(min_size=size, max_size=size) for size in (16, 24, 32))),
    version=st.sampled_from("DE"),
    filler=st.binary(min_size=64, max_size=64),
)
def test_any_aes_key_survives_the_journey(key: bytes, version: str, filler: bytes) -> None:
    header = KeyBlockHeader(version, "P0", "A", "E")
    if not any(key):
        with pytest.raises(KeyRefusedError):
            tr31.wrap(AES_KBPK, header, SecretBytes(key), lambda count: filler[:count])
        return
    block = tr31.wrap(AES_KBPK, header, SecretBytes(key), lambda count: filler[:count])
    assert tr31.unwrap(AES_KBPK, block) == (header, SecretBytes(key))


def test_padding_hides_whether_a_tdes_key_is_double_or_triple() -> None:
    triple = SecretBytes(KEY.reveal() + bytes(range(8)))
    header = KeyBlockHeader("B", "M3", "T", "C")
    blocks = [tr31.wrap(TDES_KBPK, header, key, bytes) for key in (KEY, triple)]
    assert len(blocks[0]) == len(blocks[1])


@pytest.mark.parametrize("version", "ABCDE")
def test_block_cut_at_any_character_raises_only_our_error(version: str) -> None:
    block = block_of(version, *OPTIONS)
    for length in range(len(block)):
        with pytest.raises(KeyBlockError):
            tr31.unwrap(kbpk_for(version), block[:length])
        repaired = f"{block[0]}{length:04d}{block[5:length]}"
        with pytest.raises(KeyBlockError):
            tr31.unwrap(kbpk_for(version), repaired)


@pytest.mark.parametrize("version", "ABCDE")
def test_block_with_any_character_changed_is_refused(version: str) -> None:
    block = block_of(version, *OPTIONS)
    for at, character in enumerate(block):
        for other in {"1", "A", "é"} - {character}:
            with pytest.raises(CryptoError):
                tr31.unwrap(kbpk_for(version), block[:at] + other + block[at + 1 :])


@QUICK
@given(block=st.text(max_size=80), version=st.sampled_from("ABCDE"))
def test_any_text_as_a_block_raises_only_our_error(block: str, version: str) -> None:
    for text in (block, f"{version}{len(block) + 5:04d}{block}"):
        with pytest.raises(CryptoError):
            tr31.unwrap(kbpk_for(version), text)


@pytest.mark.parametrize("version", "ABCDE")
def test_foreign_protection_key_is_refused(version: str) -> None:
    foreign = SecretBytes(bytes(reversed(kbpk_for(version).reveal())))
    with pytest.raises(KeyBlockError, match="MAC"):
        tr31.unwrap(foreign, block_of(version))


@pytest.mark.parametrize(
    "key",
    [
        bytes(16),
        b"\x01" * 16,
        bytes.fromhex("0123456789ABCDEF" * 2),
        bytes.fromhex("0123456789ABCDEE0023456789ABCDEFFEFEFEFEFEFEFEFE"),
        bytes(range(8)),
        bytes(range(15)),
        b"",
    ],
    ids=["zero", "weak", "single", "weak third", "8 bytes", "15 bytes", "none"],
)
def test_key_that_tdes_must_not_be_given_is_never_wrapped(key: bytes) -> None:
    with pytest.raises(KeyRefusedError):
        tr31.wrap(TDES_KBPK, KeyBlockHeader("B", "M3", "T", "C"), SecretBytes(key), bytes)


@pytest.mark.parametrize("version", "ABC")
@pytest.mark.parametrize("length", [0, 8, 15, 17, 32])
def test_protection_key_of_wrong_length_is_refused(version: str, length: int) -> None:
    with pytest.raises(KeyRefusedError):
        tr31.unwrap(SecretBytes(bytes(range(length))), block_of(version))


@pytest.mark.parametrize("version", "DE")
@pytest.mark.parametrize("content", [bytes(16), bytes(32), bytes(range(8)), bytes(range(33))])
def test_aes_protection_key_of_zeros_or_wrong_length_is_refused(
    version: str, content: bytes
) -> None:
    with pytest.raises(KeyRefusedError):
        tr31.unwrap(SecretBytes(content), block_of(version))


def test_key_stronger_than_its_protection_is_refused() -> None:
    header = KeyBlockHeader("D", "P0", "A", "E")
    with pytest.raises(KeyRefusedError):
        tr31.wrap(SecretBytes(bytes(range(16))), header, AES_KBPK, bytes)
    with pytest.raises(KeyRefusedError):
        tr31.wrap(TDES_KBPK, KeyBlockHeader("B", "P0", "A", "E"), KEY, bytes)


@pytest.mark.parametrize(
    "header",
    [
        KeyBlockHeader("F", "M3", "T", "C"),
        KeyBlockHeader("B", "Q7", "T", "C"),
        KeyBlockHeader("B", "M3", "Z", "C"),
        KeyBlockHeader("B", "M3", "T", "Q"),
        KeyBlockHeader("B", "M3", "T", "C", key_version="0"),
        KeyBlockHeader("B", "M3", "T", "C", exportability="X"),
        KeyBlockHeader("B", "M3", "T", "C", context="9"),
        KeyBlockHeader("B", "M3", "T", "C", options=(OptionalBlock("K", "1"),)),
        KeyBlockHeader("B", "M3", "T", "C", options=(OPTIONS[0], OPTIONS[0])),
        KeyBlockHeader("B", "M3", "T", "C", options=(OptionalBlock("LB", "é"),)),
        KeyBlockHeader("B", "M3", "T", "C", options=(OptionalBlock("LB", "x" * 9990),)),
    ],
)
def test_header_that_the_standard_does_not_know_is_never_written(header: KeyBlockHeader) -> None:
    with pytest.raises(KeyBlockError):
        tr31.wrap(TDES_KBPK, header, KEY, bytes)


def test_long_optional_block_uses_the_extended_length() -> None:
    long = OptionalBlock("LB", "x" * 300)
    header, key = tr31.unwrap(TDES_KBPK, block_of("B", long))
    assert header.option("LB") == "x" * 300
    assert key == KEY


def test_extended_length_counts_its_bytes_not_its_digits() -> None:
    block = block_of("B", OptionalBlock("LB", "x" * 300))
    assert block[16:26] == "LB00020136"
    for other in ("LB00040136", "LB00010136", "LB00000136"):
        with pytest.raises(KeyBlockError):
            tr31.unwrap(TDES_KBPK, block.replace("LB00020136", other))


@pytest.mark.parametrize(
    "wanted",
    [
        {"usage": "P0", "algorithm": "T", "modes": "CN"},
        {"usage": "M3", "algorithm": "A", "modes": "CN"},
        {"usage": "M3", "algorithm": "T", "modes": "GV"},
    ],
)
def test_key_meant_for_something_else_is_refused_by_its_receiver(wanted: dict[str, str]) -> None:
    header, _ = tr31.unwrap(TDES_KBPK, block_of("B"))
    header.require(usage="M3", algorithm="T", modes="CN")
    require: Callable[..., None] = header.require
    with pytest.raises(KeyBlockError):
        require(**wanted)


@pytest.mark.parametrize("length", ["0000", "0095", "0097", "9999", "96  ", "-096", "+096", "٠٠٩٦"])
def test_length_that_is_not_that_of_the_block_is_told_before_any_key_is_used(length: str) -> None:
    block = block_of("B")
    with pytest.raises(KeyBlockError) as caught:
        tr31.unwrap(TDES_KBPK, f"B{length}{block[5:]}")
    assert "MAC" not in caught.value.reason
    with pytest.raises(KeyBlockError, match="length in the header"):
        tr31.unwrap(TDES_KBPK, block + "0" * 16)
