"""Routes of proposals, jobs, reports, the trail and tokens."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from fastapi import Path as InPath

from programme.acts.base import ActArguments, Number
from programme.acts.money import (
    KeyArguments,
    MonthArguments,
    RefundArguments,
    ReleaseArguments,
    SweepArguments,
)
from programme.api.caller import Caller, Desk
from programme.api.errors import responses
from programme.api.field_routes import ReasonBody, as_file, done
from programme.api.jobs import JobRow, JobRows
from programme.limits import API_ROWS_MAX
from programme.registry.proposals import ProposalState
from programme.reports import REPORT_NAMES
from programme.rows import AuditRow, HeldAmountRow, ProposalRow, ProposalRows, SweptRow, TokenRow
from programme.rows.answers import (
    AuditCheckRow,
    AuditRows,
    HeldAmounts,
    MatchRow,
    ReportAnswer,
    SweepPlan,
    TokenRows,
)

routes = APIRouter(responses=responses(404, 409))
_Proposal = Annotated[Number, InPath(description="the number of a proposal")]
_Day = Annotated[date | None, Query(description="a day, YYYY-MM-DD; today without it")]
_ReportName = Annotated[str, InPath(json_schema_extra={"enum": list(REPORT_NAMES)})]


@routes.get("/proposals", response_model=ProposalRows, tags=["two people"])
def proposals(desk: Desk, caller: Caller, state: ProposalState | None = None) -> ProposalRows:
    """List proposals in the order in which they were made; the newest thousand."""
    found = desk.services.registry().proposals(caller, state)[-API_ROWS_MAX:]
    return ProposalRows(proposals=[ProposalRow.of(one) for one in found])


@routes.get("/proposals/{proposal}", response_model=ProposalRow, tags=["two people"])
def proposal(desk: Desk, caller: Caller, proposal: _Proposal) -> ProposalRow:
    """Give a proposal with its result."""
    return ProposalRow.of(desk.services.registry().proposal(proposal, caller))


@routes.post(
    "/proposals/disbursement", response_model=ProposalRow, status_code=201, tags=["two people"]
)
def propose_month(desk: Desk, caller: Caller, body: MonthArguments) -> dict[str, Any]:
    """Propose to pay a month of a decree; its total becomes part of the terms."""
    return done(desk, caller, "propose-disbursement", body)


@routes.post("/proposals/sweep", response_model=ProposalRow, status_code=201, tags=["two people"])
def propose_sweep(desk: Desk, caller: Caller, body: SweepArguments) -> dict[str, Any]:
    """Propose to take back what is due on a business day that has come."""
    return done(desk, caller, "propose-sweep", body)


@routes.post("/proposals/release", response_model=ProposalRow, status_code=201, tags=["two people"])
def propose_release(desk: Desk, caller: Caller, body: ReleaseArguments) -> dict[str, Any]:
    """Propose to give back by decree what a year's end held."""
    return done(desk, caller, "propose-release", body)


@routes.post("/proposals/refund", response_model=ProposalRow, status_code=201, tags=["two people"])
def propose_refund(desk: Desk, caller: Caller, body: RefundArguments) -> dict[str, Any]:
    """Propose to give a part of a purchase back to its card."""
    return done(desk, caller, "propose-refund", body)


@routes.post("/proposals/key", response_model=ProposalRow, status_code=201, tags=["two people"])
def propose_key(desk: Desk, caller: Caller, body: KeyArguments) -> dict[str, Any]:
    """Propose a terminal's master key; its value stays in the keystore."""
    return done(desk, caller, "propose-key", body)


@routes.post("/proposals/{proposal}/approve", response_model=ProposalRow, tags=["two people"])
def approve(desk: Desk, caller: Caller, proposal: _Proposal) -> dict[str, Any]:
    """Approve as the second person; `run` carries it out."""
    return done(desk, caller, "approve", ActArguments(), proposal=proposal)


@routes.post("/proposals/{proposal}/reject", response_model=ProposalRow, tags=["two people"])
def reject(desk: Desk, caller: Caller, proposal: _Proposal, body: ReasonBody) -> dict[str, Any]:
    """Refuse as the second person, saying why."""
    return done(desk, caller, "reject", body, proposal=proposal)


@routes.post("/proposals/{proposal}/withdraw", response_model=ProposalRow, tags=["two people"])
def withdraw(desk: Desk, caller: Caller, proposal: _Proposal) -> dict[str, Any]:
    """Take one's own proposal back before it is approved."""
    return done(desk, caller, "withdraw", ActArguments(), proposal=proposal)


