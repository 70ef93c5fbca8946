"""Damaged files: the native engine judges every damage as the pure one does, and never panics."""

import random
import shutil
from pathlib import Path

import pytest

from ledger import open_ledger
from ledger.errors import LedgerError
from tests.test_ledger.conftest import SteppingClock, counting_bytes, engines
from tests.test_ledger.ledger_workload import Workload

pytestmark = pytest.mark.skipif(
    "native" not in engines(), reason="the native engine is not built: pip install . with Rust"
)
BLOCK = 4096


def make_ledger(directory: Path, rng: random.Random) -> None:
    """Make a ledger of a few small segments."""
    work, clock = Workload(rng), SteppingClock()
    ledger = open_ledger(
        directory,
        now_ns=clock,
        random_bytes=counting_bytes(),
        engine="native",
        segment_size=4 * BLOCK,
    )
    ledger.create_accounts(work.accounts())
    for _ in range(rng.randint(2, 9)):
        clock.advance(0.5)
        ledger.create_transfers(work.transfers(40))
    ledger.close()


def damage(directory: Path, rng: random.Random) -> str:
    """Damage one file in one way; say which."""
    victims = sorted(p for p in directory.iterdir() if p.suffix == ".seg" or p.name == "superblock")
    path = rng.choice(victims)
    data = bytearray(path.read_bytes())
    kind = rng.choice(("flip", "zero", "stale", "cut", "swap"))
    at = rng.randrange(len(data))
    block = at - at % BLOCK
    if kind == "flip":
        data[at] ^= 1 << rng.randrange(8)
    elif kind == "zero":
        data[block : block + BLOCK] = bytes(BLOCK)
    elif kind == "stale":
        data[at : at + 512] = rng.randbytes(len(data[at : at + 512]))
    elif kind == "cut":
        del data[at:]
    else:
        other = rng.randrange(len(data) // BLOCK) * BLOCK
        data[block : block + BLOCK], data[other : other + BLOCK] = (
            data[other : other + BLOCK],
            data[block : block + BLOCK],
        )
    path.write_bytes(data)
    return f"{kind} {path.name} at {at}"


def judge(directory: Path, engine: str, *, read_only: bool) -> tuple[str, object]:
    """Open with an engine; give what came of it."""
    try:
        ledger = open_ledger(
            directory,
            now_ns=SteppingClock(),
            random_bytes=counting_bytes(100),
            engine=engine,  # type: ignore[arg-type]
            create=False,
            read_only=read_only,
        )
    except LedgerError as error:
        return type(error).__name__, None
    found = (ledger.checkpoint(), getattr(ledger, "torn_tail", None))
    ledger.close()
    return "opened", found


def run(seed: int, tmp_path: Path) -> None:
    """Make, damage, and let both engines judge copies of the same files."""
    rng = random.Random(seed)
    origin = tmp_path / "origin"
    make_ledger(origin, rng)
    what = damage(origin, rng)
    verdicts = []
    for engine in ("pure", "native"):
        copy = tmp_path / engine
        shutil.copytree(origin, copy)
        verdicts.append([judge(copy, engine, read_only=read) for read in (True, False)])
    assert verdicts[0] == verdicts[1], f"seed {seed}: {what}"


@pytest.mark.parametrize("seed", range(10))
def test_both_engines_give_a_damage_the_same_verdict(seed: int, tmp_path: Path) -> None:
    run(seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(4))
def test_both_engines_give_many_damages_the_same_verdict(block: int, tmp_path: Path) -> None:
    for seed in range(1_000 + 25 * block, 1_025 + 25 * block):
        run(seed, tmp_path / str(seed))
