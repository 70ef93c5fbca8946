"""Fuzz targets of the ledger's files: both engines judge the same bytes, and judge them alike.

The input stands for one file of a small ledger, as it is and with its checksums made right
again, so that what lies behind the checksums is reached too.
"""

import random
from functools import cache
from hashlib import sha256
from struct import pack
from zlib import crc32

from ledger.choosing import Engine
from ledger.errors import LedgerError
from ledger.native import NATIVE_AVAILABLE
from ledger.structures import Account, Transfer
from tests.test_ledger.ledger_disk import SimulatedDisk
from tests.test_ledger.ledger_lives import Nonces, open_on

BLOCK = 4_096
SEGMENT = 16_384
DIGEST_BYTES = 32
ENGINES: tuple[Engine, ...] = ("pure", "native") if NATIVE_AVAILABLE else ("pure",)
#: A raw segment and a sealed one, the newest snapshot, the superblock.
RAW, SEALED, SNAPSHOT, SUPERBLOCK = "00000005.seg", "00000004.seal", "00000004.snap", "superblock"


@cache
def small_ledger() -> dict[str, bytes]:
    """Give the files of a ledger of five segments, with holds open and ended."""
    disk = SimulatedDisk(random.Random(1))
    ledger = open_on(disk, "pure", lambda: 10**18, Nonces(), SEGMENT)
    ledger.create_accounts([Account(id=number, ledger=1, code=1) for number in (1, 2, 3)])
    for first in range(10, 330, 80):
        ledger.create_transfers([_transfer(first + place) for place in range(80)])
    ledger.close()
    return disk.contents()


def _transfer(number: int) -> Transfer:
    if number % 10 == 7:
        return Transfer(
            id=number, debit_account_id=0, credit_account_id=0, amount=0, ledger=0, code=0,
            flags=8, pending_id=number - 1,
        )  # fmt: skip
    return Transfer(
        id=number, debit_account_id=1 + number % 3, credit_account_id=1 + (number + 1) % 3,
        amount=number, ledger=1, code=1, flags=2 * (number % 10 in (5, 6)),
    )  # fmt: skip


def content_of(file: str) -> list[bytes]:
    """Give what the file holds where nothing is wrong."""
    return [small_ledger()[file]]


def run_file(file: str, data: bytes) -> None:
    """Open and read a ledger with this file in it, by both engines."""
    data = data[: 2 * SEGMENT]
    for content in {data, mended(file, data)}:
        verdicts = [judge(file, content, engine) for engine in ENGINES]
        assert len(set(verdicts)) == 1, f"{file}: {dict(zip(ENGINES, verdicts, strict=True))}"


def mended(file: str, data: bytes) -> bytes:
    """Give the file with its checksums made right, a snapshot with its digest."""
    if file == SNAPSHOT and len(data) > DIGEST_BYTES:
        return data[:-DIGEST_BYTES] + sha256(data[:-DIGEST_BYTES]).digest()
    if file == SEALED and len(data) > 2 * BLOCK:
        body = data[BLOCK : BLOCK * (1 + (len(data) - BLOCK) // (BLOCK + 4))]
        blocks = len(body) // BLOCK
        checksums = b"".join(
            pack("<I", crc32(body[BLOCK * n : BLOCK * (n + 1)])) for n in range(blocks)
        )
        page = data[:280] + pack("<I", crc32(checksums))
        return page + pack("<I", crc32(page)) + data[288:BLOCK] + body + checksums
    if file == SUPERBLOCK and len(data) > 2 * BLOCK + 68:
        for start, length in ((0, 36), (BLOCK, 64), (2 * BLOCK, 64)):
            crc = pack("<I", crc32(data[start : start + length]))
            data = data[: start + length] + crc + data[start + length + 4 :]
    return data


def judge(file: str, content: bytes, engine: Engine) -> str:
    """Give which error an engine raises, or what it has read."""
    disk = SimulatedDisk.holding({**small_ledger(), file: content})
    try:
        ledger = open_on(disk, engine, lambda: 10**18, Nonces(), SEGMENT, create=False)
    except LedgerError as error:
        return type(error).__name__
    try:
        found = [len(list(ledger.entries())), *(a.credits_posted for a in ledger.accounts())]
        if file != SNAPSHOT:  # Replaying all for each would leave few runs.
            ledger.verify()
    except LedgerError as error:
        return type(error).__name__
    finally:
        ledger.close()
    return str(found)
