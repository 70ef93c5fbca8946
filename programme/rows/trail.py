"""Changes and tokens as they are shown."""

from typing import Self

from programme.registry.audit import AuditRecord
from programme.registry.tokens import TokenRecord
from programme.rows.base import Row, day_of, named
from protocols.business_time import wita


class AuditRow(Row):
    """One change in the trail."""

    version: int
    at: str
    by: str
    subject: str
    number: int
    action: str
    detail: str
    before: str
    after: str
    chain: str

    @classmethod
    def of(cls, record: AuditRecord) -> Self:
        """Give the row of a change."""
        return cls(
            version=record.version,
            at=wita(record.at_ns).isoformat(timespec="seconds"),
            by=f"{record.agency}/{record.person}",
            subject=record.subject,
            number=record.number,
            action=record.action,
            detail=record.detail,
            before=record.before,
            after=record.after,
            chain=record.chain.hex(),
        )


class TokenRow(Row):
    """A token without what it is."""

    token: int
    bearer: str
    issued_on: str
    expires_on: str
    revoked_on: str

    @classmethod
    def of(cls, record: TokenRecord) -> Self:
        """Give the row of a token."""
        return cls(
            token=record.number,
            bearer=named(record.actor),
            issued_on=day_of(record.issued_at_ns),
            expires_on=day_of(record.expires_at_ns),
            revoked_on=day_of(record.revoked_at_ns),
        )
