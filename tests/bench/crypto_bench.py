"""Crypto bench: both engines beside `cryptography` used directly (and psec, pyemv where installed).

Run `python tests/bench/crypto_bench.py`. Same keys and bytes for every subject; the peers' values
are compared with ours before anything is timed. Figures are the best of several rounds: noise
only adds. Cases: `mac` (retail MAC over 347 bytes, key kept and key fresh), `arqc` (check from
the issuer's key, NSICCS data of 57 bytes), `pin-translate` (format 0 under two kept keys; ours
checks the format, `cryptography` used directly checks nothing), `tlv`
(the 17 objects of a purchase's DE55), `rsa-sign` (1,024 bits, the card's side of DDA), `chip` (raw
DE55 to verdict and session key in one call), `pin-check` (PIN block to verdict in one call).
`-batch` is one of 64 in one call, without the interpreter's lock; `-batch-2-threads` one of 1,024
by two threads at once, so below `-batch` by as much as the second core gives.
"""

import importlib
import random
import timeit
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import figures
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from protocols.crypto import cryptogram, emv_keys, engine, mac, oda, pin
from protocols.crypto.issuer import ChipClaim, IssuerKey
from protocols.crypto.online_pin import PinCheck, PinVerifier
from protocols.crypto.tdes import TdesCipher
from protocols.crypto.verification import ibm3624_offset
from protocols.emv import tlv
from protocols.values import Pan, PinBlock, SecretBytes

ROUNDS, LOOPS = 7, 2_000
#: Claims in one call of the `-batch` cases; more by two threads, or handing over is what one sees.
BATCH, BATCH_OF_THREADS = 64, 1_024
KEY = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
OTHER = bytes.fromhex("89B07B35A1B3F47E4558C1CD20F2A1E3")
FRAME = random.Random(347).randbytes(347)
PAN, PSN, ATC = Pan("9360099912344821"), "01", b"\x00\x02"
NSICCS = random.Random(57).randbytes(57)
CHIP = bytes.fromhex(
    "5F2A0203605F34010182025C008407F053534E010101950500000080009A032601059C01009F02060000141500009F03"
    "060000000000009F10070101A0008000009F1A0203609F2608E0C1A2B3C4D5E6F79F2701809F3303E040C89F34034203"
    "009F3501229F360200029F37043A7F19C2"
)


def us(job: Callable[[], object]) -> float:
    """Give microseconds of one call: the best of the rounds, fewer loops for slow jobs."""
    loops = max(20, min(LOOPS, round(0.05 / timeit.timeit(job, number=1))))
    return round(min(timeit.repeat(job, number=loops, repeat=ROUNDS)) / loops * 1e6, 3)


def direct_tdes(key: bytes, data: bytes) -> bytes:
    """Give TDES ECB as one writes it with `cryptography`."""
    return Cipher(TripleDES(key + key[:8]), modes.ECB()).encryptor().update(data)


def direct_retail_mac(key: bytes, data: bytes, padding: bytes) -> bytes:
    """Give algorithm 3 step by step, as the standard tells it, with `cryptography`."""
    data += padding
    data += bytes(-len(data) % 8)
    chain = Cipher(TripleDES(key[:8] * 3), modes.CBC(bytes(8))).encryptor().update(data)[-8:]
    step = Cipher(TripleDES(key[8:] * 3), modes.ECB()).decryptor().update(chain)
    return Cipher(TripleDES(key[:8] * 3), modes.ECB()).encryptor().update(step)


def direct_arqc() -> bytes:
    """Give the cryptogram from the issuer's key with `cryptography`."""
    card = emv_keys.diversification_block(PAN, PSN)
    master = direct_tdes(KEY, card + bytes(byte ^ 0xFF for byte in card))
    session = direct_tdes(master, ATC + b"\xf0" + bytes(5) + ATC + b"\x0f" + bytes(5))
    return direct_retail_mac(session, NSICCS, b"\x80")


def measure() -> list[figures.Row]:
    """Give every row: the peers first, then each engine."""
    rows: list[figures.Row] = []

    def note(case: str, subject: str, job: Callable[[], object]) -> None:
        batch = BATCH_OF_THREADS if case.endswith("-threads") else BATCH
        value = round(us(job) / (batch if "-batch" in case else 1), 3)
        rows.append(
            figures.Row(
                suite="protocols", case=case, subject=subject, metric="us", value=value, unit="us"
            )
        )

    measure_peers(note)
    before = engine.current.engine
    for which in engine.engines():
        engine.current.engine = which
        measure_engine(note, f"ours-{which.NAME}")
    engine.current.engine = before
    return rows


