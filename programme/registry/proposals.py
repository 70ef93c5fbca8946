"""Maker-checker as objects: what one person proposes, another approves, in whatever process.

A proposal's terms never change. Approved, it may be carried out until it is done, also after a
kill in the middle; done, rejected or withdrawn, it is closed (design decision 20).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, select, update

from programme.actors import Actor, Agency, same_person
from programme.errors import NotFoundError, ProposalError
from programme.policy import policy
from programme.registry import schema
from programme.registry.unit import Context, Unit
from programme.roles import require

PROPOSAL = "proposal"
_DAY_NS = 86_400 * 1_000_000_000


class ProposalKind(StrEnum):
    """What needs two people. Source: design decision 20."""

    DISBURSEMENT = "disbursement"
    SWEEP = "sweep"
    RELEASE = "release"
    REFUND = "refund"
    KEY = "key"


class ProposalState(StrEnum):
    """How far a proposal is."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    DONE = "done"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


_OPEN = (ProposalState.PROPOSED.value, ProposalState.APPROVED.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One proposal. `terms` and `outcome` are flat JSON objects without personal data.

    `checker` is None until somebody approved or rejected it; times are UTC nanoseconds, 0 for not
    yet. `outcome` holds the result of a done one, or the reason of a rejected one.
    """

    number: int
    kind: ProposalKind
    terms: dict[str, Any]
    state: ProposalState
    maker: Actor
    made_at_ns: int
    checker: Actor | None
    decided_at_ns: int
    done_at_ns: int
    outcome: dict[str, Any]


class ProposalBook:
    """Everything that changes a proposal. Each call is one durable transaction."""

    def __init__(self, context: Context) -> None:
        """Work on one registry."""
        self._context = context

    def propose(self, kind: ProposalKind, terms: Mapping[str, Any], actor: Actor) -> Proposal:
        """Keep a proposal; raise RoleError, or ProposalError while the same one is still open."""
        require(actor, f"{kind.value}.propose")
        text = _json(terms)
        table = schema.proposals
        with self._context.change(actor) as unit:
            same = (table.c.kind == kind.value) & (table.c.terms == text)
            query = select(table.c.proposal_number).where(same, table.c.state.in_(_OPEN))
            known = unit.connection.execute(query).scalar()
            if known is not None:
                raise ProposalError.of("programme.proposal_known", proposal=known)
            number = unit.next_number(table, "proposal_number")
            row = {
                "proposal_number": number, "kind": kind.value, "terms": text,
                "state": ProposalState.PROPOSED.value, "made_at_ns": unit.at_ns,
                "maker_agency": actor.agency.value, "maker_person": actor.person,
                "decided_at_ns": 0, "checker_agency": "", "checker_person": "",
                "done_at_ns": 0, "outcome": "{}",
            }  # fmt: skip
            unit.add(table, [row])
            unit.record(PROPOSAL, number, "proposed", kind.value, after=dict(terms))
        return self.get(number)

    def approve(self, number: int, actor: Actor) -> Proposal:
        """Approve as the second person.

        Raises: NotFoundError; RoleError; ProposalError for the maker, another state, an old one.
        """
        with self._context.change(actor) as unit:
            found = self._decidable(unit, number, actor)
            age = policy().proposal_days_max
            if unit.at_ns - found.made_at_ns > age * _DAY_NS:
                raise ProposalError.of("programme.proposal_old", proposal=number, days=age)
            _decide(unit, found, ProposalState.APPROVED, "{}")
        return self.get(number)

    def reject(self, number: int, actor: Actor, reason: str) -> Proposal:
        """Refuse as the second person, saying why; raises as `approve` does."""
        with self._context.change(actor) as unit:
            found = self._decidable(unit, number, actor)
            _decide(unit, found, ProposalState.REJECTED, _json({"reason": reason}))
        return self.get(number)

    def withdraw(self, number: int, actor: Actor) -> Proposal:
        """Take one's own proposal back before it is approved.

        Raises: NotFoundError, ProposalError.
        """
        with self._context.change(actor) as unit:
            found = _found(unit, number)
            _in_state(found, ProposalState.PROPOSED)
            if not same_person(found.maker, actor):
                raise ProposalError.of("programme.proposal_withdraw", proposal=number)
            _set(unit, found, ProposalState.WITHDRAWN, {})
        return self.get(number)

    def finish(self, number: int, outcome: Mapping[str, Any], actor: Actor) -> Proposal:
        """Note that an approved proposal is carried out, and its result; done before, no change."""
        with self._context.change(actor) as unit:
            found = _found(unit, number)
            if found.state is not ProposalState.DONE:
                _in_state(found, ProposalState.APPROVED)
                values = {"done_at_ns": unit.at_ns, "outcome": _json(outcome)}
                _set(unit, found, ProposalState.DONE, values, dict(outcome))
        return self.get(number)

    def get(self, number: int) -> Proposal:
        """Give a proposal; raise NotFoundError."""
        with self._context.storage.reading() as connection:
            query = select(schema.proposals).where(schema.proposals.c.proposal_number == number)
            row = connection.execute(query).first()
        return _proposal(row, number)

    def all(self, state: ProposalState | None = None) -> list[Proposal]:
        """Give the proposals in a state, or all, in the order in which they were made."""
        table = schema.proposals
        query = select(table).order_by(table.c.proposal_number)
        if state is not None:
            query = query.where(table.c.state == state.value)
        with self._context.storage.reading() as connection:
            return [_proposal(row, row.proposal_number) for row in connection.execute(query)]

    def _decidable(self, unit: Unit, number: int, actor: Actor) -> Proposal:
        found = _found(unit, number)
        require(actor, f"{found.kind.value}.approve")
        _in_state(found, ProposalState.PROPOSED)
        if same_person(found.maker, actor):
            raise ProposalError.of("programme.same_person")
        return found


def _decide(unit: Unit, found: Proposal, state: ProposalState, outcome: str) -> None:
    values = {
        "decided_at_ns": unit.at_ns, "checker_agency": unit.actor.agency.value,
        "checker_person": unit.actor.person, "outcome": outcome,
    }  # fmt: skip
    _set(unit, found, state, values)


def _set(
    unit: Unit,
    found: Proposal,
    state: ProposalState,
    values: Mapping[str, Any],
    outcome: dict[str, Any] | None = None,
) -> None:
    table = schema.proposals
    mine = table.c.proposal_number == found.number
    unit.connection.execute(update(table).where(mine).values(state=state.value, **values))
    before, after = {"state": found.state.value}, {"state": state.value, **(outcome or {})}
    unit.record(PROPOSAL, found.number, state.value, found.kind.value, before=before, after=after)


def _in_state(found: Proposal, wanted: ProposalState) -> None:
    if found.state is not wanted:
        raise ProposalError.of(
            "programme.proposal_state",
            proposal=found.number,
            state=found.state.value,
            wanted=wanted.value,
        )


def _found(unit: Unit, number: int) -> Proposal:
    query = select(schema.proposals).where(schema.proposals.c.proposal_number == number)
    return _proposal(unit.connection.execute(query).first(), number)


def _proposal(row: Row[tuple[Any, ...]] | None, number: int) -> Proposal:
    if row is None:
        raise NotFoundError.of("programme.proposal_unknown", proposal=number)
    checker = Actor(Agency(row.checker_agency), row.checker_person) if row.checker_agency else None
    return Proposal(
        number=row.proposal_number,
        kind=ProposalKind(row.kind),
        terms=json.loads(row.terms),
        state=ProposalState(row.state),
        maker=Actor(Agency(row.maker_agency), row.maker_person),
        made_at_ns=row.made_at_ns,
        checker=checker,
        decided_at_ns=row.decided_at_ns,
        done_at_ns=row.done_at_ns,
        outcome=json.loads(row.outcome),
    )


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, separators=(",", ":"), sort_keys=True)
