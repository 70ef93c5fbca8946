"""Tokens of the administration interface: kept as hashes, with an agency, a person and an end."""

from dataclasses import dataclass

from sqlalchemy import select, update

from programme.actors import Actor, Agency
from programme.errors import NotFoundError, RuleError
from programme.limits import TOKEN_DAYS_MAX
from programme.registry import schema
from programme.registry.unit import Context
from programme.roles import require
from protocols.values import SecretBytes

_SUBJECT = "token"
_TOKEN_BYTES = 32
_DAY_NS = 86_400 * 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRecord:
    """What is kept of a token; times in UTC nanoseconds, `revoked_at_ns` 0 for not revoked."""

    number: int
    actor: Actor
    issued_at_ns: int
    expires_at_ns: int
    revoked_at_ns: int


class TokenBook:
    """Issue, check and revoke tokens."""

    def __init__(self, context: Context) -> None:
        """Work on one registry."""
        self._context = context

    def issue(self, bearer: Actor, days: int, actor: Actor) -> tuple[TokenRecord, SecretBytes]:
        """Give a new token of 32 random bytes for a person; it is shown once and kept as a hash.

        Raises: RoleError; RuleError for days beyond `TOKEN_DAYS_MAX`.
        """
        require(actor, "token.issue")
        if not 1 <= days <= TOKEN_DAYS_MAX:
            raise RuleError.of("programme.token_days", days=TOKEN_DAYS_MAX)
        token = SecretBytes(self._context.random_bytes(_TOKEN_BYTES))
        table = schema.tokens
        with self._context.change(actor) as unit:
            number = unit.next_number(table, "token_number")
            row = {
                "token_number": number, "token_hash": self._context.sealer.token(token),
                "agency": bearer.agency.value, "person": bearer.person,
                "issued_at_ns": unit.at_ns, "expires_at_ns": unit.at_ns + days * _DAY_NS,
                "revoked_at_ns": 0,
            }  # fmt: skip
            unit.add(table, [row])
            after = {"agency": bearer.agency.value, "person": bearer.person, "days": days}
            unit.record(_SUBJECT, number, "issued", after=after)
        return self._get(number), token

    def bearer(self, token: SecretBytes) -> Actor:
        """Give whose token it is; raise RuleError for one that is unknown, revoked or expired.

        The look-up is by a keyed hash, so its time says nothing about the token.
        """
        table = schema.tokens
        query = select(table).where(table.c.token_hash == self._context.sealer.token(token))
        with self._context.storage.reading() as connection:
            row = connection.execute(query).first()
        now_ns = self._context.clock.now_ns()
        if row is None or row.revoked_at_ns or row.expires_at_ns <= now_ns:
            raise RuleError.of("programme.token_unknown")
        return Actor(Agency(row.agency), row.person)

    def revoke(self, number: int, actor: Actor) -> TokenRecord:
        """End a token now; in force when this returns. Raises: RoleError, NotFoundError."""
        require(actor, "token.revoke")
        table = schema.tokens
        with self._context.change(actor) as unit:
            mine = table.c.token_number == number
            values = {"revoked_at_ns": unit.at_ns}
            if unit.connection.execute(update(table).where(mine).values(values)).rowcount != 1:
                raise NotFoundError.of("programme.token_unknown")
            unit.record(_SUBJECT, number, "revoked")
        return self._get(number)

    def all(self) -> list[TokenRecord]:
        """Give every token that was issued, without what it is."""
        query = select(schema.tokens.c.token_number).order_by(schema.tokens.c.token_number)
        with self._context.storage.reading() as connection:
            numbers = list(connection.execute(query).scalars())
        return [self._get(number) for number in numbers]

    def _get(self, number: int) -> TokenRecord:
        query = select(schema.tokens).where(schema.tokens.c.token_number == number)
        with self._context.storage.reading() as connection:
            row = connection.execute(query).one()
        return TokenRecord(
            number=number,
            actor=Actor(Agency(row.agency), row.person),
            issued_at_ns=row.issued_at_ns,
            expires_at_ns=row.expires_at_ns,
            revoked_at_ns=row.revoked_at_ns,
        )
