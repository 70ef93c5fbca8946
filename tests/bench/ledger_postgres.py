"""PostgreSQL as a peer: a private server in the bench's own folder, on a unix socket, fsync on.

Batches go in as arrays and are posted by one statement; single transfers go one per transaction,
on one connection or on sixteen. A repeated id or an overdraft raises.
"""

import asyncio
import importlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ledger_load import Purchase, as_uuid
from ledger_peers import ACCOUNTS
from postgres_server import START_S, PostgresMissingError, Server

CONNECTIONS = 16
SCHEMA = """
CREATE TABLE account(id bigint PRIMARY KEY, debits bigint NOT NULL DEFAULT 0,
  credits bigint NOT NULL DEFAULT 0, limited boolean NOT NULL,
  CHECK (NOT limited OR debits <= credits)) WITH (fillfactor = 50);
CREATE TABLE transfer(id uuid PRIMARY KEY, debit bigint NOT NULL, credit bigint NOT NULL,
  amount bigint NOT NULL);
CREATE FUNCTION post_one(uuid, bigint, bigint, bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO transfer VALUES ($1, $2, $3, $4);
  UPDATE account SET debits = debits + $4 WHERE id = $2;
  UPDATE account SET credits = credits + $4 WHERE id = $3;
END $$;
CREATE FUNCTION post_batch(uuid[], bigint[], bigint[], bigint[]) RETURNS void LANGUAGE sql AS $$
  WITH new AS (
    INSERT INTO transfer SELECT * FROM unnest($1, $2, $3, $4) RETURNING debit, credit, amount
  ), leg AS (
    SELECT debit AS id, amount AS d, 0 AS c FROM new
    UNION ALL SELECT credit, 0, amount FROM new
  ), moved AS (SELECT id, sum(d) AS d, sum(c) AS c FROM leg GROUP BY id)
  UPDATE account SET debits = debits + moved.d, credits = credits + moved.c
  FROM moved WHERE account.id = moved.id
$$;
"""


class Postgres:
    """The server and a pool of connections, driven from an event loop of their own."""

    name = "postgresql"

    def __init__(self, directory: Path) -> None:
        try:
            self._asyncpg: Any = importlib.import_module("asyncpg")
        except ModuleNotFoundError as error:
            raise PostgresMissingError("no Python module asyncpg") from error
        self._server = Server(directory)
        self.loop = asyncio.new_event_loop()
        try:
            self.pool = self.loop.run_until_complete(self._connect())
        except BaseException:
            self._server.stop()
            self.loop.close()
            raise

    async def _connect(self) -> Any:
        deadline = time.monotonic() + START_S
        where = {"host": str(self._server.directory), "user": "bench", "database": "postgres"}
        while True:
            try:
                first = await self._asyncpg.connect(**where)
                break
            except (OSError, self._asyncpg.CannotConnectNowError):
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)
        await first.execute(SCHEMA)
        await first.copy_records_to_table(
            "account", records=[(a, limited == 1) for a, limited in ACCOUNTS],
            columns=["id", "limited"],
        )  # fmt: skip
        await first.execute("ANALYZE account")
        await first.close()
        return await self._asyncpg.create_pool(**where, min_size=CONNECTIONS, max_size=CONNECTIONS)

    def prepare(self, batch: Sequence[Purchase]) -> object:
        """Give the columns of the batch, ids as uuids."""
        if len(batch) == 1:
            return (as_uuid(batch[0].id), *batch[0][1:])
        ids = [as_uuid(purchase.id) for purchase in batch]
        return (ids, *([p[n] for p in batch] for n in (1, 2, 3)))

    def post(self, prepared: Any) -> None:
        """Post one batch as one statement, one transaction."""
        self.loop.run_until_complete(self.post_soon(prepared))

    async def post_soon(self, prepared: Any) -> None:
        """Post on whichever connection is free."""
        name = "post_batch" if isinstance(prepared[0], list) else "post_one"
        async with self.pool.acquire() as connection:
            await connection.fetchval(f"SELECT {name}($1, $2, $3, $4)", *prepared)

    def close(self) -> None:
        """Close the pool and stop the server."""
        try:
            self.loop.run_until_complete(self.pool.close())
            self.loop.close()
        finally:
            self._server.stop()
