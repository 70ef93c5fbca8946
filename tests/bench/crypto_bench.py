"""Crypto bench: both engines beside `cryptography` used directly (and psec, pyemv where installed).

Run `python tests/bench/crypto_bench.py`. Same keys and bytes for every subject; the peers' values
are compared with ours before anything is timed. How the figures are taken is told in `race.py`.
Cases: `mac` (retail MAC over 347 bytes, key kept and key fresh), `arqc` (check from
the issuer's key, NSICCS data of 57 bytes), `pin-translate` (format 0 under two kept keys; ours
checks the format, `cryptography` used directly checks nothing), `tlv`
(the 17 objects of a purchase's DE55), `rsa-sign` (1,024 bits, the card's side of DDA), `chip` (raw
DE55 to verdict and session key in one call), `pin-check` (PIN block to verdict in one call).
`-batch` is one of 64 in one call, without the interpreter's lock; `-batch-2-threads` one of 1,024
by two threads at once, so below `-batch` by as much as the second core gives.
"""

import importlib
import random
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import figures
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from race import HEADING, Race

from protocols.crypto import cryptogram, emv_keys, engine, mac, oda, pin
from protocols.crypto.issuer import ChipClaim, IssuerKey
from protocols.crypto.online_pin import PinCheck, PinVerifier
from protocols.crypto.tdes import TdesCipher
from protocols.crypto.verification import ibm3624_offset
from protocols.emv import tlv
from protocols.values import Pan, PinBlock, SecretBytes

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
    race = Race()
    enter_peers(race)
    before = engine.current.engine
    with ThreadPoolExecutor(2) as threads:
        for which in engine.engines():
            race.before = partial(setattr, engine.current, "engine", which)
            race.before()
            enter_engine(race, f"ours-{which.NAME}")
            enter_steps(race, f"ours-{which.NAME}", threads)
        rows = race.rows()
    engine.current.engine = before
    return rows


def enter_peers(race: Race) -> None:
    """Enter `cryptography` used directly, and psec and pyemv where they are installed."""
    assert direct_retail_mac(KEY, FRAME, b"") == mac.retail_mac(SecretBytes(KEY), FRAME, 1)
    assert direct_arqc() == cryptogram.issuer_cryptogram(SecretBytes(KEY), PAN, PSN, ATC, NSICCS)
    race.add("mac", "cryptography", partial(direct_retail_mac, KEY, FRAME, b""))
    race.add("arqc", "cryptography", direct_arqc)
    source = Cipher(TripleDES(KEY + KEY[:8]), modes.ECB()).decryptor()
    target = Cipher(TripleDES(OTHER + OTHER[:8]), modes.ECB()).encryptor()
    race.add("pin-translate", "cryptography", lambda: target.update(source.update(FRAME[:8])))
    enter_floors(race)
    try:
        psec_mac = importlib.import_module("psec.mac")
    except ImportError:
        return
    warnings.simplefilter("ignore")  # psec uses what `cryptography` warns of, at every call
    race.add("mac", "psec", partial(psec_mac.generate_retail_mac, KEY[:8], KEY[8:], FRAME, 1))


def enter_floors(race: Race) -> None:
    """Enter what bounds the pure twin: no way round these with `cryptography`.

    A MAC over 347 bytes chains 43 blocks; the package has no single DES, so each takes three. A
    cryptogram from the issuer's key needs four contexts that cannot be kept.
    """
    kept = Cipher(TripleDES(KEY[:8] * 3), modes.CBC(bytes(8))).encryptor()
    race.add("floor-43-blocks", "cryptography", partial(kept.update, FRAME[:344]))
    four = [direct_tdes] * 4
    race.add("floor-4-contexts", "cryptography", lambda: [one(KEY, FRAME[:8]) for one in four])


def enter_engine(race: Race, subject: str) -> None:
    """Enter one engine through the public functions."""
    key, other = SecretBytes(KEY), SecretBytes(OTHER)
    kept = mac.RetailMac(key)
    race.add("mac", subject, partial(kept.mac, FRAME))
    race.add("mac-fresh-key", subject, partial(mac.retail_mac, key, FRAME))
    given = cryptogram.issuer_cryptogram(key, PAN, PSN, ATC, NSICCS)
    claim = (key, PAN, PSN, ATC, NSICCS, given)
    race.add("arqc", subject, partial(cryptogram.verify_cryptogram, *claim))
    translator = pin.PinTranslator(key, other)
    block: PinBlock = pin.encipher_pin_block(key, "123456", PAN)
    race.add("pin-translate", subject, partial(translator.translate, block, PAN))
    verifier, cipher = PinVerifier(key), TdesCipher(key)
    offset = ibm3624_offset(key, PAN, "123456")
    assert verifier.check(cipher, block, PAN, offset) is PinCheck.RIGHT
    race.add("pin-check", subject, partial(verifier.check, cipher, block, PAN, offset))
    race.add("tlv", subject, partial(tlv.parse_flat, CHIP))
    race.add("rsa-sign", subject, rsa_job())


def enter_steps(race: Race, subject: str, threads: ThreadPoolExecutor) -> None:
    """Enter what the switch asks in one call, and the batches."""
    issuer, kept = IssuerKey(SecretBytes(KEY)), mac.RetailMac(SecretBytes(KEY))
    claim = ChipClaim(PAN, PSN, CHIP)
    race.add("chip", subject, partial(issuer.check, claim))
    race.add("chip-batch", subject, partial(issuer.check_batch, [claim] * BATCH), BATCH)
    macs = [(kept, FRAME, kept.mac(FRAME))] * BATCH
    race.add("mac-batch", subject, partial(mac.verify_batch, macs), BATCH)
    halves = [[macs[0]] * (BATCH_OF_THREADS // 2)] * 2
    race.add(
        "mac-batch-2-threads",
        subject,
        lambda: list(threads.map(mac.verify_batch, halves)),
        BATCH_OF_THREADS,
    )


def rsa_job() -> Callable[[], object]:
    """Give one private operation of 1,024 bits."""
    key = oda.generate_key(1024, random.Random(1024).randbytes)
    content = b"\x6a" + random.Random(7).randbytes(127)
    return lambda: key.sign(content)


if __name__ == "__main__":
    print(f"{HEADING}\n{figures.table(measure())}")
