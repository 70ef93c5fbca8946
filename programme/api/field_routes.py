"""Routes of cards, shops, terminals, proxies, marks and decrees."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from fastapi import Path as InPath

from programme.acts import no_progress
from programme.acts.base import ActArguments, MerchantId, Number, TerminalId, Text
from programme.acts.cards import BlockArguments, CardsArguments, MoveArguments
from programme.acts.field import (
    MarkArguments,
    NewMerchantArguments,
    Nik,
    PersonName,
    ProxyDays,
    Stage,
    Until,
)
from programme.api.caller import Caller, Desk
from programme.api.errors import responses
from programme.api.jobs import JobRow
from programme.decree import DecreeFileError
from programme.limits import API_ROWS_MAX
from programme.registry_port import CardStatus
from programme.rows import (
    CardFileRow,
    CardRow,
    CardRows,
    DecreeRow,
    DecreeRows,
    MarkRow,
    MerchantRow,
    MerchantRows,
    ProxyRow,
    ProxyRows,
    TerminalRow,
    TerminalRows,
)
from programme.rows.answers import CardPage, ImportRow

routes = APIRouter(responses=responses(404, 409))
Card = Annotated[Number, InPath(description="the registry's number of a card")]
Decree = Annotated[Number, InPath(description="the registry's number of a decree")]
Shop = Annotated[MerchantId, InPath(description="DE42 of a shop")]
Terminal = Annotated[TerminalId, InPath(description="DE41 of a terminal")]
District = Annotated[str, Query(max_length=64, description="of one district only")]


def done(desk: Desk, caller: Caller, name: str, asked: ActArguments, **more: Any) -> dict[str, Any]:
    """Do an act with the body's arguments and those of the path."""
    arguments = asked.model_dump(mode="json", exclude_none=True) | more
    return desk.services.do(name, arguments, caller, no_progress)


@contextmanager
def as_file(body: bytes, name: str) -> Iterator[Path]:
    """Give a body as a file, for as long as it is read; faults carry its name, not its folder."""
    with tempfile.TemporaryDirectory(prefix="lumbung-body-") as folder:
        file = Path(folder) / name
        file.write_bytes(body)
        try:
            yield file
        except DecreeFileError as error:
            raise error.named(Path(name)) from error


class ReasonBody(ActArguments):
    """Why."""

    reason: Text


class SuspendBody(ReasonBody):
    """Why a shop is suspended, and until which day if that is known."""

    until: Until = None


class ProxyBody(ActArguments):
    """Who may act for the card of the path, for how many days from today; kept sealed."""

    nik: Nik
    name: PersonName
    reason: Text
    days: ProxyDays


class StageBody(ActArguments):
    """To which stage the decree of the path goes."""

    stage: Stage


@routes.get("/cards", response_model=CardPage, tags=["cards"])
def cards(
    desk: Desk,
    caller: Caller,
    status: CardStatus | None = None,
    district: District = "",
    after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=API_ROWS_MAX)] = 50,
) -> CardPage:
    """List cards in the order of issue, by state and district."""
    found = desk.services.registry().cards(
        caller, status=status, district=district, after=after, limit=limit + 1
    )
    following = found[limit - 1].card_number if len(found) > limit else None
    return CardPage(cards=[CardRow.of(entry) for entry in found[:limit]], next=following)


@routes.get("/cards/{card}", response_model=CardFileRow, tags=["cards"])
def card(desk: Desk, caller: Caller, card: Card) -> CardFileRow:
    """Give a card with its money by month, its life, and why there is nothing to spend."""
    with desk.services.look() as office:
        return CardFileRow.of_file(office.card(card, caller))


@routes.post("/cards/block", response_model=CardRows, tags=["cards"])
def block(desk: Desk, caller: Caller, body: BlockArguments) -> dict[str, Any]:
    """Block cards, all or none; in force when this answers."""
    return done(desk, caller, "card-block", body)


