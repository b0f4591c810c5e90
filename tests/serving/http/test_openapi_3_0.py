"""The document for importers of OpenAPI 3.0: valid, consistent with the responses, and free of what Salesforce refuses."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from openapi_schema_validator import OAS30ReadValidator
from openapi_spec_validator import OpenAPIV30SpecValidator

from serving.http.openapi_3_0 import HTTP_METHODS, to_openapi_3_0

REF = {"$ref": "#/components/schemas/A"}


@pytest.fixture(scope="module")
def openapi(client: TestClient) -> dict[str, Any]:
    answer = client.get("/openapi-3.0.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    document: dict[str, Any] = answer.json()
    return document


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in HTTP_METHODS:
            if method in item:
                yield path, method, item[method]


def places(part: Any, at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every object of a document with its place; names of fields are not keywords."""
    if isinstance(part, dict):
        if not at.endswith("/properties"):
            yield at, part
        for name, inner in part.items():
            if name not in ("example", "default", "enum"):
                yield from places(inner, f"{at}/{name}")
    elif isinstance(part, list):
        for i, inner in enumerate(part):
            yield from places(inner, f"{at}/{i}")


def test_a_validator_accepts_it(openapi: dict[str, Any]) -> None:
    OpenAPIV30SpecValidator(openapi).validate()
    assert openapi["openapi"] == "3.0.3"


def test_it_contains_every_json_operation_except_those_of_mlflow(openapi: dict[str, Any], client: TestClient) -> None:
    full = client.get("/openapi.json").json()
    files = {"metrics", "getJobResult", "getBusinessReviewFile", "getAccountPlanFile", "getLeadershipFile"}
    json_only = {op["operationId"] for _, _, op in operations(full) if "mlflow" not in op["tags"]} - files
    assert {op["operationId"] for _, _, op in operations(openapi)} == json_only


def test_names_are_valid_apex_identifiers(openapi: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(openapi)]
    assert len({name.lower() for name in names}) == len(names), "Apex does not tell case apart"
    assert len({name.lower() for name in openapi["components"]["schemas"]}) == len(openapi["components"]["schemas"])
    for name in (*names, *openapi["components"]["schemas"]):
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", name), name
    for at, part in places(openapi):
        for name in part.get("properties", {}):
            assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name), f"{at} {name}"


def test_bodies_are_json_and_get_has_none(openapi: dict[str, Any]) -> None:
    for path, method, operation in operations(openapi):
        assert method in ("get", "post", "put", "patch", "delete"), path
        assert method != "get" or "requestBody" not in operation
        for part in (operation.get("requestBody", {}), *operation["responses"].values()):
            assert set(part.get("content", {})) <= {"application/json"}
            assert "headers" not in part
        assert all(parameter["name"] and parameter["in"] in ("path", "query", "header") for parameter in operation.get("parameters", []))


def test_nothing_unsupported_by_salesforce_or_openapi_3_0_remains(openapi: dict[str, Any]) -> None:
    refused = {
        "not", "anyOf", "oneOf", "const", "examples", "prefixItems", "patternProperties", "propertyNames", "contentMediaType",
        "contentEncoding", "unevaluatedProperties", "$defs", "$schema", "$id", "if", "then", "else", "contains",
    }  # fmt: skip
    for at, part in places(openapi["components"]["schemas"]):
        assert not refused & set(part), at
        assert "$ref" not in part or len(part) == 1, at
        assert not isinstance(part.get("type"), list), at
        assert part.get("type") != "null", at
        assert part.get("type") != "array" or part["items"].get("type") != "array", f"{at} is a List<List<T>>"
        for bound in ("exclusiveMinimum", "exclusiveMaximum"):
            assert isinstance(part.get(bound, True), bool), at


def test_it_stays_within_the_size_limit_of_salesforce(openapi: dict[str, Any], client: TestClient) -> None:
    """Salesforce Help, External Services, "System Limits" (platform.external_services_schema_def_limits): 10,000,000
    characters of JSON a document, 3,000 active operations and 3,000 active objects an organisation. We take a tenth at
    most, so that others fit in too."""
    assert len(client.get("/openapi-3.0.json").text) <= 1_000_000
    assert len(list(operations(openapi))) <= 300
    assert sum("properties" in part for _, part in places(openapi)) <= 300


def test_no_description_is_cut(openapi: dict[str, Any]) -> None:
    """Salesforce Help, External Services, "Naming and Description Conventions"
    (platform.external_services_schema_def_naming_description): of a description of an operation or a parameter only the
    first 1,333 characters are kept."""
    for _, _, operation in operations(openapi):
        for part in (operation, *operation.get("parameters", [])):
            assert len(part.get("description", "")) <= 1333, operation["operationId"]


def test_every_reference_resolves_and_every_schema_is_used(openapi: dict[str, Any]) -> None:
    used = {part["$ref"].rpartition("/")[2] for _, part in places(openapi) if "$ref" in part}
    assert used == set(openapi["components"]["schemas"])


