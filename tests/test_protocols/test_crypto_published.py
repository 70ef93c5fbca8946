"""Published values of AES DUKPT and key blocks beside those of the vector file, in both engines."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from protocols.crypto import dukpt_aes, engine, tr31
from protocols.crypto.dukpt_aes import KeyType, KeyUsage
from protocols.crypto.errors import DataLengthError, KeyBlockError
from protocols.values import SecretBytes

PUBLISHED = tomllib.loads(Path(__file__).with_name("crypto_published.toml").read_text())
IKID = bytes.fromhex("1234567890123456")


@pytest.fixture(params=engine.engines(), ids=lambda one: one.NAME, autouse=True)
def each_engine(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run every test with either engine."""
    before = engine.current.engine
    engine.current.engine = request.param
    yield
    engine.current.engine = before


def key(text: str) -> SecretBytes:
    return SecretBytes(bytes.fromhex(text))


@pytest.mark.parametrize("suite", PUBLISHED["dukpt"], ids=lambda suite: str(suite["kind"]))
def test_dukpt_keys_of_every_kind_are_those_published(suite: dict[str, Any]) -> None:
    initial = dukpt_aes.initial_key(key(suite["bdk"]), IKID)
    assert initial == key(suite["initial"])
    kind = KeyType[suite["kind"]]
    for row in suite["keys"]:
        ksn = IKID + row["counter"].to_bytes(4, "big")
        derivation = dukpt_aes.derivation_key(initial, ksn)
        assert derivation == key(row["derivation"])
        for usage in KeyUsage.__members__.keys() & row.keys():
            made = dukpt_aes.working_key(derivation, ksn, KeyUsage[usage], kind)
            assert made == key(row[usage]), usage
    if "update" in suite:
        assert dukpt_aes.update_key(initial, IKID, kind) == key(suite["update"])


def test_dukpt_update_key_is_of_the_devices_own_kind() -> None:
    for suite in PUBLISHED["dukpt"][:2]:
        assert dukpt_aes.update_key(key(suite["initial"]), IKID) == key(suite["update"])
    with pytest.raises(DataLengthError):
        dukpt_aes.update_key(key(suite["initial"]), IKID + b"\0")


def test_dukpt_initial_key_of_192_bits_is_the_one_known() -> None:
    """A key that terminal makers hand out with their examples: no standard prints one."""
    bdk = key("FEDCBA9876543210F1F1F1F1F1F1F1F1FEDCBA9876543210")
    expected = key("5B6DEE2B5B7FABFFA32591F35BF8F23DD9329AE85131E584")
    assert dukpt_aes.initial_key(bdk, IKID) == expected


@pytest.mark.parametrize("one", PUBLISHED["key_block"], ids=lambda one: str(one["source"]))
def test_key_block_of_a_standard_gives_its_key(one: dict[str, Any]) -> None:
    for block in one["blocks"]:
        header, opened = tr31.unwrap(key(one["kbpk"]), block)
        assert opened == key(one["key"])
        assert header.version == block[0]


@pytest.mark.parametrize(
    ("kbpk", "block"),
    [
        (
            "89E88CF7931444F334BD7547FC3F380C",
            "A0072P0TE00E0000A8974C06DBFD58D197101A28DEC1A6C7C23F00A3B18EC6D538DE4A5B5F49A542D61A8A8B",
        ),
        (
            "DD7515F2BFC17F85CE48F3CA25CB21F6",
            "B0080P0TE00E000094B420079CC80BA3461F86FE26EFC4A38C6B0A146BF1B0BE0D3277F17A3AD514"
            "6EED7B727B8A248E",
        ),
    ],
)
def test_key_block_whose_standard_prints_a_wrong_length_is_refused(kbpk: str, block: str) -> None:
    """ANSI X9.143:2021, 8.3.2.1 and 8.3.2.2: their headers count fewer characters."""
    with pytest.raises(KeyBlockError, match="length in the header"):
        tr31.unwrap(key(kbpk), block)