@routes.post("/cards/unblock", response_model=CardRows, tags=["cards"])
def unblock(desk: Desk, caller: Caller, body: CardsArguments) -> dict[str, Any]:
    """Give blocked cards their former state back, all or none."""
    return done(desk, caller, "card-unblock", body)


@routes.post("/cards/move", response_model=CardRows, tags=["cards"])
def move(desk: Desk, caller: Caller, body: MoveArguments) -> dict[str, Any]:
    """Move cards one step of their life on, all or none."""
    return done(desk, caller, "card-move", body)


@routes.post("/cards/{card}/replace", response_model=JobRow, status_code=202, tags=["cards"])
def replace(desk: Desk, caller: Caller, card: Card) -> JobRow:
    """Print a new card on the same account; the old one is refused when the job is done."""
    desk.services.registry().check_replace(card, caller)
    return desk.jobs.submit("card-replace", {"card": card}, caller)


@routes.get("/cards/{card}/proxies", response_model=ProxyRows, tags=["cards"])
def proxies(desk: Desk, caller: Caller, card: Card) -> ProxyRows:
    """List who may act for a card: numbers and days, no person."""
    found = desk.services.registry().proxies(card, caller)
    return ProxyRows(proxies=[ProxyRow.of(view) for view in found])


@routes.post("/cards/{card}/proxies", response_model=ProxyRow, status_code=201, tags=["cards"])
def add_proxy(desk: Desk, caller: Caller, card: Card, body: ProxyBody) -> dict[str, Any]:
    """Register a proxy for a card; the person is kept sealed and never shown."""
    return done(desk, caller, "proxy-add", body, card=card)


@routes.post("/proxies/{proxy}/end", response_model=ProxyRow, tags=["cards"])
def end_proxy(desk: Desk, caller: Caller, proxy: Number) -> dict[str, Any]:
    """End a proxy today."""
    return done(desk, caller, "proxy-end", ActArguments(), proxy=proxy)


@routes.post("/recipients/mark", response_model=MarkRow, tags=["cards"])
def mark(desk: Desk, caller: Caller, body: MarkArguments) -> dict[str, Any]:
    """Attest for recipients what a fund asks, all or none."""
    return done(desk, caller, "recipient-mark", body)


@routes.get("/merchants", response_model=MerchantRows, tags=["shops"])
def merchants(desk: Desk, caller: Caller, district: District = "") -> MerchantRows:
    """List shops in the order of registration."""
    office = desk.services.registry()
    found = office.merchants(caller, district=district)
    return MerchantRows(merchants=[MerchantRow.of(office, shop) for shop in found])


@routes.get("/merchants/{merchant}", response_model=MerchantRow, tags=["shops"])
def merchant(desk: Desk, caller: Caller, merchant: Shop) -> MerchantRow:
    """Give a shop."""
    office = desk.services.registry()
    return MerchantRow.of(office, office.merchant(merchant, caller))


@routes.post("/merchants", response_model=MerchantRow, status_code=201, tags=["shops"])
def add_merchant(desk: Desk, caller: Caller, body: NewMerchantArguments) -> dict[str, Any]:
    """Register a shop; it sells once it is designated."""
    return done(desk, caller, "merchant-add", body)


@routes.post("/merchants/resume-due", response_model=MerchantRows, tags=["shops"])
def resume_due(desk: Desk, caller: Caller) -> dict[str, Any]:
    """End the suspensions whose last day has passed."""
    return done(desk, caller, "merchant-resume-due", ActArguments())


@routes.post("/merchants/{merchant}/designate", response_model=MerchantRow, tags=["shops"])
def designate(desk: Desk, caller: Caller, merchant: Shop) -> dict[str, Any]:
    """Designate a shop as E-Warong and open its account where a purse admits it."""
    return done(desk, caller, "merchant-designate", ActArguments(), merchant=merchant)


@routes.post("/merchants/{merchant}/suspend", response_model=MerchantRow, tags=["shops"])
def suspend(desk: Desk, caller: Caller, merchant: Shop, body: SuspendBody) -> dict[str, Any]:
    """Suspend a shop; in force when this answers."""
    return done(desk, caller, "merchant-suspend", body, merchant=merchant)


