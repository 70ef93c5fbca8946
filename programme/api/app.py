"""The application: routes, errors, gate, and the OpenAPI description."""

from collections.abc import Collection

from fastapi import FastAPI
from starlette.types import ASGIApp

from programme.api.caller import Reception
from programme.api.errors import add_handlers
from programme.api.field_routes import routes as field_routes
from programme.api.gate import Gate
from programme.api.money_routes import routes as money_routes
from programme.api.services import Rates, Services

_ABOUT = """What the offices of the programme do: cards, shops, decrees, money by two people,
reports, the trail. Amounts are in sen (1 rupiah is 100). No answer holds a name, a NIK or more
than four digits of a card."""


def make_app(services: Services, rates: Rates, unknown: Rates) -> FastAPI:
    """Give the routes over the services, without the gate; for tests and for the description."""
    app = FastAPI(
        title="Lumbung administration",
        version="1",
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    app.state.reception = Reception(services, rates, unknown)
    add_handlers(app)
    app.include_router(field_routes)
    app.include_router(money_routes)
    return app


def served(app: FastAPI, hosts: Collection[str]) -> ASGIApp:
    """Give the application behind its gate, for these host names."""
    return Gate(app, hosts)
