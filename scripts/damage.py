"""`make damage`: a hundred thousand damaged messages; only the codec's one error may come out.

Messages of every specification are damaged in one to five places (bits, bytes, cuts, insertions).
Both twins must agree with the walk in value or error, and what they accept must encode to the same
bytes. A part of this runs in every full test run; a failure prints seed, round and bytes.
"""

import argparse
import random
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Damage `--count` messages in all; give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="messages in all")
    parser.add_argument("--seed", type=int, help="drawn and printed when left out")
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from tests.test_protocols.iso8583_samples import WARM
    from tests.test_protocols.test_iso8583_damage import damage_and_compare

    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1 << 31)
    rounds = -(-given.count // len(WARM))
    print(f"damage: seed {seed}, {rounds} messages for each of {len(WARM)} codecs", flush=True)
    started_s = time.monotonic()
    for codec in WARM.values():
        damage_and_compare(codec, seed, rounds)
        name = "native" if codec.is_native else "pure"
        print(f"  {codec.spec.name:<8} {name:<8} {rounds} held", flush=True)
    took_s = time.monotonic() - started_s
    print(f"damage: {rounds * len(WARM)} damaged messages held in {took_s:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