@routes.post("/merchants/{merchant}/resume", response_model=MerchantRow, tags=["shops"])
def resume(desk: Desk, caller: Caller, merchant: Shop) -> dict[str, Any]:
    """End a suspension."""
    return done(desk, caller, "merchant-resume", ActArguments(), merchant=merchant)


@routes.get("/terminals", response_model=TerminalRows, tags=["shops"])
def terminals(desk: Desk, caller: Caller) -> TerminalRows:
    """List terminals in the order of registration."""
    found = desk.services.registry().terminals(caller)
    return TerminalRows(terminals=[TerminalRow.of(view) for view in found])


@routes.post("/terminals/{terminal}/on", response_model=TerminalRow, tags=["shops"])
def switch_on(desk: Desk, caller: Caller, terminal: Terminal) -> dict[str, Any]:
    """Switch a terminal on in the registry."""
    return done(desk, caller, "terminal-switch", ActArguments(), terminal=terminal, on=True)


@routes.post("/terminals/{terminal}/off", response_model=TerminalRow, tags=["shops"])
def switch_off(desk: Desk, caller: Caller, terminal: Terminal) -> dict[str, Any]:
    """Switch a terminal off in the registry; in force when this answers."""
    return done(desk, caller, "terminal-switch", ActArguments(), terminal=terminal, on=False)


@routes.post("/terminals/{terminal}/log-off", response_model=TerminalRow, tags=["shops"])
def log_off(desk: Desk, caller: Caller, terminal: Terminal) -> dict[str, Any]:
    """Log a terminal off its shop: it sells nothing until its next log-on."""
    return done(desk, caller, "terminal-log-off", ActArguments(), terminal=terminal)


@routes.get("/decrees", response_model=DecreeRows, tags=["decrees"])
def decrees(desk: Desk, caller: Caller) -> DecreeRows:
    """List decrees in the order of import."""
    found = desk.services.registry().decrees(caller)
    return DecreeRows(decrees=[DecreeRow.of(record) for record in found])


@routes.get("/decrees/{decree}", response_model=DecreeRow, tags=["decrees"])
def decree(desk: Desk, caller: Caller, decree: Decree) -> DecreeRow:
    """Give a decree."""
    return DecreeRow.of(desk.services.registry().decree(decree, caller))


@routes.post("/decrees", response_model=ImportRow, tags=["decrees"])
def take_in(
    desk: Desk,
    caller: Caller,
    body: Annotated[bytes, Body(media_type="text/csv", description="a decree file")],
) -> ImportRow:
    """Take a decree file in, whole or not at all; the same file again changes nothing."""
    with as_file(body, "decree.csv") as file:
        row = ImportRow.of(desk.services.registry().take_in(file, caller))
    desk.services.changed()
    return row


@routes.post("/decrees/{decree}/stage", response_model=DecreeRow, tags=["decrees"])
def stage(desk: Desk, caller: Caller, decree: Decree, body: StageBody) -> dict[str, Any]:
    """Move a decree one stage on; execution begins with its first disbursement."""
    return done(desk, caller, "decree-stage", body, decree=decree)


@routes.post("/decrees/{decree}/cards", response_model=JobRow, status_code=202, tags=["decrees"])
def issue(desk: Desk, caller: Caller, decree: Decree) -> JobRow:
    """Print a card for each person of a decree who has none."""
    desk.services.registry().check_issue(decree, caller)
    return desk.jobs.submit("card-issue", {"decree": decree}, caller)


@routes.post(
    "/decrees/{decree}/block-ended", response_model=JobRow, status_code=202, tags=["decrees"]
)
def block_ended(desk: Desk, caller: Caller, decree: Decree) -> JobRow:
    """Block the cards of people whose aid a determined decree ended."""
    desk.services.registry().check_block_ended(decree, caller)
    return desk.jobs.submit("card-block-ended", {"decree": decree}, caller)
