"""DUKPT: counters that are never used, the end of a device's keys, lengths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.crypto import dukpt_aes, dukpt_tdes
from protocols.crypto.errors import CryptoError, DataLengthError, KeyRefusedError
from protocols.values import SecretBytes

TDES_BDK = SecretBytes(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
AES_BDK = SecretBytes(bytes.fromhex("FEDCBA9876543210F1F1F1F1F1F1F1F1"))
TDES_DEVICE = bytes.fromhex("FFFF9876543210E00000")
AES_DEVICE = bytes.fromhex("1234567890123456")


def tdes_ksn(counter: int) -> bytes:
    return (int.from_bytes(TDES_DEVICE, "big") | counter).to_bytes(10, "big")


def aes_ksn(counter: int) -> bytes:
    return AES_DEVICE + counter.to_bytes(4, "big")


@given(st.integers(1, (1 << 21) - 1))
def test_tdes_successor_is_the_next_counter_with_at_most_ten_ones(counter: int) -> None:
    last = 0b111111111100000000000
    if counter >= last:
        with pytest.raises(DataLengthError):
            dukpt_tdes.next_ksn(tdes_ksn(counter))
        return
    following = int.from_bytes(dukpt_tdes.next_ksn(tdes_ksn(counter)), "big") & 0x1FFFFF
    expected = counter + 1
    while expected.bit_count() > 10 and expected - counter < 5_000:
        expected += 1
    assert following == expected or (following > counter and following - counter >= 5_000)
    assert following.bit_count() <= 10


@given(st.integers(1, (1 << 32) - 1))
def test_aes_successor_is_never_a_counter_with_more_than_sixteen_ones(counter: int) -> None:
    try:
        following = int.from_bytes(dukpt_aes.next_ksn(aes_ksn(counter))[8:], "big")
    except DataLengthError:
        assert counter >= 0xFFFF0000
    else:
        assert following > counter
        assert following.bit_count() <= 16


@pytest.mark.parametrize("counter", [0, 0x7FF, 0x1FFFFF])
def test_tdes_counter_that_is_never_used_is_refused(counter: int) -> None:
    initial = dukpt_tdes.initial_key(TDES_BDK, TDES_DEVICE)
    with pytest.raises(DataLengthError):
        dukpt_tdes.transaction_key(initial, tdes_ksn(counter))


@pytest.mark.parametrize("counter", [0, 0x1FFFF, 0xFFFFFFFF])
def test_aes_counter_that_is_never_used_is_refused(counter: int) -> None:
    initial = dukpt_aes.initial_key(AES_BDK, AES_DEVICE)
    with pytest.raises(DataLengthError):
        dukpt_aes.derivation_key(initial, aes_ksn(counter))


def test_keys_of_one_transaction_differ_by_purpose_and_direction() -> None:
    key = dukpt_tdes.transaction_key(dukpt_tdes.initial_key(TDES_BDK, TDES_DEVICE), tdes_ksn(1))
    keys = [key, dukpt_tdes.pin_key(key)]
    for direction in ("request", "response"):
        keys += [dukpt_tdes.mac_key(key, direction), dukpt_tdes.data_key(key, direction)]
    assert len({one.reveal() for one in keys}) == 6
    derivation = dukpt_aes.derivation_key(dukpt_aes.initial_key(AES_BDK, AES_DEVICE), aes_ksn(1))
    working = [dukpt_aes.working_key(derivation, aes_ksn(1), usage) for usage in dukpt_aes.KeyUsage]
    assert len({one.reveal() for one in working}) == len(dukpt_aes.KeyUsage)


@pytest.mark.parametrize("length", [0, 8, 9, 11, 13])
def test_ksn_or_key_of_another_length_is_refused(length: int) -> None:
    bad = bytes(length)
    for wrong in (
        lambda: dukpt_tdes.initial_key(TDES_BDK, bad),
        lambda: dukpt_tdes.next_ksn(bad),
        lambda: dukpt_tdes.pin_key(SecretBytes(bad)),
        lambda: dukpt_tdes.initial_key(SecretBytes(bad), TDES_DEVICE),
        lambda: dukpt_aes.initial_key(SecretBytes(bad), AES_DEVICE),
        lambda: dukpt_aes.next_ksn(bad),
    ):
        with pytest.raises((DataLengthError, KeyRefusedError)):
            wrong()


def test_working_key_longer_than_its_origin_is_refused() -> None:
    derivation = dukpt_aes.derivation_key(dukpt_aes.initial_key(AES_BDK, AES_DEVICE), aes_ksn(1))
    with pytest.raises(CryptoError):
        dukpt_aes.working_key(
            derivation, aes_ksn(1), dukpt_aes.KeyUsage.PIN, dukpt_aes.KeyType.AES256
        )
    tdes = dukpt_aes.working_key(
        derivation, aes_ksn(1), dukpt_aes.KeyUsage.PIN, dukpt_aes.KeyType.TDES3
    )
    assert len(tdes) == 24


@pytest.mark.parametrize(
    "base", [bytes(16), b"\x01\xfe" * 8, bytes(range(8)) * 2, bytes(range(24))]
)
def test_base_key_that_the_standard_forbids_is_refused(base: bytes) -> None:
    with pytest.raises(KeyRefusedError):
        dukpt_tdes.initial_key(SecretBytes(base), TDES_DEVICE)