@routes.post(
    "/proposals/{proposal}/run", response_model=JobRow, status_code=202, tags=["two people"]
)
def run(desk: Desk, caller: Caller, proposal: _Proposal) -> JobRow:
    """Carry out what two people approved, as a job; again, it finishes what was stopped."""
    desk.services.registry().check_run(proposal, caller)
    return desk.jobs.submit("carry-out", {"proposal": proposal}, caller)


@routes.get("/jobs", response_model=JobRows, tags=["jobs"])
def jobs(desk: Desk, caller: Caller) -> JobRows:
    """List the jobs that this server remembers."""
    desk.services.registry().proposals(caller, ProposalState.PROPOSED)
    return desk.jobs.all()


@routes.get("/jobs/{job}", response_model=JobRow, tags=["jobs"])
def job(desk: Desk, caller: Caller, job: Number) -> JobRow:
    """Give how far a job is, and in the end its result or its error."""
    desk.services.registry().proposals(caller, ProposalState.PROPOSED)
    return desk.jobs.get(job)


@routes.get("/sweep/plan", response_model=SweepPlan, tags=["reports"])
def plan(desk: Desk, caller: Caller, day: _Day = None) -> SweepPlan:
    """Say what a sweep of a day would take; nothing is posted."""
    with desk.services.look() as office:
        on = day or office.registry.today
        found = office.plan_sweep(on, caller)
    return SweepPlan(
        date=on.isoformat(),
        count=len(found),
        total_sen=sum(item.amount_sen for item in found),
        tranches=[SweptRow.of(item) for item in found[:API_ROWS_MAX]],
    )


@routes.get("/sweep/held", response_model=HeldAmounts, tags=["reports"])
def held(desk: Desk, caller: Caller) -> HeldAmounts:
    """List what year ends hold and no decree has released."""
    with desk.services.look() as office:
        found = office.held(caller)
    return HeldAmounts(
        count=len(found),
        total_sen=sum(item.amount_sen for item in found),
        amounts=[HeldAmountRow.of(item) for item in found[:API_ROWS_MAX]],
    )


@routes.get("/reports/{name}", response_model=ReportAnswer, tags=["reports"])
def report(desk: Desk, caller: Caller, name: _ReportName, day: _Day = None) -> ReportAnswer:
    """Make a report from ledger and registry, of one state."""
    with desk.services.look() as office:
        found = office.report(name, day or office.registry.today, caller)
    return ReportAnswer.of(name, found)


@routes.post("/match", response_model=MatchRow, tags=["reports"])
def match(
    desk: Desk,
    caller: Caller,
    body: Annotated[bytes, Body(media_type="text/csv", description="the bank's list of a month")],
    day: _Day = None,
) -> MatchRow:
    """Match a bank's list with its decree and the ledger's credits; nothing is kept."""
    with as_file(body, "bank.csv") as file, desk.services.look() as office:
        return MatchRow.of(office.match(file, day or office.registry.today, caller))


@routes.get("/audit", response_model=AuditRows, tags=["trail"])
def audit(
    desk: Desk, caller: Caller, count: Annotated[int, Query(ge=1, le=API_ROWS_MAX)] = 20
) -> AuditRows:
    """Give the newest changes, oldest first."""
    found = desk.services.registry().audit(caller, count)
    return AuditRows(changes=[AuditRow.of(record) for record in found])


@routes.get("/audit/verify", response_model=AuditCheckRow, tags=["trail"])
def verify(desk: Desk, caller: Caller) -> AuditCheckRow:
    """Compute the chain of the trail again."""
    return AuditCheckRow.of(desk.services.registry().verify_audit(caller))


@routes.get("/tokens", response_model=TokenRows, tags=["trail"])
def tokens(desk: Desk, caller: Caller) -> TokenRows:
    """List the tokens that were issued, without what they are."""
    found = desk.services.registry().tokens(caller)
    return TokenRows(tokens=[TokenRow.of(record) for record in found])


@routes.post("/tokens/{token}/revoke", response_model=TokenRow, tags=["trail"])
def revoke(desk: Desk, caller: Caller, token: Number) -> TokenRow:
    """End a token now."""
    return TokenRow.of(desk.services.registry().registry.tokens.revoke(token, caller))
