"""The OpenAPI description against the interface: what it promises is what comes, whatever is sent.

Each operation gets sound and unsound requests drawn from its own description, by the token of an
agency that may do most. A fault of the program (500), an answer that the description does not
name, or a body that is not of its schema fails the test.
"""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.test_programme.api_desk import bank, field  # noqa: F401

EXAMPLES = 4
#: Tokens have tests of their own: here each request has a good one, whatever was drawn.
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance,
    response_headers_conformance, response_schema_conformance, negative_data_rejection,
]  # fmt: skip
WHO = "dinsos:d-01"


def _operations():
    from programme.api.app import make_app

    description = make_app(None, None, None).openapi()
    for methods in description["paths"].values():
        for route in methods.values():
            del route["security"]
    schema = schemathesis.openapi.from_dict(description)
    return [found.ok() for found in schema.get_all_operations()]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.timeout(300)
def test_answers_are_those_of_the_description(mode, bank, field):  # noqa: F811
    for operation in _operations():
        takes = list(operation.iter_parameters()) or list(operation.body)
        if takes or mode is GenerationMode.POSITIVE:
            _draw(operation, mode, bank)


def _draw(operation, mode, bank):  # noqa: F811
    headers = {"Authorization": f"Bearer {bank.token(WHO)}"}

    @seed(20260105)
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None,
        suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate],
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def drawn(case):
        asked = case.as_transport_kwargs(base_url="http://kartu.test")
        asked.pop("cookies", None)
        drawn_headers = {
            name: value
            for name, value in (asked.get("headers") or {}).items()
            if name.lower() not in ("authorization", "host")
        }
        asked["headers"] = {**drawn_headers, **headers}
        answer = bank.client.request(asked.pop("method"), asked.pop("url"), **_sent(asked))
        case.validate_response(answer, checks=CHECKS)

    drawn()


def _sent(asked):
    """Give the arguments as the HTTP client of the tests names them."""
    if isinstance(asked.get("data"), bytes | str):
        asked["content"] = asked.pop("data")
    return asked
