"""The gate before every route: which names are served, how much and how long a body may be.

Pure ASGI: what is refused here has cost nothing below.
"""

import asyncio
import traceback
from collections.abc import Collection, Iterable

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from programme.api.errors import ApiError, answer
from programme.limits import (
    API_BODY_BYTES_MAX,
    API_CONCURRENT_MAX,
    API_DECREE_BYTES_MAX,
    API_IDLE_SECONDS_MAX,
)

_log = structlog.get_logger("programme")
#: Said of every answer: it is for its asker, once.
_HEADERS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


#: What takes a whole file of people.
_FILES = frozenset({("POST", "/decrees"), ("POST", "/match")})


class Gate:
    """Refuses what is not for this server, and hands the rest on with its whole body."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        """Take the names under which this server is asked, without a port, in lower case."""
        self._app = app
        self._hosts = frozenset(hosts)
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._under_way >= API_CONCURRENT_MAX:
            await answer(ApiError("api.busy"))(scope, receive, send)
            return
        self._under_way += 1
        try:
            await self._serve(scope, receive, send)
        finally:
            self._under_way -= 1

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if host_of(scope["headers"]) not in self._hosts:
                raise ApiError("api.host")
            body = await self._body(scope, receive)
        except ApiError as error:
            await answer(error)(scope, receive, send)
            return
        began = False

        async def sending(message: Message) -> None:
            nonlocal began
            if message["type"] == "http.response.start":
                began = True
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        try:
            await self._app(scope, _replay(body, receive), sending)
        except Exception as error:  # noqa: BLE001 - the outermost edge; nothing is swallowed
            # A bug of ours: told loudly in the log, and to the caller without its inside.
            # Frames without values: a value may be a person's.
            where = traceback.format_tb(error.__traceback__)
            _log.error("api fault", path=scope["path"], kind=type(error).__name__, where=where)
            if not began:
                await answer(ApiError("api.fault"))(scope, receive, send)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        most = API_BODY_BYTES_MAX
        if (scope["method"], scope["path"]) in _FILES:
            most = API_DECREE_BYTES_MAX
        told = _header(scope["headers"], b"content-length")
        if told.isdigit() and int(told) > most:
            raise ApiError("api.too_large", limit=most)
        body = bytearray()
        try:
            async with asyncio.timeout(API_IDLE_SECONDS_MAX):
                while True:
                    message = await receive()
                    body += message.get("body", b"")
                    if len(body) > most:
                        raise ApiError("api.too_large", limit=most)
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            raise ApiError("api.too_slow") from None


def _replay(body: bytes, receive: Receive) -> Receive:
    """Give a `receive` that hands the whole body over once."""
    is_given = False

    async def again() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def host_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Give the name that a request asks for, without its port; empty for none or several.

    >>> host_of([(b"host", b"Kartu.Samarinda.go.id:8443")])
    'kartu.samarinda.go.id'
    >>> host_of([(b"host", b"[::1]:8080")])
    '[::1]'
    """
    found = [value for name, value in headers if name == b"host"]
    if len(found) != 1:
        return ""
    text = found[0].decode("latin-1").lower()
    name, colon, port = text.rpartition(":")
    return name if colon and port.isdigit() else text


def _header(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in headers if name == wanted), "")
