"""Whatever /openapi.json allows, or just not allows, is answered as /openapi.json says: every operation, and every check
that Schemathesis has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings

from models.home import Home
from serving.app.app import create_app
from serving.http.api_keys import create_key

MODES = list(schemathesis.GenerationMode)
CONFIG: dict[str, Any] = {
    # Some rules cannot be said in a schema, such as that a date is one, or that signals need an as_of: 422 says them.
    "checks": {
        "positive_data_acceptance": {"expected-statuses": ["2xx", "404", "422"]},
        # It would call by itself, over the network; the tests of authentication send no key or a wrong one.
        "ignored_auth": {"enabled": False},
    },
    # Errors of an item are in its own result.
    "operations": [
        {
            "include-operation-id": "createPredictions",
            "checks": {"negative_data_rejection": {"expected-statuses": ["200", "4xx"]}},
        },
        # Its If-Match is optional in the schema, so that a request without it gets 428.
        {
            "include-operation-id": "changeIntervention",
            "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "404", "422", "428"]}},
        },
        # A second view of the same name gets 409.
        {
            "include-operation-id": "saveView",
            "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "404", "409", "422"]}},
        },
        {
            "include-operation-id": "renameView",
            "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "404", "409", "422"]}},
        },
    ],
}
# Only its description is taken, so that the operations are known before there is a home.
described = schemathesis.openapi.from_dict(
    create_app(Home(Path("nowhere"))).openapi(), config=schemathesis.Config.from_dict(CONFIG)
)
# Not by Schemathesis' own parametrize, under which all operations have one name, and xdist runs one of that name only.
OPERATIONS = [result.ok() for result in described.get_all_operations()]


def name(part: Any) -> str:
    return str(part.value if isinstance(part, schemathesis.GenerationMode) else part.label)


def asks(operation: Any) -> bool:
    """Return whether a caller can make a mistake."""
    return bool(operation.definition.raw.get("parameters") or operation.definition.raw.get("requestBody"))


few = settings(
    max_examples=8, derandomize=True, database=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


@pytest.fixture(scope="module")
def admin(client: TestClient) -> str:
    """A key with every scope, so that the request itself is checked."""
    with client.app.state.store.begin() as connection:  # type: ignore[attr-defined]
        return create_key(connection, "schema", ["admin"])[1]


def holds(client: TestClient, admin: str, case: schemathesis.Case) -> None:
    """Send one request and run all checks on the response."""
    request = case.as_transport_kwargs(base_url=str(client.base_url), headers={"X-API-Key": admin, "Authorization": f"Bearer {admin}"})
    # The client takes no text beyond ASCII in a header, which callers can send all the same.
    request["headers"] = {name: value.encode() for name, value in request["headers"].items()}
    # Otherwise the client warns about how requests are passed to it.
    request.pop("cookies")
    if isinstance(request.get("data"), bytes):
        request["content"] = request.pop("data")
    case.validate_response(client.request(**request))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("operation", "mode"),
    [(o, mode) for o in OPERATIONS for mode in MODES if asks(o) or mode == schemathesis.GenerationMode.POSITIVE],
    ids=name,
)
def test_generated_requests_are_answered_as_described(client: TestClient, admin: str, operation: Any, mode: Any) -> None:
    @few
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        holds(client, admin, case)

    ask()


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS, ids=name)
def test_boundary_values_are_answered_as_described(client: TestClient, admin: str, operation: Any) -> None:
    cases = described.iter_coverage_cases(operation, generation_modes=MODES, generation_config=described.config.generation)
    for case in cases:
        holds(client, admin, case)
