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
#: SHA-256 of the first segment before it was sealed.
RAW = "e5e116a5ac3766731ee3bc17554ba8ed70260963a57139556749e0c9f95f3aa9"
#: SHA-256 of the files of the `write_history` ledger, from whichever engine.
GOLDEN = {
    "00000001.seal": "e6ab2967d1025f7e1f7fd7a68e108cfa39a67914d3e58b135a416872184bdbe8",
    "00000001.snap": "d6e327e58c0381aa79138622dad12e1c571777a2a8d8569a726996738bc19639",
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
    for name in sorted(n for n in files if re.fullmatch(r"\d{8}\.sea?[gl]", n)):
        segment = files[name] if name.endswith(".seg") else raw_of(files[name])
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


def sealed_parts(sealed: bytes) -> dict[str, bytes]:
    """Give the parts of a sealed segment by name, after checking all that covers them."""
    n, f, k, a, p, r, m = struct.unpack_from("<7I", sealed, 140)
    assert sealed[:8] == b"LMBSEL\x01\x00"
    assert struct.unpack_from("<I", sealed, 284)[0] == zlib.crc32(sealed[:284])
    assert not any(sealed[288:BLOCK])
    sizes = {
        "records": 128 * n, "filter": 64 * -(-10 * k // 512), "fingerprints": 8 * k,
        "id ordinals": 4 * k, "accounts": 4 * a, "ends": 4 * a, "postings": 4 * p,
        "resolved": 8 * r, "resolving": 4 * r, "nodes": 32 * m, "counts": 2 * f,
    }  # fmt: skip
    parts, offset = {}, BLOCK
    for name, size in sizes.items():
        parts[name] = sealed[offset : offset + size]
        end = offset + -(-size // 64) * 64
        assert not any(sealed[offset + size : end])
        offset = end
    end = -(-offset // BLOCK) * BLOCK
    assert not any(sealed[offset:end])
    checksums = sealed[end:]
    assert struct.unpack_from("<I", sealed, 280)[0] == zlib.crc32(checksums)
    blocks = [sealed[at : at + BLOCK] for at in range(BLOCK, end, BLOCK)]
    assert checksums == b"".join(struct.pack("<I", zlib.crc32(block)) for block in blocks)
    return parts


def raw_of(sealed: bytes) -> bytes:
    """Rebuild the raw segment bit for bit, as section 9 of the page says."""
    parts = sealed_parts(sealed)
    page = b"LMBSEG" + sealed[6:140]
    raw = (page + struct.pack("<I", zlib.crc32(page))).ljust(BLOCK, b"\0")
    nonce, sequence, number = (sealed[32:48], *struct.unpack_from("<QQ", sealed, 48))
    chain, start = sealed[96:128], 0
    for (count,) in struct.iter_unpack("<H", parts["counts"]):
        payload = parts["records"][start : start + 128 * count]
        start += len(payload)
        head = b"LMBFRM\x01\x00" + struct.pack("<Q", number) + nonce + chain
        head += hashlib.sha256(payload).digest() + struct.pack("<QQ", sequence, sequence - 1)
        head += struct.pack("<III", count, len(payload), zlib.crc32(payload))
        head += struct.pack("<I", zlib.crc32(head))
        chain = hashlib.sha256(head).digest()
        frame = head + payload
        raw += frame.ljust(-(-len(frame) // BLOCK) * BLOCK, b"\0")
        sequence, number = sequence + count, number + 1
    assert chain == sealed[216:248]
    return raw.ljust(struct.unpack_from("<Q", sealed, 128)[0], b"\0")


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


def test_a_sealed_segment_gives_the_raw_one_back_bit_for_bit(files: dict[str, bytes]) -> None:
    assert hashlib.sha256(raw_of(files["00000001.seal"])).hexdigest() == RAW
    assert "00000001.seg" not in files


def fingerprint(transfer_id: int) -> int:
    """Give the page's fingerprint, by its words."""
    mask = (1 << 64) - 1
    low, high = transfer_id & mask, transfer_id >> 64
    y = low ^ ((high << 32 | high >> 32) & mask) * 0x9E3779B97F4A7C15 & mask
    y = (y ^ y >> 30) * 0xBF58476D1CE4E5B9 & mask
    y = (y ^ y >> 27) * 0x94D049BB133111EB & mask
    return y ^ y >> 31


def test_the_index_of_a_sealed_segment_is_what_its_records_give(files: dict[str, bytes]) -> None:
    sealed = files["00000001.seal"]
    parts = sealed_parts(sealed)
    ids, legs, resolved = [], dict[int, list[int]](), []
    for ordinal in range(len(parts["records"]) // 128):
        body = parts["records"][128 * ordinal :][:118]
        kind, transfer_id = body[96], int.from_bytes(body[16:32], "little")
        if kind not in (1, 6):
            ids.append((fingerprint(transfer_id), ordinal, transfer_id))
        if kind in (2, 3, 4, 5, 6):
            for account in struct.unpack_from("<II", body, 32):
                legs.setdefault(account, []).append(ordinal)
        if kind in (4, 5, 6):
            resolved.append((struct.unpack_from("<Q", body, 48)[0], ordinal))
    ids.sort()
    assert sealed[184:216] == b"".join(
        extreme(number for _, _, number in ids).to_bytes(16, "little") for extreme in (min, max)
    )
    assert parts["fingerprints"] == b"".join(struct.pack("<Q", key) for key, _, _ in ids)
    assert parts["id ordinals"] == b"".join(struct.pack("<I", ordinal) for _, ordinal, _ in ids)
    blocks = len(parts["filter"]) // 64
    words = [[0] * 8 for _ in range(blocks)]
    for key, _, _ in ids:
        for index in range(8):
            words[key * blocks >> 64][index] |= 1 << (key >> 6 * index & 63)
    assert parts["filter"] == b"".join(struct.pack("<8Q", *block) for block in words)
    ends = [sum(len(legs[n]) for n in sorted(legs) if n <= account) for account in sorted(legs)]
    assert parts["accounts"] == struct.pack(f"<{len(legs)}I", *sorted(legs))
    assert parts["ends"] == struct.pack(f"<{len(legs)}I", *ends)
    assert parts["postings"] == b"".join(
        struct.pack("<I", ordinal) for account in sorted(legs) for ordinal in legs[account]
    )
    resolved.sort()
    assert parts["resolved"] == b"".join(struct.pack("<Q", sequence) for sequence, _ in resolved)
    assert parts["resolving"] == b"".join(struct.pack("<I", ordinal) for _, ordinal in resolved)


def test_the_nodes_of_sealed_segments_are_the_roots_of_their_subtrees(tmp_path: Path) -> None:
    clock, path = SteppingClock(), tmp_path / "nodes"
    move = {"debit_account_id": 1, "credit_account_id": 2, "amount": 1, "ledger": 1, "code": 1}
    ledger = open_ledger(
        path, engine="pure", now_ns=clock, random_bytes=counting_bytes(), segment_size=8 * BLOCK
    )
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
    for first in range(0, 700, 70):
        ledger.create_transfers([Transfer(id=first + n + 1, **move) for n in range(70)])
    ledger.close()
    bodies = walk({file.name: file.read_bytes() for file in path.iterdir()})
    seen = 0
    for name in sorted(path.glob("*.seal")):
        sealed = name.read_bytes()
        before = struct.unpack_from("<Q", sealed, 48)[0] - 1
        last = before + struct.unpack_from("<I", sealed, 140)[0]
        due = [
            merkle_root(bodies[node << level : node + 1 << level])
            for level in range(6, 12)
            for node in range(before >> level, last >> level)
        ]
        assert sealed_parts(sealed)["nodes"] == b"".join(due)
        seen += len(due)
    assert seen > 10


def test_a_snapshot_holds_what_is_hot_behind_its_segment(files: dict[str, bytes]) -> None:
    sealed, snapshot = files["00000001.seal"], files["00000001.snap"]
    assert hashlib.sha256(snapshot[:-32]).digest() == snapshot[-32:]
    assert snapshot[:24] == b"LMBSNP\x01\x00" + files["superblock"][8:24]
    number, last, timestamp, frame, accounts, pendings, peaks, _ = struct.unpack_from(
        "<6QII", snapshot, 24
    )
    assert (number, last, frame, accounts, peaks) == (1, 10, 3, 2, 2)
    assert timestamp == struct.unpack_from("<Q", sealed, 176)[0]
    assert snapshot[80:144] == sealed[216:280]
    balances = [struct.unpack_from("<8Q", snapshot, 144 + 128 * n + 16)[::2] for n in range(2)]
    # Debits pending and posted, credits pending and posted: the hold of record 10 is open.
    assert balances == [(10, 14, 0, 0), (0, 0, 10, 14)]
    at = 144 + 128 * 2
    assert struct.unpack_from("<QQ", snapshot, at) == (1, 2)
    assert pendings == 1
    assert snapshot[at + 16 : at + 144] == sealed_parts(sealed)["records"][128 * 9 :]
    bodies = walk(files)
    assert snapshot[at + 144 : -32] == merkle_root(bodies[:8]) + merkle_root(bodies[8:10])


@pytest.mark.parametrize("engine", engines())
def test_the_files_of_an_engine_are_the_golden_ones(engine: str, tmp_path: Path) -> None:
    files = history_of(engine, tmp_path)
    got = {name: hashlib.sha256(files[name]).hexdigest() for name in GOLDEN}
    assert got == GOLDEN
