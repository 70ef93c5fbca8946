"""The page of the administration interface, from its OpenAPI description (docs/reference/)."""

from collections.abc import Iterator
from typing import Any, cast

from programme.api.app import make_app
from programme.api.errors import own_errors
from programme.api.services import Rates, Services
from protocols.catalogue import text

_HEAD = """# The administration interface

`lumbung programme serve DIR` (extra `api`): the same acts as the command line, over HTTP. This
page is made from the OpenAPI description (`/openapi.json` has every schema and example): `python
scripts/docs.py`.

## Guarantees

1. **No rule of its own.** Every route calls the service layer; who may do what stands in
   `programme/roles.toml`.
2. **One writer.** An act goes to the switch that runs on the directory, over its control channel;
   without one the server takes the directory's lock and does it itself. What was answered is
   durable and in force: a blocked card is refused from then on.
3. **Two people.** Disbursement, sweep, release, refund and terminal keys are proposed by one
   token's bearer and approved by another person's; a token acts for one person of one agency.
4. **Tokens** are 256 random bits, shown once, kept as a keyed SHA-256 hash, with an end (at most
   366 days), revocable: refused from the moment that `revoke` answered. `Authorization: Bearer
   <64 hexadecimal digits>`.
5. **No personal data out.** No name, NIK or PIN in any answer or log; four digits of a card.
6. **Bounded.** Host names by an allow-list (421); bodies of 64 KiB, decree files of 32 MiB (413),
   whole within 30 s (408); 50 requests a second of a bearer, 20 of everybody without a token
   (429); 32 requests at once (503); 64 jobs remembered.
7. **Loopback by default.** Any other address only with `--certificate` and `--key`.

Whether a bearer may ask for a job, and whether it may begin, is said at once (403, 404, 409). A job
(202) goes on when its asker leaves or the asker's token ends. A server that ends forgets its jobs,
not what they did: `GET /proposals/N` says what came of it, and `run` again finishes what was
stopped; nobody is credited twice. Not promised: jobs over a restart of the server.

## Errors

One shape: `{"error": {"code", "id", "en", "fix", "faults"}}`. Codes of the programme (`E-PG-...`)
are those of the command line; the interface itself adds:

"""


def page() -> str:
    """Give the whole page."""
    none = cast(Any, None)
    described = make_app(cast(Services, none), cast(Rates, none), cast(Rates, none)).openapi()
    return _HEAD + "\n".join([*_errors(), "", "## Routes", "", *_routes(described), ""])


def _errors() -> Iterator[str]:
    yield "| code | status | said |"
    yield "|---|--:|---|"
    for key, (code, status) in own_errors().items():
        values = {"limit": "N", "job": "N"}
        yield f"| `{code}` | {status} | {text(key, 'en', **values)} |"


def _routes(described: dict[str, Any]) -> Iterator[str]:
    yield "| route | takes | gives | |"
    yield "|---|---|---|---|"
    for path, methods in described["paths"].items():
        for method, route in methods.items():
            queries = [p["name"] for p in route.get("parameters", ()) if p["in"] == "query"]
            takes = ", ".join([*_fields(described, route), *(f"?{name}" for name in queries)])
            status = next(code for code in route["responses"] if code.startswith("2"))
            schema = route["responses"][status]["content"]["application/json"]["schema"]
            gives = schema["$ref"].rpartition("/")[2]
            what = route["description"].split("\n")[0]
            yield f"| `{method.upper()} {path}` | {takes} | {status} `{gives}` | {what} |"


def _fields(described: dict[str, Any], route: dict[str, Any]) -> Iterator[str]:
    for kind, content in route.get("requestBody", {}).get("content", {}).items():
        if "$ref" not in content["schema"]:
            yield f"`{kind}`"
            continue
        name = content["schema"]["$ref"].rpartition("/")[2]
        model = described["components"]["schemas"][name]
        must = model.get("required", [])
        yield from (f"`{field}`" + ("" if field in must else "?") for field in model["properties"])
