"""What a ledger of 10,000 cards and a million transfers takes of memory and disk.

`python tests/bench/ledger_memory.py DIRECTORY ENGINE [TRANSFERS]`, a process of its own, prints
JSON: `rss_mb`, all that the process holds in memory at the end, the interpreter too, and
`disk_bytes`, what a record takes once it is sealed, index and checksums too.
"""

import json
import os
import random
import struct
import sys
import time
from pathlib import Path

from ledger_load import CARDS, FIRST_CARD, FIRST_SHOP, GIRO, LEDGER, SHOPS, Drawer, as_transfer

from ledger import open_ledger
from ledger.statuses import CreateTransferStatus as Status
from ledger.structures import RESULT_SIZE, Account

TRANSFERS = 1_000_000
BATCH = 8_189
#: Where a sealed file says how many records it holds (docs/reference/ledger-format.md, section 9).
RECORDS_AT = 140


def main(directory: Path, engine: str, transfers: int) -> None:
    """Post, measure, print."""
    ledger = open_ledger(
        directory,
        now_ns=time.time_ns,
        random_bytes=os.urandom,
        engine=engine,  # type: ignore[arg-type]
    )
    accounts = [Account(id=GIRO, ledger=LEDGER, code=1)]
    accounts += [Account(id=FIRST_SHOP + n, ledger=LEDGER, code=2) for n in range(SHOPS)]
    accounts += [Account(id=FIRST_CARD + n, ledger=LEDGER, code=3) for n in range(CARDS)]
    for start in range(0, len(accounts), 8_000):
        ledger.create_accounts(accounts[start : start + 8_000])
    drawer, created = Drawer(random.Random(1).randrange(1 << 32)), 0
    while created < transfers:
        (batch,) = drawer.batches(BATCH, BATCH)
        results = ledger.create_transfers_packed(b"".join(as_transfer(p).pack() for p in batch))
        created += results.count(int(Status.CREATED).to_bytes(4, "little"))
        assert created % BATCH == 0
        assert len(results) == RESULT_SIZE * BATCH
    while len(list(directory.glob("*.seg"))) > 2:  # The open segment, and the spare.
        time.sleep(0.05)
    (rss,) = [
        line for line in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in line
    ]
    sealed = [path.read_bytes() for path in directory.glob("*.seal")]
    records = sum(struct.unpack_from("<I", content, RECORDS_AT)[0] for content in sealed)
    disk_bytes = sum(map(len, sealed)) / records if records else 0.0
    ledger.close()
    print(json.dumps({"rss_mb": int(rss.split()[1]) / 1024, "disk_bytes": disk_bytes}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else TRANSFERS)
