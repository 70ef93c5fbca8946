"""The suite `protocols`: codec beside pyiso8583, crypto beside `cryptography`."""

import codec_bench
import crypto_bench
import figures
from race import HEADING


def measure() -> list[figures.Row]:
    """Give the rows of both halves; say what kind of figure they are."""
    print(HEADING)
    return codec_bench.measure() + crypto_bench.measure()
