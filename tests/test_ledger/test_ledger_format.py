"""The bytes on disk are those of docs/reference/ledger-format.md: read here by offsets alone.

Nothing of the engines' own codecs is used for reading, so page and engine can only agree by both
being right. The digests at the end pin the format for ever.
"""

import hashlib
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger import open_ledger
from ledger.merkle import Frontier
from ledger.port import Ledger
from ledger.structures import AMOUNT_ALL, Account, Transfer
from tests.test_ledger.conftest import SteppingClock, counting_bytes, engines

BLOCK = 4096
#: SHA-256 of the files of the `write_history` ledger, from whichever engine.
GOLDEN = {
    "00000001.seg": "e5e116a5ac3766731ee3bc17554ba8ed70260963a57139556749e0c9f95f3aa9",
    "00000002.seg": "e35cb12ea611ee5304a1f7126cd33baeb7d9e2222b3c2610b5fb88a8db08ad13",
    "superblock": "5e72d69aa25e6dd22663d085613c3acd5ad9f9eac36cd2f8db1287b645b348d8",
}


def write_history(open_it: Callable[..., Ledger], path: Path) -> None:
    """Write a short history with every kind of record, over two segments and one restart."""
    clock = SteppingClock()
    nonces = counting_bytes(7)

    def opened() -> Ledger:
        return open_it(path, now_ns=clock, random_bytes=nonces, segment_size=4 * BLOCK)

    def move(transfer_id: int, **fields: int) -> Transfer:
        base = {"debit_account_id": 1, "credit_account_id": 2, "amount": 10, "ledger": 3, "code": 4}
        return Transfer(**{**base, "id": transfer_id, **fields})

    end = {"debit_account_id": 0, "credit_account_id": 0, "ledger": 0, "code": 0}
    ledger = opened()
    ledger.create_accounts(
        [Account(id=n, ledger=3, code=5, user_data_64=6, flags=2 * (n == 2)) for n in (1, 2)]
    )
    ledger.create_transfers(
        [
            move(1 << 100, user_data_128=1 << 127, user_data_64=8, user_data_32=9),
            move(2, flags=2, timeout=1),
            move(3, flags=2),
            move(4, **{**end, "amount": 4, "pending_id": 3, "flags": 4}),
            move(5, debit_account_id=2, credit_account_id=1, amount=1_000),
            move(6, debit_account_id=77 << 64, amount=AMOUNT_ALL),
        ]
    )
    ledger.close()
    clock.advance(2)
    ledger = opened()
    ledger.create_transfers([move(7, flags=2), move(8, flags=1), move(9, flags=1)])
    ledger.create_transfers([move(10, **{**end, "amount": 0, "pending_id": 7, "flags": 8})])
    clock.advance(-60)
    ledger.create_transfers([move(11, flags=1), move(12, amount=0)])
    ledger.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Give the files that the pure engine writes for the history."""
    return history_of("pure", tmp_path_factory.mktemp("format"))


def history_of(engine: str, directory: Path) -> dict[str, bytes]:
    path = directory / engine
    write_history(lambda p, **options: open_ledger(p, engine=engine, **options), path)  # type: ignore[arg-type]
    return {file.name: file.read_bytes() for file in path.iterdir()}


def test_the_superblock_names_the_ledger_and_marks_the_last_frames(
    files: dict[str, bytes],
) -> None:
    page = files["superblock"]
    assert len(page) == 3 * BLOCK
    assert page[:24] == b"LMBLGR\x01\x00" + (7).to_bytes(16, "big")
    assert struct.unpack_from("<QI", page, 24) == (4 * BLOCK, BLOCK)
    assert struct.unpack_from("<I", page, 36)[0] == zlib.crc32(page[:36])
    assert not any(page[40:BLOCK])
    for frame, segment, offset in ((5, 2, BLOCK * 2), (4, 2, BLOCK)):
        slot = page[BLOCK * (1 + frame % 2) :][:BLOCK]
        assert slot[:8] == b"LMBMRK\x01\x00"
        number, upto, held_by = struct.unpack_from("<QQQ", slot, 8)
        header = files[f"0000000{segment}.seg"][offset : offset + 128]
        first, count = (
            struct.unpack_from("<Q", header, 96)[0],
            struct.unpack_from("<I", header, 112)[0],
        )
        assert (number, upto, held_by) == (frame, first + count - 1, segment)
        assert slot[32:64] == hashlib.sha256(header).digest()
        assert struct.unpack_from("<I", slot, 64)[0] == zlib.crc32(slot[:64])
        assert not any(slot[68:])


def walk(files: dict[str, bytes]) -> list[bytes]:
    """Check every page and frame by offsets; give the record bodies."""
    uuid = files["superblock"][8:24]
    chain = hashlib.sha256(b"lumbung ledger genesis\0" + uuid).digest()
    bodies: list[bytes] = []
    frame_number = 0
    for name in sorted(n for n in files if re.fullmatch(r"\d{8}\.seg", n)):
        segment = files[name]
        assert segment[:8] == b"LMBSEG\x01\x00"
        assert segment[8:24] == uuid
        assert struct.unpack_from("<Q", segment, 24)[0] == int(name[:8])
        nonce = segment[32:48]
        assert struct.unpack_from("<QQ", segment, 48) == (len(bodies) + 1, frame_number + 1)
        assert segment[64:96] == merkle_root(bodies)
        assert segment[96:128] == chain
        assert struct.unpack_from("<QI", segment, 128) == (len(segment), BLOCK)
        assert struct.unpack_from("<I", segment, 140)[0] == zlib.crc32(segment[:140])
        offset = BLOCK
        while offset < len(segment) and any(segment[offset : offset + 128]):
            header = segment[offset : offset + 128]
            frame_number += 1
            assert header[:8] == b"LMBFRM\x01\x00"
            assert struct.unpack_from("<Q", header, 8)[0] == frame_number
            assert header[16:32] == nonce
            assert header[32:64] == chain
            first, durable, count, length = struct.unpack_from("<QQII", header, 96)
            payload = segment[offset + 128 : offset + 128 + length]
            assert (first, durable, length) == (len(bodies) + 1, len(bodies), 128 * count)
            assert header[64:96] == hashlib.sha256(payload).digest()
            assert struct.unpack_from("<II", header, 120) == (
                zlib.crc32(payload),
                zlib.crc32(header[:124]),
            )
            for start in range(0, length, 128):
                record = payload[start : start + 128]
                assert struct.unpack_from("<I", record, 118)[0] == zlib.crc32(record[:118])
                assert not any(record[114:118])
                assert not any(record[122:])
                bodies.append(record[:118])
            chain = hashlib.sha256(header).digest()
            end = offset + -(-(128 + length) // BLOCK) * BLOCK
            assert not any(segment[offset + 128 + length : end])
            offset = end
        assert not any(segment[offset:])
    return bodies


def merkle_root(leaves: list[bytes]) -> bytes:
    """Give the root by the recursion of RFC 6962, section 2.1."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = merkle_root(leaves[:split]), merkle_root(leaves[split:])
    return hashlib.sha256(b"\1" + left + right).digest()


