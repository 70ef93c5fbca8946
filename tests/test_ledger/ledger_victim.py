"""A process to be killed: posts transfers for ever and says on its standard output what is done.

`python -m tests.test_ledger.ledger_victim DIRECTORY ENGINE FIRST_ID SEGMENT_SIZE`: prints
`opened LAST_SEQUENCE` and then the id of each transfer, one a line, only after its answer.
"""

import asyncio
import os
import sys
import time

from ledger import open_ledger
from ledger.port import Ledger
from ledger.structures import Account, Transfer

TASKS = 16


async def work(ledger: Ledger, first_id: int) -> None:
    """Post from several coroutines; print an id once it is acknowledged."""

    async def one(number: int) -> None:
        while True:
            await ledger.post(
                Transfer(
                    id=number, debit_account_id=1, credit_account_id=2, amount=1, ledger=1, code=1
                )
            )
            os.write(1, b"%d\n" % number)
            number += TASKS

    await asyncio.gather(*(one(first_id + n) for n in range(TASKS)))


def main() -> None:
    """Open, make the accounts, and post until the end."""
    directory, engine, first_id, segment_size = sys.argv[1:]
    ledger = open_ledger(
        directory,
        now_ns=time.time_ns,
        random_bytes=os.urandom,
        engine=engine,  # type: ignore[arg-type]
        segment_size=int(segment_size),
    )
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
    os.write(1, b"opened %d\n" % ledger.last_sequence)
    asyncio.run(work(ledger, int(first_id)))


if __name__ == "__main__":
    main()
