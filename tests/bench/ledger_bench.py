"""Measure a ledger engine: durable transfers per second at several batch sizes, and latency.

Run it on the disk that matters: `python tests/bench/ledger_bench.py --directory /var/tmp`. It
prints a table, or with `--json` the rows of `build/bench.json` (design section 8). All evidence is
on: checksums, hash chain, Merkle tree. The files it makes are removed.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ledger import open_ledger
from ledger.port import Ledger
from ledger.structures import Account, AccountFlags, Transfer

CARDS, MERCHANTS = 10_000, 200
Row = dict[str, str | float]


class Bench:
    """One engine, one ledger, one case after the other."""

    def __init__(self, ledger: Ledger, seed: int) -> None:
        self.ledger = ledger
        self.random = random.Random(seed)
        self.next_id = 1
        self.rows: list[Row] = []
        limited = int(AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS)
        accounts = [Account(id=1, ledger=1, code=1)]
        accounts += [Account(id=10 + n, ledger=1, code=2) for n in range(MERCHANTS)]
        accounts += [Account(id=1_000 + n, ledger=1, code=3, flags=limited) for n in range(CARDS)]
        for start in range(0, len(accounts), 8_000):
            ledger.create_accounts(accounts[start : start + 8_000])
        credits_ = [self._transfer(1, 1_000 + n, 10**12) for n in range(CARDS)]
        for start in range(0, CARDS, 5_000):
            ledger.create_transfers(credits_[start : start + 5_000])

    def _transfer(self, debit: int, credit: int, amount: int) -> Transfer:
        self.next_id += 1
        return Transfer(
            id=self.next_id << 64 | self.random.getrandbits(64),
            debit_account_id=debit,
            credit_account_id=credit,
            amount=amount,
            ledger=1,
            code=7,
        )

    def purchases(self, count: int) -> list[Transfer]:
        """Give purchases of 5,000 to 200,000 rupiah from random cards at random merchants."""
        draw = self.random.randrange
        return [
            self._transfer(1_000 + draw(CARDS), 10 + draw(MERCHANTS), 100 * draw(5_000, 200_000))
            for _ in range(count)
        ]

    def batches(self, size: int, total: int, *, packed: bool) -> None:
        """Post `total` transfers in batches, one caller."""
        batches = [self.purchases(size) for _ in range(max(total // size, 1))]
        buffers = [b"".join(t.pack() for t in batch) for batch in batches]
        took = []
        started = time.perf_counter()
        for batch, buffer in zip(batches, buffers, strict=True):
            before = time.perf_counter()
            if packed:
                self.ledger.create_transfers_packed(buffer)
            else:
                self.ledger.create_transfers(batch)
            took.append(time.perf_counter() - before)
        case = f"batch-{size}" if packed else f"batch-{size}-objects"
        self._note(case, len(batches) * size / (time.perf_counter() - started), took)

    def in_flight(self, tasks: int, total: int) -> None:
        """Post one by one from so many coroutines."""
        queues = [self.purchases(total // tasks) for _ in range(tasks)]
        took: list[float] = []

        async def work(queue: list[Transfer]) -> None:
            for transfer in queue:
                before = time.perf_counter()
                await self.ledger.post(transfer)
                took.append(time.perf_counter() - before)

        async def run() -> float:
            await self.ledger.post(
                self.purchases(1)[0]
            )  # The writer thread is up before the clock.
            started = time.perf_counter()
            await asyncio.gather(*(work(queue) for queue in queues))
            return time.perf_counter() - started

        self._note(f"asyncio-{tasks}", (total // tasks) * tasks / asyncio.run(run()), took)

    def verify(self) -> None:
        """Replay everything from genesis."""
        report = self.ledger.verify()
        self._note("verify", report.records / report.seconds, [report.seconds])

    def _note(self, case: str, per_second: float, took: list[float]) -> None:
        took = sorted(took)
        values = {
            "per_s": per_second if took else 0.0,
            "p50_us": took[len(took) // 2] * 1e6,
            "p99_us": took[int(len(took) * 0.99)] * 1e6,
            "max_us": took[-1] * 1e6,
        }
        subject = f"ours-{self.ledger.engine}"
        for metric, value in values.items():
            unit = "1/s" if metric == "per_s" else "us"
            self.rows.append(
                {
                    "suite": "ledger",
                    "case": case,
                    "subject": subject,
                    "metric": metric,
                    "value": round(value, 1),
                    "unit": unit,
                }
            )
        cells = "  ".join(f"{metric} {value:12,.0f}" for metric, value in values.items())
        print(f"{subject:12} {case:20} {cells}", file=sys.stderr)


def main() -> None:
    """Run the cases asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, default=None)
    parser.add_argument("--engine", default="pure", choices=("pure", "native"))
    parser.add_argument("--total", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    now_ns: Callable[[], int] = time.time_ns
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        ledger = open_ledger(
            directory, now_ns=now_ns, random_bytes=os.urandom, engine=arguments.engine
        )
        bench = Bench(ledger, arguments.seed)
        bench.batches(1, min(arguments.total, 2_000), packed=True)
        for size in (64, 1_000, 8_189):
            bench.batches(size, arguments.total, packed=True)
        bench.batches(1_000, arguments.total, packed=False)
        bench.in_flight(16, min(arguments.total, 20_000))
        bench.in_flight(256, arguments.total)
        bench.verify()
        ledger.close()
    if arguments.json:
        print(json.dumps(bench.rows))


if __name__ == "__main__":
    main()