def test_every_frame_and_record_stands_at_its_offset(files: dict[str, bytes]) -> None:
    records = [
        (
            struct.unpack_from("<Q", body, 0)[0],
            body[96],
            body[97],
            int.from_bytes(body[16:32], "little"),
            *struct.unpack_from("<IIQQ", body, 32),
            *struct.unpack_from("<qq", body, 98),
        )
        for body in walk(files)
    ]
    assert records == [
        # sequence, kind, status, id, debit, credit, amount, pending, balances after
        (1, 1, 0, 1, 1, 0, 0, 0, 0, 0),
        (2, 1, 0, 2, 2, 0, 0, 0, 0, 0),
        (3, 2, 0, 1 << 100, 1, 2, 10, 0, -10, 10),
        (4, 3, 0, 2, 1, 2, 10, 0, -10, 10),
        (5, 3, 0, 3, 1, 2, 10, 0, -10, 10),
        (6, 4, 0, 4, 1, 2, 4, 5, -14, 14),
        (7, 7, 54, 5, 2, 1, 1_000, 0, 14, -14),
        (8, 7, 21, 6, 0, 2, (1 << 64) - 1, 0, 0, 77),
        (9, 6, 0, 0, 1, 2, 10, 4, -14, 14),
        (10, 3, 0, 7, 1, 2, 10, 0, -14, 14),
        (11, 5, 0, 10, 1, 2, 10, 10, -14, 14),
        (12, 2, 0, 11, 1, 2, 10, 0, -24, 24),
        (13, 2, 0, 12, 1, 2, 0, 0, -24, 24),
    ]


def test_a_record_keeps_what_the_caller_gave(files: dict[str, bytes]) -> None:
    bodies = walk(files)
    account, transfer, hold, expiry = bodies[1], bodies[2], bodies[3], bodies[8]
    assert struct.unpack_from("<QIIIHH", account, 72) == (6, 0, 0, 3, 5, 2)
    assert int.from_bytes(transfer[56:72], "little") == 1 << 127
    assert struct.unpack_from("<QIIIHH", transfer, 72) == (8, 9, 0, 3, 4, 0)
    assert struct.unpack_from("<IIHH", hold, 84) == (1, 3, 4, 2)
    assert struct.unpack_from("<IIHH", expiry, 84) == (0, 3, 4, 8)
    times = [struct.unpack_from("<Q", body, 8)[0] for body in bodies]
    start = SteppingClock().now
    assert times[0] == start - 1  # Of two events at one reading, the last has the reading.
    assert times == sorted(set(times))
    assert times[8] == start + 2_000_000_000 + 1  # The expiry; its group's events come after it.


def test_the_frontier_gives_the_root_of_the_recursion() -> None:
    leaves = [bytes([n]) * 118 for n in range(70)]
    tree = Frontier()
    for size in (0, 1, 2, 0, 3, 5, 13, 31):
        tree.extend(leaves[tree.size : tree.size + size])
        assert tree.root() == merkle_root(leaves[: tree.size])
        assert len(tree.peaks()) == tree.size.bit_count()
        folded = tree.copy()
        folded.extend([b"other"])
        assert tree.root() != folded.root()


@pytest.mark.parametrize("engine", engines())
def test_the_files_of_an_engine_are_the_golden_ones(engine: str, tmp_path: Path) -> None:
    files = history_of(engine, tmp_path)
    got = {name: hashlib.sha256(files[name]).hexdigest() for name in GOLDEN}
    assert got == GOLDEN