@pytest.mark.parametrize(
    ("method", "path", "template", "body"),
    [
        ("GET", "/readyz", "/readyz", None),
        ("GET", "/v1/portfolio", "/v1/portfolio", None),
        ("GET", "/v1/portfolio/measures?period=year", "/v1/portfolio/measures", None),
        ("GET", "/v1/accounts/a05/qbr?quarter=2026Q2", "/v1/accounts/{account_id}/qbr", None),
        ("GET", "/v1/accounts/a05/health", "/v1/accounts/{account_id}/health", None),
        ("GET", "/v1/accounts/a05/prediction", "/v1/accounts/{account_id}/prediction", None),
        ("GET", "/v1/accounts/a38/prediction", "/v1/accounts/{account_id}/prediction", None),
        ("GET", "/v1/accounts/a05/prediction?view=flat", "/v1/accounts/{account_id}/prediction", None),
        ("GET", "/v1/accounts/a999/prediction", "/v1/accounts/{account_id}/prediction", None),
        ("POST", "/v1/predictions:batch", "/v1/predictions:batch", {"items": [{"account_id": "a05"}, {}]}),
    ],
)  # fmt: skip
def test_responses_match_the_description(client: TestClient, openapi: dict[str, Any], method: str, path: str, template: str, body: Any) -> None:
    answer = client.request(method, path, json=body)
    schema = openapi["paths"][template][method.lower()]["responses"][str(answer.status_code)]["content"]["application/json"]["schema"]
    whole = {"allOf": [schema], "components": openapi["components"]}
    errors = [error.message for error in OAS30ReadValidator(whole).iter_errors(answer.json())]
    # A reference that may be null says so next to it, which validators treat differently and importers read.
    assert [message for message in errors if not message.startswith("None ")] == []


def test_the_view_for_crms_can_be_mapped_field_by_field(openapi: dict[str, Any]) -> None:
    schema = openapi["components"]["schemas"]["PredictionOrFlatPrediction"]
    assert {"churn", "health", "churn_probability", "health_score", "reason_1_text"} <= set(schema["properties"])
    assert schema["properties"]["churn_probability"]["type"] == "number"


TURNED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    # 3.1, then 3.0
    ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
    ({"anyOf": [{"type": "number"}, {"type": "null"}], "title": "T"}, {"type": "number", "title": "T", "nullable": True}),
    ({"anyOf": [{"type": "integer"}, {"type": "number"}]}, {"type": "number"}),
    ({"anyOf": [{"type": "string"}, {"type": "number"}], "description": "d"}, {"description": "d"}),
    ({"anyOf": [REF, {"type": "null"}]}, {"allOf": [REF], "nullable": True}),
    ({**REF, "description": "d"}, {"allOf": [REF], "description": "d"}),
    ({"anyOf": [{"enum": ["a", "b"], "type": "string"}, {"type": "null"}], "description": "d."},
     {"type": "string", "description": "d. One of a, b.", "nullable": True}),
    ({"const": "x"}, {"type": "string", "enum": ["x"]}),
    ({"const": True}, {"type": "boolean", "enum": [True]}),
    ({"type": "number", "exclusiveMinimum": 0}, {"type": "number", "minimum": 0, "exclusiveMinimum": True}),
    ({"type": "integer", "exclusiveMaximum": 9}, {"type": "integer", "maximum": 9, "exclusiveMaximum": True}),
    ({"type": "string", "examples": ["a", "b"]}, {"type": "string", "example": "a"}),
    ({"type": "string", "default": None}, {"type": "string"}),
    ({"type": "array", "prefixItems": [{"type": "number"}] * 2, "maxItems": 2}, {"type": "array", "items": {"type": "number"}, "maxItems": 2}),
    ({"type": "array", "prefixItems": [{"type": "number"}, {"type": "string"}]}, {"type": "array", "items": {}}),
    ({"type": "array"}, {"type": "array", "items": {}}),
    ({"type": "string", "contentMediaType": "application/octet-stream"}, {"type": "string", "format": "binary"}),
    ({"type": "object", "additionalProperties": False}, {"type": "object"}),
    ({"type": "object", "additionalProperties": True}, {"type": "object", "additionalProperties": {}}),
    ({"type": "object", "patternProperties": {"a": {}}, "properties": {"const": {"const": 1}}},
     {"type": "object", "properties": {"const": {"type": "integer", "enum": [1]}}}),
    ({"allOf": [REF, {"type": ["object", "null"]}]}, {"allOf": [REF, {"type": "object", "nullable": True}]}),
    ({"anyOf": [REF, {"$ref": "#/components/schemas/B"}]}, {"$ref": "#/components/schemas/AOrB"}),
    ({"oneOf": [REF], "discriminator": {"propertyName": "kind"}}, {"oneOf": [REF], "discriminator": {"propertyName": "kind"}}),
]  # fmt: skip


def document(schema: dict[str, Any]) -> dict[str, Any]:
    shapes = {
        "A": {"type": "object", "properties": {"x": {"type": "string"}, "y": {"type": "string"}}, "required": ["x", "y"]},
        "B": {"type": "object", "properties": {"x": {"type": "string"}, "z": {"const": 1}}, "required": ["x"]},
        "Unused": {"type": "string"},
    }
    answer = {"200": {"description": "", "content": {"application/json": {"schema": schema}}}}
    get = {"operationId": "get", "responses": answer}
    info = {"title": "t", "version": "1", "summary": "s"}
    return {"openapi": "3.1.0", "info": info, "paths": {"/": {"get": get}}, "components": {"schemas": shapes}}


@pytest.mark.parametrize(("schema", "expected"), TURNED, ids=[str(schema)[:60] for schema, _ in TURNED])
def test_single_schemas(schema: dict[str, Any], expected: dict[str, Any]) -> None:
    full = document(schema)
    before = copy.deepcopy(full)
    turned = to_openapi_3_0(full)
    assert full == before, "the input is not changed"
    assert turned["paths"]["/"]["get"]["responses"]["200"]["content"]["application/json"]["schema"] == expected
    OpenAPIV30SpecValidator(turned).validate()


def test_a_choice_between_objects_requires_their_common_fields() -> None:
    full = document({"anyOf": [REF, {"$ref": "#/components/schemas/B"}]})
    schemas = to_openapi_3_0(full)["components"]["schemas"]
    assert set(schemas) == {"AOrB"}
    assert schemas["AOrB"]["required"] == ["x"]
    assert schemas["AOrB"]["properties"]["z"] == {"type": "integer", "enum": [1]}
