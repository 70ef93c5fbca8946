"""Nothing secret prints itself: no key, PIN or card number in any repr or error of cryptography."""

import pickle
import random
import traceback
from collections.abc import Callable

import pytest

from protocols.crypto import (
    aes,
    cryptogram,
    dukpt_aes,
    dukpt_tdes,
    emv_keys,
    kcv,
    mac,
    oda,
    pin,
    tdes,
    tr31,
)
from protocols.crypto.errors import CryptoError, KeyRefusedError
from protocols.crypto.issuer import IssuerKey
from protocols.crypto.online_pin import PinVerifier
from protocols.values import Pan, PinBlock, SecretBytes

CONTENT = bytes.fromhex("A1B2C3D4E5F60718293A4B5C6D7E8F90")
KEY = SecretBytes(CONTENT)
LONG = SecretBytes(CONTENT + CONTENT[:5])
PAN = Pan("9360099912344821")
PIN = "482915"
BLOCK = tr31.wrap(KEY, tr31.KeyBlockHeader("B", "M3", "T", "C"), KEY, bytes)
SECRETS = (CONTENT.hex(), CONTENT.hex().upper(), repr(CONTENT)[2:-1], PAN.reveal(), PIN, BLOCK[16:])

FAILURES: list[Callable[[], object]] = [
    lambda: tdes.TdesCipher(LONG),
    lambda: tdes.encipher_ecb(KEY, CONTENT[:7]),
    lambda: tdes.check_strength(SecretBytes(CONTENT[:8] * 2)),
    lambda: aes.AesCipher(LONG),
    lambda: aes.encipher_cbc(KEY, CONTENT, CONTENT[:3]),
    lambda: mac.RetailMac(LONG),
    lambda: kcv.kcv(LONG),
    lambda: emv_keys.icc_master_key(LONG, PAN),
    lambda: emv_keys.icc_master_key(KEY, PAN, "1"),
    lambda: emv_keys.common_session_key(KEY, CONTENT),
    lambda: cryptogram.arqc_data_nsiccs({"9F02": CONTENT}),
    lambda: pin.encipher_pin_block(KEY, PIN + "x", PAN),
    lambda: pin.decipher_pin_block(KEY, PinBlock(CONTENT[:8]), PAN),
    lambda: pin.ibm3624_offset(KEY, PAN, PIN, 4),
    lambda: pin.pvv(KEY, PAN, "1", 1),
    lambda: tr31.unwrap(LONG, BLOCK),
    lambda: tr31.unwrap(KEY, BLOCK[:-2] + "00"),
    lambda: tr31.unwrap(SecretBytes(CONTENT[::-1]), BLOCK),
    lambda: dukpt_tdes.transaction_key(LONG, bytes(10)),
    lambda: dukpt_aes.derivation_key(LONG, bytes(12)),
    lambda: oda.encipher_offline_pin(PRIVATE.public, PIN, CONTENT, bytes),
    lambda: oda.decipher_offline_pin(PRIVATE, bytes(64), CONTENT[:8]),
    lambda: oda.RsaPublicKey(CONTENT, 3),
]
PRIVATE = oda.generate_key(512, random.Random(3).randbytes)


@pytest.mark.parametrize("failure", FAILURES)
def test_error_of_cryptography_holds_no_secret(failure: Callable[[], object]) -> None:
    with pytest.raises(CryptoError) as caught:
        failure()
    error = caught.value
    text = "".join(traceback.format_exception_only(error))
    text += f"{error!r} {error.args} {error.external} {error.internal} {error.reason}"
    # The chain: what a log would print under "caused by".
    cause = error.__cause__ or error.__context__
    text += "" if cause is None else repr(cause)
    for secret in SECRETS:
        assert secret not in text


@pytest.mark.parametrize(
    "value",
    [
        KEY,
        emv_keys.icc_master_key(KEY, PAN),
        pin.pin_block_encode(0, PIN, PAN),
        pin.encipher_pin_block(KEY, PIN, PAN),
        tr31.unwrap(KEY, BLOCK)[1],
        PRIVATE,
        tdes.TdesCipher(KEY),
        mac.RetailMac(KEY),
        aes.AesCipher(KEY),
    ],
    ids=lambda value: type(value).__name__,
)
def test_repr_of_a_secret_shows_no_content_and_it_is_never_pickled(value: object) -> None:
    assert len(repr(value)) < 90
    for secret in (*SECRETS, str(PRIVATE.prime_p), f"{PRIVATE.prime_q:x}"):
        assert (
            secret not in f"{value!r} {value} {value:>60}"
            if hasattr(value, "reveal")
            else repr(value)
        )
    with pytest.raises(TypeError):
        pickle.dumps(value)


def test_comparison_of_keys_is_by_value_and_of_cipher_contexts_not_at_all() -> None:
    assert SecretBytes(CONTENT) == KEY
    assert SecretBytes(CONTENT[::-1]) != KEY
    assert tdes.TdesCipher(KEY) != tdes.TdesCipher(KEY)


WEAK = {
    "zeros": bytes(16),
    "equal halves": bytes.fromhex("0123456789ABCDEF") * 2,
    "weak half": bytes.fromhex("0101010101010101FEDCBA9876543210"),
    "semi-weak half": bytes.fromhex("0123456789ABCDEF01FE01FE01FE01FE"),
}
SERIAL = bytes.fromhex("FFFF9876543210E00001")


@pytest.mark.parametrize("key", WEAK.values(), ids=WEAK)
def test_key_that_no_one_may_choose_is_refused_where_it_enters(key: bytes) -> None:
    secret = SecretBytes(key)
    for enter in (
        lambda: IssuerKey(secret),
        lambda: PinVerifier(secret),
        lambda: dukpt_tdes.initial_key(secret, SERIAL),
        lambda: dukpt_tdes.transaction_key(secret, SERIAL),
        lambda: pin.PinTranslator(secret, SecretBytes(bytes(range(16)))),
        lambda: pin.encipher_pin_block(secret, "123456", Pan("9360099912344821")),
    ):
        with pytest.raises(KeyRefusedError):
            enter()


def test_aes_key_of_zeros_is_refused_where_it_enters() -> None:
    for size in (16, 24, 32):
        secret = SecretBytes(bytes(size))
        with pytest.raises(KeyRefusedError, match="zeros"):
            dukpt_aes.initial_key(secret, bytes(8))
        with pytest.raises(KeyRefusedError, match="zeros"):
            dukpt_aes.derivation_key(secret, bytes(11) + b"\x01")
        with pytest.raises(KeyRefusedError, match="zeros"):
            dukpt_aes.update_key(secret, bytes(8))