def measure_peers(note: Callable[[str, str, Callable[[], object]], None]) -> None:
    """Measure `cryptography` used directly, and psec and pyemv where they are installed."""
    assert direct_retail_mac(KEY, FRAME, b"") == mac.retail_mac(SecretBytes(KEY), FRAME, 1)
    assert direct_arqc() == cryptogram.issuer_cryptogram(SecretBytes(KEY), PAN, PSN, ATC, NSICCS)
    note("mac", "cryptography", lambda: direct_retail_mac(KEY, FRAME, b""))
    note("arqc", "cryptography", direct_arqc)
    source = Cipher(TripleDES(KEY + KEY[:8]), modes.ECB()).decryptor()
    target = Cipher(TripleDES(OTHER + OTHER[:8]), modes.ECB()).encryptor()
    note("pin-translate", "cryptography", lambda: target.update(source.update(FRAME[:8])))
    measure_floors(note)
    try:
        psec_mac = importlib.import_module("psec.mac")
    except ImportError:
        return
    warnings.simplefilter("ignore")  # psec uses what `cryptography` warns of, at every call
    note("mac", "psec", lambda: psec_mac.generate_retail_mac(KEY[:8], KEY[8:], FRAME, 1))


def measure_floors(note: Callable[[str, str, Callable[[], object]], None]) -> None:
    """Measure what bounds the pure twin: no way round these with `cryptography`.

    A MAC over 347 bytes chains 43 blocks; the package has no single DES, so each takes three. A
    cryptogram from the issuer's key needs four contexts that cannot be kept.
    """
    kept = Cipher(TripleDES(KEY[:8] * 3), modes.CBC(bytes(8))).encryptor()
    note("floor-43-blocks", "cryptography", lambda: kept.update(FRAME[:344]))
    note("floor-4-contexts", "cryptography", lambda: [direct_tdes(KEY, FRAME[:8]) for _ in "1234"])


def measure_engine(note: Callable[[str, str, Callable[[], object]], None], subject: str) -> None:
    """Measure one engine through the public functions."""
    key, other = SecretBytes(KEY), SecretBytes(OTHER)
    kept = mac.RetailMac(key)
    note("mac", subject, lambda: kept.mac(FRAME))
    note("mac-fresh-key", subject, lambda: mac.retail_mac(key, FRAME))
    given = cryptogram.issuer_cryptogram(key, PAN, PSN, ATC, NSICCS)
    note("arqc", subject, lambda: cryptogram.verify_cryptogram(key, PAN, PSN, ATC, NSICCS, given))
    translator = pin.PinTranslator(key, other)
    block: PinBlock = pin.encipher_pin_block(key, "123456", PAN)
    note("pin-translate", subject, lambda: translator.translate(block, PAN))
    note("tlv", subject, lambda: tlv.parse_flat(CHIP))
    measure_steps(note, subject, block)
    note("rsa-sign", subject, rsa_job())


def measure_steps(
    note: Callable[[str, str, Callable[[], object]], None], subject: str, block: PinBlock
) -> None:
    """Measure what the switch asks in one call, and the batches."""
    key, issuer = SecretBytes(KEY), IssuerKey(SecretBytes(KEY))
    claim = ChipClaim(PAN, PSN, CHIP)
    note("chip", subject, lambda: issuer.check(claim))
    claims = [claim] * BATCH
    note("chip-batch", subject, lambda: issuer.check_batch(claims))
    verifier, cipher = PinVerifier(key), TdesCipher(key)
    offset = ibm3624_offset(key, PAN, "123456")
    assert verifier.check(cipher, block, PAN, offset) is PinCheck.RIGHT
    note("pin-check", subject, lambda: verifier.check(cipher, block, PAN, offset))
    kept = mac.RetailMac(key)
    macs = [(kept, FRAME, kept.mac(FRAME))] * BATCH
    halves = [[macs[0]] * (BATCH_OF_THREADS // 2)] * 2
    note("mac-batch", subject, lambda: mac.verify_batch(macs))
    with ThreadPoolExecutor(2) as threads:
        note(
            "mac-batch-2-threads",
            subject,
            lambda: list(threads.map(mac.verify_batch, halves)),
        )


def rsa_job() -> Callable[[], object]:
    """Give one private operation of 1,024 bits."""
    key = oda.generate_key(1024, random.Random(1024).randbytes)
    content = b"\x6a" + random.Random(7).randbytes(127)
    return lambda: key.sign(content)


if __name__ == "__main__":
    print(figures.table(measure()))
