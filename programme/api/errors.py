"""One shape for everything that went wrong: a code, both languages, how to mend it."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from ledger.errors import LedgerError
from programme.decree import DecreeFileError
from programme.errors import ProgrammeError
from protocols.catalogue import text
from protocols.errors import LumbungError
from protocols.values import mask_free_text

#: HTTP status of an operating error's code; any other is 500: the machine, not the caller.
_STATUS = {
    "E-PG-0010": 404,
    "E-PG-0011": 409,
    "E-PG-0012": 409,
    "E-PG-0013": 403,
    "E-PG-0014": 409,
    "E-PG-0301": 409,
    "E-PG-0201": 422,
    "E-CL-0002": 422,
    "E-SW-0112": 422,
    "E-PG-0004": 503,
    "E-PG-0103": 503,
    "E-DD-0001": 503,
    "E-SW-0110": 503,
    "E-SW-0111": 503,
    "E-SW-0113": 503,
}
#: What the interface itself says no to: key of the catalogue -> (code, status).
_OWN = {
    "api.token": ("E-PG-0501", 401),
    "api.host": ("E-PG-0502", 421),
    "api.too_large": ("E-PG-0503", 413),
    "api.too_fast": ("E-PG-0504", 429),
    "api.not_fit": ("E-PG-0505", 422),
    "api.no_path": ("E-PG-0506", 404),
    "api.no_method": ("E-PG-0507", 405),
    "api.busy": ("E-PG-0508", 503),
    "api.too_slow": ("E-PG-0509", 408),
    "api.no_job": ("E-PG-0510", 404),
    "api.fault": ("E-PG-0599", 500),
}
_FAULTS_MAX = 20


class ErrorText(BaseModel):
    """What went wrong: a stable code, the sentence in both languages, how to mend it."""

    model_config = ConfigDict(frozen=True)

    code: str = Field(examples=["E-PG-0013"])
    id: str = Field(examples=["Bank Penyalur tidak berwenang atas `card.replaced`"])
    en: str = Field(examples=["Bank Penyalur may not do `card.replaced`"])
    fix: str = ""
    faults: list[str] = Field(default=[], description="which parts of the request do not fit")


class ErrorBody(BaseModel):
    """The body of every answer that is not a success."""

    model_config = ConfigDict(frozen=True)

    error: ErrorText


class ApiError(ProgrammeError):
    """The interface itself says no, before any act."""

    def __init__(self, key: str, *, faults: Sequence[str] = (), **values: object) -> None:
        """Take the key of the sentence."""
        self.faults = list(faults)
        self.code, self.status = _OWN[key]
        said = " / ".join(text(key, lang, **values) for lang in ("id", "en"))
        super().__init__(said, key=key, values=values)


def own_errors() -> dict[str, tuple[str, int]]:
    """Give what the interface itself says no to: key of its sentence -> (code, status)."""
    return dict(_OWN)


def body_of(error: LumbungError | LedgerError) -> dict[str, Any]:
    """Give the body that an error is answered with."""
    said = getattr(error, "said", None)
    whole = error.external if isinstance(error, LumbungError) else str(error)
    faults = getattr(error, "faults", ())
    if isinstance(error, DecreeFileError):
        faults = whole.splitlines()
        whole = faults[0]
    found = ErrorText(
        code=error.code,
        id=said("id") if said else whole,
        en=said("en") if said else whole,
        fix=getattr(error, "fix", ""),
        faults=list(faults),
    )
    return ErrorBody(error=found).model_dump()


def status_of(error: LumbungError | LedgerError) -> int:
    """Give the HTTP status of an error.

    >>> status_of(ApiError("api.host"))
    421
    """
    if isinstance(error, ApiError):
        return error.status
    return _STATUS.get(error.code, 500)


def answer(error: LumbungError | LedgerError) -> JSONResponse:
    """Give the answer to a request that met an error."""
    headers = {"Cache-Control": "no-store"}
    if status_of(error) == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body_of(error), status_of(error), headers)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Give what OpenAPI says of errors: those that any call may meet, and these."""
    common = (400, 401, 403, 408, 413, 421, 422, 429, 500, 503)
    return {
        status: {"model": ErrorBody, "description": _DESCRIPTIONS[status]}
        for status in sorted({*common, *statuses})
    }


_DESCRIPTIONS = {
    400: "not a sound HTTP request",
    401: "no token, or one that is unknown, revoked or expired",
    403: "the bearer's agency may not do this",
    404: "there is no such thing",
    408: "the body did not come in time",
    409: "a rule of the programme says no; nothing was changed",
    413: "the body is too large",
    421: "this name is not served here",
    422: "the request does not fit its schema",
    429: "too many requests: wait a second",
    500: "the machine: disk, keys, a fault",
    503: "busy: ask again",
}


def add_handlers(app: FastAPI) -> None:
    """Have every error answered in the one shape."""

    async def operating(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, LumbungError | LedgerError)
        return answer(error)

    async def not_fit(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        faults = [
            f"{'.'.join(map(str, fault['loc']))}: {mask_free_text(str(fault['msg']))}"
            for fault in error.errors()[:_FAULTS_MAX]
        ]
        return answer(ApiError("api.not_fit", faults=faults))

    async def by_http(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        key = {404: "api.no_path", 405: "api.no_method"}.get(error.status_code, "api.not_fit")
        found = answer(ApiError(key))
        found.headers.update(error.headers or {})
        return found

    async def fault(_request: Request, _error: Exception) -> JSONResponse:
        return answer(ApiError("api.fault"))

    app.add_exception_handler(Exception, fault)
    for kind in (LumbungError, LedgerError):
        app.add_exception_handler(kind, operating)
    app.add_exception_handler(RequestValidationError, not_fit)
    app.add_exception_handler(HTTPException, by_http)
