"""Leading a registry of an older schema to this one: numbered steps, forward, one transaction.

A step takes what the version before it left and is never changed once it has been released.
`fixtures/programme/` holds a registry of each version that was.
"""

from collections.abc import Callable

from sqlalchemy import Connection, select, update

from programme.registry import schema
from programme.registry.audit import GENESIS, chained
from programme.registry.sealing import Sealer

_V2_COLUMNS = (
    "ALTER TABLE changes ADD COLUMN before VARCHAR DEFAULT '' NOT NULL",
    "ALTER TABLE changes ADD COLUMN after VARCHAR DEFAULT '' NOT NULL",
    "ALTER TABLE changes ADD COLUMN chain BLOB DEFAULT '' NOT NULL",
    "ALTER TABLE recipients ADD COLUMN likeness_hmac BLOB",
    "CREATE INDEX recipients_by_likeness ON recipients (likeness_hmac)",
)
_V2_TABLES = (
    schema.distinct_people,
    schema.eligibility_marks,
    schema.merchant_steps,
    schema.proxies,
    schema.proposals,
    schema.tokens,
)


def migrate(connection: Connection, version: int, sealer: Sealer) -> None:
    """Run every step after `version`, in order, inside the caller's transaction."""
    for number, step in sorted(STEPS.items()):
        if number > version:
            step(connection, sealer)


def _to_2(connection: Connection, sealer: Sealer) -> None:
    """Chain the audit trail, know spellings of a name, keep proxies, proposals and tokens.

    Version 1 stood in SQLite only, hence its column types here.
    """
    for statement in _V2_COLUMNS:
        connection.exec_driver_sql(statement)
    schema.metadata.create_all(connection, tables=_V2_TABLES)
    _chain_what_is_there(connection)
    people = schema.recipients
    for row in connection.execute(select(people.c.recipient_number, people.c.nik_hmac,
                                         people.c.sealed)).all():  # fmt: skip
        identity = sealer.open(row.sealed, row.nik_hmac)
        likeness = sealer.likeness(identity["name"], identity["birth_date"])
        mine = people.c.recipient_number == row.recipient_number
        connection.execute(update(people).where(mine).values(likeness_hmac=likeness))
    for number, agency, person, at_ns, action in connection.execute(_V1_SHOP_CHANGES).all():
        step = {
            "merchant_number": number, "state": action, "reason": "", "until": "",
            "at_ns": at_ns, "agency": agency, "person": person,
        }  # fmt: skip
        connection.execute(schema.merchant_steps.insert().values(step))


_V1_SHOP_CHANGES = (
    select(
        schema.changes.c.number,
        schema.changes.c.agency,
        schema.changes.c.person,
        schema.changes.c.at_ns,
        schema.changes.c.action,
    )
    .where(schema.changes.c.subject == "merchant")
    .where(schema.changes.c.action.in_(("registered", "designated", "suspended", "resumed")))
    .order_by(schema.changes.c.version)
)


def _chain_what_is_there(connection: Connection) -> None:
    """Give the rows of before their place in the chain: from now on none can be altered."""
    table, chain = schema.changes, GENESIS
    for row in connection.execute(select(table).order_by(table.c.version)).all():
        chain = chained(chain, tuple(row)[:-1])
        mine = table.c.version == row.version
        connection.execute(update(table).where(mine).values(chain=chain))


#: Version -> the step that leads there from the one before.
STEPS: dict[int, Callable[[Connection, Sealer], None]] = {2: _to_2}
assert max(STEPS) == schema.SCHEMA_VERSION
