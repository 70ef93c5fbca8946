"""The suite `protocols`: codec beside pyiso8583, crypto beside `cryptography`."""

import codec_bench
import crypto_bench
import figures


def measure() -> list[figures.Row]:
    """Give the rows of both halves."""
    return codec_bench.measure() + crypto_bench.measure()
