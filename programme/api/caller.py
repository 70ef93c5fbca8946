"""Who calls: the bearer of a token, at a bounded rate."""

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from programme.actors import Actor, actor_text
from programme.api.errors import ApiError
from programme.api.jobs import Jobs
from programme.api.services import Rates, Services
from programme.errors import RuleError
from protocols.values import SecretBytes

_BEARER = HTTPBearer(
    auto_error=False, description="64 hexadecimal digits: `lumbung programme token new`"
)
_UNKNOWN = "unknown"
_TOKEN_DIGITS = 64


class Reception:
    """What every route gets: the services, the jobs, and the two rates."""

    def __init__(self, services: Services, rates: Rates, unknown: Rates) -> None:
        """Take the parts; `rates` are of each bearer, `unknown` of everybody without a token."""
        self.services = services
        self.jobs = Jobs(services)
        self._rates = rates
        self._unknown = unknown

    def caller(self, credentials: HTTPAuthorizationCredentials | None) -> Actor:
        """Give who calls; raise ApiError for no valid token, or too many calls."""
        now_ns = self.services.clock.monotonic_ns()
        try:
            actor = self.services.bearer(_token(credentials))
        except RuleError:
            known = self._unknown.take(_UNKNOWN, now_ns)
            raise ApiError("api.token" if known else "api.too_fast") from None
        if not self._rates.take(actor_text(actor), now_ns):
            raise ApiError("api.too_fast")
        return actor


def _token(credentials: HTTPAuthorizationCredentials | None) -> SecretBytes:
    digits = credentials.credentials if credentials is not None else ""
    try:
        if len(digits) != _TOKEN_DIGITS:
            raise ValueError
        return SecretBytes(bytes.fromhex(digits))
    except ValueError:
        raise RuleError.of("programme.token_unknown") from None


def _reception(request: Request) -> Reception:
    found: Reception = request.app.state.reception
    return found


Desk = Annotated[Reception, Depends(_reception)]


def _caller(
    desk: Desk, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]
) -> Actor:
    return desk.caller(credentials)


#: The bearer of the request's token.
Caller = Annotated[Actor, Depends(_caller)]
